"""Dropout: which units are dropped, and that training sees it and nothing else does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from recipes import ALL, N, Recipe, on_engines, summed

from fastnn.architecture import Architecture
from fastnn.contract import Piece, Plan, Samples, State
from fastnn.engines import get_engine
from fastnn.optimizers import SGD
from fastnn.reference.loops_updates import dropout_factors as factors_of_lists
from fastnn.reference.random import uniform
from fastnn.reference.vectors_updates import dropout_factors

KEY = 2**63 + 12345
RATES = (0.25, 0.5)
ENGINES = ("python", "numpy", "numba")
BASE = Recipe("sgd", "squared_error", "tanh", 2, 7, network={"dropout": RATES},
              plan={"dropout_key": KEY})  # fmt: skip


def defined(plan: Plan, n_units: tuple[int, ...], update: int, place: int) -> list[np.ndarray]:
    """A sample's factors, as `Plan` defines them: unit u counts over all hidden layers."""
    layers, u = [], 0
    for n, rate in zip(n_units, RATES, strict=True):
        factors = np.ones(n) / (1 - rate)
        for j in range(n):
            counter = (update * plan.batch_size + place) * sum(n_units) + u
            if uniform(plan.dropout_key, counter) < rate:
                factors[j] = 0.0
            u += 1
        layers.append(factors)
    return layers


@pytest.mark.parametrize("key", [0, KEY])
@pytest.mark.parametrize("update", [0, 5, 2**50])
def test_masks_of_the_reference_engines(key, update):
    architecture = BASE.architecture
    plan = replace(BASE.ready_plan, dropout_key=key)
    n_units = architecture.sizes[1:-1]
    arrays = dropout_factors(architecture, plan, update, 7)
    for place in range(7):
        expected = defined(plan, n_units, update, place)
        lists = factors_of_lists(architecture, plan, update, place)
        for k in range(len(n_units)):
            np.testing.assert_allclose(arrays[k][place], expected[k], rtol=1e-15)
            assert lists[k] == arrays[k][place].tolist()


def seen(engine: str, batch_size: int, updates: int) -> list[np.ndarray]:
    """For every update, per sample and unit the squared product of both layers' factors.

    Sample s is the s-th unit vector and all weights of the first layer are 1, so that each unit's
    value is 1 before dropout; both other layers hand each unit's value on. With targets 0 the
    gradient of weight (s, u) is then the square of the factor that unit u of sample s has.
    """
    n, units = 6, 3
    recipe = replace(BASE, activation="identity", loss="half_squared_error", reduction="sum")
    architecture = replace(recipe.architecture, sizes=(n, units, units, units), bias=False)
    parameters = np.concatenate([np.ones(n * units), np.eye(units).ravel(), np.eye(units).ravel()])
    samples = Samples(np.eye(n), np.zeros((n, units)))
    plan = Plan(batch_size, SGD(), dropout_key=KEY)
    trainer = get_engine(engine).trainer(architecture, plan)
    found = []
    for update in range(updates):
        state = State.new(parameters.copy(), plan.optimizer)
        state.updates[0] = update
        first = update * batch_size % n
        piece = Piece(np.ones((1, 1)), np.empty((0, n), np.int64), first, first + batch_size,
                      np.zeros(1), np.zeros(1))  # fmt: skip
        trainer.run(state, samples, piece)
        change = (parameters - state.parameters)[: n * units].reshape(n, units)
        found.append(change[first : first + batch_size])
    return found


@pytest.mark.parametrize("batch_size", [1, 3, 6])
@pytest.mark.parametrize(
    "engine", ["python", "numpy", pytest.param("numba", marks=pytest.mark.slow)]
)
def test_training_drops_the_units_of_the_definition(engine, batch_size):
    plan = Plan(batch_size, SGD(), dropout_key=KEY)
    for update, got in enumerate(seen(engine, batch_size, 8)):
        for place in range(batch_size):
            first, second = defined(plan, (3, 3), update, place)
            np.testing.assert_allclose(got[place], (first * second) ** 2, rtol=1e-13)


def test_as_many_are_dropped_as_the_rate_says_and_the_mean_stays():
    architecture = replace(BASE.architecture, sizes=(2, 60, 40, 1))
    plan = Plan(100, SGD(), dropout_key=KEY)
    masks = [dropout_factors(architecture, plan, update, 100) for update in range(20)]
    for k, rate in enumerate(RATES):
        factors = np.concatenate([mask[k] for mask in masks])
        sigma = np.sqrt(rate * (1 - rate) / factors.size)
        assert abs((factors == 0).mean() - rate) < 4 * sigma
        assert abs(factors.mean() - 1) < 4 * sigma / (1 - rate)
        assert abs((factors == 0).mean(axis=0) - rate).max() < 0.07, "each unit has its turn"


def test_no_two_updates_or_samples_drop_the_same():
    architecture = replace(BASE.architecture, sizes=(2, 60, 40, 1))
    plan = Plan(50, SGD(), dropout_key=KEY)
    masks = np.concatenate(
        [np.hstack(dropout_factors(architecture, plan, t, 50)) for t in range(9)]
    )
    assert len(np.unique(masks, axis=0)) == 9 * 50


RECIPES = [
    BASE,
    replace(BASE, batch=1, optimizer="adam"),
    replace(BASE, batch=ALL, activation="gelu", loss="cross_entropy", weighted=True),
    replace(BASE, batch=1, depth=1, network={"dropout": (0.4,)}),
    replace(BASE, batch=7, depth=3, bias=False, network={"dropout": (0.0, 0.5, 0.3), "l2": 0.1}),
]


@on_engines(RECIPES, ("python", "numba"))
def test_engines_agree(engine, recipe):
    got, expected = recipe.train(engine), recipe.train("numpy")
    np.testing.assert_allclose(got.parameters, expected.parameters, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(got.loss_sums, expected.loss_sums, rtol=1e-9)


def loss_of_one_update(engine: str, recipe: Recipe, parameters: np.ndarray, rate: float, update):
    """The loss sum of one update with all samples, and the parameters after it."""
    trainer = get_engine(engine).trainer(recipe.architecture, recipe.ready_plan)
    state = State.new(parameters.copy(), recipe.ready_optimizer)
    state.updates[0] = update
    piece = Piece.of_epochs(np.full((1, 1), rate), np.empty((0, N), np.int64), N)
    trainer.run(state, recipe.samples, piece)
    return piece.loss_sums[0], state.parameters


SUMMED = replace(BASE, batch=ALL, reduction="sum")
UNDER_A_MASK = [
    SUMMED,
    replace(SUMMED, activation="silu", loss="poisson", depth=3,
            network={"dropout": (0.2, 0.0, 0.5)}),
    replace(SUMMED, activation="gelu", loss="cross_entropy", depth=1,
            network={"dropout": (0.5,)}, weighted=True),
]  # fmt: skip


@on_engines(UNDER_A_MASK, ENGINES)
def test_the_gradient_under_a_mask_is_the_slope_of_the_loss_under_it(engine, recipe):
    """The change of an update with rate 1 is the gradient; with rate 0 it gives the loss alone."""
    parameters = recipe.start
    _, after = loss_of_one_update(engine, recipe, parameters, 1.0, update=3)
    step = 1e-5
    slopes = np.empty_like(parameters)
    for k in range(len(parameters)):
        sides = []
        for sign in (1, -1):
            moved = parameters.copy()
            moved[k] += sign * step
            loss, still = loss_of_one_update(engine, recipe, moved, 0.0, update=3)
            assert still.tobytes() == moved.tobytes()
            sides.append(loss)
        slopes[k] = (sides[0] - sides[1]) / (2 * step)
    tolerance = 1e-8 * max(1, abs(slopes).max())
    np.testing.assert_allclose(parameters - after, slopes, rtol=0, atol=tolerance)
    _, gradient = summed(get_engine(engine), recipe.architecture, parameters, recipe.samples)
    assert abs(slopes - gradient).max() > 0.1, "the gradient without dropout is another one"


@pytest.mark.parametrize("engine", ["python", "numpy"])
@pytest.mark.parametrize("batch", [1, 7])
def test_a_rate_of_zero_changes_no_bit(engine, batch):
    none = replace(BASE, batch=batch, network={})
    zero = replace(BASE, batch=batch, network={"dropout": (0.0, 0.0)})
    assert zero.train(engine).parameters.tobytes() == none.train(engine).parameters.tobytes()


@pytest.mark.parametrize("engine", ["python", "numpy"])
def test_the_key_alone_decides(engine):
    once, again = BASE.train(engine), BASE.train(engine)
    other = replace(BASE, plan={"dropout_key": KEY + 1}).train(engine)
    assert once.parameters.tobytes() == again.parameters.tobytes()
    assert abs(once.parameters - other.parameters).max() > 1e-3


@pytest.mark.parametrize("engine", ["python", "numpy"])
def test_nothing_is_dropped_outside_of_training(engine):
    module, recipe = get_engine(engine), BASE
    plain: Architecture = replace(recipe.architecture, dropout=())
    parameters, samples = recipe.start, recipe.samples
    for architecture in (plain, recipe.architecture):
        outputs = module.predictor(architecture)(parameters, samples.X)
        loss, gradient = summed(module, architecture, parameters, samples)
        evaluated = module.evaluator(architecture, weighted=False)(parameters, samples)
        if architecture is plain:
            expected = outputs.tobytes(), loss, gradient.tobytes(), evaluated
    assert (outputs.tobytes(), loss, gradient.tobytes(), evaluated) == expected
