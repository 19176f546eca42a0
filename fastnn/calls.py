"""What is said of a call that Python would refuse: an unknown argument, or too many.

Names are looked up in ``names.py``; here is where they belong.
"""

import difflib
import functools
import inspect
import sys
from collections.abc import Callable, Iterable
from numbers import Integral
from typing import Any, ParamSpec, TypeVar

from fastnn.names import argument_meant, not_an_argument

P = ParamSpec("P")
R = TypeVar("R")
Class = TypeVar("Class", bound=type)

#: Where arguments belong, the likeliest place first, and how they are given there.
_PLACES = {
    "fastnn.Network": "fastnn.Network(..., {})",
    "Network.fit": "net.fit(X, y, {})",
    "fastnn.SGD": "net.fit(X, y, optimizer=fastnn.SGD({}))",
    "fastnn.Adam": "net.fit(X, y, optimizer=fastnn.Adam({}))",
    "fastnn.RMSprop": "net.fit(X, y, optimizer=fastnn.RMSprop({}))",
    "fastnn.LBFGS": "net.fit(X, y, optimizer=fastnn.LBFGS({}))",
    "fastnn.EarlyStopping": "net.fit(X, y, early_stopping=fastnn.EarlyStopping({}))",
    "fastnn.Checkpoint": "net.fit(X, y, callbacks=[fastnn.Checkpoint({})])",
    "fastnn.ReduceOnPlateau": "net.fit(X, y, learning_rate=fastnn.ReduceOnPlateau({}))",
    "fastnn.StepDecay": "net.fit(X, y, learning_rate=fastnn.StepDecay({}))",
    "fastnn.CosineDecay": "net.fit(X, y, learning_rate=fastnn.CosineDecay({}))",
}
#: Packages whose frames are between a user's line and ours: decorators too.
_INSIDE = ("fastnn", "numpy")
#: The arguments at each of these places.
_arguments: dict[str, tuple[str, ...]] = {}


def guided(function: Callable[P, R]) -> Callable[P, R]:
    """Let *function* say which argument was meant where Python only says that there is none."""
    name = function.__qualname__.removesuffix(".__init__")
    return _guided(function, name if "." in name else f"fastnn.{name}")


def guided_class(kind: Class) -> Class:
    """The same for the constructor of a class, a dataclass's too."""
    constructor: Callable[..., None] = vars(kind)["__init__"]
    type.__setattr__(kind, "__init__", _guided(constructor, f"fastnn.{kind.__name__}"))
    return kind


def _guided(function: Callable[P, R], door: str) -> Callable[P, R]:
    signature = inspect.signature(function)
    _arguments[door] = tuple(name for name in signature.parameters if name != "self")

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            trace = error.__traceback__
            if trace is None or trace.tb_next is not None:  # it comes from inside
                raise
            better = _refusal(door, signature, args, kwargs)
            if better is None:
                raise
        raise better

    return call


def _refusal(
    door: str, signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> TypeError | None:
    """The error for arguments that do not go with a signature; None where Python's own will do."""
    parameters = signature.parameters.values()
    for name in kwargs:
        if name not in signature.parameters:
            return TypeError(unknown_argument(door, name, _arguments[door]))
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    if len(args) <= len(positional):
        return None
    by_position = [name for name in positional if name != "self"]
    args = args[len(positional) - len(by_position) :]
    if by_position == ["layer_sizes"] and all(isinstance(arg, Integral) for arg in args):
        sizes = ", ".join(map(str, args))
        return TypeError(f"layer_sizes must be one list, as in {door}([{sizes}]), got {sizes}")
    names = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    return TypeError(
        f"{door} takes {' and '.join(by_position) or 'nothing'} by position, got {len(args)} "
        f"arguments; give the others by name{': ' if names else ''}{', '.join(names)}"
    )


def frames_to_user() -> int:
    """For ``warnings.warn``: how many frames it is from the caller's to that of who called us."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in _INSIDE:
        level, frame = level + 1, frame.f_back
    return level


def unknown_argument(door: str, name: str, known: Iterable[str]) -> str:
    """The message for an argument that there is none of, with the one that is meant."""
    known = list(known)
    return f"{door} has no argument {name!r}{_hint(door, name, known)}"


def _hint(door: str, name: str, known: list[str]) -> str:
    meant = argument_meant(name, known)
    if meant is not None:
        return f". Did you mean {meant!r}?"
    advice = not_an_argument(name)
    if advice is not None:
        return f": {advice}"
    for place, how in _PLACES.items():
        arguments = _arguments.get(place, ())
        meant = name if name in arguments else argument_meant(name, arguments)
        if meant is not None and place != door:
            return f". It belongs elsewhere: {how.format(f'{meant}=...')}"
    near = difflib.get_close_matches(name.lower(), known, n=1)
    return f". Did you mean {near[0]!r}?" if near else f". It has {', '.join(known)}."
