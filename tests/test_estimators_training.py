"""scikit-learn's MLPClassifier and MLPRegressor are trained as scikit-learn trains them."""

import itertools
import warnings

import numpy as np
import pytest
import scipy.sparse
from helpers import slow_but
from sklearn.utils import shuffle
from twins import DATA, SMALL, TWINS, N, Outcome, both, compare_fitted, fit_both

from fastnn.estimators import MLPRegressor, model
from fastnn.kernels import orders
from fastnn.reference import vectors
from fastnn.reference.random import shuffle as shuffle_in_place

THEIR_ENGINE = model.ENGINE


pytestmark = pytest.mark.usefixtures("engine_of_estimators")


QUICK = [("numpy", "tanh"), ("numpy", "relu")]
#: The kernels of one activation are the same but for it.
FITS = [*QUICK, ("numpy", "identity"), ("numpy", "logistic"), ("numba", "logistic")]


@pytest.mark.parametrize("task", DATA)
@pytest.mark.parametrize(
    ("engine_of_estimators", "activation"),
    slow_but(QUICK, FITS),
    indirect=["engine_of_estimators"],
)
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_a_fit_is_scikit_learns(solver, activation, task):
    fit_both(task, solver=solver, activation=activation)


@pytest.mark.parametrize("task", ["classes", "real"])
@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "adaptive"])
@pytest.mark.parametrize("momentum", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("nesterovs_momentum", slow_but([True], [True, False]))
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
    rng = np.random.RandomState(5)
    theirs = [np.arange(N)]
    for _ in range(3):
        theirs.append(shuffle(theirs[-1], random_state=rng))
    ours = np.tile(np.arange(N), (3, 1))
    rng = np.random.RandomState(5)
    model.engine().shuffler(0)([rng], ours[:, np.newaxis], goes_on=True)
    assert np.array_equal(ours, theirs[1:])


def test_shuffles_by_the_kernel_are_scikit_learns(monkeypatch):
    """Of eleven epochs at most: each time they go on from the order before."""
    shuffle_by_kernel = orders.shuffler(orders.WORTH_COMPILING)
    monkeypatch.setattr(vectors, "shuffler", lambda numbers: shuffle_by_kernel)
    fit_both("real", batch_size=7)


def test_orders_are_asked_for_where_they_are_needed(monkeypatch):
    asked = []
    monkeypatch.setattr(
        model.engine(), "shuffler", lambda numbers: asked.append(numbers) or shuffle_in_place
    )
    _, X, y, _ = DATA["real"]
    estimator = MLPRegressor(**SMALL)
    for _ in range(3):
        estimator.partial_fit(X, y)
    MLPRegressor(**SMALL, shuffle=False).partial_fit(X, y)
    assert asked == [N, N, N, 0]


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
