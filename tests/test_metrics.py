"""Metrics by themselves, in ``evaluate`` and in the history."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics
from helpers import NUMBA_SLOW

import fastnn
from fastnn.losses import get_loss
from fastnn.metrics import NAMES, auc, get_metric, mean_absolute_error, mean_squared_error, r2, sign


def network(loss="half_squared_error", n_out=1, engine="numpy", **options):
    return fastnn.Network([2, 5, n_out], loss=loss, seed=3, engine=engine, **options)


def data(loss, n=40, n_out=1, seed=0):
    rng = np.random.default_rng([seed, n])
    X = rng.uniform(-1, 1, (n, 2))
    if loss == "cross_entropy":
        return X, rng.integers(0, n_out, n)
    if loss == "binary_cross_entropy":
        return X, rng.integers(0, 2, (n, n_out))
    return X, rng.normal(size=(n, n_out))


# The functions.


@pytest.mark.parametrize("seed", range(20))
def test_auc_against_scikit_learn(seed):
    """Scores from a few levels: ties."""
    rng = np.random.default_rng(seed)
    targets = np.zeros(30)
    targets[rng.choice(30, rng.integers(1, 29), replace=False)] = 1
    scores = rng.integers(0, 8, 30) / 8
    expected = sklearn.metrics.roc_auc_score(targets, scores)
    assert auc(targets[:, None], scores[:, None]) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "levels",
    [
        np.linspace(0, 1, 1000),
        np.linspace(-2, 5, 1000),
        [0.5, np.nextafter(0.5, 1), 1.0, np.nextafter(2.0, 0)],
        [-0.0, 0.0, 5e-324],
        [0.0, 1.0, 2.0, 3.0],
        [-np.inf, -0.0, 0.0, 3.0, np.inf],
    ],
    ids=["probabilities", "others", "neighbours", "zeros", "counts", "infinities"],
)
def test_auc_is_the_share_of_pairs_in_order(levels, dtype, rng):
    """However its ranks are found: probabilities go another way than other outputs."""
    targets = np.repeat([0.0, 1.0, 0.0], [7, 9, 8])
    outputs = rng.choice(np.array(levels, dtype), 24)
    right, wrong = outputs[targets == 1][:, None], outputs[targets == 0]
    expected = ((right > wrong) + 0.5 * (right == wrong)).mean()
    assert auc(targets[:, None], outputs[:, None]) == pytest.approx(expected, rel=1e-14)


def test_auc_of_classes_is_the_mean_of_one_against_the_rest():
    rng = np.random.default_rng(1)
    classes = rng.integers(0, 3, 50)
    outputs = rng.dirichlet([1, 1, 1], 50)
    expected = sklearn.metrics.roc_auc_score(classes, outputs, multi_class="ovr")
    assert auc(np.eye(3)[classes], outputs) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(
    ("targets", "outputs", "expected"),
    [
        ([0, 1], [0.1, 0.9], 1.0),
        ([0, 1], [0.9, 0.1], 0.0),
        ([0, 1], [0.5, 0.5], 0.5),
        ([-1, 1, 1, -1], [0, 3, 1, 2], 0.75),
    ],
)
def test_auc_by_hand(targets, outputs, expected):
    assert auc(np.array([targets]).T, np.array([outputs]).T) == expected


def test_auc_of_a_single_class_is_not_a_number():
    assert math.isnan(auc(np.ones((3, 1)), np.arange(3.0)[:, None]))


def test_regression_metrics_against_scikit_learn(rng):
    Y, P = rng.normal(size=(2, 30, 3))
    assert r2(Y, P) == pytest.approx(sklearn.metrics.r2_score(Y, P), rel=1e-12)
    for metric in (mean_absolute_error, mean_squared_error):
        expected = getattr(sklearn.metrics, metric.__name__)(Y, P)
        assert metric(Y, P) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("loss", "targets", "outputs", "expected"),
    [
        ("binary_cross_entropy", [[0], [1], [1], [0]], [[0.2], [0.8], [0.4], [0.6]], 0.5),
        ("cross_entropy", [[1, 0], [0, 1]], [[0.9, 0.1], [0.6, 0.4]], 0.5),
        ("hinge", [[-1], [1], [1], [1]], [[-0.2], [0.3], [2.0], [-3.0]], 0.75),
    ],
)
def test_accuracy_is_that_of_the_loss(loss, targets, outputs, expected):
    metric = get_metric("accuracy", get_loss(loss), "metrics[0]")
    assert metric.value(np.array(targets), np.array(outputs)) == expected


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("n", "n_out"), [(1, 1), (7, 1), (7, 3), (300, 1), (300, 3)])
@pytest.mark.parametrize(
    ("loss", "name"),
    [("half_squared_error", name) for name in NAMES if name != "accuracy"]
    + [(loss, "accuracy") for loss in ("binary_cross_entropy", "cross_entropy", "hinge")],
)
def test_metrics_of_many_outputs_are_those_of_each(loss, name, n, n_out, dtype, rng):
    """To the bit: how many epochs are looked at at once must not matter."""
    metric = get_metric(name, get_loss(loss), "metrics[0]")
    targets = np.sign(rng.normal(size=(n, n_out))).astype(dtype)
    outputs = rng.normal(size=(5, n, n_out)).astype(dtype)
    each = [metric.value(targets, own) for own in outputs]
    np.testing.assert_array_equal(metric.values(targets, outputs), each)


# evaluate.


@pytest.mark.parametrize("engine", NUMBA_SLOW)
def test_evaluate_gives_the_metrics_asked_for(engine):
    X, y = data("binary_cross_entropy")
    net = network("binary_cross_entropy", engine=engine)
    P = net.predict(X)
    scores = net.evaluate(X, y, metrics=["auc", "accuracy", "mean_absolute_error"])
    assert list(scores) == ["loss", "auc", "accuracy", "mean_absolute_error"]
    assert scores["loss"] == net.evaluate(X, y)["loss"]
    assert scores["auc"] == pytest.approx(sklearn.metrics.roc_auc_score(y, P))
    assert scores["accuracy"] == net.evaluate(X, y)["accuracy"] == ((P > 0.5) == y).mean()
    assert scores["mean_absolute_error"] == pytest.approx(abs(P - y).mean())


def test_evaluate_without_metrics_gives_the_loss_alone():
    X, y = data("half_squared_error")
    net = network()
    assert net.evaluate(X, y, metrics=[]) == {"loss": net.evaluate(X, y)["loss"]}


def test_a_users_metric_sees_targets_and_outputs():
    seen = []

    def worst(targets, outputs):
        seen.append((targets, outputs))
        return abs(targets - outputs).max()

    X, y = data("cross_entropy", n_out=3)
    net = network("cross_entropy", 3)
    value = net.evaluate(X, y, metrics=[worst])["worst"]
    (targets, outputs), *more = seen
    assert not more
    assert targets.tolist() == np.eye(3)[y].tolist()
    assert outputs.tolist() == net.predict(X).tolist()
    assert type(value) is float
    assert value == abs(targets - outputs).max()


# In training.


@pytest.mark.parametrize("engine", NUMBA_SLOW)
@pytest.mark.parametrize("held_out", [True, False])
def test_the_history_has_the_metrics_after_each_epoch(engine, held_out):
    loss = "binary_cross_entropy"
    X, y = data(loss)
    X_val, y_val = data(loss, 15, seed=1)
    metrics = ["accuracy", "auc"]
    options = {"validation_data": (X_val, y_val)} if held_out else {}
    net, twin = network(loss, engine=engine), network(loss, engine=engine)
    history = net.fit(X, y, epochs=5, learning_rate=0.5, metrics=metrics, **options)
    expected = []
    for _ in range(5):
        twin.fit(X, y, epochs=1, learning_rate=0.5)
        expected.append(twin.evaluate(*((X_val, y_val) if held_out else (X, y)), metrics=metrics))
    start = "val_" if held_out else ""
    assert history.metrics == {
        start + name: [scores[name] for scores in expected] for name in metrics
    }
    assert bool(history.val_loss) == held_out
    assert net.parameters.tobytes() == twin.parameters.tobytes()


@pytest.mark.parametrize("engine", NUMBA_SLOW)
@pytest.mark.parametrize("monitor", ["accuracy", "val_accuracy"])
def test_early_stopping_on_a_metric(engine, monitor):
    loss = "binary_cross_entropy"
    net, twin = network(loss, engine=engine), network(loss, engine=engine)
    options = {
        "learning_rate": 2.0, "metrics": ["accuracy"], "batch_size": 4,
        "validation_data": data(loss, 15, seed=1),
    }  # fmt: skip
    full = twin.fit(*data(loss), epochs=60, **options).metrics["val_accuracy"]
    rule = fastnn.EarlyStopping(monitor, patience=3, restore_best=True)
    history = net.fit(*data(loss), epochs=60, early_stopping=rule, **options)
    values = history.metrics["val_accuracy"]
    assert values == full[: len(values)]
    assert history.stop_reason == "early stopping"
    assert history.best_epoch == 1 + int(np.argmax(values)) == len(values) - 4
    assert net.evaluate(*options["validation_data"])["accuracy"] == max(values)


def test_a_metric_on_training_data_can_be_watched_too():
    net = network()
    X, y = data("half_squared_error")
    rule = fastnn.EarlyStopping("r2", target=-5.0, patience=None)
    history = net.fit(X, y, epochs=9, metrics=["r2"], early_stopping=rule)
    assert history.stop_reason == "target reached"
    assert history.metrics["r2"][-1] >= -5.0


def test_a_metric_that_raises_leaves_the_network_as_it_was():
    def broken(targets, outputs):
        raise ZeroDivisionError

    net = network()
    before = net.parameters.tobytes()
    with pytest.raises(ZeroDivisionError):
        net.fit(*data("half_squared_error"), epochs=1, metrics=[broken])
    assert net.parameters.tobytes() == before
    assert net.history is None


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_metric_that_is_refused_leaves_the_optimiser_what_it_remembers(optimizer):
    def trained(refused):
        net = network()
        history = net.fit(*data("half_squared_error"), epochs=3, optimizer="adam")
        if refused:
            with pytest.raises(TypeError, match="must return one number"):
                net.fit(
                    *data("half_squared_error"),
                    epochs=1,
                    optimizer=optimizer,
                    metrics=[lambda t, o: o],
                )
            assert net.history is history
        net.fit(*data("half_squared_error"), epochs=3, optimizer="adam")
        return net.parameters.tobytes()

    assert trained(True) == trained(False)


def test_a_metric_of_the_users_comes_once_after_each_epoch_that_counts(engine):
    calls = []

    def noted(targets, outputs):
        calls.append(None)
        return 1.0

    rule = fastnn.EarlyStopping("noted", patience=3)
    rate = fastnn.ReduceOnPlateau(0.1, monitor="noted", patience=1)
    net = network(engine=engine)
    history = net.fit(
        *data("half_squared_error"), epochs=100, metrics=[noted], early_stopping=rule,
        learning_rate=rate,
    )  # fmt: skip
    assert len(calls) == history.epochs == 5


def test_a_metric_of_the_users_is_not_asked_about_what_diverged(engine):
    """scikit-learn's, for one, refuses outputs that are not finite."""
    X = np.linspace(-3, 3, 50)[:, None]

    def epochs_with(metric):
        net = fastnn.Network([1, 8, 1], activation="identity", seed=0, engine=engine)
        with pytest.raises(fastnn.TrainingDivergedError) as error:
            net.fit(X, X, epochs=50, learning_rate=30.0, batch_size=None, metrics=[metric])
        return error.value.epoch, net.history.epochs

    assert epochs_with(sklearn.metrics.r2_score) == epochs_with("r2")


def test_a_metric_cannot_change_what_the_next_one_is_given():
    def careless(targets, outputs):
        outputs[:] = 0

    with pytest.raises(ValueError, match="read-only"):
        network().evaluate(*data("half_squared_error"), metrics=[careless, "r2"])


# Errors.


@pytest.mark.parametrize(
    ("metrics", "kind", "message"),
    [
        ("accuracy", TypeError, r"metrics must be a list .* got 'accuracy'"),
        (3, TypeError, r"metrics must be a list .* got 3"),
        (np.array(3), TypeError, r"metrics must be a list .* got array"),
        ([np.ones(2)], TypeError, r"metrics\[0\] must be a name or a function, got ndarray"),
        (["acuracy"], ValueError, r"metrics\[0\]='acuracy' is not known. Did you mean 'accuracy'"),
        (["r2", 3], TypeError, r"metrics\[1\] must be a name or a function, got int: 3"),
        (["r2", "r2"], ValueError, r"metrics must have different names, got 'r2' twice"),
        (["accuracy"], ValueError, r"metrics\[0\]='accuracy' is for classification"),
        ([lambda t, o: "much"], TypeError, r"metric '<lambda>' must return one number, got str"),
        ([lambda t, o: o], TypeError, r"must return one number, got ndarray"),
    ],
)
def test_bad_metrics(metrics, kind, message):
    net = network()
    X, y = data("half_squared_error")
    before = net.parameters.tobytes()
    for call in (net.fit, net.evaluate):
        with pytest.raises(kind, match=message):
            call(X, y, metrics=metrics)
    assert net.parameters.tobytes() == before


def test_monitoring_what_is_not_computed_is_refused():
    net = network()
    X, y = data("half_squared_error")
    for monitor, message in [
        ("val_los", r"monitor of early_stopping='val_los' is not known.*Known: loss"),
        ("val_f1", r"monitor of early_stopping='val_f1' is not known"),
        ("r2", r"early_stopping on 'r2' needs that metric: give metrics=\['r2'\] to fit$"),
        ("val_accuracy", r"on 'val_accuracy' needs .*: give metrics=\['accuracy'\] to fit$"),
        ("val_loss", r"early_stopping on 'val_loss' needs validation_data"),
    ]:
        with pytest.raises(ValueError, match=message):
            net.fit(X, y, epochs=1, early_stopping=fastnn.EarlyStopping(monitor))
    with pytest.raises(ValueError, match=r"early_stopping on 'val_r2' needs validation_data"):
        net.fit(X, y, epochs=1, metrics=["r2"], early_stopping=fastnn.EarlyStopping("val_r2"))


@pytest.mark.parametrize("name", ["accuracy", "val_auc", "r2", "val_score"])
def test_higher_is_better_for_these_and_lower_for_all_else(name):
    assert sign(name, "auto") == -1
    assert sign(name, "min") == sign("val_f1", "auto") == sign("loss", "auto") == 1
