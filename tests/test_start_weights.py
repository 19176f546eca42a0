"""Seeds, and the start weights of every initializer."""

from __future__ import annotations

import math

import numpy as np
import pytest

import fastnn
from fastnn.initializers import INITIALIZERS


def make(sizes=(2, 3, 1), **options):
    return fastnn.Network(list(sizes), **{"seed": 1, "engine": "numpy"} | options)


def test_one_seed_gives_the_same_start():
    assert make(seed=5).parameters.tobytes() == make(seed=5).parameters.tobytes()


def test_other_seeds_give_other_starts():
    assert make(seed=5).parameters.tobytes() != make(seed=6).parameters.tobytes()


def test_no_seed_gives_another_start_each_time():
    assert make(seed=None).parameters.tobytes() != make(seed=None).parameters.tobytes()


def test_a_generator_as_seed_starts_as_its_number_does_and_is_drawn_from():
    rng = np.random.default_rng(5)
    first = make(seed=rng)
    assert first.parameters.tobytes() == make(seed=5).parameters.tobytes()
    assert make(seed=rng).parameters.tobytes() != first.parameters.tobytes()


def test_every_engine_starts_alike(engine):
    assert make(seed=5, engine=engine).parameters.tobytes() == make(seed=5).parameters.tobytes()


def test_float32_starts_at_the_rounded_numbers_of_float64():
    wide = make(seed=5).parameters
    assert make(seed=5, dtype="float32").parameters.tolist() == wide.astype(np.float32).tolist()


def test_the_seed_leaves_numpys_global_generator_alone():
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    make(seed=None)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


UNIFORM_LIMITS = {
    "glorot_uniform": lambda n_in, n_out: math.sqrt(6 / (n_in + n_out)),
    "he_uniform": lambda n_in, n_out: math.sqrt(6 / n_in),
    "uniform": lambda n_in, n_out: 1 / math.sqrt(n_in),
}
NORMAL_DEVIATIONS = {
    "glorot_normal": lambda n_in, n_out: math.sqrt(2 / (n_in + n_out)),
    "he_normal": lambda n_in, n_out: math.sqrt(2 / n_in),
}


def test_every_initializer_has_its_test():
    assert set(INITIALIZERS) == {*UNIFORM_LIMITS, *NORMAL_DEVIATIONS, "zeros"}


@pytest.mark.parametrize("name", UNIFORM_LIMITS)
def test_uniform_initializers_fill_their_range(name):
    net = make((100, 300, 20), initializer=name)
    for W in net.weights:
        limit = UNIFORM_LIMITS[name](*W.shape)
        assert 0.99 * limit < abs(W).max() <= limit
        assert W.var() == pytest.approx(limit**2 / 3, rel=0.05)
        assert abs(W.mean()) < 5 * limit / math.sqrt(3 * W.size)


@pytest.mark.parametrize("name", NORMAL_DEVIATIONS)
def test_normal_initializers_have_their_deviation(name):
    net = make((100, 300, 20), initializer=name)
    for W in net.weights:
        deviation = NORMAL_DEVIATIONS[name](*W.shape)
        assert W.std() == pytest.approx(deviation, rel=0.05)
        assert abs(W.mean()) < 5 * deviation / math.sqrt(W.size)
        assert abs(W).max() > 2.5 * deviation, "a normal distribution has tails"


@pytest.mark.parametrize("name", sorted(INITIALIZERS))
def test_biases_start_at_zero(name):
    assert all((b == 0).all() for b in make((5, 7, 3), initializer=name).biases)


def test_zeros():
    assert not make(initializer="zeros").parameters.any()


def test_layers_are_drawn_from_the_input_on():
    rng = np.random.default_rng(1)
    net = make((2, 3, 1), initializer="uniform", seed=1)
    for W in net.weights:
        limit = 1 / math.sqrt(len(W))
        assert np.array_equal(W, rng.uniform(-limit, limit, W.shape))
