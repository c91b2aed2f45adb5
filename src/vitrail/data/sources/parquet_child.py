"""The process that parses Parquet files of users, since a damaged one can crash its parser.

It opens no files itself: it asks its parent for ranges of bytes. Its own memory and the time between two messages have
limits. It ends when its parent does.
"""

import faulthandler
import os
import signal
import sys
import traceback
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

import psutil
import pyarrow as pa

from vitrail.core.errors import DataError
from vitrail.data.dataset import ListedFile, SetAside
from vitrail.data.sources.parquet_files import ParquetFiles, holds_images
from vitrail.data.sources.parquet_manifest import read_cells, read_column_names
from vitrail.data.sources.parquet_pipe import Pipe

MOST_MEMORY = 4 << 30  # bytes of address space above what the process has at its start; Windows has no such limit
MOST_SECONDS = 60.0  # between two messages; waiting for the parent is not counted
KEPT_SOURCES = 4  # whose place in their files is remembered
ROWS_A_MESSAGE = 1024


class AskedRanges:
    """A file whose bytes the parent reads."""

    def __init__(self, parent: Pipe, source: int, name: str) -> None:
        self._parent, self._file = parent, {"source": source, "name": name}
        facts, _ = self._ask({"wants": "size"})
        self.size: int = facts["size"]
        self.block: int = facts["block"]

    def read_at(self, start: int, length: int) -> bytes:
        """`length` bytes from `start`, fewer at the end; raises OSError."""
        return self._ask({"wants": "range", "start": start, "length": length})[1]

    def _ask(self, question: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        faulthandler.cancel_dump_traceback_later()
        self._parent.send(question | self._file)
        answer, content = self._parent.receive()
        _start_countdown()
        if "failed" in answer:
            raise OSError(0, answer["failed"])
        return answer, content


class Server:
    """Answers the parent's requests, one after the other."""

    def __init__(self, parent: Pipe) -> None:
        self._parent = parent
        self._sources: OrderedDict[int, ParquetFiles] = OrderedDict()

    def answer(self, request: dict[str, Any]) -> None:
        """Send the answers to one request, and then a message that says that it is done or has failed."""
        try:
            for answer, content in getattr(self, f"_{request['do']}")(request):
                self._parent.send(answer, content)
                _start_countdown()
        except (DataError, MemoryError, OSError) as error:
            kind = next(kind for kind in (DataError, MemoryError, OSError) if isinstance(error, kind))
            reason = getattr(error, "strerror", None) or str(error)
            self._parent.send({"wants": "end", "error": kind.__name__, "reason": reason})
        except Exception:  # noqa: BLE001 - the edge of the program: the parent raises it
            self._parent.send({"wants": "end", "error": "fault", "reason": traceback.format_exc()})
        else:
            self._parent.send({"wants": "end"})

    def _holds_images(self, request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bytes]]:
        yield {"value": holds_images(self._ranges(request["source"], request["name"]))}, b""

    def _column_names(self, request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bytes]]:
        yield {"value": read_column_names(self._ranges(request["source"], request["name"]))}, b""

    def _cells(self, request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bytes]]:
        for cells in read_cells(self._ranges(request["source"], request["name"]), request["name"]):
            yield {"value": cells}, b""

    def _list(self, request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bytes]]:
        entries = self._files(request["source"]).list_file(request["name"], request["split"])
        while rows := [_as_row(entry) for entry in islice(entries, ROWS_A_MESSAGE)]:
            yield {"value": rows}, b""

    def _read(self, request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bytes]]:
        yield {}, self._files(request["source"]).read(request["name"], request["row"])

    def _files(self, source: int) -> ParquetFiles:
        files = self._sources.pop(source, None) or ParquetFiles(lambda name: self._ranges(source, name))
        self._sources[source] = files
        if len(self._sources) > KEPT_SOURCES:
            self._sources.popitem(last=False)
        return files

    def _ranges(self, source: int, name: str) -> AskedRanges:
        return AskedRanges(self._parent, source, name)


def serve() -> None:
    """Answer requests until the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to both; the parent decides
    parent = Pipe(sys.stdin.buffer, os.fdopen(os.dup(1), "wb"))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a library prints must not come between messages
    pa.set_cpu_count(1)
    _limit_memory()
    server = Server(parent)
    with suppress(EOFError):
        parent.send({"wants": "end"})
        while True:
            request, _ = parent.receive()
            _start_countdown()
            server.answer(request)
            faulthandler.cancel_dump_traceback_later()


def _start_countdown() -> None:
    """End this process after MOST_SECONDS, even if it is inside of its parser by then."""
    faulthandler.dump_traceback_later(MOST_SECONDS, exit=True)


def _limit_memory() -> None:
    with suppress(ImportError, ValueError, OSError):  # Windows has none, and a lower limit stays
        import resource

        most = psutil.Process().memory_info().vms + MOST_MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _as_row(entry: ListedFile | SetAside) -> dict[str, Any]:
    if isinstance(entry, SetAside):
        return {"path": entry.path, "reason": entry.reason}
    fields = ("path", "label", "split", "group", "further")
    return {field: getattr(entry, field) for field in fields}
