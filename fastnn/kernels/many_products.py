"""Products of matrices whose entries are lanes: of each network with its own.

In tiles: what is loaded serves several sums, which stay in registers. Every sum goes through its
products in the same order, whatever the tile.
"""

import functools
from collections import namedtuple
from typing import Any

from fastnn.kernels.jit import inner, ordered, shared
from fastnn.kernels.lanes import load, store, width
from fastnn.kernels.llvm import register_bits

#: Of some units in a batch: that of row s and unit u is at the place ``at + u * height + s``.
Units = namedtuple("Units", "vector at height")
#: A matrix whose entry (m, n) is at the place ``at + m * row + n * column`` of a vector.
Matrix = namedtuple("Matrix", "vector at row column")


@functools.cache
def make_units_at_once(lanes: int) -> Any:
    """Make what says how many units go through all steps together.

    Four where there are registers for a tile of four rows and them, else two.
    """
    many_registers = register_bits() == 512

    @inner
    def units_at_once(vector):
        return 4 if many_registers and lanes <= width(vector) else 2

    return units_at_once


@functools.cache
def _make_access(lanes: int) -> Any:
    """Make what reads and writes a unit's value in row s, and an entry of a matrix."""

    @inner
    def of(units, s, u):
        return load(units.vector, (units.at + u * units.height + s) * lanes, lanes)

    @inner
    def put_of(units, s, u, value):
        store(units.vector, (units.at + u * units.height + s) * lanes, value)

    @inner
    def get(matrix, m, n):
        return load(matrix.vector, (matrix.at + m * matrix.row + n * matrix.column) * lanes, lanes)

    @inner
    def put(matrix, m, n, value):
        store(matrix.vector, (matrix.at + m * matrix.row + n * matrix.column) * lanes, value)

    return of, put_of, get, put


@functools.cache
def _make_put_four(lanes: int) -> Any:
    """Make what writes a unit's values in four rows."""
    _, put_of, _, _ = _make_access(lanes)

    @inner
    def put_four(z, s, u, c0, c1, c2, c3):
        put_of(z, s, u, c0)
        put_of(z, s + 1, u, c1)
        put_of(z, s + 2, u, c2)
        put_of(z, s + 3, u, c3)

    return put_four


@functools.cache
def _make_largest_tile_of_sums(lanes: int) -> Any:
    of, _, get, _ = _make_access(lanes)
    put_four = _make_put_four(lanes)

    @ordered
    def four_by_four(a, W, start, z, s, u, depth):
        c00 = c10 = c20 = c30 = get(start, 0, u)
        c01 = c11 = c21 = c31 = get(start, 0, u + 1)
        c02 = c12 = c22 = c32 = get(start, 0, u + 2)
        c03 = c13 = c23 = c33 = get(start, 0, u + 3)
        for k in range(depth):
            a0, a1, a2, a3 = of(a, s, k), of(a, s + 1, k), of(a, s + 2, k), of(a, s + 3, k)
            w = get(W, k, u)
            c00, c10, c20, c30 = c00 + a0 * w, c10 + a1 * w, c20 + a2 * w, c30 + a3 * w
            w = get(W, k, u + 1)
            c01, c11, c21, c31 = c01 + a0 * w, c11 + a1 * w, c21 + a2 * w, c31 + a3 * w
            w = get(W, k, u + 2)
            c02, c12, c22, c32 = c02 + a0 * w, c12 + a1 * w, c22 + a2 * w, c32 + a3 * w
            w = get(W, k, u + 3)
            c03, c13, c23, c33 = c03 + a0 * w, c13 + a1 * w, c23 + a2 * w, c33 + a3 * w
        put_four(z, s, u, c00, c10, c20, c30)
        put_four(z, s, u + 1, c01, c11, c21, c31)
        put_four(z, s, u + 2, c02, c12, c22, c32)
        put_four(z, s, u + 3, c03, c13, c23, c33)

    return four_by_four


@functools.cache
def _make_smaller_tiles_of_sums(lanes: int) -> Any:
    of, put_of, get, _ = _make_access(lanes)
    put_four = _make_put_four(lanes)

    @ordered
    def four_by_two(a, W, start, z, s, u, depth):
        c00 = c10 = c20 = c30 = get(start, 0, u)
        c01 = c11 = c21 = c31 = get(start, 0, u + 1)
        for k in range(depth):
            a0, a1, a2, a3 = of(a, s, k), of(a, s + 1, k), of(a, s + 2, k), of(a, s + 3, k)
            w = get(W, k, u)
            c00, c10, c20, c30 = c00 + a0 * w, c10 + a1 * w, c20 + a2 * w, c30 + a3 * w
            w = get(W, k, u + 1)
            c01, c11, c21, c31 = c01 + a0 * w, c11 + a1 * w, c21 + a2 * w, c31 + a3 * w
        put_four(z, s, u, c00, c10, c20, c30)
        put_four(z, s, u + 1, c01, c11, c21, c31)

    @ordered
    def four_by_one(a, W, start, z, s, u, depth):
        c0 = c1 = c2 = c3 = get(start, 0, u)
        for k in range(depth):
            w = get(W, k, u)
            c0, c1 = c0 + of(a, s, k) * w, c1 + of(a, s + 1, k) * w
            c2, c3 = c2 + of(a, s + 2, k) * w, c3 + of(a, s + 3, k) * w
        put_four(z, s, u, c0, c1, c2, c3)

    @ordered
    def one_by_two(a, W, start, z, s, u, depth):
        c0, c1 = get(start, 0, u), get(start, 0, u + 1)
        for k in range(depth):
            a_k = of(a, s, k)
            c0, c1 = c0 + a_k * get(W, k, u), c1 + a_k * get(W, k, u + 1)
        put_of(z, s, u, c0)
        put_of(z, s, u + 1, c1)

    @ordered
    def one_by_one(a, W, start, z, s, u, depth):
        c = get(start, 0, u)
        for k in range(depth):
            c = c + of(a, s, k) * get(W, k, u)
        put_of(z, s, u, c)

    return four_by_two, four_by_one, one_by_two, one_by_one


@functools.cache
def make_sums(lanes: int) -> Any:
    """Make z = start + a W of n rows, for the units from *first* up to *after*.

    These are columns of W, (depth, units), and of *start*, a matrix of one row.
    """
    four_by_four = _make_largest_tile_of_sums(lanes)
    four_by_two, four_by_one, one_by_two, one_by_one = _make_smaller_tiles_of_sums(lanes)
    units_at_once = make_units_at_once(lanes)

    @shared
    def sums(a, W, start, z, n, first, after, depth):
        u, rest = first, n - n % 4
        while u < after:
            if units_at_once(a.vector) == 4 and after - u >= 4 and rest == n:
                for s in range(0, n, 4):
                    four_by_four(a, W, start, z, s, u, depth)
                u += 4
            elif after - u >= 2:
                for s in range(0, rest, 4):
                    four_by_two(a, W, start, z, s, u, depth)
                for s in range(rest, n):
                    one_by_two(a, W, start, z, s, u, depth)
                u += 2
            else:
                for s in range(0, rest, 4):
                    four_by_one(a, W, start, z, s, u, depth)
                for s in range(rest, n):
                    one_by_one(a, W, start, z, s, u, depth)
                u += 1

    return sums


@functools.cache
def _make_four_rows(lanes: int) -> Any:
    """Make what reads and writes four entries of a column."""
    _, _, get, put = _make_access(lanes)

    @inner
    def get_four(G, m, u):
        return get(G, m, u), get(G, m + 1, u), get(G, m + 2, u), get(G, m + 3, u)

    @inner
    def put_four(G, m, u, c0, c1, c2, c3):
        put(G, m, u, c0)
        put(G, m + 1, u, c1)
        put(G, m + 2, u, c2)
        put(G, m + 3, u, c3)

    return get_four, put_four


@functools.cache
def _make_largest_tile_over_rows(lanes: int) -> Any:
    of, _, _, _ = _make_access(lanes)
    get_four, put_four = _make_four_rows(lanes)

    @ordered
    def four_by_four(a, d, start, G, m, u, n):
        c00, c10, c20, c30 = get_four(start, m, u)
        c01, c11, c21, c31 = get_four(start, m, u + 1)
        c02, c12, c22, c32 = get_four(start, m, u + 2)
        c03, c13, c23, c33 = get_four(start, m, u + 3)
        for s in range(n):
            a0, a1, a2, a3 = of(a, s, m), of(a, s, m + 1), of(a, s, m + 2), of(a, s, m + 3)
            d_s = of(d, s, u)
            c00, c10, c20, c30 = c00 + a0 * d_s, c10 + a1 * d_s, c20 + a2 * d_s, c30 + a3 * d_s
            d_s = of(d, s, u + 1)
            c01, c11, c21, c31 = c01 + a0 * d_s, c11 + a1 * d_s, c21 + a2 * d_s, c31 + a3 * d_s
            d_s = of(d, s, u + 2)
            c02, c12, c22, c32 = c02 + a0 * d_s, c12 + a1 * d_s, c22 + a2 * d_s, c32 + a3 * d_s
            d_s = of(d, s, u + 3)
            c03, c13, c23, c33 = c03 + a0 * d_s, c13 + a1 * d_s, c23 + a2 * d_s, c33 + a3 * d_s
        put_four(G, m, u, c00, c10, c20, c30)
        put_four(G, m, u + 1, c01, c11, c21, c31)
        put_four(G, m, u + 2, c02, c12, c22, c32)
        put_four(G, m, u + 3, c03, c13, c23, c33)

    return four_by_four


@functools.cache
def _make_smaller_tiles_over_rows(lanes: int) -> Any:
    of, _, get, put = _make_access(lanes)
    get_four, put_four = _make_four_rows(lanes)

    @ordered
    def four_by_two(a, d, start, G, m, u, n):
        c00, c10, c20, c30 = get_four(start, m, u)
        c01, c11, c21, c31 = get_four(start, m, u + 1)
        for s in range(n):
            a0, a1, a2, a3 = of(a, s, m), of(a, s, m + 1), of(a, s, m + 2), of(a, s, m + 3)
            d_s = of(d, s, u)
            c00, c10, c20, c30 = c00 + a0 * d_s, c10 + a1 * d_s, c20 + a2 * d_s, c30 + a3 * d_s
            d_s = of(d, s, u + 1)
            c01, c11, c21, c31 = c01 + a0 * d_s, c11 + a1 * d_s, c21 + a2 * d_s, c31 + a3 * d_s
        put_four(G, m, u, c00, c10, c20, c30)
        put_four(G, m, u + 1, c01, c11, c21, c31)

    @ordered
    def two_by_two(a, d, start, G, m, u, n):
        c00, c10 = get(start, m, u), get(start, m + 1, u)
        c01, c11 = get(start, m, u + 1), get(start, m + 1, u + 1)
        for s in range(n):
            a0, a1, d0, d1 = of(a, s, m), of(a, s, m + 1), of(d, s, u), of(d, s, u + 1)
            c00, c01 = c00 + a0 * d0, c01 + a0 * d1
            c10, c11 = c10 + a1 * d0, c11 + a1 * d1
        put(G, m, u, c00)
        put(G, m + 1, u, c10)
        put(G, m, u + 1, c01)
        put(G, m + 1, u + 1, c11)

    @ordered
    def one_by_one(a, d, start, G, m, u, n):
        c = get(start, m, u)
        for s in range(n):
            c = c + of(a, s, m) * of(d, s, u)
        put(G, m, u, c)

    return four_by_two, two_by_two, one_by_one


@functools.cache
def make_sums_over_rows(lanes: int) -> Any:
    """Make G = start + aᵀ d of n rows, for the units of d from *first* up to *after*.

    G and *start* are (units of a, units of d); a has *depth* units.
    """
    four_by_four = _make_largest_tile_over_rows(lanes)
    four_by_two, two_by_two, one_by_one = _make_smaller_tiles_over_rows(lanes)
    units_at_once = make_units_at_once(lanes)

    @inner
    def two_units(a, d, start, G, rest, depth, u, n):
        """The units u and u + 1 of d, and those of a from *rest* on."""
        m = rest
        while depth - m >= 4:
            four_by_two(a, d, start, G, m, u, n)
            m += 4
        if depth - m >= 2:
            two_by_two(a, d, start, G, m, u, n)
            m += 2
        if depth - m == 1:
            one_by_one(a, d, start, G, m, u, n)
            one_by_one(a, d, start, G, m, u + 1, n)

    @shared
    def sums_over_rows(a, d, start, G, depth, first, after, n):
        u = first
        while u < after - 1:
            fours, units = 0, 2
            if units_at_once(a.vector) == 4 and after - u >= 4:
                fours, units = depth - depth % 4, 4
            for m in range(0, fours, 4):
                four_by_four(a, d, start, G, m, u, n)
            for v in range(u, u + units, 2):
                two_units(a, d, start, G, fours, depth, v, n)
            u += units
        if u < after:
            for m in range(depth):
                one_by_one(a, d, start, G, m, u, n)

    return sums_over_rows
