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

KEPT_SOURCES = 4  # whose place in their files is remembered
ROWS_A_MESSAGE = 1024


class Countdown:
    """Ends this process after some seconds, even if it is inside of its parser by then."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        if hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which ends the process

    def start(self) -> None:
        """Begin anew."""
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, self._seconds)
        else:  # on Windows; it starts a thread, which takes 0.1 ms
            faulthandler.dump_traceback_later(self._seconds, exit=True)

    def cancel(self) -> None:
        """Let time pass."""
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        else:
            faulthandler.cancel_dump_traceback_later()


class AskedRanges:
    """A file whose bytes the parent reads."""

    def __init__(self, parent: Pipe, countdown: "Countdown", name: str) -> None:
        self._parent, self._countdown, self._name = parent, countdown, name
        facts, _ = self._ask({"wants": "size"})
        self.size: int = facts["size"]
        self.block: int = facts["block"]

    def read_at(self, start: int, length: int) -> bytes:
        """`length` bytes from `start`, fewer at the end; raises OSError."""
        return self._ask({"wants": "range", "start": start, "length": length})[1]

    def _ask(self, question: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        self._countdown.cancel()
        self._parent.send(question | {"name": self._name})
        answer, content = self._parent.receive()
        self._countdown.start()
        if "failed" in answer:
            raise OSError(0, answer["failed"])
        return answer, content


class Server:
    """Answers the parent's requests, one after the other."""

    def __init__(self, parent: Pipe, countdown: Countdown) -> None:
        self._parent, self._countdown = parent, countdown
        self._sources: OrderedDict[int, ParquetFiles] = OrderedDict()

    def answer(self, request: dict[str, Any]) -> None:
        """Send the answers to one request, and then a message that says that it is done or has failed."""
        try:
            for answer, content in getattr(self, f"_{request['do']}")(request):
                self._parent.send(answer, content)
                self._countdown.start()
        except DataError as error:
            self._parent.send({"wants": "end", "error": "DataError", "reason": str(error)})
        except OSError as error:
            self._parent.send({"wants": "end", "error": "OSError", "reason": error.strerror or str(error)})
        except MemoryError:
            reason = "it needs more memory than the process that parses it may take"
            self._parent.send({"wants": "end", "error": "OSError", "reason": reason})
        except Exception:  # noqa: BLE001 - the edge of the program: the parent raises it
            self._parent.send({"wants": "end", "error": "fault", "reason": traceback.format_exc()})
        else:
            self._parent.send({"wants": "end"})

    def _holds_images(self, request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bytes]]:
        yield {"value": holds_images(self._ranges(request["name"]))}, b""

    def _column_names(self, request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bytes]]:
        yield {"value": read_column_names(self._ranges(request["name"]))}, b""

    def _cells(self, request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bytes]]:
        for cells in read_cells(self._ranges(request["name"]), request["name"], request["required"]):
            yield {"value": cells}, b""

    def _list(self, request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bytes]]:
        entries = self._files(request["source"]).list_file(request["name"], request["split"])
        while rows := [_as_row(entry) for entry in islice(entries, ROWS_A_MESSAGE)]:
            yield {"value": rows}, b""

    def _read(self, request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bytes]]:
        yield {}, self._files(request["source"]).read(request["name"], request["row"])

    def _files(self, source: int) -> ParquetFiles:
        files = self._sources.pop(source, None) or ParquetFiles(self._ranges)
        self._sources[source] = files
        if len(self._sources) > KEPT_SOURCES:
            self._sources.popitem(last=False)
        return files

    def _ranges(self, name: str) -> AskedRanges:
        return AskedRanges(self._parent, self._countdown, name)


def serve(most_bytes: int, most_seconds: float) -> None:
    """Answer requests until the parent ends.

    Args:
        most_bytes: of address space, above what the process has at its start. Windows has no such limit.
        most_seconds: between two messages; waiting for the parent is not counted.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to both; the parent decides
    parent = Pipe(sys.stdin.buffer, os.fdopen(os.dup(1), "wb"))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a library prints must not come between messages
    pa.set_cpu_count(1)
    _limit_memory(most_bytes)
    countdown = Countdown(most_seconds)
    server = Server(parent, countdown)
    with suppress(EOFError):
        parent.send({"wants": "end"})
        while True:
            request, _ = parent.receive()
            countdown.start()
            server.answer(request)
            countdown.cancel()


def _limit_memory(most_bytes: int) -> None:
    with suppress(ImportError, ValueError, OSError):  # Windows has none, and a lower limit stays
        import resource

        most = psutil.Process().memory_info().vms + most_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _as_row(entry: ListedFile | SetAside) -> dict[str, Any]:
    if isinstance(entry, SetAside):
        return {"path": entry.path, "reason": entry.reason}
    fields = ("path", "label", "split", "group", "further")
    return {field: getattr(entry, field) for field in fields}
