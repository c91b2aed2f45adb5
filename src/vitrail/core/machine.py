"""What this process may use of the machine: cores, memory, folders. The only file that reads environment variables."""

import os
import platform
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from vitrail.core.errors import UsageError

CGROUP_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
CGROUP_MEMORY_MAX = Path("/sys/fs/cgroup/memory.max")
EXPORTS = "exports"  # in the cache: model folders of runs that are served
CACHE_VERSION = "v1"  # bump with any change of what a file in the cache means: an old file is never read as a new one
# Reads of small files mostly wait: with four threads a core a cold disk gives twice as many as with one. No disk serves
# more than DISK_THREADS at once much faster, and many threads that wait for the interpreter hinder each other.
DISK_THREADS_A_CORE, DISK_THREADS = 4, 32
REPORTED_PACKAGES = ("numpy", "openvino", "pillow", "pyarrow", "safetensors", "scikit-learn", "scipy", "torch")


@dataclass(frozen=True, kw_only=True, slots=True)
class Threads:
    """How many threads decode images and how many compute, for one pass."""

    decode: int
    compute: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What a result was measured on. `memory` is in bytes and is what the process may use."""

    cpu: str
    cores: int
    memory: int
    gpu: str | None
    os: str
    versions: dict[str, str]


def usable_cores() -> int:
    """Cores this process may use: its affinity, further limited by the cgroup's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    quota = _first_line(CGROUP_CPU_MAX).split()
    if len(quota) == 2 and quota[0] != "max":
        cores = min(cores, max(1, int(quota[0]) // int(quota[1])))
    return cores


def usable_memory() -> int:
    """Bytes of memory this process may use: what the machine has, further limited by the cgroup."""
    physical = int(psutil.virtual_memory().total)
    limit = _first_line(CGROUP_MEMORY_MAX)
    return min(physical, int(limit)) if limit.isdigit() else physical


def share_threads(cores: int) -> Threads:
    """Split the cores of one pass between decoding and compute.

    The forward pass takes every core. Decoding runs at the same time, on as many threads: they wait on a bounded queue
    whenever the forward pass has enough to do, so the cores are never idle and never fought over for long.
    """
    return Threads(decode=cores, compute=cores)


def count_disk_threads() -> int:
    """How many threads read files: as many as keep the disk busy, and at least one a core, for large ones."""
    cores = usable_cores()
    return max(cores, min(DISK_THREADS_A_CORE * cores, DISK_THREADS))


def let_waiting_threads_sleep() -> None:
    """Ask threads to sleep while they wait, unless the user has said otherwise; before numpy and torch are imported.

    By default OpenMP's threads (torch, scikit-learn) and OpenBLAS's (numpy, scipy) spin, which takes the cores from
    every other process and costs a run beside others minutes. OpenVINO's need no setting: a stream has one thread,
    which waits for nobody.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # 2**20 cycles are 0.4 ms; OpenBLAS's 2**26 outlast the Python code between two products, and 2**4 end within a loop
    # of small products, whose threads must then be woken for each.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "20")


def return_freed_memory() -> None:
    """Give freed memory back to the system, which glibc otherwise keeps for the thread that used it."""
    import ctypes

    with suppress(OSError, AttributeError, TypeError):  # other systems lack this function and need none
        ctypes.CDLL(None).malloc_trim(0)


def describe_machine() -> Machine:
    """The machine as the results name it. Imports no heavy package: versions come from metadata."""
    return Machine(
        cpu=_cpu_name(),
        cores=usable_cores(),
        memory=usable_memory(),
        gpu=_gpu_name(),
        os=f"{platform.system()} {platform.release()}",
        versions={"python": platform.python_version()} | _versions(REPORTED_PACKAGES),
    )


def cache_root() -> Path:
    """The folder that the caches of all versions share: $VITRAIL_CACHE, else the platform's place."""
    given = os.environ.get("VITRAIL_CACHE")
    if given:
        return expand_home(given)
    import platformdirs

    return Path(platformdirs.user_cache_dir("vitrail"))


def cache_folder() -> Path:
    """Where things are kept that can be computed or fetched again, in the formats of this version."""
    return cache_root() / CACHE_VERSION


def config_folder() -> Path:
    """Where weights are locked and openings counted; never pruned: $VITRAIL_CONFIG, else the platform's place."""
    given = os.environ.get("VITRAIL_CONFIG")
    if given:
        return expand_home(given)
    import platformdirs

    return Path(platformdirs.user_config_dir("vitrail"))


def service_key() -> str | None:
    """$VITRAIL_API_KEY, the API key of `vitrail serve`; an empty one is kept, since it is a mistake."""
    return os.environ.get("VITRAIL_API_KEY")


def expand_home(path: str | Path) -> Path:
    """The path with the folder of a person in place of `~` or `~name`.

    Raises:
        UsageError: nobody has that name here.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UsageError(f"There is no home folder for {path}: write the path in full.") from error


def peak_rss_bytes() -> int:
    """The largest resident memory of this process so far, in bytes; on a platform that keeps no peak, that of now."""
    try:
        import resource
    except ImportError:  # Windows lacks this module, but psutil has the peak there
        memory = psutil.Process().memory_info()
        return int(getattr(memory, "peak_wset", memory.rss))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def user_seconds() -> float:
    """Seconds of CPU this process has spent in user mode, over all threads."""
    return float(psutil.Process().cpu_times().user)


def _first_line(path: Path) -> str:
    try:
        return path.read_text().splitlines()[0]
    except (OSError, IndexError):
        return ""


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _gpu_name() -> str | None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return str(torch.cuda.get_device_name(0))
    return None


def _versions(packages: Iterable[str]) -> dict[str, str]:
    versions = {}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
