"""Products whose entries are lanes, against NumPy: with every rest of rows and of units."""

import numpy as np
import pytest

from fastnn.kernels.jit import kernel
from fastnn.kernels.many_products import Matrix, Units, make_sums, make_sums_over_rows

pytestmark = pytest.mark.own_kernels

LANES, HEIGHT = 8, 6
sums, sums_over_rows = make_sums(LANES), make_sums_over_rows(LANES)


@kernel
def multiply(a, W, start, z, n, units, depth):
    of_a, of_z = Units(a, 0, HEIGHT), Units(z, 0, HEIGHT)
    sums(of_a, Matrix(W, 0, units, 1), Matrix(start, 0, 0, 1), of_z, n, 0, units, depth)


@kernel
def multiply_over_rows(a, d, start, G, n, units, depth):
    of_a, of_d, of_G = Units(a, 0, HEIGHT), Units(d, 0, HEIGHT), Matrix(G, 0, units, 1)
    sums_over_rows(of_a, of_d, Matrix(start, 0, units, 1), of_G, depth, 0, units, n)


def numbers(*shape):
    """By lanes, the last axis."""
    return np.random.default_rng(len(shape)).normal(size=(*shape, LANES))


def by_lanes(array):
    return np.ascontiguousarray(array).reshape(-1)


@pytest.mark.parametrize("n", range(1, HEIGHT + 1))
def test_sums_of_every_size(n):
    for depth in (1, 3):
        for units in range(1, 10):
            a, W, start = numbers(depth, HEIGHT), numbers(depth, units), numbers(units)
            z = np.zeros((units, HEIGHT, LANES))
            flat = z.reshape(-1)
            multiply(*map(by_lanes, (a, W, start)), flat, n, units, depth)
            expected = start[:, None] + np.einsum("ksl,kul->usl", a, W)
            np.testing.assert_allclose(z[:, :n], expected[:, :n], rtol=1e-13, atol=1e-13)
            assert not z[:, n:].any()


@pytest.mark.parametrize("depth", range(1, 10))
def test_sums_over_rows_of_every_size(depth):
    for n in (1, 5):
        for units in range(1, 10):
            a, d, start = numbers(depth, HEIGHT), numbers(units, HEIGHT), numbers(depth, units)
            G = np.zeros((depth, units, LANES))
            multiply_over_rows(*map(by_lanes, (a, d, start)), G.reshape(-1), n, units, depth)
            expected = start + np.einsum("msl,usl->mul", a[:, :n], d[:, :n])
            np.testing.assert_allclose(G, expected, rtol=1e-13, atol=1e-13)
