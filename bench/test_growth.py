"""Growth of the cost with samples (100 to 10,000,000), epochs, depth and width."""

from dataclasses import replace

import pytest

from bench import contest, machine
from bench.growth import STEPS, affordable
from bench.peers import ENGINES
from bench.rows import version


@pytest.mark.parametrize(
    ("step", "engine"),
    [
        pytest.param(
            step,
            engine,
            id=f"{step.what}|{step.amount}|{engine}",
            marks=[
                pytest.mark.benchmark(group=f"growth with {step.what}"),
                *([pytest.mark.quick] if step.quick else []),
            ],
        )
        for step in STEPS
        for engine in ENGINES
        if affordable(step, engine)
    ],
)
def test_growth(benchmark, enter, quick, step, engine):
    small, problem = step.to_check(), replace(step.problem)  # a copy: its data go with it
    apart, _ = contest.check(
        enter(engine, "train", small),
        small.expected("train"),
        small.dtype,
        small.start.astype("float64"),
    )
    contest.time_run(
        benchmark,
        enter(engine, "train", problem).run,
        contestant=engine,
        operation=f"growth with {step.what}",
        amount=step.amount,
        size=problem.size,
        dtype=problem.dtype,
        n_parameters=problem.n_parameters,
        samples=problem.n * problem.epochs,
        units=problem.updates,
        threads=machine.threads(),
        version=version(engine),
        disagreement=apart,
    )
