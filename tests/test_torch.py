"""Training as PyTorch does it, in float64: parameters after several epochs within 1e-9."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from recipes import ALL, GRID, OPTIONS, Recipe, every_pair, on_engines

pytest.importorskip("torch")

from torch_twin import Twin

PAIRS = every_pair()
CLOSE = {"rtol": 1e-9, "atol": 1e-12}


def check(engine: str, recipe: Recipe) -> None:
    got = recipe.train(engine).parameters
    assert abs(got - recipe.start).max() > 1e-4, "updates must have an effect"
    np.testing.assert_allclose(got, Twin(recipe).train(), **CLOSE)


@on_engines(PAIRS)
def test_training_is_that_of_pytorch(engine, recipe):
    check(engine, recipe)


@on_engines(OPTIONS)
def test_options_are_those_of_pytorch(engine, recipe):
    check(engine, recipe)


def test_the_design_has_every_pair():
    """Of any two properties, every combination of values is trained; no activation at depth 0."""
    for first, second in itertools.combinations(GRID, 2):
        got = {
            (getattr(recipe, first), getattr(recipe, second))
            for recipe in PAIRS
            if recipe.depth or "activation" not in (first, second)
        }
        wanted = set(itertools.product(GRID[first], GRID[second]))
        if (first, second) == ("activation", "depth"):
            wanted = {pair for pair in wanted if pair[1] > 0}
        assert got == wanted


@pytest.mark.slow
@pytest.mark.parametrize("bias", GRID["bias"])
@pytest.mark.parametrize("batch", [1, 7, ALL])
@pytest.mark.parametrize("loss", GRID["loss"])
@pytest.mark.parametrize("optimizer", GRID["optimizer"])
def test_the_numpy_engine_on_the_full_grid(optimizer, loss, batch, bias):
    for activation, depth in [("tanh", 0), *itertools.product(GRID["activation"], (1, 2, 3))]:
        check("numpy", Recipe(optimizer, loss, activation, depth, batch, bias))
