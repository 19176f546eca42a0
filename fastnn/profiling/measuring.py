"""Timing, by way of ``timeit``: all contestants in turn, medians."""

import importlib.util
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from timeit import Timer
from typing import NamedTuple

#: Contestants are timed by this process's processor time, which another program that takes the
#: processor away does not lengthen. For that they must run on one thread, and the clock be fine.
PROCESSOR_TIME = (
    time.get_clock_info("process_time").resolution <= 1e-6
    and importlib.util.find_spec("threadpoolctl") is not None
)
CLOCK = time.process_time if PROCESSOR_TIME else time.perf_counter

#: A round repeats the work until it lasts this long, so that the clock's steps do not show.
ROUND_SECONDS = 0.002
#: A contestant's turn is one round, or as many as fit into this time.
TURN_SECONDS = 0.02
#: How often everybody's turn comes at least, and how many rounds are enough for everybody.
FEWEST_TURNS, ENOUGH_ROUNDS = 5, 101
#: A turn counts if a small loop before and after it took at most so many times what it took beside
#: the best of the contestant's turns.
QUIET = 1.15


@dataclass(frozen=True)
class Timing:
    """Seconds for doing the work once, over several rounds."""

    median: float
    #: The quartiles: half of the rounds lie between them.
    lower: float
    upper: float
    best: float
    rounds: int

    @property
    def spread(self) -> float:
        """The distance between the quartiles, as a part of the median."""
        return (self.upper - self.lower) / self.median

    def scaled(self, factor: float) -> "Timing":
        """For *factor* times as much work."""
        seconds = (self.median, self.lower, self.upper, self.best)
        median, lower, upper, best = (factor * each for each in seconds)
        return Timing(median, lower, upper, best, self.rounds)


def summarise(seconds: Sequence[float]) -> Timing:
    """The timing from the seconds of at least two rounds."""
    lower, median, upper = statistics.quantiles(seconds, n=4, method="inclusive")
    return Timing(median, lower, upper, min(seconds), len(seconds))


class Contestant:
    """Work to be timed: *run* does it *times* times; *reset*, before each round, is not timed."""

    def __init__(
        self, run: Callable[[], object], reset: Callable[[], object] = lambda: None, times: int = 1
    ):
        self._timer = Timer(run, reset, CLOCK)
        self._times = times
        self._number = 1
        self.round_seconds = 0.0

    def calibrate(self) -> None:
        """Find out how many repetitions make a round. It warms up as well.

        It is `Timer.autorange` for rounds a hundred times shorter: there are many contestants.
        """
        while (took := self._timer.timeit(self._number)) < ROUND_SECONDS:
            self._number *= 2
        self.round_seconds = took

    @property
    def estimate(self) -> float:
        """About how many seconds the work takes once, after `calibrate`."""
        return self.round_seconds / self._number / self._times

    def turn(self, least: float) -> list[float]:
        """Time a round, or as many as fit into *least* seconds: what doing the work once takes."""
        end = time.perf_counter() + least
        seconds: list[float] = []
        while not seconds or time.perf_counter() < end:
            took = self._timer.timeit(self._number)
            seconds.append(took / self._number / self._times)
        return seconds


class Turn(NamedTuple):
    """The *seconds* of each round, and those that a small loop took beside it, before or after."""

    seconds: list[float]
    pulse: float


def pulse() -> float:
    """How long a small loop takes just now."""
    started = CLOCK()
    sum(range(20_000))
    return CLOCK() - started


def measure(
    contestants: Sequence[Contestant],
    seconds: float,
    report: Callable[[], object] = lambda: None,
) -> list[Timing]:
    """Time contestants turn by turn, so that all meet the same machine.

    On a shared machine everything may take twice as long for a second, and some work more than
    other work. So each contestant's turns are spread over all of the time, and turns in
    which the machine was slow are left out: see `undisturbed`. *seconds* are for all together, but
    the fewest turns are taken even if they need longer. *report* is called after each time round.
    """
    if not contestants:
        return []
    for contestant in contestants:
        if contestant.round_seconds == 0.0:
            contestant.calibrate()
    end = time.perf_counter() + seconds
    turns: list[list[Turn]] = [[] for _ in contestants]
    share = min(TURN_SECONDS, seconds / (FEWEST_TURNS * len(contestants)))
    before = pulse()
    times_round, fewest_rounds = 0, 0
    while times_round < FEWEST_TURNS or (
        time.perf_counter() < end and fewest_rounds < ENOUGH_ROUNDS
    ):
        for contestant, taken in zip(contestants, turns, strict=True):
            found = contestant.turn(share)
            after = pulse()
            taken.append(Turn(found, max(before, after)))
            before = after
        times_round += 1
        fewest_rounds = min(sum(len(turn.seconds) for turn in taken) for taken in turns)
        report()
    return [summarise(undisturbed(taken)) for taken in turns]


def undisturbed(turns: Sequence[Turn]) -> list[float]:
    """The seconds of the rounds in turns with a quick pulse, of one contestant.

    A contestant's own turns are compared, since what it and its neighbours leave behind, in caches
    for one, is the same each time. If few are quiet, those of the few quickest.
    """
    by_pulse = sorted(turns, key=lambda turn: turn.pulse)
    quiet = [turn for turn in by_pulse if turn.pulse <= QUIET * by_pulse[0].pulse]
    kept = quiet if len(quiet) >= FEWEST_TURNS else by_pulse[:FEWEST_TURNS]
    return [seconds for turn in kept for seconds in turn.seconds]


def time_once(run: Callable[[], object]) -> float:
    """Seconds of a single run."""
    return Timer(run, timer=CLOCK).timeit(1)
