"""skl2onnx: pipelines with our estimators through it, and what it makes of scikit-learn's, read."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import skl2onnx
from sklearn.datasets import load_iris
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastnn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = load_iris(return_X_y=True)
TARGETS = {
    "three classes": Y,
    "two classes": np.array([3, 8])[(Y == 1).astype(int)],
    "texts": np.array(["a", "b", "ü"])[Y],
    "truths": Y == 1,
    "labels": np.stack([Y == 0, Y == 1, Y != 2], axis=1).astype(int),
}
CLOSE = {"float32": 2e-6, "float64": 1e-12}


@pytest.fixture(autouse=True)
def numpy_engine(monkeypatch):
    """So that nothing is compiled."""
    from fastnn.estimators import model

    monkeypatch.setattr(model, "ENGINE", "numpy")


def run(model, X):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"X": X})


def converted(pipeline, dtype, **options):
    fastnn.exchange.register_skl2onnx()
    named = {id(pipeline[-1]): options} if options else None
    return skl2onnx.to_onnx(pipeline, X[:1].astype(dtype), options=named)


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("activation", ["relu", "gelu", "selu"])
def test_a_pipeline_with_our_classifier_gives_equal_labels(activation, kind, dtype):
    estimator = fastnn.MLPClassifier((6,), activation=activation, max_iter=30, random_state=0)
    pipeline = make_pipeline(StandardScaler(), estimator).fit(X, TARGETS[kind])
    rows = X.astype(dtype)
    model = converted(pipeline, dtype, zipmap=False)
    onnx.checker.check_model(model, full_check=True)
    labels, probabilities = run(model, rows)
    assert (labels == pipeline.predict(rows)).all()
    np.testing.assert_allclose(probabilities, pipeline.predict_proba(rows), atol=CLOSE[dtype])


def test_the_options_of_scikit_learns_classifiers():
    estimator = fastnn.MLPClassifier((4,), max_iter=5, random_state=0)
    pipeline = make_pipeline(StandardScaler(), estimator).fit(X, TARGETS["texts"])
    rows = X.astype(np.float32)
    _, dictionaries = run(converted(pipeline, "float32"), rows)
    assert set(dictionaries[0]) == {"a", "b", "ü"}
    places, _ = run(converted(pipeline, "float32", zipmap=False, nocl=True), rows)
    assert (estimator.classes_[places] == pipeline.predict(rows)).all()


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_a_pipeline_with_our_regressor(loss, n_outputs, dtype):
    y = X[:, :n_outputs] if n_outputs > 1 else X[:, 0]
    estimator = fastnn.MLPRegressor(
        hidden_layer_sizes=(6, 5), loss=loss, activation="silu", max_iter=30, random_state=0
    )
    pipeline = make_pipeline(StandardScaler(), estimator).fit(X, y)
    rows = X.astype(dtype)
    [got] = run(converted(pipeline, dtype), rows)
    wanted = pipeline.predict(rows)
    np.testing.assert_allclose(got.reshape(wanted.shape), wanted, rtol=3 * CLOSE[dtype])


def test_inputs_of_whole_numbers():
    pipeline = make_pipeline(fastnn.MLPClassifier((4,), max_iter=5, random_state=0)).fit(X, Y)
    rows = X.astype(np.int64)
    labels, _ = run(converted(pipeline, np.int64, zipmap=False), rows)
    assert (labels == pipeline.predict(rows)).all()


def test_a_classifier_that_saw_one_class_is_refused():
    one = fastnn.MLPClassifier((4,), max_iter=2, random_state=0).fit(X, np.zeros(len(X), int))
    with pytest.raises(NotImplementedError, match="one class"):
        converted(make_pipeline(one), "float32")


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("zipmap", [False, True])
@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("maker", [MLPClassifier, fastnn.MLPClassifier])
def test_files_of_classifiers_are_read(tmp_path, maker, kind, zipmap, dtype):
    estimator = maker((6,), activation="tanh", max_iter=20, random_state=0).fit(X, TARGETS[kind])
    path = tmp_path / "net.onnx"
    onnx.save(converted(make_pipeline(estimator), dtype, zipmap=zipmap), path)
    net = fastnn.from_onnx(path, engine="numpy")
    outputs = net.predict(X)
    wanted = estimator.predict_proba(X)[:, -outputs.shape[1] :]
    assert outputs.shape[1] == (1 if kind in ("two classes", "truths") else 3)
    np.testing.assert_allclose(outputs, wanted, atol=CLOSE[dtype])


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("maker", [MLPRegressor, fastnn.MLPRegressor])
def test_files_of_regressors_are_read(tmp_path, maker, n_outputs, dtype):
    y = X[:, :n_outputs] if n_outputs > 1 else X[:, 0]
    sizes = {"hidden_layer_sizes": (6, 5), "activation": "logistic"}
    estimator = maker(**sizes, max_iter=20, random_state=0).fit(X, y)
    path = tmp_path / "net.onnx"
    onnx.save(converted(make_pipeline(estimator), dtype), path)
    outputs = fastnn.from_onnx(path, engine="numpy").predict(X)
    np.testing.assert_allclose(outputs.reshape(estimator.predict(X).shape), estimator.predict(X),
                               atol=CLOSE[dtype])  # fmt: skip
