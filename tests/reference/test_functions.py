"""Activations and losses of the two reference engines, function by function."""

from __future__ import annotations

import math

import helpers
import numpy as np
import oracles
import pytest
from recipes import targets

from fastnn.activations import SELU_ALPHA, SELU_SCALE
from fastnn.losses import LOSSES
from fastnn.reference import loops_functions as loops
from fastnn.reference import vectors_functions as vectors

SIZES = [0.0, 1e-300, 1e-9, 0.3, 1.0, 2.5, 6.0, 20.0, 37.0, 40.0, 700.0]
NUMBERS = np.array([[sign * z for z in SIZES for sign in (1, -1)]])
STEP = 1e-5


def value(engine, name: str, Z: np.ndarray) -> np.ndarray:
    if engine is vectors:
        return vectors.ACTIVATIONS[name].value(Z)
    return np.array([loops.ACTIVATIONS[name].value(z) for z in Z.tolist()])


def slope(engine, name: str, Z: np.ndarray) -> np.ndarray:
    if engine is vectors:
        return vectors.ACTIVATIONS[name].slope(Z, vectors.ACTIVATIONS[name].value(Z))
    function = loops.ACTIVATIONS[name]
    return np.array([function.slope(z, function.value(z)) for z in Z.tolist()])


both = pytest.mark.parametrize("engine", [loops, vectors], ids=["loops", "vectors"])
every_activation = pytest.mark.parametrize("name", loops.ACTIVATIONS)


@both
@every_activation
def test_values(engine, name):
    expected = oracles.activate(name, NUMBERS)
    np.testing.assert_allclose(value(engine, name, NUMBERS), expected, rtol=1e-12, atol=1e-300)


@both
@every_activation
def test_slopes_are_the_slopes_of_the_values(engine, name):
    """By central differences, with sums that lie away from kinks."""
    Z = np.array([[-8.0, -1.7, -0.9, -0.1, 0.1, 0.9, 1.7, 8.0]])
    both_sides = [oracles.activate(name, Z + step) for step in (STEP, -STEP)]
    expected = (both_sides[0] - both_sides[1]) / (2 * STEP)
    np.testing.assert_allclose(slope(engine, name, Z), expected, rtol=2e-9, atol=1e-10)


@both
@pytest.mark.parametrize(
    ("name", "z", "expected"),
    [
        ("relu", 0.0, 0.0),
        ("leaky_relu", 0.0, 0.01),
        ("elu", 0.0, 1.0),
        ("selu", 0.0, SELU_SCALE * SELU_ALPHA),
        ("hard_tanh", 1.0, 0.0),
        ("hard_tanh", -1.0, 0.0),
    ],
)
def test_slopes_at_kinks_are_those_of_pytorch(engine, name, z, expected):
    assert slope(engine, name, np.array([[z]]))[0, 0] == pytest.approx(expected, rel=1e-15)


@both
@every_activation
def test_enormous_sums_give_no_exception_and_no_nan(engine, name):
    Z = np.array([[1e4, -1e4, 1e200, -1e200, math.inf]])
    with np.errstate(over="ignore", invalid="ignore"):
        a, d = value(engine, name, Z), slope(engine, name, Z[:, :4])
    assert not np.isnan(a).any()
    assert not np.isnan(d).any()


@every_activation
def test_float32_stays_float32(name):
    Z = NUMBERS[:, :12].astype(np.float32)
    assert value(vectors, name, Z).dtype == slope(vectors, name, Z).dtype == np.float32


@pytest.mark.parametrize("name", helpers.LOSSES)
@pytest.mark.parametrize("m", [1, 3])
def test_losses(name, m):
    n = 9
    Z = np.random.default_rng(m).uniform(-3, 3, (n, m))
    A = oracles.activate(LOSSES[name].output_activation, Z)
    Y = targets(name, n, m, "float64")
    expected = oracles.sample_losses(name, Z, A, Y)
    got = vectors.LOSSES[name].value(Z, A, Y)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-15)
    rows = zip(Z.tolist(), A.tolist(), Y.tolist(), strict=True)
    in_lists = [loops.LOSSES[name].value(*row) for row in rows]
    np.testing.assert_allclose(in_lists, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", helpers.LOSSES)
def test_gradients_of_losses_agree_and_are_new_arrays(name):
    n, m = 9, 3
    A = np.random.default_rng(0).uniform(0.1, 2, (n, m))
    Y = targets(name, n, m, "float64")
    A[0] = Y[0]
    function = vectors.LOSSES[name].gradient
    expected = [
        loops.LOSSES[name].gradient(a, y) for a, y in zip(A.tolist(), Y.tolist(), strict=True)
    ]
    got = function(A, Y)
    np.testing.assert_allclose(got, expected, rtol=1e-15)
    assert not np.shares_memory(got, A)
    assert not np.shares_memory(got, Y)
    assert function(A.astype(np.float32), Y.astype(np.float32)).dtype == np.float32


@both
def test_poisson_with_a_target_of_zero_is_the_rate(engine):
    z, a = np.array([[0.7]]), np.exp([[0.7]])
    if engine is vectors:
        assert vectors.LOSSES["poisson"].value(z, a, np.zeros((1, 1)))[0] == a[0, 0]
    else:
        assert loops.LOSSES["poisson"].value([0.7], [a[0, 0]], [0.0]) == a[0, 0]
