"""Bad options of networks, optimisers and `fit`, and bad parameters."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import random_state, unchanged
from refusals import CLASSES, INF, NAN, UNIT, Stubborn, check

import fastnn

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
    ("optimizer", Stubborn(), TypeError, (OR_OPTIMIZER, "got refusals.Stubborn")),
    ("optimizer", Stubborn, TypeError, (OR_OPTIMIZER, "got refusals.Stubborn")),
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
