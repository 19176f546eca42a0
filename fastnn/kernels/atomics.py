"""Whole numbers that several threads read and change: LLVM's atomic operations on a vector of them.

What a thread wrote before it published a number, another one sees that has observed it. The
functions are for kernels; with the JIT off, where one thread runs at a time, they do the same.
"""

import os
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils

from fastnn.kernels.llvm import borrowed, call, operation, target_machine


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
    machine = target_machine()[0]
    if machine.startswith("x86_64"):
        call(builder, "llvm.x86.sse2.pause", ir.VoidType())
    elif machine.startswith(("aarch64", "arm64")):
        call(
            builder, "llvm.aarch64.isb", ir.VoidType(), cgutils.int32_t(15)
        )  # ``yield`` is nothing
    return context.get_dummy_value()


@operation(give_way, lambda: types.none)
def _emit_give_way(context, builder, signature, values):
    if hasattr(os, "sched_yield"):  # not on Windows
        call(builder, "sched_yield", cgutils.int32_t)
    return context.get_dummy_value()


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
