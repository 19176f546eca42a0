"""What estimators have beyond scikit-learn's: class weights, dropout, callbacks, activations."""

import warnings

import numpy as np
import pytest
import scipy.sparse
import sklearn
from helpers import slow_but
from sklearn import neural_network
from sklearn.datasets import make_classification
from twins import DATA, SMALL, Outcome, assert_close

import fastnn
from fastnn.activations import ALIASES
from fastnn.estimators import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.usefixtures("engine_of_estimators")
#: For what is decided before an engine runs.
on_numpy = pytest.mark.parametrize("engine_of_estimators", ["numpy"], indirect=True)


def test_class_weights_are_sample_weights():
    _, X, y, _ = DATA["binary"]
    weights = np.where(y == 7, 3.0, 1.0)
    by_class, by_sample = MLPClassifier(**SMALL, class_weight={7: 3.0}), MLPClassifier(**SMALL)
    Outcome(lambda e: e.fit(X, y), by_class)
    Outcome(lambda e: e.fit(X, y, weights), by_sample)
    assert np.array_equal(by_class.predict_proba(X), by_sample.predict_proba(X))


def test_class_weights_do_not_hide_too_few_sample_weights():
    _, X, y, _ = DATA["binary"]
    for wrong in (np.ones(1), np.ones(len(y) - 1)):
        with pytest.raises(ValueError, match="sample_weight"):
            MLPClassifier(**SMALL, class_weight="balanced").fit(X, y, wrong)


def test_balanced_classes_count_the_same():
    X, y = make_classification(300, weights=[0.9], class_sep=0.3, flip_y=0.1, random_state=1)
    positives = []
    for class_weight in (None, "balanced"):
        estimator = MLPClassifier(**SMALL, class_weight=class_weight)
        Outcome(lambda e: e.fit(X, y), estimator)
        positives.append((estimator.predict(X) == 1).mean())
    assert positives[1] > positives[0] + 0.1
    with pytest.raises(ValueError, match="'balanced' is not supported for partial_fit"):
        estimator.partial_fit(X, y, classes=[0, 1])


def test_dropout_trains_another_network_the_same_way_each_time():
    _, X, y, _ = DATA["real"]
    curves = []
    for dropout in (0.0, 0.3, [0.3]):
        estimator = MLPRegressor(**SMALL, dropout=dropout)
        curves.append(Outcome(lambda e: e.fit(X, y), estimator).estimator.loss_curve_)
    assert curves[0] != curves[1] == curves[2]


@pytest.mark.parametrize("dropout", [1.0, -0.1, [0.1, 0.2], "much"])
def test_bad_dropout_is_refused(dropout):
    with pytest.raises(ValueError, match="dropout"):
        MLPRegressor(**SMALL, dropout=dropout).fit(*DATA["real"][1:3])


@pytest.mark.parametrize("params", [{"dropout": 0.1}, {"callbacks": [object()]}])
def test_lbfgs_has_neither_dropout_nor_callbacks(params):
    with pytest.raises(ValueError, match="need solver='sgd' or 'adam'"):
        MLPRegressor(**SMALL, solver="lbfgs", **params).fit(*DATA["real"][1:3])


def test_callbacks_are_called_after_multiples_of_every():
    epochs = []
    note = fastnn.Call(lambda network, epoch, logs: epochs.append(epoch) or epoch == 6, every=3)
    estimator = MLPRegressor(**SMALL, callbacks=[note]).fit(*DATA["real"][1:3])
    assert epochs == [3, 6]
    assert estimator.n_iter_ == 6


def test_callbacks_see_each_epoch_and_may_end_training():
    seen = []

    class Watch:
        def on_epoch_end(self, network, epoch, logs):
            seen.append((epoch, logs["loss"], network.predict(X[:1])))
            return epoch == 4

    _, X, y, _ = DATA["real"]
    estimator = MLPRegressor(**SMALL, callbacks=[Watch()]).fit(X, y)
    assert [epoch for epoch, _, _ in seen] == [1, 2, 3, 4]
    assert [loss for _, loss, _ in seen] == estimator.loss_curve_
    np.testing.assert_allclose(seen[-1][2].ravel(), estimator.predict(X[:1]), rtol=1e-12)


@pytest.mark.parametrize("activation", ["gelu", "leaky_relu", "sigmoid"])
@pytest.mark.parametrize("solver", slow_but(["adam"], ["adam", "lbfgs"]))
def test_more_activations_can_be_had(activation, solver):
    _, X, y, _ = DATA["real"]
    params = {**SMALL, "max_iter": 200, "learning_rate_init": 0.03, "tol": 1e-3}
    estimator = MLPRegressor(**params, activation=activation, solver=solver)
    Outcome(lambda e: e.fit(X, y), estimator)
    assert estimator.score(X, y) > 0.5


@on_numpy
@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("solver", slow_but(["sgd"], ["sgd", "lbfgs"]))
def test_an_activation_is_the_same_by_all_its_names(alias, solver):
    _, X, y, _ = DATA["real"]
    fitted = [
        Outcome(lambda e: e.fit(X, y), MLPRegressor(**SMALL, activation=name, solver=solver))
        for name in (alias, ALIASES[alias])
    ]
    one, other = (outcome.estimator for outcome in fitted)
    assert one.activation == alias
    assert one.loss_ == other.loss_
    assert all(map(np.array_equal, one.coefs_, other.coefs_))


@on_numpy
@pytest.mark.parametrize(
    ("name", "theirs"), [("sigmoid", "logistic"), ("linear", "identity"), ("logistic", "logistic")]
)
@pytest.mark.parametrize("solver", slow_but(["adam"], ["sgd", "adam", "lbfgs"]))
def test_by_any_name_it_is_scikit_learns(name, theirs, solver):
    _, X, y, _ = DATA["classes"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = MLPClassifier(**SMALL, activation=name, solver=solver).fit(X, y)
        other = neural_network.MLPClassifier(**SMALL, activation=theirs, solver=solver).fit(X, y)
        assert_close(one.coefs_, other.coefs_, 1e-6, "coefs_")
        there = one.to_sklearn()
        assert there.activation == theirs
        assert_close(there.predict_proba(X), one.predict_proba(X), 1e-9, "there")
        Outcome(lambda e: e.fit(X, y), there)
    assert_close(there.coefs_, other.coefs_, 1e-6, "fitted there")


@pytest.mark.parametrize("name", ["sigmoid", "linear", "tanh"])
@pytest.mark.parametrize("change", ["long double", "infinite", "NaN", "coefs_"])
def test_what_only_scikit_learn_can_compute_has_its_names(name, change):
    _, X, y, _ = DATA["real"]
    ours = Outcome(lambda e: e.fit(X, y), MLPRegressor(**SMALL, activation=name)).estimator
    theirs = ours.to_sklearn()
    X = X.astype(np.longdouble) if change == "long double" else X.copy()
    if change in ("infinite", "NaN"):
        X[3, 1] = {"infinite": np.inf, "NaN": np.nan}[change]
    if change == "coefs_":
        for estimator in (ours, theirs):
            estimator.coefs_ = [coef.astype(np.longdouble) for coef in estimator.coefs_]
    with sklearn.config_context(assume_finite=True):
        np.testing.assert_allclose(ours.predict(X), theirs.predict(X))


@pytest.mark.parametrize("name", ["gelu", "swish", "leaky_relu"])
def test_other_activations_are_computed_or_say_what_is_wrong(name):
    _, X, y, _ = DATA["real"]
    ours = Outcome(lambda e: e.fit(X, y), MLPRegressor(**SMALL, activation=name)).estimator
    assert_close(ours.predict(X.astype(np.longdouble)), ours.predict(X), 1e-12, "long double")
    unfit = X.copy()
    unfit[3, 1] = np.nan
    for rows in (unfit, scipy.sparse.csr_array(unfit)):
        with (
            sklearn.config_context(assume_finite=True),
            pytest.raises(ValueError, match=r"X must be finite, got X\[3, 1\] = nan"),
        ):
            ours.predict(rows)
    ours.intercepts_[0] = ours.intercepts_[0][:2]
    with pytest.raises(ValueError, match="coefs_ and intercepts_"):
        ours.predict(X)
