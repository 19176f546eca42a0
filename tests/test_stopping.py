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
        if rule.reason_to_stop(value):
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
        rule.reason_to_stop(value)
        assert rule.best_epoch == oracles.best_epoch(values[:epoch])
        assert rule.best == min(values[:epoch])


@pytest.mark.parametrize("monitor", ["accuracy", "val_accuracy", "r2", "val_r2", "auc", "val_auc"])
def test_of_scores_the_highest_is_the_best(monitor):
    rule = StopRule(fastnn.EarlyStopping(monitor, patience=1, min_delta=0.125))
    reasons = [rule.reason_to_stop(value) for value in (0.25, 0.5, 0.5, 0.625)]
    assert reasons == [None, None, None, "early stopping"]
    assert (rule.best_epoch, rule.best) == (4, 0.625)


@pytest.mark.parametrize(
    ("monitor", "mode", "expected"),
    [
        ("loss", "max", 3), ("loss", "min", 2), ("loss", "auto", 2), ("accuracy", "min", 2),
        ("mean_absolute_error", "auto", 2), ("gain", "auto", 2), ("gain", "max", 3),
    ],
)  # fmt: skip
def test_the_mode_says_what_is_better(monitor, mode, expected):
    values = [1, 2, 1.5] if mode == "max" else [1, 1.5, 0.5]
    assert stop_epoch(values, monitor=monitor, mode=mode) == expected


@pytest.mark.parametrize(
    ("values", "settings", "expected"),
    [
        ([3, 2, 1, 0], {"target": 1}, 3),
        ([3, 2, 1.1, 1.01], {"target": 1, "patience": None}, None),
        ([0.5, 0.75, 1], {"monitor": "accuracy", "target": 0.75}, 2),
        ([3, 4, 5, 6], {"patience": None}, None),
        ([3, float("nan"), 2], {"patience": None, "target": 2}, 3),
    ],
)
def test_targets(values, settings, expected):
    assert stop_epoch(values, **settings) == expected


def test_a_target_that_is_reached_is_the_reason_though_patience_is_over_too():
    rule = StopRule(fastnn.EarlyStopping(target=2))
    assert [rule.reason_to_stop(value) for value in (3, 3.0)] == [None, "early stopping"]
    rule = StopRule(fastnn.EarlyStopping(target=3))
    assert rule.reason_to_stop(3) == "target reached"


def test_a_value_that_is_not_a_number_is_not_better():
    assert stop_epoch([float("nan"), 1, float("nan")]) == 1
    assert stop_epoch([2, 1, float("nan")], patience=0) == 3


def test_defaults_are_those_of_the_design():
    assert dataclasses.asdict(fastnn.EarlyStopping()) == {
        "monitor": "loss", "min_delta": 0.0, "patience": 0, "start_from_epoch": 1,
        "restore_best": False, "mode": "auto", "target": None, "max_seconds": None,
    }  # fmt: skip


def test_settings_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        fastnn.EarlyStopping().patience = 3


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"monitor": None}, TypeError, r"monitor must be a string, got NoneType"),
        ({"min_delta": -0.1}, ValueError, r"min_delta must be at least 0, got -0\.1"),
        ({"min_delta": float("nan")}, ValueError, r"min_delta must be finite, got nan"),
        ({"min_delta": float("inf")}, ValueError, r"min_delta must be finite, got inf"),
        ({"min_delta": "0"}, TypeError, r"min_delta must be a number, got str: '0'"),
        ({"min_delta": True}, TypeError, r"min_delta must be a number, got bool: True"),
        ({"patience": -1}, ValueError, r"patience must be at least 0, got -1"),
        ({"patience": 1.5}, TypeError, r"patience must be a whole number, got float: 1\.5"),
        ({"patience": True}, TypeError, r"patience must be a whole number, got bool: True"),
        ({"patience": "3"}, TypeError, r"patience must be a whole number, got str: '3'"),
        ({"mode": "highest"}, ValueError, r"mode='highest' is not known.*auto, max, min"),
        ({"target": "low"}, TypeError, r"target must be a number, got str: 'low'"),
        ({"target": float("nan")}, ValueError, r"target must be finite, got nan"),
        ({"max_seconds": 0}, ValueError, r"max_seconds must be above 0, got 0"),
        ({"start_from_epoch": 0}, ValueError, r"start_from_epoch must be at least 1, got 0"),
        ({"start_from_epoch": "2"}, TypeError, r"start_from_epoch must be a whole number"),
        ({"restore_best": 1}, TypeError, r"restore_best must be True or False, got int: 1"),
    ],
)
def test_bad_settings(settings, kind, message):
    with pytest.raises((ValueError, TypeError), match=message) as error:
        fastnn.EarlyStopping(**settings)
    assert type(error.value) is kind
