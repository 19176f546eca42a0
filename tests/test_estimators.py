"""The estimators among scikit-learn: its errors, warnings and checks, and without it."""

import subprocess
import sys
import warnings

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from twins import DATA, SMALL, TWINS, N, Outcome, both, fit_both

import fastnn
from fastnn.estimators import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.usefixtures("engine_of_estimators")


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


@pytest.mark.slow
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


def failed_checks(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(estimator, on_fail=None, on_skip=None)
    return {r["check_name"] for r in results if r["status"] not in ("passed", "skipped")}


@pytest.mark.slow
@pytest.mark.parametrize("engine_of_estimators", ["numba"], indirect=True)
@pytest.mark.parametrize("kind", TWINS)
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_scikit_learns_own_checks_pass(kind, solver):
    """But for those that its own estimator fails."""
    ours, theirs = TWINS[kind]
    failed = failed_checks(ours(solver=solver))
    assert not failed or failed <= failed_checks(theirs(solver=solver))
