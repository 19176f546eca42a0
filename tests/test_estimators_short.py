"""Short ways past scikit-learn's checks: everything is as the long way leaves it."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest
from sklearn import neural_network
from sklearn.base import clone
from sklearn.preprocessing import LabelBinarizer
from twins import assert_close

import fastnn
from fastnn.estimators import perceptron, short

rng = np.random.default_rng(3)
X = rng.normal(size=(60, 4))
CLASSES = np.digitize(X[:, 0], [-0.5, 0.5])
TARGETS = {
    "classes": CLASSES,
    "two classes": (CLASSES > 0).astype(np.int64),
    "texts": np.array(["low", "middle", "high"])[CLASSES],
    "numbers": X[:, 0] * 2,
}


@pytest.fixture(autouse=True)
def engine(engine_of_estimators):
    return engine_of_estimators


def pair(task, **options):
    name = "MLPRegressor" if task == "numbers" else "MLPClassifier"
    options = {"hidden_layer_sizes": (6,), "random_state": 2, "max_iter": 3, **options}
    return getattr(neural_network, name)(**options), getattr(fastnn, name)(**options)


def compare(theirs, ours):
    for name in ("n_iter_", "t_", "n_features_in_", "n_outputs_", "loss_curve_", "best_loss_"):
        assert_close(getattr(ours, name), getattr(theirs, name), 1e-7, name)
    for kind in ("coefs_", "intercepts_"):
        for one, other in zip(getattr(ours, kind), getattr(theirs, kind), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-10)
    if hasattr(theirs, "classes_"):
        assert ours.classes_.tolist() == theirs.classes_.tolist()
        assert ours.classes_.dtype == theirs.classes_.dtype
        assert vars(ours._label_binarizer).keys() == vars(theirs._label_binarizer).keys()
        assert ours._label_binarizer.y_type_ == theirs._label_binarizer.y_type_
    state = [e._random_state.get_state() for e in (theirs, ours)]
    assert state[0][1].tolist() == state[1][1].tolist()
    assert state[0][2] == state[1][2]


@pytest.fixture
def went(monkeypatch):
    """Which short ways were taken."""
    taken = []

    def noting(owner, name):
        function = getattr(owner, name)

        def noted(*arguments, **options):
            result = function(*arguments, **options)
            if result is not None and result is not False:
                taken.append(name)
            return result

        monkeypatch.setattr(owner, name, noted)

    noting(short, "binarised")
    noting(short, "numbers")
    noting(perceptron.FastPerceptron, "_go_on")
    return taken


@pytest.mark.parametrize("task", TARGETS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_fit_by_the_short_way_is_scikit_learns(task, dtype, went):
    theirs, ours = pair(task)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):
            theirs.fit(X.astype(dtype), TARGETS[task])
            ours.fit(X.astype(dtype), TARGETS[task])
    assert len(went) == 2
    if dtype == np.float64:
        compare(theirs, ours)
    assert (ours.predict(X[:9]) == theirs.predict(X[:9])).all() or task == "numbers"


@pytest.mark.parametrize("task", TARGETS)
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("rows", [1, 7])
@pytest.mark.parametrize("seed", [2, "generator"])
def test_partial_fits_by_the_short_way_are_scikit_learns(task, solver, rows, seed, went):
    y = TARGETS[task]
    theirs, ours = pair(task, solver=solver, learning_rate_init=0.01)
    for each in (theirs, ours):
        each.random_state = np.random.RandomState(5) if seed == "generator" else seed
        each.partial_fit(X[:30], y[:30], **({} if task == "numbers" else {"classes": np.unique(y)}))
        for k in range(30, 58, rows):
            each.partial_fit(X[k : k + rows], y[k : k + rows])
    compare(theirs, ours)
    assert went.count("_go_on") >= (28 if rows == 1 else 3) - 1


def prepared(**options):
    theirs, ours = pair("classes", **options)
    for each in (theirs, ours):
        each.partial_fit(X[:30], CLASSES[:30], classes=[0, 1, 2])
        each.partial_fit(X[30:31], CLASSES[30:31])
        each.partial_fit(X[31:32], CLASSES[31:32], classes=[0, 1, 2])
    return theirs, ours


def _meddle(estimator, how):
    if how == "alpha":
        estimator.alpha = 0.5
    elif how == "tolerance":
        estimator.set_params(tol=0.1)
    elif how == "coefs":
        estimator.coefs_ = [w * 0.5 for w in estimator.coefs_]
    elif how == "in place":
        estimator.coefs_[0][:] *= 0.5
    elif how == "moments":
        estimator._optimizer.ms = [m * 0.5 for m in estimator._optimizer.ms]
    elif how == "fit":
        estimator.set_params(max_iter=1).fit(X, CLASSES)
    elif how == "weights":
        estimator.partial_fit(X[:1], CLASSES[:1], sample_weight=[0.5])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "how", ["alpha", "tolerance", "coefs", "in place", "moments", "fit", "weights"]
)
def test_what_has_been_changed_is_seen(how):
    theirs, ours = prepared()
    for each in (theirs, ours):
        _meddle(each, how)
        for k in range(40, 44):
            each.partial_fit(X[k : k + 1], CLASSES[k : k + 1])
    compare(theirs, ours)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([[1.0, 2, 3, np.nan]], [1]),
        (np.array([[1.0, 2, 3, np.inf]]), np.array([1])),
        (np.ones((1, 3)), np.array([1])),
        (np.ones((1, 4)), np.array([7])),
        (np.ones((1, 4)), np.array([-1])),
        (np.ones((1, 4)), np.array(["a"])),
        (np.ones((1, 4)), np.array([1, 2])),
        (np.ones((1, 4)), np.array([1.5])),
        (np.ones(4), np.array([1])),
        (np.ones((0, 4)), np.array([], int)),
    ],
)
def test_messages_are_scikit_learns(x, y):
    theirs, ours = prepared()
    messages, before = [], pickle.dumps(ours.coefs_)
    for each in (theirs, ours):
        with pytest.raises((ValueError, TypeError)) as caught:
            each.partial_fit(x, y)
        messages.append(str(caught.value).replace("fastnn.", ""))
    assert messages[0] == messages[1]
    assert pickle.dumps(ours.coefs_) == before


def test_a_parameter_that_becomes_bad_is_refused():
    _, ours = prepared()
    ours.alpha = 1
    ours._validate_params()
    ours.alpha = -1
    with pytest.raises(ValueError, match="The 'alpha' parameter of MLPClassifier"):
        ours.fit(X, CLASSES)
    ours.alpha, ours.max_iter = 1, 3.0  # of another type than 3, which has passed
    with pytest.raises(ValueError, match="The 'max_iter' parameter of MLPClassifier"):
        ours.fit(X, CLASSES)


def test_what_is_made_ready_is_not_copied_and_copies_go_on():
    _, ours = prepared()
    twins = [copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))]
    assert not any("_epochs" in vars(twin) for twin in [*twins, clone(ours)])
    for k in range(40, 44):
        for each in (ours, *twins):
            each.partial_fit(X[k : k + 1], CLASSES[k : k + 1])
    for twin in twins:
        for one, other in zip(twin.coefs_, ours.coefs_, strict=True):
            assert one.tolist() == other.tolist()


def failing_update(estimator):
    for _ in range(20):
        estimator.partial_fit(X[:1], np.array([1e300]))


def test_parameters_that_are_not_finite_are_scikit_learns_error():
    theirs, ours = pair("numbers", solver="sgd", learning_rate_init=1e300)
    messages = []
    for each in (theirs, ours):
        with np.errstate(all="ignore"):
            each.partial_fit(X[:1], np.array([1e-300]))
            with pytest.raises(ValueError, match="non-finite parameter") as caught:
                failing_update(each)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_there_is_a_partial_fit_where_scikit_learn_has_one(solver):
    for task in ("classes", "numbers"):
        theirs, ours = pair(task, solver=solver)
        assert hasattr(ours, "partial_fit") == hasattr(theirs, "partial_fit")


@pytest.mark.parametrize("labels", [[3, 1, 2], [5, 4], [2, 2], ["b", "a", "c"], ["y", "x"]])
def test_the_binariser_is_the_one_that_is_fitted(labels):
    y = np.array(labels * 3)
    ours, fitted = fastnn.MLPClassifier(), LabelBinarizer().fit(y)
    rows = short.binarised(ours, y, len(y), incremental=False)
    assert vars(ours._label_binarizer).keys() == vars(fitted).keys()
    for name, value in vars(fitted).items():
        assert np.all(getattr(ours._label_binarizer, name) == value)
    assert rows.tolist() == fitted.transform(y).astype(bool).tolist()
    again = short.binarised(ours, y[:2], 2, incremental=True)
    assert again.tolist() == fitted.transform(y[:2]).astype(bool).tolist()


def test_checked_parameters_are_forgotten_where_there_are_too_many(monkeypatch):
    monkeypatch.setattr(short, "MOST_CHECKED", 3)
    for alpha in (0.1, 0.2, 0.3, 0.4, 0.5):
        fastnn.MLPClassifier(alpha=alpha)._validate_params()
        assert len(short._checked) <= max(3, 1)
