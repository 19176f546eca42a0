"""What a network computes: outputs, losses and metrics."""

from __future__ import annotations

import itertools
import math
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


def make(sizes=(2, 3, 1), **options):
    return fastnn.Network(list(sizes), **{"seed": 1, "engine": "numpy"} | options)


def activations_of(net):
    return [layer.activation.name for layer in net._architecture.layers]


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


@pytest.mark.parametrize("engine", NUMBA_SLOW)
def test_results_too_large_for_float32_are_infinite_without_a_warning(engine):
    """pytest makes errors of warnings."""
    net = fastnn.Network([1, 1], dtype="float32", engine=engine)
    net.set_parameters(np.array([3e38, 0], np.float32))
    assert net.predict([[10.0]]) == net.layer_outputs([[10.0]])[0] == np.inf
    assert np.isinf(net.loss_and_gradient([[10.0]], [[1.0]])[1]).all()
