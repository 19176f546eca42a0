"""Products of matrices whose entries are lanes: of each network with its own.

In tiles: what is loaded serves several sums, which stay in registers. Every sum goes through its
products in the same order, whatever the tile. Both products here are C_ij = S_ij + Σ_k A_ki B_kj:
what the four are says a `Product`, and the tiles are written once.
"""

import functools
from collections import namedtuple
from typing import Any

from fastnn.kernels.jit import inner, ordered, shared
from fastnn.kernels.lanes import load, store, width
from fastnn.kernels.tiles import tile_side

#: Of some units in a batch: that of row s and unit u is at the place ``at + u * height + s``.
Units = namedtuple("Units", "vector at height")
#: A matrix whose entry (m, n) is at the place ``at + m * row + n * column`` of a vector.
Matrix = namedtuple("Matrix", "vector at row column")


@functools.cache
def make_units_at_once(lanes: int) -> Any:
    """Make what says how many units go through all steps together.

    Four where there are registers for a tile of four rows and them, else two.
    """

    @inner
    def units_at_once(vector):
        return tile_side() if lanes <= width(vector) else 2

    return units_at_once


#: How to read A_ki, B_kj and S_ij, each of a matrix and two numbers, and how to write C_ij.
Product = namedtuple("Product", "a b start put")


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


def _make_columns_of_four(product: Product) -> Any:
    """Make what reads A_k, and begins and ends a column of C, for four of its rows."""
    a_of, start_of, put = product.a, product.start, product.put

    @inner
    def four_of(A, k, i):
        return a_of(A, k, i), a_of(A, k, i + 1), a_of(A, k, i + 2), a_of(A, k, i + 3)

    @inner
    def begin(S, i, j):
        return (
            start_of(S, i, j),
            start_of(S, i + 1, j),
            start_of(S, i + 2, j),
            start_of(S, i + 3, j),
        )

    @inner
    def end(C, i, j, c0, c1, c2, c3):
        put(C, i, j, c0)
        put(C, i + 1, j, c1)
        put(C, i + 2, j, c2)
        put(C, i + 3, j, c3)

    return four_of, begin, end


def _make_tiles_of_four_rows(product: Product) -> Any:
    """Make tiles of C from row i and column j on: 4 x 4, 4 x 2 and 4 x 1."""
    four_of, begin, end = _make_columns_of_four(product)
    b_of = product.b

    @ordered
    def four_by_four(A, B, S, C, i, j, depth):
        c00, c10, c20, c30 = begin(S, i, j)
        c01, c11, c21, c31 = begin(S, i, j + 1)
        c02, c12, c22, c32 = begin(S, i, j + 2)
        c03, c13, c23, c33 = begin(S, i, j + 3)
        for k in range(depth):
            a0, a1, a2, a3 = four_of(A, k, i)
            b = b_of(B, k, j)
            c00, c10, c20, c30 = c00 + a0 * b, c10 + a1 * b, c20 + a2 * b, c30 + a3 * b
            b = b_of(B, k, j + 1)
            c01, c11, c21, c31 = c01 + a0 * b, c11 + a1 * b, c21 + a2 * b, c31 + a3 * b
            b = b_of(B, k, j + 2)
            c02, c12, c22, c32 = c02 + a0 * b, c12 + a1 * b, c22 + a2 * b, c32 + a3 * b
            b = b_of(B, k, j + 3)
            c03, c13, c23, c33 = c03 + a0 * b, c13 + a1 * b, c23 + a2 * b, c33 + a3 * b
        end(C, i, j, c00, c10, c20, c30)
        end(C, i, j + 1, c01, c11, c21, c31)
        end(C, i, j + 2, c02, c12, c22, c32)
        end(C, i, j + 3, c03, c13, c23, c33)

    @ordered
    def four_by_two(A, B, S, C, i, j, depth):
        c00, c10, c20, c30 = begin(S, i, j)
        c01, c11, c21, c31 = begin(S, i, j + 1)
        for k in range(depth):
            a0, a1, a2, a3 = four_of(A, k, i)
            b = b_of(B, k, j)
            c00, c10, c20, c30 = c00 + a0 * b, c10 + a1 * b, c20 + a2 * b, c30 + a3 * b
            b = b_of(B, k, j + 1)
            c01, c11, c21, c31 = c01 + a0 * b, c11 + a1 * b, c21 + a2 * b, c31 + a3 * b
        end(C, i, j, c00, c10, c20, c30)
        end(C, i, j + 1, c01, c11, c21, c31)

    @ordered
    def four_by_one(A, B, S, C, i, j, depth):
        c0, c1, c2, c3 = begin(S, i, j)
        for k in range(depth):
            a0, a1, a2, a3 = four_of(A, k, i)
            b = b_of(B, k, j)
            c0, c1, c2, c3 = c0 + a0 * b, c1 + a1 * b, c2 + a2 * b, c3 + a3 * b
        end(C, i, j, c0, c1, c2, c3)

    return four_by_four, four_by_two, four_by_one


def _make_smaller_tiles(product: Product) -> Any:
    """Make tiles of C from row i and column j on: 2 x 2, 1 x 2 and 1 x 1."""
    a_of, b_of, start_of, put = product

    @ordered
    def two_by_two(A, B, S, C, i, j, depth):
        c00, c10 = start_of(S, i, j), start_of(S, i + 1, j)
        c01, c11 = start_of(S, i, j + 1), start_of(S, i + 1, j + 1)
        for k in range(depth):
            a0, a1, b0, b1 = a_of(A, k, i), a_of(A, k, i + 1), b_of(B, k, j), b_of(B, k, j + 1)
            c00, c01 = c00 + a0 * b0, c01 + a0 * b1
            c10, c11 = c10 + a1 * b0, c11 + a1 * b1
        put(C, i, j, c00)
        put(C, i + 1, j, c10)
        put(C, i, j + 1, c01)
        put(C, i + 1, j + 1, c11)

    @ordered
    def one_by_two(A, B, S, C, i, j, depth):
        c0, c1 = start_of(S, i, j), start_of(S, i, j + 1)
        for k in range(depth):
            a = a_of(A, k, i)
            c0, c1 = c0 + a * b_of(B, k, j), c1 + a * b_of(B, k, j + 1)
        put(C, i, j, c0)
        put(C, i, j + 1, c1)

    @ordered
    def one_by_one(A, B, S, C, i, j, depth):
        c = start_of(S, i, j)
        for k in range(depth):
            c = c + a_of(A, k, i) * b_of(B, k, j)
        put(C, i, j, c)

    return two_by_two, one_by_two, one_by_one


@functools.cache
def make_sums(lanes: int) -> Any:
    """Make z = start + a W of n rows, for the units from *first* up to *after*.

    These are columns of W, (depth, units), and of *start*, a matrix of one row.
    """
    of, put_of, get, _ = _make_access(lanes)

    @inner
    def value(a, k, s):
        return of(a, s, k)

    @inner
    def start_of_unit(start, s, u):
        return get(start, 0, u)

    product = Product(value, get, start_of_unit, put_of)
    four_by_four, four_by_two, four_by_one = _make_tiles_of_four_rows(product)
    _, one_by_two, one_by_one = _make_smaller_tiles(product)
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
def make_sums_over_rows(lanes: int) -> Any:
    """Make G = start + aᵀ d of n rows, for the units of d from *first* up to *after*.

    G and *start* are (units of a, units of d); a has *depth* units.
    """
    of, _, get, put = _make_access(lanes)
    product = Product(of, of, get, put)
    four_by_four, four_by_two, four_by_one = _make_tiles_of_four_rows(product)
    two_by_two, _, one_by_one = _make_smaller_tiles(product)
    units_at_once = make_units_at_once(lanes)

    @inner
    def turned(matrix):
        return Matrix(matrix.vector, matrix.at, matrix.column, matrix.row)

    @inner
    def four_units(a, d, start, G, depth, u, n):
        """The units from u to u + 3 of d."""
        fours = depth - depth % 4
        for m in range(0, fours, 4):
            four_by_four(a, d, start, G, m, u, n)
        start, G = turned(start), turned(G)  # what is left is short on the other side
        for m in range(fours, depth - 1, 2):
            four_by_two(d, a, start, G, u, m, n)
        if depth % 2 == 1:
            four_by_one(d, a, start, G, u, depth - 1, n)

    @inner
    def two_units(a, d, start, G, depth, u, n):
        """The units u and u + 1 of d."""
        m = 0
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
            if units_at_once(a.vector) == 4 and after - u >= 4:
                four_units(a, d, start, G, depth, u, n)
                u += 4
            else:
                two_units(a, d, start, G, depth, u, n)
                u += 2
        if u < after:
            fours = depth - depth % 4
            for m in range(0, fours, 4):
                four_by_one(a, d, start, G, m, u, n)
            for m in range(fours, depth):
                one_by_one(a, d, start, G, m, u, n)

    return sums_over_rows
