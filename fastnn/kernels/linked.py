"""Functions with machine code of their own, that kernels find by its name.

What kernels call, numba puts into each of them, optimised and translated once more: products would
be half of what is to be compiled for a network. A linked function is compiled once for a dtype, and
the entry of a kernel in the cache says which ones it needs, see `fastnn.kernels.cache`. numba's own
cache knows nothing of that: what users' functions call must not call a linked one.
"""

import functools
from collections.abc import Callable
from typing import Any

import llvmlite.binding
from numba import types
from numba.core import cgutils

from fastnn.kernels import cache
from fastnn.kernels.jit import linkable
from fastnn.kernels.llvm import operation


def linked(kinds: Callable[..., Any]) -> Callable[[Callable[..., None]], Any]:
    """As a decorator: a function that returns nothing, compiled once for all kernels.

    From the types of the arguments in a call *kinds* makes those that it is compiled for, a tuple,
    or None if it is not made for such.
    """

    def decorate(function: Callable[..., None]) -> Any:
        compiled = linkable(function)
        if compiled is function:  # with the JIT off
            return function
        assert function.__qualname__ not in cache.makers
        cache.makers[function.__qualname__] = functools.partial(_symbol, compiled)

        @functools.wraps(kinds)
        def typed(*given: Any) -> Any:
            wanted = kinds(*given)
            if wanted is None:
                return None
            _symbol(compiled, wanted)
            return types.none

        def called(*arguments: Any) -> None:
            raise TypeError(f"{function.__name__} is for kernels")

        functools.update_wrapper(called, function)
        vars(called)["compiled"] = compiled

        @operation(called, typed)
        def emit(context, builder, signature, values):
            wanted = kinds(*signature.args)
            given = zip(values, signature.args, wanted, strict=True)
            arguments = [_as(context, builder, *argument) for argument in given]
            convention, name = context.call_conv, _symbol(compiled, wanted)
            kind = convention.get_function_type(types.none, wanted)
            code = cgutils.get_or_insert_function(builder.module, kind, name)
            status, _ = convention.call_function(builder, code, types.none, wanted, arguments)
            with cgutils.if_unlikely(builder, status.is_error):  # where bounds are checked
                convention.return_status_propagate(builder, status)
            return context.get_dummy_value()

        return called

    return decorate


def _symbol(compiled: Any, kinds: tuple[Any, ...]) -> str:
    """The name of a function's machine code for arguments of these types; from now on it is known.

    The same in every process in which the code is.
    """
    known = cache.symbols.get((compiled, kinds))
    if known is not None:
        return known
    compiled.compile(kinds)
    code = compiled.overloads[kinds]
    symbol = cache.symbol_of(compiled.py_func, kinds, code.library.codegen)
    address = code.library.get_pointer_to_function(code.fndesc.llvm_func_name)
    llvmlite.binding.add_symbol(symbol, address)
    cache.symbols[compiled, kinds] = symbol
    return symbol


def _as(context: Any, builder: Any, value: Any, given: Any, wanted: Any) -> Any:
    """An argument as the type that is wanted; to be read, an array may be one to be written to."""
    if isinstance(wanted, types.BaseTuple):
        parts = zip(cgutils.unpack_tuple(builder, value), given.types, wanted.types, strict=True)
        return context.make_tuple(builder, wanted, [_as(context, builder, *part) for part in parts])
    if isinstance(wanted, types.Array):
        return value
    return context.cast(builder, value, types.unliteral(given), wanted)
