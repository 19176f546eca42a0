"""exp, expm1, sigmoid, tanh, log, softplus, Φ and a/b, of one number or of many in lanes.

``np.exp`` and its like are calls into libm, one number at a time, and a loop with a call in it is
not vectorised. (Intel's vector library, which numba once used, is gone since numba 0.62.) The
functions here are plain arithmetic without branches: `lanes.select` becomes a blend.

Each takes a float32, a float64 or `lanes.Lanes` of them, and returns the same type; each has a
polynomial or a ratio of polynomials for either type, only as long as the accuracy asks. "Within" in
a docstring is the largest relative error found over the whole range of arguments, wherever the true
value is a normal number. Results smaller than the smallest normal number become 0 or one of about
that size: an exact one would cost every call, and computing with them is slow.

How the exponential is reduced: x = n·ln2 + r with a whole n and |r| ≤ ln2/2, so eˣ = 2ⁿ·eʳ.
Adding 1.5·2⁵² (float32: 1.5·2²³) to x/ln2 rounds it, and leaves n in the lowest bits, from where
a shift brings it to the exponent. n·ln2 is taken off in two parts, of which the first is exact.

sigmoid and tanh divide anyway, so there eʳ = (P + Q)/(P − Q) with P even and Q odd in r: at the
same accuracy it needs half the terms of a polynomial, and the division is the one already there.

The coefficients are minimax for the relative error (Remez's algorithm at 40 digits or more).
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from fastnn.kernels.jit import OVERLOAD_OPTIONS
from fastnn.kernels.lanes import bits, convert, from_bits, minimum, select
from fastnn.kernels.llvm import Lanes

# A literal is a float64 to numba, and would make the result one: float32 has its own constants.
_f = np.float32

_PER_LN2, _PER_LN2_F = 1 / 0.6931471805599453, _f(1 / 0.6931471805599453)
# ln2 = high + low. The low bits of high are zero, so that n·high is exact.
_LN2_HIGH, _LN2_LOW = float.fromhex("0x1.62e42fefa38p-1"), float.fromhex("0x1.ef35793c7673p-45")
_LN2_HIGH_F, _LN2_LOW_F = _f(0.693359375), _f(-2.12194440e-4)
_ROUND, _ROUND_F = 1.5 * 2.0**52, _f(1.5 * 2.0**23)
# With the exponent's bias in it, the shifted bits are those of 2ⁿ itself.
_ROUND_BIASED, _ROUND_BIASED_F = _ROUND + 1023, _ROUND_F + _f(127)
# numba makes an int64 of what is computed from two int32: `convert` takes it back.
_i = np.int32
_SHIFT_F, _ROOT_BITS_F = _i(23), _i(0x3F3504F3)
_0, _1, _2, _INF, _NAN = _f(0), _f(1), _f(2), _f(np.inf), _f(np.nan)


def computed_by(for_float64: Any, for_float32: Any) -> Callable[[Any], Any]:
    """Make of a docstring the function that it describes, compiled or not."""

    def define(documented: Any) -> Any:
        @functools.wraps(documented)
        def function(x: Any) -> Any:
            x = np.float64(x) if isinstance(x, int | float) else x
            with np.errstate(all="ignore"):  # as compiled code does
                y = (for_float32 if x.dtype == np.float32 else for_float64)(x)
            return y if np.ndim(y) else x.dtype.type(y)

        def choose(x: Any) -> Any:
            x = x.dtype if isinstance(x, Lanes) else x
            return {types.float64: for_float64, types.float32: for_float32}.get(x)

        overload(function, **OVERLOAD_OPTIONS)(choose)
        return function

    return define


def _exp_float64(x: Any) -> Any:
    t = x * _PER_LN2 + _ROUND
    n = t - _ROUND
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    u = r * r
    # In pairs of terms: half as many steps wait for one another as in Horner's scheme.
    p = (r * 2.7476777159082287e-06 + 2.4882001625316e-05) * u
    p = (p + (r * 0.00019841603145356616 + 0.00138888081813865)) * u
    p = (p + (r * 0.008333333007726958 + 0.041666666985229264)) * u
    p = (p + (r * 0.16666666667745955 + 0.4999999999961026)) * u + (r * 0.9999999999999132 + 1.0)
    # n + exponent(p), not p * 2ⁿ: 2¹⁰²⁴ would be infinite where the result is not yet.
    y = from_bits(bits(p) + (bits(t) << 52))
    y = select(x <= 709.782712893384, y, x + np.inf)  # the sum keeps NaN
    return select(x < -708.3964185322641, 0.0, y)


def _exp_float32(x: Any) -> Any:
    t = x * _PER_LN2_F + _ROUND_F
    n = t - _ROUND_F
    r = (x - n * _LN2_HIGH_F) - n * _LN2_LOW_F
    u = r * r
    q = u * _f(0.008290314829469686) + (r * _f(0.04189792981526494) + _f(0.16667636198185234))
    p = (q * u + (r * _f(0.49999149526902686) + _f(0.9999997071857485))) * r + _1
    y = from_bits(convert(bits(p) + (bits(t) << _SHIFT_F), _i))
    y = select(x <= _f(88.72283), y, x + _INF)
    return select(x < _f(-87.33654), _0, y)


@computed_by(_exp_float64, _exp_float32)
def exp(x: Any) -> Any:
    """Return eˣ, within 1.6e-14 (float32: 1.9e-7).

    2ⁿ times a polynomial in r, of degree 9 (float32: 5). Above 709.78 (88.72) infinity, below
    -708.40 (-87.34), where the true value is no longer normal, 0.
    """


def _expm1_float64(x: Any) -> Any:
    t = x * _PER_LN2 + _ROUND_BIASED
    n = t - _ROUND_BIASED
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    u = r * r
    q = u * 2.75541896141431e-07 + (r * 2.7630667616789493e-06 + 2.4801695880601025e-05)
    q = q * u + (r * 0.00019841195900368572 + 0.001388888876483757)
    q = q * u + (r * 0.008333333362687576 + 0.04166666666710375)
    q = q * u + (r * 0.16666666666630475 + 0.4999999999999964)
    two_to_n = from_bits(bits(t) << 52)
    y = two_to_n * (q * u + r) + (two_to_n - 1.0)
    return select(x < -40.0, -1.0, y)


def _expm1_float32(x: Any) -> Any:
    t = x * _PER_LN2_F + _ROUND_BIASED_F
    n = t - _ROUND_BIASED_F
    r = (x - n * _LN2_HIGH_F) - n * _LN2_LOW_F
    u = r * r
    q = u * _f(0.0013882521608672667) + (r * _f(0.00836652057651169) + _f(0.04166719985798461))
    q = q * u + (r * _f(0.16666543621020968) + _f(0.4999999815404737))
    two_to_n = from_bits(convert(bits(t) << _SHIFT_F, _i))
    y = two_to_n * (q * u + r) + (two_to_n - _1)
    return select(x < _f(-20.0), -_1, y)


@computed_by(_expm1_float64, _expm1_float32)
def expm1(x: Any) -> Any:
    """Return eˣ - 1 of x <= 0, within 1.6e-15 (float32: 1e-7).

    2ⁿ(eʳ - 1) + (2ⁿ - 1), with eʳ - 1 = r + r²Q(r), Q of degree 8 (float32: 4): of small x it is
    exact. Below -40 (-20) it is -1.
    """


def _sigmoid_float64(x: Any) -> Any:
    t = _ROUND_BIASED - x * _PER_LN2
    n = t - _ROUND_BIASED
    r = (x + n * _LN2_HIGH) + n * _LN2_LOW
    u = r * r
    p = (u * 0.0005945999498811558 + 0.1071351878686653) * u + 1.0
    q = (u * 0.011900927283656305 + 0.499999999999856) * r
    two_to_n = from_bits(bits(t) << 52)
    y = (p + q) / ((p + q) + two_to_n * (p - q))
    y = select(x < -709.4, 0.0, y)
    return select(x > 40.0, 1.0, y)


def _sigmoid_float32(x: Any) -> Any:
    t = _ROUND_BIASED_F - x * _PER_LN2_F
    n = t - _ROUND_BIASED_F
    r = (x + n * _LN2_HIGH_F) + n * _LN2_LOW_F
    u = r * r
    p = u * _f(0.09997485943108438) + _1
    q = (u * _f(0.008320825677581392) + _f(0.5)) * r
    two_to_n = from_bits(convert(bits(t) << _SHIFT_F, _i))
    y = (p + q) / ((p + q) + two_to_n * (p - q))
    y = select(x < _f(-88.3), _0, y)
    return select(x > _f(20.0), _1, y)


@computed_by(_sigmoid_float64, _sigmoid_float32)
def sigmoid(x: Any) -> Any:
    """Return 1/(1 + e⁻ˣ), within 1.2e-14 (float32: 2.1e-7).

    With e⁻ˣ = 2ⁿ·(P − Q)/(P + Q): (P + Q)/((P + Q) + 2ⁿ(P − Q)). Above 40 (float32: 20) it is 1,
    below -709.4 (-88.3), where the true value is no longer normal, 0.
    """


# x = n·ln2/2 + r: eˣ is wanted, squared, and r = x stays exact near zero.
_PER_HALF_LN2, _PER_HALF_LN2_F = 2 * _PER_LN2, _2 * _PER_LN2_F
_HALF_LN2_HIGH, _HALF_LN2_LOW = _LN2_HIGH / 2, _LN2_LOW / 2
_HALF_LN2_HIGH_F, _HALF_LN2_LOW_F = _LN2_HIGH_F / _2, _LN2_LOW_F / _2


def _tanh_float64(x: Any) -> Any:
    t = _ROUND_BIASED - x * _PER_HALF_LN2
    n = t - _ROUND_BIASED
    r = (x + n * _HALF_LN2_HIGH) + n * _HALF_LN2_LOW
    u = r * r
    p = (u * (16 * 0.0009917627775056928) + 4 * 0.11110810358840054) * u + 1.0
    q = (u * (32 * 3.304373916906341e-05) + 8 * 0.013887385127534605) * u + 1.0
    two_to_n = from_bits(bits(t) << 52)
    less, more = 1.0 - two_to_n, 1.0 + two_to_n
    y = (p * less + q * (r * more)) / (p * more + q * (r * less))
    y = select(x < -20.0, -1.0, y)
    return select(x > 20.0, 1.0, y)


def _tanh_float32(x: Any) -> Any:
    t = _ROUND_BIASED_F - x * _PER_HALF_LN2_F
    n = t - _ROUND_BIASED_F
    r = (x + n * _HALF_LN2_HIGH_F) + n * _HALF_LN2_LOW_F
    u = r * r
    # Scaled so that P and Q stay below 1, where rounding errors are half as large.
    p = u * _f(0.37880812568679345) + _f(0.947223830992491)
    q = u * _f(0.06306715231232292) + _f(0.947223830992491)
    two_to_n = from_bits(convert(bits(t) << _SHIFT_F, _i))
    less, more = _1 - two_to_n, _1 + two_to_n
    y = (p * less + q * (r * more)) / (p * more + q * (r * less))
    y = select(x < _f(-10.0), -_1, y)
    return select(x > _f(10.0), _1, y)


@computed_by(_tanh_float64, _tanh_float32)
def tanh(x: Any) -> Any:
    """Return (1 − e⁻²ˣ)/(1 + e⁻²ˣ), within 7e-16 (float32: 2.5e-7).

    With e⁻²ˣ = 2ⁿ·(P − Q)/(P + Q), sorted so that nothing cancels where x is small and n = 0:
    ((1 − 2ⁿ)P + (1 + 2ⁿ)Q) / ((1 + 2ⁿ)P + (1 − 2ⁿ)Q). Beyond ±20 (float32: ±10) it is ±1.
    """


def _log_float64(x: Any) -> Any:
    tiny = x < 2.2250738585072014e-308
    i = bits(select(tiny, x * 2.0**54, x))
    k = (i - 0x3FE6A09E667F3BCD) >> 52  # those are the bits of √½
    # AVX2 cannot convert an int64: its bits become the last ones of a large float.
    n = from_bits(k + 0x4338000000000000) - select(tiny, _ROUND + 54.0, _ROUND)
    m = from_bits(i - (k << 52))
    z = (m - 1.0) / (m + 1.0)
    v = z * z
    w = v * v
    p = (v * 0.16819829750556062 + 0.18123641914361477) * w
    p = (p + (v * 0.22223371703389358 + 0.2857141712951286)) * w
    p = p + (v * 0.4000000005227535 + 0.666666666665872)
    y = n * _LN2_HIGH + (n * _LN2_LOW + (z * v * p + (z + z)))
    y = select(x < np.inf, y, x)
    return select(x > 0.0, y, select(x == 0.0, -np.inf, np.nan))


def _log_float32(x: Any) -> Any:
    tiny = x < _f(1.1754944e-38)
    i = bits(select(tiny, x * _f(2.0**25), x))
    k = convert(convert(i - _ROOT_BITS_F, _i) >> _SHIFT_F, _i)  # those are the bits of √½
    n = convert(k, _f) - select(tiny, _f(25.0), _0)
    m = from_bits(convert(i - convert(k << _SHIFT_F, _i), _i))
    z = (m - _1) / (m + _1)
    v = z * z
    p = (v * _f(0.298717290754351) + _f(0.39977541534467587)) * v + _f(0.666667763818524)
    y = n * _LN2_HIGH_F + (n * _LN2_LOW_F + (z * v * p + (z + z)))
    y = select(x < _INF, y, x)
    return select(x > _0, y, select(x == _0, -_INF, _NAN))


@computed_by(_log_float64, _log_float32)
def log(x: Any) -> Any:
    """Return the natural logarithm, within 6e-16 (float32: 1.8e-7), near 1 too.

    x = 2ⁿ·m with √½ ≤ m < √2; log m = 2·artanh(z) with z = (m − 1)/(m + 1), an odd polynomial.
    log(0) is -infinity, of a negative number NaN.
    """


def _quotient_float64(a: Any, b: Any) -> Any:
    y = from_bits(0x7FD6A00000000000 - bits(b))
    q = b * y  # from 0.7070 to 0.7285
    y = y * ((2.704798211208594 * q - 5.824188591907976) * q + 4.180136598149337)
    e = 1.0 - b * y
    y = y + y * (e + e * e)
    return a * select(b > 1e300, 0.0, y)


def _quotient_float32(a: Any, b: Any) -> Any:
    return a / b


def quotient(a: Any, b: Any) -> Any:
    """Return a/b for b of at least 1e-300, within 3e-16 (float32: 6.1e-8).

    Without a division in float64, for loops that keep the divider busy with square roots: a
    difference of bits is 1/b times 0.71 to 0.73, as exponents are logarithms; a quadratic brings it
    to 8e-7, and a cubic step to the end. From b = 1e300 on it is 0. In float32 a division is as
    fast.
    """
    b = np.float64(b) if isinstance(b, int | float) else b
    with np.errstate(all="ignore"):
        return (_quotient_float32 if b.dtype == np.float32 else _quotient_float64)(a, b)


def _choose_quotient(a: Any, b: Any) -> Any:
    b = b.dtype if isinstance(b, Lanes) else b
    return {types.float64: _quotient_float64, types.float32: _quotient_float32}.get(b)


overload(quotient, **OVERLOAD_OPTIONS)(_choose_quotient)


def _softplus_float64(x: Any) -> Any:
    e = exp(-abs(x))
    p = (0.005905376838975764 * e + 0.11031624021116876) * e + 0.5343904453148092
    p = (p * e + 0.9133570299133653) * e + 0.4999999999992526
    q = (0.006025428793613393 * e + 0.13451160002672397) * e + 0.8612985624025402
    q = ((q * e + 2.23103471062746) * e + 2.4933807263915404) * e + 1.0
    return select(x < 0.0, 0.0, x) + (e - e * (e * p / q))


def _softplus_float32(x: Any) -> Any:
    e = exp(-abs(x))
    p = (_f(0.00242449721798959) * e + _f(0.28090883385311827)) * e + _f(0.4999975869105338)
    q = (_f(0.32439958529604973) * e + _f(1.2283905506442565)) * e + _1
    return select(x < _0, _0, x) + (e - e * (e * p / q))


@computed_by(_softplus_float64, _softplus_float32)
def softplus(x: Any) -> Any:
    """Return log(1 + eˣ), within 1.9e-14 (float32: 2.6e-7).

    max(x, 0) + log(1 + e) with e = e^-|x|, where log(1 + e) is e − e²·P/Q, P and Q polynomials of
    degrees 4 and 5 (float32: 2 and 2) in e. softplus(-|x|) is log(1 + e^-|x|) itself.
    """


def _normal_float64(x: Any) -> Any:
    y = minimum(abs(x), 39.0)  # where e is 0
    u = y * y
    e = exp(u * -0.5)
    p = (8.093116848434922e-06 * u + (0.00018527540432934826 * y + 0.0020689659457477933)) * u
    p = (p + (0.014470501835679175 * y + 0.06878585731014544)) * u
    p = (p + (0.22704345610260088 * y + 0.5097144350419741)) * u
    p = p + (0.7188164474513752 * y + 0.5)
    q = (2.0286435521344414e-05 * y + 0.0004644165672368004) * u
    q = (q + (0.0052064149622194165 * y + 0.03673658619676746)) * u
    q = (q + (0.17756611199021063 * y + 0.6044573047565569)) * u
    q = (q + (1.439908594387434 * y + 2.3031137333852163)) * u
    q = q + (2.2355174557060464 * y + 1.0)
    below = e * (p / q)
    return select(x > 0.0, 1.0 - below, below), e


def _normal_float32(x: Any) -> Any:
    y = minimum(abs(x), _f(14.0))
    u = y * y
    e = exp(u * _f(-0.5))
    p = (_f(0.004011473737112644) * u + (_f(0.03992982623497905) * y + _f(0.1811521400434647))) * u
    p = p + (_f(0.4354879839907088) * y + _f(0.5))
    q = (_f(0.010055129564773032) * y + _f(0.10009664760353146)) * u
    q = (q + (_f(0.463970203021561) * y + _f(1.1938586722637134))) * u
    q = q + (_f(1.6688608578766988) * y + _1)
    below = e * (p / q)
    return select(x > _0, _1 - below, below), e


@computed_by(_normal_float64, _normal_float32)
def normal(x: Any) -> Any:
    """Return `normal_cdf` of x, and e^(-x²/2), which is computed on the way."""


def _normal_cdf(x: Any) -> Any:
    return normal(x)[0]


@computed_by(_normal_cdf, _normal_cdf)
def normal_cdf(x: Any) -> Any:
    """Return Φ(x) of the normal distribution, within 1.9e-14 (float32: 4.2e-7).

    Of -|x| it is e^(-x²/2) times a ratio of polynomials of degrees 8 and 9 (float32: 4 and 5) in
    |x|; of x > 0 it is 1 less that. What rounding x² does to e^(-x²/2) comes on top for negative x:
    x²/4 units in the last place.
    """
