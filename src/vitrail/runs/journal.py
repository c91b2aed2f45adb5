"""log.jsonl: what happened when, one JSON object a line, each line on disk before the next thing happens."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vitrail.core.errors import RunError

STARTED = "started"
OPENED = "test split opened"
FINISHED = "finished"


class Journal:
    """An append-only log. A last line cut by a crash is passed over."""

    def __init__(self, path: Path) -> None:
        self.folder = path.parent
        self._path = path

    def write(self, event: str, **facts: Any) -> None:
        """Append an event with its facts (JSON values) and wait until it is on disk.

        Raises:
            RunError: the line could not be written.
        """
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="seconds"), "event": event} | facts)
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(self._newline_if_cut() + line + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise RunError(
                f"The log {self._path} could not be written ({error.strerror}). Free some room, then run again."
            ) from error

    def events(self, event: str) -> list[dict[str, Any]]:
        """All entries of one kind, oldest first."""
        return [entry for entry in self._entries() if entry.get("event") == event]

    def identity(self) -> str | None:
        """The fingerprint of data and options this run was started with, if it was started."""
        started = self.events(STARTED)
        return str(started[0]["identity"]) if started else None

    @property
    def starts(self) -> int:
        """How often this run was started."""
        return len(self.events(STARTED))

    def start(self, identity: str, **facts: Any) -> None:
        """Record that this run begins, or goes on."""
        self.write(STARTED, identity=identity, **facts)

    def record_opening(self, choices: str) -> int:
        """Record that the test split is about to be opened, with the digest of every choice made before.

        Returns:
            With how many different choices it was opened so far: 1 for a run that a crash made open it twice.
        """
        self.write(OPENED, choices=choices)
        return self.count_openings()

    def count_openings(self) -> int:
        """With how many different choices the test split was opened in this folder."""
        return len({entry.get("choices") for entry in self.events(OPENED)})

    def _entries(self) -> list[dict[str, Any]]:
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        entries = []
        for line in lines:
            try:
                entries.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return entries

    def _newline_if_cut(self) -> str:
        try:
            with self._path.open("rb") as file:
                file.seek(-1, os.SEEK_END)
                return "" if file.read(1) == b"\n" else "\n"
        except OSError:
            return ""
