"""Kernels of the optimisers' rules against the NumPy engine: paths, widths, remainders, cuts."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import in_turn
from problems import (
    SMALL,
    WIDTHS,
    check_training,
    few_to_compile,
    make_problem,
    orders,
    slow_to_compile,
    with_rule,
)
from simd import on_x86, run

import fastnn
from fastnn.activations import ACTIVATIONS
from fastnn.contract import Piece, Plan, Samples, State
from fastnn.kernels import engine, ready
from fastnn.losses import LOSSES
from fastnn.reference import vectors

MOMENTUM, ADAM = fastnn.SGD(momentum=0.9), fastnn.Adam()


@pytest.mark.own_kernels
@in_turn("width", WIDTHS)
def test_every_width_with_one_output(width):
    for sizes in ([1, width, 1], [3, width, 1]):
        problem = make_problem(sizes, "half_squared_error", "sigmoid")
        check_training(with_rule(problem, MOMENTUM), 1, shuffled=True)


@slow_to_compile
@pytest.mark.parametrize("optimizer", [ADAM, fastnn.RMSprop(), fastnn.Adagrad()])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_squares_that_overflow_stop_a_parameter_and_no_more(optimizer, batch_size):
    problem = with_rule(make_problem([3, 1], "half_squared_error"), optimizer)
    samples = Samples(problem.samples.X * 1e70, problem.samples.Y * 1e90)
    samples.X.flags.writeable = samples.Y.flags.writeable = False
    with np.errstate(over="ignore"):
        check_training(replace(problem, samples=samples), batch_size, shuffled=False)


@pytest.mark.own_kernels
@in_turn("width", WIDTHS)
def test_every_width_with_everything(width):
    problem = make_problem([3, width, width, 4], "cross_entropy", "silu")
    problem = with_rule(problem, ADAM, everything=True)
    check_training(problem, 1, shuffled=True)
    check_training(problem, 7, shuffled=True)


@pytest.mark.own_kernels
@in_turn("width", WIDTHS)
def test_every_width_of_one_hidden_layer_with_everything_but_dropout(width):
    problem = make_problem([3, width, 4], "cross_entropy", "silu")
    check_training(with_rule(problem, ADAM, everything=True, drops=False), 1, shuffled=True)


#: What a plan may ask for, each alone: options of the architecture, and of the optimiser.
ALONE = {
    "l1": ({"l1": 0.03}, {}),
    "l2": ({"l2": 0.03}, {}),
    "max_norm": ({"max_norm": 0.5}, {}),
    "clip_value": ({}, {"clip_value": 0.02}),
    "clip_norm": ({}, {"clip_norm": 0.1}),
    "weights": ({}, {}),
}


@pytest.mark.own_kernels
@pytest.mark.parametrize("option", ALONE)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "sizes",
    [[3, 9, 4], [20, 2, 1], [5, 9, 18, 2], *([[3, 18, 1], [3, 34, 2]] if SMALL else [])],
    ids=str,
)
def test_everything_alone(sizes, dtype, option):
    of_network, of_optimizer = ALONE[option]
    problem = make_problem(sizes, "squared_error", "tanh", dtype=dtype)
    weighted = with_rule(problem, MOMENTUM, everything=True).samples
    problem = replace(
        problem,
        architecture=replace(problem.architecture, **of_network),
        optimizer=replace(MOMENTUM, **of_optimizer),
        samples=weighted if option == "weights" else problem.samples,
    )
    for batch_size in (1, 7):
        check_training(problem, batch_size, shuffled=True)


@pytest.mark.own_kernels
@in_turn("n", WIDTHS)
def test_every_number_of_samples(n):
    problem = make_problem([3, 9, 4], "cross_entropy", "silu", n=n)
    problem = with_rule(problem, ADAM, everything=True)
    for batch_size in {1, min(4, n), n}:
        check_training(problem, batch_size, shuffled=False)


@pytest.mark.own_kernels
@pytest.mark.skipif(SMALL, reason="too long in plain Python")
@pytest.mark.parametrize("n", [255, 256, 257, 700])
def test_batches_larger_than_a_block(n):
    problem = make_problem([3, 9, 4], "cross_entropy", "silu", n=n)
    check_training(with_rule(problem, ADAM, everything=True), n, shuffled=True)


FUNCTIONS = [
    *((name, "squared_error") for name, row in ACTIVATIONS.items() if not row.output_only),
    *(("tanh", name) for name, row in LOSSES.items() if row.targets in ("real", "unit")),
]


@pytest.mark.skipif(not SMALL, reason="compiled, each is trained with in tests/test_torch.py")
@pytest.mark.parametrize(("activation", "loss"), FUNCTIONS)
@pytest.mark.parametrize("batch_size", [1, 7])
def test_every_function_as_plain_python(activation, loss, batch_size):
    problem = make_problem([2, 3, 2], loss, activation, n=9)
    check_training(with_rule(problem, MOMENTUM, everything=True), batch_size, shuffled=True)


@pytest.mark.skipif(not SMALL, reason="compiled, weighted estimators train with it")
@pytest.mark.parametrize("batch_size", [1, 4])
def test_division_by_the_weights_as_plain_python(batch_size):
    problem = make_problem([3, 4, 2], "squared_error", n=9)
    problem = with_rule(problem, MOMENTUM, everything=True)
    plan = Plan(batch_size, problem.optimizer, 7, weighted=True, divide_by_weights=True)
    outcomes = []
    for module in (engine, vectors):
        state = State.new(problem.parameters.copy(), plan.optimizer)
        piece = Piece.of_epochs(np.full((2, 1), 0.1), orders(9, 2, True), 9)
        module.trainer(problem.architecture, plan).run(state, problem.samples, piece)
        whole = module.differentiator(problem.architecture, replace(plan, batch_size=9))
        loss, penalty, gradient = whole(problem.parameters, problem.samples)
        outcomes.append((state.parameters, piece.loss_sums, loss, penalty, gradient))
    for got, expected in zip(*outcomes, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.own_kernels
@pytest.mark.parametrize("sizes", [[3, 9, 4], [20, 9, 4, 2]], ids=str)
def test_everything_without_biases(sizes):
    problem = make_problem(sizes, "squared_error", "silu", bias=False)
    check_training(with_rule(problem, ADAM, everything=True, drops=False), 1, shuffled=True)


@pytest.mark.own_kernels
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_weights_that_divide_where_there_are_no_limits(batch_size, reduction):
    """Those of the first batch are 0: it is divided by its number of samples."""
    problem = make_problem([3, 9, 4], "squared_error", "tanh", l2=0.1)
    architecture = replace(problem.architecture, reduction=reduction)
    samples = with_rule(problem, MOMENTUM, everything=True).samples
    weights = samples.weights.copy()
    weights[:4] = 0.0
    samples = replace(samples, weights=weights)
    plan = Plan(batch_size, MOMENTUM, scale=0.7, weighted=True, divide_by_weights=True)
    outcomes = []
    for module in (engine, vectors):
        state = State.new(problem.parameters.copy(), plan.optimizer)
        piece = Piece.of_epochs(np.full((2, 1), 0.1), orders(len(samples), 2, False), len(samples))
        module.trainer(architecture, plan).run(state, samples, piece)
        outcomes.append((state.parameters, state.moments, piece.loss_sums))
    for got, expected in zip(*outcomes, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@on_x86
def test_where_subnormal_numbers_are_taken_for_0():
    """As in processes that have loaded code compiled with -ffast-math."""
    code = """
import ctypes, mmap
import fastnn, numpy as np
# stmxcsr [rsp-4]; or dword [rsp-4], flush to zero and denormals are zeros; ldmxcsr [rsp-4]; ret
program = bytes.fromhex("0fae5c24fc" "814c24fc40800000" "0fae5424fc" "c3")
memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
memory.write(program)
ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))()
assert np.array([1e-310])[0] * np.ones(1)[0] == 0.0
X = np.random.default_rng(0).normal(size=(40, 5))
X[:, 0] = 0.0
for dtype in ("float64", "float32"):
    for batch_size in (1, 8):
        for epsilon in (1e-8, 0.0):
            net = fastnn.Network([5, 9, 3], activation="relu", seed=0, dtype=dtype)
            optimizer = fastnn.Adam(epsilon=epsilon)
            net.fit(X, X[:, :3], epochs=3, batch_size=batch_size, optimizer=optimizer)
print("trained")
"""
    assert "trained" in run("-c", code)


@slow_to_compile
@pytest.mark.parametrize(
    "optimizer",
    [
        MOMENTUM,
        fastnn.SGD(momentum=0.9, nesterov=True),
        ADAM,
        fastnn.RMSprop(),
        fastnn.Adagrad(),
        fastnn.AdamW(),
    ],
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("batch_size", [1, 7])
def test_every_rule_in_either_precision(optimizer, dtype, batch_size):
    problem = make_problem([3, 9, 1], "half_squared_error", "tanh", dtype=dtype)
    check_training(with_rule(problem, optimizer), batch_size, shuffled=True)


@pytest.mark.own_kernels
@pytest.mark.parametrize(("batch_size", "drops"), [(1, True), (1, False), (5, True)])
def test_cuts_change_no_bit(batch_size, drops):
    problem = make_problem([3, 9, 4], "cross_entropy", "silu")
    problem = with_rule(problem, ADAM, everything=True, drops=drops)
    rates, order = np.array([0.1, 0.3]), orders(23, 2, shuffled=True)
    whole = problem.train(engine, batch_size, order, rates)
    cut = problem.train(engine, batch_size, order, rates, cuts=(5, 10, 20))
    assert whole[0].tobytes() == cut[0].tobytes()
    np.testing.assert_allclose(whole[1], cut[1], rtol=1e-14)


@pytest.mark.own_kernels
@pytest.mark.parametrize("everything", few_to_compile([True], [False, True]))
@pytest.mark.parametrize("batch_size", [1, 5])
def test_what_is_in_scratch_memory_changes_no_bit(batch_size, everything, monkeypatch):
    sizes = [3, 9, 4] if everything else [3, 9, 1]
    loss, activation = ("cross_entropy", "silu") if everything else ("half_squared_error", "tanh")
    problem = with_rule(make_problem(sizes, loss, activation), ADAM, everything)
    results = []
    for content in (np.nan, 0.0):
        monkeypatch.setattr(
            ready, "new_scratch", lambda n, arch, c=content: np.full(n, c, arch.dtype)
        )
        results.append(problem.train(engine, batch_size, orders(23, 2, True), np.full(2, 0.1)))
    assert results[0][0].tobytes() == results[1][0].tobytes()
    assert results[0][1].tobytes() == results[1][1].tobytes()
