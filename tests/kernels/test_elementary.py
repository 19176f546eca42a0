"""The elementary functions against longer arithmetic, over all that a float can hold."""

import functools
import math
import platform
import re

import mpmath
import numba
import numpy as np
import pytest
from helpers import slow_but
from problems import few_to_compile

from fastnn.kernels import elementary
from fastnn.kernels.jit import OPTIONS
from fastnn.kernels.lanes import load, store

JIT = not numba.config.DISABLE_JIT
#: With a kernel's flags: there sums may be reordered, and in these functions must not be.
compiled = numba.njit(**OPTIONS)
NAMES = ["exp", "expm1", "sigmoid", "tanh", "softplus", "log", "normal_cdf"]
DTYPES = [np.float64, np.float32]
#: What is asked of each function; its docstring says what it keeps.
BOUND = {np.float64: 2e-14, np.float32: 3e-7}
#: The one that misses it.
BOUND_OF_NORMAL_CDF = {np.float64: 2e-14, np.float32: 4.5e-7}
#: The worst of all numbers below -0.001 in float32, which grids rarely meet.
WORST = {
    "exp": [-4.5574245],
    "expm1": [-0.29527414, -0.29650298, -0.3468243],
    "sigmoid": [-7.9703097],
    "tanh": [-0.18971018],
    "softplus": [-3.8653615],
    "normal_cdf": [-2.8326812, -4.0551653, -0.52684945],
}
#: How many points in each part of a grid. Without the JIT each costs some microseconds.
N = 6_000 if JIT else 200

every_function = pytest.mark.parametrize("name", NAMES)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def in_longer_arithmetic(name, x):
    """The true values; for float64 where there is no longer type, float64 is enough too."""
    x = x.astype(np.longdouble)
    with np.errstate(all="ignore"):
        if name == "sigmoid":
            return 1 / (1 + np.exp(-x))
        if name == "softplus":
            return np.maximum(x, 0) + np.log1p(np.exp(-abs(x)))
        if name == "normal_cdf":
            x = np.clip(x, -100, 100).tolist()  # there it is 0 and 1
            return np.array([mpmath.nstr(mpmath.ncdf(v), 25) for v in x], np.longdouble)
        return getattr(np, name)(x)


def with_mpmath(name, x):
    x = mpmath.mpf(float(x))
    if name == "sigmoid":
        return 1 / (1 + mpmath.exp(-x))
    if name == "softplus":
        return mpmath.log1p(mpmath.exp(x))
    if name == "normal_cdf":
        return mpmath.ncdf(x)
    return getattr(mpmath, name)(x)


@functools.cache
def loop_over(name):
    function = getattr(elementary, name)

    @compiled
    def loop(x, y):
        for i in range(len(x)):
            y[i] = function(x[i])
        return function(x[0])

    return loop


def values(name, x):
    y = np.empty_like(x)
    loop_over(name)(x, y)
    return y


def errors(y, true, dtype):
    """Relative; where the true value is no normal number, in units of what is allowed there."""
    limits = np.finfo(dtype)
    true = np.asarray(true, np.longdouble)
    with np.errstate(all="ignore"):
        relative = abs(y - true) / abs(true)
        tiny = abs(true) < limits.tiny
        relative[tiny] = np.where(abs(y - true)[tiny] <= 1.001 * limits.tiny, 0, np.inf)
        # The last numbers before the overflow may round either way.
        huge = abs(true) > limits.max
        relative[huge & (y == np.copysign(np.inf, true))] = 0
    relative[np.isnan(true) & np.isnan(y)] = 0
    relative[np.isinf(true) & (y == true)] = 0
    return relative


def grid(dtype, n=N):
    """Dense where something happens, thin everywhere, and around each place of change."""
    rng = np.random.default_rng(5)
    limits = np.finfo(dtype)
    lowest = math.log2(float(limits.smallest_subnormal))
    powers = rng.uniform(lowest, limits.maxexp - 0.01, n)
    changes = [0.0, 0.5, 1.0, 2.0, 3.8, 5.5, 10.0, 20.0, 40.0, math.sqrt(2), math.sqrt(0.5)]
    changes += [87.33654, 88.3, 88.72283, 103.98, 708.3964185322641, 709.4, 709.782712893384]
    changes += [745.13, 1000.0, float(limits.tiny)]
    changes += [math.log(2) * k / 4 for k in range(1, 24)]
    steps = np.arange(-3, 4)[:, None] * limits.eps / 2
    near = (np.array(changes, np.longdouble) * (1 + steps)).ravel()
    positive = np.concatenate(
        [
            np.linspace(0, 760 if dtype is np.float64 else 110, n),
            abs(rng.normal(size=n)),
            1 + rng.normal(size=n) * 0.01,
            np.exp2(powers),
            near,
            [limits.smallest_subnormal, limits.max],
        ]
    ).astype(dtype)
    return np.concatenate([positive, -positive])


def asked(name, dtype):
    """The bound that it must keep."""
    return (BOUND_OF_NORMAL_CDF if name == "normal_cdf" else BOUND)[dtype]


def promised(name, dtype):
    """The bound in the docstring."""
    pattern = r"within ([\d.e-]+) \(float32: ([\d.e-]+)\)"
    bounds = re.search(pattern, getattr(elementary, name).__doc__).groups()
    return float(bounds[DTYPES.index(dtype)])


def rounding_of_the_square(name, x):
    """What the docstring allows for besides."""
    below = np.minimum(x, 0).astype(np.float64) if name == "normal_cdf" else 0.0
    with np.errstate(over="ignore"):
        return below * below / 4 * np.finfo(x.dtype).eps


@every_function
@every_dtype
@pytest.mark.parametrize("n", slow_but([N], [N, 50_000]))
def test_error_is_within_the_bound(n, name, dtype):
    bound = promised(name, dtype)
    assert bound < asked(name, dtype)
    x = grid(dtype, n)
    if name == "expm1":
        x = x[x <= 0]
    if name == "normal_cdf":
        if not JIT:
            bound *= 1.2  # no fused multiply-add: one more rounding in each step
        x = x[:: 40 if JIT else 1]  # the true values take long
    x = np.concatenate([x, np.array(WORST.get(name, []), dtype)])
    error = errors(values(name, x), in_longer_arithmetic(name, x), dtype)
    error -= rounding_of_the_square(name, x)
    worst = np.argmax(error)
    assert error[worst] < bound + np.finfo(np.longdouble).eps, x[worst]


@every_function
@every_dtype
def test_agrees_with_mpmath(name, dtype):
    rng = np.random.default_rng(6)
    x = np.concatenate([rng.normal(size=100) * 5, 10.0 ** rng.uniform(-35, 1.5, 100)])
    x = {"log": abs(x), "expm1": -abs(x)}.get(name, x).astype(dtype)
    with mpmath.workdps(40):
        true = [with_mpmath(name, v) for v in x]
        error = [abs(y - t) / abs(t) for y, t in zip(values(name, x).tolist(), true, strict=True)]
    assert max(np.array(error, np.float64) - rounding_of_the_square(name, x)) < asked(name, dtype)


@compiled
def quotients(a, b, y):
    for i in range(len(a)):
        y[i] = elementary.quotient(a[i], b[i])


@every_dtype
def test_quotient_is_within_its_bound(dtype):
    rng = np.random.default_rng(7)
    most = 300 if dtype is np.float64 else 37
    b = np.concatenate(
        [rng.uniform(0.5, 4, N), 10.0 ** rng.uniform(-most, most, N), 2.0 ** np.arange(-99, 99)]
    ).astype(dtype)
    for a in (np.ones(len(b), dtype), b * rng.uniform(0.1, 10, len(b)).astype(dtype)):
        y = np.empty_like(b)
        quotients(a, b, y)
        error = errors(y, a.astype(np.longdouble) / b, dtype)
        assert error.max() < promised("quotient", dtype)
        assert elementary.quotient(a[0], b[0]) == pytest.approx(y[0], rel=1e-6)


@every_dtype
def test_quotient_at_the_ends(dtype):
    b = np.array([math.inf, math.inf, 0.0, math.nan], dtype)
    y = np.empty_like(b)
    quotients(np.array([2.0, 0.0, 0.0, 1.0], dtype), b, y)
    np.testing.assert_array_equal(y, [0.0, 0.0, math.nan, math.nan])


@pytest.mark.skipif(
    not JIT or platform.machine() not in ("x86_64", "AMD64"), reason="reads x86 machine code"
)
def test_quotients_are_vectorised_without_a_division():
    ones = np.ones(4)
    quotients(ones, ones, ones.copy())
    signature = (numba.types.Array(numba.float64, 1, "C"),) * 3
    text = quotients.inspect_asm()[signature]
    body = text[: text.index("retq")]
    assert re.search(r"\tv?(mul|fn?m)\w*pd", body)
    assert "divpd" not in body


INF, NAN = math.inf, math.nan
SPECIAL = {
    "exp": [(0, 1), (-0.0, 1), (INF, INF), (-INF, 0), (1e30, INF), (-1e30, 0)],
    "sigmoid": [(0, 0.5), (INF, 1), (-INF, 0), (1e30, 1), (-1e30, 0), (-800, 0)],
    "tanh": [(0, 0), (INF, 1), (-INF, -1), (1e30, 1), (-1e30, -1)],
    "softplus": [(INF, INF), (-INF, 0), (1000, 1000), (-1000, 0)],
    "expm1": [(0, 0), (-50, -1), (-1000, -1), (-INF, -1)],
    "log": [(1, 0), (0, -INF), (-0.0, -INF), (INF, INF), (-1, NAN), (-INF, NAN), (-1e-40, NAN)],
    "normal_cdf": [(0, 0.5), (INF, 1), (-INF, 0), (1e30, 1), (-1e30, 0)],
}


@every_function
@every_dtype
def test_special_values(name, dtype):
    x, expected = np.array(SPECIAL[name], dtype).T
    np.testing.assert_array_equal(values(name, np.ascontiguousarray(x)), expected)


@every_function
@every_dtype
def test_nan_stays_nan_whatever_its_bits(name, dtype):
    bits = [0x7FF8 << 48, 0xFFF8 << 48, (0x7FF8 << 48) + 0x7A2, (0x7FF8 << 48) + 0x3FF]
    if dtype is np.float32:
        bits = [0x7FC00000, 0xFFC00000, 0x7FC007A2, 0x7FC0007F]
    x = np.array(bits, np.uint64 if dtype is np.float64 else np.uint32).view(dtype)
    assert np.isnan(x).all()
    assert np.isnan(values(name, x)).all()


@every_function
@every_dtype
def test_the_type_is_kept(name, dtype):
    result = loop_over(name)(np.ones(1, dtype), np.ones(1, dtype))
    if JIT:
        signatures = loop_over(name).nopython_signatures
        kept = [s.return_type for s in signatures if s.args[0].dtype == numba.from_dtype(dtype)]
        assert kept == [numba.from_dtype(dtype)]
    else:
        assert type(result) is dtype


@every_function
@pytest.mark.parametrize("dtype", few_to_compile([np.float64], DTYPES))
def test_of_lanes_it_gives_the_same(name, dtype):
    """To the bit: what is known of numbers is then known of lanes."""
    function = getattr(elementary, name)

    @compiled
    def on_lanes(x, y):
        for k in range(0, len(x), 16):
            store(y, k, function(load(x, k, 16)))

    x = np.concatenate([grid(dtype), np.array([np.nan, np.inf, -np.inf, -0.0], dtype)])
    x = np.resize(x, len(x) // 16 * 16 + 16)
    y = np.empty_like(x)
    on_lanes(x, y)
    np.testing.assert_array_equal(y, values(name, x))


@every_dtype
def test_quotients_of_lanes_are_the_same(dtype):
    @compiled
    def on_lanes(a, b, y):
        store(y, 0, elementary.quotient(load(a, 0, 16), load(b, 0, 16)))

    rng = np.random.default_rng(8)
    a, b = rng.normal(size=(2, 16)).astype(dtype)
    y, z = np.empty_like(a), np.empty_like(a)
    on_lanes(a, b, y)
    quotients(a, b, z)
    np.testing.assert_array_equal(y, z)


@every_function
@every_dtype
def test_called_from_python_it_gives_the_same(name, dtype):
    function = getattr(elementary, name)
    x = np.array([-3.7, -0.3, 0.0, 1e-9, 0.8, 2.5, 1000, np.inf], dtype)
    y = [function(v) for v in x]
    assert {type(v) for v in y} == {dtype}
    np.testing.assert_allclose(y, values(name, x), rtol=2 * BOUND[dtype])


@pytest.mark.skipif(not JIT, reason="nothing is compiled")
def test_other_types_are_refused():
    with pytest.raises(numba.TypingError):
        compiled(lambda x: elementary.exp(x))(1)


@pytest.mark.skipif(
    not JIT or platform.machine() not in ("x86_64", "AMD64"), reason="reads x86 machine code"
)
@every_function
@every_dtype
def test_a_loop_is_vectorised(name, dtype):
    values(name, np.ones(4, dtype))
    signature = (numba.types.Array(numba.from_dtype(dtype), 1, "C"),) * 2
    text = loop_over(name).inspect_asm()[signature]
    body = text[: text.index("retq")]  # after it come the wrappers for Python
    packed, other = ("pd", "ps") if dtype is np.float64 else ("ps", "pd")
    arithmetic = r"\t(v?(add|sub|mul|div)|vf\w+)"
    assert "call" not in body
    assert len(re.findall(arithmetic + packed, body)) > 8
    assert not re.findall(arithmetic + other, body)
    if dtype is np.float32:
        assert not re.findall(r"\t(v?cvtss2sd|v?cvtps2pd|v?psllq)", body)
