"""The training kernels against the NumPy engine: every path and width, remainders, cuts."""

import inspect

import numpy as np
import pytest
from helpers import in_turn, slow_but
from problems import (
    SMALL,
    WIDE_FIRST_LAYER,
    WIDTHS,
    check_records,
    check_training,
    make_problem,
    orders,
    slow_to_compile,
    with_rule,
)
from recipes import summed

import fastnn
from fastnn import contract
from fastnn.kernels import (
    blocks,
    engine,
    forward_engine,
    layout,
    ready,
    wide_input,
)
from fastnn.reference import vectors

#: One network for each way through the kernels.
PATHS = {
    "fused, one input": ([1, 9, 1], "half_squared_error", "sigmoid"),
    "fused, several inputs": ([3, 4, 1], "binary_cross_entropy", "tanh"),
    "transposed": ([3, 9, 4], "cross_entropy", "relu"),
    "transposed, many inputs": ([60, 9, 3], "cross_entropy", "relu"),
    "few hidden units": ([3, 3, 60], "cross_entropy", "relu"),
    "no hidden layer": ([3, 2], "binary_cross_entropy", "tanh"),
    "deep": ([3, 5, 4, 6, 2], "squared_error", "tanh"),
    "mixed activations": ([3, 5, 4, 6, 2], "squared_error", ["tanh", "relu", "sigmoid"]),
    **WIDE_FIRST_LAYER,
}


#: What each takes for plain SGD, sample by sample: another kernel would be right too, but slower.
TAKEN = {
    "fused, one input": "train_one_output",
    "fused, several inputs": "train_one_output",
    "transposed": "train_one_hidden",
    "transposed, many inputs": "train_one_hidden",
    "few hidden units": "train_samples",
    "no hidden layer": "train_samples",
    "deep": "train_samples",
    "mixed activations": "train_samples",
    "wide input": "train_wide_input",
    "wide first layer": "train_wide_input",
    "deep with a wide first layer": "train_wide_input",
}


@pytest.mark.parametrize("path", PATHS)
def test_each_path_takes_its_kernel(path):
    problem = make_problem(*PATHS[path])
    kernel, *_ = engine._sample_kernel(problem.architecture)
    parts = inspect.getclosurevars(getattr(kernel, "py_func", kernel)).nonlocals
    made_by = parts.get("learn", kernel).__qualname__  # the shell has its name from what is in it
    assert made_by.split(".")[0] == f"make_{TAKEN[path]}"


def some_paths(*paths, fast=(), own=()):
    """Parametrize with paths; all but the *fast* ones compile more kernels."""
    return pytest.mark.parametrize("path", slow_but(fast, paths, own))


#: Of these all is tested in most passes.
FAST, OWN = ["fused, one input", "transposed"], ["mixed activations", "wide first layer"]


@pytest.mark.parametrize("batch_size", [1, 7, 23])
@some_paths(*PATHS, fast=FAST, own=OWN)
def test_each_path_agrees_with_numpy(path, batch_size):
    sizes, loss, activation = PATHS[path]
    problem = make_problem(sizes, loss, activation)
    check_training(problem, batch_size, shuffled=False)
    check_training(problem, batch_size, shuffled=True)


#: In batches the layers are worked through alike, but for a wide first one.
PATHS_AND_BATCHES = [
    *((path, 1) for path in ("fused, one input", "transposed", "wide first layer")),
    ("deep", 7),
    ("wide first layer", 7),
]


@pytest.mark.parametrize(
    ("path", "batch_size"), slow_but([], PATHS_AND_BATCHES, own_kernels=[("transposed", 1)])
)
def test_without_biases_and_in_single_precision(path, batch_size):
    sizes, loss, activation = PATHS[path]
    for options in ({"bias": False}, {"dtype": "float32"}):
        check_training(make_problem(sizes, loss, activation, **options), batch_size, True)


@pytest.mark.own_kernels
@pytest.mark.parametrize("units", [4, 9, 33])
def test_batches_in_single_precision(units):
    problem = make_problem([3, units, 4], "half_squared_error", "sigmoid", dtype="float32")
    check_training(problem, 7, True)


@in_turn("width", WIDTHS)
def test_every_width_of_the_hidden_layer(width):
    check_training(make_problem([1, width, 1], "half_squared_error", "sigmoid"), 1, False)
    check_training(make_problem([3, width, 4], "cross_entropy", "relu"), 1, False)
    check_training(make_problem([3, width, 4], "cross_entropy", "relu"), 7, False)


@pytest.mark.own_kernels
@in_turn("width", WIDTHS)
def test_every_width_of_inputs_and_outputs(width):
    check_training(make_problem([width, 5, 1], "binary_cross_entropy", "tanh"), 1, True)
    check_training(make_problem([width, 5, width], "cross_entropy", "relu"), 1, True)
    check_training(make_problem([width, 5, width], "cross_entropy", "relu"), 7, True)


#: Around the places where one kernel gives way to another: see `one_output.pays`.
ONE_OUTPUT = [(n_in, units) for n_in in (2, 5, 8, 9) for units in (4, 5)]


@pytest.mark.parametrize(
    ("n_in", "units"),
    [pytest.param(*case, marks=() if case == (2, 4) else pytest.mark.slow) for case in ONE_OUTPUT],
)
def test_one_output_with_several_inputs(n_in, units):
    check_training(make_problem([n_in, units, 1], "half_squared_error", "sigmoid"), 1, True)


@slow_to_compile
def test_one_output_in_single_precision_with_wide_vectors():
    problem = make_problem([1, 33, 1], "half_squared_error", "sigmoid", dtype="float32")
    check_training(problem, 1, True)


@pytest.mark.own_kernels
@in_turn("width", WIDTHS)
def test_every_width_in_a_deep_network(width):
    _, loss, activations = PATHS["mixed activations"]
    problem = make_problem([3, width, width, 6, 2], loss, activations)
    check_training(problem, 1, False)
    check_training(problem, 7, False)


@in_turn("n", WIDTHS)
def test_every_number_of_samples(n):
    for batch_size in (1, 4, n):
        check_training(make_problem([3, 9, 4], "cross_entropy", "relu", n=n), batch_size, True)


@pytest.mark.skipif(SMALL, reason="too long in plain Python")
@pytest.mark.parametrize("n", [255, 256, 257, 700])
@pytest.mark.parametrize("inputs", [3, 100])
@pytest.mark.parametrize("l2", [0.0, 0.01])
def test_batches_larger_than_a_block(inputs, n, l2):
    """A penalty is a part of the gradient of the first block alone."""
    problem = make_problem([inputs, 9, 4], "cross_entropy", "relu", n=n, l2=l2)
    for batch_size in (n, 300):
        check_training(problem, min(batch_size, n), shuffled=False)
        check_training(problem, min(batch_size, n), shuffled=True)


@pytest.mark.skipif(SMALL, reason="too long in plain Python")
@pytest.mark.parametrize("n", [63, 64, 65, 200])
def test_batches_in_smaller_blocks(n):
    problem = make_problem([2, 300, 2], "cross_entropy", "relu", n=n)
    assert ready.places(problem.architecture, training=True).block == blocks.SMALL_BLOCK
    for batch_size in (n, 64):
        check_training(problem, min(batch_size, n), shuffled=False)
        check_training(problem, min(batch_size, n), shuffled=True)


@pytest.fixture
def guarded(monkeypatch):
    """Behind all memory of kernels' own lies some that must stay as it is."""
    guards = []

    def new_scratch(size, architecture):
        room = np.full(size + 5000, -7, architecture.dtype)
        guards.append(room[size:])
        return room[:size]

    monkeypatch.setattr(ready, "new_scratch", new_scratch)
    yield
    assert guards
    assert all((guard == -7).all() for guard in guards)


@pytest.mark.skipif(SMALL, reason="too long in plain Python")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.slow
def test_layers_whose_rows_are_set_apart_sample_by_sample(dtype):
    units = layout.FEW_PLACES // np.dtype(dtype).itemsize
    for sizes in ([3, units, 4], [units, 3, units, units, 2]):
        problem = make_problem(sizes, "cross_entropy", "relu", dtype=dtype)
        check_training(with_rule(problem, fastnn.SGD(momentum=0.9)), 1, True)
        if dtype == "float64":  # at the plain rates rounding grows
            check_training(problem, 1, True)


@pytest.mark.skipif(SMALL, reason="too long in plain Python")
@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.slow)])
@pytest.mark.usefixtures("guarded")
def test_layers_whose_rows_are_set_apart(dtype):
    units = layout.FEW_PLACES // np.dtype(dtype).itemsize
    problem = make_problem([100, units, 4], "cross_entropy", "relu", dtype=dtype, n=blocks.BLOCK)
    check_training(problem, blocks.BLOCK, True)


@pytest.mark.usefixtures("guarded")
def test_a_trainer_takes_more_samples_than_before():
    """Those taken in order stay in its workspace, which has to grow: nothing is written behind."""
    plan = contract.Plan(7, fastnn.SGD())
    problems = [
        make_problem([3, 9, 4], "cross_entropy", "relu", n=n)
        for n in ((5, 9) if SMALL else (5, 300, 40, 1000))
    ]
    trainer = engine.trainer(problems[0].architecture, plan)
    for problem in problems:
        n = len(problem.samples)
        piece = contract.Piece.of_epochs(np.full((2, 1), 0.1), orders(n, 2, False), n)
        state = contract.State.new(problem.parameters.copy(), plan.optimizer)
        trainer.run(state, problem.samples, piece)
        expected, sums = problem.train(vectors, 7, piece.order, np.full(2, 0.1))
        np.testing.assert_allclose(state.parameters, expected, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(piece.loss_sums, sums, rtol=1e-9)


@some_paths(*PATHS, fast=FAST, own=OWN)
@pytest.mark.parametrize("batch_size", [1, 5])
def test_cuts_change_no_bit(path, batch_size):
    sizes, loss, activation = PATHS[path]
    in_blocks = path in WIDE_FIRST_LAYER and batch_size == 1
    n, cuts = (150, (64, 128)) if in_blocks else (23, (5, 10, 20))
    problem = make_problem(sizes, loss, activation, n=n)
    rates = np.array([0.1, 0.3])
    order = orders(n, 2, shuffled=True)
    whole = problem.train(engine, batch_size, order, rates)
    cut = problem.train(engine, batch_size, order, rates, cuts=cuts)
    assert whole[0].tobytes() == cut[0].tobytes()
    assert whole[1].tobytes() == cut[1].tobytes()


@some_paths(*PATHS, fast=FAST, own=OWN)
@pytest.mark.parametrize("batch_size", [1, 5])
def test_records_are_what_runs_up_to_there_give(path, batch_size):
    sizes, loss, activation = PATHS[path]
    problem = make_problem(sizes, loss, activation)
    check_records(problem, batch_size, shuffled=True)
    check_records(problem, batch_size, shuffled=False)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("batch_size", [1, 5])
def test_records_with_any_rule(dtype, batch_size):
    problem = with_rule(make_problem(*PATHS["deep"], dtype=dtype), fastnn.Adam(), everything=True)
    check_records(problem, batch_size, shuffled=True)


@some_paths(*PATHS, fast=FAST[:1], own=FAST[1:])
@pytest.mark.parametrize("n", [3, 23, 200, 300])
def test_scores_of_many_vectors_are_those_of_each(path, n, monkeypatch):
    sizes, loss, activation = PATHS[path]
    problem = make_problem(sizes, loss, activation, n=n)
    architecture, samples = problem.architecture, problem.samples
    vectors = np.array([problem.parameters, 2 * problem.parameters, 0 * problem.parameters])
    evaluate = engine.evaluator(architecture, weighted=False)
    sums = engine.each_loss(architecture, False)(vectors, samples)
    assert sums.tolist() == [evaluate(vector, samples) for vector in vectors]
    predict = engine.predictor(architecture)
    values = np.full((3, n, sizes[-1]), 7.0)
    well = engine.each_output(architecture)(vectors, samples.X, values)
    assert well.tolist() == [True] * 3
    again, calls, fill = np.full_like(values, 7.0), [], forward_engine.recorded.fill

    def counted(kernel, before, some, *others):
        calls.append(len(some))
        return fill(kernel, before, some, *others)

    monkeypatch.setattr(forward_engine.recorded, "fill", counted)
    monkeypatch.setattr(forward_engine, "_vectors_at_once", lambda architecture, n_rows: 2)
    assert engine.each_output(architecture)(vectors, samples.X, again).tolist() == [True] * 3
    assert calls == [2, 1]
    assert again.tobytes() == values.tobytes()
    for value, vector in zip(values, vectors, strict=True):
        assert value.tobytes() == predict(vector, samples.X).tobytes()


def test_scores_tell_which_vectors_overflow():
    problem = make_problem(*PATHS["transposed"])
    vectors = np.array([problem.parameters, np.full_like(problem.parameters, np.nan)])
    X = problem.samples.X
    values = np.empty((2, len(X), problem.architecture.sizes[-1]))
    well = engine.each_output(problem.architecture)(vectors, X, values)
    assert well.tolist() == [True, False]


def all_results(problem, batch_size):
    """Everything the engine computes for a problem, as bytes."""
    rates = np.array([0.1, 0.3])
    parameters, sums = problem.train(engine, batch_size, orders(23, 2, True), rates)
    inputs = (problem.architecture, problem.parameters)
    loss, gradient = summed(engine, *inputs, problem.samples)
    evaluate = engine.evaluator(problem.architecture, weighted=False)
    arrays = [
        parameters,
        sums,
        engine.predictor(problem.architecture)(problem.parameters, problem.samples.X),
        *engine.layer_outputs(*inputs, problem.samples.X),
        np.array([evaluate(inputs[1], problem.samples), loss]),
        gradient,
    ]
    return [array.tobytes() for array in arrays]


@some_paths(*PATHS, fast=FAST)
@pytest.mark.parametrize("batch_size", [1, 5])
def test_what_is_in_scratch_memory_changes_no_bit(path, batch_size, monkeypatch):
    sizes, loss, activation = PATHS[path]
    problem = make_problem(sizes, loss, activation)
    results = []
    for content in (np.nan, 0.0):
        monkeypatch.setattr(
            ready, "new_scratch", lambda n, arch, c=content: np.full(n, c, arch.dtype)
        )
        results.append(all_results(problem, batch_size))
    assert results[0] == results[1]


def test_blocks_hold_the_sizes_these_tests_count_on():
    assert blocks.BLOCK == blocks.OUTPUT_BLOCKS[4] == 256
    assert blocks.OUTPUT_BLOCKS[8] == 192
    assert blocks.WIDE_INPUT <= 100
    assert wide_input.BLOCK == 64
    assert contract.GRAIN % wide_input.BLOCK == 0  # pieces begin where blocks do
