"""Bad data: refused with a message that names it, by every method, and nothing is changed."""

from __future__ import annotations

import datetime
import decimal
import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from helpers import in_turn, unchanged
from refusals import CLASSES, INF, NAN, REAL, UNIT, Stubborn, check

import fastnn

# X: two columns wanted. (what comes, the exception, what the message says beside "X")
BAD_X = {
    "three columns": ([[1, 2, 3]], ValueError, ("(n_samples, 2)", "(1, 3)")),
    "one column": ([[1], [2]], ValueError, ("(n_samples, 2)", "(2, 1)")),
    "flat, one sample": ([1.0, 2.0], ValueError, ("(n_samples, 2)", "(2,)", "reshape(1, -1)")),
    "flat": ([1.0, 2.0, 3.0], ValueError, ("(n_samples, 2)", "(3,)")),
    "a number": (5.0, ValueError, ("(n_samples, 2)", "()")),
    "three axes": ([[[1, 2]]], ValueError, ("(n_samples, 2)", "(1, 1, 2)")),
    "empty list": ([], ValueError, ("(n_samples, 2)", "(0,)")),
    "no rows": (np.empty((0, 2)), ValueError, ("empty", "(0, 2)")),
    "no columns": (np.empty((3, 0)), ValueError, ("(n_samples, 2)", "(3, 0)")),
    "NaN": ([[0, 1], [NAN, 1]], ValueError, ("finite", "X[1, 0] = nan")),
    "infinity": ([[0, INF]], ValueError, ("finite", "X[0, 1] = inf")),
    "minus infinity": ([[0, -INF]], ValueError, ("finite", "X[0, 1] = -inf")),
    "text": ([["a", "b"]], TypeError, ("real numbers", "<U1")),
    "numbers as text": ([["1", "2"]], TypeError, ("real numbers", "<U1", ".astype(float)")),
    "numbers and text": ([["1", "a"]], TypeError, ("X[0, 1] = 'a'", "text; encode it")),
    "one text": ("hello", TypeError, ("real numbers", "got str: 'hello'")),
    "bytes": (np.array([[b"a", b"b"]]), TypeError, ("real numbers", "S1")),
    "complex": ([[1j, 2]], TypeError, ("real numbers", "complex128")),
    "object": (np.array([[1, "a"]], object), TypeError, ("X[0, 1] = 'a'", "object", "text;")),
    "None": (None, TypeError, ("real numbers", "got NoneType: None")),
    "None inside": ([[1.0, None]], TypeError, ("real numbers", "X[0, 1] = None", "object")),
    "decimals": ([[decimal.Decimal(1), decimal.Decimal(2)]], TypeError, ("real", "object")),
    "too large integers": ([[10**400, 1]], TypeError, ("real numbers", "object")),
    "a dict": ({"a": 1}, TypeError, ("real numbers", "got dict: {'a': 1}")),
    "a set": ({1.0, 2.0}, TypeError, ("real numbers", "got set: {")),
    "a generator": ((row for row in [[1, 2]]), TypeError, ("real numbers", "got generator: ")),
    "dates": (np.array([["2026-01-01"] * 2], "M8[D]"), TypeError, ("real", "datetime64")),
    "durations": (np.array([[1, 2]], "m8[s]"), TypeError, ("real numbers", "timedelta64")),
    "python dates": ([[datetime.date(2026, 1, 1)] * 2], TypeError, ("real", "object")),
    "records": (np.zeros(2, "f8,f8"), TypeError, ("real numbers", "f0")),
    "ragged": ([[1, 2], [3]], ValueError, ("regular array",)),
    "no conversion": (Stubborn(), ValueError, ("regular array", "requires grad")),
    "masked": (
        np.ma.array([[1.0, 2.0]], mask=[[True, False]]), ValueError, ("masked",)
    ),
    "frame of text": (pd.DataFrame({"a": ["x"], "b": ["y"]}), TypeError, ("real numbers",)),
    "frame of numbers and text": (
        pd.DataFrame({"a": [1.0, 2.0], "town": ["x" * 999, "y"]}),
        TypeError, ("X[0, 1] = 'xxx", "in column 'town'", "text; encode it"),
    ),
    "frame of categories": (
        pd.DataFrame({"a": [1.0], "b": pd.Series(["x"], dtype="category")}),
        TypeError, ("X[0, 1] = 'x' in column 'b'", "text; encode it"),
    ),
    "frame of dates": (
        pd.DataFrame({"a": pd.to_datetime(["2026-01-01"]), "b": pd.to_datetime(["2026-01-02"])}),
        TypeError, ("real numbers",),
    ),
    "frame of numbers and dates": (
        pd.DataFrame({"a": [1.0], "b": pd.to_datetime(["2026-01-02"])}),
        TypeError, ("real numbers",),
    ),
    "frame of numbers and durations": (
        pd.DataFrame({"a": [1.0], "b": pd.to_timedelta(["1h"])}), TypeError, ("real numbers",)
    ),
    "frame with NA": (
        pd.DataFrame({"a": pd.array([1, None], "Int64"), "b": [1.0, 2.0]}),
        ValueError, ("finite", "X[1, 0] = nan"),
    ),
    "frame of too large integers": (
        pd.DataFrame({"a": [10**400], "b": [1]}, dtype=object), (TypeError, ValueError), ()
    ),
    "frame of complex numbers": (
        pd.DataFrame({"a": [1j], "b": [1.0]}), TypeError, ("real numbers",)
    ),
    "frame with NaN": (
        pd.DataFrame({"a": [1.0, NAN], "b": [1.0, 2.0]}), ValueError, ("finite", "X[1, 0] = nan")
    ),
}  # fmt: skip


METHODS = {
    "fit": lambda net, X: net.fit(X, [0.0] * rows_in(X), batch_size=1),
    "predict": lambda net, X: net.predict(X),
    "layer_outputs": lambda net, X: net.layer_outputs(X),
    "evaluate": lambda net, X: net.evaluate(X, [0.0] * rows_in(X)),
    "loss_and_gradient": lambda net, X: net.loss_and_gradient(X, [0.0] * rows_in(X)),
    "jacobian": lambda net, X: net.jacobian(X),
}


def rows_in(X) -> int:
    return X.shape[0] if hasattr(X, "shape") else len(X) if hasattr(X, "__len__") else 1


@in_turn("method", METHODS)
@pytest.mark.parametrize("what", BAD_X)
def test_bad_inputs_are_refused_by_every_method(net, source, method, what):
    X, kind, fragments = BAD_X[what]
    with unchanged(net, source), pytest.raises((ValueError, TypeError)) as error:
        METHODS[method](net, X)
    kind = type(error.value) if isinstance(kind, tuple) and type(error.value) in kind else kind
    check(error, kind, ("X ", *fragments))


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 300])
@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_predict_finds_every_number_that_is_not_finite(engine, n, bad):
    """Also in an array that needs no conversion, where the engine itself looks."""
    net = fastnn.Network([2, 3, 1], seed=0, engine=engine)
    for row in {0, n // 2, n - 1}:
        for column in (0, 1):
            X = np.zeros((n, 2))
            X[row, column] = bad
            with pytest.raises(ValueError, match=rf"^X must be finite, got X\[{row}, {column}\]"):
                net.predict(X)


def test_a_number_for_one_input_is_told_to_be_a_row():
    net = fastnn.Network([1, 1], engine="numpy")
    with pytest.raises(ValueError, match=r"got shape \(\); for one sample pass \[\[100\]\]$"):
        net.predict(100)


# y for three samples: (network's outputs and loss, what comes, the exception, the message)
CLASS_NAMES = ("text;", "numpy.unique(y, return_inverse=True)", "fastnn.MLPClassifier")


ONE_OUTPUT = (
    "one output cannot tell classes apart",
    "binary_cross_entropy",
    "one output per class",
)


BAD_Y = {
    "too few": (1, REAL, [1, 2], ValueError, ("one entry per sample", "3", "2")),
    "too many": (1, REAL, [1, 2, 3, 4], ValueError, ("one entry per sample", "3", "4")),
    "none": (1, REAL, [], ValueError, ("one entry per sample", "3", "0")),
    "a number": (1, REAL, 1.0, ValueError, ("one entry per sample", "3", "single number")),
    "two columns for one output": (
        1, REAL, np.zeros((3, 2)), ValueError, ("(3, 1)", "(3, 2)")
    ),
    "one column for two outputs": (
        2, REAL, np.zeros((3, 1)), ValueError, ("(3, 2)", "(3, 1)")
    ),
    "flat for two outputs": (2, REAL, [1, 2, 3], ValueError, ("(3, 2)", "(3,)")),
    "a row instead of a column": (1, REAL, [[1, 2, 3]], ValueError, ("3", "1")),
    "three axes": (1, REAL, np.zeros((3, 1, 1)), ValueError, ("(3, 1)", "(3, 1, 1)")),
    "NaN": (1, REAL, [0, NAN, 1], ValueError, ("finite", "y[1, 0] = nan")),
    "infinity": (1, REAL, [0, 0, -INF], ValueError, ("finite", "y[2, 0] = -inf")),
    "text": (1, REAL, ["a", "b", "c"], TypeError, ("real numbers", "<U1")),
    "text in pandas": (
        1, UNIT, pd.Series(["yes", "no", "no"]), TypeError, ("y[0] = 'yes'", *CLASS_NAMES)
    ),
    "text as objects": (
        1, UNIT, pd.Series([NAN, "no", "yes"], dtype=object), TypeError, ("y[1] = 'no'",
        *CLASS_NAMES),
    ),
    "categories": (
        3, CLASSES, pd.Series(["a", "b", "c"], dtype="category"), TypeError,
        ("y[0] = 'a'", *CLASS_NAMES),
    ),
    "None": (1, REAL, [0, 1, None], TypeError, ("y[2] = None",)),
    "complex": (1, REAL, [1j, 0, 0], TypeError, ("real numbers", "complex128")),
    "object": (1, REAL, [None, 0, 0], TypeError, ("real numbers", "object")),
    "dates": (1, REAL, np.array(["2026-01-01"] * 3, "M8[D]"), TypeError, ("real", "datetime64")),
    "ragged": (1, REAL, [[1], [2, 3], [4]], ValueError, ("regular array",)),
    "masked": (1, REAL, np.ma.array([1.0, 2, 3], mask=[0, 1, 0]), ValueError, ("masked",)),
    "sparse": (1, REAL, scipy.sparse.csr_matrix(np.ones((3, 1))), TypeError, ("sparse",)),
    "a dict": (1, REAL, {0: 1, 1: 2, 2: 3}, TypeError, ("real numbers", "got dict: ")),
    "above 1": (1, UNIT, [0, 1, 1.5], ValueError, ("[0, 1]", "from 0 to 1.5", UNIT)),
    "below 0": (1, UNIT, [-1, 1, 1], ValueError, ("[0, 1]", "from -1 to 1", UNIT)),
    "NaN in probabilities": (1, UNIT, [0, NAN, 1], ValueError, ("finite", "y[1, 0] = nan")),
    "class too high": (3, CLASSES, [0, 1, 3], ValueError, ("from 0 to 2", "y[2] = 3")),
    "class below 0": (3, CLASSES, [0, -1, 3], ValueError, ("from 0 to 2", "y[1] = -1")),
    "class not whole": (3, CLASSES, [0, 0.5, 1], ValueError, ("from 0 to 2", "y[1] = 0.5")),
    "class NaN": (3, CLASSES, [NAN, 1, 2], ValueError, ("from 0 to 2", "y[0] = nan")),
    "class infinite": (3, CLASSES, [0, INF, 2], ValueError, ("from 0 to 2", "y[1] = inf")),
    "class names": (3, CLASSES, ["cat", "dog", "cat"], TypeError, ("real numbers", "<U3")),
    "rows that sum to 2": (
        3, CLASSES, [[1, 0, 0], [1, 1, 0], [0, 0, 1]], ValueError, ("sum to 1", "row 1", "2")
    ),
    "a row of zeros": (
        3, CLASSES, [[1, 0, 0], [0, 1, 0], [0, 0, 0]], ValueError, ("sum to 1", "row 2", "0")
    ),
    "negative entries": (
        3, CLASSES, [[1, 0, 0], [2, -1, 0], [0, 0, 1]], ValueError, ("[0, 1]", "from -1 to 2")
    ),
    "NaN in rows": (
        3, CLASSES, [[1, 0, 0], [NAN, 1, 0], [0, 0, 1]], ValueError, ("finite", "y[1, 0] = nan")
    ),
    "rows too wide": (
        3, CLASSES, np.eye(4)[:3], ValueError, ("(3, 3)", "class numbers", "(3,)", "(3, 4)")
    ),
    "a column of classes": (
        3, CLASSES, [[0], [1], [2]], ValueError,
        ("(3, 3)", "class numbers", "(3, 1); pass numpy.ravel(y)"),
    ),
    "classes for one output": (1, CLASSES, [0, 1, 0], ValueError, ("y[1] = 1", *ONE_OUTPUT)),
    "a column of classes for one output": (
        1, CLASSES, [[1], [0], [1]], ValueError, ("row 1 sums to 0", *ONE_OUTPUT)
    ),
    "large classes for one output": (
        1, CLASSES, [[1], [2], [1]], ValueError, ("from 1 to 2", *ONE_OUTPUT)
    ),
}  # fmt: skip


METHODS_WITH_Y = ("fit", "evaluate", "loss_and_gradient")


@in_turn("method", METHODS_WITH_Y)
@pytest.mark.parametrize("what", BAD_Y)
def test_bad_targets_are_refused_by_every_method(source, method, what):
    outputs, loss, y, kind, fragments = BAD_Y[what]
    net = fastnn.Network([2, 3, outputs], loss=loss, seed=source, engine="numpy")
    with unchanged(net, source), pytest.raises((ValueError, TypeError)) as error:
        getattr(net, method)(np.zeros((3, 2)), y)
    check(error, kind, ("y ", *fragments))


TOO_LARGE = {
    "X": lambda net: net.fit([0, 1e39], [0, 0]),
    "y": lambda net: net.fit([0, 0], [0, -4e38]),
    "vector": lambda net: net.set_parameters([1e300, 0]),
}


@pytest.mark.parametrize("what", TOO_LARGE)
def test_values_too_large_for_float32_are_refused(source, what):
    net = fastnn.Network([1, 1], dtype="float32", seed=source, engine="numpy")
    with unchanged(net, source), pytest.raises(ValueError, match="too large for float32") as error:
        TOO_LARGE[what](net)
    assert str(error.value).startswith(f"{what} must be finite")


def test_values_that_float32_just_holds_are_taken():
    net = fastnn.Network([1, 1], dtype="float32", initializer="zeros", engine="numpy")
    assert net.predict([3.4e38, -3.4e38]).tolist() == [[0.0], [0.0]]


def test_the_messages_name_the_validation_data_part(net):
    message = re.escape("validation_data[0] must have shape (n_samples, 2), got shape (1, 3)")
    with pytest.raises(ValueError, match=message):
        net.fit([[0, 0]], [0], validation_data=([[1, 2, 3]], [1]))
