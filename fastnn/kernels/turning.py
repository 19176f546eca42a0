"""Turning matrices: rows become columns, a square of a register's numbers at a time.

A square's rows are loaded, exchanged by halves, quarters and so on of the registers, and stored.
Of a few rows, or columns, several squares of four by four lie side by side in the registers.
This file speaks LLVM, see `fastnn.kernels.lanes`.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from fastnn.kernels.jit import inner
from fastnn.kernels.lanes import check_places, width
from fastnn.kernels.linked import linked
from fastnn.kernels.llvm import (
    at_most,
    first_lanes,
    lanes_of_register,
    literal,
    load_vector,
    operation,
    shuffle,
    stack,
    store_vector,
    whole_numbers,
)
from fastnn.kernels.tiles import Matrix, Vectors, view

_0 = np.uint64(0)
#: An array of what places are.
PLACES = np.empty(0, np.int64)
#: So many rows or columns are few.
FEW = 4


def _kinds(source: Any, at: Any, rows: Any, columns: Any, into: Any, to: Any, step: Any) -> Any:
    """What `turn` is compiled for."""
    vectors = all(array.ndim == 1 and array.layout == "C" for array in (source, into))
    if not vectors or source.dtype != into.dtype or not into.mutable:
        return None
    vector, place = types.Array(into.dtype, 1, "C"), types.uint64
    return vector, place, place, place, vector, place, place


@linked(_kinds)
def turn(source, at, rows, columns, into, to, step):
    """Copy a (rows, columns) matrix as (columns, rows) with a *step* from row to row."""
    n, few = width(into), few_lines(into)
    places, many = stack(n, PLACES), _in_squares(rows, n, few)
    for first in range(_0, many, n):
        for r in range(n):
            places[r] = at + (first + r) * columns
        left, beside = np.uint64(rows - first), np.uint64(to + first)  # as for `blocks.gather`
        turn_rows(source, places, left, columns, into, beside, step)
    for first in range(many, rows, few):
        for r in range(few):
            places[r] = at + (first + r) * columns
        for j in range(_0, columns, n):
            there = rows - first, columns - j
            turn_tile(few, n, source, places, j, into, to + first + j * step, step, there)


@inner
def turn_rows(source, places, rows, columns, into, to, step):
    """Copy rows that begin at *places*, at most as many as there are lanes, as columns."""
    n, few = width(into), few_lines(into)
    many = _in_squares(columns, n, few) if few < n or rows >= n else _0
    for j in range(_0, many, n):
        if few == n or (rows >= n and columns - j >= n):
            turn_tile(n, n, source, places, j, into, to + j * step, step)
        else:
            there = rows, columns - j
            turn_tile(n, n, source, places, j, into, to + j * step, step, there)
    for j in range(many, columns, few):
        there = rows, columns - j
        turn_tile(n, few, source, places, j, into, to + j * step, step, there)


@inner
def _in_squares(count, n, few):
    """How many lines are turned by squares: all but those of a last half square, or less."""
    return count - count % n if few == n else (count + n // 2 - 1) // n * n


def few_lines(array):
    """`FEW`, or the numbers of a register, if that is less. A constant."""
    return min(FEW, width(array))


@operation(
    few_lines, lambda array: types.literal(min(FEW, lanes_of_register(array.dtype.bitwidth // 8)))
)
def _emit_few_lines(context, builder, signature, values):
    return literal(signature)


def turn_tile(high, broad, source, places, away, into, to, step, there=None):
    """Turn *high* rows and *broad* columns, or so many as are *there*, at least one of each.

    The rows begin *away* from the *places* in the vector *source*; as columns they go to the place
    *to* of the vector *into*, whose rows are a *step* apart. *high* and *broad* are constants: what
    a register holds, or one of them `few_lines`.
    """
    rows, columns = (high, broad) if there is None else map(int, there)
    rows, columns = min(rows, high), min(columns, broad)
    out = view(Matrix(into, to, step, False), columns, rows)
    for r in range(rows):
        out[:, r] = view(Matrix(source, places[r] + int(away), 0, False), 1, columns)


def _type_turn_tile(high, broad, source, places, away, into, to, step, there=None):
    known = all(isinstance(size, types.IntegerLiteral) for size in (high, broad))
    return types.none if known and source.dtype == into.dtype and into.mutable else None


@operation(turn_tile, _type_turn_tile)
def _emit_turn_tile(context, builder, signature, values):
    high, broad = (kind.literal_value for kind in signature.args[:2])
    kinds, values = signature.args[2:], values[2:]
    source, starts, into = (
        context.make_array(kinds[k])(context, builder, values[k]) for k in (0, 1, 3)
    )
    whole = [(kinds[k], values[k]) for k in (2, 4, 5)]
    away, to, step = whole_numbers(context, builder, *zip(*whole, strict=True))
    rows, columns = cgutils.intp_t(high), cgutils.intp_t(broad)
    counted = len(values) == 7
    if counted:
        counts = cgutils.unpack_tuple(builder, values[6])
        counts = whole_numbers(context, builder, kinds[6].types, counts)
        rows, columns = (
            at_most(builder, *pair) for pair in zip(counts, (high, broad), strict=True)
        )
    number = context.get_value_type(kinds[0].dtype)
    size = kinds[0].dtype.bitwidth // 8

    def address_of(array, k, place, first, lines, along, n):
        """Where a line of n begins; and the mask of what is there of it, if not all.

        A line beyond the last is the first one once more: for memory that is not there a processor
        takes its time, whatever the mask says.
        """
        if counted:
            place = builder.select(builder.icmp_signed("<", cgutils.intp_t(k), lines), place, first)
        if context.enable_boundscheck:
            lengths = cgutils.unpack_tuple(builder, array.shape)
            check_places(context, builder, [place], [along], lengths)
        mask = first_lanes(builder, along, n, size) if counted else None
        return builder.gep(array.data, [place]), size, mask

    begins = [builder.load(builder.gep(starts.data, [cgutils.intp_t(k)])) for k in range(high)]
    places, lines = [builder.add(start, away) for start in begins], []
    for k, place in enumerate(places):
        at = address_of(source, k, place, places[0], rows, columns, broad)
        lines.append(load_vector(builder, ir.VectorType(number, broad), *at))
    turned = _turned(builder, lines)
    for k, value in reversed(list(enumerate(turned))):  # the first at last
        place = builder.add(to, builder.mul(cgutils.intp_t(k), step))
        store_vector(builder, value, *address_of(into, k, place, to, columns, rows, high))
    return context.get_dummy_value()


def _turned(builder: Any, lines: Vectors) -> Vectors:
    """Rows as columns: by squares that lie side by side, in as many vectors as one has lines."""
    high, broad = len(lines), lines[0].type.count
    side = min(high, broad)
    lines = [_joined(builder, lines[k::side]) for k in range(side)]
    n, half = lines[0].type.count, side // 2
    while half:  # rows and columns exchanged by halves, quarters and so on of the squares
        upper = [l if l & half == 0 else n + l - half for l in range(n)]
        lower = [l + half if l & half == 0 else n + l for l in range(n)]
        lines = [
            shuffle(builder, lines[k & ~half], lower if k & half else upper, lines[k | half])
            for k in range(side)
        ]
        half //= 2
    if high == n:
        return lines
    parts = [range(first, first + high) for first in range(0, n, high)]
    return [shuffle(builder, line, part) for part in parts for line in lines]


def _joined(builder: Any, vectors: Vectors) -> Any:
    """Vectors, a power of two, side by side in one."""
    while len(vectors) > 1:
        both = range(2 * vectors[0].type.count)
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        vectors = [shuffle(builder, a, both, b) for a, b in pairs]
    return vectors[0]
