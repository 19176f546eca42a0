"""Products whose entries are lanes, against NumPy: with every rest of rows and of columns."""

import numba
import numpy as np
import pytest
from problems import few_to_compile

from fastnn.kernels.jit import OPTIONS, kernel
from fastnn.kernels.llvm import lanes_of_register
from fastnn.kernels.many_products import matrix, multiply

pytestmark = pytest.mark.own_kernels

#: One, two and four registers: different tiles.
REGISTERS = few_to_compile([1], [1, 2, 4])
DEPTH = 3


def product_of(lanes):
    @kernel
    def product(a, b, start, c, rows, columns):
        A = matrix(a, 0, rows, 1, (DEPTH, rows), lanes)
        B = matrix(b, 0, 1, DEPTH, (DEPTH, columns), lanes)
        S = matrix(start, 0, columns, 1, (rows, columns), lanes)
        C = matrix(c, lanes, 1, rows, (rows, columns), lanes)
        multiply(A, B, S, C, (rows, DEPTH, columns), lanes)

    return product


@pytest.mark.parametrize("registers", REGISTERS)
def test_products_of_every_size(registers):
    lanes = registers * lanes_of_register(8)
    product, rng = product_of(lanes), np.random.default_rng(0)
    for rows in range(1, 20):
        for columns in range(1, 10):
            a = rng.normal(size=(DEPTH, rows, lanes))
            b = rng.normal(size=(columns, DEPTH, lanes))
            start = rng.normal(size=(rows, columns, lanes))
            whole = np.full((lanes + columns * rows + 1, lanes), np.nan)
            product(a.ravel(), b.ravel(), start.ravel(), whole.reshape(-1), rows, columns)
            expected = start + np.einsum("kil,jkl->ijl", a, b)
            c = whole[lanes:-1].reshape(columns, rows, lanes)
            np.testing.assert_allclose(c.swapaxes(0, 1), expected, rtol=1e-13, atol=1e-13)
            assert np.isnan(whole[:lanes]).all()
            assert np.isnan(whole[-1]).all()


@numba.njit(boundscheck=True, **OPTIONS)
def checked_entry(vector, at, row, column):
    """The first entry of a (2, 3) matrix of 4 lanes."""
    M = matrix(vector, at, row, column, (2, 3), 4)
    multiply(M, M, M, matrix(vector, 0, 0, 0, (1, 1), 4), (1, 0, 1), 4)
    return vector[0]


@pytest.mark.parametrize(
    ("at", "row", "column", "inside"),
    [(4, 3, 1, True), (5, 3, 1, False), (4, 1, 2, True), (5, 1, 2, False), (-1, 3, 1, False)],
)
def test_checked_matrices_outside_raise(at, row, column, inside):
    vector = np.arange(40.0)
    if inside:
        assert checked_entry(vector, at, row, column) == 4 * at
    else:
        with pytest.raises(IndexError, match="lanes outside the array"):
            checked_entry(vector, at, row, column)
