"""fastnn's MLPClassifier and MLPRegressor do what scikit-learn's do."""

import copy
import itertools
import pickle
import subprocess
import sys
import warnings

import joblib
import numpy as np
import pytest
import scipy.sparse
import sklearn
from helpers import slow_but
from sklearn import neural_network
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import shuffle
from sklearn.utils.estimator_checks import check_estimator
from twins import DATA, SMALL, TWINS, N, Outcome, assert_close, both, compare_fitted, fit_both

import fastnn
from fastnn.activations import ALIASES
from fastnn.estimators import MLPClassifier, MLPRegressor, model

THEIR_ENGINE = model.ENGINE


@pytest.fixture(autouse=True)
def engine(engine_of_estimators):
    return engine_of_estimators


# Training


@pytest.mark.parametrize("task", DATA)
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_a_fit_is_scikit_learns(solver, activation, task):
    fit_both(task, solver=solver, activation=activation)


@pytest.mark.parametrize("task", ["classes", "real"])
@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "adaptive"])
@pytest.mark.parametrize("momentum", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("nesterovs_momentum", [True, False])
def test_sgd_is_scikit_learns(task, learning_rate, momentum, nesterovs_momentum):
    fit_both(
        task,
        solver="sgd",
        batch_size=16,
        learning_rate=learning_rate,
        learning_rate_init=0.01,
        power_t=0.3,
        momentum=momentum,
        nesterovs_momentum=nesterovs_momentum,
        n_iter_no_change=2,
        tol=0.01,
        max_iter=40,
        verbose=True,
    )


def test_adam_with_other_settings_is_scikit_learns():
    fit_both("real", beta_1=0.5, beta_2=0.9, epsilon=0.1, learning_rate_init=0.03, alpha=1.0)


@pytest.mark.parametrize("task", DATA)
@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("weighted", [False, True])
def test_early_stopping_is_scikit_learns(task, solver, weighted):
    ours, theirs = fit_both(
        task,
        solver=solver,
        early_stopping=True,
        validation_fraction=0.25,
        n_iter_no_change=3,
        learning_rate_init=0.01,
        max_iter=60,
        verbose=True,
        sample_weight=np.linspace(0.1, 2, N) if weighted else None,
    )
    assert ours.printed == theirs.printed
    assert ours.estimator.validation_scores_


@pytest.mark.parametrize("task", DATA)
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_sample_weights_are_scikit_learns(task, solver):
    fit_both(task, solver=solver, batch_size=7, sample_weight=np.linspace(0, 2, N) ** 2)


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("task", ["real", "binary"])
def test_negative_sums_of_weights_are_scikit_learns(task, solver):
    weights = np.where(np.arange(N) % 4 == 0, 1.0, -1.0)
    fit_both(task, solver=solver, batch_size=N, max_iter=3, sample_weight=weights)


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_weights_that_sum_to_zero_are_refused_as_by_scikit_learn(solver):
    weights = np.ones(N)
    weights[::2] = -1.0
    outcome, _ = fit_both("real", solver=solver, sample_weight=weights)
    assert outcome.error[0] is ZeroDivisionError


@pytest.mark.parametrize("task", ["classes", "binary", "multilabel"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [1, 30])
def test_the_loss_of_hopeless_probabilities_is_clipped_as_scikit_learns(task, dtype, batch_size):
    kind, X, y, _ = DATA[task]
    params = {"solver": "sgd", "batch_size": batch_size, "learning_rate_init": 1e-4}
    ours, theirs = both(
        kind, lambda e: e.fit((300 * X).astype(dtype), y), **{**SMALL, **params, "max_iter": 5}
    )
    # In float32, 1 - p has few digits where p is near 1, and training goes its own way after that.
    epochs, tolerance = (1, 1e-2) if dtype == "float32" else (5, 1e-6)
    np.testing.assert_allclose(
        ours.estimator.loss_curve_[:epochs], theirs.estimator.loss_curve_[:epochs], rtol=tolerance
    )


@pytest.mark.parametrize("layers", [(), 5, [4, 3], (3, 4, 2)])
def test_hidden_layers_may_be_given_in_any_way(layers):
    fit_both("classes", hidden_layer_sizes=layers)


@pytest.mark.parametrize("batch_size", [1, 8, 59, 60, 61, 1000])
@pytest.mark.parametrize("shuffled", [True, False])
def test_every_batch_size_is_scikit_learns(batch_size, shuffled):
    fit_both("real", batch_size=batch_size, shuffle=shuffled, max_iter=5)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("patience", [1, 3, 10, np.inf])
def test_training_stops_where_scikit_learns_stops(solver, patience):
    ours, theirs = fit_both(
        "classes", solver=solver, n_iter_no_change=patience, tol=3e-3, max_iter=300, verbose=True
    )
    assert ours.printed == theirs.printed
    assert (ours.estimator.n_iter_ == 300) == (patience == np.inf)


@pytest.mark.parametrize("rows", [1, 10, 1 << 20])
def test_how_epochs_are_cut_changes_nothing(rows, monkeypatch):
    from fastnn.training import cuts

    def fit():
        return Outcome(
            lambda e: e.fit(*DATA["real"][1:3]), MLPRegressor(**SMALL, batch_size=7)
        ).estimator

    whole = fit()

    monkeypatch.setattr(cuts, "GRAIN", rows)
    monkeypatch.setattr(cuts, "PIECE_SECONDS", 1e-12)
    monkeypatch.setattr(cuts.Pace, "took", lambda self, rows, seconds: None)
    cut = fit()
    assert cut.loss_curve_ == whole.loss_curve_
    assert all(map(np.array_equal, cut.coefs_, whole.coefs_))


def test_the_shuffles_are_scikit_learns():
    from fastnn.estimators.epochs import draw_orders

    rng = np.random.RandomState(5)
    theirs = [np.arange(N)]
    for _ in range(3):
        theirs.append(shuffle(theirs[-1], random_state=rng))
    order = np.arange(N)
    ours = np.vstack([draw_orders(np.random.RandomState(5), order, 3)])
    assert np.array_equal(ours, theirs[1:])


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_shared_random_state_is_left_as_scikit_learn_leaves_it(early_stopping):
    after = []
    for cls in TWINS["regressor"]:
        rng = np.random.RandomState(9)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator = cls(
                **{**SMALL, "random_state": rng, "early_stopping": early_stopping, "tol": 0.1}
            )
            estimator.fit(*DATA["real"][1:3])
        after.append(rng.randint(1 << 30))
    assert after[0] == after[1]


@pytest.mark.parametrize("solver", slow_but(["lbfgs"], ["adam", "lbfgs"]))  # as in the README
def test_users_get_the_jitted_engine_and_the_same_numbers(solver, monkeypatch):
    monkeypatch.setattr(model, "ENGINE", THEIR_ENGINE)
    assert THEIR_ENGINE == "numba"
    ours, theirs = fit_both("classes", solver=solver)
    row = DATA["classes"][1][:1]
    assert ours.estimator.predict(row) == theirs.estimator.predict(row)


# More than one fit


@pytest.mark.parametrize("task", slow_but(["classes", "real"], DATA))
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_warm_start_goes_on_as_scikit_learns(task, solver, early_stopping):
    kind, X, y, extra = DATA[task]

    def fit_three_times(estimator):
        curves = []
        for _ in range(3):
            estimator.fit(X, y)
            curves.append((estimator.loss_, estimator.n_iter_))
            estimator.set_params(alpha=0.1)
        return curves

    ours, theirs = both(
        kind,
        fit_three_times,
        **{**SMALL, **extra, "max_iter": 8},
        warm_start=True,
        solver=solver,
        early_stopping=early_stopping,
    )
    np.testing.assert_allclose(ours.value, theirs.value, rtol=1e-6)
    compare_fitted(ours.estimator, theirs.estimator, X)


@pytest.mark.parametrize("task", DATA)
@pytest.mark.parametrize(("solver", "learning_rate"), [("sgd", "invscaling"), ("adam", "constant")])
@pytest.mark.parametrize("fit_first", [False, True])
def test_partial_fit_is_scikit_learns(task, solver, learning_rate, fit_first):
    kind, X, y, extra = DATA[task]

    def feed(estimator):
        if fit_first:
            estimator.fit(X, y)
        classes = np.arange(3) if task == "multilabel" else np.unique(y)
        first = {} if fit_first or kind == "regressor" else {"classes": classes}
        estimator.partial_fit(X[:20], y[:20], **first)
        for start in (20, 40, 0, 20):
            estimator.partial_fit(X[start : start + 20], y[start : start + 20])

    params = {**SMALL, **extra, "solver": solver, "learning_rate": learning_rate, "batch_size": 6}
    ours, theirs = both(kind, feed, **params)
    assert ours.error is None
    compare_fitted(ours.estimator, theirs.estimator, X)


def test_a_fit_after_another_solver_begins_anew():
    kind, X, y, _ = DATA["real"]

    def do(estimator):
        estimator.fit(X, y)
        estimator.set_params(solver="lbfgs").fit(X, y)
        estimator.set_params(solver="sgd").fit(X, y)

    ours, theirs = both(kind, do, **SMALL)
    compare_fitted(ours.estimator, theirs.estimator, X)


# Kinds of input


@pytest.mark.parametrize("task", DATA)
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_float32_stays_float32_as_in_scikit_learn(task, solver):
    kind, X, y, extra = DATA[task]
    X32 = X.astype(np.float32)
    ours, theirs = both(
        kind, lambda e: e.fit(X32, y), **{**SMALL, **extra, "solver": solver, "max_iter": 5}
    )
    compare_fitted(ours.estimator, theirs.estimator, X32, 1e-3)
    compare_fitted(ours.estimator, theirs.estimator, X, 1e-3)


#: Of these, every value is met.
FEW_SPARSE = [
    ("classes", "sgd", scipy.sparse.csr_matrix, False),
    ("multilabel", "adam", scipy.sparse.csc_array, True),
    ("real", "lbfgs", scipy.sparse.csr_matrix, False),
    ("real", "sgd", scipy.sparse.csc_array, True),
    ("classes", "adam", scipy.sparse.csc_array, False),
]


@pytest.mark.parametrize(
    ("task", "solver", "convert", "early_stopping"),
    slow_but(
        FEW_SPARSE,
        itertools.product(
            ["classes", "multilabel", "real"],
            ["sgd", "adam", "lbfgs"],
            [scipy.sparse.csr_matrix, scipy.sparse.csc_array],
            [False, True],
        ),
    ),
)
def test_sparse_input_gives_what_it_gives_in_scikit_learn(task, solver, convert, early_stopping):
    fit_both(task, solver=solver, convert=convert, early_stopping=early_stopping)


@pytest.mark.parametrize(
    "convert",
    [
        lambda X: X.astype(np.int32),
        lambda X: X.astype(np.float16),
        lambda X: X.astype(np.longdouble),
        np.asfortranarray,
        lambda X: X[::2],
        lambda X: X.tolist(),
    ],
)
def test_any_array_can_be_predicted(convert):
    kind, X, y, _ = DATA["real"]
    ours, theirs = both(kind, lambda e: e.fit(X, y), **SMALL)
    compare_fitted(ours.estimator, theirs.estimator, convert(X))


def test_feature_names_are_kept_and_missed():
    pandas = pytest.importorskip("pandas")
    kind, X, y, _ = DATA["real"]
    frame = pandas.DataFrame(X, columns=list("abcd"))

    def do(estimator):
        estimator.fit(frame, y).predict(frame)
        return estimator.predict(X)

    ours, _ = both(kind, do, **SMALL)
    assert any("feature names" in message for _, message in ours.warnings)
    assert list(ours.estimator.feature_names_in_) == list("abcd")


# Errors


@pytest.mark.parametrize(
    "params",
    [
        {"hidden_layer_sizes": (3, 0)},
        {"hidden_layer_sizes": -1},
        {"alpha": -1.0},
        {"solver": "rmsprop"},
        {"batch_size": 0},
        {"early_stopping": True, "validation_fraction": 0.01},
        {"random_state": "x"},
        {"learning_rate_init": 1e200, "solver": "sgd", "activation": "identity"},
    ],
)
def test_errors_are_scikit_learns(params):
    outcome, _ = fit_both("real", **params)
    assert outcome.error is not None


@pytest.mark.parametrize(
    "do",
    [
        lambda e, X, y: e.predict(X),
        lambda e, X, y: e.predict_proba(X),
        lambda e, X, y: e.fit(X, y[:-1]),
        lambda e, X, y: e.fit(X, y).predict(X[:, :2]),
        lambda e, X, y: e.fit(X, y).predict(X[0]),
        lambda e, X, y: e.fit(X, y).predict(X[:0]),
        lambda e, X, y: e.fit(X, y).predict(np.where(X > 1, np.nan, X)),
        lambda e, X, y: e.fit(X, y).predict(np.where(X > 1, np.inf, X)),
        lambda e, X, y: e.partial_fit(X, y),
        lambda e, X, y: e.set_params(early_stopping=True).partial_fit(X, y, classes=[3, 7]),
        lambda e, X, y: e.set_params(solver="lbfgs").partial_fit(X, y, classes=[3, 7]),
        lambda e, X, y: e.fit(X, y).partial_fit(X, y + 1),
        lambda e, X, y: e.set_params(warm_start=True).fit(X, y).fit(X, y + 1),
        lambda e, X, y: e.fit(X, y, sample_weight=np.ones(3)),
    ],
)
def test_misuse_is_refused_with_scikit_learns_words(do):
    kind, X, y, _ = DATA["binary"]
    outcome, _ = both(kind, lambda e: do(e, X, y), **SMALL)
    assert outcome.error is not None


def test_other_targets_than_before_are_refused():
    _, X, y, _ = DATA["real"]
    estimator = Outcome(lambda e: e.fit(X, y), MLPRegressor(**SMALL)).estimator
    with pytest.raises(ValueError, match="must have 1 outputs as before, got 2"):
        estimator.partial_fit(X, np.column_stack([y, y]))


def test_ctrl_c_keeps_what_is_reached():
    class Press:
        def on_epoch_end(self, network, epoch, logs):
            if epoch == 3:
                raise KeyboardInterrupt

    estimator = MLPRegressor(**SMALL, callbacks=[Press()])
    with pytest.warns(UserWarning, match="Training interrupted by user."):
        estimator.fit(*DATA["real"][1:3])
    assert estimator.n_iter_ == 3
    assert np.isfinite(estimator.predict(DATA["real"][1])).all()


# What a fitted estimator is


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


# To and from scikit-learn and Network


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


# Beyond scikit-learn


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


# Names of activations


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


# States of other versions, and warnings


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


class PressAtOnce:
    def on_epoch_end(self, network, epoch, logs):
        raise KeyboardInterrupt


#: What warns, and the beginning of what it says.
WARNINGS = {
    **{
        f"the end of {solver}": ({"solver": solver, "max_iter": 2, "tol": 1e-12}, said)
        for solver, said in [("sgd", "Stochastic"), ("adam", "Stochastic"), ("lbfgs", "lbfgs")]
    },
    "early stopping's": ({"early_stopping": True, "max_iter": 1}, "Stochastic"),
    "batch": ({"batch_size": 1000, "max_iter": 300, "tol": 10.0}, "Got `batch_size`"),
    "Ctrl-C": ({"callbacks": [PressAtOnce()]}, "Training interrupted"),
}


@pytest.mark.parametrize("kind", WARNINGS)
@pytest.mark.parametrize(
    "module", ["sklearn", r"sklearn\.neural_network", r"sklearn\.neural_network\._multilayer"]
)
def test_warnings_are_hidden_by_a_filter_for_scikit_learns(kind, module):
    params, said = WARNINGS[kind]
    _, X, y, _ = DATA["real"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(Warning, match=said) as caught:
            MLPRegressor(**{**SMALL, **params}).fit(X, y)
        warnings.filterwarnings("ignore", category=caught.type, module=module)
        MLPRegressor(**{**SMALL, **params}).fit(X, y)


def test_warnings_are_shown_where_and_as_often_as_scikit_learns():
    _, X, y, _ = DATA["real"]
    shown = []
    for cls in TWINS["regressor"]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            for _ in range(3):
                cls(**SMALL).fit(X, y)
        shown.append([(w.category, str(w.message), w.filename) for w in caught])
    assert shown[0] == shown[1] != []


# Among others


def test_sample_weights_are_routed_to_it():
    _, X, y, _ = DATA["classes"]
    weights = np.linspace(0.1, 2, N)
    scores = []
    for cls in TWINS["classifier"]:
        with sklearn.config_context(enable_metadata_routing=True), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator = cls(**SMALL).set_fit_request(sample_weight=True)
            estimator.set_score_request(sample_weight=True)
            search = GridSearchCV(estimator, {"alpha": [1e-4, 1.0]}, cv=2)
            search.fit(X, y, sample_weight=weights)
        scores.append(search.cv_results_["mean_test_score"])
    np.testing.assert_allclose(scores[0], scores[1])


@pytest.mark.parametrize("backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)])
def test_a_grid_search_gives_what_scikit_learns_gives(backend):
    _, X, y, _ = DATA["classes"]
    results = []
    for cls in TWINS["classifier"]:
        pipeline = make_pipeline(StandardScaler(), cls(**SMALL))
        grid = {"mlpclassifier__alpha": [1e-4, 1.0], "mlpclassifier__solver": ["adam", "lbfgs"]}
        search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2)
        with joblib.parallel_backend(backend), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            search.fit(X, y)
        results.append(search.cv_results_["mean_test_score"])
    np.testing.assert_allclose(results[0], results[1])


def test_importing_fastnn_imports_no_scikit_learn():
    code = "import sys, fastnn; print('sklearn' in sys.modules, 'MLPClassifier' in dir(fastnn))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def without_scikit_learn(*lines):
    """What these lines print, or the error of each, where scikit-learn cannot be imported."""
    program = """
import sys
sys.modules["sklearn"] = None
import fastnn
for line in sys.argv[1:]:
    try:
        exec(line)
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
"""
    done = subprocess.run([sys.executable, "-c", program, *lines], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_without_scikit_learn_the_error_says_what_to_install():
    said = without_scikit_learn(
        "fastnn.MLPClassifier", "from fastnn import MLPClassifier", "import fastnn.estimators"
    )
    assert len(said) == 3
    for line in said:
        assert line.startswith("ImportError: ")
        assert "pip install 'fastnn-jit[sklearn]'" in line


def test_without_scikit_learn_the_rest_can_be_looked_at():
    said = without_scikit_learn(
        "print('MLPRegressor' in dir(fastnn), 'load' in dir(fastnn))",
        "import inspect; print('Network' in dict(inspect.getmembers(fastnn)))",
        "import pydoc; print('EarlyStopping' in pydoc.render_doc(fastnn))",
        "from fastnn import *; print(Network is fastnn.Network)",
    )
    assert said == ["False True", "True", "True", "True"]


def test_they_are_fastnns():
    assert (fastnn.MLPClassifier, fastnn.MLPRegressor) == (MLPClassifier, MLPRegressor)


@pytest.mark.slow
@pytest.mark.parametrize("kind", TWINS)
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_scikit_learns_own_checks_pass(kind, solver):
    failed = []
    for cls in TWINS[kind]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = check_estimator(cls(solver=solver), on_fail=None, on_skip=None)
        failed.append(
            {r["check_name"] for r in results if r["status"] not in ("passed", "skipped")}
        )
    ours, theirs = failed
    assert ours <= theirs
