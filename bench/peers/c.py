"""Plain C, through the system's compiler."""

import atexit
import ctypes
import functools
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.contest import Entry, UnavailableError
from bench.problems import CURVE, GATE, Problem
from bench.vectors import Pair, Values

_SOURCE = Path(__file__).with_name("loops.c")
_FLAGS = ("-O3", "-march=native", "-ffast-math")
_WIDE = "-mprefer-vector-width=512"
_REALS = {"float64": ctypes.c_double, "float32": ctypes.c_float}


def train(problem: Problem, variant: str) -> Entry:
    """Per-sample SGD of the two networks that the loops are written for."""
    library, info = _library(problem.dtype, variant)
    real = _REALS[problem.dtype]
    losses = np.zeros(problem.epochs, problem.dtype)
    X, Y = _address(problem.X), _address(problem.Y)
    plan = (X, Y, problem.n, problem.epochs, real(problem.rate), _address(losses))
    if problem.batch == 1 and problem.sizes == GATE.sizes:
        arrays = [W.ravel() for (W,) in problem.layers(problem.start)]
        addresses = [_address(array) for array in arrays]
        return Entry(
            lambda: library.sgd_gate(*addresses, *plan), lambda: np.concatenate(arrays), info
        )
    if problem.batch == 1 and problem.sizes == CURVE.sizes:
        arrays = [_aligned(a.ravel()) for layer in problem.layers(problem.start) for a in layer]
        addresses = [_address(array) for array in arrays]
        n_hidden, hidden = problem.sizes[1], _aligned(arrays[0])
        return Entry(
            lambda: library.sgd_curve(n_hidden, *addresses, *plan, _address(hidden)),
            lambda: np.concatenate(arrays),
            info,
        )
    raise UnavailableError("the C loops are written for 3-4-1 and 1-128-1, one sample at a time")


def dot(pair: Pair, variant: str) -> Entry:
    """The same loop."""
    library, info = _library(pair.dtype, variant)
    library.dot.restype = _REALS[pair.dtype]
    a, b = map(_address, pair.arrays)
    return Entry(
        lambda: library.dot(a, b, pair.n), lambda: np.array([library.dot(a, b, pair.n)]), info
    )


def elementary(values: Values, variant: str) -> Entry:
    """A loop over the function of the C library, vectorised by the compiler where it can."""
    library, info = _library(values.dtype, variant)
    out = np.empty_like(values.x)
    function = getattr(library, f"{values.function}_of")
    x, to = _address(values.x), _address(out)
    return Entry(lambda: function(x, to, values.n), lambda: out, info)


@functools.cache
def _library(dtype: str, variant: str) -> tuple[Any, dict[str, str]]:
    compiler = shutil.which(os.environ.get("CC", "gcc")) or shutil.which("cc")
    if compiler is None:
        raise UnavailableError("there is no C compiler: install gcc")
    if variant == "512" and platform.machine() not in ("x86_64", "AMD64"):
        raise UnavailableError("vectors of 512 bits are x86's")
    flags = [*_FLAGS, *([_WIDE] if variant == "512" else [])]
    if dtype == "float32":
        flags += ["-DREAL=float", "-DEXP=expf", "-DTANH=tanhf", "-DLOG=logf", "-DLOG1P=log1pf"]
    library = Path(_scratch()) / f"{dtype}{variant}.so"
    command = [compiler, *flags, "-shared", "-fPIC", str(_SOURCE), "-o", str(library), "-lm"]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode:
        raise UnavailableError(f"{Path(compiler).name} failed: {made.stderr.strip()[-200:]}")
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True)
    shown = " ".join(flag for flag in flags if not flag.startswith("-D"))
    return ctypes.CDLL(str(library)), {"compiler": version.stdout.splitlines()[0], "flags": shown}


@functools.cache
def _scratch() -> str:
    folder = tempfile.mkdtemp(prefix="fastnn-bench-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _address(array: np.ndarray) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)  # which keeps the array alive


def _aligned(array: np.ndarray) -> np.ndarray:
    """A copy that begins at a cache line, so that no vector crosses one."""
    room = np.empty(array.nbytes + 64, np.uint8)
    offset = -room.ctypes.data % 64
    copy = room[offset : offset + array.nbytes].view(array.dtype)
    copy[:] = array
    return copy
