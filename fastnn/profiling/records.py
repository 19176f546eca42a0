"""What was measured, piece by piece: what tables and pictures are made of."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastnn.profiling.ceilings import Nearness
from fastnn.profiling.measuring import Timing
from fastnn.profiling.wording import rounded

#: The engines' names for reading.
NAMES = {"python": "the Python loop", "numpy": "NumPy", "numba": "numba"}
#: Nearer than this, two medians are taken to be equal.
TIE = 0.05
#: The steps of training a layer.
PHASES = ("forward", "backward", "update")
#: What an epoch does beside them, of no layer; and what stands for all of it where a kernel goes
#: through each sample once.
FETCHING, LOSS = "fetching the samples", "loss"
ONE_SWEEP = "all in one sweep"


@dataclass(frozen=True)
class Row:
    """One engine at one size of one operation.

    Attributes
    ----------
    operation, engine : str
    size : int or str
        A network's own layers are a text: ``"20-64-1"``.
    samples : int or None
        How many samples the operation went over.
    timing : Timing
    nearness : Nearness or None
        How near it is to the machine's ceilings; for the compiled engine.
    estimated_from : int or None
        The samples that were timed, if not all were.
    """

    operation: str
    size: int | str
    engine: str
    samples: int | None
    timing: Timing
    nearness: Nearness | None = None
    estimated_from: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON and pandas."""
        timing = self.timing
        row = {
            "operation": self.operation,
            "size": self.size,
            "engine": self.engine,
            "samples": self.samples,
            "median_seconds": timing.median,
            "spread": timing.spread,
            "lower_quartile_seconds": timing.lower,
            "upper_quartile_seconds": timing.upper,
            "best_seconds": timing.best,
            "rounds": timing.rounds,
            "estimated_from_samples": self.estimated_from,
        }
        if self.nearness is not None:
            row["of_ceiling"] = self.nearness.share
            row["ceiling"] = self.nearness.limit
        return row


@dataclass(frozen=True)
class Crossover:
    """Where one engine overtakes another as the size grows."""

    operation: str
    slower: str
    #: The engine expected to win in the end.
    faster: str
    #: The smallest and the largest size that both were measured at.
    sizes: tuple[int, int]
    #: Sizes at which the lead changes, and whether *faster* is ahead from there on.
    changes: list[tuple[float, bool]]
    #: Whether *faster* is ahead at the smallest size; None if they tie throughout.
    first_ahead: bool | None

    @classmethod
    def between(
        cls, operation: str, slower: str, faster: str, timings: Mapping[str, Mapping[int, Timing]]
    ) -> Crossover | None:
        """From each engine's *timings* by size; None if no size was measured on both.

        Where half of the one's rounds and half of the other's overlap, neither is ahead.
        """
        slow, fast = timings.get(slower, {}), timings.get(faster, {})
        sizes = sorted(slow.keys() & fast.keys())
        if not sizes:
            return None
        ratios = [_lead(slow[size], fast[size]) for size in sizes]
        first_ahead = next((ratio > 1 for ratio in ratios if not _is_tie(ratio)), None)
        changes = geometric_crossings(sizes, ratios)
        return cls(operation, slower, faster, (sizes[0], sizes[-1]), changes, first_ahead)

    def as_text(self) -> str:
        """A sentence."""
        fast, slow = NAMES[self.faster], NAMES[self.slower]
        if self.first_ahead is None:
            return f"{fast} and {slow} take the same time."
        if not self.changes:
            low, high = self.sizes
            what = "faster than" if self.first_ahead else "slower than"
            where = f"all sizes measured, {low:,} to {high:,}" if low < high else f"size {low:,}"
            return f"{fast} is {what} {slow} at {where}."
        parts = [
            f"{'overtakes' if rises else 'falls behind'} at about size {rounded(size)}"
            for size, rises in self.changes
        ]
        start = "is ahead at first, " if self.first_ahead else ""
        return f"{fast} against {slow}: {start}{', '.join(parts)}."

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "operation": self.operation,
            "faster": self.faster,
            "slower": self.slower,
            "sizes": list(self.sizes),
            "ahead_at_first": self.first_ahead,
            "changes": [
                {"size": size, "overtakes": rises, "falls_behind": not rises}
                for size, rises in self.changes
            ],
        }


def geometric_crossings(
    sizes: Sequence[float], ratios: Sequence[float]
) -> list[tuple[float, bool]]:
    """Where a ratio passes 1: the sizes, and whether it rises there.

    Between two sizes the ratio is taken to be a straight line on logarithmic scales. A tie decides
    nothing.
    """
    crossings = []
    pairs = zip(sizes, ratios, strict=True)
    decided = [(size, math.log(ratio)) for size, ratio in pairs if not _is_tie(ratio)]
    for (size, log), (next_size, next_log) in itertools.pairwise(decided):
        if (log < 0) != (next_log < 0):
            part = -log / (next_log - log)
            crossings.append((size * (next_size / size) ** part, next_log > 0))
    return crossings


def _lead(slow: Timing, fast: Timing) -> float:
    """How many times as long the first takes; 1 if their quartiles overlap."""
    overlap = slow.lower <= fast.upper and fast.lower <= slow.upper
    return 1.0 if overlap else slow.median / fast.median


def _is_tie(ratio: float) -> bool:
    return abs(ratio - 1) <= TIE


@dataclass(frozen=True)
class Step:
    """One phase of one layer, for all samples of an epoch, on the compiled engine."""

    #: From 1; 0 for what is of no layer.
    layer: int
    #: "forward", "backward" or "update"; of no layer "fetching the samples", "loss", or for a
    #: kernel that does everything in one sweep "all in one sweep".
    phase: str
    seconds: float
    #: Of the epoch: timed alone, beside it. Together they are 1, within 0.15.
    share: float


@dataclass(frozen=True)
class Change:
    """What a change of the network or of its training does to an epoch's time."""

    #: The change, and what else it means.
    change: str
    effect: str
    #: For an epoch, on the compiled engine.
    seconds: float
    #: How many times as fast that is.
    gain: float
