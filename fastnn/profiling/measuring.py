"""Timing, by way of ``timeit``: rounds of all contestants in turn, medians, estimates."""

import importlib.util
import itertools
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from timeit import Timer

#: Contestants are timed by this process's processor time, which another program that takes the
#: processor away does not lengthen. For that they must run on one thread, and the clock be fine.
PROCESSOR_TIME = (
    time.get_clock_info("process_time").resolution <= 1e-6
    and importlib.util.find_spec("threadpoolctl") is not None
)
CLOCK = time.process_time if PROCESSOR_TIME else time.perf_counter

#: A round repeats the work until it lasts this long, so that the clock's steps do not show.
ROUND_SECONDS = 0.002
#: Rounds per point. Each contestant goes on until its share of the time is used up.
FEWEST_ROUNDS, MOST_ROUNDS = 5, 101
#: A smaller piece of the work that lasts this long is enough to tell how long all of it takes.
PILOT_SECONDS = 0.02


@dataclass(frozen=True)
class Timing:
    """Seconds for doing the work once, over several rounds.

    Attributes
    ----------
    median : float
    lower, upper : float
        The quartiles: half of the rounds lie between them.
    best : float
    rounds : int
    """

    median: float
    lower: float
    upper: float
    best: float
    rounds: int

    @property
    def spread(self) -> float:
        """The distance between the quartiles, as a part of the median."""
        return (self.upper - self.lower) / self.median


def summarise(seconds: Sequence[float]) -> Timing:
    """The timing from the seconds of at least two rounds."""
    lower, median, upper = statistics.quantiles(seconds, n=4, method="inclusive")
    return Timing(median, lower, upper, min(seconds), len(seconds))


class Contestant:
    """Work to be timed: *run* does it once, *reset* is called before each round, untimed."""

    def __init__(self, run: Callable[[], object], reset: Callable[[], object] = lambda: None):
        self._timer = Timer(run, reset, CLOCK)
        self._number = 1
        self.seconds: list[float] = []

    def calibrate(self) -> None:
        """Find out how many repetitions make a round. It warms up as well."""
        while True:
            took = self._timer.timeit(self._number)
            if took >= ROUND_SECONDS or self._number >= 1 << 24:
                if self._number == 1:  # it was warm already: this was the first round
                    self.seconds.append(took)
                return
            wanted = self._number * ROUND_SECONDS / max(took, 1e-9)
            self._number = math.ceil(min(1.1 * wanted, 16 * self._number))

    def round(self) -> None:
        """Time one round."""
        self.seconds.append(self._timer.timeit(self._number) / self._number)


def measure(contestants: Mapping[str, Contestant], seconds: float) -> dict[str, Timing]:
    """Time the contestants in turn, round by round, so that all meet the same machine.

    Parameters
    ----------
    contestants : mapping of name to Contestant
    seconds : float
        For each contestant; the fewest rounds are run even if they take longer.
    """
    used = dict.fromkeys(contestants, 0.0)
    for contestant in contestants.values():
        contestant.calibrate()
    waiting = dict(contestants)
    while waiting:
        for name, contestant in list(waiting.items()):
            started = time.perf_counter()
            contestant.round()
            used[name] += time.perf_counter() - started
            rounds = len(contestant.seconds)
            if rounds >= MOST_ROUNDS or (rounds >= FEWEST_ROUNDS and used[name] >= seconds):
                del waiting[name]
    return {name: summarise(contestant.seconds) for name, contestant in contestants.items()}


def time_once(run: Callable[[], object]) -> float:
    """Seconds of a single run."""
    return Timer(run, timer=CLOCK).timeit(1)


def estimate(
    prepare: Callable[[int], Callable[[], object]], amount: int, compiles: bool
) -> tuple[float, int]:
    """About how many seconds *amount* of the work takes, and the amount that was tried.

    *prepare* makes ready some of the work and returns what does it. Ever more is tried until
    it lasts long enough to tell. What *compiles* is run once before.
    """
    tried = min(4 if compiles else 1, amount)
    while True:
        run = prepare(tried)
        if compiles:
            run()
        took = time_once(run)
        if took >= PILOT_SECONDS or tried >= amount:
            return took * amount / tried, tried
        tried = min(amount, 8 * tried)


def geometric_crossings(
    sizes: Sequence[float], ratios: Sequence[float], tolerance: float = 0.0
) -> list[tuple[float, bool]]:
    """Where a ratio passes 1: the sizes, and whether it rises there.

    Between two sizes the ratio is taken to be a straight line on logarithmic scales. A ratio
    within *tolerance* of 1 is a tie and decides nothing.
    """
    crossings = []
    decided = [
        (size, math.log(ratio))
        for size, ratio in zip(sizes, ratios, strict=True)
        if abs(ratio - 1) > tolerance
    ]
    for (size, log), (next_size, next_log) in itertools.pairwise(decided):
        if (log < 0) != (next_log < 0):
            part = -log / (next_log - log)
            crossings.append((size * (next_size / size) ** part, next_log > 0))
    return crossings


def duration(seconds: float) -> str:
    """Seconds with three digits and the unit that suits: ``4.13 µs``."""
    for size, unit in ((1e-6, "ns"), (1e-3, "µs"), (1.0, "ms")):
        if seconds < size:
            return f"{_three_digits(seconds / size * 1e3)} {unit}"
    if seconds < 120:
        return f"{_three_digits(seconds)} s"
    if seconds < 7200:
        return f"{_three_digits(seconds / 60)} min"
    if seconds < 200_000:
        return f"{_three_digits(seconds / 3600)} h"
    return f"{_three_digits(seconds / 86400)} days"


def times(ratio: float) -> str:
    """How many times: ``0.53``, ``4.1``, ``1,230``."""
    return f"{ratio:.2f}" if ratio < 3 else f"{ratio:.1f}" if ratio < 20 else f"{ratio:,.0f}"


def _three_digits(number: float) -> str:
    digits = 2 if number < 9.995 else 1 if number < 99.95 else 0
    return f"{number:,.{digits}f}"
