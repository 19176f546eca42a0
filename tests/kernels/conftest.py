"""For all tests of the kernels."""

import os

import numpy as np
import pytest

from fastnn.kernels import llvm, wide_input


@pytest.fixture(autouse=True)
def whole_numbers_overflow_in_silence():
    """As they do in compiled code: random numbers for dropout are computed modulo 2^64."""
    with np.errstate(over="ignore" if os.environ.get("NUMBA_DISABLE_JIT") == "1" else "warn"):
        yield


@pytest.fixture
def registers_of(monkeypatch):
    """Set how many bits registers have, for what is decided by them; nothing is compiled so."""
    return lambda bits: [
        monkeypatch.setattr(module, "register_bits", lambda: bits) for module in (llvm, wide_input)
    ]
