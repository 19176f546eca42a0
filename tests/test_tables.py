"""The tables of activations and losses: whole, unambiguous, and implemented by every engine."""

from __future__ import annotations

import dataclasses

import helpers
import numpy as np
import oracles
import pytest
from helpers import CORE, ENGINES

import fastnn
from fastnn.activations import ACTIVATIONS, ALIASES
from fastnn.engines import get_engine
from fastnn.kernels import activations as jitted_activations
from fastnn.kernels import losses as jitted_losses
from fastnn.losses import LOSSES
from fastnn.reference import loops, vectors

HIDDEN = {name for name, activation in ACTIVATIONS.items() if not activation.output_only}
COUPLED = {name for name, loss in LOSSES.items() if loss.targets == "classes"}


@pytest.mark.parametrize("table", [ACTIVATIONS, LOSSES], ids=["activations", "losses"])
def test_codes_and_names_are_unique(table):
    codes = [row.code for row in table.values()]
    assert len(set(codes)) == len(codes)
    assert all(type(code) is int for code in codes)
    assert all(name == row.name for name, row in table.items())


@pytest.mark.parametrize("table", [ACTIVATIONS, LOSSES], ids=["activations", "losses"])
def test_rows_are_filled_in(table):
    for row in table.values():
        for field in dataclasses.fields(row):
            assert getattr(row, field.name) != "", f"{row.name}: {field.name}"


def test_aliases_stand_for_names_and_are_none_themselves():
    assert set(ALIASES.values()) <= set(ACTIVATIONS)
    assert not set(ALIASES) & set(ACTIVATIONS)


def test_no_code_is_the_one_for_mixed_activations():
    assert jitted_activations.MIXED not in [row.code for row in ACTIVATIONS.values()]


def test_losses_name_output_activations_and_targets_that_exist():
    for loss in LOSSES.values():
        assert loss.output_activation in ACTIVATIONS
        assert loss.targets in ("real", "unit", "classes")


def test_the_reference_engines_implement_every_activation():
    assert set(loops.ACTIVATIONS) == HIDDEN
    assert set(vectors.ACTIVATIONS) == HIDDEN


def test_the_reference_engines_implement_every_loss():
    assert set(loops.LOSSES) == set(vectors.LOSSES) == set(LOSSES)


def test_the_kernels_implement_every_activation():
    assert set(jitted_activations.FUNCTIONS) == HIDDEN
    codes = {ACTIVATIONS[name].code for name in HIDDEN}
    assert set(jitted_activations.VALUES) == set(jitted_activations.SLOPES) == codes


def test_the_kernels_implement_every_loss():
    assert set(jitted_losses.FUNCTIONS) == set(LOSSES) - COUPLED
    assert {jitted_losses.CROSS_ENTROPY} == {LOSSES[name].code for name in COUPLED}


def test_the_tests_run_over_every_activation_and_loss():
    """A new row of a table is not tested before it stands in helpers.py, oracles.py and `CORE`."""
    assert set(helpers.ACTIVATIONS) == HIDDEN == {case.activation for case in CORE}
    assert set(helpers.LOSSES) == set(LOSSES) == {case.loss for case in CORE}


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activations_are_their_formula(name):
    """The formulas that the reader is shown, evaluated, give what the oracle computes."""
    formula = ACTIVATIONS[name].formula
    z = np.array([[-2.0, 0.5, 3.0]])
    if name == "softmax":
        assert formula == "exp(z_j) / Σ_k exp(z_k)"
        value = np.exp(z) / np.exp(z).sum()
    else:
        names = {"exp": np.exp, "tanh": np.tanh, "max": np.maximum, "z": z}
        value = eval(formula, {"__builtins__": {}}, names)
    np.testing.assert_allclose(value, oracles.activate(name, z), rtol=1e-12)


@pytest.mark.parametrize("name", sorted(HIDDEN))
def test_values_lie_in_the_range_of_the_table(name):
    low, high = (float(end) for end in ACTIVATIONS[name].value_range.strip("[]()").split(","))
    closed_low = ACTIVATIONS[name].value_range.startswith("[")
    a = oracles.activate(name, np.linspace(-15, 15, 1001))
    assert (a >= low).all() if closed_low else (a > low).all()
    assert (a < high).all()


@pytest.mark.parametrize("engine_name", ENGINES)
def test_an_engine_offers_the_contract(engine_name):
    engine = get_engine(engine_name)
    for function in ("trainer", "predictor", "layer_outputs", "evaluator", "loss_and_gradient"):
        assert callable(getattr(engine, function))


def test_the_default_engine_is_numba():
    assert fastnn.Network([1, 1]).engine == "numba"
