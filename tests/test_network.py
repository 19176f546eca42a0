"""What a network is and shows, apart from its training."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import oracles
import pytest
from helpers import (
    DTYPES,
    ENGINES,
    NUMBA_SLOW,
    PYTHON_SLOW,
    data_for,
    in_core,
    in_turn,
    on_engines,
    random_state,
    slow_but,
    telling_slice,
)

import fastnn
from fastnn.initializers import INITIALIZERS


def make(sizes=(2, 3, 1), **options):
    return fastnn.Network(list(sizes), **{"seed": 1, "engine": "numpy"} | options)


# Sizes and properties.


@pytest.mark.parametrize(
    ("sizes", "with_bias", "without"),
    [((1, 128, 1), 385, 256), ((3, 2), 8, 6), ((1, 1), 2, 1), ((2, 3, 4, 5), 9 + 16 + 25, 38)],
)
def test_number_of_parameters(sizes, with_bias, without):
    assert make(sizes).parameters.shape == (with_bias,)
    assert make(sizes, bias=False).parameters.shape == (without,)


def test_properties(engine):
    net = make((2, 3, 1), engine=engine, dtype="float32")
    assert net.layer_sizes == (2, 3, 1)
    assert net.dtype == np.float32
    assert net.engine == engine


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_parameters_are_one_flat_vector_of_the_dtype(dtype):
    net = make(dtype=dtype)
    assert net.parameters.dtype == dtype
    assert net.parameters.ndim == 1
    assert net.parameters.flags.c_contiguous
    assert net.parameters.flags.writeable


def test_the_flat_vector_holds_each_layers_weights_and_then_its_bias():
    net = make((2, 3, 1))
    net.set_parameters(np.arange(13))
    assert [W.tolist() for W in net.weights] == [[[0, 1, 2], [3, 4, 5]], [[9], [10], [11]]]
    assert [b.tolist() for b in net.biases] == [[6, 7, 8], [12]]


def test_the_flat_vector_without_biases():
    net = make((2, 3, 1), bias=False)
    net.set_parameters(np.arange(9))
    assert [W.tolist() for W in net.weights] == [[[0, 1, 2], [3, 4, 5]], [[6], [7], [8]]]
    assert len(net.biases) == 0


def test_weights_and_biases_are_live_views_to_write_through():
    net = make((1, 1, 1))
    net.weights[1][0, 0] = 7.0
    net.biases[0][0] = -3.0
    assert net.parameters[1] == -3.0
    assert net.parameters[2] == 7.0


def test_views_taken_before_training_show_the_trained_numbers(engine):
    net = make((1, 2, 1), engine=engine)
    vector, W, b = net.parameters, net.weights[0], net.biases[1]
    before = vector.copy()
    net.fit([0, 1], [1, 0], epochs=3, learning_rate=0.5)
    assert vector is net.parameters
    assert not np.array_equal(vector, before)
    assert np.array_equal(W, net.weights[0])
    assert np.array_equal(b, net.biases[1])
    assert b[0] != before[-1]


def test_what_is_written_to_the_parameters_is_what_predicts(engine):
    net = make((1, 1), engine=engine)
    net.parameters[:] = [2.0, 1.0]
    assert net.predict([3.0]).tolist() == [[7.0]]
    net.weights[0][:] = 10.0
    assert net.predict([3.0]).tolist() == [[31.0]]


def test_set_parameters_copies_and_hands_back_the_network():
    net = make((1, 1))
    vector = np.array([2.0, 1.0])
    assert net.set_parameters(vector) is net
    vector[0] = 99.0
    assert net.parameters.tolist() == [2.0, 1.0]


def test_set_parameters_keeps_the_vector_where_it_is():
    net = make((1, 1))
    vector = net.parameters
    net.set_parameters([2, 1])
    assert net.parameters is vector


def test_set_parameters_from_a_view_of_themselves():
    net = make((1, 1)).set_parameters([2.0, 1.0])
    assert net.set_parameters(net.parameters[::-1]).parameters.tolist() == [1.0, 2.0]


# Seeds and start weights.


def test_one_seed_gives_the_same_start():
    assert make(seed=5).parameters.tobytes() == make(seed=5).parameters.tobytes()


def test_other_seeds_give_other_starts():
    assert make(seed=5).parameters.tobytes() != make(seed=6).parameters.tobytes()


def test_no_seed_gives_another_start_each_time():
    assert make(seed=None).parameters.tobytes() != make(seed=None).parameters.tobytes()


def test_a_generator_as_seed_starts_as_its_number_does_and_is_drawn_from():
    rng = np.random.default_rng(5)
    first = make(seed=rng)
    assert first.parameters.tobytes() == make(seed=5).parameters.tobytes()
    assert make(seed=rng).parameters.tobytes() != first.parameters.tobytes()


def test_every_engine_starts_alike(engine):
    assert make(seed=5, engine=engine).parameters.tobytes() == make(seed=5).parameters.tobytes()


def test_float32_starts_at_the_rounded_numbers_of_float64():
    wide = make(seed=5).parameters
    assert make(seed=5, dtype="float32").parameters.tolist() == wide.astype(np.float32).tolist()


def test_the_seed_leaves_numpys_global_generator_alone():
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    make(seed=None)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


UNIFORM_LIMITS = {
    "glorot_uniform": lambda n_in, n_out: math.sqrt(6 / (n_in + n_out)),
    "he_uniform": lambda n_in, n_out: math.sqrt(6 / n_in),
    "uniform": lambda n_in, n_out: 1 / math.sqrt(n_in),
}
NORMAL_DEVIATIONS = {
    "glorot_normal": lambda n_in, n_out: math.sqrt(2 / (n_in + n_out)),
    "he_normal": lambda n_in, n_out: math.sqrt(2 / n_in),
}


def test_every_initializer_has_its_test():
    assert set(INITIALIZERS) == {*UNIFORM_LIMITS, *NORMAL_DEVIATIONS, "zeros"}


@pytest.mark.parametrize("name", UNIFORM_LIMITS)
def test_uniform_initializers_fill_their_range(name):
    net = make((100, 300, 20), initializer=name)
    for W in net.weights:
        limit = UNIFORM_LIMITS[name](*W.shape)
        assert 0.99 * limit < abs(W).max() <= limit
        assert W.var() == pytest.approx(limit**2 / 3, rel=0.05)
        assert abs(W.mean()) < 5 * limit / math.sqrt(3 * W.size)


@pytest.mark.parametrize("name", NORMAL_DEVIATIONS)
def test_normal_initializers_have_their_deviation(name):
    net = make((100, 300, 20), initializer=name)
    for W in net.weights:
        deviation = NORMAL_DEVIATIONS[name](*W.shape)
        assert W.std() == pytest.approx(deviation, rel=0.05)
        assert abs(W.mean()) < 5 * deviation / math.sqrt(W.size)
        assert abs(W).max() > 2.5 * deviation, "a normal distribution has tails"


@pytest.mark.parametrize("name", sorted(INITIALIZERS))
def test_biases_start_at_zero(name):
    assert all((b == 0).all() for b in make((5, 7, 3), initializer=name).biases)


def test_zeros():
    assert not make(initializer="zeros").parameters.any()


def test_layers_are_drawn_from_the_input_on():
    rng = np.random.default_rng(1)
    net = make((2, 3, 1), initializer="uniform", seed=1)
    for W in net.weights:
        limit = 1 / math.sqrt(len(W))
        assert np.array_equal(W, rng.uniform(-limit, limit, W.shape))


# Activations.


def activations_of(net):
    return [layer.activation.name for layer in net._architecture.layers]


@pytest.mark.parametrize(
    ("loss", "output"),
    [("half_squared_error", "identity"), ("squared_error", "identity"),
     ("binary_cross_entropy", "sigmoid"), ("cross_entropy", "softmax")],
)  # fmt: skip
def test_the_default_output_activation_is_the_one_the_loss_is_made_for(loss, output):
    assert activations_of(make(loss=loss)) == ["sigmoid", output]


def test_activations_may_differ_by_layer():
    net = make((1, 2, 3, 4, 1), activation=["relu", "tanh", "identity"])
    assert activations_of(net) == ["relu", "tanh", "identity", "identity"]


def test_aliases():
    assert activations_of(make(activation="logistic", output_activation="linear")) == [
        "sigmoid", "identity",
    ]  # fmt: skip


def test_a_network_without_hidden_layers_needs_no_activations():
    assert activations_of(make((2, 1), activation=[])) == ["identity"]


# Outputs.


SHAPES = [*itertools.product(ENGINES, [0, 1, 3], DTYPES)]
SHAPES_FAST = [each for each in SHAPES if each[0] != "numba" or each[2] == "float64"]


@pytest.mark.parametrize(("engine", "depth", "dtype"), slow_but(SHAPES_FAST, SHAPES))
@pytest.mark.parametrize("n", [1, 5])
def test_shapes_and_types_of_what_comes_out(engine, depth, n, dtype):
    sizes = (2, *(4, 3, 5)[:depth], 3)
    net = make(sizes, engine=engine, dtype=dtype)
    X = np.zeros((n, 2))
    outputs = net.layer_outputs(X)
    assert [a.shape for a in outputs] == [(n, m) for m in sizes[1:]]
    assert net.predict(X).shape == (n, 3)
    for array in (*outputs, net.predict(X)):
        assert array.dtype == dtype
        assert array.flags.writeable


ACTIVATION_PAIRS = list(
    itertools.product(
        ["identity", "sigmoid", "tanh", "relu"],
        ["identity", "sigmoid", "tanh", "relu", "softmax"],
    )
)


@pytest.mark.parametrize(
    ("engine", "activation", "output"),
    [
        pytest.param(
            engine, *pair,
            marks=[pytest.mark.slow] if engine == "numba" and pair not in few else [],
        )
        for few in [[("sigmoid", "identity"), ("relu", "softmax")]]
        for engine in ENGINES
        for pair in ACTIVATION_PAIRS
    ],
)  # fmt: skip
def test_layer_outputs_are_what_the_formulas_say(engine, activation, output):
    loss = "cross_entropy" if output == "softmax" else "squared_error"
    net = make((2, 4, 3), activation=activation, output_activation=output, loss=loss, engine=engine)
    net.set_parameters(np.random.default_rng(0).normal(size=net.parameters.size))
    X, _ = data_for("squared_error", 20, 2, 3)
    _, expected = oracles.forward(net.weights, net.biases, [activation, output], X)
    for got, wanted in zip(net.layer_outputs(X), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-14)


def test_predict_is_the_last_layers_output(engine):
    net = make((2, 4, 3, 2), engine=engine)
    X, _ = data_for("squared_error", 300, 2, 2)
    assert net.predict(X).tobytes() == net.layer_outputs(X)[-1].tobytes()


def test_a_sample_is_predicted_alike_alone_and_among_others(engine):
    net = make((2, 4, 3), engine=engine)
    X, _ = data_for("squared_error", 300, 2, 3)
    together = net.predict(X)
    for i in (0, 7, 63, 64, 255, 256, 299):
        np.testing.assert_allclose(net.predict(X[i : i + 1])[0], together[i], rtol=1e-13)


@pytest.mark.parametrize("engine", PYTHON_SLOW)
def test_many_threads_may_predict_with_one_network(engine):
    net = make((2, 9, 3), engine=engine)
    X, _ = data_for("squared_error", 40, 2, 3)
    pieces = [X[: 1 + k % 40].copy() for k in range(400)]
    expected = [net.predict(piece).tobytes() for piece in pieces]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda piece: net.predict(piece).tobytes(), pieces))
    assert together == expected


def test_results_are_new_arrays_each_time(engine):
    net = make((2, 3, 1), engine=engine)
    X, y = data_for("squared_error", 4, 2, 1)
    pairs = [
        (net.predict(X), net.predict(X)),
        (net.layer_outputs(X)[0], net.layer_outputs(X)[0]),
        (net.loss_and_gradient(X, y)[1], net.loss_and_gradient(X, y)[1]),
    ]
    for first, second in pairs:
        assert not np.shares_memory(first, second)
        assert not np.shares_memory(first, net.parameters)


def test_looking_changes_nothing(engine):
    rng = np.random.default_rng(3)
    net = make((2, 3, 1), engine=engine, seed=rng)
    X, y = data_for("squared_error", 4, 2, 1)
    before = net.parameters.tobytes(), random_state(rng)
    net.predict(X), net.layer_outputs(X), net.evaluate(X, y), net.loss_and_gradient(X, y)
    net.summary(), repr(net)
    assert (net.parameters.tobytes(), random_state(rng)) == before


# Loss and metrics.


@on_engines(telling_slice(("float64",)), with_numba=in_core)
@in_turn("reduction", ["mean", "sum"])
@pytest.mark.parametrize("sizes", slow_but([[1, 7, 65]], [[1, 7, 65], [1100]]), ids=str)
def test_evaluate_gives_the_loss_of_the_definition(engine, case, reduction, sizes):
    net = case.network(engine, reduction=reduction)
    for X, Y in map(case.data, sizes):
        Zs, outputs = oracles.forward(net.weights, net.biases, activations_of(net), X)
        each = oracles.sample_losses(case.loss, Zs[-1], outputs[-1], Y)
        expected = getattr(each, reduction)()
        result = net.evaluate(X, Y)
        assert type(result["loss"]) is float
        assert result["loss"] == pytest.approx(expected, rel=1e-11)
        assert net.loss_and_gradient(X, Y)[0] == pytest.approx(expected, rel=1e-11)


def fixed(loss, vector, sizes=(1, 1), engine="numpy"):
    return make(sizes, loss=loss, engine=engine).set_parameters(vector)


def test_binary_accuracy():
    net = fixed("binary_cross_entropy", [1.0, 0.0])  # says 1 for positive x
    result = net.evaluate([-2.0, -1.0, 1.0, 2.0], [0, 1, 1, 1])
    assert result.keys() == {"loss", "accuracy"}
    assert result["accuracy"] == 0.75


def test_binary_accuracy_counts_every_output():
    net = fixed("binary_cross_entropy", [1.0, -1.0, 0.0, 0.0], (1, 2))
    assert net.evaluate([[1.0], [-1.0]], [[1, 0], [0, 0]])["accuracy"] == 0.75


def test_class_accuracy():
    net = fixed("cross_entropy", [1.0, -1.0, 0.0, 0.0], (1, 2))  # class 0 for positive x
    result = net.evaluate([3.0, 2.0, 1.0, -1.0, -2.0], [0, 0, 1, 1, 0])
    assert result.keys() == {"loss", "accuracy"}
    assert result["accuracy"] == 0.6


@pytest.mark.parametrize("loss", ["half_squared_error", "squared_error"])
def test_r2(loss):
    result = fixed(loss, [1.0, 0.0]).evaluate([0, 1, 2, 3], [0, 1, 2, 7])
    assert result.keys() == {"loss", "r2"}
    assert result["r2"] == pytest.approx(1 - 16 / 29)  # mean 2.5; 6.25 + 2.25 + 0.25 + 20.25


def test_r2_is_the_mean_over_outputs():
    net = fixed("squared_error", [1.0, 1.0, 0.0, 0.0], (1, 2))
    r2 = net.evaluate([0, 1], [[0, 1], [1, 0]])["r2"]
    assert r2 == pytest.approx((1 + (1 - 2 / 0.5)) / 2)


def test_r2_of_constant_targets():
    net = fixed("squared_error", [0.0, 5.0])
    assert net.evaluate([0, 1], [5, 5])["r2"] == 1.0
    assert net.evaluate([0, 1], [4, 4])["r2"] == 0.0


@pytest.mark.parametrize(
    ("engine", "loss"),
    [*((engine, "half_squared_error") for engine in ENGINES),
     ("python", "squared_error"), ("numpy", "squared_error")],
)  # fmt: skip
def test_a_loss_too_large_for_a_float_is_infinite(engine, loss):
    net = fixed(loss, [1e200, 0.0], engine=engine)
    assert net.evaluate([1.0, 2.0], [0.0, 1.0])["loss"] == math.inf
    loss_value, gradient = net.loss_and_gradient([1.0, 2.0], [0.0, 1.0])
    assert loss_value == math.inf
    assert np.isfinite(gradient).all()


def test_loss_and_gradient_of_ready_arrays_is_that_of_lists_to_the_bit(engine):
    net = make((2, 3, 1), engine=engine)
    X, y = data_for("squared_error", 4, 2, 1)
    for n in (4, 2, 4):  # what is kept from a call is for its number of rows
        rows, targets = X[:n], y[:n]
        loss_value, gradient = net.loss_and_gradient(rows.copy(), targets.copy())
        expected, expected_gradient = net.loss_and_gradient(rows.tolist(), targets.tolist())
        assert loss_value == expected
        np.testing.assert_array_equal(gradient, expected_gradient)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("of", ["X", "y"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_loss_and_gradient_find_in_ready_arrays_what_is_not_finite(activation, of, number):
    net = make((2, 3, 1), activation=activation)
    net.weights[-1][:] = 0.0  # so that nothing goes back to the first layer
    bad = dict(zip("Xy", map(np.array, data_for("squared_error", 4, 2, 1)), strict=True))
    bad[of][0, 0] = number
    with pytest.raises(ValueError, match=f"{of} must be finite"):
        net.loss_and_gradient(bad["X"], bad["y"])


# Text and copies.


def test_summary_shows_layers_parameters_and_bytes():
    text = make((1, 128, 1), activation="tanh", loss="binary_cross_entropy").summary()
    lines = text.splitlines()
    for label, cells in {
        "input": ["(n, 1)"],
        "hidden 1": ["tanh", "(n, 128)", "128", "256"],
        "output": ["sigmoid", "(n, 1)", "128", "1", "129"],
    }.items():
        (line,) = [line for line in lines if label in line and "(n, " in line]
        assert {cell.strip() for cell in line.split("│")} >= set(cells)
    assert "385" in text
    assert f"{385 * 8:,} bytes" in text
    assert "binary_cross_entropy" in text


def test_summary_without_biases_in_float32():
    text = make((3, 4, 2), bias=False, dtype="float32").summary()
    assert "20 (80 bytes, float32)" in text
    assert max(map(len, text.splitlines())) <= 100


def test_repr_tells_what_the_network_is():
    text = repr(make((1, 128, 1), activation="tanh", reduction="sum", dtype="float32", bias=False))
    for part in ("Network([1, 128, 1]", "['tanh', 'identity']", "'half_squared_error'", "'sum'",
                 "bias=False", "'float32'", "'numpy'"):  # fmt: skip
        assert part in text


COPIES = {
    "pickle": lambda net: pickle.loads(pickle.dumps(net)),
    "deepcopy": copy.deepcopy,
    "pickle, oldest protocol": lambda net: pickle.loads(pickle.dumps(net, protocol=2)),
}


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_is_the_same_network_and_trains_to_the_same_bits(engine, how):
    X, y = data_for("squared_error", 20, 2, 1)
    net = make((2, 3, 1), engine=engine)
    net.fit(X, y, epochs=2, batch_size=3)
    twin = COPIES[how](net)
    assert repr(twin) == repr(net)
    assert twin.predict(X).tobytes() == net.predict(X).tobytes()
    for each in (net, twin):
        each.fit(X, y, epochs=3, batch_size=3)
    assert twin.parameters.tobytes() == net.parameters.tobytes()


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_predicts_in_the_short_way_too(how, monkeypatch):
    twin = COPIES[how](make((2, 3, 1)))
    monkeypatch.setattr(twin._inputs, "features", None)  # the long way
    assert twin.predict(np.zeros((1, 2))).shape == (1, 1)


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_lives_its_own_life(how):
    net = make()
    twin = COPIES[how](net)
    before = net.parameters.tobytes()
    twin.fit([[0.0, 1.0]], [5.0], epochs=3)
    twin.weights[0][:] = 9.0
    assert twin.parameters[0] == 9.0
    assert net.parameters.tobytes() == before


@pytest.mark.parametrize("engine", NUMBA_SLOW)
def test_results_too_large_for_float32_are_infinite_without_a_warning(engine):
    """pytest makes errors of warnings."""
    net = fastnn.Network([1, 1], dtype="float32", engine=engine)
    net.set_parameters(np.array([3e38, 0], np.float32))
    assert net.predict([[10.0]]) == net.layer_outputs([[10.0]])[0] == np.inf
    assert np.isinf(net.loss_and_gradient([[10.0]], [[1.0]])[1]).all()
