"""Matrix products on places in flat vectors, by BLAS and without a temporary array.

numba's ``np.dot`` needs a view of each matrix and knows neither a factor nor adding to what is
there. The function behind it, SciPy's ``gemm``, does: W += -rate X D' goes straight into the
parameters. It is called here under the name that numba gives it.
"""

from collections import namedtuple

import numpy as np
from numba import types
from numba.extending import overload

from fastnn.kernels.jit import OVERLOAD_OPTIONS, inner

#: A matrix in a flat *vector*: row-major from the place *at* on, *step* from row to row. With
#: *turned*, what lies there is its transpose.
Matrix = namedtuple("Matrix", "vector at step turned")

#: Multiplications in one call of BLAS for products of up to `WHOLE_FROM`, which are done in parts:
#: up to a million OpenBLAS has kernels that pack no operands and start no threads, whose barriers
#: cost more than they give there. Parts of fewer than `FEWEST` inputs read and write the sums too
#: often; such products and larger ones are left whole, and OpenBLAS uses the threads it may.
AT_ONCE, FEWEST = 1_000_000, 48
WHOLE_FROM = 1 << 23

_size, _address = types.intp, types.uintp
_gemm = types.ExternalFunction(
    "numba_xxgemm",
    types.intc(
        *(types.char, types.char, types.char),  # s or d; are the operands transposed: n or t
        *(_size, _size, _size),
        *(_address, _address, _size, _address, _size),  # alpha; a and its step; b and its step
        *(_address, _address, _size),  # beta; c and its step
    ),
)


def multiply(scale, A, B, keep, C, sizes, scalars):
    """C = scale A B + keep C, with A (rows, inner), B (inner, columns), C not turned.

    *sizes* are rows, inner, columns. *scalars* is scratch of two numbers, of C's dtype.
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
    strides = (step * vector.itemsize, vector.itemsize)
    return np.lib.stride_tricks.as_strided(vector[at:], (rows, columns), strides)


@overload(multiply, **OVERLOAD_OPTIONS)
def _multiply(scale, A, B, keep, C, sizes, scalars):
    from numba.np.linalg import ensure_blas  # what is loaded from the cache does without it

    ensure_blas()
    kind = ord("s") if C[0].dtype == types.float32 else ord("d")
    size = C[0].dtype.bitwidth // 8

    def compiled(scale, A, B, keep, C, sizes, scalars):
        # BLAS is column-major and so computes C' = B' A'; ord("n") is 110, ord("t") is 116.
        rows, inner_size, columns = sizes
        scalars[0] = scale
        scalars[1] = keep
        factors = scalars.ctypes.data
        _gemm(
            types.char(kind),
            types.char(110 + 6 * B.turned),
            types.char(110 + 6 * A.turned),
            columns,
            rows,
            inner_size,
            factors,
            B.vector.ctypes.data + B.at * size,
            B.step,
            A.vector.ctypes.data + A.at * size,
            A.step,
            factors + size,
            C.vector.ctypes.data + C.at * size,
            C.step,
        )

    return compiled


@inner
def inputs_at_once(n_in, n_out, n):
    """How many inputs a product of n samples takes in one call of BLAS."""
    some = AT_ONCE // (n_out * n)
    if some < FEWEST or n_in * n_out * n > WHOLE_FROM:
        return n_in
    return min(n_in, some)
