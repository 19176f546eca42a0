"""fastnn itself: its three engines."""

import math
from typing import Any

import numba
import numpy as np

from bench.contest import Entry
from bench.problems import Problem
from bench.vectors import Pair, Values
from fastnn.demos.checks import logistic
from fastnn.kernels import elementary as kernels
from fastnn.kernels.jit import OPTIONS

#: What fastnn's own loops are compiled with.
_FLAGS = {name: OPTIONS[name] for name in ("error_model", "fastmath")}


def train(problem: Problem, engine: str) -> Entry:
    """``fit``, called as a user would."""
    net, X, Y = problem.network(engine), problem.X, problem.Y
    options: dict[str, Any] = {
        "epochs": problem.epochs,
        "batch_size": problem.batch,
        "optimizer": problem.make_optimizer(),
        "shuffle": False,
    }
    return _entry(engine, lambda: net.fit(X, Y, **options), lambda: net.parameters)


def gradient(problem: Problem, engine: str) -> Entry:
    """``loss_and_gradient``."""
    net, X, Y = problem.network(engine), problem.X, problem.Y
    return _entry(
        engine, lambda: net.loss_and_gradient(X, Y), lambda: net.loss_and_gradient(X, Y)[1]
    )


def predict(problem: Problem, engine: str) -> Entry:
    """``predict``."""
    net, X = problem.network(engine), problem.own_X()
    return _entry(engine, lambda: net.predict(X), lambda: net.predict(X))


def dot(pair: Pair, engine: str) -> Entry:
    """The document's loop: in Python on lists, jitted on arrays; and NumPy's ``@``."""
    a, b = pair.arrays
    if engine == "python":
        a, b, run = a.tolist(), b.tolist(), logistic.dot
    elif engine == "numba":
        run = numba.njit(**_FLAGS)(logistic.dot)
    else:
        run = np.dot
    return _entry(engine, lambda: run(a, b), lambda: np.array([run(a, b)]))


def elementary(values: Values, engine: str) -> Entry:
    """A loop over fastnn's own function, compiled; NumPy; and Python's ``math``."""
    x = values.x
    if engine == "python":
        numbers, function = x.tolist(), _MATH[values.function]
        return _entry(
            engine,
            lambda: [function(number) for number in numbers],
            lambda: np.array([function(number) for number in numbers]),
        )
    out = np.empty_like(x)
    if engine == "numpy":
        vectorised = _NUMPY[values.function]
        return _entry(engine, lambda: vectorised(x, out), lambda: out)
    loop = _jitted_loop(getattr(kernels, values.function))
    return _entry(engine, lambda: loop(x, out), lambda: out)


def _entry(engine: str, run: Any, result: Any) -> Entry:
    return Entry(run, result, {"engine": engine}, compiles=engine == "numba")


def _jitted_loop(function: Any) -> Any:
    @numba.njit(**_FLAGS)
    def loop(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    return loop


def _numpy_sigmoid(x: np.ndarray, out: np.ndarray) -> None:
    np.negative(x, out)
    np.exp(out, out)
    out += 1
    np.divide(1, out, out)


_NUMPY = {
    "exp": np.exp,
    "log": np.log,
    "tanh": np.tanh,
    "sigmoid": _numpy_sigmoid,
    "softplus": lambda x, out: np.logaddexp(0, x, out),
}
_MATH = {
    "exp": math.exp,
    "log": math.log,
    "tanh": math.tanh,
    "sigmoid": lambda x: 1.0 / (1.0 + math.exp(-x)),
    "softplus": lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))),
}
