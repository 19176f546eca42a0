"""What a fitted estimator is, beside scikit-learn's: attributes, copies, its network."""

import copy
import pickle

import joblib
import numpy as np
import pytest
from helpers import slow_but
from sklearn import neural_network
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from twins import DATA, SMALL, TWINS, Outcome, assert_close, both, compare_fitted

from fastnn.estimators import MLPClassifier

pytestmark = pytest.mark.usefixtures("engine_of_estimators")


@pytest.fixture
def fitted():
    """A fitted classifier of ours and scikit-learn's, and its inputs."""
    kind, X, y, _ = DATA["classes"]
    ours, theirs = both(kind, lambda e: e.fit(X, y), **SMALL)
    return ours.estimator, theirs.estimator, X


def test_predictions_follow_coefs(fitted):
    ours, theirs, X = fitted
    for estimator in (ours, theirs):
        estimator.coefs_[0][:] *= 2  # in place
        estimator.intercepts_[1] = estimator.intercepts_[1] + 1.0  # one replaced
    assert_close(ours.predict_proba(X), theirs.predict_proba(X), 1e-9, "one replaced")
    for estimator in (ours, theirs):
        estimator.coefs_ = [coef[:, ::-1].copy() for coef in estimator.coefs_]  # all replaced
    assert_close(ours.predict_proba(X), theirs.predict_proba(X), 1e-9, "all replaced")
    for estimator in (ours, theirs):
        estimator.set_params(activation="tanh")
    assert_close(ours.predict_proba(X), theirs.predict_proba(X), 1e-9, "activation")


def test_coefs_that_do_not_fit_are_refused_as_by_scikit_learn(fitted):
    ours, theirs, X = fitted
    for estimator in (ours, theirs):
        estimator.coefs_[0] = estimator.coefs_[0][:2]
    errors = [Outcome(lambda e: e.predict(X), estimator).error for estimator in (ours, theirs)]
    assert errors[0] == errors[1] is not None


def _by_joblib(estimator, folder):
    joblib.dump(estimator, folder / "estimator")
    return joblib.load(folder / "estimator", mmap_mode="r")


@pytest.mark.parametrize(
    "make",
    [
        lambda e, _: pickle.loads(pickle.dumps(e)),
        lambda e, _: copy.deepcopy(e),
        lambda e, _: copy.copy(e),
        _by_joblib,
    ],
    ids=["pickle", "deepcopy", "copy", "joblib"],
)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_copy_goes_on_by_itself(make, early_stopping, tmp_path):
    kind, X, y, _ = DATA["classes"]
    params = {**SMALL, "warm_start": True, "early_stopping": early_stopping}
    ours, theirs = both(kind, lambda e: e.fit(X, y), **params)
    before = ours.estimator.predict_proba(X)
    twin = make(ours.estimator, tmp_path)
    assert np.array_equal(twin.predict_proba(X), before)
    Outcome(lambda e: e.fit(X, y), twin)
    Outcome(lambda e: e.fit(X, y), theirs.estimator)
    assert np.array_equal(ours.estimator.predict_proba(X), before)
    compare_fitted(twin, theirs.estimator, X)


def test_a_clone_is_not_fitted(fitted):
    ours, _, X = fitted
    with pytest.raises(NotFittedError):
        clone(ours).predict(X)
    assert clone(ours).get_params() == ours.get_params()


def test_what_is_pickled_is_what_scikit_learn_has(fitted):
    ours, theirs, _ = fitted
    extra = {*ours._our_parameters, "validation_loss_curve_"}
    extra |= {"loss_curve_"} if ours.solver == "lbfgs" else set()
    assert set(ours.__getstate__()) - extra == set(vars(theirs))


def test_predicting_leaves_the_estimator_as_it_is(fitted):
    ours, _, X = fitted
    twin = pickle.loads(pickle.dumps(ours))
    before = dict(vars(twin))
    twin.predict(X[:1])
    twin.predict_proba(X.astype(np.float32))
    assert vars(twin).keys() == before.keys()
    assert all(vars(twin)[name] is before[name] for name in before)


@pytest.mark.parametrize("task", DATA)
@pytest.mark.parametrize("solver", slow_but(["adam"], ["sgd", "adam", "lbfgs"]))
def test_fitted_estimators_go_over_to_scikit_learn_and_back(task, solver):
    kind, X, y, extra = DATA[task]
    ours, theirs = both(
        kind, lambda e: e.fit(X, y), **{**SMALL, **extra, "solver": solver, "warm_start": True}
    )
    there = ours.estimator.to_sklearn()
    back = TWINS[kind][0].from_sklearn(theirs.estimator)
    assert type(there) is TWINS[kind][1]
    compare_fitted(back, there, X)
    go_on = (lambda e: e.fit(X, y)) if solver == "lbfgs" else (lambda e: e.partial_fit(X, y))
    before = ours.estimator.predict(X)
    Outcome(go_on, there)
    Outcome(go_on, back)
    compare_fitted(back, there, X)
    assert np.array_equal(ours.estimator.predict(X), before)


def test_an_estimator_that_is_not_fitted_goes_over_too():
    theirs = MLPClassifier(alpha=0.5, dropout=0.1).to_sklearn()
    assert theirs.get_params() == neural_network.MLPClassifier(alpha=0.5).get_params()
    assert MLPClassifier.from_sklearn(theirs).alpha == 0.5


def test_what_scikit_learn_does_not_have_stays():
    with pytest.raises(ValueError, match="activation"):
        MLPClassifier(activation="gelu").to_sklearn()
    with pytest.raises(TypeError, match=r"must be a sklearn\.neural_network\.MLPClassifier"):
        MLPClassifier.from_sklearn(neural_network.MLPRegressor())


@pytest.mark.parametrize("task", DATA)
def test_the_network_computes_the_same(task):
    kind, X, y, extra = DATA[task]
    ours = Outcome(lambda e: e.fit(X, y), TWINS[kind][0](**{**SMALL, **extra})).estimator
    outputs = ours.network_.predict(X)
    expected = ours.predict(X) if kind == "regressor" else ours.predict_proba(X)
    if task == "binary":
        expected = expected[:, 1:]
    np.testing.assert_allclose(outputs, expected.reshape(outputs.shape), rtol=1e-9)


def test_the_network_is_one_of_its_own(fitted):
    ours, _, X = fitted
    before = ours.predict_proba(X)
    ours.network_.parameters[:] = 0
    assert np.array_equal(ours.predict_proba(X), before)


def test_there_is_no_network_before_the_fit():
    assert not hasattr(MLPClassifier(), "network_")


def new_parameters():
    """Parameters of ours that scikit-learn does not have, and a few that it has, with the kind."""
    for kind, classes in TWINS.items():
        ours, theirs = (cls().get_params() for cls in classes)
        yield from ((kind, name) for name in ours.keys() - theirs.keys())
        yield from ((kind, name) for name in ("max_fun", "n_iter_no_change", "activation"))


@pytest.mark.parametrize(("kind", "name"), sorted(new_parameters()))
@pytest.mark.parametrize("solver", slow_but(["adam"], ["adam", "lbfgs"]))
@pytest.mark.parametrize("fitted", [False, True])
def test_a_state_without_a_newer_parameter_has_its_default(kind, name, solver, fitted):
    X, y = DATA["binary" if kind == "classifier" else "real"][1:3]
    estimator = TWINS[kind][0](**SMALL, solver=solver)
    if fitted:
        Outcome(lambda e: e.fit(X, y), estimator)
    state = estimator.__getstate__()
    del state[name]
    older = type(estimator).__new__(type(estimator))
    older.__setstate__(pickle.loads(pickle.dumps(state)))
    assert older.get_params() == estimator.get_params()
    for again in (older, pickle.loads(pickle.dumps(older)), clone(older), copy.deepcopy(older)):
        assert repr(again) == repr(estimator)
        assert Outcome(lambda e: e.fit(X, y), again).error is None
        assert Outcome(lambda e: e.to_sklearn().predict(X), again).error is None
