"""Products whose entries are lanes, against NumPy: with every rest of rows and of columns."""

import numpy as np
import pytest
from problems import few_to_compile

from fastnn.kernels.jit import kernel
from fastnn.kernels.lanes import width
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
    lanes = registers * width(np.empty(0))
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
