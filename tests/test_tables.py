"""The tables of activations and losses: whole, unambiguous, and implemented by every engine."""

from __future__ import annotations

import dataclasses
import inspect
import math
import re

import helpers
import numpy as np
import oracles
import pytest
import recipes
from helpers import DISTRIBUTIONS, ENGINES, telling_slice

import fastnn
from fastnn.activations import ACTIVATIONS, ALIASES, SELU_ALPHA, SELU_SCALE
from fastnn.engines import Engine, get_engine
from fastnn.kernels import activations as jitted_activations
from fastnn.kernels import losses as jitted_losses
from fastnn.kernels import rules as jitted_rules
from fastnn.losses import LOSSES
from fastnn.optimizers import MOMENTS, OPTIMIZERS, RULES
from fastnn.reference import (
    loops,
    loops_functions,
    loops_updates,
    vectors,
    vectors_functions,
    vectors_updates,
)

HIDDEN = {name for name, activation in ACTIVATIONS.items() if not activation.output_only}
ELEMENTWISE = set(ACTIVATIONS) - {"softmax"}
CLASSES = {name for name, loss in LOSSES.items() if loss.targets == "classes"}


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
    assert set(loops_functions.LOSSES) == set(vectors_functions.LOSSES) == set(LOSSES)


def test_the_kernels_implement_every_activation():
    assert set(jitted_activations.FUNCTIONS) == set(jitted_activations.SECOND) == ELEMENTWISE
    codes = {ACTIVATIONS[name].code for name in ELEMENTWISE}
    assert set(jitted_activations.VALUES) == set(jitted_activations.SLOPES) == codes
    assert set(jitted_activations.CURVATURES) == codes


def test_the_kernels_implement_every_loss():
    assert set(jitted_losses.FUNCTIONS) == set(LOSSES) - CLASSES - set(DISTRIBUTIONS)
    assert {jitted_losses.CROSS_ENTROPY} == {LOSSES[name].code for name in CLASSES}
    codes = {LOSSES[name].code for name in DISTRIBUTIONS}
    assert {jitted_losses.GAUSSIAN, jitted_losses.QUANTILE} == codes


def test_every_rule_is_implemented_and_used():
    assert set(jitted_rules.UPDATES) == set(RULES.values())
    assert set(loops_updates.RULES) == set(vectors_updates.RULES) == set(MOMENTS) == set(RULES)
    assert {optimizer.rule for optimizer in recipes.OPTIMIZERS.values()} == set(RULES)


def test_the_tests_run_over_every_optimiser():
    """A new one is not compared with PyTorch before it stands in recipes.py."""
    assert {type(row) for row in recipes.OPTIMIZERS.values()} == set(OPTIMIZERS.values())


def test_the_tests_run_over_every_activation_and_loss():
    """A new row of a table is not tested before it stands in helpers.py and oracles.py."""
    cases = telling_slice()
    assert set(helpers.ACTIVATIONS) == HIDDEN == {case.activation for case in cases}
    assert set(helpers.LOSSES) == {case.loss for case in cases}
    assert {*helpers.LOSSES, *DISTRIBUTIONS} == set(LOSSES)
    assert set(oracles.ACTIVATIONS) == ELEMENTWISE


def as_python(formula: str) -> str:
    """A formula of the table, as an expression that Python can evaluate."""
    formula = re.split(", (?=[λΦsg])", formula)[0]
    formula = formula.replace("²", "**2").replace("√(2π)", "sqrt(2 * π)")
    factor = r"((?<!\w)(?:[azsgλα2]|0\.01)|\)) (?!if|else)(?=[(\w])"
    return re.sub(factor, r"\1 * ", formula)


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


NAMES = {"exp": math.exp, "log": math.log, "tanh": math.tanh, "sqrt": math.sqrt, "max": max,
         "min": min, "sigmoid": sigmoid, "Φ": lambda z: (1 + math.erf(z / 2**0.5)) / 2,
         "λ": SELU_SCALE, "α": SELU_ALPHA, "π": math.pi}  # fmt: skip


def evaluated(formula: str, **names: float) -> float:
    return eval(as_python(formula), {"__builtins__": {}}, NAMES | names)


def activated(name: str, z: float) -> float:
    return oracles.activate(name, np.array([[z]]))[0, 0]


@pytest.mark.parametrize("name", sorted(ELEMENTWISE))
def test_activations_are_their_formula(name):
    """The formulas that the reader is shown, evaluated, give what the oracle computes."""
    row = ACTIVATIONS[name]
    for z in (-2.03, -0.51, 0.52, 2.97):
        a = activated(name, z)
        assert evaluated(row.formula, z=z) == pytest.approx(a, rel=1e-12)
        slope = (activated(name, z + 1e-5) - activated(name, z - 1e-5)) / 2e-5
        shown = evaluated(row.derivative, z=z, a=a, s=sigmoid(z))
        assert shown == pytest.approx(slope, rel=1e-7, abs=1e-9)
        values = [activated(name, z + step) for step in (1e-4, 0.0, -1e-4)]
        second = (values[0] - 2 * values[1] + values[2]) / 1e-8
        shown = evaluated(row.second_derivative, z=z, a=a, s=shown, g=sigmoid(z))
        assert shown == pytest.approx(second, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", sorted(ELEMENTWISE))
def test_smooth_is_what_has_no_jump_in_its_slope(name):
    jumps = [
        abs(slopes[0] - slopes[1]) > 1e-3
        for z in oracles.KINKS.get(name, [])
        for slopes in [[(activated(name, z + s) - activated(name, z)) / s for s in (1e-6, -1e-6)]]
    ]
    assert ACTIVATIONS[name].smooth == (not any(jumps))


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


CONTRACT = [name for name in vars(Engine) if not name.startswith("_")]


@pytest.mark.parametrize("engine_name", ENGINES)
@pytest.mark.parametrize("function", CONTRACT)
def test_an_engine_offers_the_contract(engine_name, function):
    offered = inspect.signature(getattr(get_engine(engine_name), function))
    wanted = list(inspect.signature(getattr(Engine, function)).parameters.values())[1:]
    assert len(offered.parameters) == len(wanted)
    offered.bind(*wanted)


def test_the_contract_is_known():
    assert {"trainer", "predictor", "evaluator"} < set(CONTRACT)


def test_the_default_engine_is_numba():
    assert fastnn.Network([1, 1]).engine == "numba"
