"""How the cost grows with samples, epochs, depth and width: per-sample SGD."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from bench.problems import CURVE, Problem, normal_numbers

_DEEP = Problem((8, 32, 1), normal_numbers, n=1000, epochs=2, rate=0.001, activation="tanh")
#: Samples of a problem that is too large to be checked whole.
CHECKED = 500


@dataclass(frozen=True)
class Step:
    """One size of what grows."""

    what: str
    amount: int
    problem: Problem
    quick: bool = False

    def to_check(self) -> Problem:
        """The same network with few samples and epochs, for the comparison before the timing."""
        problem = self.problem
        return replace(problem, n=min(problem.n, CHECKED), epochs=min(problem.epochs, 2))


def _steps() -> Iterator[Step]:
    for n in (100, 1000, 10_000, 100_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000):
        yield Step("samples", n, replace(CURVE, n=n, epochs=1), quick=n <= 1000)
    for epochs in (1, 10, 100, 200, 500, 1000):
        yield Step("epochs", epochs, replace(CURVE, epochs=epochs))
    for depth in (1, 2, 4, 8, 16, 32):
        sizes = (8, *[32] * depth, 1)
        yield Step("depth", depth, replace(_DEEP, sizes=sizes))
    for width in (8, 32, 128, 512, 2048, 8192):
        yield Step("width", width, replace(CURVE, sizes=(1, width, 1), epochs=5))


STEPS = tuple(_steps())
#: Nanoseconds per weight, and per layer, of a sample, roughly: to leave out what would take long.
COSTS = {"numba": (1, 50), "numpy": (5, 30_000), "python": (400, 10_000)}
#: Seconds that a run may take: this is about the shape of the line, not about its far end.
PATIENCE = {"numba": 60, "numpy": 1.5, "python": 1.5}


def affordable(step: Step, engine: str) -> bool:
    """Whether *engine* is asked for this size."""
    per_weight, per_layer = COSTS[engine]
    sizes = step.problem.sizes
    weights = sum(a * b for a, b in pairwise(sizes))
    nanoseconds = per_weight * weights + per_layer * (len(sizes) - 1)
    return step.problem.n * step.problem.epochs * nanoseconds * 1e-9 <= PATIENCE[engine]
