"""The command line: one file a verb. Each parses, calls the library and prints; none decides anything."""

from vitrail.cli.main import main

__all__ = ["main"]
