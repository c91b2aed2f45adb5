"""log.jsonl: what happened when, one JSON object a line, each line on disk before the next thing happens."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vitrail.core.bounded import read_bounded
from vitrail.core.digest_json import add_digest, parse_with_digest
from vitrail.core.errors import RunError
from vitrail.core.whole_files import put_in_place

STARTED = "started"
OPENED = "test split opened"
FINISHED = "finished"
MOST_BYTES = 64 << 20


class Journal:
    """An append-only log. A line that was cut by a crash, or is damaged, is passed over."""

    def __init__(self, path: Path) -> None:
        self.folder = path.parent
        self._path = path

    def write(self, event: str, **facts: Any) -> None:
        """Append an event with its facts (JSON values) and wait until it is on disk.

        Raises:
            RunError: the line could not be written, or the log was deleted since the run was started.
        """
        try:
            with self._path.open("r+", encoding="utf-8") as file:  # "a" would make the file of a folder made again
                file.seek(0, os.SEEK_END)
                file.write(self._newline_if_cut() + _line(event, facts))
                file.flush()
                os.fsync(file.fileno())
        except FileNotFoundError as error:
            raise RunError(
                f"The run folder {self.folder} was deleted or moved during the run, so its record is incomplete. Run "
                "the same command again: features that were computed are kept in the cache."
            ) from error
        except OSError as error:
            raise self._unwritable(error) from error

    def events(self, event: str) -> list[dict[str, Any]]:
        """All entries of one kind, oldest first; raises RunError if the log cannot be read."""
        return [entry for entry in self._entries() if entry.get("event") == event]

    def identity(self) -> str | None:
        """The fingerprint of data and options this run was started with, if it was started."""
        started = self.events(STARTED)
        return str(started[0].get("identity")) if started else None

    def first_start(self) -> dict[str, Any]:
        """What was recorded when this run was first started; nothing if it was not."""
        return next(iter(self.events(STARTED)), {})

    @property
    def starts(self) -> int:
        """How often this run was started."""
        return len(self.events(STARTED))

    def start(self, identity: str, **facts: Any) -> None:
        """Record that this run begins or continues.

        The first line says which run owns the folder, so it is written completely or not at all: a truncated line would
        make the owner unknown.

        Raises:
            RunError: the line could not be written.
        """
        facts = {"identity": identity} | facts
        if self.identity() is not None:
            self.write(STARTED, **facts)
            return
        content = _line(STARTED, facts)
        try:
            put_in_place(self._path, lambda temporary: temporary.write_text(content, encoding="utf-8"))
        except OSError as error:
            raise self._unwritable(error) from error

    def record_opening(self, choices: str) -> int:
        """Record that the test split is about to be opened, with the digest of every choice made before.

        Returns:
            With how many different choices it was opened so far: 1 for a run that a crash made open it twice.
        """
        self.write(OPENED, choices=choices)
        return self.count_openings()

    def count_openings(self) -> int:
        """With how many different choices the test split was opened in this folder."""
        return len({str(entry.get("choices")) for entry in self.events(OPENED)})

    def _entries(self) -> list[dict[str, Any]]:
        try:
            lines = read_bounded(self._path, MOST_BYTES).decode(errors="replace").splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RunError(
                f"The log {self._path} cannot be read ({error.strerror or error}). Choose another place with --out."
            ) from error
        entries = []
        for line in lines:
            entry = parse_with_digest(line)
            if entry is not None and all(isinstance(entry.get(name), str) for name in ("time", "event")):
                entries.append(entry)
        return entries

    def _newline_if_cut(self) -> str:
        with self._path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return "" if file.read(1) == b"\n" else "\n"

    def _unwritable(self, error: OSError) -> RunError:
        return RunError(
            f"The log {self._path} could not be written ({error.strerror or error}). Free some disk space, then run "
            "again."
        )


def _line(event: str, facts: dict[str, Any]) -> str:
    entry = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "event": event} | facts
    return json.dumps(add_digest(entry)) + "\n"
