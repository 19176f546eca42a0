"""What users pass as arrays: read as numbers, checked, and made into the form that engines take.

`fastnn.validation` says of which shape and range they must be.
"""

import math
import numbers
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np

from fastnn.frames import columns_of, opened
from fastnn.mapped import RELEASE_BYTES, release_pages
from fastnn.memory import memory_for
from fastnn.names import describe, short

#: Elements looked at in one go by the finite check, so that it needs no large temporary.
_BLOCK_ELEMENTS = 1 << 18
#: Numbers for whose product OpenBLAS, as of 0.3.30, uses one thread.
_BLAS_ALONE = 10_000

#: Dates and durations, which libraries convert to numbers though they are none.
DATES = (date, timedelta, np.datetime64, np.timedelta64)

#: What lists are mostly made of: among entries of these types nothing can hide.
_PLAIN = frozenset((float, int, bool, np.float64, np.float32, np.int64, np.bool_))


def is_ready(X: Any, n_in: int, dtype: np.dtype[np.floating]) -> bool:
    """Whether inputs need no conversion, and no check but of their values: for short ways."""
    if type(X) is not np.ndarray:
        return False
    shape = X.shape
    if len(shape) != 2 or shape[1] != n_in or shape[0] == 0:
        return False
    same_type = X.dtype is dtype or X.dtype == dtype  # mostly it is the same object
    return same_type and X.flags.carray


def numeric(
    value: object, name: str, advice_for_text: str = "encode it as numbers first"
) -> np.ndarray:
    """Any array-like of real numbers as a base-class array, not copied if it is one already."""
    if type(value) is np.ndarray and value.dtype.kind in "fiub":
        return value
    refuse_sparse_and_masked(value, name)
    value = opened(value, name)
    try:
        with memory_for("{} does not fit into memory as an array", name):
            array = np.asarray(value)
    except MemoryError:
        raise
    except Exception as error:  # an object's own conversion may raise anything
        _look_inside(value, name, 0)  # for a frame's column to name
        raise ValueError(f"{name} is not a regular array of numbers: {error}") from None
    if array.dtype == object and hasattr(type(value), "to_numpy"):
        array = _from_pandas(value, array)
    if array.dtype.kind not in "fiub":
        came = _in_place_of_numbers(value, array, name, advice_for_text)
        raise TypeError(f"{name} must hold real numbers, got {came}")
    if type(value) is not np.ndarray:
        _look_inside(value, name, array.ndim)
    return array


def refuse_sparse_and_masked(value: Any, name: str) -> None:
    """Refuse what NumPy cannot read, or reads as if nothing were masked."""
    sparse = sys.modules.get("scipy.sparse")  # without it nothing is sparse
    if sparse is not None and sparse.issparse(value):
        raise TypeError(f"{name} is a sparse matrix, which is not supported: pass {name}.toarray()")
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(f"{name} has masked values: fill or drop them first")


def _look_inside(value: Any, name: str, depth: int) -> None:
    """Refuse what NumPy has made numbers of without a word: masked entries, and dates in frames.

    *value* has become an array of *depth* dimensions, so that deeper there is nothing.
    """
    if isinstance(value, Sequence):
        entries = _entries(value) if depth else ()
        if _PLAIN.issuperset(map(type, entries)):
            return
        for k, entry in enumerate(entries):
            if type(entry) is list and _PLAIN.issuperset(map(type, entry)):
                continue  # as below, only at once
            refuse_sparse_and_masked(entry, f"{name}[{k}]")
            _look_inside(entry, f"{name}[{k}]", depth - 1)
    elif (columns := columns_of(value)) is not None:
        of_each_type = {of_type: k for k, of_type in enumerate(columns.types)}
        for k in of_each_type.values() if len(of_each_type) > 1 else ():
            column = columns.take(k)
            if np.ndim(column) == 1:
                numeric(column, f"{name}[{columns.names[k]!r}]")
    elif getattr(getattr(value, "dtype", None), "fields", None):
        raise TypeError(f"{name} must hold real numbers, got records: {short(value.dtype)}")


def _entries(value: Sequence[Any]) -> Sequence[Any]:
    """What NumPy has gone through; nothing where that fails, as it then has read the memory."""
    if type(value) in (list, tuple):
        return value
    try:
        return list(value)
    except Exception:  # the sequence's own, or of a memoryview of several dimensions
        return ()


def _in_place_of_numbers(value: Any, array: np.ndarray, name: str, advice_for_text: str) -> str:
    """The first entry that is no number, where it is, and what to do."""
    came, columns = f"dtype {array.dtype}", columns_of(value)
    if array.dtype.kind not in "OUS":
        return came if columns is None else f"{came} in column {columns.names[0]!r}"
    if array.ndim == 0:
        return describe(value)
    for place, entry in enumerate(array.flat):
        if not _reads_as_number(entry):
            where = np.unravel_index(place, array.shape)
            index = ", ".join(str(i) for i in where)
            named = len(where) > 1 and columns is not None
            column = f" in column {columns.names[int(where[1])]!r}" if named and columns else ""
            plain = entry.item() if isinstance(entry, np.character) else entry
            advice = f" (text; {advice_for_text})" if isinstance(plain, str | bytes) else ""
            return f"{name}[{index}] = {short(plain)}{column}, {came}{advice}"
    return f"{came} (convert with .astype(float))"


def _reads_as_number(entry: Any) -> bool:
    """Whether ``astype(float)`` can convert it: a text of digits is one."""
    if not isinstance(entry, numbers.Number | np.bool_ | str | bytes):
        return False
    if isinstance(entry, np.timedelta64):
        return False
    try:
        float(entry)  # type: ignore[arg-type]  # complex numbers raise
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _from_pandas(value: Any, array: np.ndarray) -> np.ndarray:
    """A frame or series of numbers that pandas gives as objects: nullable or mixed types."""
    if any(isinstance(entry, (str, bytes, *DATES)) for entry in array.flat):
        return array
    try:
        converted: np.ndarray = value.to_numpy(dtype=np.float64, na_value=np.nan)
    except Exception:  # of entries that are no numbers, or not pandas's method
        return array
    return converted


def finite(value: object, dtype: np.dtype[np.floating], name: str) -> np.ndarray:
    """Finite numbers of any shape, as a read-only, C-contiguous array of *dtype*."""
    return finite_and_frozen(numeric(value, name), dtype, name)


def finite_and_frozen(
    array: np.ndarray, dtype: np.dtype[np.floating], name: str, given: Any = None
) -> np.ndarray:
    """C-contiguous, of *dtype*, finite, and as a read-only view; *given* may be named columns.

    Read-only so that kernels see one array type, whatever the user's array was, and so that
    they cannot write to it.
    """
    if array.size == 0:
        raise ValueError(f"{name} is empty, its shape is {array.shape}")
    view = array.view()
    if array.dtype != dtype or not (array.flags.c_contiguous and array.flags.aligned):
        what = "{}, of shape {}, does not fit into memory as {}"
        # What is too large for float32 is reported below.
        with np.errstate(over="ignore"), memory_for(what, name, array.shape, dtype):
            view = array.astype(dtype, order="C", subok=False)
    view.flags.writeable = False
    check_finite(view, array, name, given)
    return view


def all_finite(array: np.ndarray) -> bool:
    """Whether all numbers are finite.

    It is mostly known from a sum, of few of their squares. That may overflow: nothing that NumPy
    warns of in ``vdot`` and ``einsum``. For more numbers some libraries wake threads of theirs in
    ``vdot``, which takes longer than the work, and the more so where all cores are busy.
    """
    flat = array.reshape(-1)
    few = flat.size <= _BLAS_ALONE
    if math.isfinite(np.vdot(flat, flat) if few else np.einsum("i->", flat)):
        return True
    starts = range(0, flat.size, _BLOCK_ELEMENTS)
    return all(np.isfinite(flat[start : start + _BLOCK_ELEMENTS]).all() for start in starts)


def check_finite(converted: np.ndarray, original: np.ndarray, name: str, given: Any = None) -> None:
    """Refuse what is not finite, or was not when it was the *original*, of the same shape.

    *given* is what that was made from: its columns may have names.
    """
    flat = converted.reshape(-1)
    large = flat.size > _BLOCK_ELEMENTS
    for start in range(0, flat.size, _BLOCK_ELEMENTS):
        if large and start % (RELEASE_BYTES // converted.itemsize) == 0:
            release_pages(original)
        block = flat[start : start + _BLOCK_ELEMENTS]
        if not all_finite(block):
            where = np.unravel_index(start + int(np.isfinite(block).argmin()), converted.shape)
            index = ", ".join(str(i) for i in where)
            came = original[where]
            why = f", too large for {converted.dtype}" if np.isfinite(came) else ""
            columns = columns_of(given) if len(where) == 2 else None
            column = "" if columns is None else f" in column {columns.names[int(where[1])]!r}"
            raise ValueError(f"{name} must be finite, got {name}[{index}] = {came}{column}{why}")
