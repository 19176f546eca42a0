"""Kernels are tested through the engine, against the NumPy engine."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from helpers import slow_but

import fastnn
from fastnn.architecture import Architecture
from fastnn.contract import Piece, Plan, Samples, State
from fastnn.kernels import engine
from fastnn.optimizers import Optimizer
from fastnn.reference import vectors

#: With the JIT off, kernels are plain Python: a few sizes must do, and none is slow to compile.
SMALL = os.environ.get("NUMBA_DISABLE_JIT") == "1"
#: Rows of 128 numbers are set apart in float64, see `layout.step_between`.
WIDTHS = (1, 2, 5) if SMALL else (*range(1, 41), 64, 100, 128)

#: Sizes, loss and activation of those that `wide_input` takes.
WIDE_FIRST_LAYER = {
    "wide input": ([1000, 33, 3], "cross_entropy", "relu"),
    "wide first layer": ([300, 110, 3], "cross_entropy", "relu"),
    "deep with a wide first layer": ([125, 66, 6, 3], "squared_error", ["tanh", "sigmoid"]),
}


def slow_to_compile(test):
    """Decorate a test that belongs to the slower pass for its kernels alone."""
    return test if SMALL else pytest.mark.slow(test)


def few_to_compile(fast, values, own_kernels=()):
    """*values* to parametrize with: see `slow_but`; all of them where nothing is compiled."""
    return list(values) if SMALL else slow_but(fast, values, own_kernels)


@dataclass
class Problem:
    """A network's architecture with random parameters and data that its loss takes."""

    architecture: Architecture
    parameters: np.ndarray
    samples: Samples
    optimizer: Optimizer = field(default_factory=fastnn.SGD)

    def train(self, with_engine, batch_size, order, rates, cuts=()):
        """Run epochs; each is cut at the given positions. Parameters and loss sums."""
        n = len(self.samples)
        weighted, sloped = (a is not None for a in (self.samples.weights, self.samples.dydx))
        plan = Plan(batch_size, self.optimizer, 7, weighted=weighted, sloped=sloped)
        state = State.new(self.parameters.copy(), plan.optimizer)
        trainer = with_engine.trainer(self.architecture, plan)
        rates = np.reshape(rates, (len(rates), -1))
        if not cuts:
            piece = Piece.of_epochs(rates, order, n)
            trainer.run(state, self.samples, piece)
            return state.parameters, piece.loss_sums
        sums = np.zeros(len(rates))
        for epoch in range(len(rates)):
            one = slice(epoch, epoch + 1)
            for start, stop in zip((0, *cuts), (*cuts, n), strict=True):
                penalties = np.zeros(1)
                piece = Piece(rates[one], order[one], start, stop, sums[one], penalties)
                trainer.run(state, self.samples, piece)
        return state.parameters, sums


def make_problem(sizes, loss, activation="tanh", bias=True, dtype="float64", n=23, seed=0, l2=0.0):
    """A problem; *activation* is one name or one per hidden layer."""
    rng = np.random.default_rng(seed)
    net = fastnn.Network(
        sizes, activation=activation, loss=loss, bias=bias, dtype=dtype, seed=rng, l2=l2
    )
    for b in net.biases:
        b[:] = rng.normal(size=b.shape)
    X = rng.normal(size=(n, sizes[0]))
    Y = rng.random((n, net._architecture.n_targets))
    if loss == "cross_entropy":
        Y /= Y.sum(axis=1, keepdims=True)
    Y = net._architecture.for_loss(Y)
    arrays = [np.ascontiguousarray(a, dtype=dtype) for a in (X, Y)]
    for array in arrays:
        array.flags.writeable = False
    return Problem(net._architecture, net.parameters.copy(), Samples(*arrays))


def orders(n, epochs, shuffled):
    """Row orders for some epochs."""
    if not shuffled:
        return np.empty((0, n), np.int64)
    rng = np.random.default_rng(1)
    return np.array([rng.permutation(n) for _ in range(epochs)], np.int64)


def check_training(problem, batch_size, shuffled, epochs=3):
    """The numba engine trains as the NumPy engine does."""
    n = len(problem.samples)
    # Other rules take longer steps, and what differs by rounding must not grow.
    n_in = problem.architecture.sizes[0]
    highest = min(0.2, 3 / n_in) if problem.optimizer.rule == "sgd" else 0.004
    rates = np.linspace(highest / 2, highest, epochs)
    order = orders(n, epochs, shuffled)
    got, got_sums = problem.train(engine, batch_size, order, rates)
    expected, expected_sums = problem.train(vectors, batch_size, order, rates)
    single = problem.architecture.dtype == np.float32
    tolerance = {"rtol": 2e-4, "atol": 2e-5} if single else {"rtol": 1e-9, "atol": 1e-12}
    np.testing.assert_allclose(got, expected, **tolerance)
    np.testing.assert_allclose(got_sums, expected_sums, **tolerance)


def check_records(problem, batch_size, shuffled):
    """The numba engine's records are, to the bit, what a run of so many epochs leaves."""
    epochs, marks, n = 5, [1, 2, 4], len(problem.samples)
    rates, order = np.linspace(0.01, 0.05, epochs)[:, np.newaxis], orders(n, epochs, shuffled)
    plan = Plan(batch_size, problem.optimizer, 7, weighted=problem.samples.weights is not None)
    trainer = engine.trainer(problem.architecture, plan)
    state, whole = (State.new(problem.parameters.copy(), plan.optimizer) for _ in range(2))
    records = np.zeros((len(marks), len(state.parameters)), state.parameters.dtype)
    piece, other = Piece.of_epochs(rates, order, n), Piece.of_epochs(rates, order, n)
    trainer.run_recorded(state, problem.samples, piece, np.array(marks), records)
    trainer.run(whole, problem.samples, other)
    for mine, theirs in [
        (state.parameters, whole.parameters),
        (state.moments, whole.moments),
        (state.updates, whole.updates),
        (piece.loss_sums, other.loss_sums),
        (piece.penalty_sums, other.penalty_sums),
    ]:
        assert mine.tobytes() == theirs.tobytes()
    for mark, record in zip(marks, records, strict=True):
        part = State.new(problem.parameters.copy(), plan.optimizer)
        trainer.run(part, problem.samples, other.stretch(0, mark))
        assert record.tobytes() == part.parameters.tobytes()


def with_rule(problem, optimizer, everything=False, drops=True):
    """The problem with another optimiser, and with all that a plan may ask for.

    Without dropout kernels for one hidden layer are others.
    """
    if not everything:
        return replace(problem, optimizer=optimizer)
    n_hidden = len(problem.architecture.sizes) - 2
    architecture = replace(
        problem.architecture,
        l1=0.01,
        l2=0.02,
        max_norm=0.9,
        dropout=(0.3,) * n_hidden if drops else (),
    )
    weights = np.linspace(0.5, 1.5, len(problem.samples), dtype=architecture.dtype)
    weights.flags.writeable = False
    samples = replace(problem.samples, weights=weights)
    optimizer = replace(optimizer, clip_value=0.3, clip_norm=0.8)
    return Problem(architecture, problem.parameters, samples, optimizer)
