"""Losses whose outputs say more of a target than a number: gaussian_nll and quantile."""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np
import pytest
from helpers import ENGINES, NUMBA_SLOW

import fastnn
from fastnn.exchange import arrivals

X = np.random.default_rng(1).uniform(-1, 1, (26, 3))
Y = np.random.default_rng(2).uniform(-1, 1, (26, 2))


def network(case, engine="numpy", hidden=(5,), seed=1, **options):
    n_out, arguments = CASES[case]
    return fastnn.Network([3, *hidden, n_out], engine=engine, seed=seed, **arguments | options)


#: Outputs, and arguments.
CASES = {
    "gaussian": (4, {"loss": "gaussian_nll"}),
    "a gaussian": (2, {"loss": "gaussian_nll"}),
    "quantiles": (6, {"loss": "quantile", "quantiles": [0.1, 0.5, 0.9]}),
    "quantiles of one": (3, {"loss": "quantile", "quantiles": np.array([0.1, 0.5, 0.9])}),
    "a quantile": (1, {"loss": "quantile", "quantiles": (0.3,)}),
    "medians": (2, {"loss": "quantile"}),
}


def targets(case):
    return Y[:, : network(case)._architecture.n_targets]


def loss_at(engine, loss, outputs, y, **options):
    """Loss and gradient by the outputs, which are the biases: the only input is 0."""
    m = len(outputs)
    net = fastnn.Network([1, m], loss=loss, engine=engine, **options)
    net.set_parameters([1.0] * m + list(outputs))
    value, gradient = net.loss_and_gradient([0.0], [y])
    assert net.evaluate([0.0], [y])["loss"] == pytest.approx(value, rel=1e-13)
    return value, gradient[m:]


#: Loss, outputs, targets, value, gradient, quantiles.
BY_HAND = [
    ("gaussian_nll", [1.0, 0.0], [1.0], 0.0, [0.0, 0.5], None),
    ("gaussian_nll", [1.0, math.log(4)], [3.0], (math.log(4) + 1) / 2, [-0.5, 0.0], None),
    ("gaussian_nll", [1.0, 0.0, math.log(4), 0.0], [3.0, 2.0], (math.log(4) + 1 + 4) / 4,
     [-0.25, -1.0, 0.0, -0.75], None),
    ("quantile", [1.0], [3.0], 1.0, [-0.5], None),
    ("quantile", [1.0], [1.0], 0.0, [0.0], None),
    ("quantile", [1.0, 1.0], [3.0], 0.25 * 2 / 2 + 0.75 * 2 / 2, [-0.125, -0.375], [0.25, 0.75]),
    ("quantile", [1.0, 1.0], [0.0], (0.75 + 0.25) / 2, [0.375, 0.125], [0.25, 0.75]),
    # the first quantile of both targets, then the second
    ("quantile", [0.0, 0.0, 0.0, 0.0], [1.0, -1.0], (0.25 + 0.75 + 0.5 + 0.5) / 4,
     [-0.0625, 0.1875, -0.125, 0.125], [0.25, 0.5]),
]  # fmt: skip


@pytest.mark.parametrize("engine", NUMBA_SLOW)
@pytest.mark.parametrize(("loss", "outputs", "y", "value", "gradient", "quantiles"), BY_HAND)
def test_values_and_gradients_by_hand(engine, loss, outputs, y, value, gradient, quantiles):
    got, slope = loss_at(engine, loss, outputs, y, quantiles=quantiles)
    assert got == pytest.approx(value, rel=1e-13, abs=1e-13)
    assert slope == pytest.approx(gradient, rel=1e-13, abs=1e-13)


@pytest.mark.parametrize("engine", NUMBA_SLOW)
@pytest.mark.parametrize("case", CASES)
def test_the_gradient_is_that_of_the_loss(engine, case):
    net, y, step = network(case, engine), targets(case), 1e-6
    _, gradient = net.loss_and_gradient(X, y)
    start = net.parameters.copy()
    for k in range(len(start)):
        losses = []
        for sign in (1, -1):
            moved = start.copy()
            moved[k] += sign * step
            losses.append(net.set_parameters(moved).evaluate(X, y)["loss"])
        assert gradient[k] == pytest.approx((losses[0] - losses[1]) / (2 * step), abs=1e-8)


#: By the kernels that they take: one output, one hidden layer, more, many inputs, batches.
PATHS = {
    "sample": ((5,), {"batch_size": 1}),
    "sample, deep": ((5, 4), {"batch_size": 1}),
    "sample, rule": ((5,), {"batch_size": 1, "optimizer": "adam"}),
    "batch": ((5,), {"batch_size": 7}),
    "all": ((5, 4), {"batch_size": None, "optimizer": "adam", "shuffle": False}),
    "weights": ((5,), {"batch_size": 7, "sample_weight": np.linspace(0, 2, 26)}),
    "weight by weight": ((5,), {"batch_size": 1, "sample_weight": np.linspace(0, 2, 26)}),
}


def check_training(engine, case, path, **options):
    hidden, arguments = PATHS[path]
    ours, theirs = (network(case, e, hidden, **options) for e in (engine, "numpy"))
    for net in (ours, theirs):
        net.fit(X, targets(case), epochs=6, **arguments)
    np.testing.assert_allclose(ours.parameters, theirs.parameters, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(ours.history.loss, theirs.history.loss, rtol=1e-10)


@pytest.mark.parametrize("case", CASES)
def test_python_trains_as_numpy(case):
    for path in PATHS:
        check_training("python", case, path)


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("case", CASES)
def test_numba_trains_as_numpy(case, path):
    check_training("numba", case, path)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["gaussian", "quantiles"])
def test_numba_trains_as_numpy_with_many_inputs(case):
    inputs = np.random.default_rng(3).uniform(-0.1, 0.1, (26, 900))
    n_out, arguments = CASES[case]
    ends = []
    for engine in ("numba", "numpy"):
        net = fastnn.Network([900, 40, n_out], engine=engine, seed=1, **arguments)
        net.fit(inputs, targets(case), epochs=3, batch_size=1)
        ends.append(net.parameters)
    np.testing.assert_allclose(*ends, rtol=1e-9, atol=1e-12)


#: Every third of all, along diagonals.
SOME = [
    (case, path)
    for (i, case), (k, path) in itertools.product(enumerate(CASES), enumerate(PATHS))
    if (i + k) % 3 == 0
]


@pytest.mark.slow
@pytest.mark.parametrize(("case", "path"), SOME)
def test_many_train_as_each_alone(case, path):
    hidden, arguments = PATHS[path]
    together = [network(case, "numba", hidden, seed=k) for k in range(9)]
    alone = copy.deepcopy(together)
    fastnn.fit_many(together, X, targets(case), epochs=6, validation_data=(X, targets(case)),
                    **arguments)  # fmt: skip
    for one, other in zip(together, alone, strict=True):
        other.fit(X, targets(case), epochs=6, validation_data=(X, targets(case)), **arguments)
        # Adam makes updates of any size of a gradient that is 0 but for rounding.
        np.testing.assert_allclose(one.parameters, other.parameters, rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(one.history.val_loss, other.history.val_loss, rtol=1e-11)


@pytest.mark.slow
def test_what_the_losses_are_for():
    """Noise that grows with x: its size is found, and how much lies below the quantiles."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, (800, 1))
    size = 0.1 + 0.4 * x
    y = 2 * x + size * rng.normal(size=x.shape)
    options = {"activation": "tanh", "seed": 0, "engine": "numpy"}
    schedule = fastnn.CosineDecay(0.02, decay_steps=150)
    training = {"epochs": 150, "optimizer": "adam", "learning_rate": schedule}
    net = fastnn.Network([1, 8, 2], loss="gaussian_nll", **options)
    net.fit(x, y, **training)
    mean, log_variance = np.hsplit(net.predict(x), 2)
    assert abs(mean - 2 * x).mean() < 0.05
    assert abs(np.exp(log_variance / 2) / size - 1).mean() < 0.15
    net = fastnn.Network([1, 8, 3], loss="quantile", quantiles=[0.1, 0.5, 0.9], **options)
    net.fit(x, y, **training)
    assert (y < net.predict(x)).mean(axis=0) == pytest.approx([0.1, 0.5, 0.9], abs=0.03)


# --- around them --------------------------------------------------------------------------------


def test_metrics_are_of_the_means_and_of_the_middle_quantile():
    seen = []

    def mine(y, outputs):
        seen.append((y.shape, outputs.shape))
        return 0.0

    for case, first in {"gaussian": 0, "quantiles": 2, "a quantile": 0}.items():
        net, y = network(case), targets(case)
        m = y.shape[1]
        point = net.predict(X)[:, first : first + m]
        scores = net.evaluate(X, y, metrics=["mean_absolute_error", mine])
        assert scores["mean_absolute_error"] == pytest.approx(abs(point - y).mean())
        assert seen[-1] == ((26, m), (26, net.layer_sizes[-1]))
        assert "r2" in net.evaluate(X, y)


@pytest.mark.parametrize("case", CASES)
def test_they_are_saved_copied_streamed_and_updated(case, tmp_path):
    net, y = network(case), targets(case)
    net.fit(X, y, validation_split=0.2, metrics=["r2"], epochs=1)
    net.save(tmp_path / "net")
    twin = fastnn.load(tmp_path / "net")
    assert twin._architecture == net._architecture
    for one in (net, twin):
        one.fit(X, y, epochs=1)
    assert np.array_equal(net.parameters, twin.parameters)
    copied = copy.deepcopy(net)
    loss = net.evaluate(X, y)["loss"]
    for _ in range(2):
        assert copied.partial_fit(X, y) <= loss
        with pytest.raises(ValueError, match="y must have shape"):
            copied.partial_fit(X, np.ones((26, 12)))
        with pytest.raises(ValueError, match="y must have shape"):
            copied.partial_fit(X, net._architecture.for_loss(y)[:, :7].repeat(2, axis=1))
    copied.fit_stream([(X, y)])
    copied.fit(X, y, optimizer="lbfgs", epochs=3)
    assert copied.evaluate(X, y)["loss"] < loss


@pytest.mark.parametrize("engine", NUMBA_SLOW)
@pytest.mark.parametrize("case", CASES)
def test_single_rows_are_learned_as_a_part_of_all(engine, case):
    """What is learned twice from goes the quick way the second time."""
    net, y = network(case, engine), targets(case)
    twin = copy.deepcopy(net)
    for k in range(6):
        target = y[k, 0] if k % 2 and y.shape[1] == 1 else y[k]
        assert net.learn_one(X[k], target) == twin.partial_fit(X[k : k + 1], y[k : k + 1])
        with pytest.raises(ValueError, match="y must be"):
            net.learn_one(X[k], np.ones(12))
        if y.shape[1] > 1:
            with pytest.raises(ValueError, match="y must be"):
                net.learn_one(X[k], 0.5)
    assert np.array_equal(net.parameters, twin.parameters)
    theirs = network(case)
    for k in range(6):
        theirs.partial_fit(X[k : k + 1], y[k : k + 1])
    np.testing.assert_allclose(net.parameters, theirs.parameters, rtol=1e-12, atol=1e-14)


def test_an_ensemble_of_them_is_evaluated_and_saved(tmp_path):
    n_out, arguments = CASES["quantiles"]
    ensemble = fastnn.Ensemble([3, 4, n_out], 3, seed=0, engine="numpy", **arguments)
    ensemble.save(tmp_path / "ensemble")
    twin = fastnn.Ensemble.load(tmp_path / "ensemble")
    E = np.tile(Y, 3) - twin.predict(X)
    q = np.repeat([0.1, 0.5, 0.9], 2)
    assert ensemble.evaluate(X, Y)["loss"] == pytest.approx(np.maximum(q * E, (q - 1) * E).mean())


BAD = {
    "odd": (
        [3, 3], {"loss": "gaussian_nll"}, ValueError, r"multiple of 2 .* log-variance .* got 3",
    ),
    "no multiple": (
        [3, 4], {"loss": "quantile", "quantiles": [0.1, 0.5, 0.9]}, ValueError,
        "layer_sizes must end with a multiple of 3 for loss 'quantile', 3 quantiles for each",
    ),
    "for another loss": (
        [3, 3], {"quantiles": [0.5]}, ValueError, r"quantiles=\[0.5\] needs loss 'quantile'",
    ),
    "no list": ([3, 1], {"loss": "quantile", "quantiles": 0.5}, TypeError, "quantiles must be"),
    "none": ([3, 1], {"loss": "quantile", "quantiles": []}, ValueError, "quantiles must be"),
    "a word": ([3, 1], {"loss": "quantile", "quantiles": ["a"]}, TypeError, r"quantiles\[0\]"),
    "0": ([3, 1], {"loss": "quantile", "quantiles": [0]}, ValueError, "between 0 and 1"),
    "1": ([3, 1], {"loss": "quantile", "quantiles": [1.0]}, ValueError, "between 0 and 1"),
    "nan": ([3, 1], {"loss": "quantile", "quantiles": [math.nan]}, ValueError, "must be finite"),
    "out of order": (
        [3, 2], {"loss": "quantile", "quantiles": [0.9, 0.1]}, ValueError, "smaller ones first",
    ),
    "twice": (
        [3, 2], {"loss": "quantile", "quantiles": [0.5, 0.5]}, ValueError, "smaller ones first",
    ),
    "another activation": (
        [3, 2], {"loss": "gaussian_nll", "output_activation": "relu"}, ValueError, "'identity'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_are_refused(case):
    sizes, arguments, error, message = BAD[case]
    with pytest.raises(error, match=message):
        fastnn.Network(sizes, **arguments)


def test_a_network_that_arrives_with_plain_outputs_is_not_taken_for_one_of_them():
    assert set(arrivals._LOSSES) == {"sigmoid", "softmax", "exp"}


def test_targets_are_as_many_as_the_outputs_speak_of():
    with pytest.raises(ValueError, match=r"y must have shape \(26, 2\), got shape \(26, 4\)"):
        network("gaussian").fit(X, np.ones((26, 4)))
    with pytest.raises(ValueError, match="accuracy"):
        network("gaussian").fit(X, Y, metrics=["accuracy"])


@pytest.mark.parametrize("engine", ENGINES)
def test_the_targets_for_the_loss_have_the_dtype(engine):
    architecture = network("quantiles", engine, dtype="float32")._architecture
    columns = architecture.for_loss(Y.astype(np.float32))
    assert columns.dtype == np.float32
    assert columns.shape == (26, architecture.target_columns)
