"""A thread that cannot start ends the work with an error: nothing waits for it."""

import subprocess
import sys
import textwrap
import threading
import time

import pytest

from vitrail.core import threads
from vitrail.core.errors import MachineError
from vitrail.core.threads import ThreadPool, require_room, start_thread


def refuse(*_: object) -> None:
    raise RuntimeError("can't start new thread")


def test_a_pool_does_its_work():
    with ThreadPool(3) as pool:
        assert list(pool.map(abs, range(-50, 0))) == list(range(50, 0, -1))


def test_a_refused_thread_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(MachineError, match=r"start no thread beyond .* Raise its limit"), ThreadPool(2) as pool:
        pool.submit(time.sleep, 0)
    with pytest.raises(MachineError, match="--threads 1"):
        start_thread(threading.Thread(target=print))


def test_a_pool_that_was_shut_down_says_so_as_before():
    pool = ThreadPool(1)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(time.sleep, 0)


def test_threads_that_have_no_room_are_refused(monkeypatch: pytest.MonkeyPatch):
    require_room(2)
    monkeypatch.setattr(threads, "STACK_BYTES", 1 << 50)
    with pytest.raises(MachineError):
        require_room(2)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on address space is Linux's")
def test_a_process_without_address_space_stops_with_an_error():
    """As with `ulimit -v`: Python's own Thread.start waits for ever if the thread finds no memory."""
    code = """
        import resource, time
        from vitrail.core.errors import MachineError
        from vitrail.core.threads import ThreadPool
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (150 << 20),) * 2)
        try:
            with ThreadPool(500) as pool:
                for _ in range(500):
                    pool.submit(time.sleep, 1)
        except MachineError as error:
            print("stopped:", error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("stopped: The system lets this process start no thread")
