"""Elementary functions in the form that a loop over them vectorises."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from fastnn.kernels.jit import OVERLOAD_OPTIONS, ordered

_LOG2E = 1.4426950408889634
_LN2_HIGH = float.fromhex("0x1.62e42fefa3800p-1")
_LN2_LOW = float.fromhex("0x1.ef35793c76730p-45")
_ROUND = 1.5 * 2.0**52
_ROUND_BIASED = _ROUND + 1023

_LOG2E_F = np.float32(1.4426950408889634)
_LN2_HIGH_F = np.float32(0.693359375)
_LN2_LOW_F = np.float32(-2.12194440e-4)
_ROUND_F = np.float32(1.5 * 2.0**23)
_ROUND_BIASED_F = np.float32(1.5 * 2.0**23 + 127)
_23 = np.int32(23)
_0F = np.float32(0.0)
_1F = np.float32(1.0)


def _compiled_as(float64_version: Any, float32_version: Any) -> Callable[..., Any]:
    def register(function: Any) -> Any:
        def for_float64(x: Any) -> Any:
            return float64_version(x)

        def for_float32(x: Any) -> Any:
            return float32_version(x)

        def implement(x: Any) -> Any:
            return {types.float64: for_float64, types.float32: for_float32}.get(x)

        overload(function, **OVERLOAD_OPTIONS)(implement)
        return function

    return register


def _run(float64_version: Any, float32_version: Any, x: Any) -> Any:
    if isinstance(x, np.float32):
        return np.float32(float32_version(x))
    return np.float64(float64_version(np.float64(x)))


@ordered
def _exp_float64(x):
    t = x * _LOG2E + _ROUND
    n = t - _ROUND
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    p = r * 2.7476777159082287e-06 + 2.4882001625316e-05
    p = p * r + 0.00019841603145356616
    p = p * r + 0.00138888081813865
    p = p * r + 0.008333333007726958
    p = p * r + 0.041666666985229264
    p = p * r + 0.16666666667745955
    p = p * r + 0.4999999999961026
    p = p * r + 0.9999999999999132
    p = p * r + 1.0
    y = np.int64(np.float64(p).view(np.int64) + np.int64(np.float64(t).view(np.int64) << 52)).view(
        np.float64
    )
    y = y if x <= 709.782712893384 else x + np.inf
    return 0.0 if x < -708.3964185322641 else y


@ordered
def _exp_float32(x):
    t = x * _LOG2E_F + _ROUND_F
    n = t - _ROUND_F
    r = (x - n * _LN2_HIGH_F) - n * _LN2_LOW_F
    p = r * np.float32(0.008290314829469686) + np.float32(0.04189792981526494)
    p = p * r + np.float32(0.16667636198185234)
    p = p * r + np.float32(0.49999149526902686)
    p = p * r + np.float32(0.9999997071857485)
    p = p * r + _1F
    y = np.int32(np.float32(p).view(np.int32) + np.int32(np.float32(t).view(np.int32) << _23)).view(
        np.float32
    )
    y = y if x <= np.float32(88.72283) else x + np.float32(np.inf)
    return _0F if x < np.float32(-87.33654) else y


@_compiled_as(_exp_float64, _exp_float32)
def exp(x):
    return _run(_exp_float64, _exp_float32, x)


@ordered
def _sigmoid_float64(x):
    t = _ROUND_BIASED - x * _LOG2E
    n = t - _ROUND_BIASED
    r = (x + n * _LN2_HIGH) + n * _LN2_LOW
    u = r * r
    p = (u * 0.0005945999498811558 + 0.1071351878686653) * u + 1.0
    q = (u * 0.011900927283656305 + 0.499999999999856) * r
    s = np.int64(np.float64(t).view(np.int64) << 52).view(np.float64)
    a = p + q
    y = a / (a + s * (p - q))
    y = 0.0 if x < -709.4 else y
    return 1.0 if x > 40.0 else y


@ordered
def _sigmoid_float32(x):
    t = _ROUND_BIASED_F - x * _LOG2E_F
    n = t - _ROUND_BIASED_F
    r = (x + n * _LN2_HIGH_F) + n * _LN2_LOW_F
    u = r * r
    p = u * np.float32(0.09997485943108438) + _1F
    q = (u * np.float32(0.008320825677581392) + np.float32(0.5)) * r
    s = np.int32(np.float32(t).view(np.int32) << _23).view(np.float32)
    a = p + q
    y = a / (a + s * (p - q))
    y = _0F if x < np.float32(-88.3) else y
    return _1F if x > np.float32(20.0) else y


@_compiled_as(_sigmoid_float64, _sigmoid_float32)
def sigmoid(x):
    return _run(_sigmoid_float64, _sigmoid_float32, x)


@ordered
def _tanh_float64(x):
    z = x + x
    t = _ROUND_BIASED - z * _LOG2E
    n = t - _ROUND_BIASED
    r = (z + n * _LN2_HIGH) + n * _LN2_LOW
    u = r * r
    p = (u * 0.0009917627775056928 + 0.11110810358840054) * u + 1.0
    q = ((u * 3.304373916906341e-05 + 0.013887385127534605) * u + 0.5) * r
    s = np.int64(np.float64(t).view(np.int64) << 52).view(np.float64)
    y = (p * (1.0 - s) + q * (1.0 + s)) / (p * (1.0 + s) + q * (1.0 - s))
    y = -1.0 if x < -20.0 else y
    return 1.0 if x > 20.0 else y


@ordered
def _tanh_float32(x):
    z = x + x
    t = _ROUND_BIASED_F - z * _LOG2E_F
    n = t - _ROUND_BIASED_F
    r = (z + n * _LN2_HIGH_F) + n * _LN2_LOW_F
    u = r * r
    p = u * np.float32(0.0999785143945023) + _1F
    q = (u * np.float32(0.00832263059807124) + np.float32(0.5)) * r
    s = np.int32(np.float32(t).view(np.int32) << _23).view(np.float32)
    y = (p * (_1F - s) + q * (_1F + s)) / (p * (_1F + s) + q * (_1F - s))
    y = -_1F if x < np.float32(-10.0) else y
    return _1F if x > np.float32(10.0) else y


@_compiled_as(_tanh_float64, _tanh_float32)
def tanh(x):
    return _run(_tanh_float64, _tanh_float32, x)


@ordered
def _log_float64(x):
    tiny = x < 2.2250738585072014e-308
    bits = np.float64(x * 2.0**54 if tiny else x).view(np.int64)
    # 0x3FE6A09E667F3BCD is sqrt(1/2)
    k = (bits - 0x3FE6A09E667F3BCD) >> 52
    n = np.int64(k + 0x4338000000000000).view(np.float64) - (_ROUND + 54.0 if tiny else _ROUND)
    m = np.int64(bits - (k << 52)).view(np.float64)
    f = m - 1.0
    z = f / (m + 1.0)
    v = z * z
    p = v * 0.16819829750556062 + 0.18123641914361477
    p = p * v + 0.22223371703389358
    p = p * v + 0.2857141712951286
    p = p * v + 0.4000000005227535
    p = p * v + 0.666666666665872
    y = n * _LN2_HIGH + (n * _LN2_LOW + (z * v * p + 2.0 * z))
    y = y if x < np.inf else x
    y = y if x > 0.0 else (-np.inf if x == 0.0 else np.nan)
    return y


@ordered
def _log_float32(x):
    tiny = x < np.float32(1.1754944e-38)
    bits = np.float32(x * np.float32(2.0**25) if tiny else x).view(np.int32)
    k = np.int32(np.int32(bits - np.int32(0x3F3504F3)) >> _23)
    n = np.float32(k) - (np.float32(25.0) if tiny else _0F)
    m = np.int32(bits - np.int32(k << _23)).view(np.float32)
    f = m - _1F
    z = f / (m + _1F)
    v = z * z
    p = v * np.float32(0.298717290754351) + np.float32(0.39977541534467587)
    p = p * v + np.float32(0.666667763818524)
    y = n * _LN2_HIGH_F + (n * _LN2_LOW_F + (z * v * p + (z + z)))
    y = y if x < np.float32(np.inf) else x
    y = y if x > _0F else (np.float32(-np.inf) if x == _0F else np.float32(np.nan))
    return y


@_compiled_as(_log_float64, _log_float32)
def log(x):
    return _run(_log_float64, _log_float32, x)


@ordered
def _log1p_exp_neg_float64(x):
    e = _exp_float64(-abs(x))
    z = e / (e + 2.0)
    v = z * z
    p = v * (1 / 27.0) + (1 / 25.0)
    for k in range(23, 0, -2):
        p = p * v + 1.0 / k
    return 2.0 * z * p


@ordered
def _log1p_exp_neg_float32(x):
    return np.float32(_log1p_exp_neg_float64(np.float64(x)))


@_compiled_as(_log1p_exp_neg_float64, _log1p_exp_neg_float32)
def log1p_exp_neg(x):
    return _run(_log1p_exp_neg_float64, _log1p_exp_neg_float32, x)


@ordered
def _softplus_float64(x):
    return (0.0 if x < 0.0 else x) + _log1p_exp_neg_float64(x)


@ordered
def _softplus_float32(x):
    return (_0F if x < _0F else x) + _log1p_exp_neg_float32(x)


@_compiled_as(_softplus_float64, _softplus_float32)
def softplus(x):
    return _run(_softplus_float64, _softplus_float32, x)
