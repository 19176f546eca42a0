"""Penalties, max-norm, dropout and label smoothing, from the constructor to the results."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import NUMBA_SLOW, data_for, random_state

import fastnn

X, Y = data_for("squared_error", 10, 3, 2)
CLASSES = np.arange(10) % 2
BITS = (np.arange(20).reshape(10, 2) % 3 == 0).astype(float)


def network(engine="numpy", **options):
    net = fastnn.Network([3, 4, 2], engine=engine, **{"seed": 7, **options})
    for b in net.biases:
        b[:] = 0.5
    return net


def penalty(net, l1, l2):
    flat = np.concatenate([W.ravel() for W in net.weights]).astype(float)
    return l1 * abs(flat).sum() + 0.5 * l2 * (flat**2).sum()


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_loss_has_the_penalties_of_weights_not_of_biases(engine, reduction):
    plain = network(engine, reduction=reduction)
    net = network(engine, reduction=reduction, l1=0.1, l2=0.3)
    expected = plain.loss_and_gradient(X, Y)[0] + penalty(net, 0.1, 0.3)
    assert net.loss_and_gradient(X, Y)[0] == pytest.approx(expected, rel=1e-12)
    assert net.evaluate(X, Y)["loss"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("penalties", [{"l1": 0.1}, {"l2": 0.3}, {"l1": 0.1, "l2": 0.3}], ids=str)
def test_the_gradient_is_the_slope_of_the_loss_with_penalties(engine, reduction, penalties):
    net = network(engine, reduction=reduction, **penalties)
    gradient = net.loss_and_gradient(X, Y)[1]
    slopes = np.empty_like(gradient)
    for k, value in enumerate(net.parameters.copy()):
        net.parameters[k] = value + 1e-5
        above = net.loss_and_gradient(X, Y)[0]
        net.parameters[k] = value - 1e-5
        slopes[k] = (above - net.loss_and_gradient(X, Y)[0]) / 2e-5
        net.parameters[k] = value
    np.testing.assert_allclose(gradient, slopes, rtol=0, atol=1e-7)


@pytest.mark.parametrize("engine", NUMBA_SLOW)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_step_goes_down_the_gradient_with_penalties(engine, reduction):
    net = network(engine, reduction=reduction, l1=0.01, l2=0.03)
    loss, gradient = net.loss_and_gradient(X, Y)
    expected = net.parameters - 0.1 * gradient
    history = net.fit(X, Y, epochs=1, batch_size=None, learning_rate=0.1)
    np.testing.assert_allclose(net.parameters, expected, rtol=1e-12)
    assert history.loss == [pytest.approx(loss, rel=1e-12)]


def test_the_validation_loss_has_the_penalties():
    net = network(l1=0.01, l2=0.03)
    history = net.fit(X, Y, epochs=1, validation_data=(X[:4], Y[:4]))
    assert history.val_loss == [net.evaluate(X[:4], Y[:4])["loss"]]


def test_the_gradient_of_float32_is_float32():
    net = network(dtype="float32", l1=0.1, l2=0.1)
    assert net.loss_and_gradient(X, Y)[1].dtype == np.float32


@pytest.mark.parametrize("engine", NUMBA_SLOW)
def test_max_norm_holds_after_training(engine):
    net = network(engine, max_norm=0.4)
    net.fit(X, Y, epochs=5, batch_size=3, learning_rate=0.5)
    norms = np.concatenate([np.linalg.norm(W, axis=0) for W in net.weights])
    assert norms.max() == pytest.approx(0.4)


@pytest.mark.parametrize("engine", NUMBA_SLOW)
def test_limits_hold_for_numbers_whose_squares_float32_does_not_hold(engine):
    net = network(engine=engine, dtype="float32", max_norm=2.0)
    net.weights[0][:] = -3e19
    net.fit(X * 1e-30, Y, epochs=1, learning_rate=1e-9)
    norms = np.linalg.norm(net.weights[0].astype(np.float64), axis=0)
    np.testing.assert_allclose(norms, 2.0, rtol=1e-6)
    net = fastnn.Network([1, 1], seed=0, dtype="float32", engine=engine)
    before = net.parameters.copy()
    net.fit([[1e15]], [[1e10]], epochs=1, optimizer=fastnn.SGD(0.1, clip_norm=1.0))
    assert np.linalg.norm(net.parameters - before) == pytest.approx(0.1, rel=1e-5)


def test_dropout_and_its_key_change_neither_start_weights_nor_shuffles():
    plain, net = network(), network(dropout=0.5)
    assert net.parameters.tobytes() == plain.parameters.tobytes()
    assert random_state(net._rng) == random_state(plain._rng)


def test_the_key_for_dropout_is_the_seeds():
    keys = [network(dropout=0.5, seed=seed)._dropout_key for seed in (1, 1, 2)]
    assert keys[0] == keys[1] != keys[2]
    assert network(seed=1)._dropout_key == 0  # nobody asks for it


def test_two_networks_from_one_generator_have_different_keys():
    rng = np.random.default_rng(1)
    keys = {network(dropout=0.5, seed=rng)._dropout_key for _ in range(3)}
    assert len(keys) == 3


@pytest.mark.parametrize("engine", ["python", "numpy"])
def test_dropout_goes_on_over_calls_of_fit(engine):
    once, twice = network(engine, dropout=0.5), network(engine, dropout=0.5)
    once.fit(X, Y, epochs=4, batch_size=3, learning_rate=0.1)
    for _ in range(2):
        twice.fit(X, Y, epochs=2, batch_size=3, learning_rate=0.1)
    assert once.parameters.tobytes() == twice.parameters.tobytes()


def test_dropout_is_off_in_all_but_training():
    plain, net = network(), network(dropout=[0.5])
    assert net.predict(X).tobytes() == plain.predict(X).tobytes()
    assert net.evaluate(X, Y) == plain.evaluate(X, Y)
    assert net.loss_and_gradient(X, Y)[0] == plain.loss_and_gradient(X, Y)[0]
    net.fit(X, Y, epochs=1)
    plain.fit(X, Y, epochs=1)
    assert net.parameters.tobytes() != plain.parameters.tobytes()


@pytest.mark.parametrize("engine", NUMBA_SLOW)
@pytest.mark.parametrize(
    ("loss", "y", "smoothed"),
    [
        ("cross_entropy", np.eye(2)[CLASSES], 0.8 * np.eye(2)[CLASSES] + 0.2 / 2),
        ("binary_cross_entropy", BITS, 0.8 * BITS + 0.2 / 2),
    ],
)
def test_label_smoothing_is_the_loss_of_smoothed_targets(engine, loss, y, smoothed):
    net = network(engine, loss=loss, label_smoothing=0.2)
    by_hand = network(engine, loss=loss)
    assert net.evaluate(X, y)["loss"] == pytest.approx(by_hand.evaluate(X, smoothed)["loss"])
    np.testing.assert_allclose(
        net.loss_and_gradient(X, y)[1], by_hand.loss_and_gradient(X, smoothed)[1]
    )
    options = {"epochs": 3, "learning_rate": 0.5, "batch_size": 4}
    ours = net.fit(X, y, validation_data=(X, y), **options)
    theirs = by_hand.fit(X, smoothed, validation_data=(X, smoothed), **options)
    np.testing.assert_allclose(net.parameters, by_hand.parameters, rtol=1e-12)
    np.testing.assert_allclose(ours.val_loss, theirs.val_loss, rtol=1e-12)


def test_three_classes_are_smoothed_over_three():
    net = fastnn.Network([3, 3], loss="cross_entropy", label_smoothing=0.3, engine="numpy")
    net.parameters[:] = 0
    net.weights[0][0, 0] = 1.0
    y = np.array([0])
    expected = 0.8 * -np.log(np.e / (np.e + 2)) + 0.2 * -np.log(1 / (np.e + 2))
    assert net.evaluate([[1, 0, 0]], y)["loss"] == pytest.approx(expected, rel=1e-12)


def test_metrics_take_the_targets_as_they_are():
    seen = []

    def look(targets, outputs):
        seen.append(targets.copy())
        return 0.0

    net = network(loss="binary_cross_entropy", label_smoothing=0.2)
    net.fit(X, BITS, epochs=1, metrics=[look])
    net.evaluate(X, BITS, metrics=[look])
    assert len(seen) == 2
    for targets in seen:
        np.testing.assert_array_equal(targets, BITS)


def test_reset_optimizer_forgets_moments_and_updates():
    net = network()
    net.fit(X, Y, optimizer="adam", epochs=3)
    start = network().set_parameters(net.parameters)
    start._rng.bit_generator.state = net._rng.bit_generator.state
    assert net.reset_optimizer() is net
    for each in (net, start):
        each.fit(X, Y, epochs=1, optimizer="adam")
    assert net.parameters.tobytes() == start.parameters.tobytes()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"l1": -1}, ValueError, "l1 must be at least 0, got -1"),
        ({"l2": "a"}, TypeError, "l2 must be a number"),
        ({"l2": np.inf}, ValueError, "l2 must be finite"),
        ({"max_norm": 0}, ValueError, "max_norm must be above 0, got 0"),
        ({"dropout": 1.0}, ValueError, "dropout must be at least 0 and below 1, got 1.0"),
        ({"dropout": [0.1, 0.1]}, ValueError, r"one per hidden layer \(1\), got 2"),
        ({"dropout": [-0.1]}, ValueError, r"dropout\[0\] must be at least 0"),
        ({"dropout": "half"}, TypeError, "dropout must be a number"),
        ({"label_smoothing": 1.0, "loss": "cross_entropy"}, ValueError, "label_smoothing must"),
        ({"label_smoothing": 0.1}, ValueError, "label_smoothing=0.1 needs loss 'cross_entropy'"),
    ],
)
def test_bad_settings_are_named(options, error, message):
    with pytest.raises(error, match=message):
        network(**options)
