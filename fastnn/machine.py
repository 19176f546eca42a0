"""The machine: its processor, cores and memory, and the threads and packages of this process.

At first it imports the standard library only, for the benchmarks: they settle how many threads
there are before NumPy, which `fastnn` itself imports, starts its own.
"""

import contextlib
import functools
import importlib.metadata
import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

#: What tells libraries how many threads to use.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
#: The vector instructions that matter here, by LLVM's names.
_VECTORS = ("avx", "avx2", "fma", "avx512f", "neon")
#: LLVM's features of each level of 64-bit x86 processors beyond those of the level before: the
#: x86-64 psABI, "Micro-Architecture Levels".
_LEVELS = {
    "x86-64-v2": "cx16 popcnt sahf sse3 sse4.1 sse4.2 ssse3",
    "x86-64-v3": "avx avx2 bmi bmi2 f16c fma lzcnt movbe",
    "x86-64-v4": "avx512bw avx512cd avx512dq avx512f avx512vl",
}
_PROCESSOR_FACTS, _MEMORY_FACTS = Path("/proc/cpuinfo"), Path("/proc/meminfo")  # on Linux
_GROUP = Path("/sys/fs/cgroup")


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        lines = _PROCESSOR_FACTS.read_text("utf-8", "replace").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration, IndexError):
        return platform.processor() or platform.machine()


def compiled_for() -> str:
    """LLVM's name of the processor, for which kernels are compiled."""
    from llvmlite import binding

    name: str = binding.get_host_cpu_name()
    return name


def vectors() -> list[str]:
    """The vector instructions that the processor has, of those that matter here."""
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    return [name for name in _VECTORS if features.get(name)]


def levels() -> dict[str, str]:
    """The levels of processors that this one's code may be compiled for, the most general first.

    Each with the features by which numba knows it: a value for ``NUMBA_CPU_FEATURES``.
    """
    from llvmlite import binding

    here = binding.get_host_cpu_features()
    found, needed = {"generic": ""}, list[str]()
    for level, more in _LEVELS.items():
        needed += more.split()
        if all(here.get(feature) for feature in needed):
            found[level] = ",".join(f"+{feature}" for feature in needed)
    return found


def cores() -> list[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


@functools.cache
def quota() -> float | None:
    """How many cores' time this process may take, where a control group sets a limit.

    A container that may take two cores' time still sees all cores of its machine. See "CPU" in
    Linux' documentation of control groups, versions 2 and 1.
    """
    with contextlib.suppress(OSError, ValueError):
        time, period = (_GROUP / "cpu.max").read_text(encoding="ascii").split()
        return None if time == "max" else int(time) / int(period)
    with contextlib.suppress(OSError, ValueError):
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        numbers = [int((_GROUP / "cpu" / name).read_text(encoding="ascii")) for name in names]
        return None if numbers[0] < 0 else numbers[0] / numbers[1]
    return None


def available_memory() -> int | None:
    """Bytes that may be filled, where the system tells.

    The system's caches count as available: it drops them when their memory is asked for.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in _MEMORY_FACTS.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def resident() -> int:
    """Bytes of memory that this process holds; only Linux tells."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def thread_pools() -> list[dict[str, Any]] | None:
    """The libraries with threads that are loaded, as threadpoolctl tells; None without it."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return None
    pools: list[dict[str, Any]] = threadpool_info()
    return pools


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of Python, of fastnn, and of those *packages* that are installed."""
    from fastnn._version import __version__

    found = {"python": platform.python_version(), "fastnn": __version__}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def jit_is_on() -> bool:
    """Whether numba compiles: not so with ``NUMBA_DISABLE_JIT=1``."""
    import numba

    return not numba.config.DISABLE_JIT
