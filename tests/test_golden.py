"""Training as PyTorch does it, compared with results of PyTorch that are kept in a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import ENGINES
from recipes import GOLDEN, GRID, on_engines

FILE = Path(__file__).parent / "golden" / "torch.npz"


@on_engines(GOLDEN, ENGINES)
def test_training_is_what_pytorch_once_gave(engine, recipe):
    with np.load(FILE) as golden:
        expected = golden[str(recipe)]
    got = recipe.train(engine).parameters
    assert abs(got - recipe.start).max() > 1e-3, "updates must have an effect"
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


def test_the_file_holds_the_recipes_and_no_others():
    with np.load(FILE) as golden:
        assert sorted(golden.files) == sorted(map(str, GOLDEN))


@pytest.mark.parametrize("name", [name for name in GRID if name != "activation"])
def test_the_recipes_have_every_value(name):
    assert {getattr(recipe, name) for recipe in GOLDEN} == set(GRID[name])


def test_the_recipes_have_every_activation():
    used = {recipe.activation for recipe in GOLDEN if recipe.depth}
    assert used == set(GRID["activation"])
