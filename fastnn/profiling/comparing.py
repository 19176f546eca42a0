"""Measuring operations at several sizes on several engines, within a given time."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from fastnn.machine import available_memory, jit_is_on
from fastnn.profiling.ceilings import Nearness, measure_ceilings
from fastnn.profiling.cold import SAME_KERNEL, compile_seconds
from fastnn.profiling.conditions import measuring
from fastnn.profiling.measuring import FEWEST_TURNS, Contestant, Timing, measure
from fastnn.profiling.operations import OPERATIONS, Operation, check_agreement, estimate
from fastnn.profiling.progress import Budget
from fastnn.profiling.records import Row
from fastnn.profiling.result import Profile
from fastnn.profiling.wording import duration, size_of

#: Seconds for everything.
SECONDS, QUICK_SECONDS = 240.0, 42.0
#: A single run may take this part of them.
LONGEST_RUN = 1 / 80
#: Finding out compile times may take this part, and all until the measuring begins that one.
COMPILING, READY = 1 / 3, 2 / 3
#: The most seconds for one engine at one size, on average.
POINT_SECONDS, QUICK_POINT_SECONDS = 1.0, 0.2
#: A spread beyond this says that the machine was busy with something else.
RESTLESS = 0.2


@dataclass(frozen=True)
class _Point:
    """An engine ready to be timed at one size of one operation."""

    operation: Operation
    size: int
    engine: str
    contestant: Contestant


def _where(operation: Operation, size: int, engine: str) -> str:
    return f"{operation.name} at size {size:,} on {engine}"


@dataclass
class Comparison:
    """One run of the profiler over operations, sizes and engines."""

    operations: Sequence[str]
    sizes: Sequence[int] | None
    engines: Sequence[str]
    samples: int
    quick: bool
    budget: Budget

    def __post_init__(self) -> None:
        self._plan: list[tuple[Operation, Sequence[int]]] = []
        for operation in (OPERATIONS[name] for name in self.operations):
            usual = operation.quick_sizes if self.quick else operation.sizes
            self._plan.append((operation, self.sizes or usual))
        # All that is to be measured is held at once.
        self._available, self._held = available_memory(), 0

    def run(self) -> Profile:
        """Measure everything; one BLAS thread, and one core, meanwhile."""
        with measuring() as machine:
            self._profile = Profile(machine, self.samples)
            if "numba" in self.engines and jit_is_on():
                self._measure_compilation()
                for operation, _ in self._plan:
                    self.budget.say(f"loading {operation.name}")
                    operation.problem(4, 4).result("numba")
                self.budget.say("the machine's ceilings")
                self._profile.ceilings = measure_ceilings(self.budget.seconds / 30)
            elif "numba" in self.engines:
                self._note("numba's JIT is switched off (NUMBA_DISABLE_JIT): it ran as Python.")
            points = self._without_the_longest(
                [p for plan in self._plan for p in self._ready(*plan)]
            )
            self._measure(points)
            restless = [row for row in self._profile.rows if row.timing.spread > RESTLESS]
            if 5 * len(restless) > len(self._profile.rows):
                self._note(
                    f"In {len(restless)} of {len(self._profile.rows)} medians the quartiles lie "
                    f"more than {RESTLESS:.0%} apart: other programs were running. Measure again "
                    "when the machine is quiet."
                )
        self.budget.say("done", 1.0)
        return self._profile

    def _note(self, text: str) -> None:
        self._profile.notes.append(text)

    def _measure_compilation(self) -> None:
        found: dict[str, float | None] = {}
        for name in (operation.name for operation, _ in self._plan):
            kernel = SAME_KERNEL.get(name, name)
            if kernel not in found and self.budget.behind() > COMPILING:
                found[kernel] = None
            if kernel not in found:
                self.budget.say(f"compiling {name} in a fresh process")
                found[kernel] = compile_seconds(kernel, timeout=self.budget.seconds * COMPILING)
            seconds = found[kernel]
            if seconds is None:
                self._note(f"{name}: its compile time could not be measured in the time left.")
            else:
                self._profile.compile_seconds[name] = seconds

    def _ready(self, operation: Operation, sizes: Sequence[int]) -> Iterator[_Point]:
        """One operation at all sizes, as far as the time to get ready goes."""
        known: dict[str, _Point] = {}  # of each engine the largest size so far
        for k, size in enumerate(sizes):
            if self.budget.behind() > READY:
                missed = ", ".join(f"{size:,}" for size in sizes[k:])
                self._note(
                    f"{operation.name}: no time was left of the {self.budget.seconds:g} s "
                    f"for size {missed}."
                )
                return
            self.budget.say(f"{operation.name}, size {size:,}")
            engines = [
                engine
                for engine in self.engines
                if self._affords(operation, size, engine, known.get(engine))
            ]
            if not engines:
                continue
            problem = operation.problem(size, self.samples)
            check_agreement(problem, engines, f"{operation.name} at size {size:,}")
            for engine in engines:
                point = _Point(operation, size, engine, problem.contestant(engine))
                point.contestant.calibrate()
                known[engine] = point
                yield point

    def _without_the_longest(self, points: list[_Point]) -> list[_Point]:
        """Leave out, with a note, as much as must be for everybody to have a few turns."""
        left = self.budget.left()
        kept = sorted(points, key=lambda point: point.contestant.round_seconds)
        needed = FEWEST_TURNS * sum(point.contestant.round_seconds for point in points)
        enough = math.ceil(1.2 * (self.budget.seconds - left + needed))
        while needed > left and len(kept) > 1:
            point = kept.pop()
            needed -= FEWEST_TURNS * point.contestant.round_seconds
            where = _where(point.operation, point.size, point.engine)
            self._note(
                f"{where}: a run takes about {duration(point.contestant.estimate)}, too long "
                f"to be repeated within {self.budget.seconds:g} s: left out. With --seconds "
                f"{enough} it would be measured."
            )
        return [point for point in points if point in kept]

    def _measure(self, points: Sequence[_Point]) -> None:
        """Time everything, each point again and again until the end: a row for each."""
        most = (QUICK_POINT_SECONDS if self.quick else POINT_SECONDS) * len(points)
        timings = measure(
            [point.contestant for point in points],
            min(self.budget.left(), most),
            lambda: self.budget.say("everything in turn"),
        )
        self._raise_ceilings(list(zip(points, timings, strict=True)))
        for point, timing in zip(points, timings, strict=True):
            operation = point.operation
            near = self._nearness(point, timing)
            samples = self.samples if operation.per_sample else None
            row = Row(operation.name, point.size, point.engine, samples, timing, near)
            self._profile.rows.append(row)

    def _nearness(self, point: _Point, timing: Timing) -> Nearness | None:
        ceilings = self._profile.ceilings
        if ceilings is None or point.engine != "numba":
            return None
        return ceilings.nearness(point.operation.work(point.size, self.samples), timing.median)

    def _raise_ceilings(self, measured: Sequence[tuple[_Point, Timing]]) -> None:
        """Measure the ceilings once more if something is above them; a note if it still is."""

        def highest() -> float:
            found = [self._nearness(point, timing) for point, timing in measured]
            return max((near.share for near in found if near is not None), default=0.0)

        ceilings = self._profile.ceilings
        if ceilings is None or highest() <= 1:
            return
        self.budget.say("the machine's ceilings, once more")
        again = measure_ceilings(self.budget.seconds / 30)
        self._profile.ceilings = ceilings.raised_by(again)
        if highest() > 1:
            self._note(
                f"The compiled loop reaches up to {highest():.0%} of a ceiling: the machine was "
                "slower while the ceilings were measured, twice, with vectors of their own. Of "
                "such points no more can be said than that they are at the ceiling."
            )

    def _affords(
        self, operation: Operation, size: int, engine: str, smaller: _Point | None
    ) -> bool:
        """Whether one run fits into memory and time; a note if it does not."""
        where = _where(operation, size, engine)
        needed, available = operation.memory(size, self.samples, engine), self._available
        if available is not None and self._held + needed > available / 2:
            self._note(
                f"{where}: needs about {size_of(needed)} of memory, {size_of(available)} were "
                f"available and {size_of(self._held)} are held for the others: left out."
            )
            return False
        limit = self.budget.seconds * LONGEST_RUN
        expected = self._expected(operation, size, smaller)
        if expected is None or expected > limit / 4:
            part = partial(operation.part, size, self.samples)
            expected, _ = estimate(part, operation.amount(size, self.samples), engine)
        if expected > limit:
            enough = math.ceil(1.2 * expected / LONGEST_RUN)
            self._note(
                f"{where}: one run would take about {duration(expected)}, allowed are "
                f"{duration(limit)}: left out. With --seconds {enough} it would be measured."
            )
            return False
        self._held += needed
        return True

    def _expected(self, operation: Operation, size: int, smaller: _Point | None) -> float | None:
        """Seconds for one run, from a smaller size that is ready."""
        if smaller is None:
            return None
        now, then = (operation.work(n, self.samples).arithmetic for n in (size, smaller.size))
        return smaller.contestant.estimate * now / then
