"""Training on the derivatives of the targets, on the numba engine against the NumPy engine.

With bounds checks and as plain Python too; `tests/test_dydx.py` has what the numbers mean.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from problems import make_problem, orders, with_rule

import fastnn
from fastnn.contract import Plan
from fastnn.kernels import derivative_engine, derivatives, engine, ready
from fastnn.reference import vectors

pytestmark = pytest.mark.own_kernels

#: Sizes, activations, loss, biases, rule, and whether with weights, penalties and limits.
CASES = {
    "no hidden layer": ([3, 2], "tanh", "cross_entropy", True, fastnn.SGD(), False),
    "no biases": ([2, 3, 2], "silu", "half_squared_error", False, fastnn.SGD(), False),
    "one output": ([4, 5, 1], "sigmoid", "binary_cross_entropy", True, fastnn.Adam(), False),
    "rows apart": ([3, 128, 128, 2], "tanh", "squared_error", True, fastnn.SGD(), False),
    "everything": ([3, 5, 4, 2], ["tanh", "silu"], "squared_error", True, fastnn.Adam(), True),
}
#: Those with an L2 penalty alone, by plain SGD and by another rule.
PENALISED = {"rows apart", "one output"}


def sloped(case, n=11):
    """A problem whose samples come with the Jacobians that are wanted."""
    sizes, activation, loss, bias, rule, everything = CASES[case]
    problem = with_rule(make_problem(sizes, loss, activation, bias, n=n), rule, everything)
    dydx = np.random.default_rng(1).normal(size=(n, sizes[-1] * sizes[0]))
    dydx.flags.writeable = False
    architecture = replace(problem.architecture, dropout=())
    if case in PENALISED:
        architecture = replace(architecture, l2=0.1)
    samples = replace(problem.samples, dydx=dydx, dydx_weight=0.7)
    return replace(problem, architecture=architecture, samples=samples)


def results(problem, with_engine, batch_size, shuffled):
    """Parameters and losses of some epochs, and the loss and gradient of all samples."""
    samples = problem.samples
    order = orders(len(samples), 2, shuffled)
    trained = problem.train(with_engine, batch_size, order, [0.01, 0.02])
    plan = Plan(len(samples), problem.optimizer, weighted=samples.weights is not None, sloped=True)
    differentiate = with_engine.differentiator(problem.architecture, plan)
    *sums, gradient = differentiate(problem.parameters, samples)
    return [*trained, np.array(sums), gradient]


@pytest.mark.parametrize(
    ("case", "batch_size"),
    [
        *itertools.product(["no hidden layer", "everything"], [1, 4, 11]),
        ("no biases", 4),
        ("one output", 1),
        ("rows apart", 11),
    ],
)
def test_both_engines_learn_alike(case, batch_size, monkeypatch):
    """In one block and in blocks of one sample, whose memory holds whatever it held."""
    problem = sloped(case)
    expected = results(problem, vectors, batch_size, shuffled=True)
    monkeypatch.setattr(derivative_engine, "_places", derivatives.find_places)
    guards = []

    def poisoned(size, dtype):
        room = np.full(size + 1000, np.nan, dtype)
        room[size:] = -7
        guards.append(room[size:])
        return room[:size]

    monkeypatch.setattr(
        ready, "new_scratch", lambda size, architecture: poisoned(int(size), architecture.dtype)
    )
    for most_bytes in (derivatives.MOST_BYTES, 1):
        monkeypatch.setattr(derivatives, "MOST_BYTES", most_bytes)
        found = results(problem, engine, batch_size, shuffled=True)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    assert len(guards) >= 8  # workspace and gradient, of both kernels, twice
    assert all((guard == -7).all() for guard in guards)


@pytest.mark.parametrize("case", ["one output", "everything"])
def test_cut_epochs_leave_the_same_bits(case):
    problem = sloped(case)
    order, rates = orders(11, 2, shuffled=True), [0.01, 0.02]
    whole, in_parts = (problem.train(engine, 4, order, rates, cuts) for cuts in ((), (4, 8)))
    for a, b in zip(whole, in_parts, strict=True):
        assert a.tobytes() == b.tobytes()
