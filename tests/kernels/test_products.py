"""Products on places in flat vectors against NumPy, and the turning of matrices."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from numba.extending import get_cython_function_address

from fastnn.kernels import blocks, products
from fastnn.kernels.jit import kernel

products.find_blas()

#: What lies before and between the matrices, and must stay as it is.
GAP, NOTHING = 3, -7.0


@kernel
def multiply(scale, keep, vector, places, steps, turned, rows, inner, columns):
    A = products.Matrix(vector, places[0], steps[0], turned[0])
    B = products.Matrix(vector, places[1], steps[1], turned[1])
    C = products.Matrix(vector, places[2], steps[2], False)
    products.multiply(scale, A, B, keep, C, (rows, inner, columns))


@kernel
def turn(w, at, rows, columns, to):
    blocks.turn(w, at, rows, columns, to)


def laid_out(*matrices):
    """A vector with the matrices in it, the gaps' number elsewhere; and where each begins."""
    gap = np.full(GAP, NOTHING, matrices[0].dtype)
    pieces = [piece for matrix in matrices for piece in (gap, matrix.ravel())]
    sizes = [0, *(GAP + matrix.size for matrix in matrices[:-1])]
    return np.concatenate([*pieces, gap]), np.cumsum(sizes) + GAP


def check_product(rows, inner, columns, dtype, turned=(False, False), scale=1.0, keep=1.0):
    rng = np.random.default_rng(0)
    A, B, C = (
        rng.uniform(-1, 1, shape).astype(dtype)
        for shape in ((rows, inner), (inner, columns), (rows, columns))
    )
    stored = [matrix.T if turns else matrix for matrix, turns in zip((A, B), turned, strict=True)]
    vector, places = laid_out(*map(np.ascontiguousarray, stored), C)
    steps = np.array([*(matrix.shape[1] for matrix in stored), columns])
    factors = np.array([scale, keep], dtype)
    multiply(*factors, vector, places, steps, np.array(turned), rows, inner, columns)
    wanted = scale * A.astype("f8") @ B + keep * C.astype("f8")
    expected, _ = laid_out(*map(np.ascontiguousarray, stored), wanted.astype(dtype))
    tolerance = {"float64": 1e-14, "float32": 1e-5}[dtype]
    np.testing.assert_allclose(vector, expected, rtol=tolerance, atol=tolerance * inner)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("turned", list(itertools.product([False, True], repeat=2)))
@pytest.mark.parametrize(("scale", "keep"), [(1.0, 1.0), (-0.5, 1.0), (2.0, 0.0)])
def test_products_of_matrices_as_they_lie_and_turned(dtype, turned, scale, keep):
    check_product(5, 7, 3, dtype, turned, scale, keep)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_size_in_every_dimension(dtype):
    for size in range(1, 71):
        for sizes in ((size, 9, 5), (9, size, 5), (9, 5, size)):
            check_product(*sizes, dtype)


def test_what_is_not_kept_may_be_no_number():
    A, B, C = np.ones((2, 3)), np.ones((3, 2)), np.full((2, 2), np.nan)
    vector, places = laid_out(A, B, C)
    multiply(1.0, 0.0, vector, places, np.array([3, 2, 2]), np.zeros(2, bool), 2, 3, 2)
    np.testing.assert_array_equal(vector[places[2] :][:4], 3.0)


@pytest.mark.parametrize("rows", range(1, 10))
@pytest.mark.parametrize("columns", [1, 2, 5])
def test_turning_a_matrix(rows, columns):
    matrix = np.arange(float(rows * columns)).reshape(rows, columns)
    w, (at, to) = laid_out(matrix, np.zeros_like(matrix))
    turn(w, *map(np.uint64, (at, rows, columns, to)))
    expected, _ = laid_out(matrix, np.ascontiguousarray(matrix.T))
    np.testing.assert_array_equal(w, expected)


# Where BLAS is.


@pytest.mark.parametrize("name", ["sgemm", "dgemm"])
@pytest.mark.parametrize("alone", [True, False])
def test_blas_is_the_one_that_scipy_gives_away(monkeypatch, name, alone):
    if not alone:  # as in an archive, where no file is found
        monkeypatch.setattr(products.PathFinder, "find_spec", lambda *_: None)
    expected = get_cython_function_address("scipy.linalg.cython_blas", name)
    assert products._address(products._cython_blas().__pyx_capi__[name]) == expected


def test_to_find_blas_takes_no_other_module_of_scipys():
    code = (
        "import sys; from fastnn.kernels import products; products.find_blas();"
        "print('scipy.linalg' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
