"""Private parts of numba: compilers, one for functions that are only ever inlined, and options.

And quick answers of kernels that take no other types, see `refuse_quickly`.

Where a numba lacks one of these parts, importing this module fails with ImportError, and numba's
plain compiler does the same, more slowly.
"""

from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_machinery import CompilerPass
from numba.core.cpu import CPUTargetOptions
from numba.core.dispatcher import Dispatcher

from fastnn.kernels.notice import compiling
from fastnn.memory import no_collections
from fastnn.signals import uninterrupted

_NEEDED = (
    (JITCodeLibrary, "_optimize_final_module"),
    (JITCodeLibrary, "_finalize_final_module"),
    (JITCodeLibrary, "_finalize_dynamic_globals"),
    (JITCodeLibrary, "_ensure_finalized"),
    (JITCodeLibrary, "get_pointer_to_function"),
    (Compiler, "define_pipelines"),
    (Compiler, "_compile_core"),
    (CompilerPass, "name"),
    (Dispatcher, "_search_new_conversions"),
    (Dispatcher, "_explain_matching_error"),
    (CPUTargetOptions, "_nrt"),
    (CPUTargetOptions, "no_cpython_wrapper"),
    (CPUTargetOptions, "no_cfunc_wrapper"),
)
for _where, _name in _NEEDED:
    if not hasattr(_where, _name):
        raise ImportError(f"this numba has no {_where.__name__}.{_name}")


#: Passes that have nothing to do in our functions: 0.05 of the time. So these must not hold
#: closures (lambdas, comprehensions), `literally` or `literal_unroll`, arithmetic of whole arrays,
#: nor `bool` of what may be None; `inspect_types` shows nothing of them.
_UNNEEDED = {
    "with_lifting", "inline_closure_likes", "make_function_op_code_to_jit_function",
    "inline_inlinables", "find_literally", "literal_unroll", "LiteralPropagation",
    "inline_overloads", "nopython_rewrites", "nopython_supported_feature_validation",
    "annotate_types", "dump_parfor_diagnostics",
}  # fmt: skip


class _ShortCompiler(Compiler):
    """numba's own without some passes."""

    def define_pipelines(self) -> Any:
        """numba's, but for those."""
        pipelines = super().define_pipelines()
        for pipeline in pipelines:
            pipeline.passes = [step for step in pipeline.passes if step[0].name() not in _UNNEEDED]
        return pipelines


class _KernelCompiler(_ShortCompiler):
    """Takes 0.95 of the time that it takes with the garbage collector running."""

    def _compile_core(self) -> Any:
        with uninterrupted(), no_collections(), compiling(self.state.func_id.func_name):
            return super()._compile_core()


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


class _InlinedCompiler(_ShortCompiler):
    """Leaves LLVM's work on what is inlined to the kernels, which hold all of it.

    numba would optimise, vectorise and translate a function on its own, and once more in each
    caller. Left to the kernel, loops are vectorised once, knowing all that is known there: its
    constants and `prefer_wide_vectors`. Old / new: 1-128-1 in float64 269 / 203 ns an update,
    in float32 142 / 117; compiling mini-batch training 5.2 / 3.8 s.
    """

    def define_pipelines(self) -> Any:
        """The same, with a library that leaves LLVM's work to others."""
        state = self.state
        state.library = _InlinedLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        return super().define_pipelines()


#: Without numba's runtime: to allocate is then an error when a kernel is compiled.
WITHOUT_RUNTIME: dict[str, Any] = {"_nrt": False}
#: For what Python calls.
KERNEL: dict[str, Any] = {"pipeline_class": _KernelCompiler}
#: For what only kernels call, which needs no entry points for Python and C: inlined, or linked.
_NO_ENTRY = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
INLINED: dict[str, Any] = {**_NO_ENTRY, "pipeline_class": _InlinedCompiler}
LINKED: dict[str, Any] = {**_NO_ENTRY, **KERNEL}


def refuse_quickly(kernel: Any, *converted: tuple[Any, ...]) -> None:
    """Have a kernel that is compiled for all that it takes refuse the rest in half a microsecond.

    numba looks each time what might be converted, and makes a message: some 17 microseconds. What
    is *converted*, examples of arguments, it learns here.
    """
    for arguments in converted:
        kernel._search_new_conversions(*arguments)
    kernel._search_new_conversions = _find_none
    kernel._explain_matching_error = _refuse


def _find_none(*_arguments: Any, **_named: Any) -> bool:
    return False


def _refuse(*_arguments: Any, **_named: Any) -> None:
    raise TypeError("the kernel is compiled for other types")
