"""Matrix products on places in flat vectors, tile by tile.

``np.dot`` in a kernel needs a view of each matrix and knows neither a factor nor adding to what is
there; and which BLAS it calls, with what vectors and on how many threads, is another machine's
business. Here W += -rate A D goes straight into the parameters, on one core, the same everywhere
that has the same registers.
"""

from typing import Any

import numpy as np
from numba import types

from fastnn.kernels.jit import inner, shared
from fastnn.kernels.lanes import load, minimum, store, width
from fastnn.kernels.linked import linked
from fastnn.kernels.llvm import flat, stack
from fastnn.kernels.tiles import Matrix, dots, tile, tile_side

_0, _1 = np.uint64(0), np.uint64(1)
#: Rows from which B is copied, the rows of B that are copied at once, and room for four registers
#: of each: 32 KB if they are of 512 bits, which the nearest cache holds beside A.
PACK_FROM, PACKED, REGISTERS = np.uint64(64), np.uint64(128), 4 * 128
#: Bytes from one row of B to the next of which a multiple has all rows at the same places of the
#: nearest cache, which holds a dozen then; and the rows from which B is copied there.
SAME_PLACES, PACK_SAME_FROM = 4096, np.uint64(16)


def _kinds(scale: Any, A: Any, B: Any, keep: Any, C: Any, sizes: Any) -> Any:
    """What products are compiled for: matrices of one dtype, all of the same types."""
    dtype = C[0].dtype
    if any(M[0].dtype != dtype or M[0].layout != "C" for M in (A, B)) or not C[0].mutable:
        return None
    vector = types.Array(dtype, 1, "C")
    matrix = types.NamedTuple((vector, types.uint64, types.uint64, types.boolean), Matrix)
    return dtype, matrix, matrix, dtype, matrix, types.UniTuple(types.uint64, 3)


@linked(_kinds)
def multiply(scale, A, B, keep, C, sizes):
    """C = scale A B + keep C, with A (rows, depth), B (depth, columns), not both turned; nor is C.

    *sizes* are rows, depth, columns, each at least 1.
    """
    if B.turned:
        _multiply_turned(scale, A, B, keep, C, sizes)
    else:
        _multiply(scale, A, Matrix(B.vector, B.at, B.step, False), keep, C, sizes)


@inner
def _multiply(scale, A, B, keep, C, sizes):
    """The same for B as it lies."""
    rows, depth, columns = sizes
    n, panel = width(C.vector), width(C.vector, tile_side())
    fours, eights, wide = rows - rows % 4, rows - rows % 8, columns - columns % panel
    _multiply_wide(scale, A, B, keep, C, (fours, depth, wide))
    for i in range(fours, rows):
        for j in range(_0, wide, panel):
            tile(1, tile_side(), scale, A, B, keep, C, i, j, depth)
    for j in range(wide, columns, n):
        for i in range(_0, eights, 8):
            tile(8, 1, scale, A, B, keep, C, i, j, depth, columns - j)
        for i in range(eights, rows):
            tile(1, 1, scale, A, B, keep, C, i, j, depth, columns - j)


@inner
def _multiply_wide(scale, A, B, keep, C, sizes):
    """The same for rows in fours, and columns that fill `tile_side` registers each.

    For many rows B's columns are copied first, `PACKED` rows at a time: those that are far apart
    fill the nearest cache badly.
    """
    rows, depth, columns = sizes
    n, across = np.uint64(width(C.vector, tile_side())), A.step if A.turned else _1
    room = stack(width(C.vector, REGISTERS), C.vector)
    clash = B.step % np.uint64(SAME_PLACES // C.vector.itemsize) == _0
    packs = rows >= PACK_FROM or (clash and rows >= PACK_SAME_FROM)
    at_once = minimum(depth, PACKED) if packs else depth
    for k in range(_0, depth, at_once):
        some, kept = minimum(at_once, depth - k), keep if k == _0 else type(keep)(1)
        left = Matrix(A.vector, A.at + k * across, A.step, A.turned)
        for j in range(_0, columns, n):
            # Of the type that the copy has, whether B may be written to or not.
            right = Matrix(flat(B.vector), B.at + k * B.step + j, B.step, False)
            if packs:
                for r in range(some):
                    b = load(right.vector, right.at + r * right.step, width(room, tile_side()))
                    store(room, r * n, b)
                right = Matrix(room, _0, n, False)
            out = Matrix(C.vector, C.at + j, C.step, False)
            for i in range(_0, rows, 4):
                tile(4, tile_side(), scale, left, right, kept, out, i, _0, some)


@shared  # a small part of the one above: not inlined there
def _multiply_turned(scale, A, B, keep, C, sizes):
    """The same for B turned: what a sum multiplies lies side by side in both."""
    rows, depth, columns = sizes
    high, broad = rows - rows % tile_side(), columns - columns % 4
    for j in range(_0, broad, 4):
        for i in range(_0, high, tile_side()):
            dots(tile_side(), 4, scale, A, B, keep, C, i, j, depth)
        for i in range(high, rows):
            dots(1, 4, scale, A, B, keep, C, i, j, depth)
    for j in range(broad, columns):
        for i in range(_0, high, tile_side()):
            dots(tile_side(), 1, scale, A, B, keep, C, i, j, depth)
        for i in range(high, rows):
            dots(1, 1, scale, A, B, keep, C, i, j, depth)
