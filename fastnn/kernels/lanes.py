"""SIMD values: n numbers that are computed with at once.

A processor has registers of 128 to 512 bits and instructions that add, multiply or compare all the
numbers in them at once: 16 float32 in AVX-512, 8 in AVX2, 4 in SSE2 and NEON; of float64 half as
many. Each place for a number is called a lane. A compiler can find such instructions for a loop by
itself, if it can prove that rounds of the loop do not depend on one another, and it tells nobody
why it did not. With a value for n numbers there is nothing to prove: what is written is done.

numba has no such type, but can be taught one, in three steps, of which the first is in
`fastnn.kernels.llvm`. Beside these two files `estimates`, `held`, `many_products`, `tiles` and
`turning` speak LLVM.

1. A type, `Lanes`, and its model: how LLVM represents it. LLVM has vectors: ``<8 x double>``.
2. For each function and operator its typing: the type of the result, from those of the arguments.
3. For each its lowering: the LLVM instructions, made by calls of a builder.

So a kernel reads as for single numbers, but goes on by n of them:

>>> import numpy as np
>>> from fastnn.kernels.jit import inner, kernel
>>> from fastnn.kernels.lanes import load, store, width
>>> @inner
... def axpy(a, x, y, k, n, count):
...     store(y, k, a * load(x, k, n, count) + load(y, k, n, count), count)
>>> @kernel
... def add_times(a, x, y):
...     n = width(x)  # of the machine, known when this is compiled
...     whole = len(x) - len(x) % n
...     for k in range(0, whole, n):
...         axpy(a, x, y, k, n, n)
...     axpy(a, x, y, whole, n, len(x) - whole)
>>> x, y = np.arange(11.0), np.ones(11)
>>> add_times(2.0, x, y)
>>> y
array([ 1.,  3.,  5.,  7.,  9., 11., 13., 15., 17., 19., 21.])

The end. The last numbers rarely fill all lanes. `load` and `store` take a *count* of lanes that are
there; memory of the others is not touched, and they are 0. Where the count is a constant, as in the
loop above, LLVM leaves the mask out: one source serves both.

The number of lanes belongs to the type, so it must be known when a kernel is compiled: a constant
in the kernel or in its closure, or `width`. It may be more than a register has: LLVM then takes
several, whose instructions need not wait for one another. It is a power of two. The machine is the
one that numba compiles for, NUMBA_CPU_NAME and NUMBA_CPU_FEATURES included; a name without
features is taken for one without AVX.

Numbers and lanes. A number beside lanes of its own type stands for all of them. Other types are
refused, since a float64 would quietly double the work; `constant` makes 0.5 of the type that is
needed. Comparisons give a mask, a lane of bits. There are no branches for single lanes: both sides
are computed, and `select` chooses. It, `minimum` and all functions of one argument take plain
numbers too, so that one source can serve both.

Order. Nothing is added up across lanes but by `total`, always in the same order (as by `dots` in
`fastnn.kernels.tiles`). The compiler's freedoms are those of the function that an operation is
written in (`fastnn.kernels.jit`).

With the JIT off the functions are what their Python says, on NumPy arrays of n numbers. There is no
``+=``, which would change an array under all names that it has.
With ``NUMBA_BOUNDSCHECK=1`` places are checked, always without the JIT: IndexError.
"""

import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from fastnn.kernels.llvm import (
    Lanes,
    at_most,
    call,
    compare,
    element,
    first_lanes,
    is_float,
    joint,
    like,
    literal,
    load_vector,
    mangled,
    operation,
    register_bits,
    shuffle,
    spread,
    spread_pair,
    square_root,
    store_vector,
    whole_numbers,
)


def width(array, registers=1):
    """How many numbers of the array's type are in so many registers of the machine: a constant."""
    return registers * 64 // array.itemsize


def _type_width(array, registers=None):
    times = 1 if registers is None else getattr(registers, "literal_value", None)
    return times and types.literal(times * register_bits() // array.dtype.bitwidth)


@operation(width, _type_width)
def _emit_width(context, builder, signature, values):
    return literal(signature)


def prefer_wide_vectors():
    """Called in a kernel: LLVM's own vectors be the widest there are, which it shuns on many CPUs.

    Worth it in long loops: 20 % with AVX-512 for 128 units. Without such vectors it does nothing.
    """


@operation(prefer_wide_vectors, lambda: types.none)
def _emit_attribute(context, builder, signature, values):
    # llvmlite's own `add` knows only attributes without a value; it prints what is there.
    set.add(builder.function.attributes, '"prefer-vector-width"="512"')
    return context.get_dummy_value()


# Memory


def load(array, at, n, count=None):
    """n numbers from a place in an array on; with a *count* so many of them, and zeros.

    The array is C-contiguous. If it has several dimensions, *at* is a tuple, and lanes run along
    the last one.
    """
    there = n if count is None else max(0, min(count, n))
    value = np.zeros(n, array.dtype)
    value[:there] = _row(array, at, there)
    return value


def store(array, at, value, count=None):
    """Write all lanes of a value, or the first *count* of them, from a place in an array on."""
    there = len(value) if count is None else max(0, min(count, len(value)))
    _row(array, at, there)[...] = value[:there]


def _row(array, at, n):
    *rows, first = at if isinstance(at, tuple) else (at,)
    row = array[tuple(rows)]
    if n > 0 and (min(first, *rows, 0) < 0 or first + n > len(row)):
        raise IndexError("lanes outside the array")
    return row[first : first + n]


def gather(array, rows, at, column, n):
    """n numbers from a column of a C-contiguous matrix: those in *rows*, int64, from a place on.

    By way of memory lanes would have to wait until the last of them is written.
    """
    return np.array([_row(array, (row, column), 1)[0] for row in _row(rows, at, n)], array.dtype)


def _is_place(array: Any, at: Any) -> bool:
    """Whether these are a contiguous array and a place in it."""
    places = [types.unliteral(place) for place in getattr(at, "types", (at,))]
    contiguous = isinstance(array, types.Array) and array.layout == "C"
    whole = all(isinstance(place, types.Integer) for place in places)
    return contiguous and array.ndim == len(places) and whole


def _type_load(array, at, n, count=None):
    known = isinstance(n, types.IntegerLiteral) and _is_place(array, at)
    return Lanes(array.dtype, n.literal_value) if known else None


def _type_store(array, at, value, count=None):
    known = isinstance(value, Lanes) and _is_place(array, at) and array.mutable
    return types.none if known and array.dtype == value.dtype else None


@operation(load, _type_load)
def _emit_load(context, builder, signature, values):
    lanes = signature.return_type
    place = _place(context, builder, lanes, signature.args, values)
    return load_vector(builder, context.get_value_type(lanes), *place)


@operation(store, _type_store)
def _emit_store(context, builder, signature, values):
    place = _place(context, builder, signature.args[2], signature.args, values)
    store_vector(builder, values[2], *place)
    return context.get_dummy_value()


def _type_gather(array, rows, at, column, n):
    matrix = getattr(array, "layout", "") == "C" and array.ndim == 2
    known = isinstance(n, types.IntegerLiteral) and rows.dtype == types.int64
    return Lanes(array.dtype, n.literal_value) if matrix and known else None


@operation(gather, _type_gather)
def _emit_gather(context, builder, signature, values):
    lanes, (matrix, of_rows, of_at, of_column, _) = signature.return_type, signature.args
    array = context.make_array(matrix)(context, builder, values[0])
    rows = context.make_array(of_rows)(context, builder, values[1])
    at, column = whole_numbers(context, builder, [of_at, of_column], values[2:4])
    lengths = cgutils.unpack_tuple(builder, array.shape)
    if context.enable_boundscheck:
        known = cgutils.unpack_tuple(builder, rows.shape)
        check_places(context, builder, [at], [cgutils.intp_t(lanes.n)], known)
    value = ir.VectorType(context.get_value_type(lanes.dtype), lanes.n)(ir.Undefined)
    for l in range(lanes.n):
        row = builder.load(builder.gep(rows.data, [builder.add(at, cgutils.intp_t(l))]))
        if context.enable_boundscheck:
            check_places(context, builder, [row, column], [cgutils.intp_t(1)] * 2, lengths)
        place = builder.add(builder.mul(row, lengths[1]), column)
        number = builder.load(builder.gep(array.data, [place]))
        value = builder.insert_element(value, number, cgutils.int32_t(l))
    return value


def _place(context, builder, lanes, kinds, values):
    """From the arguments of both: where the lanes begin, a number's bytes, and the count's mask."""
    array = context.make_array(kinds[0])(context, builder, values[0])
    several = isinstance(kinds[1], types.BaseTuple)
    places = cgutils.unpack_tuple(builder, values[1]) if several else [values[1]]
    places = whole_numbers(context, builder, getattr(kinds[1], "types", kinds[1:2]), places)
    count, mask, size = cgutils.intp_t(lanes.n), None, lanes.dtype.bitwidth // 8
    if len(values) == 4:
        [wanted] = whole_numbers(context, builder, kinds[3:], values[3:])
        count = at_most(builder, wanted, lanes.n)
        mask = first_lanes(builder, count, lanes.n, size)
    if context.enable_boundscheck:
        counts = [cgutils.intp_t(1)] * (len(places) - 1) + [count]
        check_places(context, builder, places, counts, cgutils.unpack_tuple(builder, array.shape))
    return cgutils.get_item_pointer(context, builder, kinds[0], array, places), size, mask


def check_places(context, builder, places, counts, lengths):
    """For lowerings: IndexError if a place and as many as *counts* from it on are not there."""
    zero = cgutils.intp_t(0)
    used = builder.icmp_signed(">", counts[-1], zero)
    for place, count, length in zip(places, counts, lengths, strict=True):
        below = builder.icmp_signed("<", place, zero)
        beyond = builder.icmp_signed(">", builder.add(place, count), length)
        outside = builder.and_(used, builder.or_(below, beyond))
        with builder.if_then(outside, likely=False):
            context.call_conv.return_user_exc(builder, IndexError, ("lanes outside the array",))


# Numbers in all lanes


def splat(x, n):
    """n lanes of the number x."""
    return np.full(n, x)


def constant(value, like):
    """A number as the type of another value, lanes or not."""
    return np.full(len(like), value, like.dtype) if np.ndim(like) else type(like)(value)


def _type_splat(x, n):
    return Lanes(types.unliteral(x), n.literal_value) if isinstance(n, types.Literal) else None


@operation(splat, _type_splat)
@operation(constant, lambda value, like: types.unliteral(like))
def _emit_spread(context, builder, signature, values):
    return spread(context, builder, values[0], signature.args[0], signature.return_type)


# Arithmetic

_PAIRS = ((Lanes, Lanes), (Lanes, types.Number), (types.Number, Lanes))


def _type_pair(a: Any, b: Any) -> Any:
    """For operators, whose plain numbers are numba's own."""
    return joint(a, b) if isinstance(a, Lanes) or isinstance(b, Lanes) else None


def _type_one(a: Any) -> Any:
    return a if isinstance(a, Lanes) else None


def _is_unsigned(lanes: Any) -> bool:
    return isinstance(lanes.dtype, types.Integer) and not lanes.dtype.signed


def _define_arithmetic(function: Any, of_floats: str, of_integers: str) -> None:
    """An operator by LLVM's instructions, of floats, and of integers and masks; "" for none."""

    def typed(a: Any, b: Any) -> Any:
        lanes = _type_pair(a, b)
        floats = lanes is not None and isinstance(lanes.dtype, types.Float)
        return lanes if (of_floats if floats else of_integers) else None

    @operation(function, typed, *_PAIRS)
    def emit(context, builder, signature, values):
        lanes = signature.return_type
        a, b = spread_pair(context, builder, signature, values, lanes)
        name = of_floats if is_float(a) else of_integers
        return getattr(builder, "lshr" if name == "ashr" and _is_unsigned(lanes) else name)(a, b)


def _define_comparison(function: Any, sign: str) -> None:
    def typed(a: Any, b: Any) -> Any:
        lanes = _type_pair(a, b)
        return lanes and like(lanes, types.boolean)

    @operation(function, typed, *_PAIRS)
    def emit(context, builder, signature, values):
        lanes = _type_pair(*signature.args)
        return compare(builder, sign, *spread_pair(context, builder, signature, values, lanes))


for _names in (
    ("add", "fadd", "add"),
    ("sub", "fsub", "sub"),
    ("mul", "fmul", "mul"),
    ("truediv", "fdiv", ""),
    ("lshift", "", "shl"),
    ("rshift", "", "ashr"),  # of unsigned numbers lshr
    ("and_", "", "and_"),
    ("or_", "", "or_"),
    ("xor", "", "xor"),
):
    _define_arithmetic(getattr(operator, _names[0]), *_names[1:])
for _name, _sign in {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}.items():
    _define_comparison(getattr(operator, _name), _sign)


@operation(operator.neg, _type_one, (Lanes,))
def _emit_negative(context, builder, signature, values):
    return builder.fneg(*values) if is_float(*values) else builder.neg(*values)


@operation(abs, _type_one, (Lanes,))
def _emit_absolute(context, builder, signature, values):
    return call(builder, f"llvm.fabs.{mangled(values[0].type)}", values[0].type, *values)


def sqrt(x):
    """The square root."""
    return np.sqrt(x)


@operation(sqrt, types.unliteral)
def _emit_root(context, builder, signature, values):
    return square_root(builder, *values)


def select(mask, a, b):
    """a where the mask is true, b elsewhere."""
    return np.where(mask, a, b) if np.ndim(mask) else a if mask else b


def _type_select(mask, a, b):
    result = joint(a, b)
    return result and Lanes(element(result), mask.n) if isinstance(mask, Lanes) else result


@operation(select, _type_select)
def _emit_select(context, builder, signature, values):
    pair = spread_pair(context, builder, signature, values, signature.return_type)
    return builder.select(values[0], *pair)


def minimum(a, b):
    """The smaller of a and b; a if either is NaN, as with Python's ``min``."""
    return select(b < a, b, a)


def maximum(a, b):
    """The larger of a and b; a if either is NaN, as with Python's ``max``."""
    return select(b > a, b, a)


def _choose(builder: Any, sign: str, a: Any, b: Any) -> Any:
    return builder.select(compare(builder, sign, b, a), b, a)


def _define_choice(function: Any, sign: str) -> None:
    @operation(function, joint)
    def emit(context, builder, signature, values):
        pair = spread_pair(context, builder, signature, values, signature.return_type)
        return _choose(builder, sign, *pair)


_define_choice(minimum, "<")
_define_choice(maximum, ">")


# Other types, and bits

BITS_TYPE = {types.float64: types.int64, types.float32: types.int32}
_FLOAT_TYPE = {bits: floating for floating, bits in BITS_TYPE.items()}


def bits(x):
    """The integer of the same bits as a float."""
    return x.view(np.int32 if x.dtype == np.float32 else np.int64)


def from_bits(i):
    """The float of the same bits as an integer."""
    return i.view(np.float32 if i.dtype == np.int32 else np.float64)


def _by_table(table: Any) -> Any:
    return lambda x: like(x, table[element(x)]) if element(x) in table else None


@operation(bits, _by_table(BITS_TYPE))
@operation(from_bits, _by_table(_FLOAT_TYPE))
def _emit_same_bits(context, builder, signature, values):
    return builder.bitcast(values[0], context.get_value_type(signature.return_type))


def convert(x, dtype):
    """x as numbers of another type; what is behind the point is cut off."""
    return x.astype(dtype) if np.ndim(x) else dtype(x)


@operation(convert, lambda x, dtype: like(x, dtype.dtype))
def _emit_convert(context, builder, signature, values):
    source, target = signature.args[0], signature.return_type
    if not isinstance(target, Lanes):
        return context.cast(builder, values[0], source, target)
    if source == target:
        return values[0]
    shorter = target.dtype.bitwidth < source.dtype.bitwidth
    if isinstance(source.dtype, types.Float):
        of_floats = "fptrunc" if shorter else "fpext"
        name = of_floats if isinstance(target.dtype, types.Float) else "fptosi"
    else:
        unsigned = _is_unsigned(source)
        of_integers = "trunc" if shorter else "zext" if unsigned else "sext"
        of_floats = "uitofp" if unsigned else "sitofp"
        name = of_floats if isinstance(target.dtype, types.Float) else of_integers
    return getattr(builder, name)(values[0], context.get_value_type(target))


# Across lanes


def total(x):
    """The sum of all lanes: the upper half is added to the lower one until one is left.

    Of a plain number, that; of `largest` too.
    """
    return _halved(x, operator.add)


def largest(x):
    """The largest of all lanes."""
    return _halved(x, maximum)


def _halved(x, combined):
    while np.ndim(x) and len(x) > 1:
        x = combined(x[: len(x) // 2], x[len(x) // 2 :])
    return x[0] if np.ndim(x) else x


def _type_fold(x: Any) -> Any:
    return element(x) if isinstance(x, Lanes | types.Number) else None


def _define_fold(function: Any, combined: Any) -> None:
    @operation(function, _type_fold)
    def emit(context, builder, signature, values):
        [value] = values
        if not isinstance(signature.args[0], Lanes):
            return value
        while value.type.count > 1:
            half = value.type.count // 2
            value = combined(
                builder,
                shuffle(builder, value, range(half)),
                shuffle(builder, value, range(half, 2 * half)),
            )
        return builder.extract_element(value, cgutils.int32_t(0))


_define_fold(total, lambda builder, a, b: builder.fadd(a, b))
_define_fold(largest, lambda builder, a, b: _choose(builder, ">", a, b))
