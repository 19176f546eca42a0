"""What the class weights of the estimators mean."""

import numpy as np
import pytest
import scipy.sparse
from helpers import in_turn, slow_but
from twins import DATA, N_IN, SMALL, TWINS, N, Outcome, refused_and_unchanged

from fastnn.estimators import MLPClassifier

pytestmark = pytest.mark.usefixtures("numpy_engine_of_estimators")

MASK = np.arange(N) % 7 == 0


def mixed(values):
    labels = np.empty(N, object)
    labels[:] = values
    return labels


CLASSES = DATA["binary"][2]
BAD_INPUT = {
    "no y": {"y": None},
    "NaN": {"y": np.where(MASK, np.nan, CLASSES)},
    "infinite": {"y": np.where(MASK, np.inf, CLASSES)},
    "continuous": {"y": np.linspace(0, 1, N)},
    "a matrix of numbers": {"y": np.arange(2 * N).reshape(N, 2)},
    "three dimensions": {"y": np.zeros((N, 2, 2))},
    "another length": {"y": CLASSES[:-1]},
    "one number": {"y": 3},
    "one text": {"y": "yes"},
    "none at all": {"y": CLASSES[:0]},
    "text and numbers": {"y": mixed([3, "a"] * (N // 2))},
    "None among them": {"y": mixed([3, None] * (N // 2))},
    "sparse column": {"y": scipy.sparse.csr_matrix(CLASSES[:, np.newaxis])},
    "complex": {"y": CLASSES + 1j},
    "no X": {"X": None},
    "X with NaN": {"X": np.full((N, N_IN), np.nan)},
    "X of one dimension": {"X": np.zeros(N)},
    "X of text": {"X": np.full((N, N_IN), "a")},
    "X of another length": {"X": np.zeros((N - 1, N_IN))},
    "weights of another length": {"sample_weight": np.ones(N - 1)},
    "weights with NaN": {"sample_weight": np.full(N, np.nan)},
}


@in_turn("kind", BAD_INPUT)
@pytest.mark.parametrize("class_weight", ["balanced", {7: 3.0}, {3: 1.0, 7: 0.0}])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_with_class_weights_bad_input_gets_scikit_learns_words(method, class_weight, kind):
    given = {"X": DATA["binary"][1], "y": CLASSES, **BAD_INPUT[kind]}
    if method == "partial_fit":
        if "sample_weight" in given and class_weight == "balanced":
            return  # 'balanced' is refused first
        given["classes"] = [3, 7]
    ours, theirs = TWINS["classifier"]
    errors = [
        Outcome(lambda e: getattr(e, method)(**given), estimator).error
        for estimator in (ours(**SMALL, class_weight=class_weight), theirs(**SMALL))
    ]
    assert errors[0] == errors[1] is not None


@pytest.mark.parametrize("kind", BAD_INPUT)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_what_scikit_learn_refuses_leaves_the_estimator_as_it_was(method, kind):
    X = DATA["binary"][1]
    estimator = Outcome(lambda e: e.fit(X, CLASSES), MLPClassifier(**SMALL)).estimator
    given = {"X": X, "y": CLASSES, **BAD_INPUT[kind]}
    refused_and_unchanged(estimator, lambda e: getattr(e, method)(**given))


@pytest.mark.parametrize(
    "labels", [(3, 7), ("a", "b"), ("1", "2"), (False, True), (1.0, 2.0), (3, 7, 9)], ids=str
)
def test_class_weights_are_sample_weights_for_labels_of_any_kind(labels):
    X = DATA["classes"][1]
    places = np.unique(DATA["classes"][2], return_inverse=True)[1] % len(labels)
    y = np.array(labels)[places]
    for class_weight, weights in [
        ({labels[1]: 3.0}, np.where(places == 1, 3.0, 1.0)),
        ({y[0]: 0.5}, np.where(y == y[0], 0.5, 1.0)),
        ("balanced", N / len(labels) / np.bincount(places)[places]),
    ]:
        by_class, by_sample = (
            MLPClassifier(**SMALL, class_weight=class_weight),
            MLPClassifier(**SMALL),
        )
        Outcome(lambda e: e.fit(X, y), by_class)
        Outcome(lambda e, w=weights: e.fit(X, y, w), by_sample)
        assert np.array_equal(by_class.predict_proba(X), by_sample.predict_proba(X))


@pytest.mark.parametrize("task", ["binary", "classes"])
def test_a_batch_need_not_have_all_classes(task):
    _, X, y, _ = DATA[task]
    classes = np.unique(y)
    weight = {classes[-1]: 3.0}
    by_class, by_sample = MLPClassifier(**SMALL, class_weight=weight), MLPClassifier(**SMALL)
    for kept in (y == classes[0], y == classes[-1], y == y, y != classes[-1]):
        weights = np.where(y[kept] == classes[-1], 3.0, 1.0)
        by_class.partial_fit(X[kept], y[kept], classes=classes)
        by_sample.partial_fit(X[kept], y[kept], weights, classes=classes)
    assert np.array_equal(by_class.predict_proba(X), by_sample.predict_proba(X))


@pytest.mark.parametrize("task", ["binary", "classes"])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("batch_size", [1, 7, N])
@pytest.mark.parametrize("weight", [0, 0.0, 1e-60])
def test_a_class_of_weight_0_is_left_out(task, solver, batch_size, weight):
    _, X, y, _ = DATA[task]
    X = X.astype(np.float32)
    classes = np.unique(y)
    kept = y != classes[0]
    params = {**SMALL, "solver": solver, "batch_size": batch_size}
    weighted, alone = (
        MLPClassifier(**params, class_weight={classes[0]: weight}),
        MLPClassifier(**params),
    )
    for _ in range(3):
        Outcome(lambda e: e.partial_fit(X, y, classes=classes), weighted)
        Outcome(lambda e: e.partial_fit(X[kept], y[kept], classes=classes), alone)
    assert weighted.loss_curve_ == alone.loss_curve_
    assert np.array_equal(weighted.predict_proba(X), alone.predict_proba(X))


@pytest.mark.parametrize("solver", slow_but(["adam"], ["sgd", "adam", "lbfgs"]))
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("convert", [np.asarray, scipy.sparse.csr_array, scipy.sparse.csc_array])
def test_a_class_of_weight_0_is_forgotten_in_a_fit(solver, early_stopping, convert):
    _, X, y, _ = DATA["classes"]
    params = {**SMALL, "solver": solver, "early_stopping": early_stopping}
    params |= {"max_iter": 60, "learning_rate_init": 0.03, "batch_size": 1}
    estimator = MLPClassifier(**params, class_weight={"a": 0, "b": 2})
    assert Outcome(lambda e: e.fit(convert(X), y, np.ones(N)), estimator).error is None
    assert list(estimator.classes_) == ["a", "b", "c"]
    assert estimator.predict_proba(X)[:, 0].mean() < 0.2


def test_a_batch_of_nothing_but_weight_0_changes_nothing():
    _, X, y, _ = DATA["binary"]
    estimator = MLPClassifier(**SMALL, class_weight={3: 0})
    estimator.partial_fit(X, y, classes=[3, 7])
    before = estimator.predict_proba(X)
    estimator.partial_fit(X[y == 3], y[y == 3])
    assert np.array_equal(estimator.predict_proba(X), before)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 2.0}, {0: 2.0, 1: 1.0, 2: 3.0}, {}])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_class_weights_are_not_for_multi_label_y(class_weight, method):
    _, X, y, _ = DATA["multilabel"]
    estimator = MLPClassifier(**SMALL, class_weight=class_weight)
    classes = {"classes": [0, 1, 2]} if method == "partial_fit" else {}
    with pytest.raises(ValueError, match="class_weight needs y with one class for each sample"):
        getattr(estimator, method)(X, y, **classes)


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({3: -1.0}, r"class_weight\[3\] must be at least 0"),
        ({3: float("nan")}, r"class_weight\[3\] must be finite"),
        ({3: np.inf}, r"class_weight\[3\] must be finite"),
        ({3: "2"}, r"class_weight\[3\] must be a number"),
        ({3: None}, r"class_weight\[3\] must be a number"),
        ({3: True}, r"class_weight\[3\] must be a number"),
        ({3: 10**400}, r"class_weight\[3\] must be finite"),
        ({3: 1e300}, "class_weight must be finite.*too large for float32"),
        ({4: 2.0}, r"class_weight has \[4\], which is not among the classes \[3, 7\]"),
        ({"3": 2.0}, r"class_weight has \['3'\], which is not among"),
        ({3: 0, 7: 0.0}, "class_weight must not be 0 for all classes"),
    ],
)
def test_bad_class_weights_are_refused(class_weight, message):
    _, X, y, _ = DATA["binary"]
    estimator = Outcome(lambda e: e.fit(X, y), MLPClassifier(**SMALL)).estimator
    estimator.set_params(class_weight=class_weight)
    X = X.astype(np.float32)
    with pytest.raises((ValueError, TypeError), match=message):
        estimator.fit(X, y)
    refused_and_unchanged(estimator, lambda e: e.fit(X, y))


def test_class_weights_of_more_classes_than_there_are_are_taken():
    _, X, y, _ = DATA["binary"]
    estimator = MLPClassifier(**SMALL, class_weight={3: 1.0, 7: 2.0, 9: 5.0})
    assert Outcome(lambda e: e.fit(X, y), estimator).error is None


def test_a_product_of_weights_that_is_too_large_is_named():
    _, X, y, _ = DATA["binary"]
    estimator = MLPClassifier(**SMALL, class_weight={3: 1e200})
    with pytest.raises(ValueError, match="sample_weight times class_weight must be finite"):
        estimator.fit(X, y, np.full(N, 1e200))
