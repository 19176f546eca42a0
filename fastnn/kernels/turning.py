"""Turning matrices: rows become columns, a square of a register's numbers at a time.

A square's rows are loaded, exchanged by halves, quarters and so on of the registers, and stored.
This file speaks LLVM, see `fastnn.kernels.lanes`.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from fastnn.kernels.jit import inner, shared
from fastnn.kernels.lanes import check_places, width
from fastnn.kernels.llvm import (
    at_most,
    first_lanes,
    load_vector,
    operation,
    register_bits,
    shuffle,
    stack,
    store_vector,
    whole_numbers,
)
from fastnn.kernels.tiles import Matrix, Vectors, view

_0 = np.uint64(0)
#: An array of what places are.
PLACES = np.empty(0, np.int64)


@inner
def turn(source, at, rows, columns, into, to, step):
    """Copy a (rows, columns) matrix as (columns, rows) with a *step* from row to row."""
    n = width(into)
    places = stack(n, PLACES)
    for first in range(_0, rows, n):
        for r in range(n):
            places[r] = at + (first + r) * columns
        turn_rows(source, places, rows - first, columns, into, to + first, step)


@shared
def turn_rows(source, places, rows, columns, into, to, step):
    """Copy rows that begin at *places*, at most as many as there are lanes, as columns."""
    n = width(into)
    for j in range(_0, columns, n):
        if rows >= n and columns - j >= n:
            turn_square(source, places, j, into, to + j * step, step)
        else:
            turn_square(source, places, j, into, to + j * step, step, rows, columns - j)


def turn_square(source, places, away, into, to, step, rows=None, columns=None):
    """Turn as many rows and columns as a register has numbers, or so many, if that is fewer.

    The rows begin *away* from the *places* in the vector *source*; as columns they go to the place
    *to* of the vector *into*, whose rows are a *step* apart. At least one row and column are there.
    """
    n = width(source)
    rows, columns = (n if count is None else min(int(count), n) for count in (rows, columns))
    out = view(Matrix(into, to, step, False), columns, rows)
    for r in range(rows):
        out[:, r] = view(Matrix(source, places[r] + int(away), 0, False), 1, columns)


def _type_turn_square(source, places, away, into, to, step, rows=None, columns=None):
    return types.none if source.dtype == into.dtype and into.mutable else None


@operation(turn_square, _type_turn_square)
def _emit_turn_square(context, builder, signature, values):
    number = signature.args[0].dtype
    size, n = number.bitwidth // 8, register_bits() // number.bitwidth
    source, starts, into = (
        context.make_array(signature.args[k])(context, builder, values[k]) for k in (0, 1, 3)
    )
    kinds, numbers = ((given[2], *given[4:]) for given in (signature.args, values))
    away, to, step, *counts = whole_numbers(context, builder, kinds, numbers)
    most = cgutils.intp_t(n)
    rows, columns = (at_most(builder, count, n) for count in counts) if counts else (most, most)

    def address_of(array, k, place, first, lines, along):
        """Where a line begins; and the mask of what is there of it, if not all.

        A line beyond the last is the first one once more: for memory that is not there a processor
        takes its time, whatever the mask says.
        """
        if counts:
            place = builder.select(builder.icmp_signed("<", cgutils.intp_t(k), lines), place, first)
        if context.enable_boundscheck:
            lengths = cgutils.unpack_tuple(builder, array.shape)
            check_places(context, builder, [place], [along], lengths)
        mask = first_lanes(builder, along, n, size) if counts else None
        return builder.gep(array.data, [place]), size, mask

    kind, lines = ir.VectorType(context.get_value_type(number), n), []
    begins = [builder.load(builder.gep(starts.data, [cgutils.intp_t(k)])) for k in range(n)]
    places = [builder.add(start, away) for start in begins]
    for k, place in enumerate(places):
        at = address_of(source, k, place, places[0], rows, columns)
        lines.append(load_vector(builder, kind, *at))
    for k, value in reversed(list(enumerate(_transposed(builder, lines)))):  # the first at last
        place = builder.add(to, builder.mul(cgutils.intp_t(k), step))
        at = address_of(into, k, place, to, columns, rows)
        store_vector(builder, value, *at)
    return context.get_dummy_value()


def _transposed(builder: Any, lines: Vectors) -> Vectors:
    """n vectors of n lanes with rows and columns changed: by halves, quarters and so on."""
    n, half = len(lines), len(lines) // 2
    while half:
        upper = [l if l & half == 0 else n + l - half for l in range(n)]
        lower = [l + half if l & half == 0 else n + l for l in range(n)]
        lines = [
            shuffle(builder, lines[k & ~half], lower if k & half else upper, lines[k | half])
            for k in range(n)
        ]
        half //= 2
    return lines
