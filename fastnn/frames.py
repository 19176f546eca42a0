"""Data of other libraries: columns with names, and what NumPy does not read by itself."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Device types of DLPack whose memory the processor can read: its own, and that pinned for CUDA.
_OF_THE_CPU = (1, 3)


@dataclass(frozen=True)
class Columns:
    """A table's columns.

    Attributes
    ----------
    names : sequence
        Of any type; texts in most tables.
    types : list of str
    take : callable
        Takes a column's number and returns what NumPy makes an array of.
    """

    names: Sequence[Any]
    types: list[str]
    take: Callable[[int], Any]


def columns_of(value: Any) -> Columns | None:
    """The columns of a frame of pandas, polars or narwhals, of a table of pyarrow; else None."""
    kind = type(value)
    if kind is np.ndarray:
        return None
    if hasattr(kind, "to_native"):
        return columns_of(value.to_native())
    if hasattr(kind, "dtypes") and hasattr(kind, "columns"):
        names = list(value.columns)
        return Columns(names, [str(dtype) for dtype in value.dtypes], lambda k: value[names[k]])
    if hasattr(kind, "column_names") and hasattr(kind, "schema"):
        return Columns(value.column_names, [str(t) for t in value.schema.types], value.column)
    return None


def opened(value: Any, name: str) -> Any:
    """What NumPy can read, in place of narwhals' frames, Arrow streams and DLPack.

    Raises
    ------
    TypeError
        For a lazy frame, an array on another device, and where what it takes is not installed.
    """
    kind = type(value)
    if hasattr(kind, "to_native"):  # narwhals' own, which hides the types of columns
        return opened(value.to_native(), name)
    if hasattr(kind, "__array__"):
        return value
    if hasattr(kind, "collect"):
        raise TypeError(f"{name} is a lazy frame, which has no rows yet: pass {name}.collect()")
    if hasattr(kind, "__arrow_c_stream__") or hasattr(kind, "__arrow_c_array__"):
        return _from_arrow(value, name)
    if hasattr(kind, "__dlpack__"):
        return _from_dlpack(value, name)
    return value


def _from_arrow(value: Any, name: str) -> Any:
    """A table, by the first library that is there; only its columns' names are copied."""
    for library, make in (("pyarrow", "table"), ("polars", "DataFrame")):
        try:
            module = importlib.import_module(library)
        except ImportError:
            continue
        return getattr(module, make)(value)
    raise TypeError(
        f"{name} is an Arrow stream, {type(value).__name__}, which needs pyarrow or polars to be "
        "read: pip install pyarrow"
    )


def _from_dlpack(value: Any, name: str) -> np.ndarray:
    """An array that shares the memory."""
    device = tuple(value.__dlpack_device__())
    if device[0] not in _OF_THE_CPU:
        raise TypeError(
            f"{name} must be in memory that the processor reads, got an array on device "
            f"{int(device[0])} of DLPack: copy it to the CPU first"
        )
    return np.from_dlpack(value)
