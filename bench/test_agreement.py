"""The referee: a contestant whose numbers are wrong stops the run, and is not timed."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import contest, problems
from bench.contest import DisagreementError, Entry
from bench.peers import enter

pytestmark = pytest.mark.quick
PROBLEM = problems.replace(problems.CURVE, epochs=1, n=50)
START, EXPECTED = PROBLEM.start, PROBLEM.expected("train")


def entry_giving(result):
    return Entry(lambda: None, lambda: np.asarray(result), {})


class Stopwatch:
    """In place of pytest-benchmark's: remembers whether anything was timed."""

    def __init__(self):
        self.extra_info, self.timed = {}, False

    def __call__(self, run):
        self.timed = True


@pytest.mark.parametrize(
    "wrong",
    [
        START,  # nothing was done
        START + 1.001 * (EXPECTED - START),  # a thousandth too far
        np.where(np.arange(EXPECTED.size) == 200, np.nan, EXPECTED),
        EXPECTED[:-1],
        np.zeros_like(EXPECTED),
    ],
    ids=["idle", "too far", "nan", "too short", "zeros"],
)
def test_wrong_numbers_are_not_timed(wrong):
    stopwatch = Stopwatch()
    with pytest.raises(DisagreementError):
        contest.measure(stopwatch, entry_giving(wrong), EXPECTED, dtype="float64", start=START)
    assert not stopwatch.timed


def test_right_numbers_are_timed():
    stopwatch = Stopwatch()
    entry = enter("numpy-by-hand", "train", PROBLEM)
    contest.measure(stopwatch, entry, EXPECTED, dtype="float64", start=START)
    assert stopwatch.timed
    assert stopwatch.extra_info["disagreement"] < contest.TOLERANCE["float64"]


def test_numbers_that_become_infinite_fail_the_row():
    results = iter([EXPECTED, EXPECTED * np.inf])
    entry = Entry(lambda: None, lambda: next(results), {})
    with pytest.raises(DisagreementError, match="infinite"):
        contest.measure(Stopwatch(), entry, EXPECTED, dtype="float64", start=START)


BROKEN = """
from dataclasses import replace
from fastnn.kernels import engine

run = engine._Trainer.run
engine._Trainer.run = lambda self, state, samples, piece: run(
    self, state, samples, replace(piece, rates=piece.rates * 1.001)
)
"""


def test_a_broken_engine_fails_the_run(tmp_path):
    """The suite itself, on an engine whose learning rate is off by a thousandth."""
    (tmp_path / "break_it.py").write_text(BROKEN)
    command = [sys.executable, "-m", "pytest", "-p", "break_it", "-p", "no:cacheprovider",
               "bench/test_training.py", "--quick",
               "-k", "per_sample and 3-4-1 and numba and not kernel"]  # fmt: skip
    root = Path(__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, env=environment)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "nothing was timed" in done.stdout
