"""Activation functions in kernels, of one number.

A network whose hidden layers differ is compiled with the code `MIXED`, and its layers are told
apart at run time.
"""

from fastnn.activations import ACTIVATIONS
from fastnn.kernels import elementary
from fastnn.kernels.jit import inner

MIXED = -1


@inner
def _identity(z):
    return z


@inner
def _identity_slope(a):
    return type(a)(1)


@inner
def _sigmoid_slope(a):
    return a - a * a


@inner
def _tanh_slope(a):
    return type(a)(1) - a * a


@inner
def _relu(z):
    return max(z, type(z)(0))


@inner
def _relu_slope(a):
    return type(a)(1) if a > 0 else type(a)(0)


#: name: (value at z, slope where the value is a)
FUNCTIONS = {
    "identity": (_identity, _identity_slope),
    "sigmoid": (elementary.sigmoid, _sigmoid_slope),
    "tanh": (elementary.tanh, _tanh_slope),
    "relu": (_relu, _relu_slope),
}

#: By code, from `fastnn.activations.ACTIVATIONS`.
VALUES = {ACTIVATIONS[name].code: value for name, (value, _) in FUNCTIONS.items()}
SLOPES = {ACTIVATIONS[name].code: slope for name, (_, slope) in FUNCTIONS.items()}
