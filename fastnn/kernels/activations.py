"""Activation functions in kernels, of a number or lanes: the value at z, the slope given z and a.

And the second derivative, given both and the slope; only derivatives of derivatives ask for it.

Only slopes that need it look at z, see `fastnn.activations`, so that others can do without it: they
get a twice.

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
from fastnn.kernels.lanes import constant, maximum, minimum, select

#: The codes of the hidden layers; (0,) where there are none.
Codes = tuple[int, ...]

_SELU_BELOW = SELU_SCALE * SELU_ALPHA


@inner
def _identity(z):
    return z


@inner
def _one(z, a):
    return constant(1, a)


@inner
def _sigmoid_slope(z, a):
    return a - a * a


@inner
def _tanh_slope(z, a):
    return constant(1, a) - a * a


@inner
def _relu(z):
    return maximum(z, constant(0, z))


@inner
def _relu_slope(z, a):
    return select(a > constant(0, a), constant(1, a), constant(0, a))


@inner
def _leaky_relu(z):
    return select(z > constant(0, z), z, constant(LEAK, z) * z)


@inner
def _leaky_relu_slope(z, a):
    return select(a > constant(0, a), constant(1, a), constant(LEAK, a))


@inner
def _elu(z):
    zero = constant(0, z)
    return select(z > zero, z, elementary.expm1(minimum(z, zero)))


@inner
def _elu_slope(z, a):
    return select(a > constant(0, a), constant(1, a), a + constant(1, a))


@inner
def _selu(z):
    zero = constant(0, z)
    below = constant(_SELU_BELOW, z) * elementary.expm1(minimum(z, zero))
    return select(z > zero, constant(SELU_SCALE, z) * z, below)


@inner
def _selu_slope(z, a):
    below = a + constant(_SELU_BELOW, a)
    return select(a > constant(0, a), constant(SELU_SCALE, a), below)


@inner
def _softplus_slope(z, a):
    return -elementary.expm1(-a)


@inner
def _silu(z):
    return z * elementary.sigmoid(z)


@inner
def _silu_slope(z, a):
    s = elementary.sigmoid(z)
    return s + a * (constant(1, a) - s)


@inner
def _gelu(z):
    return z * elementary.normal_cdf(z)


@inner
def _gelu_slope(z, a):
    cdf, e = elementary.normal(z)
    return cdf + z * (e * constant(0.3989422804014327, z))


@inner
def _hard_tanh(z):
    return minimum(maximum(z, constant(-1, z)), constant(1, z))


@inner
def _hard_tanh_slope(z, a):
    return select(abs(a) < constant(1, a), constant(1, a), constant(0, a))


@inner
def _itself(z, a):
    return a


@inner
def _flat(z, a, s):
    return constant(0, a)


@inner
def _sigmoid_curvature(z, a, s):
    return s - (a + a) * s


@inner
def _tanh_curvature(z, a, s):
    return -(a + a) * s


@inner
def _elu_curvature(z, a, s):
    return select(a > constant(0, a), constant(0, a), s)


@inner
def _softplus_curvature(z, a, s):
    return s - s * s


@inner
def _silu_curvature(z, a, s):
    g = elementary.sigmoid(z)
    return (g - g * g) * (constant(2, z) + z * (constant(1, z) - (g + g)))


@inner
def _gelu_curvature(z, a, s):
    _, e = elementary.normal(z)
    return (constant(2, z) - z * z) * (e * constant(0.3989422804014327, z))


@inner
def _exp_curvature(z, a, s):
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

#: name: second derivative where the value is a and the slope s.
SECOND = {
    "identity": _flat,
    "sigmoid": _sigmoid_curvature,
    "tanh": _tanh_curvature,
    "relu": _flat,
    "leaky_relu": _flat,
    "elu": _elu_curvature,
    "selu": _elu_curvature,
    "softplus": _softplus_curvature,
    "silu": _silu_curvature,
    "gelu": _gelu_curvature,
    "hard_tanh": _flat,
    "exp": _exp_curvature,
}

#: By code, from `fastnn.activations.ACTIVATIONS`.
VALUES = {ACTIVATIONS[name].code: value for name, (value, _) in FUNCTIONS.items()}
SLOPES = {ACTIVATIONS[name].code: slope for name, (_, slope) in FUNCTIONS.items()}
CURVATURES = {ACTIVATIONS[name].code: curvature for name, curvature in SECOND.items()}
