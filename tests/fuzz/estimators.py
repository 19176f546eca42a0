"""The doors of the estimators: with scikit-learn's own beside them, which are asked the same."""

from __future__ import annotations

import copy
import pickle
from random import Random
from typing import Any

import numpy as np
from sklearn import neural_network
from sklearn.base import clone

import fastnn

from .doors import Call, Quiet, some, weights

PEER = "scikit-learn"
#: Parameters that scikit-learn does not have.
OURS = ("class_weight", "dropout", "callbacks")
#: scikit-learn seldom names the argument as Python does.
NAMES = (
    "validation",
    "batch",
    "sample",
    "Input",
    "Classification",
    "classes",
    "weights",
    "Weights",
)


def estimator(r: Random, whose: str) -> Call:
    """One of the estimators' methods, of *whose* class: fastnn's or scikit-learn's."""
    name = r.choice(["MLPClassifier", "MLPRegressor"])
    kind = getattr(neural_network if whose == PEER else fastnn, name)
    X, y = _data(name, r)
    settings, kinds = _settings(name, r)
    method = r.choice(["fit", "fit", "partial_fit", "predict", "predict_proba", "score", "copies"])
    if method == "predict_proba" and name == "MLPRegressor":
        method = "predict"
    draw = {"fit": _fit, "partial_fit": _partial_fit, "copies": _copies}.get(method, _predict)
    call = draw(kind(**settings), method, X, y, r)
    call.door = f"{name}.{method}"
    if method in ("fit", "partial_fit"):  # made anew, of settings that may be odd
        ours, our_kinds = _our_settings(call, r)
        call.arguments |= settings | ours
        call.kinds |= kinds | our_kinds
    call.names = NAMES
    call.has_peer = True
    call.check = lambda results: _possible(results, "sample_weight" in call.odd)
    return call


def _of(kind: type, settings: dict[str, Any]) -> dict[str, Any]:
    """Those of the settings that this class has."""
    if kind.__module__.startswith("fastnn"):
        return settings
    return {name: it for name, it in settings.items() if name not in OURS}


def _data(name: str, r: Random) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(r.getrandbits(32))
    X = rng.integers(-16, 17, (12, 3)) / 8
    if name == "MLPRegressor":
        return X, rng.integers(1, 9, (12, 2) if r.random() < 0.3 else 12) / 4
    classes = [np.arange(12) % 3, np.arange(12) % 2, np.array(list("abc"))[np.arange(12) % 3],
               rng.integers(0, 2, (12, 3)), np.arange(12) % 3 > 0]  # fmt: skip
    return X, r.choice(classes)


def _settings(name: str, r: Random) -> tuple[dict[str, Any], dict[str, str]]:
    """Parameters, and the kinds of those that may be made odd."""
    settings, kinds = some(
        r,
        alpha=("number", 0.01), batch_size=("integer", 5), learning_rate_init=("number", 0.01),
        shuffle=("flag", True), tol=("number", 1e-4), momentum=("number", 0.5),
        beta_1=("number", 0.5), epsilon=("number", 1e-6), early_stopping=("flag", True),
        n_iter_no_change=("integer", 2), validation_fraction=("number", 0.3),
        learning_rate=("name", "constant"), power_t=("number", 0.5), max_fun=("integer", 99),
        warm_start=("flag", True), nesterovs_momentum=("flag", False),
    )  # fmt: skip
    if name == "MLPRegressor" and r.random() < 0.4:
        settings["loss"], kinds["loss"] = "poisson", "name"
    settings |= {
        "hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 1,
        "solver": r.choice(["adam", "sgd", "lbfgs"]), "activation": r.choice(["relu", "tanh"]),
    }  # fmt: skip
    kinds |= {"hidden_layer_sizes": "small sizes", "solver": "name", "activation": "name",
              "random_state": "seed"}  # fmt: skip
    return settings, kinds


def _our_settings(call: Call, r: Random) -> tuple[dict[str, Any], dict[str, str]]:
    """Parameters that scikit-learn does not have."""
    values: dict[str, tuple[str, Any]] = {
        "dropout": ("rates", 0.0),
        "callbacks": ("callbacks", None),
    }
    y = call.arguments["y"]
    if call.door.startswith("MLPClassifier") and y.ndim == 1:
        one = {np.unique(y)[0].item(): 2.0}
        balanced = "partial_fit" not in call.door and r.random() < 0.5
        values["class_weight"] = ("weights", "balanced" if balanced else one)
    return some(r, **values)


def _fit(model: Any, _method: str, X: Any, y: Any, r: Random) -> Call:
    """``fit`` of a new estimator."""
    arguments, kinds = some(r, sample_weight=("array", weights(12, r)))

    def run(X: Any, y: Any, sample_weight: Any = None, **settings: Any) -> Any:
        fitted = clone(model).set_params(**_of(type(model), settings))
        return _results(fitted.fit(X, y, sample_weight=sample_weight))

    return Call("", run, {"X": X, "y": y, **arguments}, {"X": "array", "y": _kind(y), **kinds})


def _partial_fit(model: Any, _method: str, X: Any, y: Any, r: Random) -> Call:
    """``partial_fit`` after another."""
    classifier = hasattr(model, "predict_proba")
    solver = "adam" if model.solver == "lbfgs" else model.solver

    def run(X: Any, y: Any, **settings: Any) -> Any:
        settings |= {"solver": solver, "early_stopping": False}
        fresh = clone(model).set_params(**_of(type(model), settings))
        again = {"classes": np.unique(good[1])} if classifier else {}
        fresh.partial_fit(*good, **again)
        before = pickle.dumps([fresh.coefs_, fresh.intercepts_, fresh.t_])
        try:
            fresh.partial_fit(X, y)
        except Exception:
            if pickle.dumps([fresh.coefs_, fresh.intercepts_, fresh.t_]) != before:
                raise RuntimeError("changed the network and then refused") from None
            raise
        return _results(fresh)

    good = X.copy(), y.copy()
    if r.random() < 0.3:  # a batch that lacks a class
        X, y = X[1::3], y[1::3]
    return Call("", run, {"X": X, "y": y}, {"X": "array", "y": _kind(y)})


def _predict(model: Any, method: str, X: Any, y: Any, r: Random) -> Call:
    """``predict``, ``predict_proba`` and ``score``."""
    model.fit(X, y)
    arguments: dict[str, Any] = {"X": X.copy()}
    kinds = {"X": "array"}
    if method == "score":
        arguments |= {"y": y.copy(), "sample_weight": weights(12, r)}
        kinds |= {"y": _kind(y), "sample_weight": "array"}
    return Call("", getattr(model, method), arguments, kinds)


def _copies(model: Any, _method: str, X: Any, y: Any, r: Random) -> Call:
    """Copies of all sorts, and scikit-learn's estimator of it."""
    names = ["relu", "tanh", "logistic", "identity", "sigmoid", "linear", "softplus"]
    ours = isinstance(model, fastnn.MLPClassifier | fastnn.MLPRegressor)
    activation = r.choice(names)
    extra: dict[str, Any] = {"callbacks": [Quiet()]} if r.random() < 0.2 else {}

    def run() -> Any:
        canonical = {"sigmoid": "logistic", "linear": "identity"}.get(activation, activation)
        if activation == "softplus":
            canonical = "relu" if not ours else activation
        model.set_params(activation=activation if ours else canonical)
        if ours and model.solver != "lbfgs":
            model.set_params(**extra)
        model.fit(X, y)
        twin = pickle.loads(pickle.dumps(copy.deepcopy(model)))
        if ours:
            _forget_parameters(twin)
        repr(twin)
        if ours and activation != "softplus":
            twin = type(model).from_sklearn(twin.to_sklearn())
        return [] if activation == "softplus" else _results(twin)

    return Call("", run, {}, {})


def _forget_parameters(model: Any) -> None:
    """Make of it what an older version, without these parameters, would have pickled."""
    state = model.__getstate__()
    model.__dict__.clear()
    model.__setstate__({name: it for name, it in state.items() if name not in OURS})


def _possible(results: Any, weighted: bool) -> str | None:
    """No loss can be below 0, but with weights below 0, which scikit-learn takes."""
    below = isinstance(results, list) and results and results[1] < 0
    return "a loss below 0" if below and not weighted else None


def _kind(y: np.ndarray) -> str:
    return "array" if y.dtype.kind == "f" else "labels"


def _results(model: Any) -> list[Any]:
    """What two like estimators have alike."""
    X = np.linspace(-1, 1, 15).reshape(5, 3)
    outputs = model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)
    return [outputs, model.loss_, *model.coefs_]
