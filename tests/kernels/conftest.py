"""For all tests of the kernels."""

import os

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def whole_numbers_overflow_in_silence():
    """As they do in compiled code: random numbers for dropout are computed modulo 2^64."""
    with np.errstate(over="ignore" if os.environ.get("NUMBA_DISABLE_JIT") == "1" else "warn"):
        yield
