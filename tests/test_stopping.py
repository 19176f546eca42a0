"""The early-stopping rule by itself; at work in training it is in test_training.py."""

from __future__ import annotations

import dataclasses

import numpy as np
import oracles
import pytest

import fastnn
from fastnn.stopping import StopRule


def stop_epoch(values, **settings):
    """The epoch with which `StopRule` stops; None if never."""
    rule = StopRule(fastnn.EarlyStopping(**settings))
    for epoch, value in enumerate(values, start=1):
        if rule.says_stop(value):
            return epoch
    return None


# Values, settings, and by design.md the epoch with which training stops.
BY_HAND = [
    ([3, 2, 1], {}, None),
    ([3, 2, 2], {}, 3),
    ([3, 3], {}, 2),
    ([1], {}, None),
    ([1, 2], {}, 2),
    ([1, 2, 0.5], {"patience": 1}, None),
    ([1, 2, 2, 0.5], {"patience": 1}, 3),
    ([1, 2, 0.5, 2, 0.25, 2, 2], {"patience": 1}, 7),  # a better epoch begins the count anew
    ([1, 1, 1, 1, 1], {"patience": 3}, 5),
    ([8, 7, 6, 5], {"min_delta": 1.0}, 2),  # better by 1 is not by more than 1
    ([8, 6.5, 5, 3.5], {"min_delta": 1.0}, None),
    ([8, 7.5, 6.9, 6.4, 5.8], {"min_delta": 1.0, "patience": 1}, 3),  # against 7.5, then 6.9
    ([1, 2, 2, 2, 2], {"start_from_epoch": 4}, 4),
    ([1, 2, 2, 0.5, 0.25], {"start_from_epoch": 4}, None),
    ([1, 2, 2, 2, 2, 2], {"start_from_epoch": 4, "patience": 1}, 5),
    ([1, 2, 1.5, 1.25], {"start_from_epoch": 3}, 3),  # the best is followed from epoch 1
    ([2, 1], {"start_from_epoch": 1}, None),
    ([5, 5], {"start_from_epoch": 3}, None),
]


@pytest.mark.parametrize(("values", "settings", "expected"), BY_HAND)
def test_the_rule_by_hand(values, settings, expected):
    assert stop_epoch(values, **settings) == expected
    defaults = {"min_delta": 0.0, "patience": 0, "start_from_epoch": 1}
    assert oracles.stop_epoch(values, **(defaults | settings)) == expected, "the oracle is wrong"


@pytest.mark.parametrize("seed", range(300))
def test_the_rule_against_the_oracle(seed):
    """Eighths are exact, so ties and differences of just min_delta come up."""
    rng = np.random.default_rng(seed)
    values = (rng.integers(0, 40, 30) / 8 + np.linspace(rng.uniform(0, 5), 0, 30).round(0)).tolist()
    settings = {
        "min_delta": float(rng.choice([0, 0.125, 0.5])),
        "patience": int(rng.integers(0, 5)),
        "start_from_epoch": int(rng.integers(1, 15)),
    }
    assert stop_epoch(values, **settings) == oracles.stop_epoch(values, **settings)


def test_the_best_epoch_is_the_first_with_the_lowest_value():
    rule = StopRule(fastnn.EarlyStopping(patience=100, min_delta=5.0, start_from_epoch=50))
    values = [4, 3, 1, 2, 1, 3]
    for epoch, value in enumerate(values, start=1):
        rule.says_stop(value)
        assert rule.best_epoch == oracles.best_epoch(values[:epoch])
        assert rule.best == min(values[:epoch])


def test_defaults_are_those_of_the_design():
    assert dataclasses.asdict(fastnn.EarlyStopping()) == {
        "monitor": "loss", "min_delta": 0.0, "patience": 0, "start_from_epoch": 1,
        "restore_best": False,
    }  # fmt: skip


def test_settings_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        fastnn.EarlyStopping().patience = 3


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"monitor": "acc"}, ValueError, r"monitor='acc' is not known.*loss, val_loss"),
        ({"monitor": "val_los"}, ValueError, r"Did you mean 'val_loss'\?"),
        ({"monitor": None}, TypeError, r"monitor must be a string, got NoneType"),
        ({"min_delta": -0.1}, ValueError, r"min_delta must be at least 0, got -0\.1"),
        ({"min_delta": float("nan")}, ValueError, r"min_delta must be finite, got nan"),
        ({"min_delta": float("inf")}, ValueError, r"min_delta must be finite, got inf"),
        ({"min_delta": "0"}, TypeError, r"min_delta must be a number, got str: '0'"),
        ({"min_delta": True}, TypeError, r"min_delta must be a number, got bool: True"),
        ({"patience": -1}, ValueError, r"patience must be at least 0, got -1"),
        ({"patience": 1.5}, TypeError, r"patience must be a whole number, got float: 1\.5"),
        ({"patience": True}, TypeError, r"patience must be a whole number, got bool: True"),
        ({"patience": None}, TypeError, r"patience must be a whole number, got NoneType"),
        ({"start_from_epoch": 0}, ValueError, r"start_from_epoch must be at least 1, got 0"),
        ({"start_from_epoch": "2"}, TypeError, r"start_from_epoch must be a whole number"),
        ({"restore_best": 1}, TypeError, r"restore_best must be True or False, got int: 1"),
    ],
)
def test_bad_settings(settings, kind, message):
    with pytest.raises((ValueError, TypeError), match=message) as error:
        fastnn.EarlyStopping(**settings)
    assert type(error.value) is kind
