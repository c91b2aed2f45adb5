"""Verify that a finished run follows from its own files, and compare two runs."""
