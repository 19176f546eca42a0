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

import functools
import hashlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba import types
from numba.core import caching
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.extending import intrinsic, overload

_ORDERED = {"nsz", "arcp", "contract", "afn"}
_OPTIONS: dict[str, Any] = {
    "error_model": "numpy",  # a division that may raise keeps its loop from being vectorised
    "fastmath": _ORDERED | {"reassoc"},
    "_nrt": False,  # without numba's runtime, to allocate is an error when a kernel is compiled
}


class _InlinedLibrary(JITCodeLibrary):
    """A function for its callers only: neither optimised nor made into machine code by itself.

    After compilation numba asks for the function's address and writes its environment there, by
    way of ``codegen``. There is no address, and callers need none: they link the LLVM code.
    """

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, _name: str) -> int:
        self._ensure_finalized()
        return 0

    @property
    def codegen(self) -> "_InlinedLibrary":
        return self

    def set_env(self, _name: str, _environment: Any) -> None:
        """Set nothing: the function is not in memory."""


class _InlinedCompiler(Compiler):
    """Leaves LLVM's work on what is inlined to the kernels, which hold all of it.

    numba would optimise, vectorise and translate a function on its own, and once more in each
    caller. Left to the kernel, loops are vectorised once, knowing all that is known there: its
    constants and `prefer_wide_vectors`. Old / new: 1-128-1 in float64 269 / 203 ns an update,
    in float32 142 / 117; compiling mini-batch training 5.2 / 3.8 s.
    """

    def define_pipelines(self) -> Any:
        state = self.state
        state.library = _InlinedLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        return super().define_pipelines()


#: What only kernels call needs no entry points for Python and C: it compiles faster without.
_INNER = {
    **_OPTIONS,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": _InlinedCompiler,
}

# Inlined whatever LLVM thinks of it: `prefer_wide_vectors` reaches only what is in the kernel.
inner = numba.njit(forceinline=True, **_INNER)
#: For ``numba.extending.overload``, where a function depends on its arguments' types.
OVERLOAD_OPTIONS: dict[str, Any] = {"jit_options": _INNER}
#: The same for functions whose operations must stay in the order written.
ORDERED_OVERLOAD_OPTIONS: dict[str, Any] = {"jit_options": {**_INNER, "fastmath": _ORDERED}}


def kernel(function: Callable[..., Any]) -> Any:
    """Compile *function* on its first call, without the GIL, and cache it on disk."""
    compiled = numba.njit(nogil=True, **_OPTIONS)(function)
    if hasattr(compiled, "py_func"):  # not so with NUMBA_DISABLE_JIT=1
        if cache_directory() is not None:
            compiled._cache = _KernelCache(function)
        else:
            _warn_on_first_compilation(compiled)
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


#: Files beside the kernels whose constants are compiled into them.
_CONSTANTS = ("activations.py", "losses.py", "optimizers.py", "reference/random.py")


@functools.cache
def source_digest(package: Path = Path(__file__).parents[1]) -> str:
    """Digest of every kernel file and of all else that changes what is compiled.

    numba looks only at the file of the function it compiles and would go on using old
    machine code after a change in a helper (numba issue 1833).
    """
    digest = hashlib.sha256(f"boundscheck={numba.config.BOUNDSCHECK}".encode())
    for path in [*sorted(package.glob("kernels/*.py")), *(package / name for name in _CONSTANTS)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


@functools.cache
def cache_directory() -> str | None:
    """Where compiled kernels are kept; None when switched off or no place is writable.

    ``FASTNN_CACHE=0`` switches it off. Otherwise the first of these that can be written:
    ``NUMBA_CACHE_DIR``, ``__pycache__`` beside the kernels, the user's cache directory.
    """
    if os.environ.get("FASTNN_CACHE", "1") == "0":
        return None
    for locator_class in (
        caching.UserProvidedCacheLocator,
        caching.InTreeCacheLocator,
        caching.UserWideCacheLocator,
    ):
        locator = locator_class.from_function(kernel, __file__)
        if locator is not None:
            return str(locator.get_cache_path())
    return None


class _KernelLocator(caching._CacheLocator):
    """Tells numba where a kernel is cached, and when what is cached is out of date."""

    def __init__(self, function: Callable[..., Any]):
        self._first_line = function.__code__.co_firstlineno

    @classmethod
    def from_function(cls, function: Callable[..., Any], _file: str) -> "_KernelLocator":
        return cls(function)

    def get_cache_path(self) -> str | None:
        return cache_directory()

    def get_source_stamp(self) -> str:
        return source_digest()

    def get_disambiguator(self) -> str:
        return str(self._first_line)


class _KernelCacheImpl(caching.CompileResultCacheImpl):
    _locator_classes = (_KernelLocator,)


class _KernelCache(caching.FunctionCache):
    _impl_class = _KernelCacheImpl

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        """What tells the entries of one kernel apart.

        numba's own key contains the pickled closure. With a jitted function in the closure
        that is different in every process (numba issue 6264). Here it is enough to know which
        closure it is: the code itself is in `source_digest`.
        """
        return (sig, codegen.magic_tuple(), closure_key(self._py_func))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What was compiled for *sig*, or None.

        numba would first load all that it can compile, half a second in each new process. Machine
        code needs none of it, and what is not cached loads it when it is compiled.
        """
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)


def closure_key(function: Callable[..., Any]) -> tuple[Any, ...]:
    """The constants in a function's closure, and in those of the jitted functions in it."""
    key: list[Any] = [function.__module__, function.__qualname__]
    for cell in function.__closure__ or ():
        value = cell.cell_contents
        nested = getattr(value, "py_func", value)
        key.append(closure_key(nested) if callable(nested) else value)
    return tuple(key)


def _warn_on_first_compilation(compiled: Any) -> None:
    """Say once in a process, when something is compiled, that it will not be kept."""
    compile_signature = compiled.compile

    def compile_and_warn(signature: Any) -> Any:
        if os.environ.get("FASTNN_CACHE", "1") != "0":
            _warn_no_cache()
        return compile_signature(signature)

    compiled.compile = compile_and_warn


@functools.cache
def _warn_no_cache() -> None:
    warnings.warn(
        "fastnn found no directory where it may keep compiled kernels, so each new process "
        "compiles them again. Set NUMBA_CACHE_DIR to a writable directory.",
        RuntimeWarning,
        stacklevel=2,
    )
