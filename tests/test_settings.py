"""Settings of every kind: each field refuses what is no such thing, and keeps a plain value."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest
from helpers import in_turn

import fastnn
from fastnn.optimizers import OPTIMIZERS
from fastnn.schedules import SCHEDULES

if TYPE_CHECKING:
    from decimal import Decimal  # not there when a class is looked at

#: Every public class of settings, with the arguments that it cannot do without.
SETTINGS = {
    **{kind: {} for kind in OPTIMIZERS.values()},
    fastnn.LBFGS: {},
    fastnn.StepDecay: {"initial_learning_rate": 0.5, "step_size": 2},
    fastnn.ExponentialDecay: {"initial_learning_rate": 0.5, "decay_rate": 0.5},
    fastnn.InverseScaling: {"initial_learning_rate": 0.5},
    fastnn.CosineDecay: {"initial_learning_rate": 0.5, "decay_steps": 2},
    fastnn.OneCycle: {"max_learning_rate": 0.5, "total_steps": 2},
    fastnn.ReduceOnPlateau: {"initial_learning_rate": 0.5},
    fastnn.EarlyStopping: {},
    fastnn.Checkpoint: {"path": "net"},
}
#: What fields that are None by default, or go with another one, may be.
EXAMPLES = {
    "clip_value": 0.5, "clip_norm": 0.5, "max_evaluations": 3, "warmup_target": 0.5,
    "warmup_steps": 2, "target": 0.5, "max_seconds": 0.5, "monitor": "loss", "momentum": 0.5,
}  # fmt: skip
FIELDS = [
    (kind, field.name) for kind in SETTINGS for field in dataclasses.fields(kind) if field.init
]


def example(kind, name):
    """Arguments for *kind* with a good value of the field among them."""
    arguments = dict(SETTINGS[kind])
    arguments[name] = EXAMPLES.get(name, getattr(kind(**arguments), name))
    if name.startswith("warmup"):
        arguments |= {other: EXAMPLES[other] for other in ("warmup_target", "warmup_steps")}
    return arguments


def numpy_twin(value):
    """The same as a scalar of NumPy's, where it has one."""
    if isinstance(value, bool):
        return np.bool_(value)
    if isinstance(value, int):
        return np.int8(value)
    return np.float32(value) if isinstance(value, float) else value


def test_all_public_settings_are_looked_at():
    public = {getattr(fastnn, name) for name in fastnn.__all__}
    kinds = {kind for kind in public if hasattr(kind, "__post_init__")}
    kinds -= {fastnn.History, fastnn.Call}  # of a function, which is no setting
    assert kinds == set(SETTINGS) >= set(SCHEDULES.values())


@in_turn("field", FIELDS)
def test_every_field_refuses_what_is_nothing_of_its_kind(field):
    kind, name = field
    with pytest.raises(TypeError, match=f"^{name} must be .*got object"):
        kind(**example(kind, name) | {name: object()})


@in_turn("field", FIELDS)
def test_every_field_is_kept_as_a_plain_value(field):
    """So that it prints and compares as one, and a file can hold it."""
    kind, name = field
    arguments = example(kind, name)
    came = numpy_twin(arguments[name])
    kept = getattr(kind(**arguments | {name: came}), name)
    assert kept == came
    assert type(kept) is type(arguments[name])


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_class_of_the_users_own_inherits_the_checks(kind):
    @dataclasses.dataclass(frozen=kind.__dataclass_params__.frozen)
    class Own(kind):
        note: Decimal | None = None

    for name in SETTINGS[kind]:
        with pytest.raises(TypeError, match=f"^{name} must be"):
            Own(**SETTINGS[kind] | {name: object()})
    assert Own(**SETTINGS[kind], note=3).note == 3
