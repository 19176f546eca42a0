"""Odd arrays: in disguise, spoiled, of another shape, of numbers at the limits."""

from __future__ import annotations

import array
import collections
import decimal
import fractions
import tempfile
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
from scipy import sparse

from .values import (
    NEVER,
    SAME,
    TAKEN,
    Hostile,
    Odd,
    Subclass,
    WithArray,
    endless,
    pandas,
    polars,
    pyarrow,
)

#: Forms of an array that may be refused.
_PERHAPS = {
    "object", "Decimal", "Fraction", "sparse", "sparse matrix", "pandas object", "pandas sparse",
    "polars objects", "list of __array__", "pyarrow", "pyarrow chunks",
}  # fmt: skip


def disguised(base: np.ndarray, r: Random) -> Odd:
    """The same numbers in another form: taken, they must give the same results."""
    forms: dict[str, Callable[[], Any]] = {
        "Fortran order": lambda: np.asfortranarray(base),
        "negative strides": lambda: base[::-1].copy()[::-1],
        "every second row": lambda: np.repeat(base, 2, axis=0)[::2],
        "byte-swapped": lambda: base.astype(base.dtype.newbyteorder()),
        "byte-swapped float32": lambda: base.astype(">f4"),
        "read-only": lambda: _read_only(base.copy()),
        "unaligned": lambda: _unaligned(base),
        "list": base.tolist,
        "tuple": lambda: tuple(base.tolist()),
        "list of arrays": lambda: list(base),
        "list of lists of NumPy numbers": lambda: (
            [list(row) for row in base.reshape(len(base), -1)] if base.ndim == 2 else list(base)
        ),
        "float16": lambda: base.astype(np.float16),
        "float32": lambda: base.astype(np.float32),
        "longdouble": lambda: base.astype(np.longdouble),
        "object": lambda: base.astype(object),
        "Decimal": lambda: _entries(base, decimal.Decimal),
        "Fraction": lambda: _entries(base, fractions.Fraction),
        "masked without a mask": lambda: np.ma.array(base),
        "list of arrays without a mask": lambda: [np.ma.array(row) for row in base],
        "subclass": lambda: base.view(Subclass),
        "memoryview": lambda: memoryview(base.copy()),
        "memory map": lambda: _mapped(base, "r"),
        "private memory map": lambda: _mapped(base, "c"),
        "__array__": lambda: WithArray(base),
        "list of __array__": lambda: [WithArray(row) for row in base],
        "deque": lambda: collections.deque(base.tolist()),
        "sparse": lambda: sparse.csr_array(base) if base.ndim == 2 else sparse.coo_array(base),
        "sparse matrix": lambda: sparse.csc_matrix(base.reshape(len(base), -1)),
    }
    if base.ndim == 1:
        forms["array.array"] = lambda: array.array("d", base)
        forms["list of arrays without dimension"] = lambda: [np.array(x) for x in base]
    if pandas:
        forms |= _pandas_forms(base)
    if polars:
        forms |= _polars_forms(base)
    if pyarrow:
        forms |= _pyarrow_forms(base)
    label = r.choice(list(forms))
    return Odd(label, forms[label](), SAME if label in _PERHAPS else TAKEN, base)


def _pandas_forms(base: np.ndarray) -> dict[str, Callable[[], Any]]:
    def table(dtype: Any = None) -> Any:
        names = ["toarray", *"abcdefgh"][: base.shape[-1]]
        one = base.ndim == 1
        made = pandas.Series(base) if one else pandas.DataFrame(base, columns=names)
        return made if dtype is None else made.astype(dtype)

    return {
        "pandas": table,
        "pandas Float64": lambda: table("Float64"),
        "pandas float32": lambda: table("float32"),
        "pandas object": lambda: table(object),
        "pandas from Arrow": lambda: table("double[pyarrow]") if pyarrow else table(),
        "pandas sparse": lambda: table(pandas.SparseDtype("float64", 0.0)),
        "pandas with an index": lambda: table().set_axis(range(5, 5 + len(base)), axis=0),
    }


def _polars_forms(base: np.ndarray) -> dict[str, Callable[[], Any]]:
    def table() -> Any:
        return polars.Series(base) if base.ndim == 1 else polars.from_numpy(base)

    return {"polars": table, "polars objects": lambda: [polars.Series(row) for row in [*base]]
            if base.ndim == 2 else table()}  # fmt: skip


def _pyarrow_forms(base: np.ndarray) -> dict[str, Callable[[], Any]]:
    def table() -> Any:
        columns = {f"c{k}": column for k, column in enumerate(base.T)} if base.ndim == 2 else {}
        return pyarrow.table(columns) if columns else pyarrow.array(base)

    return {"pyarrow": table, "pyarrow chunks": lambda: pyarrow.chunked_array([base])
            if base.ndim == 1 else table()}  # fmt: skip


def spoiled(base: np.ndarray, r: Random) -> Odd:
    """An array that is none of finite real numbers: it must be refused."""
    place = tuple(r.randrange(n) for n in base.shape)
    rows = base.tolist()
    days = np.datetime64("2020-01-01") + np.arange(base.size).reshape(base.shape)
    forms: dict[str, Callable[[], Any]] = {
        "NaN": lambda: _with(base, place, np.nan),
        "inf": lambda: _with(base, place, np.inf),
        "-inf float32": lambda: _with(base.astype(np.float32), place, -np.inf),
        "NaN in a list": lambda: _with(base, place, np.nan).tolist(),
        "longdouble beyond float64": lambda: _with(
            base.astype(np.longdouble), place, np.longdouble("1e4000")
        ),
        "None": lambda: _with(base.astype(object), place, None).tolist(),
        "text": lambda: _with(base.astype(object), place, "a").tolist(),
        "texts": lambda: base.astype(str),
        "bytes": lambda: base.astype("S"),
        "10**400": lambda: _with(base.astype(object), place, 10**400).tolist(),
        "complex": lambda: base + 1j,
        "complex without imaginary part": lambda: base.astype(np.complex64),
        "complex in a list": lambda: _with(base.astype(object), place, 1 + 0j).tolist(),
        "datetime64": lambda: days,
        "timedelta64": lambda: days - days[place],
        "list of datetime64": lambda: [list(row) for row in np.atleast_2d(days)],
        "timedelta64 in a list": lambda: _with(base.astype(object), place, np.timedelta64(1, "D")),
        "dates": lambda: days.tolist(),
        "list of date rows": lambda: list(days),
        "masked": lambda: np.ma.masked_array(base, _mask(base, place)),
        "list of masked rows": lambda: (
            list(np.ma.masked_array(base, _mask(base, place)))
            if base.ndim == 2
            else [*base[:-1], np.ma.masked]
        ),
        "tuple of masked rows": lambda: (
            tuple(np.ma.masked_array(base, _mask(base, place)))
            if base.ndim == 2
            else (*base[:-1], np.ma.masked)
        ),
        "structured": lambda: np.zeros(base.shape, [("a", float), ("b", float)]),
        "void": lambda: np.zeros(base.shape, "V8"),
        "ragged": lambda: [rows[0], [rows[-1], rows[-1]], *rows[1:]],
        "set": lambda: set(base.ravel().tolist()),
        "dict": lambda: dict(enumerate(rows)),
        "generator": lambda: (row for row in rows),
        "map": lambda: map(float, base.ravel()),
        "__array__ of text": lambda: WithArray(base.astype(str)),
        "__array__ that is a list": lambda: WithArray(rows),
        "list of hostile objects": lambda: [Hostile() for _ in rows],
        "list with itself": lambda: endless(),
        "empty": lambda: base[:0],
        "no columns": lambda: base.reshape(len(base), -1)[:, :0],
    }
    if pandas:
        forms |= _spoiled_pandas(base, days)
    if polars:
        forms |= _spoiled_polars(days.astype("datetime64[us]"))
    if pyarrow:
        forms["pyarrow dates"] = lambda: pyarrow.array(days.ravel())
        forms["pyarrow null"] = lambda: pyarrow.array([*base.ravel()[:-1], None])
    label = r.choice(list(forms))
    return Odd(label, forms[label](), NEVER)


def _spoiled_pandas(base: np.ndarray, days: np.ndarray) -> dict[str, Callable[[], Any]]:
    make = pandas.Series if base.ndim == 1 else pandas.DataFrame

    def with_missing(dtype: str) -> Any:
        made = make(base).astype(dtype)
        made.iloc[0] = pandas.NA
        return made

    return {
        "pandas NA": lambda: with_missing("Float64"),
        "pandas dates": lambda: make(days.astype("datetime64[ns]")),
        "pandas durations": lambda: make((days - days.ravel()[0]).astype("timedelta64[ns]")),
        "pandas text": lambda: make(base).astype(str),
        "pandas categories of text": lambda: make(base).astype(str).astype("category"),
        "pandas complex": lambda: make(base + 1j),
        "list of Timestamps": lambda: [[pandas.Timestamp(x) for x in row] if base.ndim == 2
                                       else pandas.Timestamp(row) for row in days],
    }  # fmt: skip


def _spoiled_polars(days: np.ndarray) -> dict[str, Callable[[], Any]]:
    def dates() -> Any:
        if days.ndim == 1:
            return polars.Series(days.tolist())
        return polars.DataFrame({f"c{k}": column.tolist() for k, column in enumerate(days.T)})

    def nulls() -> Any:
        values = [*range(1, len(days)), None]
        one = polars.Series(values, dtype=polars.Float64)
        return (
            one
            if days.ndim == 1
            else polars.DataFrame({f"c{k}": one for k in range(days.shape[1])})
        )

    return {"polars dates": dates, "polars nulls": nulls}


def reshaped(base: np.ndarray, r: Random) -> Odd:
    """The numbers in another shape, or more or fewer of them."""
    forms = {
        "flat": base.ravel(),
        "one column": base.reshape(-1, 1),
        "one row": base.reshape(1, -1),
        "transposed": base.T,
        "without dimension": np.array(1.0),
        "three dimensions": base[np.newaxis],
        "one dimension more": base[..., np.newaxis],
        "a row more": np.concatenate([base, base[:1]]),
        "a row less": base[:-1],
        "the first row": base[0],
        "32 dimensions": base.reshape(*base.shape, *[1] * (32 - base.ndim)),
        "equal rows": np.broadcast_to(base[:1], base.shape),
        "10**12 equal rows": np.broadcast_to(base[:1], (10**12, *base.shape[1:])),
        "no rows of 10**12 columns": np.empty((0, 10**12)),
    }
    label = r.choice(list(forms))
    return Odd(label, forms[label])


def extreme(base: np.ndarray, r: Random) -> Odd:
    """Numbers at the limits of the types, everywhere or in one place."""
    number = r.choice(
        [1.7e308, -1.7e308, 1e308, 1e200, 1e154, 1e39, 3.4e38, 1e30, 1e10, 1e4, 1e-46, 1e-320,
         5e-324, -0.0, 0.0, -1.0, 2.0, 0.5, 2.0**53, 1e-7, 255.0, -128.0]
    )  # fmt: skip
    label = f"{number!r}"
    if r.random() < 0.5:
        return Odd(f"{label} once", _with(base, tuple(r.randrange(n) for n in base.shape), number))
    full = np.full(base.shape, number)
    full[::2] *= r.choice([1.0, 1.0, -1.0])
    dtype = r.choice(["f8", "f8", "f4", "f2", "u8", "i1", "i8", "?"])
    with np.errstate(all="ignore"):
        return Odd(f"{label} everywhere, {dtype}", full.astype(dtype))


def _with(base: np.ndarray, place: tuple[int, ...], entry: Any) -> np.ndarray:
    copy = base.copy()
    copy[place] = entry
    return copy


def _mask(base: np.ndarray, place: tuple[int, ...]) -> np.ndarray:
    return _with(np.zeros(base.shape, bool), place, True)


def _entries(base: np.ndarray, kind: Callable[[float], Any]) -> np.ndarray:
    return np.frompyfunc(kind, 1, 1)(base)


def _read_only(base: np.ndarray) -> np.ndarray:
    base.flags.writeable = False
    return base


def _unaligned(base: np.ndarray) -> np.ndarray:
    room = np.empty(base.nbytes + 1, np.uint8)
    made = room[1:].view(base.dtype).reshape(base.shape)
    made[...] = base
    return made


def _mapped(base: np.ndarray, mode: str) -> np.ndarray:
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file, base)
        file.flush()
        return np.load(file.name, mmap_mode=mode)
