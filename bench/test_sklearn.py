"""The estimators against scikit-learn's: the same fits, parameter for parameter, and predictions.

Both draw the same random numbers, so the probabilities or values predicted after the fit must
agree before anything is timed. A row's time is that of one ``fit``, from the constructor on, or of
one ``predict`` for one row of inputs.
"""

import functools
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from bench import contest, machine
from bench.rows import version

datasets = pytest.importorskip("sklearn.datasets")

#: A contestant's name in results, and the module of its estimators.
CONTESTANTS = {"numba": "fastnn", "sklearn": "sklearn.neural_network"}


@dataclass(frozen=True)
class Task:
    """An estimator with its parameters, and one of scikit-learn's data sets, standardised."""

    label: str
    data: str
    estimator: str
    parameters: dict[str, Any] = field(hash=False, default_factory=dict)

    @functools.cached_property
    def samples(self) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets; the targets of a regression are standardised too."""
        X, y = getattr(datasets, f"load_{self.data}")(return_X_y=True)
        return _standardised(X), _standardised(y) if self.estimator == "MLPRegressor" else y

    def fit(self, contestant: str) -> Any:
        """A new estimator, fitted."""
        module = pytest.importorskip(CONTESTANTS[contestant])
        estimator = getattr(module, self.estimator)(random_state=1, **self.parameters)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # most fits end before they converge
            return estimator.fit(*self.samples)

    def outputs(self, estimator: Any) -> np.ndarray:
        """What is compared: probabilities or values for all inputs."""
        X = self.samples[0]
        if self.estimator == "MLPRegressor":
            return estimator.predict(X)
        return estimator.predict_proba(X).ravel()

    @functools.cached_property
    def expected(self) -> np.ndarray:
        """scikit-learn's outputs."""
        return self.outputs(self.fit("sklearn"))


def _standardised(values: np.ndarray) -> np.ndarray:
    deviation = values.std(axis=0)
    return (values - values.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)


IRIS = Task("iris, adam, 10 units", "iris", "MLPClassifier", {"hidden_layer_sizes": (10,)})
DIGITS = Task("digits, adam, batch 200, 100 units", "digits", "MLPClassifier", {"max_iter": 50})
DIABETES = Task(
    "diabetes, adam, batch 32, 32-32 units",
    "diabetes",
    "MLPRegressor",
    {"hidden_layer_sizes": (32, 32), "batch_size": 32},
)
TASKS = [
    DIGITS,
    Task(
        "digits, sgd, sample by sample, 100 units",
        "digits",
        "MLPClassifier",
        {"solver": "sgd", "batch_size": 1, "max_iter": 3},
    ),
    IRIS,
    DIABETES,
    Task(
        "breast cancer, sgd, batch 32, 20 logistic units",
        "breast_cancer",
        "MLPClassifier",
        {
            "hidden_layer_sizes": (20,),
            "activation": "logistic",
            "solver": "sgd",
            "batch_size": 32,
        },
    ),
    Task(
        "iris, lbfgs, 10 units, 50 iterations",  # after more, rounding would show
        "iris",
        "MLPClassifier",
        {"hidden_layer_sizes": (10,), "solver": "lbfgs", "max_iter": 50},
    ),
]


def _rows(operation, tasks):
    return pytest.mark.parametrize(
        ("task", "contestant"),
        [
            pytest.param(
                task,
                contestant,
                id=f"{task.label}|{contestant}".replace(", ", "|").replace(" ", "-"),
                marks=pytest.mark.benchmark(group=f"estimators, {operation}: {task.label}"),
            )
            for task in tasks
            for contestant in CONTESTANTS
        ],
    )


def _measure(benchmark, task, contestant, operation, entry):
    machine.require_threads(1)
    contest.measure(
        benchmark,
        entry,
        task.expected,
        dtype="float64",
        contestant=contestant,
        operation=operation,
        size=task.label,
        units=1,
        threads=machine.threads(),
        version=version(contestant),
    )


@_rows("fit", TASKS)
def test_fit(benchmark, task, contestant):
    fitted = []

    def fit():
        fitted[:] = [task.fit(contestant)]

    entry = contest.Entry(fit, lambda: task.outputs(fitted[0]), {})
    _measure(benchmark, task, contestant, "fit", entry)


@_rows("predict one row", [DIGITS, IRIS, DIABETES])
def test_predict_one_row(benchmark, task, contestant):
    estimator = task.fit(contestant)
    row = task.samples[0][:1].copy()
    entry = contest.Entry(lambda: estimator.predict(row), lambda: task.outputs(estimator), {})
    _measure(benchmark, task, contestant, "predict one row", entry)
