"""Matrix products on places in flat vectors, tile by tile.

``np.dot`` in a kernel needs a view of each matrix and knows neither a factor nor adding to what is
there; and which BLAS it calls, with what vectors and on how many threads, is another machine's
business. Here W += -rate A D goes straight into the parameters, the same everywhere that has the
same registers. Large products are shared with threads that help: a part of them is some rows of C,
or some columns, and each number in it the same sum, whoever adds it up.
"""

from typing import Any

import numpy as np
from numba import types

from fastnn.kernels.called import own_address, truth_at
from fastnn.kernels.jit import inner, kernel, shared
from fastnn.kernels.lanes import load, minimum, store, width
from fastnn.kernels.linked import linked
from fastnn.kernels.llvm import flat, stack
from fastnn.kernels.sharing import (
    SHARE_DOUBLES,
    SHARE_SINGLES,
    board,
    count_threads,
    part_of,
    share,
)
from fastnn.kernels.tiles import Matrix, dots, tile, tile_side

_0, _1 = np.uint64(0), np.uint64(1)
#: Rows from which B is copied, the rows of B that are copied at once, and room for four registers
#: of each: 32 KB if they are of 512 bits, which the nearest cache holds beside A.
PACK_FROM, PACKED, REGISTERS = np.uint64(64), np.uint64(128), 4 * 128
#: Bytes from one row of B to the next of which a multiple has all rows at the same places of the
#: nearest cache, which holds a dozen then; and the rows from which B is copied there.
SAME_PLACES, PACK_SAME_FROM = 4096, np.uint64(16)
#: Multiplications from which a product is shared, of a part at least, how often another thread is
#: looked for in the time that these take, and a part's rows: whole tiles.
SHARED_FROM, LEAST_PART, LOOKS_OF_PART, GRAIN = np.uint64(1 << 19), np.uint64(1 << 18), 100, 8


def _kinds(
    scale: Any, A: Any, B: Any, keep: Any, K: Any, C: Any, sizes: Any, in_columns: Any,
    first: Any, after: Any,
) -> Any:  # fmt: skip
    """What products are compiled for: matrices of one dtype, all of the same types."""
    dtype = C[0].dtype
    if any(M[0].dtype != dtype or M[0].layout != "C" for M in (A, B, K)) or not C[0].mutable:
        return None
    vector, place = types.Array(dtype, 1, "C"), types.uint64
    matrix = types.NamedTuple((vector, place, place, types.boolean), Matrix)
    sizes = types.UniTuple(place, 3)
    return dtype, matrix, matrix, dtype, matrix, matrix, sizes, types.boolean, place, place


@inner
def multiply(scale, A, B, keep, K, C, sizes):
    """C = scale A B + keep K, with A (rows, depth), B (depth, columns), not both turned; nor is C.

    *sizes* are rows, depth, columns, each at least 1. K may be C; with a step of zero it is one row
    for all of C, or, turned, one column. If *keep* is zero it is not looked at.
    """
    multiply_part(scale, A, B, keep, K, C, sizes, False, _0, sizes[0])


@linked(_kinds)
def multiply_part(scale, A, B, keep, K, C, sizes, in_columns, first, after):
    """C = scale A B + keep K for some rows of C alone, or some columns."""
    rows, depth, columns = sizes
    if rows * depth * columns >= SHARED_FROM and after - first == (columns if in_columns else rows):
        code = board()[SHARE_SINGLES if C.vector.itemsize == 4 else SHARE_DOUBLES]
        all_of_it = (own_address(), scale, A, B, keep, K, C, sizes)
        if code != 0 and truth_at(code, all_of_it):
            return
    packs = _packs(rows, B)
    if in_columns:
        B, columns = _from(B, _0, first), after - first
        K, C = _from(K, _0, first), _from(C, _0, first)
    else:
        A, rows = _from(A, first, _0), after - first
        K, C = _from(K, first, _0), _from(C, first, _0)
    if B.turned:
        _multiply_turned(scale, A, B, keep, K, C, (rows, depth, columns))
    else:
        B = Matrix(B.vector, B.at, B.step, False)
        _multiply(scale, A, B, keep, K, C, (rows, depth, columns), packs)


@kernel
def share_product(code, scale, A, B, keep, K, C, sizes):
    """Share a product with threads that help; whether it was shared. *code* does a part of it.

    If its columns make parts of about the same size it is shared by them: what W is multiplied by
    and what is added to it are then the same columns, which stay near to the core that has them.
    (Between two that have no cache in common numbers that were changed go at 2 GB/s, on a Zen 5.)
    """
    rows, depth, columns = sizes
    most, panel = np.int64(rows * depth * columns // LEAST_PART), width(C.vector, tile_side())
    parts = minimum(count_threads(), most)
    if parts < 2:
        return False
    even = parts * part_of(np.int64(columns), parts, panel) * 4 <= np.int64(columns) * 5
    in_columns = even and np.int64(columns) >= parts * panel
    n, grain = (columns, panel) if in_columns else (rows, GRAIN)
    arguments = (scale, A, B, keep, K, C, sizes, in_columns)
    saved = LOOKS_OF_PART * (most - most // parts)
    return share(code, arguments, C.vector.itemsize, np.int64(n), parts, grain, saved)


@inner
def nothing(vector):
    """A product's arguments, of the types for a dtype."""
    M, zero = Matrix(vector, _0, _0, False), vector.dtype.type(0)
    return zero, M, M, zero, M, M, (_0, _0, _0), False


@inner
def _from(M, row, column):
    """A matrix from that row and that column on."""
    along, across = (row, column) if M.turned else (column, row)
    return Matrix(M.vector, M.at + along + across * M.step, M.step, M.turned)


@inner
def _packs(rows, B):
    """Whether B's columns are copied first: for many rows, since those far apart fill caches badly.

    It is asked of all rows, not of a part: sums go in parts then.
    """
    clash = B.step % np.uint64(SAME_PLACES // B.vector.itemsize) == _0
    return rows >= PACK_FROM or (clash and rows >= PACK_SAME_FROM)


@inner
def _multiply(scale, A, B, keep, K, C, sizes, packs):
    """The same for B as it lies."""
    rows, depth, columns = sizes
    n, panel = width(C.vector), width(C.vector, tile_side())
    eights, fours, twos = rows - rows % 8, rows - rows % 4, rows - rows % 2
    wide = columns - columns % panel
    _multiply_wide(scale, A, B, keep, K, C, (fours, depth, wide), packs)
    for j in range(_0, wide, panel):
        for i in range(fours, twos, 2):
            tile(2, tile_side(), scale, A, B, keep, K, C, i, j, depth)
        for i in range(twos, rows):
            tile(1, tile_side(), scale, A, B, keep, K, C, i, j, depth)
    single = wide
    if columns - wide > n:  # two registers of columns, of which the second may not be full
        single, left = wide + 2 * n, columns - wide
        for i in range(_0, fours, 4):
            tile(4, 2, scale, A, B, keep, K, C, i, wide, depth, left)
        for i in range(fours, twos, 2):
            tile(2, 2, scale, A, B, keep, K, C, i, wide, depth, left)
        for i in range(twos, rows):
            tile(1, 2, scale, A, B, keep, K, C, i, wide, depth, left)
    for j in range(single, columns, n):
        for i in range(_0, eights, 8):
            tile(8, 1, scale, A, B, keep, K, C, i, j, depth, columns - j)
        for i in range(eights, twos, 2):
            tile(2, 1, scale, A, B, keep, K, C, i, j, depth, columns - j)
        for i in range(twos, rows):
            tile(1, 1, scale, A, B, keep, K, C, i, j, depth, columns - j)


@inner
def _multiply_wide(scale, A, B, keep, K, C, sizes, packs):
    """The same for rows in fours, and columns that fill `tile_side` registers each.

    With *packs* B's columns are copied first, `PACKED` rows at a time.
    """
    rows, depth, columns = sizes
    n, across = np.uint64(width(C.vector, tile_side())), A.step if A.turned else _1
    room = stack(width(C.vector, REGISTERS), C.vector)
    at_once = minimum(depth, PACKED) if packs else depth
    for k in range(_0, depth, at_once):
        some, kept = minimum(at_once, depth - k), keep if k == _0 else type(keep)(1)
        old = K if k == _0 else C
        left = Matrix(A.vector, A.at + k * across, A.step, A.turned)
        for j in range(_0, columns, n):
            # Of the type that the copy has, whether B may be written to or not.
            right = Matrix(flat(B.vector), B.at + k * B.step + j, B.step, False)
            if packs:
                for r in range(some):
                    b = load(right.vector, right.at + r * right.step, width(room, tile_side()))
                    store(room, r * n, b)
                right = Matrix(room, _0, n, False)
            out, before = Matrix(C.vector, C.at + j, C.step, False), _from(old, _0, j)
            for i in range(_0, rows, 4):
                tile(4, tile_side(), scale, left, right, kept, before, out, i, _0, some)


@shared  # a small part of the one above: not inlined there
def _multiply_turned(scale, A, B, keep, K, C, sizes):
    """The same for B turned: what a sum multiplies lies side by side in both."""
    dots(scale, A, B, keep, K, C, sizes)
