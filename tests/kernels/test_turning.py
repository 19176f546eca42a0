"""The turning of matrices in flat vectors, against NumPy."""

import numba
import numpy as np
import pytest
from matrices import NOTHING, laid_out

from fastnn.kernels import turning
from fastnn.kernels.jit import OPTIONS, kernel
from fastnn.kernels.lanes import width

SIZES = [1, 2, 3, 4, 7, 8, 9, 12, 15, 16, 17, 21, 33]


@kernel
def turn(w, at, rows, columns, to, step):
    turning.turn(w, at, rows, columns, w, to, step)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("columns", SIZES)
def test_turning_a_matrix(rows, columns, dtype):
    """Into one whose rows are further apart, and what is between them stays."""
    matrix = np.arange(rows * columns, dtype=dtype).reshape(rows, columns)
    turned = np.full((columns, rows + 2), NOTHING, dtype)
    w, (at, to) = laid_out(matrix, turned)
    turn(w, *map(np.uint64, (at, rows, columns, to, rows + 2)))
    turned[:, :rows] = matrix.T
    np.testing.assert_array_equal(w, laid_out(matrix, turned)[0])


@numba.njit(boundscheck=True, **OPTIONS)
def checked_tile(source, places, into, shape):
    n, few, there = width(into), turning.few_lines(into), (2, 2)
    if shape == "square":
        turning.turn_tile(n, n, source, places, 1, into, 1, 3, there)
    elif shape == "few columns":
        turning.turn_tile(n, few, source, places, 1, into, 1, 3, there)
    else:
        turning.turn_tile(few, n, source, places, 1, into, 1, 3, there)


@pytest.mark.parametrize("shape", ["square", "few columns", "few rows"])
@pytest.mark.parametrize(("source", "into"), [(12, 6), (11, 6), (12, 5)])
def test_checked_tiles_outside_raise(source, into, shape):
    """Rows of two numbers from places 5 and 10 on, to places 1 to 5."""
    places, arrays = np.array([4, 9] + 30 * [2**40]), (np.arange(float(source)), np.zeros(into))
    if (source, into) == (12, 6):
        checked_tile(arrays[0], places, arrays[1], shape)
        np.testing.assert_array_equal(arrays[1], [0, 5, 10, 0, 6, 11])
    else:
        with pytest.raises(IndexError, match="outside the array"):
            checked_tile(arrays[0], places, arrays[1], shape)
