"""How kernels are compiled."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

import fastnn
from fastnn.kernels import inlined, jit

pytestmark = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT), reason="nothing is compiled with the JIT off"
)
PACKAGE = Path(fastnn.__file__).parent


def test_what_is_inlined_is_machine_code_in_its_kernel_alone(monkeypatch):
    monkeypatch.setenv("FASTNN_CACHE", "0")  # from a cache nothing is compiled

    @jit.inner
    def twice(x):
        return x + x

    @jit.kernel
    def four_times(x):
        return twice(twice(x))

    assert four_times(1.5) == 6.0
    [inlined], [whole] = twice.overloads.values(), four_times.overloads.values()
    engine = whole.library.codegen._engine
    assert engine.is_symbol_defined(whole.fndesc.llvm_func_name)
    assert not engine.is_symbol_defined(inlined.fndesc.llvm_func_name)


def test_kernel_that_allocates_does_not_compile():
    @jit.kernel
    def allocate(n):
        return np.empty(n)

    with pytest.raises(numba.core.errors.NumbaError):
        allocate(3)


def test_kernels_release_the_gil():
    @jit.kernel
    def nothing(x):
        return x

    assert nothing.targetoptions["nogil"]


def test_flags_are_set_in_one_place_only():
    flags = re.compile(r"(fastmath|error_model|nogil|parallel|cache) *=|\bn?jit\(")
    for path in (PACKAGE / "kernels").glob("*.py"):
        if path.name != "jit.py":
            assert not flags.search(path.read_text()), path


WITHOUT_INLINED = """
import sys
sys.modules["fastnn.kernels.inlined"] = None  # importing it fails
import numpy as np
from fastnn.kernels import elementary, jit

@jit.inner
def twice(x):
    return elementary.exp(x) * 2

@jit.kernel
def twice_exp(x):
    return twice(x)

assert abs(twice_exp(1.0) - 2 * np.e) < 1e-12
"""


def test_without_private_parts_of_numba_its_plain_compiler_is_used():
    environment = {**os.environ, "FASTNN_CACHE": "0"}
    command = [sys.executable, "-c", WITHOUT_INLINED]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("place", range(len(inlined._NEEDED)))
def test_a_private_part_that_is_missing_is_noticed(monkeypatch, place):
    where, name = inlined._NEEDED[place]
    for base in where.__mro__:
        if name in vars(base):
            monkeypatch.delattr(base, name)
    with pytest.raises(ImportError, match=f"{where.__name__}.{name}"):
        runpy.run_path(inlined.__file__)
