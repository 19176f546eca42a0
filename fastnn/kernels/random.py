"""The random numbers of `fastnn.reference.random`, in kernels."""

import numpy as np

from fastnn.kernels.jit import inner
from fastnn.kernels.lanes import constant, convert
from fastnn.reference.random import FIRST_FACTOR, GAMMA, SECOND_FACTOR

_GAMMA, _FIRST, _SECOND = np.uint64(GAMMA), np.uint64(FIRST_FACTOR), np.uint64(SECOND_FACTOR)
_11, _27, _30, _31 = np.uint64(11), np.uint64(27), np.uint64(30), np.uint64(31)
_1, _UNIT = np.uint64(1), 2.0**-53


@inner
def uniform(key, counter):
    """A number from [0, 1); key and counter are uint64, or lanes of them."""
    bits = key + (counter + _1) * _GAMMA
    bits = (bits ^ (bits >> _30)) * _FIRST
    bits = (bits ^ (bits >> _27)) * _SECOND
    number = convert((bits ^ (bits >> _31)) >> _11, np.float64)
    return number * constant(_UNIT, number)
