"""The profiler's kernels compute what they are timed for."""

import numpy as np
import pytest

from fastnn.activations import ACTIVATIONS
from fastnn.kernels import ceilings

NUMBERS = np.arange(8.0) / 10


def test_dot():
    assert ceilings.dot(NUMBERS, NUMBERS + 1) == pytest.approx(NUMBERS @ (NUMBERS + 1), rel=1e-14)


def test_multiply_add_does_as_many_as_it_says():
    values, expected = NUMBERS.copy(), NUMBERS.copy()
    ceilings.multiply_add(values, 0.5, 0.25, 2)
    for _ in range(2 * ceilings.CHAIN):
        expected = expected * 0.5 + 0.25
    np.testing.assert_allclose(values, expected, rtol=1e-14)


def test_read_sums_every_number_each_round():
    assert ceilings.read(NUMBERS, 3) == pytest.approx(3 * NUMBERS.sum(), rel=1e-14)


def test_update_multiplies_in_place():
    values = NUMBERS.copy()
    ceilings.update(values, 2.0, 3)
    np.testing.assert_array_equal(values, NUMBERS * 8)


def test_activate_all():
    out = np.empty_like(NUMBERS)
    ceilings.make_activate_all(ACTIVATIONS["tanh"].code)(NUMBERS, out, 2)
    np.testing.assert_allclose(out, np.tanh(NUMBERS), rtol=1e-14)
