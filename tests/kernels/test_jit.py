"""How kernels are compiled."""

import ast
import os
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
KERNELS = Path(fastnn.__file__).parent / "kernels"


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


#: What of numba makes machine code, and what is said to it.
COMPILERS = {"jit", "njit", "vectorize", "guvectorize", "cfunc", "stencil", "jitclass"}
FLAGS = {"fastmath", "error_model", "nogil", "parallel", "boundscheck", "forceinline", "_nrt",
         "no_cpython_wrapper", "no_cfunc_wrapper", "pipeline_class", "jit_options"}  # fmt: skip


def compiling(path: Path) -> set[str]:
    """The compilers of numba's and the flags that a module names."""
    names, flags = set(), set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Attribute):
            names.add(ast.unparse(node))
        elif isinstance(node, ast.keyword):
            flags.add(node.arg)
        elif isinstance(node, ast.Dict):
            flags |= {key.value for key in node.keys if isinstance(key, ast.Constant)}
    of_numba = {name.rpartition(".")[2] for name in names if name.startswith("numba.")}
    return of_numba & COMPILERS | flags & FLAGS


#: Only `jit` compiles; private flags are in `inlined`.
PLACES = {"jit": {"njit", "fastmath", "nogil"}, "inlined": {"_nrt", "pipeline_class"}}


@pytest.mark.parametrize("path", sorted(KERNELS.rglob("*.py")), ids=lambda path: path.stem)
def test_flags_are_set_in_one_place_only(path):
    if path.stem in PLACES:
        assert PLACES[path.stem] <= compiling(path)
    else:
        assert compiling(path) == set()


def test_equal_codes_make_one_kernel_however_they_are_given():
    @jit.made_once
    def make_kernel(code, sparse=False):
        return object()

    assert make_kernel(1) is make_kernel(1, False) is make_kernel(code=1, sparse=False)
    assert len({make_kernel(1), make_kernel(2), make_kernel(1, True)}) == 3


@pytest.mark.parametrize("path", sorted(KERNELS.rglob("*.py")), ids=lambda path: path.stem)
def test_whatever_makes_kernels_makes_them_once(path):
    """Not by ``functools.cache``, to which ``(1)`` and ``(1, False)`` are two."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and "make_" in node.name:
            decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
            assert decorators <= {"made_once"}, node.name


def test_private_parts_that_are_used_are_looked_for():
    """What stands in place of numba's own methods, and options that only its compiler knows."""
    used = {
        name
        for ours in (inlined._InlinedLibrary, inlined._InlinedCompiler)
        for name, what in vars(ours).items()
        if callable(what) and any(name in vars(base) for base in ours.__mro__[1:-1])
    }
    used |= {*inlined.WITHOUT_RUNTIME, *inlined.INLINED} - {"pipeline_class"}
    assert used <= {name for _, name in inlined._NEEDED}


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


@pytest.mark.slow
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
