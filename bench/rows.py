"""The rows of the suite: every contestant of an operation on every problem."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from bench import contest, machine
from bench.peers import CONTESTANTS, OPERATIONS
from bench.problems import Problem


def rows(
    operation: str, title: str, problems: Iterable[Any], contestants: Iterable[str] = ()
) -> Any:
    """Parametrise a test with ``problem`` and ``contestant``; a problem is a group.

    All contestants of the operation take part, unless *contestants* says who.
    """
    return pytest.mark.parametrize(
        ("problem", "contestant"),
        [
            pytest.param(
                problem,
                contestant,
                id=f"{problem.label}, {contestant}".replace(", ", "|").replace(" ", "-"),
                marks=[
                    pytest.mark.benchmark(group=f"{title}: {problem.label}"),
                    *(
                        [pytest.mark.quick]
                        if problem.quick and contestant not in SLOW_TO_START
                        else []
                    ),
                ],
            )
            for problem in problems
            for contestant in contestants or OPERATIONS[operation]
        ],
    )


#: Not part of --quick: it compiles for ten seconds per network.
SLOW_TO_START = ("torch-compile",)
#: With --quick, one in so many epochs is run.
QUICK_PART = 10
#: Rough nanoseconds per weight and sample that the Python engine takes: forward; and for all.
_PYTHON_NANOSECONDS = {"predict": 60, "gradient": 250, "train": 280}


def run_network(
    benchmark: Any,
    enter: Any,
    cores: list[int],
    quick: bool,
    operation: str,
    problem: Problem,
    contestant: str,
) -> None:
    """One row about a network: *operation* on *problem* by *contestant*."""
    if quick:
        problem = replace(problem, epochs=-(-problem.epochs // QUICK_PART))
    samples = problem.n * (problem.epochs if operation == "train" else 1)
    if contestant == "python":
        if problem.dtype == "float32" and operation == "train":
            pytest.skip("left out: Python's own numbers are float64, and take as long")
        nanoseconds = _PYTHON_NANOSECONDS[operation] * problem.n_parameters
        contest.skip_unless_patient(samples * nanoseconds * 1e-9)
    entry = enter(contestant, operation, problem)
    contest.measure(
        benchmark,
        entry,
        problem.expected(operation),
        dtype=problem.dtype,
        start=problem.start.astype("float64") if operation == "train" else 0.0,
        threads=len(cores) if problem.all_cores else machine.threads(),
        version=version(contestant),
        contestant=contestant,
        operation=operation,
        size=problem.size,
        n_parameters=problem.n_parameters,
        batch=problem.batch_size,
        samples=samples,
        units=problem.updates if operation == "train" else 1,
    )


def version(contestant: str) -> str:
    """Which version of what a contestant is."""
    versions = machine.versions()
    module, _ = CONTESTANTS[contestant]
    if module in ("engines", "kernels"):
        library = contestant.split("-")[0]
        extra = "" if library == "python" else f", {library} {versions[library]}"
        return f"fastnn {versions['fastnn']}{extra}, Python {versions['python']}"
    name = module.removeprefix("with_")
    if name in versions:
        return f"{name} {versions[name]}"
    return f"Python {versions['python']}, numpy {versions['numpy']}"
