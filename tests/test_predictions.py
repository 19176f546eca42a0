"""Predictions of many networks at once are those of each, and bad input is refused at the door."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import scipy.sparse
from helpers import ENGINES, NUMBA_SLOW

import fastnn
from fastnn import predictions
from fastnn.kernels import forward_engine

X = np.random.default_rng(1).normal(size=(37, 3))


def networks(n=20, activations=("relu",), **arguments):
    return [
        fastnn.Network(
            [3, 4 + k % 5, 2], activation=activations[k % len(activations)], seed=k, **arguments
        )
        for k in range(n)
    ]


@pytest.mark.parametrize("engine", NUMBA_SLOW)
def test_vectors_in_place_of_the_parameters(engine):
    net = networks(1, engine=engine)[0]
    before = net.parameters.copy()
    vectors = np.random.default_rng(2).normal(size=(19, len(before)))
    for some in (X, X[:1]):  # few rows have another kernel
        outputs = net.predict_with(vectors, some)
        assert np.array_equal(net.parameters, before)
        twin = copy.deepcopy(net)
        alone = [twin.set_parameters(vector).predict(some) for vector in vectors]
        np.testing.assert_array_equal(outputs, alone)


@pytest.mark.parametrize("engine", NUMBA_SLOW)
def test_networks_of_several_widths_and_activations(engine):
    many = networks(activations=("relu", "sigmoid"), engine=engine)
    for some in (X, X[:1]):
        alone = [net.predict(some) for net in many]
        np.testing.assert_array_equal(fastnn.predict_many(many, some), alone)


@pytest.mark.parametrize(
    "limits",
    [{"MOST_NUMBERS": 3 * 74}, {"MOST_NUMBERS": 20}, {"MOST_TOGETHER": 20}, {"FEW": 21}],
    ids=str,
)
@pytest.mark.parametrize("widths", [1, 2])
def test_a_few_at_a_time_and_one_by_one(limits, widths, monkeypatch):
    many = [fastnn.Network([3, 4 + k % widths, 2], activation="relu", seed=k) for k in range(20)]
    expected = [net.predict(X) for net in many]
    for name, limit in limits.items():
        monkeypatch.setattr(predictions, name, limit)
    np.testing.assert_array_equal(fastnn.predict_many(many, X), expected)
    many[17].parameters[1] = np.nan
    with pytest.raises(ValueError, match=r"networks\[17\]\.parameters\[1\] = nan"):
        fastnn.predict_many(many, X)


@pytest.mark.parametrize(
    ("sizes", "rows", "most"),
    [([1, 4, 1], 10_000, 1_000), ([1, 1, 1], 5_000, 4_000), ([3, 4, 1], 7, 700_000)],
    ids=str,
)
def test_calls_take_no_longer_than_somebody_waits_for_ctrl_c(sizes, rows, most):
    """What took a second at once: small networks, of which hardly anything is multiplications."""
    architecture = fastnn.Network(sizes)._architecture
    assert 1 < forward_engine._vectors_at_once(architecture, rows) <= most


def test_one_vector_at_once_is_the_least():
    architecture = fastnn.Network([784, 512, 10])._architecture
    assert forward_engine._vectors_at_once(architecture, 10**6) == 1


@pytest.mark.slow
def test_sparse_rows():
    rows = scipy.sparse.random_array((37, 3), density=0.3, rng=1, format="csr")
    many = networks(activations=("relu", "sigmoid"))
    alone = [net.predict(rows) for net in many]
    np.testing.assert_array_equal(fastnn.predict_many(many, rows), alone)
    vectors = np.array([net.parameters for net in many[::10]])
    np.testing.assert_array_equal(many[0].predict_with(vectors, rows), alone[::10])


@pytest.mark.own_kernels
@pytest.mark.parametrize("few", [1, predictions.FEW])
def test_networks_of_several_dtypes_and_engines_and_a_wide_one(few, monkeypatch):
    monkeypatch.setattr(predictions, "FEW", few)
    wide = fastnn.Network([3, 4000, 2], activation="relu", seed=1)
    many = [*networks(3), *networks(3, dtype="float32"), *networks(2, engine="python"), wide, wide]
    outputs = fastnn.predict_many(many, X)
    assert outputs.dtype == np.float64
    np.testing.assert_array_equal(outputs, [net.predict(X) for net in many])


BAD_NETWORKS = {
    "none": ([], ValueError, "at least one network"),
    "no list": (3, TypeError, "networks must be a list"),
    "no network": ([*networks(1), "net"], TypeError, r"networks\[1\] must be a fastnn.Network"),
    "other ends": (
        [*networks(1), fastnn.Network([4, 2])],
        ValueError,
        r"networks\[0\] has 3 and 2, networks\[1\] has 4 and 2",
    ),
}


@pytest.mark.parametrize("case", BAD_NETWORKS)
def test_bad_networks_are_refused(case):
    many, error, message = BAD_NETWORKS[case]
    with pytest.raises(error, match=message):
        fastnn.predict_many(many, X)


def test_parameters_that_are_not_finite_are_named():
    many = networks(3)
    many[1].parameters[4] = np.nan
    with pytest.raises(ValueError, match=r"networks\[1\]\.parameters\[4\] = nan"):
        fastnn.predict_many(many, X)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_inputs_that_are_not_finite_are_refused(bad):
    net = networks(1)[0]
    for predict in (
        lambda inputs: fastnn.predict_many([net], inputs),
        lambda inputs: net.predict_with(net.parameters.reshape(1, -1), inputs),
    ):
        with pytest.raises(ValueError, match=r"X must be finite, got X\[0, 0\]"):
            predict(np.full((2, 3), bad))


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.ones((2, 25)), r"\(n_vectors, 26\), got shape \(2, 25\)"),
        (np.ones(26), r"pass parameters.reshape\(1, -1\)"),
        (np.full((1, 26), np.nan), r"parameters must be finite, got parameters\[0, 0\] = nan"),
        (np.ones((0, 26)), "parameters is empty"),
    ],
)
def test_bad_vectors_are_refused(vectors, message):
    with pytest.raises(ValueError, match=message):
        networks(1)[0].predict_with(vectors, X)


@pytest.mark.parametrize("engine", ENGINES)
def test_sums_that_overflow_to_no_number_are_an_error(engine):
    net = fastnn.Network([2, 3, 1], activation="relu", engine=engine)
    huge = np.full(len(net.parameters), 1e200)
    huge[-2] = -1e200  # the last weight: infinity less infinity
    with pytest.raises(ValueError, match="parameters and X must be smaller"):
        net.predict_with([huge], [[1e150, 1e150]] * 8)
    net.parameters[:] = huge
    with pytest.raises(ValueError, match="X must be smaller"):
        fastnn.predict_many([net], [[1e150, 1e150]])
