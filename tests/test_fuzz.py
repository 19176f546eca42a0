"""Half a minute of the fuzz over every public door, and proofs that its judge sees faults."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import numpy as np
import pytest
from fuzz import judge
from fuzz.doors import Call
from fuzz.values import NEVER, Odd
from helpers import slow_but

import fastnn


@pytest.mark.slow
def test_a_quarter_of_a_minute_of_odd_calls_finds_no_fault():
    """The same cases in every run, so that it fails for who has changed something.

    ``python -m tests.fuzz --minutes 10`` looks for others; with ``--seed N`` it replays a case.
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "fuzz", "--first", "1", "--minutes", "0.25"],
        cwd=pathlib.Path(__file__).parent, capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


def _raise(error):
    raise error


def _write(X):
    X[0] = 5


#: Functions of a network and an array that break one rule each, and what the judge calls it.
FAULTY = {
    "changed an argument": lambda _net, X: _write(X),
    "changed the network": lambda net, _X: net.partial_fit([[1.0, 1.0]], [[1.0]]),
    "changed the network and then refused": lambda net, X: (
        net.parameters.fill(0),
        net.predict(X[:0]),
    ),
    "a message without the argument's name": lambda _net, _X: _raise(ValueError("no")),
    "an error of another type": lambda _net, _X: _raise(KeyError("X")),
    "an error from inside a library": lambda _net, _X: _raise(ValueError("X is bad")),
    "silent NaN": lambda _net, X: X * np.nan,
    "silent infinity": lambda _net, X: X + np.inf,
    "changed the world": lambda _net, _X: np.random.default_rng() and np.seterr(all="ignore"),
    "parameters that are not finite": lambda net, _X: net.parameters.fill(np.nan),
    "took what it must refuse": lambda _net, _X: None,
}


@pytest.mark.parametrize("what", FAULTY)
def test_the_judge_sees_a_fault(what):
    net = fastnn.Network([2, 1], engine="numpy", seed=0)
    X = np.ones((3, 2))
    call = Call("door", lambda X: FAULTY[what](net, X), {"X": X}, {"X": "array"}, net)
    if what == "took what it must refuse":
        call.odd["X"] = Odd("odd", X, NEVER)
    with np.errstate():
        found = judge.run(call).faults
    assert what in [fault.what for fault in found]


def test_the_judge_has_nothing_against_a_good_call_or_a_good_refusal():
    net = fastnn.Network([2, 1], engine="numpy", seed=0)
    for X in (np.ones((3, 2)), np.full((3, 2), np.nan)):
        call = Call("door", net.predict, {"X": X}, {"X": "array"}, net, odd={"X": Odd("X", X)})
        assert judge.run(call).faults == []


def test_the_judge_sees_engines_that_disagree():
    first, other = (
        judge.run(Call("door", lambda X: X, {"X": X}, {"X": "array"}))
        for X in (np.ones(3), np.ones(3) + 1e-3)
    )
    judge._compare(first, other, "engines disagree")
    assert [fault.what for fault in other.faults] == ["engines disagree"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cases", slow_but([17], [17, 40]))  # estimators among the others compile
def test_a_seed_is_a_case(cases, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    titles = [[judge.draw(k, engine).title for k in range(cases)] for engine in ("numpy", "python")]
    assert titles[0] == titles[1]
