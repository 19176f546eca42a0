"""How every kernel is compiled and cached: the one place for flags.

Kernels are made by functions that take codes (of an activation, a loss), and hold in their
closure the codes and the jitted functions chosen by them. So a kernel contains only what its
network uses, and needs no trick to choose at compile time. With ``made_once`` such a function makes
one for all that give it the same codes.

Seven decorators:

``kernel``
    What Python calls. Releases the GIL and is cached on disk.
``quick``
    The same for what is done in about a microsecond, which keeps the GIL.
``open_kernel``
    The same for what users' jitted functions call.
``inner``
    What kernels call, and nothing else may: it has no entry point for Python. LLVM inlines it.
``ordered``
    The same, and operations stay in the order written.
``shared``
    The same as ``inner``, but one function in its kernel: for what is long and called twice.
``linkable``
    What kernels find by its name, see `fastnn.kernels.linked`: compiled once for all of them.

In all but ``ordered`` sums may be reordered, so that loops vectorise. Where numbers are computed
with in `lanes`, there is no need to, and the elementary functions must not: their range reduction
needs the order, ``(x + big) - big`` must not be folded to ``x``.

None of them uses ``fastmath=True``: it would let LLVM assume that NaN and infinity
never occur and delete the checks for them.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba.core.compiler_lock import global_compiler_lock

from fastnn.kernels import cache

refuse_quickly: Any
try:
    from fastnn.kernels.inlined import INLINED, KERNEL, LINKED, WITHOUT_RUNTIME, refuse_quickly
except ImportError:  # a numba with other insides: its plain compiler will do
    INLINED, KERNEL, LINKED, WITHOUT_RUNTIME, refuse_quickly = {}, {}, {}, {}, None

_ORDERED = {"nsz", "arcp", "contract", "afn"}
#: What all are compiled with.
OPTIONS: dict[str, Any] = {
    "error_model": "numpy",  # a division that may raise keeps its loop from being vectorised
    "fastmath": _ORDERED | {"reassoc"},
    **WITHOUT_RUNTIME,
}
# Inlined whatever LLVM thinks of it: `prefer_wide_vectors` reaches only what is in the kernel.
_INLINED = {**OPTIONS, **INLINED, "forceinline": True}

inner = numba.njit(**_INLINED)
shared = numba.njit(**{**_INLINED, "forceinline": False})
ordered = numba.njit(**{**_INLINED, "fastmath": _ORDERED})
#: For ``numba.extending.overload``, where a function depends on its arguments' types; as
#: ``ordered``. In users' loops it is inlined too: a call would keep a loop from being vectorised.
OVERLOAD_OPTIONS: dict[str, Any] = {"jit_options": {**_INLINED, "fastmath": _ORDERED}}


def made_once(make: Callable[..., Any]) -> Callable[..., Any]:
    """``functools.cache``, for which an argument by its name, or left out, is the same one.

    That takes ``(1)`` and ``(1, False)`` for two: a kernel would be made, and compiled, for each.
    """
    once, signature = functools.cache(make), inspect.signature(make)

    @functools.cache
    @functools.wraps(once)
    def made(*arguments: Any, **named: Any) -> Any:
        given = signature.bind(*arguments, **named)
        given.apply_defaults()
        return once(*given.args, **given.kwargs)

    return made


def kernel(function: Callable[..., Any]) -> Any:
    """Compile *function* on its first call, without the GIL, and keep it on disk."""
    return _kept(numba.njit(nogil=True, **OPTIONS, **KERNEL)(function), function)


def quick(function: Callable[..., Any]) -> Any:
    """The same for what takes about a microsecond: to release the GIL would take a part of that.

    No other thread of Python's can come between, so that it is done as a whole.
    """
    return _kept(numba.njit(**OPTIONS, **KERNEL)(function), function)


def linkable(function: Callable[..., Any]) -> Any:
    """The same for what only kernels call, and find by its name: see `fastnn.kernels.linked`."""
    return _kept(numba.njit(**OPTIONS, **LINKED)(function), function)


def open_kernel(function: Callable[..., Any]) -> Any:
    """The same for what users' jitted functions call too, in which it is inlined.

    A network is some thirty arguments, whose passing would take as long as a small one's work.
    """
    options = {**OPTIONS, **KERNEL, "forceinline": True}
    compiled = numba.njit(nogil=True, **options)(function)
    if compiled is function:  # with NUMBA_DISABLE_JIT=1; compiled code gives no warnings
        return np.errstate(all="ignore")(function)
    return _kept(compiled, function)


def _kept(compiled: Any, function: Callable[..., Any]) -> Any:
    if hasattr(compiled, "py_func") and cache.is_on():  # no dispatcher with NUMBA_DISABLE_JIT=1
        compiled._cache = cache.KernelCache(function)
    return compiled


def closed(compiled: Any, signature: tuple[Any, ...], *converted: tuple[Any, ...]) -> Any:
    """A quick kernel that is compiled for a signature, and no others from now on.

    *converted* are examples of arguments that are none of it, but taken too: whole numbers for
    floats. What is not is refused in half a microsecond.
    """
    with global_compiler_lock:  # another thread would find it closed
        if signature not in compiled.overloads:
            compiled.disable_compile(False)
            try:
                compiled.compile(signature)
            finally:
                compiled.disable_compile()
            if refuse_quickly is not None:
                refuse_quickly(compiled, *converted)
    return compiled
