"""SIMD values: every operation against NumPy, the ends, and the machines they are compiled for."""

import functools
import itertools
import os
import platform
import re
import subprocess
import sys

import llvmlite.binding
import numba
import numpy as np
import pytest
from helpers import in_turn
from problems import few_to_compile

from fastnn.kernels import estimates, lanes
from fastnn.kernels.jit import _OPTIONS, inner
from fastnn.kernels.lanes import largest, load, maximum, splat, store, total, width

JIT = not numba.config.DISABLE_JIT
#: As a kernel is, but not kept on disk: nothing there would notice a change in this file.
compiled = numba.njit(nogil=True, **_OPTIONS)
DTYPES = [np.float64, np.float32]

every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_width = pytest.mark.parametrize("n", [1, 4, 32], ids="n{}".format)
only_compiled = pytest.mark.skipif(not JIT, reason="nothing is compiled with the JIT off")


def numbers(dtype, n, seed=0):
    """Of both signs; some are whole, and the same for every seed."""
    x = np.random.default_rng(seed).normal(size=n) * 5
    x[::3] = np.arange(len(x[::3])) - 2
    return x.astype(dtype)


# Operations

#: What is written in a kernel, with lanes a, b and the numbers of their types 1 and 0, and what
#: NumPy says.
FLOATS = {
    **dict.fromkeys(["a + b", "a - b", "a * b", "a / b", "-a", "abs(a)", "a * one + b"]),
    **dict.fromkeys(["a + one", "one - a", "a * 3", "3 - a", "constant(0.1, a) * a"]),
    "sqrt(abs(a))": "np.sqrt(abs(a))",
    "minimum(a, b)": "np.minimum(a, b)",
    "maximum(a, b)": "np.maximum(a, b)",
    "minimum(a, one)": "np.minimum(a, 1)",
    "maximum(zero, a)": "np.maximum(0, a)",
    "select(a < b, a, b)": "np.where(a < b, a, b)",
    "select(a < zero, zero, a)": "np.where(a < 0, 0, a)",
    **{
        f"select(a {sign} b, one, zero)": f"a {sign} b"
        for sign in ("<", "<=", ">", ">=", "==", "!=")
    },
    "select(a < b, one, zero) + a": "(a < b) + a",
    "select(a > b, constant(1, a), 0)": "a > b",
    "select((a < zero) & (b < zero), one, zero)": "(a < 0) & (b < 0)",
    "select((a < zero) | (b < zero), one, zero)": "(a < 0) | (b < 0)",
    "convert(convert(a, np.int64), kind)": "np.trunc(a)",
    "convert(convert(a, np.int32), kind)": "np.trunc(a)",
    "from_bits(bits(a) + 1)": "np.nextafter(a, np.copysign(np.inf, a))",
    "from_bits(bits(a) >> 1 << 1)": "(a.view(f'i{a.itemsize}') & -2).view(a.dtype)",
    "from_bits(bits(a) & -2 | 1)": "(a.view(f'i{a.itemsize}') | 1).view(a.dtype)",
    "from_bits(select(bits(a) < bits(b), bits(a), -(0 - bits(b))))": (
        "np.minimum(a.view(f'i{a.itemsize}'), b.view(f'i{a.itemsize}')).view(a.dtype)"
    ),
    "from_bits(bits(a) ^ 1)": "(a.view(f'i{a.itemsize}') ^ 1).view(a.dtype)",
    "estimates.inverse(abs(a) + one)": "1 / (abs(a) + 1)",
    "estimates.inverse_root(abs(a) + one)": "1 / np.sqrt(abs(a) + 1)",
}


def tuple_of(expressions):
    """An inner function of a, b, one, zero and kind that returns the values of expressions."""
    names = {**vars(lanes), "estimates": estimates, "np": np}
    source = f"def values(a, b, one, zero, kind):\n    return ({', '.join(expressions)},)"
    exec(source, names)
    return inner(names["values"])


@functools.cache
def results(dtype, n):
    """Of all expressions, for n lanes."""
    values = tuple_of(FLOATS)

    @compiled
    def run(a, b, one, zero, out):
        for k, value in enumerate(values(load(a, 0, n), load(b, 0, n), one, zero, a.dtype)):
            store(out, (k, 0), value)

    out = np.full((len(FLOATS), n), np.nan, dtype)
    with np.errstate(all="ignore"):
        run(numbers(dtype, n), numbers(dtype, n, 1), dtype(1), dtype(0), out)
    return dict(zip(FLOATS, out, strict=True))


@in_turn("expression", FLOATS)
@pytest.mark.parametrize(
    ("dtype", "n"),
    few_to_compile([(np.float64, 32), (np.float32, 4)], itertools.product(DTYPES, [1, 4, 32])),
    ids=lambda value: f"n{value}" if isinstance(value, int) else None,
)
def test_an_operation_is_numpys(expression, dtype, n):
    names = {"a": numbers(dtype, n), "b": numbers(dtype, n, 1), "one": dtype(1), "zero": dtype(0)}
    names["constant"], names["np"] = (lambda value, _: dtype(value)), np
    with np.errstate(all="ignore"):
        expected = eval(FLOATS[expression] or expression, names)
    got = results(dtype, n)[expression]
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(got, expected, rtol=4 * eps, atol=64 * eps)


@every_dtype
@every_width
def test_sum_and_largest_of_all_lanes(dtype, n):
    @compiled
    def fold(x):
        return total(load(x, 0, n)), largest(load(x, 0, n))

    x = numbers(dtype, n)
    added, most = fold(x)
    assert added == pytest.approx(x.astype(np.float64).sum(), rel=1e-5 * n)
    assert most == x.max()


def test_the_order_of_a_sum_is_fixed():
    """The upper half is added to the lower one. Beside 1e16 there is no 1."""

    @compiled
    def fold(x):
        return total(load(x, 0, 4))

    assert fold(np.array([1e16, 1.0, -1e16, 1.0])) == 2.0
    assert fold(np.array([1e16, -1e16, 1.0, 1.0])) == 0.0


@every_dtype
def test_a_number_in_all_lanes_of_its_type(dtype):
    @compiled
    def fill(x, out):
        store(out, 0, splat(x, 8))

    out = np.zeros(8, dtype)
    fill(dtype(0.1), out)
    np.testing.assert_array_equal(out, dtype(0.1))


def test_minimum_and_maximum_treat_nan_as_python_does():
    @compiled
    def extremes(x, out):
        a, b = load(x, (0, 0), 2), load(x, (1, 0), 2)
        store(out, (0, 0), lanes.minimum(a, b))
        store(out, (1, 0), maximum(a, b))

    x, out = np.array([[np.nan, 1.0], [1.0, np.nan]]), np.zeros((2, 2))
    extremes(x, out)
    np.testing.assert_array_equal(out, [[min(*pair) for pair in x.T], [max(*pair) for pair in x.T]])


def test_unsigned_numbers_are_shifted_without_a_sign_and_become_floats():
    @compiled
    def change(x, signed, shifted, floats, longer):
        value = load(x, 0, 4)
        store(shifted, 0, value >> np.uint64(1))
        store(signed, 0, load(signed, 0, 4) >> 1)
        store(floats, 0, lanes.convert(value, np.float64))
        store(longer, 0, lanes.convert(lanes.convert(value, np.uint32), np.uint64))

    x = np.array([0, 1, (1 << 63) + 4096, (1 << 64) - (1 << 11)], np.uint64)
    signed, shifted, floats, longer = x.view(np.int64).copy(), x.copy(), np.zeros(4), x.copy()
    change(x, signed, shifted, floats, longer)
    np.testing.assert_array_equal(shifted, x >> np.uint64(1))
    np.testing.assert_array_equal(signed, x.view(np.int64) >> 1)
    np.testing.assert_array_equal(floats, x.astype(np.float64))
    np.testing.assert_array_equal(longer, x & np.uint64((1 << 32) - 1))


def test_other_dtypes_of_one_value():
    @compiled
    def change(x, shorter, longer):
        store(shorter, 0, lanes.convert(load(x, 0, 4), np.float32))
        store(longer, 0, lanes.convert(load(shorter, 0, 4), np.float64))

    x, shorter, longer = numbers(np.float64, 4), np.zeros(4, np.float32), np.zeros(4)
    change(x, shorter, longer)
    np.testing.assert_array_equal(shorter, x.astype(np.float32))
    np.testing.assert_array_equal(longer, shorter.astype(np.float64))


@pytest.mark.parametrize("n", [8, 32])
@every_dtype
def test_estimates_are_near(n, dtype):
    """And not exact by luck: this is what Newton's steps start from."""

    @compiled
    def estimate(x, out):
        v = load(x, 0, n)
        store(out, (0, 0), estimates.estimated_inverse(v))
        store(out, (1, 0), estimates.estimated_inverse_root(v))
        return estimates.newton_steps(v)

    x = np.linspace(0.5, 40, n).astype(dtype)
    out = np.zeros((2, n), dtype)
    steps = estimate(x, out)
    error = abs(out * [x, np.sqrt(x)] - 1).max()
    assert error < 2.0**-11
    assert (steps == 0) == (error < 1e-6)


@every_dtype
def test_roots_from_estimates(dtype):
    """Of all that may come, but numbers so small that they are not normal."""

    @compiled
    def roots(x, y):
        for k in range(0, len(x), 16):
            store(y, k, estimates.root(load(x, k, 16)))

    limits = np.finfo(dtype)
    powers = np.random.default_rng(9).uniform(limits.minexp, limits.maxexp - 2, 3194)
    ends = [0, limits.tiny, limits.max / 4, 1, np.inf, np.nan]
    x = np.concatenate([np.exp2(powers), ends]).astype(dtype)
    y = np.empty_like(x)
    with np.errstate(all="ignore"):
        roots(x, y)
    np.testing.assert_allclose(y, np.sqrt(x), rtol=1.5 * limits.eps)


@every_dtype
def test_of_plain_numbers_inverses_are_divisions(dtype):
    @compiled
    def both(x):
        return estimates.inverse(x), estimates.inverse_root(x), estimates.newton_steps(x)

    inverse, root, steps = both(dtype(3))
    assert [inverse, root] == pytest.approx([1 / 3, 3**-0.5], rel=1e-6)
    assert (type(inverse), steps) == (type(root), 0)


def add_in_place(x):
    a = load(x, 0, 8)
    a += a  # would change a NumPy array for all names that it has
    return total(a)


@only_compiled
@pytest.mark.parametrize(
    "wrong",
    [
        add_in_place,
        lambda x: load(x, 0, 8) + 1.0,  # float32 and float64
        lambda x: load(x, 0, 8) + load(x, 0, 4),
        lambda x: load(x, 0, 6),  # no power of two
        lambda x: load(x, 0.0, 8),
        lambda x: load(x, (0, 0), 8),
        lambda x: load(x[::2], 0, 8),
        lambda x: load(x, 0, len(x)),  # not known when it is compiled
        lambda x: store(x, 0, x[0]),
        lambda x: load(x, 0, 8) << 1,
        lambda x: lanes.bits(load(x, 0, 8)) / 3,
        lambda x: lanes.select(load(x, 0, 8) < 0, load(x, 0, 4), load(x, 0, 4)),
    ],
)
def test_what_does_not_fit_is_not_compiled(wrong):
    with pytest.raises(numba.TypingError):
        compiled(wrong)(np.zeros(32, np.float32))


@only_compiled
def test_what_cannot_be_written_is_not_stored_to():
    x = np.zeros(8)
    x.flags.writeable = False
    with pytest.raises(numba.TypingError):
        compiled(lambda x: store(x, 0, splat(1.0, 8)))(x)


# Places and ends


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

    @numba.njit(boundscheck=True, **_OPTIONS)
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


# Machines

AVX2 = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+bmi,+bmi2,+fma,+popcnt"}
BASELINE = {"NUMBA_CPU_NAME": "generic"}
on_x86 = pytest.mark.skipif(
    not JIT or platform.machine() not in ("x86_64", "AMD64"), reason="for x86 processors"
)


def run(*arguments, **environment):
    """What a new process of this Python prints; it must end well."""
    environment = {**os.environ, "FASTNN_CACHE": "0", **environment}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


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
    output = run(
        "-m", "pytest", "-m", "", "-p", "no:cacheprovider", "-v", __file__, "-k", some, **machine
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


ARM = """
import re
import llvmlite.binding as llvm
for dtype in (np.float64, np.float32):
    x, y = np.zeros((2, 64), dtype)
    add_times(dtype(1), x, y)
llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()
machine = llvm.Target.from_triple("aarch64-unknown-linux-gnu").create_target_machine(opt=3)
for text in add_times.inspect_llvm().values():
    module = llvm.parse_assembly(re.sub("target (triple|datalayout) = .*", "", text))
    module.triple = machine.triple
    print(machine.emit_assembly(module) + "# end of the module")
"""


@on_x86
def test_code_for_arm_has_vectors_and_no_arithmetic_of_single_numbers():
    modules = run("-c", ADD_TIMES + ARM, **BASELINE).split("# end of the module")
    for lane, text in zip(("2d", "4s"), modules[:-1], strict=True):
        name = re.search(r"^(\w*add_times\w*):", text, re.MULTILINE)[1]
        body = text[text.index(f"{name}:") :]
        body = body[: body.index(".Lfunc_end")]
        for instruction in ("fadd", "fmul", "fmla", "fdiv"):
            assert re.search(rf"\t{instruction}\tv\d+\.{lane}", body), instruction
        assert not re.findall(r"\tf(?:add|sub|mul|div|madd|msub|nmsub)\t[sd]\d+", body)
        assert not re.findall(r"\tbl\t", body)
