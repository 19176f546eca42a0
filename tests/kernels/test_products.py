"""Products on places in flat vectors against NumPy."""

import re
from pathlib import Path

import numba
import numpy as np
import pytest
from matrices import GAP, apart_by, laid_out
from simd import AVX2, BASELINE, arm_code, check_arm_code, on_x86, only_compiled, run

from fastnn.kernels import products, tiles
from fastnn.kernels.jit import OPTIONS, kernel

#: Which of A and B are turned: not both.
WAYS = [(False, False), (True, False), (False, True)]


@kernel
def multiply(scale, keep, vector, places, steps, turned, rows, inner, columns):
    A = products.Matrix(vector, places[0], steps[0], turned[0])
    B = products.Matrix(vector, places[1], steps[1], turned[1])
    C = products.Matrix(vector, places[2], steps[2], False)
    K = products.Matrix(vector, places[3], steps[3], turned[2])
    products.multiply(scale, A, B, keep, K, C, (rows, inner, columns))


def onto_itself(places, steps, turned):
    """The same with C for K."""
    return places[[0, 1, 2, 2]], steps[[0, 1, 2, 2]], np.array([*turned, False])


def check_product_onto(rows, inner, columns, dtype, turned=(False, False), keep=1.0):
    """K is a row for all of C, a column, and a matrix of its own; of C nothing is kept."""
    rng = np.random.default_rng(0)
    kinds = ((1, columns), 0, False), ((rows, 1), 0, True), ((rows, columns), columns, False)
    for shape, step, across in kinds:
        shapes = (rows, inner), (inner, columns), shape
        A, B, K = (rng.uniform(-1, 1, shape).astype(dtype) for shape in shapes)
        stored = [
            matrix.T if turns else matrix for matrix, turns in zip((A, B), turned, strict=True)
        ]
        C = np.full((rows, columns), np.nan, dtype)
        vector, places = laid_out(*stored, C, K)
        steps = np.array([*(matrix.shape[1] for matrix in (*stored, C)), step], np.uint64)
        ways = np.array([*turned, across])
        sizes = map(np.uint64, (rows, inner, columns))
        multiply(*np.array([1.0, keep], dtype), vector, places, steps, ways, *sizes)
        wanted = A.astype("f8") @ B + keep * K.astype("f8")
        expected, _ = laid_out(*stored, wanted.astype(dtype), K)
        tolerance = {"float64": 1e-14, "float32": 1e-5}[dtype]
        np.testing.assert_allclose(vector, expected, rtol=tolerance, atol=tolerance * inner)


def check_product(
    rows, inner, columns, dtype, turned=(False, False), scale=1.0, keep=1.0, further=0
):
    rng = np.random.default_rng(0)
    A, B, C = (
        rng.uniform(-1, 1, shape).astype(dtype)
        for shape in ((rows, inner), (inner, columns), (rows, columns))
    )
    stored = [matrix.T if turns else matrix for matrix, turns in zip((A, B), turned, strict=True)]
    vector, places = laid_out(*stored, C, further=further)
    widths = [matrix.shape[1] for matrix in (*stored, C)]
    steps = np.add(widths, apart_by(further, 3)).astype(np.uint64)
    factors, sizes = np.array([scale, keep], dtype), map(np.uint64, (rows, inner, columns))
    multiply(*factors, vector, *onto_itself(places, steps, turned), *sizes)
    wanted = scale * A.astype("f8") @ B + keep * C.astype("f8")
    expected, _ = laid_out(*stored, wanted.astype(dtype), further=further)
    tolerance = {"float64": 1e-14, "float32": 1e-5}[dtype]
    np.testing.assert_allclose(vector, expected, rtol=tolerance, atol=tolerance * inner)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("turned", WAYS)
@pytest.mark.parametrize(("scale", "keep"), [(1.0, 1.0), (-0.5, 1.0), (2.0, 0.0)])
def test_products_of_matrices_as_they_lie_and_turned(dtype, turned, scale, keep):
    check_product(5, 7, 3, dtype, turned, scale, keep)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("turned", WAYS)
def test_every_size_in_every_dimension(dtype, turned):
    for size in range(1, 71):
        for sizes in ((size, 9, 5), (9, size, 5), (9, 5, size)):
            check_product(*sizes, dtype, turned)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("keep", [1.0, 0.0])
def test_products_whose_columns_are_copied_first(dtype, turned, keep):
    packed, rows = int(products.PACKED), int(products.PACK_FROM)
    for depth in (packed - 1, packed, packed + 1, 2 * packed + 9):
        for columns in (8, 64, 75, 130):
            check_product(rows + 3, depth, columns, dtype, (turned, False), keep=keep, further=5)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("turned", WAYS)
def test_products_onto_a_row_a_column_or_another_matrix(dtype, turned):
    """At the ends of tiles, and in parts, of which the first one is onto it."""
    for size in range(1, 71):
        for sizes in ((size, 3, 5), (5, 3, size)):
            check_product_onto(*sizes, dtype, turned)
    check_product_onto(9, 4, 40, dtype, turned, keep=-0.5)
    check_product_onto(int(products.PACK_FROM) + 3, int(products.PACKED) + 9, 75, dtype, turned)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_rows_that_clash_in_the_cache_are_copied_for_fewer(dtype):
    packed, rows = int(products.PACKED), int(products.PACK_SAME_FROM)
    columns = products.SAME_PLACES // np.dtype(dtype).itemsize
    for depth in (packed, packed + 9):
        for more in (-1, 0, 3):
            check_product(rows + more, depth, columns, dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("turned", WAYS)
def test_what_lies_between_rows_stays(dtype, turned):
    for sizes in ((7, 9, 5), (9, 20, 70), (18, 33, 17)):
        check_product(*sizes, dtype, turned, further=3)


@only_compiled
@pytest.mark.parametrize("turned", [False, True])
def test_a_sum_does_not_depend_on_those_beside_it(turned):
    """However many rows and columns there are, until so many that columns are copied."""
    rng = np.random.default_rng(0)
    A, B = rng.uniform(-1, 1, (63, 37)), rng.uniform(-1, 1, (37, 45))
    results = []
    for rows in range(1, 64):
        columns = 1 + rows * 7 % 45
        stored = np.ascontiguousarray(B[:, -columns:].T) if turned else B[:, -columns:]
        vector, places = laid_out(A[-rows:], stored, np.zeros((rows, columns)))
        steps = np.array([37, stored.shape[1], columns], np.uint64)
        sizes = map(np.uint64, (rows, 37, columns))
        multiply(1.0, 0.0, vector, *onto_itself(places, steps, (False, turned)), *sizes)
        results.append(vector[-GAP - 1])
    np.testing.assert_array_equal(results, results[0])


@pytest.mark.parametrize("turned", [False, True])
def test_what_is_not_kept_may_be_no_number(turned):
    A, B, C = np.ones((2, 3)), np.ones((2, 3) if turned else (3, 2)), np.full((2, 2), np.nan)
    vector, places = laid_out(A, B, C)
    steps = np.array([3, B.shape[1], 2], np.uint64)
    ways, sizes = onto_itself(places, steps, (False, turned)), map(np.uint64, (2, 3, 2))
    multiply(1.0, 0.0, vector, *ways, *sizes)
    np.testing.assert_array_equal(vector[places[2] :][:4], 3.0)


# Other machines


@on_x86
@pytest.mark.slow
@pytest.mark.parametrize(
    "machine", [AVX2, BASELINE, {**AVX2, "NUMBA_DISABLE_JIT": "1"}], ids=["AVX2", "SSE2", "no JIT"]
)
def test_products_on_other_machines(machine):
    """With the turning of matrices and those of lanes: all that is not of other machines itself."""
    names = "test_products.py", "test_turning.py", "test_many_products.py"
    files = [str(Path(__file__).with_name(name)) for name in names]
    chosen = "not machines and not arm and not checked"
    output = run(
        "-m", "pytest", "-p", "no:cacheprovider", "-m", "not slow", *files, "-k", chosen, **machine
    )
    assert re.search(r"\b[1-9]\d\d passed", output)


PRODUCT = Path(__file__).read_text().split("@kernel", 1)[1].split("\n\n\n", 1)[0]
ON_ARM = f"""
from fastnn.kernels import atomics, products, tiles
from fastnn.kernels.jit import kernel
tiles.vector_registers = lambda: 32  # as there are on Arm
atomics.target_machine = lambda: ("",)  # there is no pause that both have
@kernel{PRODUCT}
"""
CALL = """ones = np.ones(4, np.uint64)
multiply(dtype(1), dtype(0), np.zeros(9, dtype), ones, ones, np.zeros(3, bool), *ones[:3])"""


@pytest.mark.slow
@on_x86
def test_code_for_arm_multiplies_vectors():
    """In what takes B as it lies; the other has a single sum at the ends of rows and columns."""
    bodies = arm_code(ON_ARM, "products.multiply_part.compiled", CALL, "products13multiply_part")
    for lane, body in zip(("2d", "4s"), bodies, strict=True):
        check_arm_code(body, lane, ["fmla", "fmul"])


# Bounds checks


@numba.njit(boundscheck=True, **OPTIONS)
def checked_tile(a, b, c, k, by_rows):
    """With A (4, 3), B (3, 4) or (4, 3), and K a row of four, or a column."""
    A = products.Matrix(a, np.uint64(0), np.uint64(3), False)
    B = products.Matrix(b, np.uint64(0), np.uint64(3 if by_rows else 4), by_rows)
    C, one = products.Matrix(c, np.uint64(0), np.uint64(4), False), a.dtype.type(1)
    K = products.Matrix(k, np.uint64(0), np.uint64(0), by_rows)
    if by_rows:
        tiles.dots(one, A, B, one, K, C, (4, 3, 4))
    else:
        tiles.tile(4, 1, one, A, B, one, K, C, 0, 0, 3, 4)


@pytest.mark.parametrize("by_rows", [False, True])
@pytest.mark.parametrize("short", [None, 0, 1, 2, 3])
def test_checked_tiles_outside_raise(by_rows, short):
    arrays = [np.ones(n - (k == short)) for k, n in enumerate((12, 12, 16, 4))]
    if short is None:
        checked_tile(*arrays, by_rows)
        np.testing.assert_array_equal(arrays[2], 4.0)
    else:
        with pytest.raises(IndexError, match="outside the array"):
            checked_tile(*arrays, by_rows)
