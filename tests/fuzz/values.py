"""What the odd values are made of: verdicts, objects that fail, libraries."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np

#: What must become of an odd value: it is taken as its twin is; the same, if it is taken at all; it
#: is refused; or nothing is known beforehand, and only the general rules hold.
TAKEN, SAME, NEVER, ANY = "taken", "same", "never", "any"


@dataclass(frozen=True)
class Odd:
    """A value, a name for reports, and what must become of it."""

    label: str
    value: Any
    verdict: str = ANY
    twin: Any = None


class OwnError(Exception):
    """What the odd objects' own methods raise."""


class Hostile:
    """An object all of whose methods raise."""

    def _raise(self, *_arguments, **_named):
        raise OwnError("an object's own method")

    __array__ = __len__ = __iter__ = __getitem__ = __bool__ = __float__ = __index__ = _raise
    __eq__ = __lt__ = __gt__ = __le__ = __ge__ = __contains__ = __call__ = __fspath__ = _raise
    __hash__ = object.__hash__

    def __getattr__(self, name):
        raise AttributeError(name)


class Mute(Hostile):
    """A hostile object that cannot even be printed."""

    __repr__ = Hostile._raise


class WithArray:
    """An object that says itself what array it is; it does not copy, as the newest NumPy asks."""

    def __init__(self, content):
        self._content = content

    def __array__(self, dtype=None, copy=None):
        return self._content


class Long(Hostile):
    """A sequence that says that it has entries without end."""

    def __len__(self):
        return 1 << 62

    def __getitem__(self, _k):
        raise OwnError("an object's own method")


class WrongInt(int):
    """A whole number that cannot be compared."""

    __lt__ = __gt__ = __le__ = __ge__ = Hostile._raise


class Subclass(np.ndarray):
    """Nothing but another class of arrays."""


class Text(str):
    """Nothing but another class of strings."""


def library(name: str) -> Any:
    """A module that need not be installed, or None."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


pandas, polars, pyarrow = library("pandas"), library("polars"), library("pyarrow")


def endless() -> list[Any]:
    it: list[Any] = [1.0]
    it.append(it)
    return it


def short(value: Any) -> str:
    """What a value is, in a line."""
    try:
        return f"{type(value).__name__}: {value!r}"[:70].replace("\n", " ")
    except Exception:
        return type(value).__name__
