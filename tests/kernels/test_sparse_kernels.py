"""The kernels for sparse rows against the NumPy engine with dense ones: rules, widths, windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers import in_turn
from problems import (
    SMALL,
    Problem,
    few_to_compile,
    make_problem,
    orders,
    slow_to_compile,
    with_rule,
)

import fastnn
from fastnn import contract
from fastnn.contract import Piece, Plan, State
from fastnn.kernels import engine
from fastnn.reference import vectors
from fastnn.sparse import SparseRows

N, EPOCHS = 23, 3
RULES = {
    "sgd": fastnn.SGD(),
    "momentum": fastnn.SGD(momentum=0.9),
    "nesterov": fastnn.SGD(momentum=0.9, nesterov=True, weight_decay=0.01),
    "rmsprop": fastnn.RMSprop(),
    "adagrad": fastnn.Adagrad(),
    "adam": fastnn.Adam(),
}


def sparse_problem(width: int = 4, n_in: int = 9, **options) -> Problem:
    """A problem most of whose inputs are 0, one of them in all rows."""
    problem = make_problem([n_in, width, 3], "cross_entropy", "relu", n=N, **options)
    X = problem.samples.dense * (np.random.default_rng(1).random((N, n_in)) < 0.3)
    X[:, 4] = 0
    X.flags.writeable = False
    return replace(problem, samples=replace(problem.samples, X=X))


def rows_of(X: np.ndarray) -> SparseRows:
    """The entries of an array that are not 0, each in two halves."""
    counts = 2 * np.count_nonzero(X, axis=1)
    _, columns = np.nonzero(X)
    halves = np.repeat(X[X != 0] / 2, 2)
    starts = np.concatenate([[0], np.cumsum(counts)])
    return SparseRows(starts, np.repeat(columns, 2).astype(np.int32), halves, X.shape[1])


def train(problem, with_engine, batch_size, sparse):
    """Parameters, moments and sums of some shuffled epochs."""
    samples = problem.samples
    if sparse:
        samples = replace(samples, X=rows_of(samples.dense))
    weighted = samples.weights is not None
    plan = Plan(batch_size, problem.optimizer, dropout_key=7, weighted=weighted, sparse=sparse)
    state = State.new(problem.parameters.copy(), plan.optimizer)
    piece = Piece.of_epochs(np.array([[0.002], [0.004], [0.003]]), orders(N, EPOCHS, True), N)
    with_engine.trainer(problem.architecture, plan).run(state, samples, piece)
    return state.parameters, state.moments, piece.loss_sums, piece.penalty_sums


def check(problem, batch_sizes=(1, 7, N)):
    for batch_size in batch_sizes:
        got = train(problem, engine, batch_size, True)
        expected = train(problem, vectors, batch_size, False)
        single = problem.architecture.dtype == np.float32
        tolerance = {"rtol": 2e-4, "atol": 2e-5} if single else {"rtol": 1e-9, "atol": 1e-12}
        for mine, other in zip(got, expected, strict=True):
            np.testing.assert_allclose(mine, other, **tolerance)


@pytest.mark.parametrize("rule", few_to_compile([], RULES, ["sgd"]))
def test_each_rule_agrees_with_numpy(rule, monkeypatch):
    monkeypatch.setattr(contract, "WINDOWS", (2, 2))
    check(with_rule(sparse_problem(), RULES[rule]))


@slow_to_compile
@pytest.mark.parametrize("rule", RULES if SMALL else ["sgd", "adam"])
def test_penalties_limits_weights_and_dropout(rule, monkeypatch):
    monkeypatch.setattr(contract, "WINDOWS", (2, 2))
    check(with_rule(sparse_problem(), RULES[rule], everything=True))
    for options in ({"l2": 0.02}, {"l1": 0.01}, {"max_norm": 0.9}):
        problem = with_rule(sparse_problem(), RULES[rule])
        check(replace(problem, architecture=replace(problem.architecture, **options)), (7,))
    limited = replace(RULES[rule], clip_value=0.05, clip_norm=0.1)
    check(with_rule(sparse_problem(), limited), (7,))


#: As many units as fill no register, one, several, and some of another; and rows set apart.
@in_turn("width", [1, 3, 8, 17, 33, 70, 128])
@slow_to_compile
def test_every_width_of_the_first_layer(width):
    check(sparse_problem(width), (7,))
    check(sparse_problem(width, dtype="float32", bias=False), (7,))


@in_turn("options", [{}, {"bias": False, "l2": 0.1}])
@slow_to_compile
def test_outputs_losses_and_gradients(options):
    problem = sparse_problem(6, **options)
    architecture, dense = problem.architecture, problem.samples
    sparse = replace(dense, X=rows_of(dense.dense))
    plan = Plan(N, fastnn.SGD(), sparse=True)
    for mine, other in (
        (engine.predictor(architecture, sparse=True)(problem.parameters, sparse.X),
         vectors.predictor(architecture)(problem.parameters, dense.X)),
        (engine.evaluator(architecture, False, sparse=True)(problem.parameters, sparse),
         vectors.evaluator(architecture, False)(problem.parameters, dense)),
        (engine.differentiator(architecture, plan)(problem.parameters, sparse)[2],
         vectors.differentiator(architecture, replace(plan, sparse=False))(
             problem.parameters, dense)[2]),
    ):  # fmt: skip
        np.testing.assert_allclose(mine, other, rtol=1e-11, atol=1e-14)
