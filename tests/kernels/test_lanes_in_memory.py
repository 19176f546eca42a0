"""SIMD values in memory: places and ends, and other machines than this one."""

import functools
import re
import sys
from pathlib import Path

import llvmlite.binding
import numba
import numpy as np
import pytest
from helpers import in_turn
from simd import (
    AVX2,
    BASELINE,
    DTYPES,
    arm_code,
    check_arm_code,
    compiled,
    every_dtype,
    every_width,
    numbers,
    on_x86,
    only_compiled,
    run,
)

from fastnn.kernels.jit import OPTIONS, inner
from fastnn.kernels.lanes import gather, load, splat, store, total, width


@functools.cache
def copier(n):
    @compiled
    def copy(x, at, y, to, count):
        store(y, to, load(x, at, n, count) + x.dtype.type(1), count)

    return copy


@every_dtype
@every_width
def test_an_end_touches_what_is_there_only(dtype, n):
    x = np.arange(1, 65, dtype=dtype)
    for count in (-1, 0, 1, n // 2, n - 1, n, n + 1):
        y, there = np.zeros_like(x), max(0, min(count, n))
        copier(n)(x, 3, y, 5, count)
        np.testing.assert_array_equal(y[5 : 5 + there], x[3 : 3 + there] + 1)
        assert not np.delete(y, slice(5, 5 + there)).any()


def test_lanes_that_are_not_there_are_zero():
    @compiled
    def rest(x, y):
        store(y, 0, load(x, 1, 8, 3))

    y = np.ones(8)
    rest(np.arange(9.0), y)
    np.testing.assert_array_equal(y, [1, 2, 3, 0, 0, 0, 0, 0])


@pytest.mark.parametrize("kind", [np.int64, np.uint64, np.int32, np.uint8])
def test_places_are_whole_numbers_of_any_type(kind):
    x, y = np.arange(64.0), np.zeros(64)
    copier(4)(x, kind(2), y, kind(3), kind(4))
    np.testing.assert_array_equal(y[3:7], x[2:6] + 1)


def test_rows_of_a_matrix():
    @compiled
    def turned(X, Y):
        for i in range(len(X)):
            store(Y, (len(X) - 1 - i, 1), load(X, (i, 0), 2), 2)

    X, Y = np.arange(12.0).reshape(4, 3), np.zeros((4, 3))
    X.flags.writeable = False
    turned(X, Y)
    np.testing.assert_array_equal(Y[::-1, 1:], X[:, :2])


@every_dtype
@every_width
def test_numbers_from_rows_of_a_matrix(dtype, n):
    @compiled
    def column(X, rows, at, k, y):
        store(y, 0, gather(X, rows, at, k, n))

    X, y = np.arange(21, dtype=dtype).reshape(7, 3), np.zeros(n, dtype)
    X.flags.writeable = False
    rows = np.arange(0, 5 * (n + 2), 5) % 7
    for k in range(3):
        column(X, rows, 2, k, y)
        np.testing.assert_array_equal(y, X[rows[2:], k])


OUTSIDE = [(2, 0, 0), (2**62, 0, 0), (0, 0, -1), (1, 0, 3), (0, 1, 0), (0, -1, 0)]


@pytest.mark.parametrize(("row", "at", "column"), OUTSIDE)
def test_checked_numbers_outside_raise(row, at, column):
    @numba.njit(boundscheck=True, **OPTIONS)
    def first(X, rows, at, column):
        return total(gather(X, rows, at, column, 2))

    X, rows = np.ones((4, 3))[1:3], np.array([0, 1, 0, 0])[1:3]
    assert first(X, rows, 0, 2) == 2
    rows[1] = row
    with pytest.raises(IndexError):
        first(X, rows, at, column)


@inner
def add_some(a, x, y, k, n, count):
    store(y, k, a * load(x, k, n, count) + load(y, k, n, count), count)


@compiled
def add_times(a, x, y):
    n = width(x)
    whole = len(x) - len(x) % n
    for k in range(0, whole, n):
        add_some(a, x, y, k, n, n)
    add_some(a, x, y, whole, n, len(x) - whole)


@every_dtype
@in_turn("n", [*range(40), 70])
def test_a_loop_with_its_end(dtype, n):
    x, y = numbers(dtype, n), numbers(dtype, n + 1, 1)
    expected = np.append(y[:n] + 2 * x, y[n])
    add_times(dtype(2), x, y[:n])
    np.testing.assert_allclose(y, expected, rtol=1e-5)


OUTSIDE = [(-1, 4), (61, 4), (60, 8), (64, 1), (2**40, 1)]


@functools.cache
def checked_copier(n, row):
    """In an array of two rows of 64 that both lie in one of 192: outside is still memory."""

    @numba.njit(boundscheck=True, **OPTIONS)
    def copy(X, at, loads, count):
        if loads:
            return total(load(X, (row, at), n, count))
        store(X, (row, at), splat(X[0, 0], n), count)
        return X[0, 0]

    return copy


@pytest.mark.parametrize("loads", [True, False])
@pytest.mark.parametrize(("at", "count"), OUTSIDE)
def test_checked_places_outside_raise(loads, at, count):
    X = np.ones((4, 64))[1:3]
    with pytest.raises(IndexError, match="lanes outside the array"):
        checked_copier(8, 0)(X, at, loads, count)


@pytest.mark.parametrize("row", [-1, 2])
def test_checked_rows_outside_raise(row):
    X = np.ones((4, 64))[1:3]
    with pytest.raises(IndexError):
        checked_copier(8, row)(X, 0, True, 8)


@pytest.mark.parametrize(("at", "count"), [(0, 8), (56, 8), (56, 99), (60, 4), (64, 0), (80, 0)])
def test_checked_places_inside_do_not(at, count):
    X = np.ones((4, 64))[1:3]
    assert checked_copier(8, 1)(X, at, True, count) == min(count, 8)


ADD_TIMES = """
import numba
import numpy as np
from fastnn.kernels import elementary
from fastnn.kernels.jit import inner, kernel
from fastnn.kernels.lanes import load, store, width

@inner
def some(a, x, y, k, n, count):
    store(y, k, a * elementary.tanh(load(x, k, n, count)) + load(y, k, n, count), count)

@kernel
def add_times(a, x, y):
    n = width(x)
    whole = len(x) - len(x) % n
    for k in range(0, whole, n):
        some(a, x, y, k, n, n)
    some(a, x, y, whole, n, len(x) - whole)
    return n
"""
COMPILE = """
x, y = np.zeros(64), np.zeros(64, np.float32)
print(add_times(1.0, x, x.copy()), add_times(np.float32(1), y, y.copy()))
"""


@pytest.mark.slow
@on_x86
@pytest.mark.parametrize(("machine", "widths"), [(AVX2, "4 8"), (BASELINE, "2 4")])
def test_the_width_is_that_of_the_machine(machine, widths):
    assert run("-c", ADD_TIMES + COMPILE, **machine).split() == widths.split()


@on_x86
@pytest.mark.skipif(numba.config.CPU_NAME is not None, reason="compiles for another machine")
def test_the_width_here_is_of_the_widest_registers():
    """By the processor's features and by the registers in machine code: 512 bits are zmm's."""
    features = llvmlite.binding.get_host_cpu_features()
    wide = all(features[name] for name in ("avx512f", "avx512dq", "avx512vl"))
    bits, register = (512, "%zmm") if wide else (256, "%ymm") if features["avx2"] else (128, "%xmm")
    for dtype in DTYPES:
        x = numbers(dtype, 64)
        add_times(dtype(1), x, x.copy())
        assert compiled(lambda x: width(x))(x) == bits // (8 * x.itemsize)
    for text in add_times.inspect_asm().values():
        assert register in text[: text.index("retq")]


@on_x86
@pytest.mark.slow
@pytest.mark.parametrize(
    "machine", [AVX2, BASELINE, {"NUMBA_DISABLE_JIT": "1"}], ids=["AVX2", "SSE2", "without JIT"]
)
def test_operations_and_ends_on_other_machines(machine):
    some = "(operation and n32 or a_loop or estimates) and not machines"
    files = map(str, sorted(Path(__file__).parent.glob("test_lanes*.py")))
    output = run(
        "-m", "pytest", "-m", "", "-p", "no:cacheprovider", "-v", *files, "-k", some, **machine
    )
    assert re.search(r"\b10 passed", output)


@pytest.mark.slow  # a process for what `checked_copier` is asked for in this one
@only_compiled
def test_places_are_checked_where_numba_is_asked_to():
    code = """
try:
    add_times(1.0, np.zeros(70), np.zeros(69))
except IndexError as error:
    print(error)
"""
    assert "lanes outside the array" in run("-c", ADD_TIMES + code, NUMBA_BOUNDSCHECK="1")


@only_compiled
@pytest.mark.skipif(sys.platform != "linux", reason="protects pages by Linux' own means")
@pytest.mark.parametrize(
    "machine", [{}, pytest.param(BASELINE, marks=pytest.mark.slow)], ids=["here", "SSE2"]
)
@pytest.mark.own_kernels
def test_nothing_behind_an_end_is_read_or_written(machine):
    """The page behind the arrays may not be touched: the process would die."""
    code = """
import ctypes, mmap, os, sys
page = mmap.PAGESIZE
memory = mmap.mmap(-1, 2 * page)
whole = np.frombuffer(memory, np.uint8)
address = ctypes.c_void_p(whole.ctypes.data + page)
assert ctypes.CDLL(None).mprotect(address, page, 0) == 0
for dtype in (np.float64, np.float32):
    last = whole[:page].view(dtype)
    for n in range(1, 40):
        x = last[-n:]
        x[:] = 0.5
        add_times(dtype(2), x, x)
        assert abs(x - 0.5 - 2 * np.tanh(0.5)).max() < 1e-6
print("unharmed")
sys.stdout.flush()
os._exit(0)  # before anybody looks at that memory
"""
    assert "unharmed" in run("-c", ADD_TIMES + code, **machine)


@pytest.mark.slow
@on_x86
def test_code_for_arm_has_vectors_and_no_arithmetic_of_single_numbers():
    call = "x, y = np.zeros((2, 64), dtype)\nadd_times(dtype(1), x, y)"
    for lane, body in zip(("2d", "4s"), arm_code(ADD_TIMES, "add_times", call), strict=True):
        check_arm_code(body, lane, ("fadd", "fmul", "fmla", "fdiv"))
        assert not re.findall(r"\tbl\t", body)
