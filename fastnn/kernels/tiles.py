"""Tiles of a matrix product: sums that stay in registers while what is loaded goes into several.

One load for each multiplication is what bounds a product written with three loops. So a few rows
and columns of the result are computed together:

    `tile`    rows by registers of columns. B's columns are loaded as they lie, and a number of A
              goes into all lanes: A may lie either way.
    `dots`    rows by columns of A Bᵀ, both as they lie: the lanes run along the products of a sum,
              and are added up at the end. All tiles of a product, by `in_tiles`.

A sum goes through its products in the same order in whatever tile it is. This file speaks LLVM, see
`fastnn.kernels.lanes`; the loops over the other tiles are in `fastnn.kernels.products`.
"""

from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from fastnn.kernels.lanes import check_places, width
from fastnn.kernels.llvm import (
    at_most,
    first_lanes,
    in_all_lanes,
    literal,
    load_vector,
    not_unrolled,
    operation,
    register_bits,
    shuffle,
    store_vector,
    vector_registers,
    whole_numbers,
)

#: A matrix in a flat *vector*: row-major from the place *at* on, *step* from row to row. With
#: *turned*, what lies there is its transpose.
Matrix = namedtuple("Matrix", "vector at step turned")

#: LLVM may make one instruction of a product and a sum, but not change the order of sums.
_FLAGS = ("contract", "nsz")

#: Rows of a tile: once, where fours would leave two or three.
SIX = 6

#: Some of LLVM's vectors; and what makes new sums of those before for a place k.
Vectors = list[Any]
Round = Callable[[Any, Vectors], Vectors]


def tile_side():
    """Four, or two where there are registers for no more: of a tile one side, the other being four.

    A constant. With four there are sixteen sums.
    """
    return 4 if vector_registers() == 32 else 2


@operation(tile_side, lambda: types.literal(tile_side()))
def _emit_tile_side(context, builder, signature, values):
    return literal(signature)


def tile(rows, registers, scale, A, B, keep, K, C, i, j, depth, count=None):
    """C = scale A B + keep K for so many rows from i on, and so many registers' columns from j on.

    Or, of one register or two, for *count* columns, more than all but the last hold. *rows* and
    *registers* are constants; *depth* is the number of A's columns. B is not turned. K may be C;
    turned, it is the same in all columns. If *keep* is zero it is not looked at.
    """
    columns = width(C.vector, registers)
    columns = columns if count is None else min(int(count), columns)
    _put(rows, columns, scale, A, B, keep, K, C, i, j, depth)


def dots(scale, A, B, keep, K, C, sizes):
    """C = scale A B + keep K, where A is not turned and B is; *sizes*: rows, depth, columns."""
    rows, depth, columns = sizes
    _put(rows, columns, scale, A, B, keep, K, C, 0, 0, depth)


def _put(rows, columns, scale, A, B, keep, K, C, i, j, depth):
    left, right = view(A, i + rows, depth)[i:], view(B, depth, j + columns)[:, j:]
    kept, out = (view(M, i + rows, j + columns)[i:, j:] for M in (K, C))
    out[...] = scale * (left @ right) + keep * kept if keep else scale * (left @ right)


def view(matrix, rows, columns):
    """A NumPy view of a matrix: for use without the JIT."""
    vector, at, step, turned = matrix
    if turned:
        return view(Matrix(vector, at, step, False), columns, rows).T
    rows, columns, step = int(rows), int(columns), int(step)
    if rows and columns and int(at) + (rows - 1) * step + columns > len(vector):
        raise IndexError("a tile outside the array")
    strides = (step * vector.itemsize, vector.itemsize)
    return np.lib.stride_tricks.as_strided(vector[at:], (rows, columns), strides)


class _Operand:
    """A matrix in LLVM."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any):
        vector, at, step, turned = cgutils.unpack_tuple(builder, value)
        self._context, self._builder = context, builder
        self._array = context.make_array(kind[0])(context, builder, vector)
        self._at, one = at, cgutils.intp_t(1)
        self.turned = context.cast(builder, turned, types.unliteral(kind[3]), types.boolean)
        self._row = builder.select(self.turned, one, step)
        self._column = builder.select(self.turned, step, one)

    def _place(self, row: Any, column: Any) -> Any:
        build = self._builder
        return build.add(build.mul(row, self._row), build.mul(column, self._column))

    def at(self, row: Any, column: Any) -> Any:
        """The address of a number."""
        place = self._builder.add(self._at, self._place(row, column))
        return self._builder.gep(self._array.data, [place])

    def check(self, row: Any, column: Any, rows: Any, columns: Any) -> None:
        """With bounds checks: that so many rows and columns from a place on are in the vector."""
        if self._context.enable_boundscheck:
            build, one = self._builder, cgutils.intp_t(1)
            first = build.add(self._at, self._place(row, column))
            further = self._place(build.sub(rows, one), build.sub(columns, one))
            lengths = cgutils.unpack_tuple(build, self._array.shape)
            check_places(self._context, build, [first], [build.add(further, one)], lengths)


def add_up(
    builder: Any, sums: Vectors, start: Any, stop: Any, step: int, round_of: Round,
    unrolls: bool = False,
) -> Vectors:  # fmt: skip
    """Emit a loop in which k goes from *start* to *stop*: what the sums are after it.

    Two rounds at once would have more addresses than there are registers: LLVM takes them from the
    stack then. Only the largest tile makes up for that.
    """
    before = builder.basic_block
    head, body, after = (builder.append_basic_block(name) for name in ("head", "round", "after"))
    builder.branch(head)
    builder.position_at_end(head)
    k, variables = builder.phi(start.type), [builder.phi(value.type) for value in sums]
    builder.cbranch(builder.icmp_signed("<", k, stop), body, after)
    builder.position_at_end(body)
    new = [builder.add(k, start.type(step)), *round_of(k, variables)]
    for variable, first, later in zip([k, *variables], [start, *sums], new, strict=True):
        variable.add_incoming(first, before)
        variable.add_incoming(later, builder.basic_block)
    back = builder.branch(head)
    if not unrolls:
        not_unrolled(builder, back)
    builder.position_at_end(after)
    return variables


def in_tiles(
    builder: Any,
    rows: Any,
    columns: Any,
    shapes: dict[int, Sequence[int]],
    put: Callable[..., None],
) -> None:
    """Emit loops over the tiles of a matrix, with what *put* emits for each.

    *shapes* says for numbers of columns which numbers of rows a tile may have: powers of two in
    falling order, down to 1, and `SIX`. What one leaves is for the next.
    """
    j = cgutils.intp_t(0)
    for broad, heights in shapes.items():
        after_columns = _after(builder, j, columns, broad)
        with _steps(builder, j, after_columns, broad) as (column, _):
            i = cgutils.intp_t(0)
            for high in heights:
                after_rows = _after(builder, i, rows, high)
                with _steps(builder, i, after_rows, high) as (row, _):
                    put(row, column, high, broad)
                i = after_rows
        j = after_columns


def _steps(builder: Any, start: Any, stop: Any, step: int) -> Any:
    return cgutils.for_range_slice(builder, start, stop, cgutils.intp_t(step))


def _after(builder: Any, start: Any, stop: Any, step: int) -> Any:
    """Where whole steps end."""
    of, left = cgutils.intp_t, builder.sub(stop, start)
    if step != SIX:
        return builder.add(start, builder.and_(left, of(-step)))
    two_or_three = builder.icmp_unsigned("!=", builder.and_(left, of(2)), of(0))
    fits = builder.icmp_signed(">=", left, of(SIX))
    return builder.select(builder.and_(two_or_three, fits), builder.add(start, of(SIX)), start)


def plus(builder: Any, total: Any, a: Any, b: Any) -> Any:
    """*total* + a b."""
    return builder.fadd(total, builder.fmul(a, b, flags=_FLAGS), flags=_FLAGS)


def _either(
    builder: Any, condition: Any, this: Callable[[], Vectors], that: Callable[[], Vectors]
) -> Vectors:
    """Emit both, and a choice: the vectors of the one that is taken."""
    with builder.if_else(condition) as (then, otherwise):
        with then:
            those, one = this(), builder.basic_block
        with otherwise:
            others, other = that(), builder.basic_block
    chosen = [builder.phi(value.type) for value in those]
    for phi, value, another in zip(chosen, those, others, strict=True):
        phi.add_incoming(value, one)
        phi.add_incoming(another, other)
    return chosen


class _Product:
    """What both operations are given, in LLVM: *scale*, A, B, *keep*, K and C."""

    def __init__(self, context: Any, builder: Any, kinds: Any, values: Any):
        scale, a, b, keep, k, c = zip(kinds, values, strict=True)
        self.a, self.b, self.k, self.c = (
            _Operand(context, builder, *matrix) for matrix in (a, b, k, c)
        )
        number = c[0][0].dtype
        self.builder, self.size = builder, number.bitwidth // 8
        self.number = context.get_value_type(number)
        self.lanes = register_bits() // number.bitwidth
        self._scale, self._keep = (
            context.cast(builder, value, types.unliteral(kind), number)
            for kind, value in (scale, keep)
        )

    def zeros(self, count: int, lanes: int) -> Vectors:
        """So many sums of nothing."""
        return [ir.VectorType(self.number, lanes)([0.0] * lanes)] * count

    def check_out(self, row: Any, column: Any, rows: Any, columns: Any) -> None:
        """With bounds checks, of K and C."""
        for matrix in (self.k, self.c):
            matrix.check(row, column, rows, columns)

    def number_at(self, address: Any) -> Any:
        """A number that lies somewhere."""
        return self.builder.load(address, align=self.size)

    def vector_at(self, address: Any, lanes: int, mask: Any) -> Any:
        """The numbers from an address on; a mask says what is there of the last register."""
        if mask is not None and lanes > self.lanes:
            last = self.vector_at(self._next(address), self.lanes, mask)
            return shuffle(
                self.builder, self.vector_at(address, self.lanes, None), range(lanes), last
            )
        kind = ir.VectorType(self.number, lanes)
        return load_vector(self.builder, kind, address, self.size, mask)

    def store_at(self, value: Any, address: Any, mask: Any) -> None:
        """Write them."""
        n, lanes = self.lanes, value.type.count
        if mask is not None and lanes > n:
            self.store_at(shuffle(self.builder, value, range(n)), address, None)
            value, address = shuffle(self.builder, value, range(n, lanes)), self._next(address)
        store_vector(self.builder, value, address, self.size, mask)

    def _next(self, address: Any) -> Any:
        return self.builder.gep(address, [cgutils.intp_t(self.lanes)])

    def put(self, i: Any, j: Any, rows: Vectors, mask: Any) -> None:
        """Write a tile's rows, scaled, and with them what is kept, from row i and column j on."""
        build, lanes = self.builder, rows[0].type.count
        numbers = [build.add(i, cgutils.intp_t(r)) for r in range(len(rows))]
        kept = build.fcmp_unordered("!=", self._keep, self.number(0.0))
        # All before the first store: what was just stored would have to be waited for.
        starts = _either(
            build,
            kept,
            lambda: self._kept(numbers, j, lanes, mask),
            lambda: self.zeros(len(rows), lanes),
        )
        scale = in_all_lanes(build, self._scale, lanes)
        for number, start, row in zip(numbers, starts, rows, strict=True):
            self.store_at(plus(build, start, scale, row), self.c.at(number, j), mask)

    def _kept(self, numbers: Vectors, j: Any, lanes: int, mask: Any) -> Vectors:
        """Rows of K with these numbers, from column j on, times *keep*."""
        build = self.builder
        keep = in_all_lanes(build, self._keep, lanes)

        def from_columns() -> Vectors:
            places = [self.k.at(number, j) for number in numbers]
            return [in_all_lanes(build, self.number_at(place), lanes) for place in places]

        def from_rows() -> Vectors:
            return [self.vector_at(self.k.at(number, j), lanes, mask) for number in numbers]

        rows = _either(build, self.k.turned, from_columns, from_rows)
        return [build.fmul(keep, row, flags=_FLAGS) for row in rows]


def _type_put(constants, A, B, K, C):
    known = all(isinstance(constant, types.IntegerLiteral) for constant in constants)
    arrays = [matrix[0] for matrix in (A, B, K, C)]
    alike = all(a.layout == "C" and a.dtype == arrays[3].dtype for a in arrays)
    return types.none if known and alike and arrays[3].mutable else None


def _type_tile(rows, registers, scale, A, B, keep, K, C, i, j, depth, count=None):
    return _type_put((rows, registers), A, B, K, C)


@operation(tile, _type_tile)
def _emit_tile(context, builder, signature, values):
    n_rows, registers = (kind.literal_value for kind in signature.args[:2])
    product = _Product(context, builder, signature.args[2:8], values[2:8])
    i, j, depth = whole_numbers(context, builder, signature.args[8:11], values[8:11])
    zero, lanes, mask = cgutils.intp_t(0), registers * product.lanes, None
    n_columns = cgutils.intp_t(lanes)
    if len(values) == 12:
        [count] = whole_numbers(context, builder, signature.args[11:], values[11:])
        n_columns = at_most(builder, count, lanes)
        in_last = builder.sub(n_columns, cgutils.intp_t(lanes - product.lanes))
        mask = first_lanes(builder, in_last, product.lanes, product.size)
    product.a.check(i, zero, cgutils.intp_t(n_rows), depth)
    product.b.check(zero, j, depth, n_columns)
    product.check_out(i, j, cgutils.intp_t(n_rows), n_columns)
    rows = [builder.add(i, cgutils.intp_t(r)) for r in range(n_rows)]

    def round_of(k, sums):
        b = product.vector_at(product.b.at(k, j), lanes, mask)
        numbers = [product.number_at(product.a.at(row, k)) for row in rows]
        return [
            plus(builder, total, in_all_lanes(builder, a, lanes), b)
            for total, a in zip(sums, numbers, strict=True)
        ]

    sums, shape = product.zeros(n_rows, lanes), (n_rows, registers)
    largest = mask is None and shape == (4, tile_side())
    product.put(i, j, add_up(builder, sums, zero, depth, 1, round_of, largest), mask)
    return context.get_dummy_value()


def _type_dots(scale, A, B, keep, K, C, sizes):
    return _type_put((), A, B, K, C)


@operation(dots, _type_dots)
def _emit_dots(context, builder, signature, values):
    product, zero = _Product(context, builder, signature.args[:6], values[:6]), cgutils.intp_t(0)
    sizes = cgutils.unpack_tuple(builder, values[6])
    rows, depth, columns = whole_numbers(context, builder, signature.args[6].types, sizes)
    product.a.check(zero, zero, rows, depth)
    product.b.check(zero, zero, depth, columns)
    product.check_out(zero, zero, rows, columns)
    whole = builder.and_(depth, cgutils.intp_t(-product.lanes))

    def put(i, j, high, broad):
        _put_dots(product, i, j, high, broad, whole, depth)

    heights = tile_side(), 1
    in_tiles(builder, rows, columns, {4: heights, 2: heights, 1: heights}, put)
    return context.get_dummy_value()


def _put_dots(
    product: _Product, i: Any, j: Any, high: int, broad: int, whole: Any, depth: Any
) -> None:
    """Emit a tile; up to *whole* its sums fill the lanes."""
    builder, lanes = product.builder, product.lanes
    rows = [builder.add(i, cgutils.intp_t(r)) for r in range(high)]
    columns = [builder.add(j, cgutils.intp_t(c)) for c in range(broad)]

    def round_of(k, sums, mask=None):
        a = [product.vector_at(product.a.at(row, k), lanes, mask) for row in rows]
        b = [product.vector_at(product.b.at(k, column), lanes, mask) for column in columns]
        pairs = [(x, y) for x in a for y in b]
        return [plus(builder, total, *pair) for total, pair in zip(sums, pairs, strict=True)]

    def last_round_of(k, sums):
        return round_of(k, sums, first_lanes(builder, builder.sub(depth, k), lanes, product.size))

    sums = product.zeros(high * broad, lanes)
    sums = add_up(builder, sums, cgutils.intp_t(0), whole, lanes, round_of)
    sums = add_up(builder, sums, whole, depth, lanes, last_round_of)
    totals = [_totals(builder, sums[r * broad : (r + 1) * broad]) for r in range(high)]
    product.put(i, j, totals, None)


def _totals(builder: Any, sums: Vectors) -> Any:
    """A vector of the sums across the lanes of each, each of them halved as `lanes.total` does."""
    group = lanes = sums[0].type.count
    while group > 1:  # the upper half of each group of lanes is added to the lower one
        halves = []
        for half in (0, group // 2):
            chosen = [g + half + l for g in range(0, 2 * lanes, group) for l in range(group // 2)]
            if len(sums) > 1:
                pairs = zip(sums[::2], sums[1::2], strict=True)
                halves.append([shuffle(builder, a, chosen, b) for a, b in pairs])
            else:
                halves.append([shuffle(builder, sums[0], chosen[: len(chosen) // 2])])
        sums = [builder.fadd(a, b, flags=_FLAGS) for a, b in zip(*halves, strict=True)]
        lanes, group = sums[0].type.count, group // 2
    while len(sums) > 1:
        both = range(2 * sums[0].type.count)
        sums = [shuffle(builder, a, both, b) for a, b in zip(sums[::2], sums[1::2], strict=True)]
    return sums[0]
