"""Single updates: `partial_fit`."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from helpers import NUMBA_SLOW, unchanged
from streaming import RULES, WEIGHTS, X, Y, bits, chunks, network, on_engines

import fastnn


def test_a_diverging_update_with_another_rate_leaves_the_schedule_where_it_was():
    schedule = fastnn.ExponentialDecay(0.1, 0.5, per="update")
    net, twin = network(), network()
    for each in (net, twin):
        for _ in range(5):
            each.partial_fit(X, Y, learning_rate=schedule)
    with pytest.raises(fastnn.TrainingDivergedError):
        net.partial_fit(X, Y * 1e200, learning_rate=0.5)
    for each in (net, twin):
        each.partial_fit(X, Y, learning_rate=schedule)
    assert bits(net) == bits(twin)


@on_engines
def test_updates_from_single_samples_are_an_epoch_of_fit(engine, rule):
    single, whole = network(engine), network(engine)
    losses = [
        single.partial_fit(x[np.newaxis], y[np.newaxis], optimizer=RULES[rule])
        for x, y in zip(X, Y, strict=True)
    ]
    history = whole.fit(X, Y, epochs=1, batch_size=1, shuffle=False, optimizer=RULES[rule])
    assert bits(single) == bits(whole)
    assert np.mean(losses) == pytest.approx(history.loss[0], rel=1e-12)


@pytest.mark.parametrize("engine", NUMBA_SLOW)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_updates_from_several_samples_are_batches_of_fit(engine, reduction):
    single = network(engine, reduction=reduction, l2=0.01, dropout=0.3)
    whole = network(engine, reduction=reduction, l2=0.01, dropout=0.3)
    losses = [single.partial_fit(*chunk, learning_rate=0.05) for chunk in chunks()]
    history = whole.fit(X, Y, epochs=1, batch_size=8, shuffle=False, learning_rate=0.05)
    np.testing.assert_allclose(single.parameters, whole.parameters, rtol=1e-12)
    assert np.mean(losses) == pytest.approx(history.loss[0], rel=1e-12)


def test_the_loss_is_that_before_the_update():
    net = network(l2=0.1)
    for chunk in chunks():
        before = net.loss_and_gradient(*chunk)[0]
        assert net.partial_fit(*chunk) == pytest.approx(before, rel=1e-12)


def test_weights_count():
    net, whole = network(), network()
    net.partial_fit(X, Y, sample_weight=WEIGHTS)
    net.partial_fit(X, Y)
    whole.fit(X, Y, epochs=1, batch_size=None, sample_weight=WEIGHTS)
    whole.fit(X, Y, epochs=1, batch_size=None)
    assert bits(net) == bits(whole)


def test_it_goes_on_with_the_last_optimiser():
    net, other = network(), network()
    for each in (net, other):
        each.fit(X, Y, epochs=1, batch_size=None, optimizer=RULES["adam"])
    net.partial_fit(X, Y)
    other.partial_fit(X, Y, optimizer=RULES["adam"])
    assert bits(net) == bits(other)


def test_an_update_that_diverges_leaves_the_optimiser_as_it_was():
    net, other = network(), network()
    for each in (net, other):
        each.fit(X, Y, epochs=1, batch_size=None, optimizer=RULES["adam"])
    with pytest.raises(fastnn.TrainingDivergedError):
        net.partial_fit(X, Y * 1e200, optimizer="sgd")
    for each in (net, other):
        each.partial_fit(X, Y)
    assert bits(net) == bits(other)


def test_changed_arguments_are_followed():
    net, other = network(), network()
    for rate, rows in [(0.1, 4), (0.1, 4), (0.2, 4), (0.2, 6), (0.1, 4)]:
        net.partial_fit(X[:rows], Y[:rows], learning_rate=rate)
        other.fit(X[:rows], Y[:rows], epochs=1, batch_size=None, learning_rate=rate)
    assert net.parameters.tobytes() == other.parameters.tobytes()
    net.fit(X, Y, epochs=1, optimizer="adam", batch_size=None)
    other.fit(X, Y, epochs=1, optimizer="adam", batch_size=None)
    net.partial_fit(X[:4], Y[:4])
    other.fit(X[:4], Y[:4], epochs=1, optimizer="adam", batch_size=None)
    assert net.parameters.tobytes() == other.parameters.tobytes()


def test_a_schedule_counts_updates():
    schedule = fastnn.StepDecay(0.8, step_size=1, factor=0.5, per="update")
    net, other = network(), network()
    for k in range(3):
        net.partial_fit(X, Y, learning_rate=schedule)
        other.partial_fit(X, Y, learning_rate=0.8 * 0.5**k)
    np.testing.assert_allclose(net.parameters, other.parameters, rtol=1e-12)


def test_a_copy_goes_on():
    net = network()
    net.partial_fit(X, Y, optimizer="adam")
    twin = pickle.loads(pickle.dumps(net))
    for each in (net, twin):
        each.partial_fit(X, Y, optimizer="adam")
    assert bits(twin) == bits(net)
    net.reset_optimizer().partial_fit(X, Y)
    assert net._state.updates == 1


@on_engines
def test_an_update_that_diverges_is_taken_back(engine, rule):
    net = network(engine)
    net.partial_fit(X[:2], Y[:2], optimizer=RULES[rule])
    before = bits(net)
    with pytest.raises(fastnn.TrainingDivergedError, match="epoch 2"):
        net.partial_fit(np.full((2, 3), 1e160), np.full((2, 2), 1e200), optimizer=RULES[rule])
    assert bits(net) == before


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (([1, 2, 3], [[1, 2]]), {}, ValueError, r"pass X.reshape\(1, -1\)"),
        ((X, Y[:3]), {}, ValueError, "y must have one entry per sample"),
        ((X, Y), {"optimizer": "lbfgs"}, ValueError, "needs all samples at once"),
        ((X, Y), {"learning_rate": -1}, ValueError, "learning_rate must be above 0"),
        ((X * np.inf, Y), {}, ValueError, "X must be finite"),
        ((X, Y), {"sample_weight": [1]}, ValueError, "sample_weight must have shape"),
    ],
)
def test_bad_arguments_of_partial_fit_are_named(arguments, options, error, message):
    net = network()
    for _ in range(2):  # before the first update, and where an update has been made ready
        with unchanged(net, net._rng), pytest.raises(error, match=message):
            net.partial_fit(*arguments, **options)
        net.partial_fit(X, Y)
