"""What threads need to work together: whole numbers that several change, ways to wait, and modes.

The numbers are in a vector, and are changed by LLVM's atomic operations. What a thread wrote before
it published one, another thread sees that has observed it. The functions are for kernels; with the
JIT off, where one thread runs at a time, they do the same.
"""

import os
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils

from fastnn.kernels.llvm import borrowed, call, operation, target_machine

#: Whether there are the C library's functions to give way.
ON_POSIX = hasattr(os, "sched_yield")


def observed(vector, k):
    """The number at k."""
    return vector[k]


def publish(vector, k, value):
    """Write a number, and with it all that was written before."""
    vector[k] = value


def add(vector, k, value):
    """Add to the number at k; what it was before."""
    vector[k] += value
    return vector[k] - value


def replace(vector, k, expected, new):
    """Write a new number if what is there is the one expected; whether it was."""
    if vector[k] != expected:
        return False
    vector[k] = new
    return True


def pause():
    """Let the processor rest for some cycles, in a loop that waits for another thread."""


def give_way():
    """Let the system run another thread on this core, if one waits."""


def nap():
    """Leave this core for some 50 microseconds, where the system has a function for that."""


def rounding():
    """How this thread computes: the processor's register that says how numbers are rounded.

    It also says whether the smallest numbers are taken for zero, which other libraries change.
    """
    return 0


def set_rounding(register):
    """Compute like another thread, by what `rounding` said there."""


def _result(vector: Any, result: Any) -> Any:
    return result if vector == types.Array(types.int64, 1, "C") else None


def _place(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    """The address of the number at k, and the other arguments."""
    array = context.make_array(signature.args[0])(context, builder, values[0])
    given = zip(values[1:], signature.args[1:], strict=True)
    k, *others = (context.cast(builder, value, kind, types.int64) for value, kind in given)
    return builder.gep(array.data, [k]), *others


@operation(observed, lambda vector, k: _result(vector, types.int64))
def _emit_observed(context, builder, signature, values):
    (place,) = _place(context, builder, signature, values)
    return builder.load_atomic(place, "acquire", 8)


@operation(publish, lambda vector, k, value: _result(vector, types.none))
def _emit_publish(context, builder, signature, values):
    place, value = _place(context, builder, signature, values)
    builder.store_atomic(value, place, "release", 8)
    return context.get_dummy_value()


@operation(add, lambda vector, k, value: _result(vector, types.int64))
def _emit_add(context, builder, signature, values):
    place, value = _place(context, builder, signature, values)
    return builder.atomic_rmw("add", place, value, "acq_rel")


@operation(replace, lambda vector, k, expected, new: _result(vector, types.boolean))
def _emit_replace(context, builder, signature, values):
    place, expected, new = _place(context, builder, signature, values)
    both = builder.cmpxchg(place, expected, new, "acq_rel", "acquire")
    return builder.extract_value(both, 1)


@operation(pause, lambda: types.none)
def _emit_pause(context, builder, signature, values):
    if _is_x86():
        call(builder, "llvm.x86.sse2.pause", ir.VoidType())
    elif _is_arm():  # whose ``yield`` takes no time
        call(builder, "llvm.aarch64.isb", ir.VoidType(), cgutils.int32_t(15))
    return context.get_dummy_value()


@operation(give_way, lambda: types.none)
def _emit_give_way(context, builder, signature, values):
    if ON_POSIX:
        call(builder, "sched_yield", cgutils.int32_t)
    return context.get_dummy_value()


@operation(nap, lambda: types.none)
def _emit_nap(context, builder, signature, values):
    if ON_POSIX:
        call(builder, "usleep", cgutils.int32_t, cgutils.int32_t(50))
    return context.get_dummy_value()


@operation(rounding, lambda: types.int64)
def _emit_rounding(context, builder, signature, values):
    if _is_x86():
        place = cgutils.alloca_once(builder, cgutils.int32_t)
        call(builder, "llvm.x86.sse.stmxcsr", ir.VoidType(), _bytes_at(builder, place))
        return builder.zext(builder.load(place), ir.IntType(64))
    if _is_arm():
        return call(builder, "llvm.aarch64.get.fpcr", ir.IntType(64))
    return ir.IntType(64)(0)


@operation(set_rounding, lambda register: types.none)
def _emit_set_rounding(context, builder, signature, values):
    (register,) = values
    if _is_x86():
        place = cgutils.alloca_once_value(builder, builder.trunc(register, cgutils.int32_t))
        call(builder, "llvm.x86.sse.ldmxcsr", ir.VoidType(), _bytes_at(builder, place))
    elif _is_arm():
        call(builder, "llvm.aarch64.set.fpcr", ir.VoidType(), register)
    return context.get_dummy_value()


def _is_x86() -> bool:
    return str(target_machine()[0]).startswith(("x86_64", "i686"))


def _is_arm() -> bool:
    return str(target_machine()[0]).startswith(("aarch64", "arm64"))


def _bytes_at(builder: Any, place: Any) -> Any:
    return builder.bitcast(place, ir.PointerType(ir.IntType(8)))


def make_common(name: str, vector: Any) -> Any:
    """Make the function by which kernels find *vector*, of 64-bit whole numbers: by its name.

    The machine code on disk holds the name, and so serves every process.
    """
    llvmlite.binding.add_symbol(name, vector.ctypes.data)

    def common():
        return vector

    @operation(common, lambda: types.Array(types.int64, 1, "C"))
    def emit(context, builder, signature, values):
        pointer = context.get_c_value(builder, ir.IntType(64), name)
        return borrowed(
            context, builder, signature.return_type, pointer, cgutils.intp_t(len(vector))
        )

    return common
