"""What `lanes` is made of: the type, the machine, and the ways to teach numba an operation.

An operation needs a typing and a lowering, see `operation`. Lowerings get numba's context, which
knows how types are represented, a builder, to which each instruction is a method, the signature,
and the arguments' values.
"""

import itertools
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils, errors
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.extending import lower_builtin, models, register_model, type_callable

from fastnn.signals import uninterrupted

#: Of functions that are made.
_numbers = itertools.count()


class Lanes(types.Type):
    """The type of n numbers of the type *dtype*; with booleans, of a mask."""

    def __init__(self, dtype: Any, n: int):
        if n < 1 or n & (n - 1):
            raise errors.TypingError(f"lanes: their number must be a power of two, got {n}")
        self.dtype, self.n = dtype, n
        super().__init__(f"Lanes({dtype}, {n})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: Lanes):
        element = manager.lookup(lanes.dtype).get_value_type()
        super().__init__(manager, lanes, ir.VectorType(element, lanes.n))


def operation(function: Any, typed: Any, *kinds: Any) -> Any:
    """Give *function* its typing, and by decoration its lowering for arguments of these kinds."""
    type_callable(function)(lambda _context: typed)

    def lowered_by(emit: Any) -> Any:
        for kind in kinds or [[types.VarArg(types.Any)]]:
            lower_builtin(function, *kind)(emit)
        return emit

    return lowered_by


def element(x: Any) -> Any:
    """The type of a lane, or of a number."""
    return x.dtype if isinstance(x, Lanes) else types.unliteral(x)


def like(x: Any, dtype: Any) -> Any:
    """The type of x with other elements."""
    return Lanes(dtype, x.n) if isinstance(x, Lanes) else dtype


def joint(a: Any, b: Any) -> Any:
    """The type of what is computed from a and b, or None."""
    if isinstance(b, Lanes):
        a, b = b, a
    fits = element(a) == element(b) or isinstance(b, types.IntegerLiteral)
    if isinstance(a, Lanes):
        return a if fits and getattr(b, "n", a.n) == a.n else None
    return types.unliteral(a) if fits else None


def shuffle(builder: Any, value: Any, lanes: Any, other: Any = None) -> Any:
    """Those lanes, by number, of a value and another one."""
    numbers = ir.VectorType(cgutils.int32_t, len(lanes))(list(lanes))
    return builder.shuffle_vector(value, other or value.type(ir.Undefined), numbers)


def spread(context: Any, builder: Any, value: Any, kind: Any, target: Any) -> Any:
    """*value* as *target*: a number goes into every lane."""
    if kind == target:
        return value
    value = context.cast(builder, value, types.unliteral(kind), element(target))
    return in_all_lanes(builder, value, target.n) if isinstance(target, Lanes) else value


def in_all_lanes(builder: Any, number: Any, n: int) -> Any:
    """A vector of n times a number."""
    nothing = ir.VectorType(number.type, n)(ir.Undefined)
    return shuffle(builder, builder.insert_element(nothing, number, cgutils.int32_t(0)), [0] * n)


def whole_numbers(context: Any, builder: Any, kinds: Any, values: Any) -> list[Any]:
    """Whole numbers of any types, as LLVM has those of places."""
    pairs = zip(values, kinds, strict=True)
    return [context.cast(builder, v, types.unliteral(kind), types.intp) for v, kind in pairs]


def at_most(builder: Any, count: Any, n: int) -> Any:
    """A whole number, or n if that is less."""
    most = count.type(n)
    return builder.select(builder.icmp_signed("<", count, most), count, most)


def first_lanes(builder: Any, count: Any, n: int, size: int) -> Any:
    """The mask of n lanes of *size* bytes that is true for the first *count*, at most n."""
    limit = in_all_lanes(builder, builder.trunc(count, ir.IntType(8 * size)), n)
    return builder.icmp_signed("<", limit.type(list(range(n))), limit)


def load_vector(builder: Any, kind: Any, pointer: Any, size: int, mask: Any = None) -> Any:
    """A vector of that type from an address on, of numbers of *size* bytes; zeros beyond a mask."""
    pointer = builder.bitcast(pointer, kind.as_pointer())
    if mask is None:
        return builder.load(pointer, align=size)
    name = f"llvm.masked.load.{mangled(kind)}.p0"
    return call(builder, name, kind, pointer, cgutils.int32_t(size), mask, kind(None))


def store_vector(builder: Any, value: Any, pointer: Any, size: int, mask: Any = None) -> None:
    """Write a vector, or what a mask says of it, from an address on."""
    pointer = builder.bitcast(pointer, value.type.as_pointer())
    if mask is None:
        builder.store(value, pointer, align=size)
        return
    name = f"llvm.masked.store.{mangled(value.type)}.p0"
    call(builder, name, ir.VoidType(), value, pointer, cgutils.int32_t(size), mask)


def spread_pair(context: Any, builder: Any, signature: Any, values: Any, target: Any) -> Any:
    """The last two arguments as *target*."""
    pair = zip(values[-2:], signature.args[-2:], strict=True)
    return [spread(context, builder, value, kind, target) for value, kind in pair]


def call(builder: Any, name: str, result: Any, *arguments: Any) -> Any:
    """Call one of LLVM's own functions."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def mangled(kind: Any) -> str:
    """A type in the names of LLVM's functions: v8f64."""
    if isinstance(kind, ir.VectorType):
        return f"v{kind.count}{kind.element.intrinsic_name}"
    return str(kind.intrinsic_name)


def is_float(value: Any) -> bool:
    """Whether an LLVM value is of floats, rather than of integers or a mask."""
    return not isinstance(getattr(value.type, "element", value.type), ir.IntType)


def compare(builder: Any, sign: str, a: Any, b: Any) -> Any:
    """A comparison, false if an operand is NaN, except for !=."""
    if not is_float(a):
        return builder.icmp_signed(sign, a, b)
    return (builder.fcmp_unordered if sign == "!=" else builder.fcmp_ordered)(sign, a, b)


def square_root(builder: Any, value: Any) -> Any:
    """The square root of numbers or lanes."""
    return call(builder, f"llvm.sqrt.{mangled(value.type)}", value.type, value)


def not_unrolled(builder: Any, back: Any) -> None:
    """Have LLVM leave a loop as it is, whose last branch leads *back* to its head."""
    module = builder.module
    wish = module.add_metadata(["llvm.loop.unroll.disable"])
    loop = ir.MDValue(module, [wish], name=str(len(module.metadata)))
    # Each loop has one of its own, which begins with itself; so it cannot be hashed or compared.
    loop.operands = (loop, wish)
    back.set_metadata("llvm.loop", loop)


def literal(signature: Any) -> Any:
    """The value of an operation whose type says it."""
    return cgutils.intp_t(signature.return_type.literal_value)


def stack(n: int, like: Any) -> Any:
    """An array of n numbers as in another one, on the stack until the kernel returns.

    n is a constant. However often it comes by here, inlined in a loop or not, there is one of it:
    it belongs to the function's frame. What is in it does not matter. It begins on a cache line.
    """
    return np.empty(n, like.dtype)


def _type_stack(n: Any, like: Any) -> Any:
    return types.Array(like.dtype, 1, "C") if isinstance(n, types.IntegerLiteral) else None


@operation(stack, _type_stack)
def _emit_stack(context, builder, signature, values):
    kind, n = signature.return_type, signature.args[0].literal_value
    with builder.goto_entry_block():  # `cgutils.alloca_once` would fill it with zeros each time
        room = builder.alloca(ir.ArrayType(context.get_data_type(kind.dtype), n))
    room.align = 64
    return borrowed(context, builder, kind, room, cgutils.intp_t(n))


def array_at(pointer: Any, n: int) -> Any:
    """An array of n numbers that begins where a C pointer says: ``numba.carray`` would allocate."""


def _type_array_at(pointer: Any, n: Any) -> Any:
    return types.Array(pointer.dtype, 1, "C") if isinstance(pointer, types.CPointer) else None


@operation(array_at, _type_array_at)
def _emit_array_at(context, builder, signature, values):
    [n] = whole_numbers(context, builder, signature.args[1:], values[1:])
    return borrowed(context, builder, signature.return_type, values[0], n)


def flat(array: Any) -> Any:
    """A C-contiguous array as a vector: of one type, whatever its dimensions, writable or not."""
    return array.reshape(-1)


def _type_flat(array: Any) -> Any:
    return types.Array(array.dtype, 1, "C") if getattr(array, "layout", "") == "C" else None


@operation(flat, _type_flat)
def _emit_flat(context, builder, signature, values):
    array = context.make_array(signature.args[0])(context, builder, values[0])
    return borrowed(context, builder, signature.return_type, array.data, array.nitems)


def prefetch(vector: Any, at: Any) -> None:
    """Ask for what is at a place of a vector before it is needed, from memory that may be far."""


def _type_prefetch(vector: Any, at: Any) -> Any:
    return types.none if vector.layout == "C" and vector.ndim == 1 else None


@operation(prefetch, _type_prefetch)
def _emit_prefetch(context, builder, signature, values):
    array = context.make_array(signature.args[0])(context, builder, values[0])
    [at] = whole_numbers(context, builder, signature.args[1:], values[1:])
    place = builder.bitcast(builder.gep(array.data, [at]), ir.IntType(8).as_pointer())
    to_read, near, data = map(cgutils.int32_t, (0, 3, 1))
    call(builder, "llvm.prefetch.p0", ir.VoidType(), place, to_read, near, data)
    return context.get_dummy_value()


def borrowed(context: Any, builder: Any, kind: Any, data: Any, n: Any) -> Any:
    """An array that does not own its numbers."""
    from numba.np import arrayobj  # a compiler has it already; to load kernels nobody needs it

    array = context.make_array(kind)(context, builder)
    size = cgutils.intp_t(context.get_abi_sizeof(context.get_data_type(kind.dtype)))
    data = builder.bitcast(data, array.data.type)
    arrayobj.populate_array(array, data, [n], [size], size, None)
    return array._getvalue()


def bound(function: int, last: int) -> int:
    """The address of a C function of two pointers, which calls *function* with *last* as a third.

    It is never freed.
    """
    library = cpu_target.target_context.codegen().create_library("bound")
    module, name = library.create_ir_module("bound"), f"fastnn_bound_{next(_numbers)}"
    pointer, word, nothing = ir.PointerType(ir.IntType(8)), cgutils.intp_t, ir.VoidType()
    caller = ir.Function(module, ir.FunctionType(nothing, [pointer, pointer]), name)
    builder = ir.IRBuilder(caller.append_basic_block())
    kind = ir.FunctionType(nothing, [pointer, pointer, word]).as_pointer()
    builder.call(builder.inttoptr(word(function), kind), [*caller.args, word(last)])
    builder.ret_void()
    with uninterrupted(), global_compiler_lock:
        library.add_ir_module(module)
        library.finalize()
    address: int = library.get_pointer_to_function(name)
    return address


def target_machine() -> Any:
    """What is compiled for: LLVM's name of the machine, the processor's, and its features."""
    return cpu_target.target_context.codegen().magic_tuple()


def vector_registers() -> int:
    """How many registers for vectors there are."""
    arm = target_machine()[0].startswith(("aarch64", "arm64"))
    return 32 if arm or register_bits() == 512 else 16


def register_bits() -> int:
    """How wide the registers are that are compiled for; with the JIT off as `lanes.width` says."""
    if config.DISABLE_JIT:
        return 512
    features = set(target_machine()[2].split(","))
    if {"+avx512f", "+avx512dq", "+avx512vl"} <= features:
        return 512
    return 256 if "+avx2" in features else 128


def lanes_of_register(itemsize: int) -> int:
    """How many numbers of so many bytes a register has."""
    return register_bits() // 8 // itemsize
