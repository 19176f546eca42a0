"""Odd values to put in the place of arguments, and what must become of them."""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import pathlib
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
from scipy import sparse

from .arrays import disguised, extreme, reshaped, spoiled
from .values import (
    ANY,
    NEVER,
    TAKEN,
    Hostile,
    Long,
    Mute,
    Odd,
    OwnError,
    Text,
    WrongInt,
    endless,
    pandas,
    polars,
    pyarrow,
    short,
)


def nothing(*_arguments):
    """A function that takes anything and returns nothing."""


def numbers_from(count):
    """A generator of numbers."""
    yield from range(count)


def odd_value(kind: str, base: Any, r: Random) -> Odd:
    """An odd value for an argument of this kind, whose valid value would be *base*."""
    if kind == "array" and base is not None and r.random() < 0.95:
        room = r.choices((disguised, spoiled, reshaped, extreme), (4, 4, 2, 2))[0]
        return room(np.asarray(base, float), r)
    if r.random() < 0.3:
        return anything(kind, r)
    make = {"number": odd_number, "integer": odd_integer, "flag": odd_flag, "name": odd_name}
    if kind in make:
        return make[kind](base, r)
    values = others(kind, base, r)
    value = r.choice(values) if values else None
    return Odd(short(value), value) if values else anything(kind, r)


def odd_number(base: Any, r: Random) -> Odd:
    """For an argument that is a finite real number."""
    same = {"NumPy float": np.float64, "longdouble": np.longdouble, "Fraction": fractions.Fraction}
    if isinstance(base, int | float) and r.random() < 0.2:
        label = r.choice(list(same))
        return Odd(label, same[label](base), TAKEN, base)
    if r.random() < 0.5:
        return _no_number(r)
    value = r.choice(
        [0, -1, 1, 2, 0.5, -0.5, -0.0, 1e-320, 5e-324, 1e-46, 1e-46, 1e-46, 1e-30, 1e-12, 1e30,
        1e39, 1e300,
         1.7e308, 2**31, 2**63, 2**64, 10**30, np.uint64(2**64 - 1), np.float16(0.5),
         np.float32(1e-45), np.longdouble("1e-4000"), 1 - 1e-16, 1 - 1e-8,
         decimal.Decimal("0.5"), np.array(0.5), WrongInt(1), None]
    )  # fmt: skip
    return Odd(short(value), value)


def odd_integer(base: Any, r: Random) -> Odd:
    """For an argument that is a whole number; none that asks for days of work."""
    if isinstance(base, int) and r.random() < 0.2:
        kind = r.choice([np.int64, np.int8, np.uint64, np.int16])
        return Odd(kind.__name__, kind(base), TAKEN, base)
    if r.random() < 0.5:
        return _no_number(r)
    value = r.choice(
        [0, -1, 1, 2, 3.0, 1.5, -(2**63), 2**31, 2**63 - 1, 2**63, 2**64, 10**12, 10**18, 10**400,
         np.int64(2**62), np.uint64(2**64 - 1), np.array(1), WrongInt(1), None]
    )  # fmt: skip
    return Odd(short(value), value)


def _no_number(r: Random) -> Odd:
    """What is no number, or no finite one."""
    if r.random() < 0.3:
        value = r.choice([np.nan, np.inf, -np.inf, np.float32(np.nan), np.longdouble("1e4000")])
        return Odd(repr(value), value, NEVER)
    return anything("number", r)


def odd_flag(base: Any, r: Random) -> Odd:
    """For an argument that is True or False."""
    if r.random() < 0.2:
        return Odd("np.bool_", np.bool_(base), TAKEN, base)
    value = r.choice([0, 1, "True", "", [], np.array([True]), np.float64(1), 2, np.int8(0)])
    return Odd(short(value), value, NEVER)


def odd_name(base: Any, r: Random) -> Odd:
    """For an argument that is one of a few words."""
    if isinstance(base, str) and r.random() < 0.2:
        kind = r.choice([Text, np.str_])
        return Odd(kind.__name__, kind(base), TAKEN, base)
    value = r.choice(
        ["", " ", "x" * 1000, "a\0b", "\ud800", "σ", "{}", "%s", "__class__", "None", b"tanh",
        "a\nb",
         1, np.array("tanh"), ("tanh",) * 9, {"tanh"}]  # of one layer it would be its name
    )  # fmt: skip
    return Odd(short(value), value, NEVER)


#: What an argument of a kind may take of `anything`.
TAKES = {
    "array": {"None", "list", "array of two", "array of one", "range", "Series", "polars Series"},
    "number": {"None"},
    "integer": {"None"},
    "flag": {"True", "np.True_"},
    "name": {"None"},
}


def anything(kind: str, r: Random) -> Odd:
    """What hardly any argument takes."""
    forms: dict[str, Callable[[], Any]] = {
        "None": lambda: None,
        "np.True_": lambda: np.True_,
        "True": lambda: True,
        "text": lambda: "0.5",
        "bytes": lambda: b"1",
        "surrogate": lambda: "\ud800",
        "complex": lambda: 1 + 0j,
        "NumPy complex": lambda: np.complex128(1),
        "timedelta64": lambda: np.timedelta64(1, "s"),
        "datetime64": lambda: np.datetime64("2020-01-01"),
        "NaT": lambda: np.timedelta64("NaT", "s"),
        "timedelta": lambda: datetime.timedelta(1),
        "date": lambda: datetime.date(2020, 1, 1),
        "list": lambda: [0.1],
        "empty list": list,
        "empty dict": dict,
        "empty text": str,
        "dict": lambda: {0: 1.0, "a": None},
        "set": lambda: {1, 2},
        "array of two": lambda: np.array([0.1, 0.2]),
        "array of one": lambda: np.array([1]),
        "array of texts": lambda: np.array(["a"]),
        "array of objects": lambda: _of_objects([Hostile()]),
        "masked": lambda: np.ma.masked,
        "structured scalar": lambda: np.zeros(1, "i4,f8")[0],
        "hostile": Hostile,
        "hostile class": lambda: Hostile,
        "mute": Mute,
        "long": Long,
        "object": object,
        "type": lambda: float,
        "function": lambda: nothing,
        "module": lambda: np,
        "Ellipsis": lambda: ...,
        "NotImplemented": lambda: NotImplemented,
        "slice": lambda: slice(3),
        "range": lambda: range(3),
        "generator": lambda: numbers_from(3),
        "path": lambda: pathlib.Path("x"),
        "Series": lambda: pandas.Series([0.1, 0.2]) if pandas else None,
        "NA": lambda: pandas.NA if pandas else None,
        "polars Series": lambda: polars.Series([1.0, 2.0]) if polars else None,
        "pyarrow scalar": lambda: pyarrow.scalar(1.0) if pyarrow else None,
        "lists in lists": endless,
    }
    label = r.choice(list(forms))
    value = forms[label]()
    refused = kind in TAKES and label not in TAKES[kind] and value is not None
    return Odd(label, value, NEVER if refused else ANY)


def others(kind: str, base: Any, r: Random) -> list[Any]:
    """Values for arguments of which there are but one or two."""
    if kind == "pair":
        X, y = base
        spoiled_X, spoiled_y = spoiled(X, r).value, spoiled(y, r).value
        return [(X,), X, [X, y], (X, y, y), (y, X), (X[:2], y), (None, None), (X[:0], y[:0]), "Xy",
                (spoiled_X, y), (X, spoiled_y), (disguised(X, r).value, y), {0: X, 1: y},
                (extreme(X, r).value, y), (X, extreme(y, r).value)]  # fmt: skip
    if kind == "chunks":
        return _odd_chunks([*base()] if callable(base) else base, r)
    if kind == "labels":
        return _odd_labels(base)
    values = {
        "small integer": lambda: [
            0, -1, 1.5, 2.0, "2", True, np.int8(1), np.timedelta64(1, "s"), 3,
        ],
        "sizes": lambda: [*_small_sizes(), [2, 10**12, 1], [2, 10**400], [10**6, 10**6], [2, 10**6,
            1], [2, 10**6, 1], [2**31,
            2**31],
                          [2**63, 2], [2, np.uint64(2**64 - 1)]],
        "small sizes": _small_sizes,
        "seed": lambda: [-1, 10**400, 2**63, np.int64(3), 1.5, "1", True, np.random.SeedSequence(1),
                         np.random.RandomState(1), np.random.default_rng(1),
                         np.random.Generator(np.random.MT19937(1)), np.random.PCG64(1), [1, 2]],
        "dtype": lambda: ["f4", "float16", "<f8", ">f8", np.float32, "complex128", object, int,
            "M8[D]",
                          float, "float", np.dtype([("a", "f8")]), np.longdouble, "f8,f4",
                          "\ud800"],
        "weights": lambda: [{}, {5: 1}, {-1: 1}, {"a": 1}, {0: np.nan}, {0: -1}, {0: 1e308,
            1: 1e308},
                            {0: 0, 1: 0, 2: 0}, {True: 1}, "balanced", "Balanced", [1, 2], {0: "1"},
                            {0: 10**400}, {10**400: 1}, {0: None}, {0: 1e-320},
                            {np.int64(0): np.float32(2)}],
        "rates": lambda: [0.5, [0.5], (0.5, 0.5), 1.0, -0.1, np.nan, np.array([0.5]),
            np.array(0.5), [True],
                          ["0.5"], [None], 1 - 1e-17, [[0.5]], 1e-320],
        "names": lambda: ["", [], ["tanh"], ("tanh", "tanh"), [1], [None], "Tanh", "\ud800",
            {"tanh": 1},
                          np.array(["tanh"]), ["x" * 1000], "softmax", "dot", ["dot", "dot"],
                          [["dot"]]],
        "metrics": lambda: ["r2", ["r2", "r2"], ["nope"], [None], ["auc"], ["accuracy"], {"r2"},
            iter(["r2"]),
                            [nothing], [float], [""], ["\ud800"], [["r2"]], ["loss"], ("r2",),
                            [np.str_("r2")]],
        "callbacks": lambda: [[object()], [None], None, [nothing], [float], nothing, [[]], "ab",
            {1: 2}, [Hostile()],
                              [Mute()], 3, ()],
        "optimizer": lambda: ["Adam", "sgdd", "", b"sgd", float, nothing, Hostile(), Mute(),
            "\ud800", 0.1,
                              ["sgd"], Text("sgd"), np.str_("sgd"), "lbfgs"],
    }  # fmt: skip
    return values[kind]() if kind in values else []


def _small_sizes() -> list[Any]:
    return [[2], [], [2.0, 1], [2, True], "21", (2, 1), np.array([2, 4, 1]), [2, -1], [2, 0, 1],
    range(1, 3),
            iter([2, 1]), {2: 1, 1: 1}, {1, 2}, [2, [3], 1], [[2, 3], [1, 1]], [2, None],
            np.array([2.0, 1.0]),
            [np.int8(2), np.uint64(1)], np.array(3), b"ab", [2, "3"], [np.timedelta64(2, "s"), 1],
            collections.deque([2, 1]), np.array([[2, 1]]), bytearray(b"ab")]  # fmt: skip


def _odd_chunks(parts: list[Any], r: Random) -> list[Any]:
    X, y = parts[0][:2]
    first = (spoiled(X, r).value, y)
    second = (X, spoiled(y, r).value)

    def failing(error: BaseException) -> Any:
        def chunks():
            yield from parts if r.random() < 0.5 else ()
            raise error

        return chunks

    return [
        [first], [second], [parts[0], first], [parts[0], second], [(extreme(X, r).value, y)],
        [(disguised(X, r).value, disguised(y, r).value)], [(X,)], [(X, y, y, y)], [X], [None], [],
        {}, "",
        "ab", 3, None, X, (X, y), {0: (X, y)}, iter(parts), (part for part in parts), nothing,
        lambda _k: parts, lambda: 3, lambda: None, lambda: [], [[]], [(X, y, None)],
        [(X, y, np.zeros(len(X)))], [(X, y, spoiled(np.ones(len(X)), r).value)], Hostile(), Mute(),
        Long(),
        failing(OwnError()), failing(KeyboardInterrupt()), failing(SystemExit(1)),
        failing(OwnError())(),
        failing(StopIteration()), set(), float, np.array([1, 2]), [{"X": X, "y": y}], [(X, y),
        None],
    ]  # fmt: skip


def _odd_labels(y: np.ndarray) -> list[Any]:
    n = len(y)
    two = y if y.ndim == 2 else np.stack([y, y], axis=1)
    forms: list[Any] = [
        y.tolist(), y.astype(object), y.astype(str), np.zeros(n), np.ones(n), np.full(n, "a"),
        [None] * n,
        np.full(n, np.nan), np.linspace(0, 1, n), np.arange(n), two, two[:, :1], y[:-1], y[:0],
        np.arange(n) % 5,
        np.datetime64("2020-01-01") + np.arange(n) % 2, np.ma.masked_array(np.arange(n) % 2,
        np.arange(n) == 1),
        ["a", 1] * (n // 2), [b"a", b"b"] * (n // 2), [True, False] * (n // 2), [[0]] * n, [(),
        (1,)] * (n // 2),
        np.eye(n), 1j * np.arange(n), "a" * n, 3, None, {k: k for k in range(n)}, Hostile(),
        np.where(np.arange(n) % 2, np.inf, 0), np.where(np.arange(n) % 2, "a", None),
        sparse.csr_array(np.eye(n)),
        np.arange(n) % 2 * 2**62, [10**400, 1] * (n // 2), [decimal.Decimal(1),
        decimal.Decimal(2)] * (n // 2),
    ]  # fmt: skip
    if pandas:
        forms += [pandas.Series(y.tolist()), pandas.Series([*["a",
        "b"] * (n // 2)]).astype("category"),
                  pandas.Series([1, None] * (n // 2), dtype="Int64")]  # fmt: skip
    return [*forms, *([polars.Series(["a", "b"] * (n // 2))] if polars else [])]


def _of_objects(objects: list[Any]) -> np.ndarray:
    made = np.empty(len(objects), object)
    for k, it in enumerate(objects):
        made[k] = it
    return made
