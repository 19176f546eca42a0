"""The two reference engines train alike, and the same however training is cut into pieces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers import slow_but
from recipes import ALL, OPTIONS, Outcome, Recipe, every_pair, summed

from fastnn.contract import Samples
from fastnn.engines import get_engine
from fastnn.reference import loops_updates, vectors_updates

DROPPING = [
    Recipe("adam", "huber", "silu", 3, 7, network={"dropout": (0.2, 0.5, 0.0)}, weighted=True),
    Recipe("sgd", "squared_error", "tanh", 1, 1, network={"dropout": (0.4,)}),
    Recipe("sgd", "squared_error", "tanh", 1, 1, network={"dropout": (0.4,)}, weighted=True),
    Recipe("momentum", "hinge", "elu", 2, ALL, network={"dropout": (0.0, 0.3), "l2": 0.1}),
]
RECIPES = [*every_pair(), *OPTIONS, *DROPPING]


def assert_alike(one: Outcome, other: Outcome, rtol: float, atol: float) -> None:
    for got, expected in (
        (one.parameters, other.parameters),
        (one.state.moments, other.state.moments),
        (one.loss_sums, other.loss_sums),
        (one.penalty_sums, other.penalty_sums),
    ):
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol)
    assert one.state.updates == other.state.updates


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_they_train_alike(recipe):
    numpy = recipe.train("numpy")
    assert abs(numpy.parameters - recipe.start).max() > 1e-3, "updates must have an effect"
    assert_alike(recipe.train("python"), numpy, 1e-9, 1e-12)
    assert numpy.state.updates == recipe.epochs * -(-15 // recipe.batch_size)


@pytest.mark.parametrize(
    "recipe", [replace(r, dtype="float32") for r in OPTIONS + DROPPING], ids=str
)
def test_they_train_alike_in_float32(recipe):
    recipe = replace(recipe, dtype="float32")
    outcome = recipe.train("numpy")
    assert outcome.parameters.dtype == outcome.state.moments.dtype == np.float32
    assert_alike(recipe.train("python"), outcome, 2e-3, 2e-5)


@pytest.mark.parametrize("engine", ["python", "numpy"])
@pytest.mark.parametrize("dtype", slow_but(["float64"], ["float64", "float32"]))
@pytest.mark.parametrize("recipe", [r for r in OPTIONS + DROPPING if r.batch != ALL], ids=str)
def test_cutting_epochs_changes_no_bit(engine, dtype, recipe):
    recipe = replace(recipe, dtype=dtype)
    whole, cut = recipe.train(engine), recipe.train(engine, cuts=(7, 14))
    assert cut.parameters.tobytes() == whole.parameters.tobytes()
    assert cut.state.moments.tobytes() == whole.state.moments.tobytes()
    assert cut.state.updates == whole.state.updates
    np.testing.assert_allclose(cut.loss_sums, whole.loss_sums, rtol=1e-12)
    np.testing.assert_allclose(cut.penalty_sums, whole.penalty_sums, rtol=1e-12)


@pytest.mark.parametrize("engine", ["python", "numpy"])
def test_weights_multiply_the_loss_and_its_gradient(engine):
    recipe = Recipe(weighted=True)
    module, samples = get_engine(engine), recipe.samples
    arguments = recipe.architecture, recipe.start
    loss, gradient = summed(module, *arguments, samples)
    parts = [
        summed(module, *arguments, Samples(samples.X[k : k + 1], samples.Y[k : k + 1]))
        for k in range(len(samples))
    ]
    losses = np.array([part[0] for part in parts])
    assert loss == pytest.approx(samples.weights @ losses, rel=1e-13)
    gradients = np.array([part[1] for part in parts])
    np.testing.assert_allclose(gradient, samples.weights @ gradients, rtol=1e-12)
    evaluate = module.evaluator(recipe.architecture, weighted=True)
    assert evaluate(recipe.start, samples) == pytest.approx(loss, rel=1e-14)


@pytest.mark.parametrize("engine", ["python", "numpy"])
def test_a_batch_without_weight_changes_nothing(engine):
    recipe = Recipe(optimizer="sgd", batch=ALL, plan={"divide_by_weights": True})
    samples = recipe.samples
    nothing = Samples(samples.X, samples.Y, np.zeros(len(samples)))
    start = recipe.start
    outcome = recipe.train(engine, samples=nothing)
    assert outcome.parameters.tobytes() == start.tobytes()
    assert outcome.loss_sums.tolist() == [0.0] * recipe.epochs


@pytest.mark.parametrize("engine", ["python", "numpy"])
@pytest.mark.parametrize("optimizer", ["rmsprop", "adagrad", "adam"])
def test_without_an_epsilon_a_gradient_that_is_0_from_the_start_changes_nothing(engine, optimizer):
    recipe = Recipe(optimizer=optimizer, clip={"epsilon": 0.0}, activation="relu")
    samples = recipe.samples
    still = Samples(np.zeros_like(samples.X), samples.Y)
    outcome = recipe.train(engine, samples=still)
    unmoved = outcome.parameters == recipe.start
    assert np.isfinite(outcome.parameters).all()
    assert unmoved[recipe.architecture.layers[0].weights].all()
    assert not unmoved.all()


VARIANTS: dict[str, tuple[str, tuple[float, ...], int]] = {
    "rate inside": ("momentum", (0.9, 0.0, 0.0, 1.0), 1),
    "rate inside, nesterov": ("momentum", (0.9, 1.0, 0.1, 1.0), 1),
    "plain epsilon": ("adam", (0.9, 0.99, 0.1, 0.0, 1.0), 2),
}


def written_out(variant: str, p: float, gradients: list[float], rates: list[float]) -> float:
    """The variants of `fastnn.optimizers`, which are scikit-learn's, on one number."""
    m = v = 0.0
    for t, (g, r) in enumerate(zip(gradients, rates, strict=True), start=1):
        if variant == "rate inside":
            v = 0.9 * v + r * g
            p -= v
        elif variant == "rate inside, nesterov":
            g += 0.1 * p
            v = 0.9 * v + r * g
            p -= r * g + 0.9 * v
        else:
            m = 0.9 * m + 0.1 * g
            v = 0.99 * v + 0.01 * g * g
            p -= r * np.sqrt(1 - 0.99**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 0.1)
    return p


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_that_pytorch_does_not_have(variant):
    rule, settings, n_moments = VARIANTS[variant]
    gradients, rates = [0.3, -0.2, 0.5, 0.1], [0.1, 0.2, 0.05, 0.3]
    p, moments = [0.7], [[0.0] for _ in range(n_moments)]
    P, M = np.array([0.7]), np.zeros((n_moments, 1))
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        loops_updates.RULES[rule](p, [g], moments, rate, t, list(settings))
        vectors_updates.RULES[rule](P, np.array([g]), M, rate, t, settings)
    expected = written_out(variant, 0.7, gradients, rates)
    assert p[0] == pytest.approx(expected, rel=1e-14)
    assert P[0] == pytest.approx(expected, rel=1e-14)
