"""river's contract, and what comes in streams. Needs river, pandas and polars."""

from __future__ import annotations

import copy
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from phishing import PHISHING, trained
from river import checks, compose, datasets, drift, evaluate, linear_model, metrics, preprocessing

import fastnn
from fastnn.river import MLPClassifier, MLPRegressor

MODELS = [
    MLPClassifier(),
    MLPRegressor(),
    MLPClassifier(hidden=None, optimizer="sgd"),
    MLPRegressor(hidden=(8, 4), optimizer=fastnn.SGD(1e-3, clip_norm=1.0), scale=False),
]
CHECKS = [
    pytest.param(model, check, id=f"{k}-{check.__name__}-{number}")
    for k, model in enumerate(MODELS)
    for number, check in enumerate(checks.yield_checks(model))
]


@pytest.mark.parametrize(("model", "check"), CHECKS)
def test_checks_of_river(model, check):
    assert not model._unit_test_skips()
    check(model.clone())


def test_river_finds_nothing_in_the_defaults():
    checks.check_estimator(MLPClassifier())
    checks.check_estimator(MLPRegressor())


def test_it_is_as_good_as_linear_models_behind_a_scaler():
    pairs = [
        (datasets.Phishing(), linear_model.LogisticRegression(), MLPClassifier(seed=1)),
        (datasets.ImageSegments(), linear_model.SoftmaxRegression(), MLPClassifier(seed=1)),
    ]
    for dataset, linear, ours in pairs:
        scaled = preprocessing.StandardScaler() | linear
        theirs = evaluate.progressive_val_score(dataset, scaled, metrics.Accuracy()).get()
        assert evaluate.progressive_val_score(dataset, ours, metrics.Accuracy()).get() >= theirs
    dataset = datasets.TrumpApproval()
    scaled = preprocessing.StandardScaler() | linear_model.LinearRegression()
    theirs = evaluate.progressive_val_score(dataset, scaled, metrics.MAE()).get()
    ours = evaluate.progressive_val_score(dataset, MLPRegressor(seed=1), metrics.MAE()).get()
    assert ours <= 1.5 * theirs


def test_without_hidden_layer_it_is_softmax_regression():
    """river's own, by the same steps: two outputs, plain SGD, everything from 0."""
    ours = MLPClassifier(hidden=None, optimizer="sgd", learning_rate=0.1, scale=False)
    W, b, classes = np.zeros((9, 2)), np.zeros(2), {}
    for x, y in PHISHING[:100]:
        values = np.array([x[name] for name in sorted(x)])
        k = classes.setdefault(y, len(classes))
        n = len(classes)
        z = values @ W[:, :n] + b[:n]
        p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
        expected = dict(zip(classes, p, strict=True))
        if n == 2 and len(ours._classes) == 2:
            assert ours.predict_proba_one(x) == pytest.approx(expected, rel=1e-9)
        ours.learn_one(x, y)
        d = p - (np.arange(n) == k)
        W[:, :n] -= 0.1 * values[:, None] * d
        b[:n] -= 0.1 * d


def test_a_scaler_in_front_is_the_one_inside():
    inside = MLPClassifier(seed=1)
    outside = preprocessing.StandardScaler() | MLPClassifier(seed=1, scale=False)
    for x, y in PHISHING[:200]:
        inside.learn_one(x, y)
        outside.learn_one(x, y)
    x = PHISHING[300][0]
    assert inside.predict_proba_one(x) == pytest.approx(outside.predict_proba_one(x), rel=1e-6)


def test_text_is_encoded_in_a_pipeline():
    encode = compose.SelectType(str) | preprocessing.OneHotEncoder()
    model = (encode + compose.SelectType(float)) | MLPClassifier(seed=1)
    for k in range(400):
        model.learn_one({"colour": "red" if k % 2 else "blue", "size": k % 5 / 1.0}, k % 2)
    assert model.predict_one({"colour": "red", "size": 1.0}) == 1
    assert model.predict_one({"colour": "blue", "size": 1.0}) == 0


def test_a_forest_of_features_costs_memory_only_where_it_grows():
    model = MLPClassifier(seed=1)
    for k in range(1000):
        model.learn_one({f"f{k}": 1.0, "x": k % 2}, k % 2)
    assert len(model._net.index) == 1001
    untouched = model._net._weights[model._net.index["f3"]].copy()
    model.learn_one({"x": 1.0}, 1)
    assert model._net._weights[model._net.index["f3"]].tolist() == untouched.tolist()


@pytest.mark.parametrize(
    "optimizer", ["sgd", "adam", fastnn.RMSprop(), fastnn.SGD(0.1, momentum=0.9)]
)
def test_growing_keeps_what_was_learned_and_remembered(optimizer):
    """A new feature or class changes no output, and no moment of another weight."""
    model = trained(MLPClassifier(seed=1, optimizer=optimizer))
    x = PHISHING[0][0]
    before, moments = model.predict_proba_one(x), model._net._moments.copy()
    model._net.add_features([f"new {k}" for k in range(100)])
    assert model.predict_proba_one(x) == before
    assert (model._net._moments[:, : moments.shape[1]] == moments).all()
    rest = model._net._rest_moments.copy()
    model._net.add_output()
    model._classes["new"] = 2
    after = model.predict_proba_one(x)
    assert after[True] / after[False] == pytest.approx(before[True] / before[False], rel=1e-9)
    kept = model._net._rest_moments
    assert kept[:, :16].tolist() == rest[:, :16].tolist()
    assert kept.sum() == pytest.approx(rest.sum())


def test_start_weights_depend_on_the_name_alone():
    names = ["a", "b", "c", 3, ("t", 1), "3"]
    one, other = MLPClassifier(seed=5), MLPClassifier(seed=5)
    one.learn_one(dict.fromkeys(names, 0.0), 0)
    for name in reversed(names):
        other.learn_one({name: 0.0}, 0)
    for name in names:
        rows = [m._net._weights[m._net.index[name]] for m in (one, other)]
        assert rows[0].tolist() == rows[1].tolist()
    assert len({tuple(one._net._weights[k]) for k in range(len(names))}) == len(names)


@pytest.mark.parametrize("missing", [None, float("nan"), np.nan, np.float32("nan"), pd.NA])
def test_what_is_missing_is_as_if_it_were_not_there(missing):
    one, other = trained(), trained()
    x = dict(PHISHING[0][0])
    del x["https"]
    for model, row in ((one, {**x, "https": missing}), (other, x)):
        model.learn_one(row, True)
    assert one.predict_proba_one(x) == other.predict_proba_one(x)
    assert one.predict_proba_one({**x, "https": missing}) == one.predict_proba_one(x)


def test_classes_of_mixed_types():
    model = MLPClassifier(seed=1)
    labels = ["a", 2, (3, "c"), b"d", 1.5, False]
    for k in range(300):
        model.learn_one({"k": float(k % 6)}, labels[k % 6])
    probabilities = model.predict_proba_one({"k": 1.0})
    assert list(probabilities) == labels
    assert sum(probabilities.values()) == pytest.approx(1.0)


def test_before_anything_is_learned():
    assert MLPClassifier().predict_one({"a": 1}) is None
    assert MLPClassifier().predict_proba_one({"a": 1}) == {}
    assert MLPRegressor().predict_one({"a": 1}) == 0.0
    model = MLPRegressor()
    model.learn_one({}, 3.0)
    assert model.predict_one({}) == 3.0


def test_pickles_are_deterministic_and_copies_go_on():
    one, other = trained(), trained()
    assert pickle.dumps(one) == pickle.dumps(other)
    one.predict_proba_one(PHISHING[0][0])
    assert pickle.dumps(one) == pickle.dumps(other)
    for twin in (pickle.loads(pickle.dumps(one)), copy.deepcopy(one)):
        row = PHISHING[301][0]
        assert twin.predict_proba_one(row) == one.predict_proba_one(row)
        learned = copy.deepcopy(one)
        for model in (twin, learned):
            for x, y in PHISHING[300:320]:
                model.learn_one(x, y)
        assert twin.predict_proba_one(row) == learned.predict_proba_one(row)
        assert twin.predict_proba_one(row) != one.predict_proba_one(row)


def test_a_clone_is_new_and_has_the_same_parameters():
    model = trained(MLPClassifier(hidden=(4, 3), optimizer=fastnn.Adam(0.02), l2=0.01, seed=7))
    clone = model.clone()
    assert clone._get_params() == model._get_params()
    assert clone.predict_proba_one(PHISHING[0][0]) == {}
    assert MLPClassifier(hidden=()).clone().hidden is None


def test_divergence_begins_again_with_a_warning():
    model = MLPRegressor(seed=1, scale=False, optimizer="sgd", learning_rate=10.0)
    values = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 2)) * 1e3, columns=["a", "b"])
    with pytest.warns(RuntimeWarning, match=r"MLPRegressor diverged in row \d+, and begins again"):
        model.learn_many(values, values["a"])
    assert model._rows == 50
    assert np.isfinite(model.predict_one({"a": 0.0, "b": 1.0}))


def test_huge_values_are_scaled_or_refused():
    model = MLPRegressor(seed=1)
    for k in range(20):
        model.learn_one({"a": (-1.0) ** k * 1e150}, (-1.0) ** k * 1e150)
    before = pickle.dumps(model)
    for x, y, name in ((1e151, 1.0, "x\\['a'\\]"), (1.0, -1e151, "y"), (1.0, np.inf, "y")):
        with pytest.raises(
            ValueError, match=f"{name} must be finite and at most 1e150 .* in row 21"
        ):
            model.learn_one({"a": x}, y)
        assert pickle.dumps(model) == before
    assert np.isfinite(model.predict_one({"a": 1e150}))


def frames():
    rows, labels = zip(*PHISHING[:200], strict=True)
    yield pd.DataFrame(list(rows)), pd.Series(labels, name="label")
    yield pl.DataFrame(list(rows)), pl.Series("label", labels)


@pytest.mark.parametrize(("X", "y"), list(frames()), ids=["pandas", "polars"])
def test_many_are_one_after_another(X, y):
    many, one = MLPClassifier(seed=1), MLPClassifier(seed=1)
    many.learn_many(X[:50], y[:50])
    many.learn_many(X[50:], y[50:])
    for x, label in PHISHING[:200]:
        one.learn_one(x, label)
    row = PHISHING[300][0]
    assert many.predict_proba_one(row) == pytest.approx(one.predict_proba_one(row), rel=1e-9)
    labels, table = many.predict_many(X), many.predict_proba_many(X)
    assert type(labels) is type(y)
    assert type(table) is type(X)
    assert list(labels) == [many.predict_one(x) for x, _ in PHISHING[:200]]
    regressor = MLPRegressor(seed=1)
    regressor.learn_many(X, [float(label) for label in y])
    assert list(regressor.predict_many(X)) == pytest.approx(
        [regressor.predict_one(x) for x, _ in PHISHING[:200]]
    )


def test_frames_with_gaps_and_new_classes_are_one_after_another():
    X = pd.DataFrame({"a": [1.0, None, 3.0, 4.0, 5.0], "b": [None, 2.0, None, 1.0, 0.0]})
    y = pd.Series(["u", "u", "v", "u", "w"])
    many, one = MLPClassifier(seed=2), MLPClassifier(seed=2)
    many.learn_many(X, y)
    for row, label in zip(X.to_dict("records"), y, strict=True):
        one.learn_one({k: v for k, v in row.items() if v == v}, label)
    x = {"a": 2.0, "b": 1.0}
    assert many.predict_proba_one(x) == pytest.approx(one.predict_proba_one(x), rel=1e-9)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (pd.DataFrame({"a": ["x", "y"]}), [0, 1], "column 'a' of X must hold numbers"),
        (pd.DataFrame({"a": [1.0, 2.0]}), [0], "an entry for each of the 2 rows of X, got 1"),
        (
            pd.DataFrame({"a": [1.0, np.inf]}),
            [0, 1],
            r"x\['a'\] must be finite .*, got inf in row 2",
        ),
        (pl.DataFrame({"a": ["x", "y"]}), [0, 1], "column 'a' of X must hold numbers"),
    ],
)
def test_bad_frames_are_named(X, y, message):
    with pytest.raises((TypeError, ValueError), match=message):
        MLPClassifier(seed=1).learn_many(X, y)


def test_a_stream_that_ends_early_leaves_what_was_learned():
    def failing():
        yield from PHISHING[:100]
        raise OSError("gone")

    model, twin = MLPClassifier(seed=1), trained(MLPClassifier(seed=1), 100)
    with pytest.raises(OSError, match="gone"):
        evaluate.progressive_val_score(failing(), model, metrics.Accuracy())
    assert pickle.dumps(model) == pickle.dumps(twin)


def test_rates_go_on_beyond_those_made_ready():
    by_schedule = MLPClassifier(
        seed=1, learning_rate=fastnn.StepDecay(0.05, 700, 0.1, per="update")
    )
    by_number = MLPClassifier(seed=1, learning_rate=0.05)
    for k, (x, y) in enumerate(PHISHING[:900]):
        if k == 700:
            before = by_number.predict_proba_one(x)
            assert by_schedule.predict_proba_one(x) == before
        by_schedule.learn_one(x, y)
        by_number.learn_one(x, y)
    assert by_schedule.predict_proba_one(x) != by_number.predict_proba_one(x)


def test_the_size_of_a_model_is_that_of_its_numbers():
    """And not of all kernels, nor an error of something in numba that is gone."""
    model = trained()
    model.predict_one(PHISHING[0][0])
    assert 1_000 < model._raw_memory_usage < 100_000


def test_rows_leave_no_memory_behind():
    model = trained()
    model.predict_one(PHISHING[0][0])  # compiles
    tracemalloc.start()
    trained(model, 1000)
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(5):
        for x, y in PHISHING:
            model.learn_one(x, y)
            model.predict_one(x)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 5000


def test_drift_is_followed_by_a_new_model():
    rng = np.random.default_rng(0)
    model, detector, found = MLPClassifier(seed=1), drift.ADWIN(), []
    for k in range(3000):
        x = {"a": rng.normal(), "b": rng.normal()}
        y = (x["a"] * x["b"] > 0) != (k >= 1500)
        detector.update(model.predict_one(x) != y)
        if detector.drift_detected and k > 200:
            model = model.clone()
            found.append(k)
        model.learn_one(x, y)
    assert any(1500 <= k < 1900 for k in found)


def test_the_readmes_example_runs(capsys):
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    block = text.split("<!-- river:begin -->")[1].split("<!-- river:end -->")[0]
    code = block.split("```python")[1].split("```")[0]
    exec(compile(code, "README.md", "exec"), {})
    accuracy = float(capsys.readouterr().out.removeprefix("Accuracy: ").strip().rstrip("%"))
    assert accuracy > 85


@pytest.mark.parametrize(
    "arguments",
    [
        {"hidden": (0,)}, {"hidden": "16"}, {"hidden": (2.5,)}, {"activation": "softmax"},
        {"optimizer": "lbfgs"}, {"learning_rate": -1}, {"l2": -1}, {"scale": 1}, {"seed": 1.5},
        {"seed": "a"}, {"optimizer": fastnn.Adam(), "learning_rate": 0.1},
    ],
)  # fmt: skip
def test_bad_parameters_are_named(arguments):
    with pytest.raises((TypeError, ValueError), match=next(iter(arguments))):
        MLPClassifier(**arguments)
