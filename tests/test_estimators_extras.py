"""What the estimators have beyond scikit-learn's."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from helpers import slow_but
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss, mean_absolute_error, mean_pinball_loss
from sklearn.model_selection import GridSearchCV
from twins import DATA, SMALL, TWINS

import fastnn
from fastnn.estimators import model

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def without_kernels(monkeypatch):
    monkeypatch.setattr(model, "ENGINE", "numpy")


def data(task):
    _, X, y, _ = DATA[task]
    return X, y


def estimator(task, **params):
    kind, _, _, own = DATA[task]
    return TWINS[kind][0](**SMALL | own | params)


def halves(task):
    X, y = data(task)
    return X[::2], y[::2], X[1::2], y[1::2]


# Validation data and scores


@pytest.mark.parametrize("stopping", [True, False])
def test_own_validation_data_are_looked_at_after_each_epoch(stopping):
    X, y, X_val, y_val = halves("classes")
    fitted = estimator("classes", early_stopping=stopping, max_iter=7)
    fitted.fit(X, y, X_val=X_val, y_val=y_val)
    assert len(fitted.validation_loss_curve_) == 7
    if not stopping:
        loss = log_loss(y_val, fitted.predict_proba(X_val))
        assert fitted.validation_loss_curve_[-1] == pytest.approx(loss)
        assert fitted.validation_scores_ is None


def test_own_validation_data_change_nothing_without_early_stopping():
    X, y, X_val, y_val = halves("real")
    plain, watched = estimator("real"), estimator("real")
    plain.fit(X, y)
    watched.fit(X, y, X_val=X_val, y_val=y_val)
    assert plain.loss_curve_ == watched.loss_curve_
    assert plain.validation_loss_curve_ == []


def test_early_stopping_takes_the_best_epoch_on_own_validation_data():
    X, y, X_val, y_val = halves("real")
    fitted = estimator("real", early_stopping=True, scoring="loss", max_iter=60,
                       learning_rate_init=0.05, n_iter_no_change=3)  # fmt: skip
    fitted.fit(X, y, X_val=X_val, y_val=y_val)
    curve = fitted.validation_loss_curve_
    assert fitted.n_iter_ < 60
    assert fitted.validation_scores_ == [-loss for loss in curve]
    reached = np.mean((fitted.predict(X_val) - y_val) ** 2) / 2
    assert reached == pytest.approx(min(curve))


def test_the_validation_loss_is_weighted():
    X, y, X_val, y_val = halves("outputs")
    weights = np.arange(1.0, len(X_val) + 1)
    fitted = estimator("outputs", max_iter=3)
    fitted.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weights)
    errors = ((fitted.predict(X_val) - y_val) ** 2).mean(axis=1) / 2
    expected = np.average(errors, weights=weights)
    assert fitted.validation_loss_curve_[-1] == pytest.approx(expected)


#: Forms of the same targets, of one and of several columns.
FORMS = {
    "list": lambda y: y.tolist(), "column": lambda y: y[:, np.newaxis], "frame": pd.DataFrame,
    "objects": lambda y: y.astype(object), "as it is": lambda y: y,
}  # fmt: skip
COLUMNS = {"list": lambda y: y.tolist(), "as it is": lambda y: y, "sparse": csr_matrix}


#: Regressors take no objects, and no sparse y_val.
CASES = [
    *(("real", form) for form in FORMS if form != "objects"),
    *(("classes", form) for form in FORMS),
    *(("outputs", form) for form in COLUMNS if form != "sparse"),
    *(("multilabel", form) for form in COLUMNS),
]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("task", "form"), CASES)
def test_the_score_on_own_validation_data_is_that_of_the_estimator(task, form, weighted):
    """Of the epoch that was the best, whose parameters the estimator has at the end."""
    X, y, X_val, y_val = halves(task)
    weights = np.arange(1.0, len(X_val) + 1) if weighted else None
    fitted = estimator(task, early_stopping=True, max_iter=4)
    given = (FORMS | COLUMNS)[form](y_val)
    fitted.fit(X, y, X_val=X_val, y_val=given, sample_weight_val=weights)
    expected = fitted.score(X_val, y_val, sample_weight=weights)
    assert max(fitted.validation_scores_) == pytest.approx(expected)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(("task", "ndim"), [("real", 1), ("classes", 1), ("outputs", 2)])
def test_a_scorer_gets_targets_as_fit_takes_them(task, ndim, own):
    X, y, X_val, y_val = halves(task)
    seen = []

    def scoring(fitted, X, y):
        seen.append(np.shape(y) == np.shape(fitted.predict(X)) and np.ndim(y) == ndim)
        return 0.0

    data = {"X_val": X_val, "y_val": y_val} if own else {}
    estimator(task, early_stopping=True, scoring=scoring, max_iter=2).fit(X, y, **data)
    assert seen == [True, True]


@pytest.mark.parametrize("answer", [float("nan"), "0.5", None, np.zeros(2), 1j])
def test_a_score_that_is_no_number_is_refused(answer):
    X, y = data("real")
    with pytest.raises(ValueError, match=r"scoring=.* must give a number .*, got "):
        estimator("real", early_stopping=True, scoring=lambda e, X, y: answer).fit(X, y)


@pytest.mark.parametrize("scoring", ["neg_log_loss", lambda e, X, y: e.score(X, y) - 5.0])
def test_early_stopping_looks_at_any_score(scoring):
    X, y = data("classes")
    fitted = estimator("classes", early_stopping=True, scoring=scoring, max_iter=6).fit(X, y)
    losses = fitted.validation_loss_curve_
    if scoring == "neg_log_loss":
        np.testing.assert_allclose(fitted.validation_scores_, np.negative(losses), rtol=1e-6)
    else:
        assert max(fitted.validation_scores_) <= -4.0


def test_no_warning_about_feature_names_comes_of_scoring():
    X, y = data("real")
    frame = pd.DataFrame(X, columns=list("abcd"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        estimator("real", early_stopping=True, scoring="r2", max_iter=3).fit(frame, y)


BAD = {
    "X_val alone": (lambda e, X, y: e.fit(X, y, X_val=X), "X_val and y_val must be given together"),
    "weights alone": (
        lambda e, X, y: e.fit(X, y, sample_weight_val=np.ones(len(y))), "without X_val and y_val"
    ),
    "new label": (
        lambda e, X, y: e.fit(X, y, X_val=X, y_val=np.where(y == "a", "z", y)), r"\['z'\]"
    ),
    "too few labels": (lambda e, X, y: e.fit(X, y, X_val=X, y_val=y[1:]), "60 labels"),
    "columns": (lambda e, X, y: e.fit(X, y, X_val=X[:, 1:], y_val=y), "^X_val: X has 3 fea"),
    "not a number": (
        lambda e, X, y: e.fit(X, y, X_val=X * np.nan, y_val=y), "^X_val: Input X contains NaN"
    ),
    "text": (lambda e, X, y: e.fit(X, y, X_val=[["a"] * 4] * 60, y_val=y), "^X_val: "),
    "lbfgs": (
        lambda e, X, y: e.set_params(solver="lbfgs").fit(X, y, X_val=X, y_val=y), "got 'lbfgs'"
    ),
    "activations": (
        lambda e, X, y: e.set_params(activation=["tanh", "relu"]).fit(X, y),
        r"one per hidden layer \(1\), got 2",
    ),
    "an activation": (
        lambda e, X, y: e.set_params(activation=["tan"]).fit(X, y), r"Did you mean 'tanh'"
    ),
    "layers twice": (lambda e, X, y: e.set_params(n_units=3).fit(X, y), "give one of the two"),
    "no units": (lambda e, X, y: e.set_params(n_units=0).fit(X, y), "n_units"),
    "columns of labels": (
        lambda e, X, y: e.fit(X, y, X_val=X, y_val=np.zeros((60, 2))), r"shape \(60,\), as y has"
    ),
    "no labels": (lambda e, X, y: e.fit(X, y, X_val=X, y_val=[None] * 60), r"\[None\]"),
    "a scorer": (lambda e, X, y: e.set_params(scoring="r3").fit(X, y), "'r3' is not a valid scor"),
    "of one": (lambda e, X, y: e.set_params(scoring=lambda e: 1.0).fit(X, y), "scoring must be a"),
    "a callback": (lambda e, X, y: e.set_params(callbacks=[3]).fit(X, y), r"callbacks\[0\] must"),
    "two rates": (
        lambda e, X, y: e.set_params(dropout=[0.1, 0.2]).fit(X, y), r"one per hidden layer \(1\)"
    ),
    "dropout": (
        lambda e, X, y: e.set_params(dropout=0.1, solver="lbfgs").fit(X, y), "got 'lbfgs'"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_go_together_is_refused(case):
    do, message = BAD[case]
    tried, fitted = (estimator("classes", max_iter=2) for _ in range(2))
    before = vars(fitted.fit(*data("classes"))).copy()
    for each in (tried, fitted):
        with pytest.raises((ValueError, TypeError), match=message):
            do(each, *data("classes"))
    assert not hasattr(tried, "coefs_")
    after = vars(fitted)
    assert [name for name in before if name.endswith("_") and after[name] is not before[name]] == []


# L-BFGS


@pytest.mark.parametrize("task", ["classes", "outputs"])
def test_lbfgs_has_a_loss_curve_that_falls_to_its_loss(task):
    fitted = estimator(task, solver="lbfgs").fit(*data(task))
    assert len(fitted.loss_curve_) == fitted.n_iter_
    assert fitted.loss_curve_[-1] == fitted.loss_
    assert np.all(np.diff(fitted.loss_curve_) < 0)


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
@pytest.mark.parametrize("module", ["sklearn", r"sklearn\.neural_network"])
def test_a_filter_by_scikit_learns_module_hides_that_it_has_not_converged(solver, module):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=ConvergenceWarning, module=module)
        estimator("real", solver=solver, max_iter=2).fit(*data("real"))


# Layers


@pytest.mark.parametrize("task", ["classes", "binary", "multilabel"])
def test_the_decision_function_is_what_the_probabilities_are_made_of(task):
    X, y = data(task)
    fitted = estimator(task).fit(X, y)
    sums, probabilities = fitted.decision_function(X), fitted.predict_proba(X)
    if task == "classes":
        odds = np.exp(sums) / np.exp(sums).sum(axis=1, keepdims=True)
    else:
        odds = 1 / (1 + np.exp(-sums))
    np.testing.assert_allclose(odds, probabilities[:, 1] if task == "binary" else probabilities)


def test_transform_gives_the_last_hidden_layer():
    X, y = data("real")
    fitted = estimator("real", hidden_layer_sizes=(6, 5), activation="tanh").fit(X, y)
    hidden = fitted.transform(X)
    assert hidden.shape == (len(X), 5)
    np.testing.assert_allclose(hidden, fitted.network_.layer_outputs(X)[1])
    outputs = hidden @ fitted.coefs_[-1] + fitted.intercepts_[-1]
    np.testing.assert_allclose(outputs.ravel(), fitted.predict(X))
    names = fitted.set_output(transform="pandas").transform(X).columns
    assert list(names) == [f"mlpregressor{k}" for k in range(5)]


def test_without_hidden_layers_transform_gives_the_inputs():
    X, y = data("real")
    np.testing.assert_array_equal(
        estimator("real", hidden_layer_sizes=()).fit(X, y).transform(X), X
    )


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_each_layer_may_have_its_activation(solver):
    X, y = data("real")
    fitted = estimator(
        "real", hidden_layer_sizes=(6, 5), activation=["tanh", "relu"], solver=solver
    ).fit(X, y)
    assert fitted.network_.activation == ("tanh", "relu")
    np.testing.assert_allclose(fitted.network_.predict(X).ravel(), fitted.predict(X))
    same = estimator("real", hidden_layer_sizes=(6, 5), activation=["tanh"] * 2, solver=solver)
    plain = clone(same).set_params(activation="tanh").fit(X, y)
    np.testing.assert_array_equal(same.fit(X, y).predict(X), plain.predict(X))
    with pytest.raises(ValueError, match="one activation for all hidden layers"):
        fitted.to_sklearn()
    assert same.to_sklearn().activation == "tanh"


def test_hidden_layers_may_be_given_by_numbers():
    X, y = data("real")
    plain = estimator("real", hidden_layer_sizes=(7, 7)).fit(X, y)
    by_numbers = estimator("real", hidden_layer_sizes=(100,), n_layers=2, n_units=7).fit(X, y)
    np.testing.assert_array_equal(plain.predict(X), by_numbers.predict(X))
    assert by_numbers.hidden_layer_sizes == (100,)
    assert by_numbers.to_sklearn().hidden_layer_sizes == (7, 7)


def test_a_search_tunes_the_numbers_of_layers_and_units():
    grid = {"n_layers": [0, 2], "n_units": [3, 5]}
    start = estimator("real", hidden_layer_sizes=(100,), max_iter=3)
    best = GridSearchCV(start, grid, cv=2).fit(*data("real")).best_estimator_
    assert len(best.coefs_) == best.n_layers + 1


# Losses


@pytest.mark.parametrize("task", ["real", "outputs"])
@pytest.mark.parametrize("loss", ["absolute_error", "huber", "quantile"])
def test_the_losses_are_those_of_a_network(loss, task):
    """From the same start one step of SGD on all samples leads to the same parameters."""
    X, y = data(task)
    options = {"loss": loss, "quantile": 0.8, "alpha": 0.0}
    steps = {"solver": "sgd", "momentum": 0.0, "batch_size": len(X), "learning_rate_init": 0.3}
    start = estimator(task, **options, **steps, max_iter=1, shuffle=False)
    before = clone(start).set_params(learning_rate_init=1e-300).fit(X, y)
    net = before.network_
    loss_before, gradient = net.loss_and_gradient(X, y)
    expected = net.parameters - 0.3 * gradient
    after = start.fit(X, y)
    np.testing.assert_allclose(after.network_.parameters, expected, rtol=1e-9, atol=1e-12)
    assert after.loss_ == pytest.approx(loss_before)


@pytest.mark.parametrize("solver", slow_but(["adam"], ["adam", "lbfgs"]))
def test_they_are_minimised(solver):
    X, y = data("real")
    rounds = 300 if solver == "adam" else 60
    options = {"solver": solver, "max_iter": rounds, "learning_rate_init": 0.02, "alpha": 0.0}
    square = estimator("real", **options).fit(X, y)
    absolute = estimator("real", loss="absolute_error", **options).fit(X, y)
    assert absolute.loss_ == pytest.approx(mean_absolute_error(y, absolute.predict(X)), rel=0.2)
    high = estimator("real", loss="quantile", quantile=0.9, **options).fit(X, y)
    pinball = mean_pinball_loss(y, high.predict(X), alpha=0.9)
    assert pinball < mean_pinball_loss(y, square.predict(X), alpha=0.9) + 0.02
    assert (y < high.predict(X)).mean() > 0.75


def test_partial_fit_takes_the_losses_too():
    X, y = data("real")
    fitted = estimator("real", loss="quantile", quantile=0.7)
    for _ in range(3):  # the third goes the short way
        fitted.partial_fit(X, y)
    assert len(fitted.loss_curve_) == 3
    assert fitted.loss_curve_[2] < fitted.loss_curve_[0]


# Compiling ahead


@pytest.mark.parametrize("task", ["classes", "real"])
def test_warmup_takes_estimators_and_leaves_them_as_they_are(task):
    fresh = estimator(task, early_stopping=True)
    assert fastnn.warmup(fresh, n_features=3).seconds > 0
    assert not hasattr(fresh, "coefs_")
    fitted = estimator(task).fit(*data(task))
    before = fitted.loss_curve_.copy()
    fastnn.warmup(fitted, fastnn.Network([2, 1], engine="numpy"))
    assert fitted.loss_curve_ == before


def test_warmup_makes_the_predictor_and_trainer_that_a_fit_needs(monkeypatch):
    asked = []
    engine = model.engine()
    trainer = engine.trainer
    monkeypatch.setattr(engine, "trainer", lambda *given: asked.append(given) or trainer(*given))
    fastnn.warmup(estimator("real", activation=["tanh"]), n_features=9)
    ((architecture, _plan),) = asked
    assert architecture.sizes == (9, 8, 1)
    assert [a.name for a in architecture.activations] == ["tanh", "identity"]
