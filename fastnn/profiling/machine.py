"""The machine: what it is, and what it can do at most.

The ceilings make a roofline: work that needs ``arithmetic`` operations and moves ``moved`` bytes
cannot be done faster than the peak of the arithmetic allows, nor than the memory that holds
the data allows.
"""

import bisect
import contextlib
import datetime
import math
import os
import platform
import statistics
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
import scipy

from fastnn._version import __version__
from fastnn.activations import ACTIVATIONS
from fastnn.profiling.measuring import PROCESSOR_TIME, Contestant, measure, pulse
from fastnn.profiling.operations import Work, zeros

#: The sizes of vectors, in bytes, for which memory is measured.
_KIB = 1024
_MEMORY_FACTS = Path("/proc/meminfo")  # on Linux
HELD = tuple(4**k * 4 * _KIB for k in range(8))  # 4 KiB to 64 MiB
#: Among so many cores the quickest is looked for.
_MOST_CORES = 16
#: Numbers read or changed in one call.
_NUMBERS_PER_CALL = 1 << 18
_IN_CACHE = 1024


def jit_is_on() -> bool:
    """Whether numba compiles: not so with ``NUMBA_DISABLE_JIT=1``."""
    return not numba.config.DISABLE_JIT


def one_thread() -> AbstractContextManager[object]:
    """Let BLAS use one thread inside the ``with`` block, if threadpoolctl is installed."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return contextlib.nullcontext()
    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Stay on one core inside the ``with`` block, that which is the quickest just now.

    Other programs, and on a virtual machine other machines, slow some cores down more than
    others. Where the system does not let a thread stay on a core (macOS, Windows), nothing happens.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    try:
        pulses = {}
        for core in sorted(before)[:_MOST_CORES]:
            os.sched_setaffinity(0, [core])
            pulses[core] = statistics.median(pulse() for _ in range(50))
        os.sched_setaffinity(0, [min(pulses, key=pulses.__getitem__)])
        yield
    finally:
        os.sched_setaffinity(0, before)


def blas_threads() -> int | None:
    """The most threads that a BLAS in this process uses; None if that cannot be told."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return None
    return max((pool["num_threads"] for pool in threadpool_info()), default=1)


def facts() -> dict[str, Any]:
    """What a reader must know to judge the times."""
    from fastnn.demos.lesson import machine

    return {
        "cpu": machine(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "scipy": scipy.__version__,
        "fastnn": __version__,
        "blas_threads": blas_threads(),
        "dtype": "float64",
        "clock": "processor time" if PROCESSOR_TIME else "wall time",
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def facts_as_text(machine: dict[str, Any]) -> str:
    """The facts in two lines."""
    threads = machine["blas_threads"]
    said = (
        "one thread"
        if threads == 1
        else "BLAS on as many threads as it likes (pip install threadpoolctl, and it gets one)"
        if threads is None
        else f"BLAS on {threads} threads"
    )
    return (
        f"{machine['cpu']}, {machine['cores']} cores; {said}; {machine['dtype']}; "
        f"{machine['date'][:10]}\n"
        f"Python {machine['python']}, NumPy {machine['numpy']}, numba {machine['numba']}, "
        f"fastnn {machine['fastnn']}, {machine['system']}"
    )


def available_memory() -> int | None:
    """Bytes that may be filled, where the system tells.

    The system's caches count as available: it drops them when their memory is asked for.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in _MEMORY_FACTS.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * _KIB
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


@dataclass(frozen=True)
class Ceilings:
    """What the machine can do at most, measured on one thread.

    Attributes
    ----------
    peak : float
        Additions and multiplications per second.
    activation : float
        Seconds per sigmoid.
    held : tuple of int
        Bytes of the vectors that the memory was measured with.
    read, changed : tuple of float
        Bytes per second, for each of them: read; and read and written back, counted twice.
    """

    peak: float
    activation: float
    held: tuple[int, ...]
    read: tuple[float, ...]
    changed: tuple[float, ...]

    def operations(self, work: Work) -> float:
        """The work in additions and multiplications; a sigmoid counts as many as it costs."""
        return work.arithmetic + work.activations * self.activation * self.peak

    def memory_seconds(self, work: Work) -> float:
        """The least that moving the data takes."""
        reads = (work.moved - work.changed) / self._speed(self.read, work.held)
        return reads + work.changed / self._speed(self.changed, work.held)

    def nearness(self, work: Work, seconds: float) -> "Nearness":
        """How near *seconds* for *work* are to the ceilings."""
        operations = self.operations(work)
        arithmetic, memory = operations / self.peak, self.memory_seconds(work)
        return Nearness(
            share=max(arithmetic, memory) / seconds,
            limit="memory" if memory > arithmetic else "arithmetic",
            intensity=operations / work.moved,
            speed=operations / seconds,
            roof=operations / max(arithmetic, memory),
        )

    def _speed(self, speeds: tuple[float, ...], held: int) -> float:
        """Bytes per second for *held* bytes, between the measured ones on logarithmic scales."""
        if held <= self.held[0]:
            return speeds[0]
        if held >= self.held[-1]:
            return speeds[-1]
        k = bisect.bisect_right(self.held, held)
        part = math.log(held / self.held[k - 1]) / math.log(self.held[k] / self.held[k - 1])
        return float(speeds[k - 1] * (speeds[k] / speeds[k - 1]) ** part)

    def as_text(self) -> str:
        """The ceilings in a few lines."""
        lines = [
            f"Arithmetic: {self.peak / 1e9:.1f} billion multiplications and additions per second; "
            f"{1e-9 / self.activation:.2f} billion sigmoids, so one costs as much as "
            f"{self.activation * self.peak:.0f} of them.",
            "Memory, GB/s read (changed in place): "
            + ", ".join(
                f"{size_of(held)} {read / 1e9:.0f} ({changed / 1e9:.0f})"
                for held, read, changed in zip(self.held, self.read, self.changed, strict=True)
            )
            + ".",
        ]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "operations_per_second": self.peak,
            "sigmoid_seconds": self.activation,
            "memory": [
                {"bytes": held, "read_bytes_per_second": read, "changed_bytes_per_second": changed}
                for held, read, changed in zip(self.held, self.read, self.changed, strict=True)
            ],
        }


@dataclass(frozen=True)
class Nearness:
    """How near a measured time is to the ceilings.

    Attributes
    ----------
    share : float
        The least time that the ceilings allow, as a part of the time measured.
    limit : {"arithmetic", "memory"}
        Which ceiling is the lower one.
    intensity : float
        Operations per byte moved.
    speed, roof : float
        Operations per second: measured, and at the ceiling.
    """

    share: float
    limit: str
    intensity: float
    speed: float
    roof: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def size_of(held: float) -> str:
    """Bytes, for reading."""
    return f"{held / _KIB**2:.0f} MiB" if held >= _KIB**2 else f"{held / _KIB:.0f} KiB"


def activation_seconds(name: str, seconds: float) -> float:
    """Seconds per value of an activation, compiled, in a vector loop."""
    from fastnn.kernels.ceilings import make_activate_all

    run = make_activate_all(ACTIVATIONS[name].code)
    values, out = zeros(_IN_CACHE), zeros(_IN_CACHE)
    values[:] = np.linspace(-4, 4, _IN_CACHE)
    return _best(lambda: run(values, out, 16), seconds) / (16 * _IN_CACHE)


def measure_ceilings(seconds: float) -> Ceilings:
    """Measure the ceilings in about *seconds*."""
    from fastnn.kernels import ceilings

    share = seconds / (2 * len(HELD) + 2)
    few = zeros(_IN_CACHE)
    rounds = 64
    took = _best(lambda: ceilings.multiply_add(few, 0.999, 0.001, rounds), share)
    peak = 2 * ceilings.CHAIN * rounds * _IN_CACHE / took
    activation = activation_seconds("sigmoid", share)
    read, changed = [], []
    for held in HELD:
        values = zeros(held // 8)
        times = max(1, _NUMBERS_PER_CALL // len(values))
        read.append(held * times / _best(_reader(values, times), share))
        changed.append(2 * held * times / _best(_changer(values, times), share))
    return Ceilings(peak, activation, HELD, _never_rising(read), _never_rising(changed))


def _never_rising(speeds: list[float]) -> tuple[float, ...]:
    """Smaller vectors cannot be slower: where they seem so, starting the loop is what shows."""
    return tuple(max(speeds[k:]) for k in range(len(speeds)))


def _reader(values: np.ndarray, times: int) -> Callable[[], object]:
    from fastnn.kernels.ceilings import read

    return lambda: read(values, times)


def _changer(values: np.ndarray, times: int) -> Callable[[], object]:
    from fastnn.kernels.ceilings import update

    return lambda: update(values, 1.0, times)


def _best(run: Callable[[], object], seconds: float) -> float:
    """Seconds of the fastest round: a ceiling is what the machine can do, not what it did."""
    return measure([Contestant(run)], seconds)[0].best


@contextlib.contextmanager
def measuring() -> Iterator[dict[str, Any]]:
    """One thread on one core inside the ``with`` block; gives the facts as they are there."""
    with one_thread(), one_core():
        yield facts()
