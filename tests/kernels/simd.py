"""For tests of SIMD values."""

import numba
import numpy as np
import pytest
from problems import few_to_compile

from fastnn.kernels.jit import _OPTIONS

JIT = not numba.config.DISABLE_JIT
#: As a kernel is, but not kept on disk: nothing there would notice a change in this file.
compiled = numba.njit(nogil=True, **_OPTIONS)
DTYPES = [np.float64, np.float32]

every_dtype = pytest.mark.parametrize("dtype", DTYPES)
#: The others with bounds checks too.
every_width = pytest.mark.parametrize(
    "n", few_to_compile([32], [1, 4, 32], own_kernels=[1, 4]), ids="n{}".format
)
only_compiled = pytest.mark.skipif(not JIT, reason="nothing is compiled with the JIT off")


def numbers(dtype, n, seed=0):
    """Of both signs; some are whole, and the same for every seed."""
    x = np.random.default_rng(seed).normal(size=n) * 5
    x[::3] = np.arange(len(x[::3])) - 2
    return x.astype(dtype)
