"""What a user may pass in by mistake, and what just works, through the public methods."""

from __future__ import annotations

import datetime
import decimal
import fractions
import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from helpers import in_turn, random_state, unchanged

import fastnn

NAN, INF = np.nan, np.inf


@pytest.fixture
def source():
    """The generator that `net` draws from."""
    return np.random.default_rng(5)


@pytest.fixture
def net(source):
    return fastnn.Network([2, 3, 1], seed=source, engine="numpy")


def check(error: pytest.ExceptionInfo, kind: type[Exception], fragments: tuple[str, ...]) -> None:
    assert type(error.value) is kind
    text = str(error.value)
    for fragment in fragments:
        assert fragment in text
    assert len(text) < 500, "a message to read, not a dump of the data"


class Stubborn:
    """Refuses to become an array, as a tensor of torch that requires a gradient does."""

    shape = (1, 2)

    def __repr__(self):
        return "pages " * 1000

    def __array__(self, *args, **options):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


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
REAL, UNIT, CLASSES = "squared_error", "binary_cross_entropy", "cross_entropy"
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


# The options of `Network`.
BAD_OPTIONS = [
    ("activation", "sigmod", ValueError, ("'sigmod'", "Did you mean 'sigmoid'?", "relu", "tanh")),
    ("activation", "Sigmoid", ValueError, ("'Sigmoid'", "Did you mean 'sigmoid'?")),
    ("activation", "", ValueError, ("''", "relu")),
    ("activation", "softmax", ValueError, ("'softmax'", "output layer only")),
    ("activation", None, TypeError, ("None", "name")),
    ("activation", 3, TypeError, ("3", "name")),
    ("activation", ["relu", "tanh"], ValueError, ("(1)", "got 2")),
    ("activation", [], ValueError, ("(1)", "got 0")),
    ("activation", [None], TypeError, ("activation[0]", "string", "None")),
    ("activation", ["rleu"], ValueError, ("activation[0]", "'rleu'", "'relu'")),
    ("output_activation", "identty", ValueError, ("'identty'", "Did you mean 'identity'?")),
    ("output_activation", 1.5, TypeError, ("string", "1.5")),
    ("output_activation", ["tanh"], TypeError, ("string", "list")),
    ("output_activation", "softmax", ValueError, ("'softmax'", "'cross_entropy'", "half_squared")),
    ("loss", "mse", ValueError, ("'mse'", "Known:", "squared_error")),
    ("loss", "squared_eror", ValueError, ("Did you mean 'squared_error'?",)),
    ("loss", None, TypeError, ("string", "None")),
    ("loss", np.square, TypeError, ("string", "ufunc")),
    ("reduction", "avg", ValueError, ("'avg'", "mean, sum")),
    ("reduction", None, TypeError, ("string", "None")),
    ("bias", 1, TypeError, ("True or False", "int: 1")),
    ("bias", "no", TypeError, ("True or False", "'no'")),
    ("bias", None, TypeError, ("True or False", "None")),
    ("initializer", "glorot", ValueError, ("'glorot'", "Did you mean 'glorot_", "zeros")),
    ("initializer", np.zeros, TypeError, ("string",)),
    ("seed", -1, ValueError, ("at least 0", "-1")),
    ("seed", 1.5, TypeError, ("whole number", "Generator", "1.5")),
    ("seed", "1", TypeError, ("whole number", "Generator", "'1'")),
    ("seed", True, TypeError, ("whole number", "Generator", "True")),
    ("dtype", "float16", ValueError, ("float32", "float64", "float16")),
    ("dtype", "int32", ValueError, ("float32", "float64", "int32")),
    ("dtype", None, ValueError, ("float32", "float64", "None")),
    ("engine", "cuda", ValueError, ("'cuda'", "numba, numpy, python")),
    ("engine", "nunpy", ValueError, ("Did you mean 'numpy'?",)),
    ("engine", None, TypeError, ("string", "None")),
]


@pytest.mark.parametrize(("name", "value", "kind", "fragments"), BAD_OPTIONS)
def test_bad_network_options(name, value, kind, fragments):
    with pytest.raises((ValueError, TypeError)) as error:
        fastnn.Network([2, 3, 1], **{"engine": "numpy", name: value})
    check(error, kind, (name, *fragments))


@pytest.mark.parametrize(
    ("options", "fragments"),
    [
        ({"loss": UNIT, "output_activation": "identity"}, (UNIT, "'sigmoid'", "'identity'")),
        ({"loss": UNIT, "output_activation": "softmax"}, (UNIT, "'sigmoid'", "'softmax'")),
        ({"loss": CLASSES, "output_activation": "sigmoid"}, (CLASSES, "'softmax'", "'sigmoid'")),
    ],
)
def test_a_loss_from_logits_with_another_output_activation(options, fragments):
    with pytest.raises(ValueError, match="output_activation") as error:
        fastnn.Network([2, 3], engine="numpy", **options)
    check(error, ValueError, fragments)


@pytest.mark.parametrize("bad", [{"activation": "x"}, {"initializer": "x"}, {"engine": "x"},
                                 {"bias": 0}, {"dtype": "x"}, {"loss": "x"}])  # fmt: skip
def test_a_refused_network_draws_nothing_from_the_seed(source, bad):
    before = random_state(source)
    with pytest.raises((ValueError, TypeError)):
        fastnn.Network([2, 3, 1], seed=source, **bad)
    assert random_state(source) == before


@pytest.mark.parametrize("size", [10**7, 10**10, 10**30], ids=["1e7", "1e10", "1e30"])
def test_sizes_beyond_all_memory_are_refused(size):
    with pytest.raises((ValueError, MemoryError), match=r"layer_sizes"):
        fastnn.Network([size, 10 * size], engine="numpy", initializer="zeros")


# The options of `fit`.
PAIR = (np.zeros((2, 2)), np.zeros(2))
OR_SCHEDULE = "must be a number or a schedule such as fastnn.CosineDecay"
OR_OPTIMIZER = "must be a name or an optimizer such as fastnn.Adam()"
BAD_FIT = [
    ("epochs", 0, ValueError, ("at least 1", "got 0")),
    ("epochs", -3, ValueError, ("at least 1", "got -3")),
    ("epochs", 2.0, TypeError, ("whole number", "float: 2.0")),
    ("epochs", "10", TypeError, ("whole number", "'10'")),
    ("epochs", True, TypeError, ("whole number", "bool: True")),
    ("epochs", None, TypeError, ("whole number", "None")),
    ("epochs", NAN, TypeError, ("whole number", "nan")),
    ("batch_size", 0, ValueError, ("at least 1", "got 0")),
    ("batch_size", -1, ValueError, ("at least 1", "got -1")),
    ("batch_size", 1.0, TypeError, ("whole number", "float: 1.0")),
    ("batch_size", "all", TypeError, ("whole number", "'all'")),
    ("batch_size", False, TypeError, ("whole number", "bool: False")),
    ("learning_rate", 0, ValueError, ("above 0", "got 0")),
    ("learning_rate", -0.1, ValueError, ("above 0", "got -0.1")),
    ("learning_rate", NAN, ValueError, ("finite", "nan")),
    ("learning_rate", INF, ValueError, ("finite", "inf")),
    ("learning_rate", 10**400, ValueError, ("learning_rate",)),
    ("learning_rate", "0.1", TypeError, ("number", "'0.1'")),
    ("learning_rate", True, TypeError, ("number", "bool: True")),
    ("learning_rate", 1j, TypeError, ("number", "complex")),
    ("learning_rate", [0.1], TypeError, ("number", "list")),
    ("learning_rate", "adaptive", TypeError, (OR_SCHEDULE, "'adaptive'")),
    ("learning_rate", lambda epoch: 0.1, TypeError, (OR_SCHEDULE, "function")),
    ("optimizer", "sdg", ValueError, ("'sdg'", "Did you mean 'sgd'?")),
    ("optimizer", "lion", ValueError, ("'lion'", "Known:", "sgd")),
    ("optimizer", None, TypeError, (OR_OPTIMIZER, "got NoneType: None")),
    ("optimizer", fastnn.SGD, TypeError, (OR_OPTIMIZER, "class fastnn.SGD", "parentheses?")),
    ("optimizer", fastnn.LBFGS, TypeError, (OR_OPTIMIZER, "class fastnn.LBFGS", "parentheses?")),
    ("optimizer", 0.1, TypeError, (OR_OPTIMIZER, "got float: 0.1")),
    ("optimizer", Stubborn(), TypeError, (OR_OPTIMIZER, "got test_bad_input.Stubborn")),
    ("optimizer", Stubborn, TypeError, (OR_OPTIMIZER, "got test_bad_input.Stubborn")),
    ("shuffle", 1, TypeError, ("True or False", "int: 1")),
    ("shuffle", None, TypeError, ("True or False", "None")),
    ("progress", "yes", TypeError, ("True or False", "'yes'")),
    ("early_stopping", True, TypeError, ("EarlyStopping", "True")),
    ("early_stopping", 5, TypeError, ("EarlyStopping", "5")),
    ("early_stopping", fastnn.EarlyStopping, TypeError, ("EarlyStopping", "class")),
    ("early_stopping", fastnn.EarlyStopping("val_loss"), ValueError, ("validation_data", "None")),
    ("validation_data", 5, TypeError, ("pair (X, y)", "int")),
    ("validation_data", np.zeros((2, 2)), TypeError, ("pair (X, y)", "ndarray")),
    ("validation_data", "ab", TypeError, ("pair (X, y)", "str")),
    ("validation_data", PAIR[:1], TypeError, ("pair (X, y)", "got a tuple of 1")),
    ("validation_data", (*PAIR, *PAIR), TypeError, ("pair (X, y)", "got a tuple of 4")),
    ("validation_data", (*PAIR, [1.0]), ValueError, ("[2]", "must have shape")),
    ("validation_data", (np.zeros((2, 3)), PAIR[1]), ValueError, ("[0]", "(n_samples, 2)")),
    ("validation_data", (np.empty((0, 2)), []), ValueError, ("[0]", "empty")),
    ("validation_data", (PAIR[0], [1.0]), ValueError, ("[1]", "one entry per sample")),
    ("validation_data", (PAIR[0], [1.0, NAN]), ValueError, ("[1]", "finite", "nan")),
    ("validation_data", (PAIR[0], ["a", "b"]), TypeError, ("[1]", "real numbers")),
    ("validation_data", (None, None), TypeError, ("[0]", "real numbers")),
]


@pytest.mark.parametrize(
    ("name", "value", "kind", "fragments"),
    BAD_FIT,
    ids=[f"{name}-{k}" for k, (name, *_) in enumerate(BAD_FIT)],
)
def test_bad_fit_options(net, source, name, value, kind, fragments):
    X, y = np.zeros((3, 2)), np.zeros(3)
    with unchanged(net, source), pytest.raises((ValueError, TypeError)) as error:
        net.fit(X, y, **{name: value})
    kinds = kind if isinstance(kind, tuple) else (kind,)
    assert type(error.value) in kinds
    check(error, type(error.value), (name, *fragments))


def test_a_learning_rate_beside_an_optimizer_object_is_refused(net, source):
    with unchanged(net, source), pytest.raises(ValueError, match=r"learning_rate=0\.5 .*optimizer"):
        net.fit([[0, 0]], [0], optimizer=fastnn.SGD(0.1), learning_rate=0.5)


@pytest.mark.parametrize(
    ("value", "kind", "fragments"),
    [
        (0.0, ValueError, ("above 0", "0.0")),
        (-1, ValueError, ("above 0", "-1")),
        (NAN, ValueError, ("finite", "nan")),
        ("0.1", TypeError, ("number", "'0.1'")),
        (True, TypeError, ("number", "True")),
        (None, TypeError, ("number", "None")),
    ],
)
def test_bad_sgd_rates(value, kind, fragments):
    with pytest.raises((ValueError, TypeError)) as error:
        fastnn.SGD(learning_rate=value)
    check(error, kind, ("learning_rate", *fragments))


# `set_parameters`: nine numbers for 2-2-1.
BAD_VECTORS = {
    "too short": (np.zeros(8), ValueError, ("(9,)", "(8,)")),
    "too long": (np.zeros(10), ValueError, ("(9,)", "(10,)")),
    "empty": ([], ValueError, ("(9,)", "(0,)")),
    "a number": (0.0, ValueError, ("(9,)", "()")),
    "a column": (np.zeros((9, 1)), ValueError, ("(9,)", "(9, 1)")),
    "NaN": ([0] * 8 + [NAN], ValueError, ("finite", "vector[8] = nan")),
    "infinity": ([INF] + [0] * 8, ValueError, ("finite", "vector[0] = inf")),
    "text": (["a"] * 9, TypeError, ("real numbers", "<U1")),
    "complex": (np.zeros(9, complex), TypeError, ("real numbers", "complex128")),
    "None": (None, TypeError, ("real numbers", "got NoneType: None")),
    "layers": ([np.zeros((2, 2)), np.zeros(2)], ValueError, ("vector",)),
    "masked": (np.ma.array(np.zeros(9), mask=[1] + [0] * 8), ValueError, ("masked",)),
}


@pytest.mark.parametrize("what", BAD_VECTORS)
def test_bad_parameter_vectors(source, what):
    vector, kind, fragments = BAD_VECTORS[what]
    net = fastnn.Network([2, 2, 1], seed=source, engine="numpy")
    with unchanged(net, source), pytest.raises((ValueError, TypeError)) as error:
        net.set_parameters(vector)
    check(error, kind, ("vector", *fragments))


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_fit_refuses_to_start_from_parameters_that_are_not_finite(engine, source, bad):
    net = fastnn.Network([2, 2, 1], seed=source, engine=engine)
    net.parameters[4] = bad
    with unchanged(net, source), pytest.raises(ValueError, match=r"parameters\[4\] = ") as error:
        net.fit([[0, 0]], [0])
    check(error, ValueError, ("parameters", "finite", str(bad)))


# What just works: the same bits as from the plain array.
PLAIN_X = np.array([[0.0, 1.0], [2.0, -3.0], [0.5, 0.25], [-1.0, 4.0], [3.0, 3.0]])
PLAIN_Y = np.array([0.5, -1.0, 2.0, 0.0, 1.0])


def read_only(a: np.ndarray) -> np.ndarray:
    a = a.copy()
    a.flags.writeable = False
    return a


def strided(a: np.ndarray) -> np.ndarray:
    wide = np.full((*a.shape[:-1], 3 * a.shape[-1]), NAN)
    wide[..., ::3] = a
    return wide[..., ::3]


GOOD_FORMS = {
    "lists": np.ndarray.tolist,
    "lists of arrays": list,
    "tuples": lambda a: tuple(map(tuple, a)) if a.ndim == 2 else tuple(a),
    "read-only": read_only,
    "Fortran order": np.asfortranarray,
    "strided": strided,
    "reversed view": lambda a: a[::-1].copy()[::-1],
    "big-endian": lambda a: a.astype(">f8"),
    "float32": lambda a: a.astype(np.float32),
    "float16": lambda a: a.astype(np.float16),
    "longdouble": lambda a: a.astype(np.longdouble),
    "masked array without masked values": np.ma.array,
    "pandas": lambda a: pd.DataFrame(a) if a.ndim == 2 else pd.Series(a),
    "pandas, other labels": lambda a: (
        pd.DataFrame(a, columns=["b", "a"], index=range(9, 4, -1)) if a.ndim == 2
        else pd.Series(a, index=list("vwxyz"))
    ),
    "pandas, nullable": lambda a: (
        pd.DataFrame(a).astype("Float64") if a.ndim == 2 else pd.Series(a).astype("Float64")
    ),
}  # fmt: skip


def outcome(engine: str, X, y, **options) -> tuple:
    """Everything that comes out of a network that is trained on X and y."""
    n_in, loss = options.pop("n_in", 2), options.pop("loss", "half_squared_error")
    net = fastnn.Network([n_in, 3, 1], loss=loss, seed=3, engine=engine)
    history = net.fit(X, y, epochs=3, batch_size=2, learning_rate=0.1, **options)
    loss_value, gradient = net.loss_and_gradient(X, y)
    return (
        net.parameters.tobytes(), history.loss, history.val_loss, net.predict(X).tobytes(),
        [a.tobytes() for a in net.layer_outputs(X)], net.evaluate(X, y),
        loss_value, gradient.tobytes(),
    )  # fmt: skip


@pytest.mark.parametrize("form", GOOD_FORMS)
def test_every_form_of_array_gives_the_same_bits(engine, form):
    shape = GOOD_FORMS[form]
    plain = outcome(engine, PLAIN_X, PLAIN_Y, validation_data=(PLAIN_X, PLAIN_Y))
    X, y = shape(PLAIN_X), shape(PLAIN_Y)
    assert outcome(engine, X, y, validation_data=[X, y]) == plain


@pytest.mark.parametrize("dtype", [int, np.int8, np.uint16, ">i4", bool])
def test_whole_numbers_and_booleans_give_the_same_bits_as_floats(engine, dtype):
    X = np.array([[0, 1], [1, 1], [1, 0]])
    y = np.array([1, 0, 1])
    plain = outcome(engine, X.astype(float), y.astype(float))
    assert outcome(engine, X.astype(dtype), y.astype(dtype)) == plain


def test_memory_mapped_arrays_give_the_same_bits(engine, tmp_path):
    np.save(tmp_path / "X.npy", PLAIN_X)
    np.save(tmp_path / "y.npy", PLAIN_Y)
    X, y = (np.load(tmp_path / name, mmap_mode="r") for name in ("X.npy", "y.npy"))
    assert isinstance(X, np.memmap)
    assert outcome(engine, X, y) == outcome(engine, PLAIN_X, PLAIN_Y)


def test_a_column_of_targets_is_the_same_as_a_flat_list(engine):
    flat = outcome(engine, PLAIN_X, PLAIN_Y)
    assert outcome(engine, PLAIN_X, PLAIN_Y[:, None]) == flat
    assert outcome(engine, PLAIN_X, pd.DataFrame({"y": PLAIN_Y})) == flat


def test_flat_inputs_are_one_column(engine):
    x = PLAIN_X[:, 0]
    flat = outcome(engine, x, PLAIN_Y, n_in=1)
    assert outcome(engine, x[:, None], PLAIN_Y, n_in=1) == flat
    assert outcome(engine, pd.Series(x), PLAIN_Y, n_in=1) == flat


def test_a_frame_of_mixed_numbers_and_booleans_works():
    frame = pd.DataFrame({"a": [0.5, 1.5, 2.5], "b": [True, False, True]})
    X = np.array([[0.5, 1], [1.5, 0], [2.5, 1]])
    assert outcome("numpy", frame, [1, 2, 3]) == outcome("numpy", X, [1, 2, 3])


def test_a_frame_of_nullable_numbers_without_gaps_works():
    frame = pd.DataFrame({"a": pd.array([1, 2, 3], "Int64"), "b": pd.array([0.5, 1, 2], "Float64")})
    X = np.array([[1, 0.5], [2, 1], [3, 2]])
    assert outcome("numpy", frame, [1, 2, 3]) == outcome("numpy", X, [1, 2, 3])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_class_numbers_are_the_same_as_one_hot_rows(dtype):
    def trained(y):
        net = fastnn.Network([2, 3, 3], loss=CLASSES, seed=3, engine="numpy", dtype=dtype)
        net.fit(PLAIN_X, y, epochs=3, batch_size=2)
        return net.parameters.tobytes()

    classes = [0, 2, 1, 1, 0]
    assert trained(classes) == trained(np.eye(3)[classes])


def test_the_users_arrays_are_left_as_they_were(engine):
    X, y = PLAIN_X.copy(), PLAIN_Y.copy()
    net = fastnn.Network([2, 3, 1], seed=3, engine=engine)
    net.fit(X, y, epochs=5, batch_size=2)
    net.loss_and_gradient(X, y)
    assert X.tobytes() == PLAIN_X.tobytes()
    assert y.tobytes() == PLAIN_Y.tobytes()
    assert X.flags.writeable
    assert y.flags.writeable


@pytest.mark.parametrize(
    "rate",
    [1, np.float32(0.5), np.float64(0.5), np.int64(1), fractions.Fraction(1, 2)],
    ids=lambda rate: type(rate).__name__,
)
def test_every_kind_of_number_is_the_same_rate(engine, rate):
    def trained(**options):
        net = fastnn.Network([2, 3, 1], seed=3, engine=engine)
        net.fit(PLAIN_X, PLAIN_Y, epochs=3, **options)
        return net.parameters.tobytes()

    plain = trained(learning_rate=float(rate))
    assert trained(learning_rate=rate) == plain
    assert trained(optimizer=fastnn.SGD(rate)) == plain


def test_numpy_whole_numbers_are_taken_for_sizes_epochs_and_batches(engine):
    def trained(k):
        net = fastnn.Network([k(2), k(3), k(1)], seed=k(3), engine=engine)
        history = net.fit(PLAIN_X, PLAIN_Y, epochs=k(3), batch_size=k(2))
        return net.parameters.tobytes(), history.loss

    assert trained(np.int32) == trained(int)


def test_a_batch_larger_than_the_data_is_the_whole_data(engine):
    def trained(batch_size):
        net = fastnn.Network([2, 3, 1], seed=3, engine=engine)
        history = net.fit(PLAIN_X, PLAIN_Y, epochs=3, batch_size=batch_size)
        return net.parameters.tobytes(), history.loss

    assert trained(10**30) == trained(None) == trained(5)


def test_the_messages_name_the_validation_data_part(net):
    message = re.escape("validation_data[0] must have shape (n_samples, 2), got shape (1, 3)")
    with pytest.raises(ValueError, match=message):
        net.fit([[0, 0]], [0], validation_data=([[1, 2, 3]], [1]))
