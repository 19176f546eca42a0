"""The clock of a learning-rate schedule: the rates that it gives, and coming back to it."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from test_schedules import COUNTED, PLATEAU, names, with_per

import fastnn
from fastnn.clock import Clock, rates_of_piece
from fastnn.contract import State


def clock_at(updates, epochs):
    return Clock(np.array([updates, epochs]))


def times(clock):
    return clock.steps.tolist(), clock.plateau.tolist()


@pytest.mark.parametrize("schedule", COUNTED, ids=names)
def test_a_piece_gets_one_rate_an_epoch_or_one_an_update(schedule):
    clock = clock_at(updates=70, epochs=5)
    by_epoch = rates_of_piece(schedule, clock, epochs=4, updates=14)
    assert by_epoch.tolist() == [[rate] for rate in schedule.rates(5, 4)]
    by_update = rates_of_piece(with_per(schedule, "update"), clock, epochs=4, updates=14)
    assert by_update.tolist() == schedule.rates(70, 56).reshape(4, 14).tolist()


def test_a_piece_of_a_constant_rate():
    assert rates_of_piece(0.5, clock_at(3, 1), 2, 9).tolist() == [[0.5], [0.5]]


def test_a_piece_on_a_plateau_has_the_rate_reduced_so_far():
    clock = Clock(plateau=np.array([0.25, 1.0, 2.0]))
    assert rates_of_piece(PLATEAU, clock, 2, 9).tolist() == [[0.9 / 4], [0.9 / 4]]


def test_a_clock_comes_back_to_where_it_was_in_place():
    clock = Clock(np.array([7, 2]), np.array([0.5, 3.0, 1.0]))
    steps, plateau, before = clock.steps, clock.plateau, clock.copy()
    clock.restart()
    assert times(clock) == times(Clock()) == ([0, 0], [1.0, np.inf, 0.0])
    clock.restore(before)
    assert times(clock) == ([7, 2], [0.5, 3.0, 1.0])
    assert clock.steps is steps
    assert clock.plateau is plateau


def test_a_pickled_state_of_an_older_version_has_the_same_clock():
    """There what a clock has belonged to the state itself."""
    net = fastnn.Network([2, 1], seed=1, engine="numpy")
    net.fit([[0, 1], [1, 0]], [0, 1], epochs=3, batch_size=1)
    older = State.__new__(State)
    older.__dict__.update(vars(net._state) | vars(net._state.clock))
    del older.clock
    twin = pickle.loads(pickle.dumps(older))
    assert times(twin.clock) == times(net._state.clock) == ([6, 3], [1.0, np.inf, 0.0])
    assert vars(twin).keys() == vars(net._state).keys()
