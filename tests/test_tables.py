"""The tables of activations and losses: whole, unambiguous, and implemented by every engine."""

from __future__ import annotations

import dataclasses
import math

import helpers
import numpy as np
import oracles
import pytest
from helpers import ENGINES, telling_slice

import fastnn
from fastnn.activations import ACTIVATIONS, ALIASES, SELU_ALPHA, SELU_SCALE
from fastnn.engines import get_engine
from fastnn.kernels import activations as jitted_activations
from fastnn.kernels import losses as jitted_losses
from fastnn.losses import LOSSES
from fastnn.reference import loops, vectors

HIDDEN = {name for name, activation in ACTIVATIONS.items() if not activation.output_only}
ELEMENTWISE = set(ACTIVATIONS) - {"softmax"}
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


def test_losses_name_output_activations_and_targets_that_exist():
    for loss in LOSSES.values():
        assert loss.output_activation in ACTIVATIONS
        assert loss.targets in ("real", "unit", "classes", "counts", "signs")


def test_the_reference_engines_implement_every_activation():
    assert set(loops.ACTIVATIONS) == set(vectors.ACTIVATIONS) == ELEMENTWISE


def test_the_reference_engines_implement_every_loss():
    assert set(loops.LOSSES) == set(vectors.LOSSES) == set(LOSSES)


def test_the_kernels_implement_every_activation():
    assert set(jitted_activations.FUNCTIONS) == ELEMENTWISE
    codes = {ACTIVATIONS[name].code for name in ELEMENTWISE}
    assert set(jitted_activations.VALUES) == set(jitted_activations.SLOPES) == codes


def test_the_kernels_implement_every_loss():
    assert set(jitted_losses.FUNCTIONS) == set(LOSSES) - COUPLED
    assert {jitted_losses.CROSS_ENTROPY} == {LOSSES[name].code for name in COUPLED}


def test_the_tests_run_over_every_activation_and_loss():
    """A new row of a table is not tested before it stands in helpers.py and oracles.py."""
    cases = telling_slice()
    assert set(helpers.ACTIVATIONS) == HIDDEN == {case.activation for case in cases}
    assert set(helpers.LOSSES) == set(LOSSES) == {case.loss for case in cases}
    assert set(oracles.ACTIVATIONS) == ELEMENTWISE


def as_python(formula: str) -> str:
    """A formula of the table, as an expression that Python can evaluate, of one number z."""
    if formula.startswith("λ (z"):
        formula = formula.partition(", λ")[0]
    formula = formula.partition(", Φ")[0]
    for sign, python in (("0.01 z", "0.01 * z"), ("z Φ", "z * Φ"), ("z sigmoid", "z * sigmoid"),
                         ("λ (", "λ * ("), ("α (", "α * (")):  # fmt: skip
        formula = formula.replace(sign, python)
    return formula


NAMES = {"exp": math.exp, "log": math.log, "tanh": math.tanh, "max": max, "min": min,
         "sigmoid": lambda z: 1 / (1 + math.exp(-z)), "Φ": lambda z: (1 + math.erf(z / 2**0.5)) / 2,
         "λ": SELU_SCALE, "α": SELU_ALPHA}  # fmt: skip


@pytest.mark.parametrize("name", sorted(ELEMENTWISE))
def test_activations_are_their_formula(name):
    """The formulas that the reader is shown, evaluated, give what the oracle computes."""
    formula = as_python(ACTIVATIONS[name].formula)
    for z in (-2.0, -0.5, 0.5, 3.0):
        value = eval(formula, {"__builtins__": {}}, NAMES | {"z": z})
        assert value == pytest.approx(oracles.activate(name, np.array([[z]]))[0, 0], rel=1e-12)


def test_softmax_is_its_formula():
    assert ACTIVATIONS["softmax"].formula == "exp(z_j) / Σ_k exp(z_k)"
    z = np.array([[-2.0, 0.5, 3.0]])
    np.testing.assert_allclose(
        oracles.activate("softmax", z), np.exp(z) / np.exp(z).sum(), rtol=1e-12
    )


@pytest.mark.parametrize("name", sorted(ELEMENTWISE))
def test_values_lie_in_the_range_of_the_table(name):
    text = ACTIVATIONS[name].value_range
    ends = text.strip("[]()").replace("λ α", str(SELU_SCALE * SELU_ALPHA)).split(",")
    low, high = map(float, ends)
    a = oracles.activate(name, np.linspace(-15, 15, 30001))
    assert (a >= low).all() if text.startswith("[") else (a > low).all()
    assert (a <= high).all() if text.endswith("]") else (a < high).all()
    if np.isfinite(low):
        assert a.min() < low + 0.001


@pytest.mark.parametrize("engine_name", ENGINES)
def test_an_engine_offers_the_contract(engine_name):
    engine = get_engine(engine_name)
    for function in ("trainer", "predictor", "layer_outputs", "evaluator", "loss_and_gradient"):
        assert callable(getattr(engine, function))


def test_the_default_engine_is_numba():
    assert fastnn.Network([1, 1]).engine == "numba"
