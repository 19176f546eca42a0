"""Targets that are not there: NaN with ``missing="ignore"``."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from helpers import ENGINES, data_for, slow_but

import fastnn

NAN = np.nan
LOSSES = ("half_squared_error", "squared_error", "binary_cross_entropy", "absolute_error",
          "huber", "poisson", "hinge")  # fmt: skip


def network(loss="half_squared_error", sizes=(2, 4, 3), engine="numpy", **options):
    return fastnn.Network(sizes, loss=loss, missing="ignore", engine=engine, seed=0, **options)


def data(loss="half_squared_error", n=10, n_out=3):
    """Inputs, whole targets, and which of them are there: of the last sample none."""
    X, Y = data_for(loss, n, 2, n_out)
    there = np.random.default_rng(1).random(Y.shape) > 0.3
    there[-1] = False
    return X, Y, there


def holes(Y, there):
    return np.where(there, Y, NAN)


def by_hand(net, X, Y, there):
    """The loss of one sample after another and one output after another, and its gradient."""
    n_in, n_hidden, n_out = net.layer_sizes
    total, gradient = 0.0, np.zeros_like(net.parameters)
    single = fastnn.Network([n_in, n_hidden, 1], loss=net.loss, engine="numpy")
    places = net.copy()
    places.parameters[:] = np.arange(len(net.parameters))
    for s, j in zip(*np.nonzero(there), strict=True):
        where = np.concatenate([
            places.weights[0].ravel(), places.biases[0], places.weights[1][:, j],
            places.biases[1][[j]],
        ]).astype(int)  # fmt: skip
        single.parameters[:] = net.parameters[where]
        loss, slope = single.loss_and_gradient(X[[s]], Y[[s]][:, [j]])
        share = (1 if net.loss == "half_squared_error" else 1 / n_out) / len(X)
        total += share * loss
        gradient[where] += share * slope
    return total, gradient


@pytest.mark.parametrize("loss", LOSSES)
def test_loss_and_gradient_are_those_of_the_targets_that_are_there(loss):
    net = network(loss)
    X, Y, there = data(loss)
    found = net.loss_and_gradient(X, holes(Y, there))
    expected = by_hand(net, X, Y, there)
    assert found[0] == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-10, atol=1e-14)
    assert net.evaluate(X, holes(Y, there))["loss"] == pytest.approx(expected[0], rel=1e-12)


@pytest.mark.parametrize(
    ("engine", "batch_size"),
    slow_but([("python", 1), ("python", 4)], product(ENGINES[::2], [1, 4])),
)
def test_the_engines_agree(engine, batch_size):
    X, Y, there = data()
    parameters = []
    for one in ("numpy", engine):
        net = network(engine=one)
        history = net.fit(X, holes(Y, there), epochs=3, batch_size=batch_size, learning_rate=0.1)
        assert np.isfinite(history.loss).all()
        parameters.append(net.parameters)
    np.testing.assert_allclose(parameters[1], parameters[0], rtol=1e-10, atol=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("batch_size", [1, 4])
def test_the_engines_agree_on_all_losses(loss, batch_size):
    """In networks of each depth in turn."""
    sizes = [(2, 5, 1), (2, 3), (2, 4, 4, 2)][(LOSSES.index(loss) + batch_size) % 3]
    X, Y, there = data(loss, 20, sizes[-1])
    parameters = []
    for engine in ENGINES:
        net = network(loss, sizes, engine)
        net.fit(X, holes(Y, there), epochs=3, batch_size=batch_size, learning_rate=0.1)
        net.learn_one(X[0], holes(Y, there)[0])
        parameters.append([*net.parameters, net.evaluate(X, holes(Y, there))["loss"]])
    for other in parameters[1:]:
        np.testing.assert_allclose(other, parameters[0], rtol=1e-9, atol=1e-12)


def test_a_sample_without_target_moves_nothing_and_counts():
    X, Y, _ = data(n_out=1)
    net, other = network(sizes=(2, 4, 1)), network(sizes=(2, 4, 1))
    y = Y.copy()
    y[3] = NAN
    net.fit(X, y, epochs=1, batch_size=len(X), learning_rate=0.1)
    other.fit(X, Y, epochs=1, batch_size=len(X), learning_rate=0.1,
              sample_weight=np.arange(len(X)) != 3)  # fmt: skip
    np.testing.assert_allclose(net.parameters, other.parameters, rtol=1e-13)


def test_single_updates_and_streams_take_them():
    X, Y, there = data()
    net, twin, streamed = network(), network(), network()
    for x, y in zip(X, holes(Y, there), strict=True):
        assert np.isfinite(net.learn_one(x, y))
        twin.partial_fit([x], [y])
    np.testing.assert_array_equal(net.parameters, twin.parameters)
    streamed.fit_stream([(X, holes(Y, there))], batch_size=1, shuffle=False)
    np.testing.assert_allclose(streamed.parameters, net.parameters, rtol=1e-12)


@pytest.mark.parametrize("name", ["r2", "mean_squared_error", "mean_absolute_error"])
def test_metrics_leave_them_out(name):
    net = network()
    X, Y, there = data()
    outputs = net.predict(X)
    expected = np.mean([
        _metric(name, Y[there[:, j], j], outputs[there[:, j], j]) for j in range(3)
    ])  # fmt: skip
    found = net.evaluate(X, holes(Y, there), metrics=[name])
    assert found[name] == pytest.approx(expected, rel=1e-12)
    history = net.fit(X, holes(Y, there), epochs=1, metrics=[name], learning_rate=1e-300)
    assert history.metrics[name] == [pytest.approx(expected, rel=1e-12)]


def _metric(name, y, outputs):
    if name == "r2":
        return 1 - ((y - outputs) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    return (np.abs(y - outputs) ** (2 if name == "mean_squared_error" else 1)).mean()


def test_accuracy_leaves_them_out():
    net = network("binary_cross_entropy", (2, 4, 1))
    X = data()[0]
    sides = (net.predict(X)[:, 0] > 0.5).astype(float)
    y = np.where(np.arange(10) < 4, sides, NAN)
    assert net.evaluate(X, y)["accuracy"] == 1.0


@pytest.mark.parametrize("loss", ["cross_entropy", "gaussian_nll", "quantile"])
def test_losses_that_couple_the_outputs_have_no_missing_targets(loss):
    with pytest.raises(ValueError, match=f"missing='ignore' needs a loss .*{loss}"):
        fastnn.Network([2, 2], loss=loss, missing="ignore", engine="numpy")


def test_other_targets_are_checked_as_ever():
    X, Y, there = data()
    with pytest.raises(ValueError, match="y must be finite"):
        network().fit(X, np.where(there, Y, np.inf))
    with pytest.raises(ValueError, match="y must have shape"):
        network().fit(X, holes(Y, there)[:, :2])
    with pytest.raises(ValueError, match="y must be finite"):
        fastnn.Network([2, 4, 3], engine="numpy").fit(X, holes(Y, there))
    with pytest.raises(ValueError, match=r"y must lie in .* for loss 'binary_cross_entropy'"):
        network("binary_cross_entropy").fit(X, holes(3 * Y, there))


def test_it_is_kept_with_the_network(tmp_path):
    X, Y, there = data()
    net = network()
    net.save(tmp_path / "net")
    again = fastnn.load(tmp_path / "net")
    assert again.loss == "half_squared_error"
    assert again.evaluate(X, holes(Y, there)) == net.evaluate(X, holes(Y, there))


@pytest.mark.slow
def test_many_networks_take_them():
    X, Y, there = data()
    together, alone = (
        [fastnn.Network([2, 4, 3], missing="ignore", seed=k) for k in range(3)] for _ in range(2)
    )
    fastnn.fit_many(together, X, holes(Y, there), epochs=2, batch_size=4)
    for one, other in zip(together, alone, strict=True):
        other.fit(X, holes(Y, there), epochs=2, batch_size=4)
        np.testing.assert_allclose(one.parameters, other.parameters, rtol=1e-10)


def test_metrics_where_all_that_is_there_weighs_nothing():
    net = network(sizes=(2, 4, 1))
    X, y = np.ones((3, 2)), [NAN, 1.0, 2.0]
    scores = net.evaluate(X, y, sample_weight=[1, 0, 0], metrics=["r2", "mean_squared_error"])
    assert np.isnan(scores["r2"])
    assert np.isnan(scores["mean_squared_error"])


@pytest.mark.parametrize("weights", ["balanced", {0: 2.0, 1: 0.5}])
def test_class_weights_are_those_without_the_samples_whose_target_is_missing(weights):
    X, y = np.random.default_rng(0).normal(size=(9, 2)), np.arange(9.0) % 2
    y[2::3] = NAN
    there = ~np.isnan(y)
    losses = []
    for rows in (slice(None), there):
        net = network("binary_cross_entropy", (2, 4, 1), reduction="sum")
        given = {"class_weight": weights, "batch_size": None, "epochs": 3}
        losses.append(net.fit(X[rows], y[rows], **given).loss)
    assert losses[0] == pytest.approx(losses[1])
