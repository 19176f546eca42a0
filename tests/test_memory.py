"""Arrays that begin on a cache line."""

import numpy as np
import pytest

import fastnn
from fastnn.kernels import engine
from fastnn.memory import LINE, aligned


def begins_on_a_line(array):
    return array.ctypes.data % LINE == 0


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("size", [0, 1, 7, 1000, 1 << 20])
def test_an_aligned_array(size, dtype):
    array = aligned(size, np.dtype(dtype))
    assert begins_on_a_line(array)
    assert array.shape == (size,)
    assert array.dtype == dtype
    assert array.flags.carray


def test_too_large():
    with pytest.raises((MemoryError, ValueError, OverflowError)):
        aligned(1 << 62, np.dtype(np.float64))


def test_what_kernels_go_over_is_aligned():
    net = fastnn.Network([3, 5, 2], seed=0)
    net.fit(np.zeros((9, 3)), np.zeros((9, 2)), optimizer="adam")
    for array in (net.parameters, net._state.moments, engine.new_scratch(11, net._architecture)):
        assert begins_on_a_line(array)
