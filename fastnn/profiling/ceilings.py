"""What the machine can do at most.

The ceilings make a roofline: work that needs ``arithmetic`` operations and moves ``moved`` bytes
cannot be done faster than the peak of the arithmetic allows, nor than the memory that holds
the data allows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from fastnn.activations import ACTIVATIONS
from fastnn.memory import aligned_copy
from fastnn.profiling.measuring import Contestant, measure
from fastnn.profiling.operations import Work
from fastnn.profiling.wording import size_of

#: The sizes of vectors, in bytes, for which memory is measured: 4 KiB to 64 MiB.
HELD = tuple(4**k * 4096 for k in range(8))
#: Numbers read or changed in one call.
_NUMBERS_PER_CALL = 1 << 18
_IN_CACHE = 1024


@dataclass(frozen=True)
class Ceilings:
    """What the machine can do at most, measured on one thread."""

    #: Additions and multiplications per second.
    peak: float
    #: Seconds per sigmoid.
    activation: float
    #: Bytes of the vectors that the memory was measured with.
    held: tuple[int, ...]
    #: Bytes per second, for each of them: read; and read and written back, counted twice.
    read: tuple[float, ...]
    changed: tuple[float, ...]

    def raised_by(self, other: Ceilings) -> Ceilings:
        """The higher of two measurements, for each ceiling."""
        return Ceilings(
            max(self.peak, other.peak),
            min(self.activation, other.activation),
            self.held,
            tuple(map(max, self.read, other.read)),
            tuple(map(max, self.changed, other.changed)),
        )

    def operations(self, work: Work) -> float:
        """The work in additions and multiplications; a sigmoid counts as many as it costs."""
        return work.arithmetic + work.activations * self.activation * self.peak

    def memory_seconds(self, work: Work) -> float:
        """The least that moving the data takes."""
        read, changed = (on_curve(work.held, self.held, y) for y in (self.read, self.changed))
        return (work.moved - work.changed) / read + work.changed / changed

    def nearness(self, work: Work, seconds: float) -> Nearness:
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

    def as_text(self) -> str:
        """The ceilings in a few lines."""
        memory = ", ".join(
            f"{size_of(held)} {read / 1e9:.0f} ({changed / 1e9:.0f})"
            for held, read, changed in zip(self.held, self.read, self.changed, strict=True)
        )
        return (
            f"Arithmetic: {self.peak / 1e9:.1f} billion multiplications and additions per second; "
            f"{1e-9 / self.activation:.2f} billion sigmoids, so one costs as much as "
            f"{self.activation * self.peak:.0f} of them.\n"
            f"Memory, GB/s read (changed in place): {memory}."
        )

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
    """How near a measured time is to the ceilings."""

    #: The least time that the ceilings allow, as a part of the time measured.
    share: float
    #: Which ceiling is the lower one: "arithmetic" or "memory".
    limit: str
    #: Operations per byte moved.
    intensity: float
    #: Operations per second: measured, and at the ceiling.
    speed: float
    roof: float


def on_curve(x: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    """y at x, by straight lines on logarithmic scales; outside that of the nearest point."""
    return float(np.exp(np.interp(np.log(x), np.log(xs), np.log(ys))))


def measure_ceilings(seconds: float) -> Ceilings:
    """Measure the ceilings in about *seconds*."""
    from fastnn.kernels import ceilings

    share = seconds / (2 * len(HELD) + 2)
    few, rounds = aligned_copy(np.zeros(_IN_CACHE)), 64
    took = _best(lambda: ceilings.multiply_add(few, 0.999, 0.001, rounds), share)
    peak = 2 * ceilings.CHAIN * rounds * _IN_CACHE / took
    few[:] = np.linspace(-4, 4, _IN_CACHE)
    out = aligned_copy(few)
    sigmoids = ceilings.make_activate_all(ACTIVATIONS["sigmoid"].code)
    activation = _best(lambda: sigmoids(few, out, 16), share) / (16 * _IN_CACHE)
    read, changed = [], []
    for held in HELD:
        values = aligned_copy(np.zeros(held // 8))  # memory that is there, as the zeros' is not
        times = max(1, _NUMBERS_PER_CALL // len(values))
        read.append(held * times / _best(partial(ceilings.read, values, times), share))
        changing = partial(ceilings.update, values, 1.0, times)
        changed.append(2 * held * times / _best(changing, share))
    return Ceilings(peak, activation, HELD, _never_rising(read), _never_rising(changed))


def _never_rising(speeds: list[float]) -> tuple[float, ...]:
    """Smaller vectors cannot be slower: where they seem so, starting the loop is what shows."""
    return tuple(max(speeds[k:]) for k in range(len(speeds)))


def _best(run: Callable[[], object], seconds: float) -> float:
    """Seconds of the fastest round: a ceiling is what the machine can do, not what it did."""
    return measure([Contestant(run)], seconds)[0].best
