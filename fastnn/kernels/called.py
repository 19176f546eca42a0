"""Kernels that get other kernels as arguments, by their address.

So they are compiled once for all kernels that take the same arguments. (numba has first-class
functions; to pass one from Python takes it half a millisecond.)
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from fastnn.kernels.llvm import operation

#: By kernel and kinds of arguments.
_addresses: dict[Any, int] = {}
#: What is called by its address, with the JIT off.
_functions: dict[int, Callable[..., Any]] = {}


def address_of(called: Any, arguments: tuple[Any, ...]) -> int:
    """The address of a kernel, compiled for arguments of the types of these."""
    key = called, _kind(arguments)
    if key not in _addresses:
        _addresses[key] = _compiled(called, arguments)
    return _addresses[key]


def _compiled(called: Any, arguments: tuple[Any, ...]) -> int:
    if not hasattr(called, "compile"):  # with the JIT off it is Python
        _functions[id(called)] = called
        return id(called)
    kinds = tuple(map(numba.typeof, arguments))
    if kinds not in called.overloads:
        called.compile(kinds)
    compiled = called.overloads[kinds]
    address: int = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
    return address


def _kind(argument: Any) -> Any:
    """What numba goes by, and a little more, in a twentieth of its time."""
    if isinstance(argument, np.ndarray):
        return argument.dtype, argument.ndim, argument.flags.num
    if isinstance(argument, tuple):
        return type(argument), tuple(map(_kind, argument))
    return type(argument)


def _make_call(result: Any) -> Any:
    """Make the call of a kernel that returns a *result* of this type."""

    def call_at(address, arguments):
        return _functions[address](*arguments)

    @operation(call_at, lambda address, arguments: result)
    def emit(context, builder, signature, values):
        kinds, convention = signature.args[1].types, context.call_conv
        kind = ir.PointerType(convention.get_function_type(result, kinds))
        kernel = builder.inttoptr(values[0], kind)
        arguments = cgutils.unpack_tuple(builder, values[1])
        status, value = convention.call_function(builder, kernel, result, kinds, arguments)
        with cgutils.if_unlikely(builder, status.is_error):  # where bounds are checked
            convention.return_status_propagate(builder, status)
        return value

    return call_at


#: In a kernel: call the one at an address with a tuple of arguments. They must be of the very types
#: that `address_of` was given; nobody looks.
run_at = _make_call(types.none)
number_at = _make_call(types.float64)
truth_at = _make_call(types.boolean)


def own_address():
    """In a linked function: its address, for `run_at`."""
    return 0


@operation(own_address, lambda: types.int64)
def _emit_own_address(context, builder, signature, values):
    return builder.ptrtoint(builder.function, cgutils.intp_t)
