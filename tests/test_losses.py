"""The losses' values: by hand, and where logits are extreme."""

from __future__ import annotations

import itertools
import math

import numpy as np
import oracles
import pytest
from helpers import DISTRIBUTIONS, ENGINES, LOSSES, NUMBA_SLOW, slow_but

import fastnn
from fastnn import losses

BCE, CE = "binary_cross_entropy", "cross_entropy"
#: What numba meets in the slower pass only.
LATER = ("squared_error", BCE, CE, "absolute_error", "huber", "poisson", "hinge")


def loss_at(engine: str, loss: str, outputs, targets, dtype="float64", **options):
    """Loss and gradient with respect to the weighted sums, which are *outputs*: one sample.

    The sums are the biases of a network whose only input is 0, so any number can be one.
    """
    m = len(outputs)
    net = fastnn.Network([1, m], loss=loss, engine=engine, dtype=dtype, **options)
    net.set_parameters([1.0] * m + list(outputs))
    value, gradient = net.loss_and_gradient([0.0], [targets])
    assert net.evaluate([0.0], [targets])["loss"] == pytest.approx(value, rel=1e-6)
    return value, gradient[m:]


# Values and gradients by hand; (loss, z, y, loss value, gradient with respect to z)
BY_HAND = [
    ("half_squared_error", [3.0], [1.0], 2.0, [2.0]),
    ("half_squared_error", [3.0, -1.0], [1.0, 0.0], 2.5, [2.0, -1.0]),
    ("squared_error", [3.0], [1.0], 4.0, [4.0]),
    ("squared_error", [3.0, -1.0], [1.0, 0.0], 2.5, [2.0, -1.0]),
    ("squared_error", [3.0, -1.0, 2.0], [0.0, 0.0, 0.0], 14 / 3, [2.0, -2 / 3, 4 / 3]),
    (BCE, [0.0], [1.0], math.log(2), [-0.5]),
    (BCE, [0.0], [0.0], math.log(2), [0.5]),
    (BCE, [math.log(3)], [1.0], math.log(4 / 3), [-0.25]),
    (BCE, [math.log(3)], [0.25], 0.25 * math.log(4 / 3) + 0.75 * math.log(4), [0.5]),
    (BCE, [0.0, math.log(3)], [1.0, 0.0], (math.log(2) + math.log(4)) / 2, [-0.25, 0.375]),
    (CE, [0.0, 0.0], [1.0, 0.0], math.log(2), [-0.5, 0.5]),
    (CE, [math.log(2), 0.0, 0.0], [0.0, 1.0, 0.0], math.log(4), [0.5, -0.75, 0.25]),
    (CE, [0.0, 0.0], [0.25, 0.75], math.log(2), [0.25, -0.25]),
    (CE, [5.0], [1.0], 0.0, [0.0]),
    ("absolute_error", [3.0], [1.0], 2.0, [1.0]),
    ("absolute_error", [3.0, -1.0, 2.0], [1.0, 0.0, 2.0], 1.0, [1 / 3, -1 / 3, 0.0]),
    ("huber", [3.0], [1.0], 1.5, [1.0]),
    ("huber", [0.5, -3.0, 2.0], [1.0, 0.0, 1.0], 3.125 / 3, [-0.5 / 3, -1 / 3, 1 / 3]),
    ("poisson", [math.log(3)], [0.0], 3.0, [3.0]),
    ("poisson", [math.log(3)], [3.0], 0.0, [0.0]),
    ("poisson", [0.0, math.log(2)], [2.0, 1.0], math.log(4) / 2 - math.log(2) / 2, [-0.5, 0.5]),
    ("hinge", [0.25], [1.0], 0.75, [-1.0]),
    ("hinge", [0.25, 2.0, 1.0], [-1.0, 1.0, 1.0], 1.25 / 3, [1 / 3, 0.0, 0.0]),
]


def on_engines(cases: list[tuple], engines=ENGINES):
    """Cases begin with a loss; each of the later ones is two more compilations for numba."""
    return [
        pytest.param(
            engine, *case,
            marks=[pytest.mark.slow] if engine == "numba" and case[0] in LATER else [],
        )
        for engine in engines
        for case in cases
    ]  # fmt: skip


@pytest.mark.parametrize(("engine", "loss", "z", "y", "value", "gradient"), on_engines(BY_HAND))
def test_values_and_gradients_by_hand(engine, loss, z, y, value, gradient):
    got, slope = loss_at(engine, loss, z, y)
    # The kernels' exp and log are right to 2e-14, and what is small may be their difference.
    assert got == pytest.approx(value, rel=1e-13, abs=1e-13)
    assert slope == pytest.approx(gradient, rel=1e-13, abs=1e-13)


def test_every_loss_is_computed_by_hand():
    assert {loss for loss, *_ in BY_HAND} == set(LOSSES)
    assert {*LOSSES, *DISTRIBUTIONS} == set(losses.LOSSES)


EXTREMES = [0.0, 1e-300, 1.0, 20.0, 36.8, 40.0, 87.0, 89.0, 104.0, 708.0, 710.0, 745.2, 1e3, 1e30]
SIGNED = [sign * z for z in EXTREMES for sign in (1, -1)]


ENGINE_DTYPES = [*itertools.product(ENGINES, ("float64", "float32"))]
#: numba compiles for each loss and dtype.
WITHOUT_NUMBA = [point for point in ENGINE_DTYPES if point[0] != "numba"]


@pytest.mark.parametrize("y", [0.0, 1.0, 0.5])
@pytest.mark.parametrize(("engine", "dtype"), slow_but(WITHOUT_NUMBA, ENGINE_DTYPES))
def test_binary_cross_entropy_of_extreme_logits(engine, dtype, y):
    rounding = 4 * float(np.finfo(dtype).eps)
    for z in SIGNED:
        z = float(np.dtype(dtype).type(z))
        value, gradient = loss_at(engine, BCE, [z], [y], dtype)
        exact = oracles.sample_losses(BCE, np.array([[z]]), None, np.array([[y]]))[0]
        assert math.isfinite(value), z
        assert value >= 0, z
        assert value == pytest.approx(exact, rel=8 * rounding, abs=rounding * max(1, abs(z))), z
        assert gradient[0] == pytest.approx(oracles.expit(z) - y, rel=1e-5, abs=rounding), z


@pytest.mark.parametrize("engine", NUMBA_SLOW)
def test_a_small_binary_cross_entropy_is_not_rounded_to_zero(engine):
    """log(1 + e^-40) is e^-40, though 1 + e^-40 is 1."""
    for z, y in ((40.0, 1.0), (-40.0, 0.0)):
        assert loss_at(engine, BCE, [z], [y])[0] == pytest.approx(math.exp(-40), rel=1e-9, abs=0)


@pytest.mark.parametrize(("engine", "dtype"), slow_but(WITHOUT_NUMBA, ENGINE_DTYPES))
def test_cross_entropy_of_extreme_logits(engine, dtype):
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    for z in SIGNED:
        sums = np.array([z, -z, 0.0], dtype)
        for y in np.eye(3):
            value, gradient = loss_at(engine, CE, sums, y, dtype)
            exact = oracles.sample_losses(CE, sums[None].astype(float), None, y[None])[0]
            softmax = oracles.activate("softmax", sums[None].astype(float))[0]
            assert math.isfinite(value), z
            assert value >= 0, z
            assert value == pytest.approx(exact, rel=tolerance, abs=tolerance), z
            assert gradient == pytest.approx(softmax - y, rel=1e-4, abs=tolerance), z


@pytest.mark.parametrize("engine", NUMBA_SLOW)
def test_adding_a_number_to_all_logits_changes_no_cross_entropy(engine):
    for shift in (-1e4, 0.0, 1e4):
        value, gradient = loss_at(engine, CE, [1.0 + shift, shift, -1.0 + shift], [0, 1, 0])
        assert value == pytest.approx(math.log(1 + math.e + 1 / math.e), rel=1e-12)
        assert gradient.sum() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("engine", NUMBA_SLOW)
@pytest.mark.parametrize("loss", [BCE, CE])
def test_training_from_saturated_outputs_stays_finite(engine, loss):
    """The wrong class with all certainty: the gradient is 1 and not 0, and no logarithm is of 0."""
    m = 1 if loss == BCE else 2
    net = fastnn.Network([1, m], loss=loss, engine=engine)
    net.set_parameters([0.0] * m + [1000.0, -1000.0][:m])
    target = [0.0] if loss == BCE else [1]
    history = net.fit([0.0], target, epochs=3, learning_rate=1.0, batch_size=None)
    expected = [1000.0, 999.0, 998.0] if loss == BCE else [2000.0, 1998.0, 1996.0]
    assert history.loss == pytest.approx(expected, rel=1e-12)


FAR = [
    ("absolute_error", 1e30, 0.0, 1e30, 1.0),
    ("absolute_error", -1e30, 0.0, 1e30, -1.0),
    ("huber", 1e30, 0.0, 1e30, 1.0),
    ("huber", -1e30, 0.0, 1e30, -1.0),
    ("poisson", -1e4, 0.0, 0.0, 0.0),
    ("poisson", -1e4, 1.0, 1e4 - 1, -1.0),
    ("hinge", -1e30, 1.0, 1e30, -1.0),
    ("hinge", 1e30, 1.0, 0.0, 0.0),
]


@pytest.mark.parametrize(("engine", "loss", "z", "y", "value", "gradient"), on_engines(FAR))
def test_losses_far_from_their_targets(engine, loss, z, y, value, gradient):
    got, slope = loss_at(engine, loss, [z], [y])
    assert got == pytest.approx(value, rel=1e-14)
    assert slope[0] == gradient


def test_poisson_is_half_of_scikit_learns_deviance():
    metrics = pytest.importorskip("sklearn.metrics")
    z, y = [0.3, -1.0, 2.0], [0.0, 1.0, 5.0]
    expected = metrics.mean_poisson_deviance(y, np.exp(z)) / 2
    assert loss_at("numpy", "poisson", z, y)[0] == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_is_zero_where_outputs_meet_their_targets(loss):
    z = [1.3, 1.3]
    others = {BCE: [oracles.expit(1.3)] * 2, CE: [0.5, 0.5], "hinge": [1.0, 1.0],
              "poisson": np.exp(z)}  # fmt: skip
    y = others.get(loss, z)
    assert loss_at("numpy", loss, z, y)[1] == pytest.approx([0.0, 0.0], abs=1e-15)
