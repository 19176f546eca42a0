"""A network in other people's compiled code: numba's, SciPy's, C's and Fortran's.

`Network.compiled` returns a `Compiled`, which goes into any jitted function, and there into

``forward(h, x, out)``
    the outputs for one row;
``jacobian(h, x, J)``
    their derivatives with respect to it;
``learn(h, x, y, rate)``
    one update from it.

They work when called from Python too, one at a time. `Network.low_level_callable` is for SciPy,
`Network.cfunc` for C and Fortran.
"""

import ctypes
from typing import Any

import numba
import numpy as np

from fastnn.kernels.c_calls import hold_integrand, hold_outputs
from fastnn.kernels.compiled import Compiled, forward, jacobian, learn
from fastnn.kernels.held import Held

__all__ = ["CFunction", "Compiled", "forward", "integrand", "jacobian", "learn"]

_INTEGRAND = ctypes.CFUNCTYPE(
    ctypes.c_double, ctypes.c_int, ctypes.POINTER(ctypes.c_double), ctypes.c_void_p
)


class CFunction:
    """A network as a C function ``void f(const T *inputs, T *outputs)``: see `Network.cfunc`.

    Attributes
    ----------
    address : int
        Of the function. It can be called as long as this object, or *ctypes*, is there.
    ctypes : ctypes function
        The same for Python: takes two pointers.
    """

    def __init__(self, h: Compiled):
        _need_compiler("cfunc")
        self.address, held = hold_outputs(h)
        number = ctypes.POINTER(np.ctypeslib.as_ctypes_type(h.parameters.dtype))
        function: Any = ctypes.CFUNCTYPE(None, number, number)(self.address)
        function.held = held
        self.ctypes = function


class _Pointer(ctypes.c_void_p):
    """A pointer that keeps alive what it points to."""

    def __init__(self, held: Held):
        super().__init__(held.address)
        self._held = held


def integrand(h: Compiled, output: int) -> Any:
    """A ``scipy.LowLevelCallable``: see `Network.low_level_callable`."""
    from scipy import LowLevelCallable

    _need_compiler("low_level_callable")
    if h.parameters.dtype != np.float64:
        raise ValueError(
            f"low_level_callable needs a network of dtype float64, as SciPy calls with float64; "
            f"got {h.parameters.dtype}"
        )
    address, held = hold_integrand(h, output)
    return LowLevelCallable(_INTEGRAND(address), _Pointer(held))


def _need_compiler(what: str) -> None:
    if numba.config.DISABLE_JIT:
        raise RuntimeError(f"{what} needs machine code, but NUMBA_DISABLE_JIT is set")
