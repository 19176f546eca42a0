"""Sizes from 1 to 70 in every dimension, to meet the ends of tiles, lanes and blocks."""

import numpy as np
import pytest
from helpers import in_turn

import fastnn

#: What is varied, and a network and a number of samples with that size.
DIMENSIONS = {
    "inputs": lambda size: ([size, 5, 2], 9),
    "inputs of one output": lambda size: ([size, 5, 1], 9),
    "hidden units": lambda size: ([3, size, 2], 9),
    "hidden units of one output": lambda size: ([2, size, 1], 9),
    "units of a second layer": lambda size: ([3, 6, size, 2], 9),
    "outputs": lambda size: ([3, 5, size], 9),
    "samples": lambda size: ([3, 5, 2], size),
}
SIZES = range(1, 71)
#: In float32, of numbers around 1 after a few sums of up to 70.
CLOSE = {"float64": {"rtol": 1e-10, "atol": 1e-12}, "float32": {"rtol": 2e-3, "atol": 2e-5}}
WAYS = {
    "sample by sample": lambda net, X, Y: net.fit(X, Y, epochs=2, batch_size=1, learning_rate=0.1),
    "in batches": lambda net, X, Y: net.fit(X, Y, epochs=2, batch_size=7, learning_rate=0.1),
    "by Adam": lambda net, X, Y: net.fit(X, Y, epochs=1, batch_size=7, optimizer="adam"),
    "as many": lambda net, X, Y: fastnn.fit_many(
        [net], X, Y, epochs=2, batch_size=7, learning_rate=0.1
    ),
}


def networks(dimension, size, dtype):
    """The same network for both engines, and data."""
    sizes, n = DIMENSIONS[dimension](size)
    rng = np.random.default_rng(size)
    X, Y = rng.uniform(-1, 1, (n, sizes[0])), rng.uniform(-1, 1, (n, sizes[-1]))
    pair = [
        fastnn.Network(sizes, activation="tanh", dtype=dtype, seed=size, engine=engine)
        for engine in ("numba", "numpy")
    ]
    return *pair, X.astype(dtype), Y.astype(dtype)


@pytest.mark.slow
@in_turn("size", SIZES)
@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_training(dtype, way, dimension, size):
    ours, theirs, X, Y = networks(dimension, size, dtype)
    for net in (ours, theirs):
        WAYS[way](net, X, Y)
    np.testing.assert_allclose(ours.parameters, theirs.parameters, **CLOSE[dtype])


@pytest.mark.slow
@in_turn("size", SIZES)
@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_outputs_losses_and_gradients(dtype, dimension, size):
    ours, theirs, X, Y = networks(dimension, size, dtype)
    close = CLOSE[dtype]
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), **close)
    np.testing.assert_allclose(ours.predict(X[:1]), theirs.predict(X[:1]), **close)
    assert ours.evaluate(X, Y)["loss"] == pytest.approx(theirs.evaluate(X, Y)["loss"], rel=1e-5)
    np.testing.assert_allclose(
        ours.loss_and_gradient(X, Y)[1], theirs.loss_and_gradient(X, Y)[1], **close
    )


@pytest.mark.slow
@in_turn("n", (1, 2, 3, 4, 5, 8, 9, 16, 17, 31, 32, 33, 48, 63, 64, 65, 70))
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_lanes_of_many_networks(dtype, n):
    _, _, X, Y = networks("samples", 9, dtype)
    many, alone = (
        [fastnn.Network([3, 5, 2], activation="tanh", dtype=dtype, seed=k) for k in range(n)]
        for _ in range(2)
    )
    fastnn.fit_many(many, X, Y, epochs=2, batch_size=7, learning_rate=0.1)
    for net in alone:
        net.fit(X, Y, epochs=2, batch_size=7, learning_rate=0.1)
    for one, other in zip(many, alone, strict=True):
        np.testing.assert_allclose(one.parameters, other.parameters, **CLOSE[dtype])
