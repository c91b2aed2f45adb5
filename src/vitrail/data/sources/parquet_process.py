"""Has Parquet files of users parsed in another process (`parquet_child.py`), which a damaged file may crash or stop.

The process starts when the first such file is opened, which takes half a second, and ends with this one. After a crash
the next request starts another.
"""

import atexit
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, Any, cast

from vitrail.core.errors import DataError, MachineError, VitrailError
from vitrail.data.sources.parquet_pipe import Pipe
from vitrail.data.sources.ranges import Ranges

MOST_BYTES = 4 << 30
MOST_SECONDS = 60.0
PIPE_BYTES = 1 << 20  # on Linux, where 64 KB are the default and most images are larger
HANG = {1, -getattr(signal, "SIGALRM", 0)}  # exit statuses of a process that took too long; see `Countdown`

Opened = Callable[[str], Ranges]


class ParquetCrashError(OSError):
    """The file has ended the process that parsed it."""


class ParquetProcess:
    """The process, and the connection to it. Several threads may call it; each waits for the others."""

    def __init__(self, most_bytes: int = MOST_BYTES, most_seconds: float = MOST_SECONDS) -> None:
        """Nothing is started yet; `serve` of `parquet_child.py` explains the limits."""
        self._limits = most_bytes, most_seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Pipe | None = None

    def call(self, request: Mapping[str, Any], opened: Opened) -> list[tuple[dict[str, Any], bytes]]:
        """All answers to a request, in order.

        Args:
            request: what to do (`do`, a method of `Server` in `parquet_child.py`), and with which file of which source.
            opened: opens a file by its name, for the ranges of bytes that the process asks for.

        Raises:
            ParquetCrashError: the file has crashed or stopped the process.
            OSError: as the parser says, or the file cannot be read.
            DataError: the file is over a limit.
            MachineError: the process cannot be started.
            VitrailError: as `opened` and the ranges of bytes raise it.
        """
        with self._lock:
            if self._process is not None and self._process.poll() is not None:  # somebody else ended it
                self._stop()
            try:
                return _converse(self._pipe or self._start(), request, opened)
            except EOFError as error:
                raise ParquetCrashError(0, self._say_end(self._stop())) from error
            except (VitrailError, OSError):
                raise  # in an answer, after which the process waits for the next request
            except BaseException:  # an interruption leaves messages unread
                self._stop()
                raise

    def _start(self) -> Pipe:
        # Not by `-m`, which would import files of the current folder first; not by multiprocessing, which would run a
        # script of the user a second time.
        code = (
            f"import sys; sys.path[:] = {sys.path!r}; "
            f"from vitrail.data.sources.parquet_child import serve; serve{self._limits}"
        )
        memory = {"ARROW_DEFAULT_MEMORY_POOL": "system"}  # others reserve address space that the limit would count
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this Python, and a module of this package
                [sys.executable, "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pipesize=PIPE_BYTES,
                env=os.environ | memory,
            )
            self._pipe = Pipe(cast(IO[bytes], self._process.stdout), cast(IO[bytes], self._process.stdin))
            atexit.register(self._stop)
            self._pipe.receive()
        except (OSError, EOFError) as error:
            reason = error if isinstance(error, OSError) else f"it ended with status {self._stop()}"
            raise MachineError(
                f"The process that parses Parquet files could not be started ({reason}). Raise the limits on memory "
                "and processes (`ulimit -a` shows them), then run the same command again."
            ) from error
        return self._pipe

    def _stop(self) -> int:
        """End the process; its exit status."""
        process, pipe, self._process, self._pipe = self._process, self._pipe, None, None
        atexit.unregister(self._stop)
        if process is None or pipe is None:
            return 0
        with suppress(OSError):  # what was to be sent no longer matters
            pipe.close()
        try:
            return process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def _say_end(self, status: int) -> str:
        reason = f"took longer than {self._limits[1]:g} s" if status in HANG else f"crashed (exit status {status})"
        return f"the process that parses it {reason}, so it seems damaged: write it again, or fetch it again"


def _converse(pipe: Pipe, request: Mapping[str, Any], opened: Opened) -> list[tuple[dict[str, Any], bytes]]:
    failure: VitrailError | None = None
    answers = []
    pipe.send(request)
    while True:
        message, content = pipe.receive()
        wanted = message.get("wants")
        if wanted is None:
            answers.append((message, content))
        elif wanted == "end":
            if failure is not None:  # says more than what the parser made of it
                raise failure
            if "error" in message:
                raise _as_error(message["error"], message["reason"])
            return answers
        else:
            try:
                ranges = opened(message["name"])
                if wanted == "size":
                    pipe.send({"size": ranges.size, "block": ranges.block})
                else:
                    pipe.send({}, ranges.read_at(message["start"], message["length"]))
            except OSError as error:
                pipe.send({"failed": error.strerror or str(error)})
            except VitrailError as error:
                failure = error
                pipe.send({"failed": str(error)})


def _as_error(kind: str, reason: str) -> Exception:
    if kind == "OSError":
        return OSError(0, reason)
    return DataError(reason) if kind == "DataError" else RuntimeError(reason)


PROCESS = ParquetProcess()
