"""Weights of samples and classes."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import NUMBA_SLOW, data_for

import fastnn

X, Y = data_for("half_squared_error", 12, 2, 1)
WEIGHTS = np.array([0, 1, 2, 3] * 3, float)
#: Each row as often as its weight says.
TIMES = WEIGHTS.astype(int)
CLASSES = np.array([0, 0, 0, 0, 0, 0, 2, 2, 2, 0, 0, 0])


def regression(engine="numpy", **options):
    return fastnn.Network([2, 4, 1], activation="tanh", seed=3, engine=engine, **options)


def classifier(engine="numpy", n_out=3, **options):
    return fastnn.Network([2, 4, n_out], loss="cross_entropy", seed=3, engine=engine, **options)


def binary(**options):
    return fastnn.Network([2, 1], loss="binary_cross_entropy", seed=3, engine="numpy", **options)


def trained(net, X, y, **options):
    history = net.fit(X, y, epochs=4, shuffle=False, **{"batch_size": None} | options)
    return net.parameters.copy(), history.loss


@pytest.mark.parametrize("engine", ["python", "numpy"])
def test_whole_weights_are_repeated_samples(engine):
    weighted = trained(regression(engine, reduction="sum"), X, Y, sample_weight=WEIGHTS,
                       learning_rate=0.01)  # fmt: skip
    repeated = trained(
        regression(engine, reduction="sum"), X.repeat(TIMES, axis=0), Y.repeat(TIMES, axis=0),
        learning_rate=0.01,
    )  # fmt: skip
    np.testing.assert_allclose(weighted[0], repeated[0], rtol=1e-12)
    np.testing.assert_allclose(weighted[1], repeated[1], rtol=1e-12)


@pytest.mark.parametrize("engine", NUMBA_SLOW)
@pytest.mark.parametrize("batch_size", [1, 5, None])
def test_the_mean_divides_by_the_number_of_samples(engine, batch_size):
    options = {"batch_size": batch_size, "sample_weight": np.full(12, 2.0)}
    doubled = trained(regression(engine), X, Y, learning_rate=0.1, **options)[0]
    plain = trained(regression(engine), X, Y, learning_rate=0.2, batch_size=batch_size)[0]
    np.testing.assert_allclose(doubled, plain, rtol=1e-12)


def test_weights_follow_their_samples_when_shuffled():
    def loss_after(weights):
        net = regression()
        net.fit(X, Y, epochs=60, batch_size=1, learning_rate=0.1, sample_weight=weights)
        return net

    only_first = loss_after(np.eye(12)[0])
    assert only_first.evaluate(X[:1], Y[:1])["loss"] < 1e-3 < only_first.evaluate(X, Y)["loss"]


@pytest.mark.parametrize("engine", NUMBA_SLOW)
def test_evaluate_weighs_the_loss_as_keras_does(engine):
    net = regression(engine)
    errors = 0.5 * (net.predict(X) - Y)[:, 0] ** 2
    loss = net.evaluate(X, Y, sample_weight=WEIGHTS)["loss"]
    assert loss == pytest.approx((WEIGHTS * errors).sum() / 12, rel=1e-12)


WHOLE = np.array([1, 2, 1, 3, 1, 1, 2, 1, 1, 4, 1, 1])


@pytest.mark.parametrize("name", ["r2", "mean_squared_error", "mean_absolute_error"])
def test_a_whole_weight_counts_as_so_many_samples_in_metrics(name):
    net = regression()
    weighted = net.evaluate(X, Y, sample_weight=WHOLE, metrics=[name])
    repeated = net.evaluate(np.repeat(X, WHOLE, 0), np.repeat(Y, WHOLE, 0), metrics=[name])
    assert weighted[name] == pytest.approx(repeated[name], rel=1e-12)
    assert weighted[name] != pytest.approx(net.evaluate(X, Y, metrics=[name])[name])


@pytest.mark.parametrize("name", ["accuracy", "auc"])
def test_the_same_for_metrics_of_classes(name):
    net, labels = classifier(), np.arange(12) % 3
    weighted = net.evaluate(X, labels, sample_weight=WHOLE, metrics=[name])
    repeated = net.evaluate(np.repeat(X, WHOLE, 0), np.repeat(labels, WHOLE), metrics=[name])
    assert weighted[name] == pytest.approx(repeated[name], rel=1e-12)


def test_functions_of_users_get_all_samples_alike():
    def own(targets, outputs):
        return len(targets)

    assert regression().evaluate(X, Y, sample_weight=WHOLE, metrics=[own])["own"] == 12


@pytest.mark.parametrize("metrics", [[], ["r2"]])
def test_validation_data_may_have_weights(metrics):
    net = regression()
    history = net.fit(X, Y, epochs=3, validation_data=(X, Y, WHOLE), metrics=metrics)
    expected = net.evaluate(X, Y, sample_weight=WHOLE)
    assert history.val_loss[-1] == pytest.approx(expected["loss"], rel=1e-12)
    if metrics:
        assert history.metrics["val_r2"][-1] == pytest.approx(expected["r2"], rel=1e-12)


@pytest.mark.parametrize("weights", [np.ones(3), np.full(12, -1.0), np.zeros(12)])
def test_bad_weights_of_validation_data_are_named(weights):
    with pytest.raises(ValueError, match=r"^validation_data\[2\] must"):
        regression().fit(X, Y, validation_data=(X, Y, weights), epochs=1)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_split_of_samples_sorted_by_class_is_warned_of(backwards):
    labels = np.sort(CLASSES)[::-1] if backwards else np.sort(CLASSES)
    fits = (
        lambda: classifier().fit(X, labels, epochs=1, validation_split=0.25),
        lambda: fastnn.fit_many([classifier()], X, labels, epochs=1, validation_split=0.25),
        lambda: fastnn.Ensemble([2, 3], 2, loss="cross_entropy", engine="numpy").fit(
            X, labels, epochs=1, validation_split=0.25
        ),
    )
    for fit in fits:  # at the user's line: Python shows a warning once for each
        with pytest.warns(UserWarning, match="y is sorted by class: shuffle") as caught:
            fit()
        assert caught[0].filename == __file__


def test_no_other_split_is_warned_of():
    classifier().fit(X, np.arange(12) % 3, epochs=1, validation_split=0.25)
    classifier().fit(X, np.zeros(12, int), epochs=1, validation_split=0.25)
    regression().fit(X, np.sort(Y, axis=0), epochs=1, validation_split=0.25)


def test_class_weights_multiply_the_samples_of_the_class():
    by_class = trained(classifier(), X, CLASSES, class_weight={0: 0.5, 2: 3.0})
    by_sample = trained(classifier(), X, CLASSES, sample_weight=np.where(CLASSES == 2, 3.0, 0.5))
    np.testing.assert_array_equal(by_class[0], by_sample[0])


def test_a_class_left_out_has_weight_1():
    by_class = trained(classifier(), X, CLASSES, class_weight={2: 3.0})
    by_sample = trained(classifier(), X, CLASSES, sample_weight=np.where(CLASSES == 2, 3.0, 1.0))
    np.testing.assert_array_equal(by_class[0], by_sample[0])


def test_balanced_is_scikit_learns():
    compute = pytest.importorskip("sklearn.utils.class_weight").compute_class_weight
    weight_0, weight_2 = compute("balanced", classes=np.array([0, 2]), y=CLASSES)
    balanced = trained(classifier(), X, CLASSES, class_weight="balanced")
    given = trained(classifier(), X, CLASSES, class_weight={0: weight_0, 2: weight_2})
    np.testing.assert_allclose(balanced[0], given[0], rtol=1e-12)


def test_class_weights_multiply_sample_weights():
    both = trained(
        classifier(), X, CLASSES, class_weight={2: 3.0}, sample_weight=WEIGHTS
    )  # fmt: skip
    one = trained(classifier(), X, CLASSES, sample_weight=np.where(CLASSES == 2, 3, 1) * WEIGHTS)
    np.testing.assert_array_equal(both[0], one[0])


def test_binary_targets_have_two_classes():
    y = np.arange(12) % 3 == 0
    by_class = trained(binary(), X, y, class_weight={0: 0.5, 1: 4})
    by_sample = trained(binary(), X, y, sample_weight=np.where(y, 4, 0.5))
    np.testing.assert_array_equal(by_class[0], by_sample[0])


def test_a_probability_has_the_mean_of_the_weights():
    y = np.full(12, 0.25)
    by_class = trained(binary(), X, y, class_weight={0: 2, 1: 4})
    by_sample = trained(binary(), X, y, sample_weight=np.full(12, 2.5))
    np.testing.assert_array_equal(by_class[0], by_sample[0])


def test_the_validation_split_leaves_its_weights_out():
    net = regression()
    net.fit(X, Y, epochs=2, sample_weight=WEIGHTS, validation_split=0.25, shuffle=False)
    other = regression()
    other.fit(
        X[:9], Y[:9], epochs=2, sample_weight=WEIGHTS[:9], validation_data=(X[9:], Y[9:]),
        shuffle=False,
    )  # fmt: skip
    assert net.parameters.tobytes() == other.parameters.tobytes()
    assert net.history.val_loss == other.history.val_loss


def test_weights_that_leave_nothing_to_train_with_are_refused():
    only_last = np.arange(12.0) == 11
    with pytest.raises(ValueError, match=r"validation_split, must not be 0 for all"):
        regression().fit(X, Y, sample_weight=only_last, validation_split=0.25, epochs=1)
    with pytest.raises(ValueError, match="sample_weight times class_weight must not be 0"):
        classifier().fit(X, CLASSES, sample_weight=CLASSES == 2, class_weight={2: 0}, epochs=1)


def test_weights_too_large_together_are_refused():
    net = fastnn.Network([2, 3], loss="cross_entropy", seed=1, dtype="float32", engine="numpy")
    with pytest.raises(ValueError, match="sample_weight times class_weight must be finite"):
        net.fit(X, CLASSES, sample_weight=np.full(12, 1e30), class_weight={0: 1e30})


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (np.ones(11), ValueError, r"sample_weight must have shape \(12,\), got shape \(11,\)"),
        (np.ones((12, 1)), ValueError, "sample_weight must have shape"),
        (-WEIGHTS, ValueError, r"sample_weight must be at least 0, got sample_weight\[3\] = -3"),
        (np.zeros(12), ValueError, "must not be 0 for all"),
        (np.full(12, np.nan), ValueError, r"sample_weight must be finite"),
        (["a"] * 12, TypeError, "sample_weight must hold real numbers"),
    ],
)
def test_bad_sample_weights_are_named(weights, error, message):
    net = regression()
    before = net.parameters.tobytes()
    for method in (net.fit, net.evaluate):
        with pytest.raises(error, match=message):
            method(X, Y, sample_weight=weights)
    assert net.parameters.tobytes() == before


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ("even", TypeError, "class_weight must be a dict .* or 'balanced'"),
        ([1, 2, 3], TypeError, "class_weight must be a dict"),
        ({3: 1.0}, ValueError, "class 3, and classes go from 0 to 2"),
        ({"a": 1.0}, TypeError, "a key of class_weight must be a whole number"),
        ({1: -1.0}, ValueError, r"class_weight\[1\] must be at least 0"),
        ({0: 0, 2: 0}, ValueError, "class_weight must not be 0 for all"),
    ],
)
def test_bad_class_weights_are_named(weights, error, message):
    with pytest.raises(error, match=message):
        classifier().fit(X, CLASSES, class_weight=weights, epochs=1)


def test_class_weights_need_classes():
    with pytest.raises(ValueError, match="class_weight needs loss 'cross_entropy'"):
        regression().fit(X, Y, class_weight={0: 1}, epochs=1)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["cross_entropy", "half_squared_error"])
def test_weighted_batches_are_what_numpy_makes_of_them(loss):
    """Each weight multiplies its sample's loss and gradient."""
    rng = np.random.default_rng(0)
    X, weights = rng.normal(size=(40, 3)), rng.uniform(0, 2, 40)
    y = rng.integers(0, 3, 40) if loss == "cross_entropy" else rng.normal(size=(40, 3))
    nets = [fastnn.Network([3, 4, 3], loss=loss, seed=0, engine=e) for e in ("numba", "numpy")]
    histories = [net.fit(X, y, epochs=3, batch_size=8, sample_weight=weights) for net in nets]
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(histories[0].loss, histories[1].loss, rtol=1e-10)
