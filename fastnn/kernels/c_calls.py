"""A network as C functions: with its address as an argument, for SciPy; and with that built in."""

from typing import Any, NamedTuple

import numba
import numpy as np
from numba import types

from fastnn.kernels.compiled import Compiled, forward
from fastnn.kernels.held import Held, held
from fastnn.kernels.jit import kernel
from fastnn.kernels.llvm import array_at, bound, stack
from fastnn.kernels.stack_rows import ROOM


class Integrand(NamedTuple):
    """One output of a network."""

    network: Compiled
    output: int


@kernel
def _outputs(inputs, outputs, address):
    h = held(address, "Compiled", array_at(inputs, 1))
    forward(h, array_at(inputs, h.n_inputs), array_at(outputs, h.n_outputs))


@kernel
def _integrand(n, inputs, address):
    """NaN for another number of inputs than the network's: SciPy hears of no exception."""
    function = held(address, "Integrand", array_at(inputs, 1))
    h = function.network
    if n != h.n_inputs:
        return np.nan
    out = stack(ROOM, h.parameters)[: h.n_outputs]
    forward(h, array_at(inputs, n), out)
    return out[function.output]


def hold_integrand(h: Compiled, output: int) -> tuple[int, Held]:
    """The address of ``double (int n, double *inputs, void *held)``, and what is held."""
    held_one = Held(Integrand(h, output), h.parameters.dtype)
    pointer = types.CPointer(types.float64)
    return _c_function(_integrand, types.int32, pointer, types.uintp), held_one


def hold_outputs(h: Compiled) -> tuple[int, Held]:
    """The address of ``void (T *inputs, T *outputs)``, and what it needs as long as it is called.

    T is the network's dtype.
    """
    held_one = Held(h, h.parameters.dtype)
    pointer = types.CPointer(numba.from_dtype(h.parameters.dtype))
    function = _c_function(_outputs, pointer, pointer, types.uintp)
    return bound(function, held_one.address), held_one


def _c_function(compiled: Any, *signature: Any) -> int:
    """The address of a kernel for these types, as C calls it."""
    compiled.compile(signature)
    overload = compiled.overloads[signature]
    address: int = overload.library.get_pointer_to_function(overload.fndesc.llvm_cfunc_wrapper_name)
    return address
