"""The gradient against central differences, and the loss against the definition."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import oracles
import pytest
from helpers import (
    CORE,
    ENGINES,
    NUMBA_SLOW,
    PYTHON_SLOW,
    Case,
    full_grid,
    has_its_turn,
    in_turn,
    on_engines,
    telling_slice,
)
from recipes import ALL, N, Recipe
from recipes import on_engines as on_recipes

import fastnn
from fastnn.contract import Piece, State
from fastnn.engines import get_engine
from fastnn.losses import LOSSES

SAMPLES = 5
STEP = 1e-5
LOSSES_OF_OUTPUTS = ("half_squared_error", "squared_error")


def without_kinks(case: Case, seed: int) -> tuple[fastnn.Network, np.ndarray, np.ndarray]:
    """A NumPy network in float64 with float32's numbers, and data that stay off kinks.

    Both dtypes and all engines are then measured at the same point.
    """
    for attempt in range(100):
        net = case.network("numpy", seed=seed + 1000 * attempt, dtype="float64")
        net.set_parameters(net.parameters.astype(np.float32))
        X, Y = case.data(SAMPLES, seed=seed + 1000 * attempt)
        names = [case.activation] * case.depth + ["identity"]
        Zs, _ = oracles.forward(net.weights, net.biases, names, X)
        if oracles.distance_from_kinks(case.loss, case.activation, Zs, Y) > 100 * STEP:
            return net, X, Y
    raise AssertionError("no data without kinks found")


def expected_loss(case: Case, net: fastnn.Network, X, Y, reduction: str) -> float:
    """The loss of the definition, for the parameters that *net* has."""
    names = [case.activation] * case.depth + [LOSSES[case.loss].output_activation]
    Zs, outputs = oracles.forward(net.weights, net.biases, names, X)
    each = oracles.sample_losses(case.loss, Zs[-1], outputs[-1], Y)
    return float(getattr(each, reduction)())


def central_differences(loss, vector: np.ndarray) -> np.ndarray:
    """The slope of loss() in each entry of *vector*, which loss() reads."""
    slopes = np.empty_like(vector)
    for k, value in enumerate(vector):
        sides = []
        for step in (STEP, -STEP):
            vector[k] = value + step
            sides.append((loss(), vector[k]))
        vector[k] = value
        slopes[k] = (sides[0][0] - sides[1][0]) / (sides[0][1] - sides[1][1])
    return slopes


def check(engine: str, case: Case, reduction: str, seed: int = 0) -> None:
    twin, X, Y = without_kinks(case, seed)
    net = case.network(engine, reduction=reduction).set_parameters(twin.parameters)
    loss, gradient = net.loss_and_gradient(X, Y)
    definition = expected_loss(case, twin, X, Y, reduction)
    slopes = central_differences(
        lambda: expected_loss(case, twin, X, Y, reduction), twin.parameters
    )
    assert gradient.shape == slopes.shape
    assert gradient.dtype == case.dtype
    if case.loss != "cross_entropy" or case.outputs > 1:  # else one class: always 0
        assert abs(slopes).max() > 1e-3, "a gradient of zeros would tell nothing"
    loose = case.dtype == "float32"
    assert loss == pytest.approx(definition, rel=3e-6 if loose else 1e-12, abs=1e-6 * loose)
    scale = max(1.0, abs(slopes).max())
    np.testing.assert_allclose(gradient, slopes, rtol=0, atol=(5e-6 if loose else 2e-9) * scale)


@in_turn("reduction", ["mean", "sum"])
@on_engines(telling_slice())
def test_gradient_is_the_slope_of_the_loss(engine, case, reduction):
    check(engine, case, reduction)


@on_engines(telling_slice(("float64",)))
def test_gradient_is_the_slope_of_the_engines_own_loss(engine, case):
    """Differences of what the engine itself returns as the loss, not of the definition."""
    twin, X, Y = without_kinks(case, seed=1)
    net = case.network(engine).set_parameters(twin.parameters)
    _, gradient = net.loss_and_gradient(X, Y)
    slopes = central_differences(lambda: net.loss_and_gradient(X, Y)[0], net.parameters)
    np.testing.assert_allclose(gradient, slopes, rtol=0, atol=3e-9 * max(1, abs(slopes).max()))


@pytest.mark.parametrize(
    ("engine", "output", "loss"),
    [
        pytest.param(
            engine, output, loss, marks=[pytest.mark.slow] if engine == "numba" else []
        )
        for engine in ENGINES
        for output, loss in (
            *itertools.product(("sigmoid", "tanh", "relu"), LOSSES_OF_OUTPUTS),
            ("leaky_relu", "absolute_error"), ("elu", "huber"), ("selu", "squared_error"),
            ("softplus", "absolute_error"), ("silu", "huber"), ("gelu", "half_squared_error"),
            ("hard_tanh", "squared_error"), ("identity", "hinge"), ("exp", "huber"),
        )
    ],
)  # fmt: skip
def test_gradient_through_other_output_activations(engine, loss, output):
    net = fastnn.Network([2, 3, 2], output_activation=output, loss=loss, seed=3, engine=engine)
    X, Y = Case(loss, "sigmoid", 2, 1, True, "float64").data(SAMPLES)
    Zs, outputs = oracles.forward(net.weights, net.biases, ["sigmoid", output], X)
    assert oracles.distance_from_kinks(loss, output, [Zs[-1], outputs[-1]], Y) > 100 * STEP
    assert (Zs[-1] > 0).any()
    assert (Zs[-1] < 0).any()
    _, gradient = net.loss_and_gradient(X, Y)
    slopes = central_differences(lambda: net.loss_and_gradient(X, Y)[0], net.parameters)
    np.testing.assert_allclose(gradient, slopes, rtol=0, atol=3e-9)
    assert abs(slopes).max() > 1e-3


@pytest.mark.parametrize("engine", NUMBA_SLOW)
@pytest.mark.parametrize(
    "activations",
    [["relu", "leaky_relu", "elu"], ["selu", "softplus", "silu"], ["gelu", "hard_tanh", "sigmoid"]],
    ids="-".join,
)
def test_gradient_through_activations_that_differ_by_layer(engine, activations):
    """One compiled kernel has them all."""
    net = fastnn.Network([2, 3, 4, 2, 2], activation=activations, seed=3, loss="squared_error",
                         engine=engine)  # fmt: skip
    X, Y = Case("squared_error", "tanh", 2, 1, True, "float64").data(SAMPLES)
    Zs, _ = oracles.forward(net.weights, net.biases, [*activations, "identity"], X)
    for activation, Z in zip(activations, Zs[:-1], strict=True):
        gap = oracles.distance_from_kinks("squared_error", activation, [Z, Zs[-1]], Y)
        assert gap > 100 * STEP
    _, gradient = net.loss_and_gradient(X, Y)
    slopes = central_differences(lambda: net.loss_and_gradient(X, Y)[0], net.parameters)
    np.testing.assert_allclose(gradient, slopes, rtol=0, atol=3e-9)
    assert abs(slopes).max() > 1e-3


def test_the_slope_of_relu_at_zero_is_zero(engine):
    net = fastnn.Network([1, 2, 2], activation="relu", loss="cross_entropy", engine=engine)
    net.set_parameters([1.0, 1.0, -1.0, 1.0, *[2.0, 1.0, 3.0, 1.0], *[0.0, 0.0]])
    assert net.layer_outputs([1.0])[0].tolist() == [[0.0, 2.0]]  # weighted sums 0 and 2
    _, gradient = net.loss_and_gradient([1.0], [1])
    p = 1 / (1 + np.exp(-4.0))  # of class 0: logits 6 and 2
    assert gradient == pytest.approx([0, 2 * p, 0, 2 * p, 0, 0, 2 * p, -2 * p, p, -p])


@pytest.mark.parametrize("engine", PYTHON_SLOW)
@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 1023, 1024, 1025, 2500])
def test_the_gradient_of_many_samples_is_the_sum_of_theirs(engine, n):
    case = CORE[0]
    net = case.network(engine, reduction="sum")
    X, Y = case.data(n)
    loss, gradient = net.loss_and_gradient(X, Y)
    half = n // 2
    parts = [net.loss_and_gradient(X[rows], Y[rows])
             for rows in (slice(0, half), slice(half, n)) if rows.start != rows.stop]  # fmt: skip
    assert loss == pytest.approx(sum(part[0] for part in parts), rel=1e-11)
    np.testing.assert_allclose(gradient, sum(part[1] for part in parts), rtol=1e-9, atol=1e-11 * n)


def test_the_mean_is_the_sum_divided_by_the_number_of_samples(engine):
    case = CORE[0]
    X, Y = case.data(7)
    loss, gradient = case.network(engine, reduction="sum").loss_and_gradient(X, Y)
    mean_loss, mean_gradient = case.network(engine, reduction="mean").loss_and_gradient(X, Y)
    assert mean_loss == pytest.approx(loss / 7, rel=1e-14)
    np.testing.assert_allclose(mean_gradient, gradient / 7, rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("l1", "l2"), [(0.3, 0.0), (0.0, 0.7), (0.2, 0.5)])
def test_gradient_of_the_penalty_is_its_slope(l1, l2, dtype):
    """Of the weights alone: biases are left out."""
    recipe = Recipe(network={"l1": l1, "l2": l2}, dtype=dtype)
    architecture, parameters = recipe.architecture, recipe.start.astype(float)
    slopes = central_differences(lambda: architecture.penalty(parameters), parameters)
    gradient = architecture.penalty_gradient(recipe.start)
    assert gradient.dtype == dtype
    atol = 1e-9 if dtype == "float64" else 1e-6
    np.testing.assert_allclose(gradient, slopes, rtol=0, atol=atol)
    assert not gradient[~architecture.is_weight].any()
    assert gradient[architecture.is_weight].all()


@on_recipes(
    [Recipe("sgd", network=penalty, dtype=dtype, batch=ALL)
     for penalty in ({"l1": 0.3}, {"l2": 0.7}, {"l1": 0.2, "l2": 0.5})
     for dtype in ("float64", "float32")],
    ENGINES,
)  # fmt: skip
def test_training_follows_the_slope_of_loss_and_penalty(engine, recipe):
    """The change of one update with rate 1 is the gradient of the mean loss and the penalty."""
    module, architecture = get_engine(engine), recipe.architecture
    state = State.new(recipe.start, recipe.ready_optimizer)
    trainer = module.trainer(architecture, recipe.ready_plan)
    trainer.run(state, recipe.samples, Piece.of_epochs(np.ones((1, 1)), recipe.order[:1], N))
    twin = replace(recipe, dtype="float64")
    evaluate = get_engine("numpy").evaluator(twin.architecture, weighted=False)
    parameters = recipe.start.astype(float)
    slopes = central_differences(
        lambda: evaluate(parameters, twin.samples) / N + architecture.penalty(parameters),
        parameters,
    )
    atol = 1e-8 if recipe.dtype == "float64" else 5e-6
    np.testing.assert_allclose(recipe.start - state.parameters, slopes, rtol=0, atol=atol)


@pytest.mark.slow
@on_engines(full_grid(), with_numba=has_its_turn)
def test_gradient_is_the_slope_of_the_loss_on_the_full_grid(engine, case):
    check(engine, case, "mean", seed=7)
