"""What the tests share: the engines, small networks, data."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from helpers import ENGINES


def pytest_configure(config):
    """With several workers, one BLAS thread for each: waiting for others takes ten times as long.

    The workers, and what they start, inherit it.
    """
    if config.getoption("numprocesses", None):
        os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(params=ENGINES)
def engine(request):
    """Each engine in turn."""
    return request.param


@pytest.fixture
def rng():
    """Random numbers for test data, the same in every run."""
    return np.random.default_rng(20261120)


@pytest.fixture
def default_ctrl_c():
    """Ctrl-C as in a terminal: a shell's background jobs inherit it switched off."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
