"""Settings whose types check them: of optimisers, schedules, stopping rules and checkpoints."""

from functools import cache, partial
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from fastnn import validation
from fastnn.metrics import MODES
from fastnn.names import find
from fastnn.validation import Check


class Settings:
    """A dataclass whose fields are of types that carry a check: `Positive`, or `Positive | None`.

    What the check makes of a value takes its place. What several fields have to do with each other
    is looked at in a ``__post_init__`` of the class's own, after this one.
    """

    def __post_init__(self) -> None:
        kind: Any = type(self)
        for name, check in _checks(kind).items():
            object.__setattr__(self, name, check(getattr(self, name), name))  # it may be frozen


@cache
def _checks(kind: type) -> dict[str, Check]:
    """What checks each field of a class that is fastnn's own, or is derived from one.

    The types of a user's own fields are let be: they may be names that nobody can look up.
    """
    ours = next(base for base in kind.__mro__ if base.__module__.startswith("fastnn."))
    hints = get_type_hints(ours, include_extras=True)
    return {name: check for name, hint in hints.items() if (check := _check_of(hint)) is not None}


def _check_of(hint: Any) -> Check | None:
    """The check in ``Annotated[kind, check]`` or in that ``| None``."""
    kind, *rest = get_args(hint) or [None]
    if rest == [NoneType] and (check := _check_of(kind)) is not None:
        return lambda value, name: None if value is None else check(value, name)
    return rest[0] if get_origin(hint) is Annotated else None


def one_of(*names: str) -> Check:
    """The check for one of some names."""
    table = {name: name for name in names}
    return lambda value, argument: find(value, table, argument)


Real = Annotated[float, validation.real]
Positive = Annotated[float, validation.positive]
NonNegative = Annotated[float, validation.non_negative]
Fraction = Annotated[float, validation.fraction]
AtLeast0 = Annotated[int, partial(validation.integer, minimum=0)]
AtLeast1 = Annotated[int, partial(validation.integer, minimum=1)]
Flag = Annotated[bool, validation.boolean]
Text = Annotated[str, validation.text]
Mode = Annotated[str, one_of(*MODES)]
