"""Measuring operations at several sizes on several engines, within a given time."""

import math
import time
from collections.abc import Callable, Sequence

from fastnn.profiling.cold import SAME_KERNEL, compile_seconds
from fastnn.profiling.machine import free_memory, jit_is_on, measure_ceilings, measuring, size_of
from fastnn.profiling.measuring import duration, estimate, measure
from fastnn.profiling.operations import OPERATIONS, Operation, check_agreement
from fastnn.profiling.result import Profile, Row

#: Seconds for everything.
SECONDS, QUICK_SECONDS = 240.0, 42.0
#: A single run may take this part of them.
LONGEST_RUN = 1 / 80
#: And finding out compile times this part.
COMPILING = 1 / 3
#: The most seconds for one engine at one size.
POINT_SECONDS, QUICK_POINT_SECONDS = 1.0, 0.2

#: A spread beyond this says that the machine was busy with something else.
RESTLESS = 0.2

#: Told what is being done, and which part of all of it is behind.
Report = Callable[[str, float], object]


class Comparison:
    """One run of the profiler over operations, sizes and engines."""

    def __init__(
        self,
        operations: Sequence[str],
        sizes: Sequence[int] | None,
        engines: Sequence[str],
        samples: int,
        quick: bool,
        seconds: float | None,
        report: Report,
    ):
        self._engines = engines
        self._samples = samples
        self._seconds = seconds or (QUICK_SECONDS if quick else SECONDS)
        self._most = QUICK_POINT_SECONDS if quick else POINT_SECONDS
        self._report = report
        self._plan: list[tuple[Operation, Sequence[int]]] = []
        for operation in (OPERATIONS[name] for name in operations):
            usual = operation.quick_sizes if quick else operation.sizes
            self._plan.append((operation, sizes or usual))
        self._started = time.perf_counter()

    def run(self) -> Profile:
        """Measure everything; one BLAS thread meanwhile."""
        with measuring() as machine:
            self._profile = Profile(machine, self._samples)
            if "numba" in self._engines and jit_is_on():
                self._measure_compilation()
                for operation, _ in self._plan:
                    self._report(f"loading {operation.name}", self._behind())
                    operation.problem(4, 4).result("numba")
                self._report("the machine's ceilings", self._behind())
                self._profile.ceilings = measure_ceilings(self._seconds / 30)
            elif "numba" in self._engines:
                self._note("numba's JIT is switched off (NUMBA_DISABLE_JIT): it ran as Python.")
            for k, (operation, sizes) in enumerate(self._plan):
                left = self._seconds * (1 - self._behind())
                self._measure_operation(operation, sizes, left / (len(self._plan) - k))
            restless = [row for row in self._profile.rows if row.timing.spread > RESTLESS]
            if 5 * len(restless) > len(self._profile.rows):
                self._profile.notes.append(
                    f"In {len(restless)} of {len(self._profile.rows)} medians the quartiles lie "
                    f"more than {RESTLESS:.0%} apart: other programs were running. Measure again "
                    "when the machine is quiet."
                )
        self._report("done", 1.0)
        return self._profile

    def _behind(self) -> float:
        return min((time.perf_counter() - self._started) / self._seconds, 1.0)

    def _note(self, text: str) -> None:
        self._profile.notes.append(text)

    def _measure_compilation(self) -> None:
        found: dict[str, float | None] = {}
        for name in (operation.name for operation, _ in self._plan):
            kernel = SAME_KERNEL.get(name, name)
            if kernel not in found and self._behind() > COMPILING:
                found[kernel] = None
            if kernel not in found:
                self._report(f"compiling {name} in a fresh process", self._behind())
                found[kernel] = compile_seconds(kernel, timeout=self._seconds * COMPILING)
            seconds = found[kernel]
            if seconds is None:
                self._note(f"{name}: no time was left to measure its compile time.")
            else:
                self._profile.compile_seconds[name] = seconds

    def _measure_operation(
        self, operation: Operation, sizes: Sequence[int], seconds: float
    ) -> None:
        """All sizes of one operation, as far as its share of the time goes."""
        end = time.perf_counter() + seconds
        for k, size in enumerate(sizes):
            left = end - time.perf_counter()
            if left <= 0:
                missed = ", ".join(f"{size:,}" for size in sizes[k:])
                self._note(
                    f"{operation.name}: its share of the {self._seconds:g} s was over before "
                    f"size {missed}."
                )
                return
            self._report(f"{operation.name}, size {size:,}", self._behind())
            self._measure_point(operation, size, left / (len(sizes) - k))

    def _measure_point(self, operation: Operation, size: int, seconds: float) -> None:
        engines = [engine for engine in self._engines if self._affords(operation, size, engine)]
        if not engines:
            return
        problem = operation.problem(size, self._samples)
        check_agreement(problem, engines, f"{operation.name} at size {size:,}")
        share = min(self._most, seconds / len(engines))
        timings = measure({engine: problem.contestant(engine) for engine in engines}, share)
        ceilings = self._profile.ceilings
        work = operation.work(size, self._samples)
        for engine, timing in timings.items():
            near = ceilings.nearness(work, timing.median) if ceilings else None
            self._profile.rows.append(
                Row(
                    operation.name,
                    size,
                    engine,
                    self._samples if operation.per_sample else None,
                    timing,
                    near if engine == "numba" else None,
                )
            )

    def _affords(self, operation: Operation, size: int, engine: str) -> bool:
        """Whether one run fits into memory and time; a note if it does not."""
        where = f"{operation.name} at size {size:,} on {engine}"
        needed, free = operation.memory(size, self._samples, engine), free_memory()
        if free is not None and needed > free / 2:
            self._note(
                f"{where}: needs about {size_of(needed)} of memory, {size_of(free)} are free: "
                "left out."
            )
            return False
        limit = self._seconds * LONGEST_RUN
        expected = self._expected(operation, size, engine)
        if expected is None or expected > limit / 4:
            amount = operation.amount(size, self._samples)
            expected, _ = estimate(
                lambda part: (lambda problem: lambda: problem.result(engine))(
                    operation.part(size, self._samples, part)
                ),
                amount,
                compiles=engine == "numba",
            )
        if expected > limit:
            enough = math.ceil(1.2 * expected / LONGEST_RUN)
            self._note(
                f"{where}: one run would take about {duration(expected)}, allowed are "
                f"{duration(limit)}: left out. With --seconds {enough} it would be measured."
            )
            return False
        return True

    def _expected(self, operation: Operation, size: int, engine: str) -> float | None:
        """Seconds for one run, from the largest smaller size that was measured."""
        measured = self._profile.seconds(operation.name, engine)
        smaller = [known for known in measured if known <= size]
        if not smaller:
            return None
        known = max(smaller)
        ratio = (
            operation.work(size, self._samples).arithmetic
            / operation.work(known, self._samples).arithmetic
        )
        return measured[known] * ratio
