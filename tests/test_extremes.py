"""Numbers at the ends of a float's range: options that round to 0, data whose sums overflow."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from helpers import ENGINES, NUMBA_SLOW, in_turn, slow_but
from sklearn.exceptions import ConvergenceWarning

import fastnn
from fastnn.metrics import r2
from fastnn.optimizers import OPTIMIZERS

#: Options for which 0 or None means none, or which divide: with a number above 0 that is 0 in
#: float32. What to give `Network`, and the optimiser.
TINY = 1e-46
VANISHING = {
    "l1": ({"l1": TINY}, fastnn.SGD(0.1)),
    "l2": ({"l2": TINY}, fastnn.SGD(0.1)),
    "max_norm": ({"max_norm": TINY}, fastnn.SGD(0.1)),
    "dropout": ({"dropout": TINY}, fastnn.SGD(0.1)),
    "clip_value": ({}, fastnn.SGD(0.1, clip_value=TINY)),
    "clip_norm": ({}, fastnn.SGD(0.1, clip_norm=TINY)),
    "learning_rate": ({}, fastnn.SGD(TINY)),
    "momentum": ({}, fastnn.SGD(0.1, momentum=TINY)),
    "nesterov": ({}, fastnn.SGD(0.1, momentum=TINY, nesterov=True)),
    "weight_decay": ({}, fastnn.SGD(0.1, weight_decay=TINY)),
    "rho": ({}, fastnn.RMSprop(0.1, rho=TINY)),
    "epsilon of RMSprop": ({}, fastnn.RMSprop(0.1, epsilon=TINY)),
    "epsilon of Adagrad": ({}, fastnn.Adagrad(0.1, epsilon=TINY)),
    "epsilon of Adam": ({}, fastnn.Adam(0.1, epsilon=TINY)),
    "no epsilon of RMSprop": ({}, fastnn.RMSprop(0.1, epsilon=0.0)),
    "no epsilon of Adagrad": ({}, fastnn.Adagrad(0.1, epsilon=0.0)),
    "no epsilon of Adam": ({}, fastnn.Adam(0.1, epsilon=0.0)),
    "betas": ({}, fastnn.Adam(0.1, beta_1=TINY, beta_2=TINY)),
    "weight_decay of AdamW": ({}, fastnn.AdamW(0.1, weight_decay=TINY)),
}


#: Of these, what lets nothing through.
LIMITS = ["clip_value", "clip_norm", "learning_rate"]


def after_training(engine: str, option: str, batch_size: int) -> np.ndarray:
    options, optimizer = VANISHING[option]
    X = np.array([[0.0, 1.0], [0.0, -2.0], [0.0, 0.5], [0.0, 3.0]])  # some gradients are 0
    net = fastnn.Network([2, 3, 1], seed=0, dtype="float32", engine=engine, **options)
    net.fit(X, [1, 0, 0, 1], epochs=3, batch_size=batch_size, shuffle=False, optimizer=optimizer)
    return net.parameters


@pytest.mark.parametrize(
    ("engine", "batch_size"),
    slow_but([("numpy", 1), ("numpy", 2)], [("numpy", 1), ("numpy", 2), ("numba", 2)]),
)
@pytest.mark.parametrize("option", VANISHING)
def test_an_option_that_float32_rounds_to_0_is_not_off_in_one_engine_only(
    option, engine, batch_size
):
    wanted = after_training("python", option, batch_size)
    np.testing.assert_allclose(after_training(engine, option, batch_size), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("engine", "option"),
    slow_but(
        itertools.product(["python", "numpy"], LIMITS),
        itertools.product(ENGINES, LIMITS),
    ),
)
def test_a_limit_that_float32_rounds_to_0_lets_nothing_through(option, engine):
    start = fastnn.Network([2, 3, 1], seed=0, dtype="float32", engine=engine).parameters
    np.testing.assert_array_equal(after_training(engine, option, 2), start)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", OPTIMIZERS.values())
def test_no_setting_above_0_becomes_0(kind, dtype):
    names = [f.name for f in dataclasses.fields(kind) if f.name in
             ("momentum", "weight_decay", "rho", "epsilon", "beta_1", "beta_2")]  # fmt: skip
    optimizer = kind(**dict.fromkeys(names, 5e-324))
    settings = np.array(optimizer.settings_in(np.dtype(dtype)), dtype)
    np.testing.assert_array_equal(settings > 0, np.array(optimizer.settings) > 0)


# Finite data whose sums overflow: infinity less infinity is not a number.
HUGE = {"float64": 1.7e308, "float32": 3.4e38}
#: loss: outputs, targets of one kind
KINDS = {
    "half_squared_error": (1, [0.0, 1.0, 2.0]),
    "poisson": (1, [0.0, 1.0, 4.0]),
    "binary_cross_entropy": (1, [0, 1, 1]),
    "cross_entropy": (2, [0, 1, 1]),
    "hinge": (1, [-1, 1, 1]),
}


def overflowing(loss: str, engine: str, dtype: str = "float64", activation: str = "identity"):
    """A network, and X and y of which each sample's weighted sums are infinity less infinity."""
    n_out, y = KINDS[loss]
    net = fastnn.Network(
        [1, 2, n_out], activation=activation, loss=loss, seed=0, dtype=dtype, engine=engine
    )
    net.weights[0][:] = 2.0
    net.weights[1][:] = [[1.0], [-1.0]]
    return net, np.full((3, 1), HUGE[dtype]), np.array(y)


def a_mean(targets, outputs):
    return outputs.mean()


#: What to call with a network, X and y, and what it is that the error names.
DOORS = {
    "predict": lambda net, X, y: net.predict(X),
    "predict of many": lambda net, X, y: net.predict(np.repeat(X, 30, axis=0)),
    "predict of a list": lambda net, X, y: net.predict(X.tolist()),
    "predict with others": lambda net, X, y: net.predict(np.vstack([np.ones((70, 1)), X])),
    "layer_outputs": lambda net, X, y: net.layer_outputs(X),
    "evaluate": lambda net, X, y: net.evaluate(X, y),
    "evaluate without metrics": lambda net, X, y: net.evaluate(X, y, metrics=[]),
    "evaluate by a function": lambda net, X, y: net.evaluate(X, y, metrics=[a_mean]),
    "loss_and_gradient": lambda net, X, y: net.loss_and_gradient(X, y),
    "partial_fit": lambda net, X, y: net.partial_fit(X, y),
    "fit": lambda net, X, y: net.fit(X, y, epochs=1),
    "fit of one by one": lambda net, X, y: net.fit(X, y, batch_size=1, epochs=1),
    "fit with metrics": lambda net, X, y: net.fit(X, y, metrics=[a_mean], epochs=1),
    "fit by lbfgs": lambda net, X, y: net.fit(X, y, optimizer="lbfgs"),
    "fit, validated": lambda net, X, y: net.fit(
        np.zeros_like(X), y, learning_rate=1e-9, validation_data=(X, y), epochs=1
    ),
    "fit by lbfgs, validated": lambda net, X, y: net.fit(
        np.zeros_like(X), y, optimizer="lbfgs", validation_data=(X, y)
    ),
    "fit_stream": lambda net, X, y: net.fit_stream([(X, y)]),
}


def refuses(door: str, net: fastnn.Network, X: np.ndarray, y: np.ndarray) -> None:
    before = net.parameters.copy()
    with pytest.raises((ValueError, fastnn.TrainingDivergedError), match=r"(?i)scale X"):
        DOORS[door](net, X, y)
    np.testing.assert_array_equal(net.parameters, before)


@in_turn("loss", KINDS)
@pytest.mark.parametrize("engine", ["python", "numpy"])
@pytest.mark.parametrize("door", DOORS)
def test_what_is_not_a_number_is_an_error_at_every_door(door, engine, loss):
    refuses(door, *overflowing(loss, engine))


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["half_squared_error", "cross_entropy", "poisson"])
@pytest.mark.parametrize("door", DOORS)
def test_what_is_not_a_number_is_an_error_of_the_kernels_too(door, loss):
    refuses(door, *overflowing(loss, "numba"))


PREDICTED = [*itertools.product(ENGINES, ["identity", "relu"], HUGE)]
PREDICTED_FAST = [
    *itertools.product(["python", "numpy"], ["identity", "relu"], HUGE),
    ("numba", "identity", "float64"),
]


@pytest.mark.parametrize(("engine", "activation", "dtype"), slow_but(PREDICTED_FAST, PREDICTED))
@pytest.mark.parametrize("n", [1, 90])
def test_no_engine_predicts_what_is_not_a_number(n, dtype, activation, engine):
    if (dtype, engine) == ("float32", "python"):
        return  # it computes in float64, where nothing overflows
    net, X, _ = overflowing("half_squared_error", engine, dtype, activation)
    with pytest.raises(ValueError, match=r"^X must be smaller: .* Scale X"):
        net.predict(np.repeat(X[:1], n, axis=0).astype(dtype))


@pytest.mark.parametrize("engine", NUMBA_SLOW)
@pytest.mark.parametrize("n", [1, 90])
def test_no_activation_makes_a_number_of_what_is_none(n, engine):
    net = fastnn.Network([1, 1, 1, 1], activation=["identity", "relu"], seed=0, engine=engine)
    net.parameters[0] = np.nan
    with pytest.raises(ValueError, match=r"^parameters must be finite, got parameters\[0\] = nan"):
        net.predict(np.ones((n, 1)))


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_truly_too_large_is_infinite(engine):
    net = fastnn.Network([1, 1], engine=engine).set_parameters([2.0, 0.0])
    assert net.predict([[1.7e308], [-1.7e308]]).ravel().tolist() == [np.inf, -np.inf]
    assert net.evaluate([[1e200]], [0.0], metrics=["mean_squared_error"]) == {
        "loss": np.inf, "mean_squared_error": np.inf,
    }  # fmt: skip


@pytest.mark.parametrize("scale", [1e-100, 1.0, 1e160, 3e307])
def test_r2_does_not_depend_on_the_scale(scale):
    targets = np.array([[1.0, 1.0], [-2.0, 5.0], [0.5, -1.0]]) * [scale, 1.0]
    outputs = targets * [0.9, 0.8]
    assert r2(targets, outputs) == pytest.approx(r2(targets / [scale, 1.0], outputs / [scale, 1.0]))


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("MLPClassifier", "predict"),
        ("MLPClassifier", "predict_proba"),
        ("MLPClassifier", "score"),
        ("MLPRegressor", "predict"),
        ("MLPRegressor", "score"),
    ],
)
@pytest.mark.usefixtures("engine_of_estimators")
def test_estimators_say_so_too(kind, method):
    X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 2, 1])
    estimator = getattr(fastnn, kind)(
        hidden_layer_sizes=(2,), activation="identity", max_iter=1, random_state=0
    )
    with pytest.warns(ConvergenceWarning):
        estimator.fit(X, y)
    estimator.coefs_[0][:] = 2.0
    estimator.coefs_[1][:] = [[1.0], [-1.0]]
    arguments = [np.full((4, 1), 1.7e308), y]
    with pytest.raises(ValueError, match=r"^X must be smaller"):
        getattr(estimator, method)(*arguments[: 2 if method == "score" else 1])
