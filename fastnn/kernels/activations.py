"""Activation functions in kernels, of one number: the value at z, and the slope given z and a.

Only the slopes of `NEED_Z` look at z, so that others can do without it: they get a twice.

So those of sigmoid and tanh know no more than a, which is rounded. Where a is near 1 (or -1), they
are exact to 2^-53 (float32: 2^-24; tanh twice that), which is e^z times as much of a slope of e^-z,
and they are 0 from z = 37 on (float32: 17; tanh at half of it). Below zero sigmoid's slope is as
exact as a. Nobody keeps z for more: PyTorch and JAX take the same two formulas.

Kernels are compiled for the codes of a network's hidden layers, each once. Where there are several,
the layers are told apart at run time.
"""

from fastnn.activations import ACTIVATIONS, LEAK, SELU_ALPHA, SELU_SCALE
from fastnn.kernels import elementary
from fastnn.kernels.jit import inner

#: The codes of the hidden layers; (0,) where there are none.
Codes = tuple[int, ...]

_SELU_BELOW = SELU_SCALE * SELU_ALPHA


@inner
def _identity(z):
    return z


@inner
def _one(z, a):
    return type(a)(1)


@inner
def _sigmoid_slope(z, a):
    return a - a * a


@inner
def _tanh_slope(z, a):
    return type(a)(1) - a * a


@inner
def _relu(z):
    return max(z, type(z)(0))


@inner
def _relu_slope(z, a):
    return type(a)(1) if a > 0 else type(a)(0)


@inner
def _leaky_relu(z):
    return z if z > 0 else type(z)(LEAK) * z


@inner
def _leaky_relu_slope(z, a):
    return type(a)(1) if a > 0 else type(a)(LEAK)


@inner
def _exp_minus_one(z):
    """e^z - 1 for z <= 0, as 2 t / (1 - t) with t = tanh(z/2): exact near 0 too."""
    t = elementary.tanh(z * type(z)(0.5))
    return (t + t) / (type(z)(1) - t)


@inner
def _elu(z):
    return z if z > 0 else _exp_minus_one(min(z, type(z)(0)))


@inner
def _elu_slope(z, a):
    return type(a)(1) if a > 0 else a + type(a)(1)


@inner
def _selu(z):
    below = type(z)(_SELU_BELOW) * _exp_minus_one(min(z, type(z)(0)))
    return type(z)(SELU_SCALE) * z if z > 0 else below


@inner
def _selu_slope(z, a):
    return type(a)(SELU_SCALE) if a > 0 else a + type(a)(_SELU_BELOW)


@inner
def _softplus_slope(z, a):
    return -_exp_minus_one(-a)


@inner
def _silu(z):
    return z * elementary.sigmoid(z)


@inner
def _silu_slope(z, a):
    s = elementary.sigmoid(z)
    return s + a * (type(a)(1) - s)


@inner
def _gelu(z):
    return z * elementary.normal_cdf(z)


@inner
def _gelu_slope(z, a):
    cdf, e = elementary.normal(z)
    return cdf + z * (e * type(z)(0.3989422804014327))


@inner
def _hard_tanh(z):
    return min(max(z, type(z)(-1)), type(z)(1))


@inner
def _hard_tanh_slope(z, a):
    return type(a)(1) if abs(a) < 1 else type(a)(0)


@inner
def _itself(z, a):
    return a


#: name: (value at z, slope where the value is a)
FUNCTIONS = {
    "identity": (_identity, _one),
    "sigmoid": (elementary.sigmoid, _sigmoid_slope),
    "tanh": (elementary.tanh, _tanh_slope),
    "relu": (_relu, _relu_slope),
    "leaky_relu": (_leaky_relu, _leaky_relu_slope),
    "elu": (_elu, _elu_slope),
    "selu": (_selu, _selu_slope),
    "softplus": (elementary.softplus, _softplus_slope),
    "silu": (_silu, _silu_slope),
    "gelu": (_gelu, _gelu_slope),
    "hard_tanh": (_hard_tanh, _hard_tanh_slope),
    "exp": (elementary.exp, _itself),
}

#: By code, from `fastnn.activations.ACTIVATIONS`.
VALUES = {ACTIVATIONS[name].code: value for name, (value, _) in FUNCTIONS.items()}
SLOPES = {ACTIVATIONS[name].code: slope for name, (_, slope) in FUNCTIONS.items()}
NEED_Z = frozenset(row.code for row in ACTIVATIONS.values() if row.slope_needs_z)
