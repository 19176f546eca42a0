"""scikit-learn's multi-layer perceptrons, with the momentum, penalty and shuffling switched off."""

from typing import Any

import numpy as np

from bench.contest import Entry, UnavailableError
from bench.problems import Problem


def train(problem: Problem, _: str) -> Entry:
    """``fit`` with a warm start: it goes on from the weights that are there."""
    model = _model(problem)
    X, y = problem.X, _targets(problem)
    return Entry(lambda: model.fit(X, y), lambda: _to_flat(problem, model), {}, compiles=False)


def predict(problem: Problem, _: str) -> Entry:
    """``predict``, or ``predict_proba`` of a classifier."""
    model = _model(problem)
    X = problem.own_X()
    outputs = model.predict_proba if problem.loss == "cross_entropy" else model.predict
    return Entry(lambda: outputs(X), lambda: np.ravel(outputs(X)), {}, compiles=False)


def _targets(problem: Problem) -> np.ndarray:
    if problem.loss == "cross_entropy":
        return problem.Y.argmax(axis=1)
    return problem.Y if problem.sizes[-1] > 1 else problem.Y.ravel()


def _model(problem: Problem) -> Any:
    """A model that stands at the problem's start."""
    try:
        from sklearn.neural_network import MLPClassifier, MLPRegressor
    except ImportError:
        raise UnavailableError("scikit-learn is not installed: pip install scikit-learn") from None
    if not problem.bias:
        raise UnavailableError("scikit-learn's networks always have biases")
    if problem.loss == "cross_entropy":
        factor, kind = 1.0, MLPClassifier
    elif problem.output == "identity":
        # Its loss is half the square, meant over samples and, in the loss only, over outputs.
        factor = 2 / problem.sizes[-1] if problem.loss == "squared_error" else 1.0
        kind = MLPRegressor
    else:
        raise UnavailableError("scikit-learn's regressor has identity outputs only")
    model = kind(
        hidden_layer_sizes=problem.sizes[1:-1],
        activation="logistic" if problem.activation == "sigmoid" else problem.activation,
        solver="sgd",
        alpha=0,
        batch_size=problem.batch_size,
        learning_rate_init=problem.rate * factor,
        momentum=0,
        nesterovs_momentum=False,
        shuffle=False,
        max_iter=1,
        n_iter_no_change=np.inf,
        warm_start=True,
    )
    if problem.n > 1:
        model.fit(problem.X, _targets(problem))  # makes the arrays that hold the weights
    else:
        model.set_params(batch_size="auto")
        many = np.resize(problem.X, (10, problem.sizes[0]))
        classes = np.arange(10)
        model.fit(many, classes if problem.loss == "cross_entropy" else classes / 10)
    model.set_params(max_iter=problem.epochs)
    layers = problem.layers(problem.start)
    for W, b, (start_W, start_b) in zip(model.coefs_, model.intercepts_, layers, strict=True):
        W[:] = start_W
        b[:] = start_b
    return model


def _to_flat(problem: Problem, model: Any) -> np.ndarray:
    return np.concatenate(
        [a.ravel() for layer in zip(model.coefs_, model.intercepts_, strict=True) for a in layer]
    )
