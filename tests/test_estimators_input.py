"""What the estimators refuse, and what they take."""

import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas
import pytest
import scipy.sparse
from helpers import in_turn, slow_but
from sklearn.model_selection import cross_val_predict
from twins import DATA, N_IN, SMALL, TWINS, N, Outcome, both, fit_both, refused_and_unchanged

import fastnn
from fastnn.estimators import MLPClassifier, MLPRegressor, perceptron

pytestmark = pytest.mark.usefixtures("numpy_engine_of_estimators")

DAYS = np.datetime64("2026-01-01") + np.arange(N)
MASK = np.arange(N) % 7 == 0

#: N of what is no number, though scikit-learn or NumPy would make numbers of most.
NO_NUMBERS = {
    "dates": DAYS,
    "durations": DAYS - DAYS[0],
    "list of dates": list(DAYS),
    "list of durations": list(DAYS - DAYS[0]),
    "dates as objects": DAYS.astype(object),
    "durations as NumPy objects": np.array([*(DAYS - DAYS[0]), None], object)[:-1],
    "series of dates": pandas.Series(DAYS),
    "series of durations": pandas.Series(DAYS - DAYS[0]),
    "dates with a time zone": pandas.Series(DAYS).dt.tz_localize("UTC"),
    "masked": np.ma.masked_array(np.ones(N), MASK),
    "complex": np.ones(N) + 1j,
    "records": np.ones(N, [("a", "f8")]),
}
#: N numbers, in ways that `fastnn.Network` does not take, and scikit-learn does.
NUMBERS = {
    "objects": lambda v: v.astype(object),
    "decimals": lambda v: np.array([Decimal(float(x)) for x in v.flat], object).reshape(v.shape),
    "fractions": lambda v: np.array([Fraction(float(x)) for x in v.flat], object).reshape(v.shape),
    "nothing masked": lambda v: np.ma.masked_array(v, False),
    "nullable": lambda v: pandas.DataFrame(v).astype("Float64") if v.ndim > 1 else pandas.Series(v),
}


@pytest.fixture(params=TWINS)
def trained(request):
    """An estimator that has been fitted, with its data."""
    kind, X, y, _ = DATA["binary" if request.param == "classifier" else "real"]
    estimator = Outcome(lambda e: e.fit(X, y), TWINS[kind][0](**SMALL)).estimator
    return estimator, X, y


def as_features(values):
    if isinstance(values, pandas.Series):
        return pandas.concat([values] * N_IN, axis=1)
    if isinstance(values, list):
        return [[value] * N_IN for value in values]
    return (np.ma if isinstance(values, np.ma.MaskedArray) else np).stack([values] * N_IN, axis=1)


# The checks of `Network`


@in_turn("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("argument", ["X", "y", "sample_weight"])
@in_turn("kind", NO_NUMBERS)
def test_what_network_refuses_the_estimators_refuse(trained, argument, kind, method):
    estimator, X, y = trained
    if argument == "y" and isinstance(estimator, MLPClassifier):
        pytest.skip("names of classes may be anything")
    bad = NO_NUMBERS[kind]
    given = {"X": X, "y": y, argument: as_features(bad) if argument == "X" else bad}
    with pytest.raises((TypeError, ValueError), match=argument):
        fastnn.Network([N_IN, 1], seed=0).fit(**given)
    kind_of_error, message = refused_and_unchanged(estimator, lambda e: getattr(e, method)(**given))
    assert issubclass(kind_of_error, TypeError | ValueError)
    scikit_learns = ("Complex data not supported", "float() argument must be")
    assert message.startswith((f"{argument} ", *scikit_learns)), message


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("name", sorted({**MLPClassifier().get_params(), "loss": None}))
@in_turn(
    "value",
    [np.timedelta64(1, "s"), np.timedelta64("NaT", "s"), [np.timedelta64(2, "s")],
     np.array([2], "m8[s]")],
)  # fmt: skip
def test_no_parameter_is_a_duration(value, name, kind):
    if name not in kind().get_params():
        pytest.skip("the other estimator's")
    _, X, y, _ = DATA["binary"]
    estimator = kind(solver="sgd").set_params(**{"max_iter": 2, name: value})
    for method in ("fit", "partial_fit"):
        if hasattr(estimator, method):  # there is no partial_fit with an unknown solver
            with pytest.raises((TypeError, ValueError), match=f"'{name}' parameter of MLP"):
                getattr(estimator, method)(X, y)
    assert not hasattr(estimator, "coefs_")


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize(
    "value",
    [np.array([0.1, 0.2]), np.array([]), np.array([object(), None]), pandas.Series([1, 2]),
     pandas.DataFrame({"a": [1]}), "ab", {}, object(), 3],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_callbacks_that_are_no_list_are_refused_by_name(value, solver):
    _, X, y, _ = DATA["binary"]
    estimator = MLPClassifier(solver=solver, callbacks=value)
    with pytest.raises(ValueError, match=r"^The 'callbacks' parameter of MLPClassifier must "):
        estimator.fit(X, y)
    assert not hasattr(estimator, "coefs_")


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
@pytest.mark.parametrize("kind", NO_NUMBERS)
def test_predictions_refuse_them_too(trained, kind, method):
    estimator, _, _ = trained
    if not hasattr(estimator, method):
        pytest.skip("for classifiers")
    X = as_features(NO_NUMBERS[kind])
    kind_of_error, message = refused_and_unchanged(estimator, lambda e: getattr(e, method)(X))
    assert issubclass(kind_of_error, TypeError | ValueError)
    assert message.startswith(("X ", "Complex data", "float() argument", "dtype='numeric'")), (
        message
    )


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("argument", ["X", "y", "sample_weight"])
def test_numbers_of_any_kind_are_taken_as_before(argument, kind):
    _, X, y, _ = DATA["real"]
    plain = {"X": X, "y": y, "sample_weight": np.linspace(0.5, 2, N)}
    given = {**plain, argument: NUMBERS[kind](plain[argument])}
    curves = []
    for arguments in (plain, given):
        outcome = Outcome(lambda e, a=arguments: e.fit(**a), MLPRegressor(**SMALL))
        assert outcome.error is None
        curves.append(outcome.estimator.loss_curve_)
    assert curves[0] == curves[1]


def test_labels_may_be_dates_and_not_masked():
    _, X, y, _ = DATA["binary"]
    days = np.where(y == 7, DAYS[1], DAYS[0])
    assert set(Outcome(lambda e: e.fit(X, days), MLPClassifier(**SMALL)).value.classes_) == set(
        DAYS[:2]
    )
    for labels in (y, y.astype(str)):
        with pytest.raises(ValueError, match="y has masked values"):
            MLPClassifier(**SMALL).fit(X, np.ma.masked_array(labels, MASK))


@pytest.mark.parametrize("value", [-1, -1e-300, -1e300])
@pytest.mark.parametrize("shape", [(N,), (N, 1), (N, 3)])
@pytest.mark.parametrize("solver", slow_but(["adam"], ["sgd", "adam", "lbfgs"]))
def test_negative_counts_are_refused(solver, shape, value):
    X = DATA["poisson"][1]
    counts = np.ones(shape)
    estimator = MLPRegressor("poisson", **SMALL, solver=solver)
    Outcome(lambda e: e.fit(X, counts), estimator)
    counts.flat[-1] = value
    error = refused_and_unchanged(estimator, lambda e: e.fit(X, counts))
    assert error[1].startswith("y must be at least 0 for loss 'poisson', got values from -1")


@pytest.mark.parametrize("argument", ["y", "sample_weight"])
@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_what_is_too_large_for_the_dtype_is_named(solver, argument):
    _, X, y, _ = DATA["real"]
    given = {"y": y, argument: np.full(N, 1e300)}
    with pytest.raises(ValueError, match=rf"{argument} must be finite.*too large for float32"):
        MLPRegressor(**SMALL, solver=solver).fit(X.astype(np.float32), **given)


def test_text_for_a_regressor_is_refused():
    _, X, y, _ = DATA["real"]
    with pytest.raises(TypeError, match="y must hold real numbers"):
        MLPRegressor(**SMALL).fit(X, y.astype(str))


# Checks of the functions that ours replace


def split_off_the_last(*arrays, **how):
    """In place of scikit-learn's ``train_test_split``: the last quarter is for validation."""
    return [part for array in arrays for part in (array[: -N // 4], array[-N // 4 :])]


@pytest.fixture
def _known_split(monkeypatch):
    from sklearn.neural_network import _multilayer_perceptron as theirs

    for module in (theirs, perceptron):
        monkeypatch.setattr(module, "train_test_split", split_off_the_last)


HELD = np.arange(N) >= N - N // 4
WEIGHTS = {
    "all 0": np.where(HELD, 0.0, 1.0),
    "cancel out": np.where(HELD & (np.arange(N) % 2 == 0), -1.0, 1.0)
    + HELD * (np.arange(N) == N - 1),
    "sum to 0": np.where(HELD, np.resize([-1.0, 1.0, 0.0], N), 1.0),
    "all negative": np.where(HELD, -1.0, 1.0),
    "all 0 but one": np.where(HELD, np.arange(N) == N - 1, 1.0),
    "very small": np.where(HELD, 1e-300, 1.0),
    "very large": np.where(HELD, 1e300, 1.0),
}


@pytest.mark.usefixtures("_known_split")
@pytest.mark.parametrize("task", ["binary", "classes", "multilabel", "real", "outputs"])
@pytest.mark.parametrize("kind", WEIGHTS)
def test_validation_weights_are_scored_or_refused_as_by_scikit_learn(task, kind):
    fit_both(task, early_stopping=True, sample_weight=WEIGHTS[kind], max_iter=4)


@pytest.mark.usefixtures("_known_split")
@pytest.mark.parametrize("task", ["binary", "classes", "real", "outputs"])
@pytest.mark.parametrize("weighted", [False, True])
def test_validation_targets_that_are_all_alike_are_scored_as_by_scikit_learn(task, weighted):
    kind, X, y, _ = DATA[task]
    y = y.copy()
    y[HELD] = y[-1]
    weights = np.linspace(0.1, 2, N) if weighted else None
    ours, theirs = both(
        kind,
        lambda e: e.fit(X, y, sample_weight=weights),
        **SMALL,
        early_stopping=True,
    )
    np.testing.assert_allclose(ours.value.validation_scores_, theirs.value.validation_scores_)


@pytest.mark.parametrize("label", [0, 1, 7, "a", True, 2.0])
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_single_class_has_one_column_and_probability_1(label, solver, early_stopping):
    X = DATA["real"][1]
    estimator = MLPClassifier(**SMALL, solver=solver, early_stopping=early_stopping)
    assert Outcome(lambda e: e.fit(X, np.full(N, label)), estimator).error is None
    for rows in (X, X.tolist(), scipy.sparse.csr_array(X), X.astype(np.float32)):
        assert np.array_equal(estimator.predict_proba(rows), np.ones((N, 1)))
        assert np.array_equal(estimator.predict_log_proba(rows), np.zeros((N, 1)))
        assert np.array_equal(estimator.predict(rows), np.full(N, label))


def test_two_classes_have_two_columns_even_if_only_one_was_seen():
    X = DATA["real"][1]
    estimator = MLPClassifier(**SMALL).partial_fit(X, np.zeros(N, int), classes=[0, 1])
    assert estimator.predict_proba(X).shape == (N, 2)


def test_folds_of_a_single_class_can_be_cross_validated():
    X, y = DATA["real"][1], np.arange(N) // (N // 2)
    folds = [(np.arange(N // 2), np.arange(N // 2, N)), (np.arange(N // 2, N), np.arange(N // 2))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = cross_val_predict(MLPClassifier(**SMALL), X, y, cv=folds, method="predict_proba")
    assert np.array_equal(found, np.eye(2)[1 - y])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("convert", ["csr_array", "csc_array", "coo_array", "csr_matrix"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_sparse_targets_of_several_columns_are_as_dense_ones(convert, method):
    X, y = DATA["real"][1], DATA["real"][1][:, :2]
    sparse = getattr(scipy.sparse, convert)(y)
    ours = [getattr(MLPRegressor(**SMALL), method)(X, targets) for targets in (y, sparse)]
    assert np.array_equal(*(np.concatenate([w.ravel() for w in o.coefs_]) for o in ours))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("value", ["text", [None], {"a": 1}, object()])
def test_a_dropout_that_is_none_is_refused_by_name_whatever_the_solver(value):
    _, X, y, _ = DATA["real"]
    for solver in ("lbfgs", "sgd"):
        with pytest.raises((ValueError, TypeError), match="dropout"):
            MLPRegressor(**SMALL, solver=solver, dropout=value).fit(X, y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_without_a_penalty_only_ratios_of_weights_count_however_large_they_are(solver, dtype):
    _, X, y, _ = DATA["real"]
    X, weights = X.astype(dtype), np.linspace(0.5, 1, N, dtype=dtype)
    huge = np.ldexp(weights, np.finfo(dtype).maxexp - 1)
    small = MLPRegressor(**SMALL, solver=solver, alpha=0).fit(X, y, weights)
    large = MLPRegressor(**SMALL, solver=solver, alpha=0).fit(X, y, huge)
    np.testing.assert_allclose(large.predict(X), small.predict(X), rtol=1e-4)
