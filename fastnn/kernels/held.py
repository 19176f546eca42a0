"""Arguments that stay where they are: a tuple that a kernel finds by its address.

Each array that Python passes to a kernel costs 30 to 80 ns, which is much beside an update of 300.
What is the same from call to call is written to memory once, as numba represents it, and the kernel
gets one whole number: where that is.
"""

import weakref
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.registry import cpu_target

from fastnn.kernels.jit import quick
from fastnn.kernels.llvm import operation
from fastnn.memory import aligned

#: What was written where, for kernels that are plain Python with the JIT off.
_written: dict[int, Any] = {}
#: numba's types of what is held, by the class of the tuple and the dtype of its network.
_types: dict[tuple[str, np.dtype[Any]], Any] = {}


class Held:
    """Keeps a NamedTuple of arrays and numbers, and the arrays' memory, for as long as it lives.

    All that are of one class and for networks of one dtype must be of the same numba types.

    Attributes
    ----------
    address : int
    values : tuple
    """

    def __init__(self, values: Any, dtype: np.dtype[Any]):
        kind = numba.typeof(values)
        known = _types.setdefault((type(values).__name__, dtype), kind)
        if kind != known:
            raise TypeError(f"{type(values).__name__} is {known} in kernels, got {kind}")
        context = cpu_target.target_context
        size = context.get_abi_sizeof(context.get_value_type(kind))
        self.values = values
        self._memory = aligned(-(-size // 8), np.dtype(np.float64))  # bytes, whatever they say
        self.address: int = self._memory.ctypes.data
        _put(self.address, values)
        weakref.finalize(self, _written.pop, self.address, None).atexit = False


def held(address, name, x):
    """In a kernel: the tuple of the class *name* at an address; x is an array of its dtype."""
    return _written[address]


def _type_held(address, name, x):
    known = isinstance(name, types.StringLiteral)
    return _types[name.literal_value, np.dtype(str(x.dtype))] if known else None


@operation(held, _type_held)
def _emit_held(context, builder, signature, values):
    kind = context.get_value_type(signature.return_type)
    return builder.load(builder.inttoptr(values[0], ir.PointerType(kind)))


def write(address, values):
    """Write a tuple to memory, as `held` and `read` find it."""
    _written[address] = values


@operation(write, lambda address, values: types.none)
def _emit_write(context, builder, signature, values):
    kind = context.get_value_type(signature.args[1])
    builder.store(values[1], builder.inttoptr(values[0], ir.PointerType(kind)))
    return context.get_dummy_value()


def read(address, like):
    """A tuple that was written to an address, of the types of another one."""
    return _written[address]


@operation(read, lambda address, like: like)
def _emit_read(context, builder, signature, values):
    kind = context.get_value_type(signature.return_type)
    return builder.load(builder.inttoptr(values[0], ir.PointerType(kind)))


@quick
def _put(address, values):
    write(address, values)
