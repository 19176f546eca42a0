"""What the tests share: the engines, small networks, data."""

from __future__ import annotations

import gc
import os
import re
import signal
import sys

import helpers
import numpy as np
import pytest
from budget import KernelBudget
from helpers import ENGINES, slow_but

import fastnn
from fastnn.engines import _MODULES


def pytest_configure(config):
    """With several workers, one BLAS thread for each: waiting for others takes ten times as long.

    The workers, and what they start, inherit it.
    """
    if config.getoption("numprocesses", None):
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    config.pluginmanager.register(KernelBudget())
    helpers.left_out = tuple(re.findall(r"\bnot (\w+)", config.option.markexpr))
    gc.set_threshold(20_000, 50, 100)  # else a tenth of compiling is a search for garbage


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Tests that are made stay: nothing looks for garbage among them, then or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """The README's examples, all in one test, compile as much as a fifth of the others."""
    for item in items:
        if item.path.name == "README.md":
            item.add_marker(pytest.mark.slow)


def pytest_pycollect_makeitem(obj):
    """What the pass leaves out is not made: making thousands of tests takes seconds."""
    marks = getattr(obj, "pytestmark", ())
    return [] if any(mark.name in helpers.left_out for mark in marks) else None


@pytest.fixture(autouse=True)
def no_trainer_of_another_test():
    """What one test left may not have been made as another one says."""
    engine = sys.modules.get("fastnn.kernels.engine")
    if engine is not None:
        engine._idle.clear()


@pytest.fixture(params=ENGINES)
def engine(request):
    """Each engine in turn."""
    return request.param


@pytest.fixture(params=slow_but(["scripted"], ["scripted", *ENGINES]))
def loop_engine(request, monkeypatch):
    """For what concerns the training loop alone: losses as data, and more slowly each engine."""
    monkeypatch.setitem(_MODULES, "scripted", "scripted")
    return request.param


@pytest.fixture(params=slow_but(["numpy"], ["numpy", "numba"]))
def engine_of_estimators(request, monkeypatch):
    """The engine that follows scikit-learn's arithmetic most closely, and the one of users."""
    from fastnn.estimators import model  # needs scikit-learn

    monkeypatch.setattr(model, "ENGINE", request.param)
    return request.param


@pytest.fixture
def numpy_engine_of_estimators(monkeypatch):
    """The one that need not be compiled, for what is decided before an engine runs."""
    monkeypatch.setattr("fastnn.estimators.model.ENGINE", "numpy")


@pytest.fixture
def source():
    """The generator that `net` draws from."""
    return np.random.default_rng(5)


@pytest.fixture
def net(source):
    """A small network, to refuse things."""
    return fastnn.Network([2, 3, 1], seed=source, engine="numpy")


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
