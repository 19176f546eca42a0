"""Products of matrices whose entries are lanes: of each network with its own.

There is one, C_ij = S_ij + Σ_k A_ki B_kj, in tiles: what is loaded serves several sums, which stay
in registers. Every sum goes through its products in the same order, in whatever tile it is. This
file speaks LLVM, see `fastnn.kernels.lanes`.
"""

from collections import namedtuple
from collections.abc import Sequence
from typing import Any

from numba import types
from numba.core import cgutils

from fastnn.kernels.jit import inner, shared
from fastnn.kernels.lanes import check_places, load, store
from fastnn.kernels.llvm import (
    Lanes,
    lanes_of_register,
    literal,
    load_vector,
    operation,
    store_vector,
    vector_registers,
    whole_numbers,
)
from fastnn.kernels.tiles import SIX, Vectors, add_up, in_tiles, plus

#: A matrix whose entry (m, n) is *m* times *row* and *n* times *column* entries behind its *first*;
#: see `matrix`, which makes one.
Matrix = namedtuple("Matrix", "first row column")


def units_at_once(vector, lanes):
    """How many units go through all steps together, a constant: the columns of the broadest tile.

    Four where there are registers for a tile of four rows and them.
    """
    return _broadest(_room(vector.itemsize, lanes))


def _room(itemsize: int, lanes: int) -> int:
    """How many entries there are registers for."""
    return vector_registers() // max(1, lanes // lanes_of_register(itemsize))


def _broadest(room: int) -> int:
    return 4 if room >= 32 else 2 if room >= 8 else 1


def _type_units_at_once(vector, lanes):
    if not isinstance(lanes, types.IntegerLiteral):
        return None
    return types.literal(_broadest(_room(vector.dtype.bitwidth // 8, lanes.literal_value)))


@operation(units_at_once, _type_units_at_once)
def _emit_units_at_once(context, builder, signature, values):
    return literal(signature)


def matrix(vector, at, row, column, shape, lanes):
    """The matrix of that *shape* whose first entry is at the place ``at`` of a vector.

    Both sizes are at least 1, the steps *row* and *column* at least 0. It knows the address alone,
    not the vector: to pass it on costs little. So places are checked here, where they are.
    """
    last = at + (shape[0] - 1) * row + (shape[1] - 1) * column
    if not 0 <= at <= last < len(vector) // lanes:
        raise IndexError("lanes outside the array")
    return Matrix(vector[at * lanes :], row, column)


def _type_matrix(vector, at, row, column, shape, lanes):
    if vector.layout != "C" or not isinstance(lanes, types.IntegerLiteral):
        return None
    return types.NamedTuple((types.CPointer(vector.dtype), types.intp, types.intp), Matrix)


@operation(matrix, _type_matrix)
def _emit_matrix(context, builder, signature, values):
    array = context.make_array(signature.args[0])(context, builder, values[0])
    at, row, column = whole_numbers(context, builder, signature.args[1:4], values[1:4])
    lanes, one = cgutils.intp_t(signature.args[5].literal_value), cgutils.intp_t(1)
    start = builder.mul(at, lanes)
    if context.enable_boundscheck:
        sizes = cgutils.unpack_tuple(builder, values[4])
        shape = whole_numbers(context, builder, signature.args[4].types, sizes)
        rows, columns = (builder.sub(size, one) for size in shape)
        last = builder.add(builder.mul(rows, row), builder.mul(columns, column))
        count = builder.mul(builder.add(last, one), lanes)
        lengths = cgutils.unpack_tuple(builder, array.shape)
        check_places(context, builder, [start], [count], lengths)
    first = builder.gep(array.data, [start])
    first = builder.bitcast(first, context.get_value_type(signature.return_type[0]))
    return context.make_tuple(builder, signature.return_type, (first, row, column))


@inner
def turned(M):
    """Its transpose."""
    return Matrix(M.first, M.column, M.row)


def multiply(A, B, S, C, sizes, lanes):
    """C_ij = S_ij + Σ_k A_ki B_kj. *sizes* are rows, depth and columns; *lanes* is a constant.

    S may be C.
    """
    rows, depth, columns = sizes
    for i in range(rows):
        for j in range(columns):
            c = _entry(S, i, j, lanes)
            for k in range(depth):
                c = c + _entry(A, k, i, lanes) * _entry(B, k, j, lanes)
            store(C.first, (i * C.row + j * C.column) * lanes, c)


def _entry(M, m, n, lanes):
    return load(M.first, (m * M.row + n * M.column) * lanes, lanes)


def _type_multiply(A, B, S, C, sizes, lanes):
    return types.none if isinstance(lanes, types.IntegerLiteral) else None


@operation(multiply, _type_multiply)
def _emit_multiply(context, builder, signature, values):
    of_C, of_sizes, of_lanes = signature.args[3:]
    lanes = Lanes(of_C[0].dtype, of_lanes.literal_value)
    operands = [
        _Operand(context, builder, lanes, kind, value)
        for kind, value in zip(signature.args[:4], values[:4], strict=True)
    ]
    sizes = cgutils.unpack_tuple(builder, values[4])
    rows, depth, columns = whole_numbers(context, builder, of_sizes.types, sizes)

    def put(i, j, high, broad):
        _put(builder, operands, i, j, high, broad, depth)

    in_tiles(builder, rows, columns, _shapes(_room(lanes.dtype.bitwidth // 8, lanes.n)), put)
    return context.get_dummy_value()


def _shapes(room: int) -> dict[int, Sequence[int]]:
    """For `in_tiles`: tiles whose sums, a row of B and a number of A have room in the registers."""
    return {
        broad: [high for high in (8, SIX, 4, 2, 1) if high == 1 or (high + 1) * broad + 1 <= room]
        for broad in (4, 2, 1)
        if broad <= _broadest(room)
    }


def _put(builder: Any, operands: Any, i: Any, j: Any, high: int, broad: int, depth: Any) -> None:
    """Emit a tile of C from row i and column j on."""
    A, B, S, C = operands
    rows = [builder.add(i, cgutils.intp_t(r)) for r in range(high)]
    columns = [builder.add(j, cgutils.intp_t(c)) for c in range(broad)]
    places = [(row, column) for row in rows for column in columns]

    def round_of(k: Any, sums: Vectors) -> Vectors:
        a, b = [A.load(k, row) for row in rows], [B.load(k, column) for column in columns]
        pairs = [(x, y) for x in a for y in b]
        return [plus(builder, total, *pair) for total, pair in zip(sums, pairs, strict=True)]

    sums = [S.load(*place) for place in places]
    sums = add_up(builder, sums, cgutils.intp_t(0), depth, 1, round_of)
    for place, total in zip(places, sums, strict=True):
        C.store(*place, total)


@shared
def sums(a, W, start, z, sizes, lanes):
    """z = start + a W of n rows, which lie side by side in a (units, n) and in z.

    The product's A, B, S and C are a, W, start, which has one row, and z.
    """
    a, z = Matrix(a.first, a.row, 1), Matrix(z.first, 1, z.column)
    multiply(a, W, Matrix(start.first, 0, start.column), z, sizes, lanes)


@shared
def sums_over_rows(a, d, start, G, sizes, lanes):
    """G = start + aᵀ d of n rows, which lie side by side in a and d (units, n)."""
    a, d = Matrix(a.first, 1, a.column), Matrix(d.first, 1, d.column)
    multiply(a, d, start, Matrix(G.first, G.row, 1), sizes, lanes)


class _Operand:
    """A matrix in LLVM."""

    def __init__(self, context: Any, builder: Any, lanes: Lanes, kind: Any, value: Any):
        self._first, *steps = cgutils.unpack_tuple(builder, value)
        steps = whole_numbers(context, builder, kind.types[1:], steps)
        self._row, self._column = (builder.mul(step, cgutils.intp_t(lanes.n)) for step in steps)
        self._builder, self._kind = builder, context.get_value_type(lanes)
        self._size = lanes.dtype.bitwidth // 8

    def _address(self, m: Any, n: Any) -> Any:
        build = self._builder
        further = build.add(build.mul(m, self._row), build.mul(n, self._column))
        return build.gep(self._first, [further])

    def load(self, m: Any, n: Any) -> Any:
        """An entry."""
        return load_vector(self._builder, self._kind, self._address(m, n), self._size)

    def store(self, m: Any, n: Any, value: Any) -> None:
        """Write one."""
        store_vector(self._builder, value, self._address(m, n), self._size)
