"""SIMD values: every operation against NumPy's, and what is not compiled."""

import functools
import itertools

import numba
import numpy as np
import pytest
from helpers import in_turn
from problems import few_to_compile
from simd import DTYPES, compiled, every_dtype, every_width, numbers, only_compiled

from fastnn.kernels import estimates, lanes
from fastnn.kernels.jit import inner
from fastnn.kernels.lanes import largest, load, maximum, splat, store, total

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
    "estimates.root(abs(a))": "np.sqrt(abs(a))",
    "estimates.over_root(a, abs(b), one)": "a / (np.sqrt(abs(b)) + 1)",
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
def test_of_plain_numbers_nothing_is_estimated(dtype):
    @compiled
    def all_of_them(x):
        inverses = estimates.estimated_inverse(x), estimates.estimated_inverse_root(x)
        return *inverses, estimates.over_root(x, x, x), estimates.newton_steps(x)

    *values, steps = all_of_them(dtype(3))
    assert values == pytest.approx([1 / 3, 3**-0.5, 3 / (3**0.5 + 3)], rel=1e-6)
    assert {type(value) for value in values} == {type(values[0])}
    assert steps == 0


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
