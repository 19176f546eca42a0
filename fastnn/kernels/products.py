"""Matrix products on places in flat vectors, by SciPy's BLAS and without a temporary array.

``np.dot`` in a kernel needs a view of each matrix and knows neither a factor nor adding to what is
there. BLAS itself does: W += -rate X D' goes straight into the parameters. Its address is SciPy's
business (`scipy.linalg.cython_blas` gives it to anybody); machine code on disk knows it by a name.
"""

import contextlib
import ctypes
import functools
import importlib
from collections import namedtuple
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils

from fastnn.kernels.jit import inner
from fastnn.kernels.lanes import minimum
from fastnn.kernels.llvm import call, operation

#: A matrix in a flat *vector*: row-major from the place *at* on, *step* from row to row. With
#: *turned*, what lies there is its transpose.
Matrix = namedtuple("Matrix", "vector at step turned")

#: Multiplications in one call of BLAS for products of up to `WHOLE_FROM`, which are done in parts:
#: up to a million OpenBLAS has kernels that pack no operands and start no threads, whose barriers
#: cost more than they give there. Parts of fewer than `FEWEST` inputs read and write the sums too
#: often; such products and larger ones are left whole, and OpenBLAS uses the threads it may.
AT_ONCE, FEWEST = 1_000_000, 48
WHOLE_FROM = 1 << 23


@functools.cache
def find_blas() -> None:
    """Tell LLVM where BLAS is. Needed before a kernel with products is compiled or loaded."""
    functions = _cython_blas().__pyx_capi__
    for name in ("sgemm", "dgemm"):
        binding.add_symbol(f"fastnn_{name}", _address(functions[name]))


def _cython_blas() -> Any:
    """SciPy's module of that name, alone: with the rest of `scipy.linalg` it takes 190 ms for 4."""
    name = "scipy.linalg.cython_blas"
    with contextlib.suppress(Exception):  # in an archive or a frozen program: the usual way
        folder = Path(scipy.__file__).parent / "linalg"
        spec: Any = PathFinder.find_spec(name, [str(folder)])
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    return importlib.import_module(name)


def _address(capsule: Any) -> int:
    """Where the function of C is that Cython gives away in a capsule."""
    python = ctypes.pythonapi
    name = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", python))
    pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", python)
    )
    address: int = pointer(capsule, name(capsule))
    return address


def multiply(scale, A, B, keep, C, sizes):
    """C = scale A B + keep C, with A (rows, inner), B (inner, columns), C not turned.

    *sizes* are rows, inner, columns.
    """
    rows, inner_size, columns = sizes
    out = _view(C, rows, columns)
    product = scale * (_view(A, rows, inner_size) @ _view(B, inner_size, columns))
    out[...] = product + keep * out if keep else product


def _view(matrix, rows, columns):
    """A NumPy view of a matrix: for use without the JIT."""
    vector, at, step, turned = matrix
    if turned:
        return _view(Matrix(vector, at, step, False), columns, rows).T
    strides = (int(step) * vector.itemsize, vector.itemsize)
    shape = (int(rows), int(columns))
    return np.lib.stride_tricks.as_strided(vector[at:], shape, strides)


@operation(multiply, lambda scale, A, B, keep, C, sizes: types.none)
def _emit_multiply(context, builder, signature, values):
    # BLAS is column-major and so computes C' = B' A'. All its arguments are addresses.
    number = signature.args[4][0].dtype
    scale, keep = (
        cgutils.alloca_once_value(builder, context.cast(builder, value, kind, number))
        for value, kind in ((values[0], signature.args[0]), (values[3], signature.args[3]))
    )
    rows, inner_size, columns = (
        _integer(context, builder, size) for size in cgutils.unpack_tuple(builder, values[5])
    )
    a, b, c = (_operand(context, builder, signature.args[k], values[k]) for k in (1, 2, 4))
    arguments = (b[2], a[2], columns, rows, inner_size, scale, *b[:2], *a[:2], keep, *c[:2])
    name = "fastnn_sgemm" if number == types.float32 else "fastnn_dgemm"
    call(builder, name, ir.VoidType(), *arguments)
    return context.get_dummy_value()


def _operand(context, builder, kind, value):
    """The addresses of a matrix' numbers, of its step, and of whether BLAS shall turn it."""
    vector, at, step, turned = cgutils.unpack_tuple(builder, value)
    array = context.make_array(kind[0])(context, builder, vector)
    letters = (cgutils.int8_t(ord(letter)) for letter in "tn")
    letter = builder.select(context.cast(builder, turned, kind[3], types.boolean), *letters)
    return (
        builder.gep(array.data, [at]),
        _integer(context, builder, step),
        cgutils.alloca_once_value(builder, letter),
    )


def _integer(context, builder, value):
    """The address of a whole number as BLAS takes it: of 32 bits."""
    return cgutils.alloca_once_value(builder, builder.trunc(value, cgutils.int32_t))


@inner
def inputs_at_once(n_in, n_out, n):
    """How many inputs a product of n samples takes in one call of BLAS."""
    some = np.uint64(AT_ONCE) // (n_out * n)
    if some < np.uint64(FEWEST) or n_in * n_out * n > np.uint64(WHOLE_FROM):
        return n_in
    return minimum(n_in, some)
