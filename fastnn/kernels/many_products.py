"""Products of matrices whose entries are lanes: of each network with its own."""

import functools
from collections import namedtuple
from typing import Any

from fastnn.kernels.jit import inner, ordered
from fastnn.kernels.lanes import load, store

#: A matrix whose entry (m, n) is at the place ``at + m * row + n * column`` of a vector.
Matrix = namedtuple("Matrix", "vector at row column")


@functools.cache
def _make_access(lanes: int) -> Any:
    """Make what reads and writes an entry of a matrix."""

    @inner
    def get(matrix, m, n):
        return load(matrix.vector, (matrix.at + m * matrix.row + n * matrix.column) * lanes, lanes)

    @inner
    def put(matrix, m, n, value):
        store(matrix.vector, (matrix.at + m * matrix.row + n * matrix.column) * lanes, value)

    return get, put


@functools.cache
def _make_tiles_of_four_rows(lanes: int) -> Any:
    get, put = _make_access(lanes)

    @ordered
    def tile_4_by_2(A, B, S, C, m, n, depth):
        c00, c01 = get(S, m, n), get(S, m, n + 1)
        c10, c11 = get(S, m + 1, n), get(S, m + 1, n + 1)
        c20, c21 = get(S, m + 2, n), get(S, m + 2, n + 1)
        c30, c31 = get(S, m + 3, n), get(S, m + 3, n + 1)
        for k in range(depth):
            b0, b1 = get(B, k, n), get(B, k, n + 1)
            a0, a1, a2, a3 = get(A, m, k), get(A, m + 1, k), get(A, m + 2, k), get(A, m + 3, k)
            c00, c01 = c00 + a0 * b0, c01 + a0 * b1
            c10, c11 = c10 + a1 * b0, c11 + a1 * b1
            c20, c21 = c20 + a2 * b0, c21 + a2 * b1
            c30, c31 = c30 + a3 * b0, c31 + a3 * b1
        put(C, m, n, c00)
        put(C, m, n + 1, c01)
        put(C, m + 1, n, c10)
        put(C, m + 1, n + 1, c11)
        put(C, m + 2, n, c20)
        put(C, m + 2, n + 1, c21)
        put(C, m + 3, n, c30)
        put(C, m + 3, n + 1, c31)

    @ordered
    def tile_4_by_1(A, B, S, C, m, n, depth):
        c0, c1, c2, c3 = get(S, m, n), get(S, m + 1, n), get(S, m + 2, n), get(S, m + 3, n)
        for k in range(depth):
            b = get(B, k, n)
            c0 = c0 + get(A, m, k) * b
            c1 = c1 + get(A, m + 1, k) * b
            c2 = c2 + get(A, m + 2, k) * b
            c3 = c3 + get(A, m + 3, k) * b
        put(C, m, n, c0)
        put(C, m + 1, n, c1)
        put(C, m + 2, n, c2)
        put(C, m + 3, n, c3)

    return tile_4_by_2, tile_4_by_1


@functools.cache
def _make_tiles_of_a_row(lanes: int) -> Any:
    get, put = _make_access(lanes)

    @ordered
    def tile_1_by_4(A, B, S, C, m, n, depth):
        c0, c1, c2, c3 = get(S, m, n), get(S, m, n + 1), get(S, m, n + 2), get(S, m, n + 3)
        for k in range(depth):
            a = get(A, m, k)
            c0 = c0 + a * get(B, k, n)
            c1 = c1 + a * get(B, k, n + 1)
            c2 = c2 + a * get(B, k, n + 2)
            c3 = c3 + a * get(B, k, n + 3)
        put(C, m, n, c0)
        put(C, m, n + 1, c1)
        put(C, m, n + 2, c2)
        put(C, m, n + 3, c3)

    @ordered
    def tile_1_by_1(A, B, S, C, m, n, depth):
        c = get(S, m, n)
        for k in range(depth):
            c = c + get(A, m, k) * get(B, k, n)
        put(C, m, n, c)

    return tile_1_by_4, tile_1_by_1


@functools.cache
def make_multiply(lanes: int) -> Any:
    """Make C = S + A B, where A is (rows, depth) and B (depth, columns).

    In tiles: what is loaded of A and B serves several sums, which stay in registers. Every sum goes
    through its products in the same order, whatever the tile.
    """
    tile_4_by_2, tile_4_by_1 = _make_tiles_of_four_rows(lanes)
    tile_1_by_4, tile_1_by_1 = _make_tiles_of_a_row(lanes)

    @inner
    def multiply(A, B, S, C, rows, columns, depth):
        for n in range(0, columns - 1, 2):
            for m in range(0, rows - 3, 4):
                tile_4_by_2(A, B, S, C, m, n, depth)
        if columns % 2 == 1:
            for m in range(0, rows - 3, 4):
                tile_4_by_1(A, B, S, C, m, columns - 1, depth)
        for m in range(rows - rows % 4, rows):
            for n in range(0, columns - 3, 4):
                tile_1_by_4(A, B, S, C, m, n, depth)
            for n in range(columns - columns % 4, columns):
                tile_1_by_1(A, B, S, C, m, n, depth)

    return multiply
