"""The early-stopping rule, by itself and at work in training."""

from __future__ import annotations

import dataclasses

import numpy as np
import oracles
import pytest
from helpers import PYTHON_SLOW, in_turn, random_state
from runs import EPOCHS, N, fit_noisily, full_course, make, regression, state, use

import fastnn
from fastnn.stopping import StopRule
from fastnn.training.job import AT_FIRST
from fastnn.training.run import Run


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


@in_turn("seed", range(300))
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


# At work in training.

RULES = [
    {"patience": 0},
    {"patience": 2},
    {"patience": 5},
    {"patience": 1, "min_delta": 0.002},
    {"patience": 0, "start_from_epoch": 9},
    {"patience": 3, "start_from_epoch": 6, "min_delta": 0.001},
]


@pytest.mark.parametrize("slicing", ["all in one piece", "growing pieces"])
@pytest.mark.parametrize("monitor", ["loss", "val_loss"])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_training_stops_by_the_rule_in_the_state_of_that_epoch(
    loop_engine, monkeypatch, rule, monitor, slicing
):
    full = full_course(loop_engine)
    use(monkeypatch, slicing)
    values = getattr(full, monitor)
    stop = oracles.stop_epoch(values, **{"min_delta": 0, "start_from_epoch": 1} | rule)
    assert stop is not None
    assert 1 < stop < EPOCHS, "the data must make the rule fire"

    net, rng = make(loop_engine)
    history = fit_noisily(net, early_stopping=fastnn.EarlyStopping(monitor, **rule))
    twin, twin_rng = make(loop_engine)
    fit_noisily(twin, epochs=stop)
    assert history.epochs == stop
    assert history.stop_reason == "early stopping"
    assert history.loss == full.loss[:stop]
    assert history.val_loss == full.val_loss[:stop]
    assert history.best_epoch == oracles.best_epoch(values[:stop])
    assert state(net, rng) == state(twin, twin_rng)

    for each in (net, twin):
        fit_noisily(each, epochs=2)
    assert state(net, rng) == state(twin, twin_rng), "training on must give the same bits"


@pytest.mark.parametrize("slicing", ["all in one piece", "64 rows a piece", "growing pieces"])
@pytest.mark.parametrize("monitor", ["loss", "val_loss"])
@pytest.mark.parametrize("epochs", [EPOCHS, 3])
def test_restore_best_goes_back_to_the_parameters_of_the_best_epoch(
    loop_engine, monkeypatch, monitor, slicing, epochs
):
    """Whether the rule fires or not (3 epochs); n = 150: epochs run in parts too."""
    use(monkeypatch, slicing)
    n = N if slicing == "64 rows a piece" else 20
    net, rng = make(loop_engine)
    rule = fastnn.EarlyStopping(monitor, patience=4, restore_best=True)
    history = fit_noisily(net, epochs=epochs, n=n, early_stopping=rule)
    assert (history.stop_reason == "early stopping") == (epochs == EPOCHS)
    best = oracles.best_epoch(getattr(history, monitor))
    assert history.best_epoch == best

    twin, twin_rng = make(loop_engine)
    fit_noisily(twin, epochs=best, n=n)
    assert net.parameters.tobytes() == twin.parameters.tobytes()
    if best < history.epochs:
        fit_noisily(twin, epochs=history.epochs - best, n=n)
        assert net.parameters.tobytes() != twin.parameters.tobytes()
    assert random_state(rng) == random_state(twin_rng), "the random state is that of the last epoch"


@pytest.mark.parametrize("patience", [0, 2])
def test_early_stopping_with_epochs_run_in_parts(engine, monkeypatch, patience):
    full = full_course(engine, N)
    stop = oracles.stop_epoch(full.loss, 0.0, patience, 1)
    assert 1 < stop < EPOCHS
    use(monkeypatch, "64 rows a piece")
    net, rng = make(engine)
    history = fit_noisily(net, n=N, early_stopping=fastnn.EarlyStopping(patience=patience))
    twin, twin_rng = make(engine)
    fit_noisily(twin, n=N, epochs=stop)
    assert history.loss == full.loss[:stop]
    assert state(net, rng) == state(twin, twin_rng)


@pytest.mark.parametrize("patience", [0, 3, 40])
def test_few_epochs_are_run_in_vain(engine, monkeypatch, patience):
    ran, advance = [], Run._advance

    def counting(run, piece, *marks):
        ran.append(len(piece.rates))
        return advance(run, piece, *marks)

    monkeypatch.setattr(Run, "_advance", counting)
    rule = fastnn.EarlyStopping(patience=patience, min_delta=10.0, restore_best=False)
    history = fit_noisily(make(engine)[0], epochs=10**6, early_stopping=rule)
    assert history.epochs == patience + 2
    again = history.epochs  # from where the piece began
    assert sum(ran) <= max(4 * history.epochs, AT_FIRST) + again


def test_a_rule_that_never_fires_changes_nothing(engine):
    plain, plain_rng = make(engine)
    expected = fit_noisily(plain, epochs=10)
    net, rng = make(engine)
    history = fit_noisily(net, epochs=10, early_stopping=fastnn.EarlyStopping(patience=1000))
    assert history.stop_reason == "completed"
    assert history.loss == expected.loss
    assert state(net, rng) == state(plain, plain_rng)


def test_a_rule_starts_afresh_in_each_fit(engine):
    """The best of an earlier fit does not count, though the same settings are used again."""
    rule = fastnn.EarlyStopping(patience=0)
    net, _ = make(engine, (1, 1))
    net.set_parameters([0.0, 0.0])
    assert net.fit([1.0], [0.0], epochs=5, early_stopping=rule).epochs == 2  # 0 is not below 0
    assert net.fit([1.0], [1.0], epochs=5, early_stopping=rule).epochs == 5  # falls all the time


# Targets, time.


@pytest.mark.parametrize("slicing", ["all in one piece", "64 rows a piece"])
def test_training_stops_with_the_epoch_that_reaches_the_target(engine, monkeypatch, slicing):
    full = full_course(engine)
    target = sorted(full.val_loss)[3]
    use(monkeypatch, slicing)
    net, rng = make(engine)
    rule = fastnn.EarlyStopping("val_loss", patience=None, target=target)
    history = fit_noisily(net, early_stopping=rule)
    epoch = next(e for e, loss in enumerate(full.val_loss, start=1) if loss <= target)
    assert (history.epochs, history.stop_reason) == (epoch, "target reached")
    twin, twin_rng = make(engine)
    fit_noisily(twin, epochs=epoch)
    assert state(net, rng) == state(twin, twin_rng)


@pytest.mark.parametrize("engine", PYTHON_SLOW)
def test_training_stops_when_the_time_is_up(engine):
    net, rng = make(engine)
    rule = fastnn.EarlyStopping(patience=None, max_seconds=0.2)
    history = net.fit(*regression(20), epochs=10**9, early_stopping=rule)
    assert history.stop_reason == "time limit"
    assert history.seconds >= 0.2
    twin, twin_rng = make(engine)
    twin.fit(*regression(20), epochs=history.epochs)
    assert state(net, rng) == state(twin, twin_rng)
