"""What tests of the estimators share: scikit-learn's beside ours, data, comparisons."""

from __future__ import annotations

import io
import warnings
from contextlib import redirect_stdout

import numpy as np
import pytest
import sklearn
from sklearn import neural_network
from sklearn.datasets import make_multilabel_classification

from fastnn.estimators import MLPClassifier, MLPRegressor

TWINS = {
    "classifier": (MLPClassifier, neural_network.MLPClassifier),
    "regressor": (MLPRegressor, neural_network.MLPRegressor),
}
N, N_IN = 60, 4


def _data():
    rng = np.random.default_rng(7)
    X = rng.normal(size=(N, N_IN))
    y = np.sin(X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * rng.normal(size=N)
    bins = np.digitize(y, [-0.5, 0.5])
    _, labels = make_multilabel_classification(N, n_classes=3, random_state=2)
    return {
        "classes": ("classifier", X, np.array(["b", "a", "c"])[bins], {}),
        "binary": ("classifier", X, np.where(y + rng.normal(size=N) > 0, 7, 3), {}),
        "multilabel": ("classifier", X + labels @ rng.normal(size=(3, N_IN)), labels, {}),
        "real": ("regressor", X, y, {}),
        "outputs": ("regressor", X, np.column_stack([y, X[:, 3] ** 2, -y]), {}),
        "poisson": ("regressor", X, rng.poisson(np.exp(0.5 * y)).astype(float), POISSON),
    }


POISSON = {"loss": "poisson"}
DATA = _data()
SMALL = {"hidden_layer_sizes": (8,), "max_iter": 25, "random_state": 3}


def _skip_a_fault_of_old_versions(error):
    """scikit-learn before 1.9 could not stop early on classes that are texts."""
    if error[0] is TypeError and "ufunc 'isnan' not supported" in error[1]:
        pytest.skip(f"a fault of scikit-learn {sklearn.__version__}: {error[1]}")


class Outcome:
    """What became of something done to an estimator: error, warnings, what was printed."""

    def __init__(self, do, estimator):
        self.error = None
        self.estimator = estimator
        out = io.StringIO()
        with warnings.catch_warnings(record=True) as caught, redirect_stdout(out):
            warnings.simplefilter("always")
            try:
                self.value = do(estimator)
            except Exception as error:
                self.error = (type(error), str(error))
                if not isinstance(estimator, (MLPClassifier, MLPRegressor)):
                    _skip_a_fault_of_old_versions(self.error)
        self.warnings = [
            (warning.category, str(warning.message))
            for warning in caught
            if warning.category is not RuntimeWarning  # overflow, of NumPy's
        ]
        self.printed = out.getvalue()


def both(kind, do, **params):
    """Do the same to scikit-learn's estimator and to ours, which must take it alike."""
    ours, theirs = (Outcome(do, cls(**params)) for cls in TWINS[kind])
    assert ours.error == theirs.error
    assert ours.warnings == theirs.warnings
    return ours, theirs


def assert_same(ours, theirs, tolerance=1e-6):
    """The same attributes, of the same kinds and within rounding."""
    a, b = vars(ours), vars(theirs)
    assert set(b) <= set(a)
    extra = {"_model", "_epochs", "validation_loss_curve_", *ours._our_parameters}
    extra |= {"loss_curve_"} if ours.solver == "lbfgs" else set()
    assert set(a) - set(b) <= extra
    for name in set(b) - set(theirs.get_params()):
        if name.startswith("_"):
            continue
        assert_close(a[name], b[name], tolerance, name)


def assert_close(a, b, tolerance, name):
    if isinstance(b, list):
        assert len(a) == len(b), name
        for one, other in zip(a, b, strict=True):
            assert_close(one, other, tolerance, name)
    elif isinstance(b, np.ndarray) and b.dtype.kind == "f":
        assert a.dtype == b.dtype, name
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=name)
    elif isinstance(b, float | np.floating):
        np.testing.assert_allclose(a, b, rtol=tolerance, err_msg=name)
    else:
        np.testing.assert_array_equal(a, b, err_msg=name)


def fit_both(task, tolerance=1e-6, sample_weight=None, convert=lambda X: X, **params):
    """Fit both on a task and compare all that can be seen of them."""
    kind, X, y, extra = DATA[task]
    X = convert(X)
    ours, theirs = both(
        kind,
        lambda e: e.fit(X, y, sample_weight=sample_weight),
        **{**SMALL, **extra, **params},
    )
    if ours.error is None:
        compare_fitted(ours.estimator, theirs.estimator, X, tolerance)
    return ours, theirs


def compare_fitted(ours, theirs, X, tolerance=1e-6):
    assert_same(ours, theirs, tolerance)
    for method in ("predict", "predict_proba", "predict_log_proba"):
        if hasattr(theirs, method):
            with np.errstate(divide="ignore"):  # the logarithm of 0
                a, b = getattr(ours, method)(X), getattr(theirs, method)(X)
            if method == "predict_log_proba":  # 1 - p has few digits where p is near 1
                a, b = np.maximum(a, -15), np.maximum(b, -15)
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            assert_close(a, b, tolerance, method)


def refused_and_unchanged(estimator, do):
    """The error, from an estimator that holds after it what it held before."""
    before = dict(vars(estimator))
    values = [array.copy() for array in estimator.coefs_]
    error = Outcome(do, estimator).error
    assert error is not None
    assert vars(estimator).keys() == before.keys()
    assert [name for name in before if vars(estimator)[name] is not before[name]] == []
    assert all(map(np.array_equal, estimator.coefs_, values))
    return error
