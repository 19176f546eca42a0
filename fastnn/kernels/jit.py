"""How every kernel is compiled and cached: the one place for flags.

Kernels are made by functions that take codes (of an activation, a loss), and hold in their
closure the codes and the jitted functions chosen by them. So a kernel contains only what its
network uses, and needs no trick to choose at compile time.

Two decorators:

``kernel``
    What Python calls. Releases the GIL and is cached on disk.
``inner``
    What kernels call, and nothing else may: it has no entry point for Python. LLVM inlines it.

In both, sums may be reordered, so that loops vectorise. Only the elementary functions keep the
order written: their range reduction needs it, ``(x + big) - big`` must not be folded to ``x``.

None of them uses ``fastmath=True``: it would let LLVM assume that NaN and infinity
never occur and delete the checks for them.
"""

from collections.abc import Callable
from typing import Any

import numba
from numba import types
from numba.extending import intrinsic, overload

from fastnn.kernels import cache

try:
    from fastnn.kernels.inlined import INLINED, WITHOUT_RUNTIME
except ImportError:  # a numba with other insides: its plain compiler will do
    INLINED, WITHOUT_RUNTIME = {}, {}

_ORDERED = {"nsz", "arcp", "contract", "afn"}
_OPTIONS: dict[str, Any] = {
    "error_model": "numpy",  # a division that may raise keeps its loop from being vectorised
    "fastmath": _ORDERED | {"reassoc"},
    **WITHOUT_RUNTIME,
}
# Inlined whatever LLVM thinks of it: `prefer_wide_vectors` reaches only what is in the kernel.
_INLINED = {**_OPTIONS, **INLINED, "forceinline": True}

inner = numba.njit(**_INLINED)
#: For ``numba.extending.overload``, where a function depends on its arguments' types.
OVERLOAD_OPTIONS: dict[str, Any] = {"jit_options": {**_OPTIONS, **INLINED}}
#: The same for functions whose operations must stay in the order written, inlined in users' loops
#: too: a call would keep a loop from being vectorised.
ORDERED_OVERLOAD_OPTIONS: dict[str, Any] = {"jit_options": {**_INLINED, "fastmath": _ORDERED}}


def kernel(function: Callable[..., Any]) -> Any:
    """Compile *function* on its first call, without the GIL, and keep it on disk."""
    compiled = numba.njit(nogil=True, **_OPTIONS)(function)
    if hasattr(compiled, "py_func") and cache.is_on():  # no dispatcher with NUMBA_DISABLE_JIT=1
        compiled._cache = cache.KernelCache(function)
    return compiled


def prefer_wide_vectors():
    """Called in a kernel: use the widest vectors there are, which LLVM shuns on many CPUs.

    Worth it in long loops: 20 % on an AVX-512 machine for 128 units. Without such vectors, or
    with the JIT off, it does nothing.
    """


@intrinsic
def _prefer_wide_vectors(_typing_context):
    def generate(context, builder, _signature, _arguments):
        # llvmlite's own `add` knows only attributes without a value; it prints what is there.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.none(), generate


@overload(prefer_wide_vectors, inline="always")  # so that it lands on the calling kernel
def _():
    return lambda: _prefer_wide_vectors()
