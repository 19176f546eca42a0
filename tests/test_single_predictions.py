"""Predictions of single rows, by `predict_one` and the short way of `predict`."""

import numpy as np
import pytest
from helpers import CORE

import fastnn
from fastnn.training import updates


@pytest.mark.parametrize("engine", ["python", "numpy", "numba"])
@pytest.mark.parametrize("case", CORE, ids=str)
def test_predict_one_is_predict_of_one_row(engine, case):
    net, X = case.network(engine), case.data(40)[0].astype(case.dtype)
    for x in X:
        outputs = net.predict_one(x)
        assert outputs.shape == (case.outputs,)
        assert outputs.dtype == case.dtype
        assert outputs.tobytes() == net.predict(x[np.newaxis])[0].tobytes()
    assert net.predict_one(X[0]) is not net.predict_one(X[0])


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ([1, np.inf], ValueError, r"x must be finite, got x\[1\] = inf"),
        ([1], ValueError, r"x must have shape \(2,\)"),
        ([[1, 2]], ValueError, "for several samples"),
        ("ab", TypeError, "x must hold real numbers"),
    ],
)
def test_bad_rows_to_predict_are_named(x, error, message):
    net = CORE[0].network("numba")
    for _ in range(2):
        with pytest.raises(error, match=message):
            net.predict_one(x)
        if not isinstance(x, str):
            with pytest.raises(error, match=message):
                net.predict_one(np.array(x, float))
        net.predict_one([1.0, 2.0])


def forms_of(row, dtype):
    """A row of two dimensions in ways that the short way takes, and does not know."""
    yield np.array(row, dtype)
    yield np.array(row, "f8")
    yield np.array(np.repeat(row, 2, axis=1), dtype)[:, ::2]
    yield np.array(row, dtype, order="F")
    yield np.array(row, np.dtype(dtype).newbyteorder())
    yield row.tolist()


@pytest.mark.parametrize(("engine", "hidden"), [("numpy", 5), ("numba", 5), ("numba", 9000)])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_predict_of_one_row_the_short_way(engine, hidden, dtype):
    """From the second time on; for large networks never: they would keep others from the GIL."""
    net = fastnn.Network([3, hidden, 2], dtype=dtype, seed=0, engine=engine)
    X = np.array([[0.5, -1.0, 0.25], [1, 2, 3]], dtype)
    for _ in range(2):
        expected = net.predict(X)[:1]
        for row in forms_of(X[:1], dtype):
            outputs = net.predict(row)
            assert (outputs.shape, outputs.dtype) == ((1, 2), np.dtype(dtype))
            np.testing.assert_allclose(
                outputs, expected, rtol=1e-6 if dtype == "float32" else 1e-13
            )
        net.set_parameters(net.parameters * 2)
    short = net._quick_prediction is not updates.NO_PREDICTION
    assert short == (engine == "numba" and hidden == 5)
    for wrong in (np.ones((1, 4), dtype), np.full((1, 3), np.nan, dtype), np.ones((1, 1), dtype)):
        with pytest.raises(ValueError, match=r"^X must "):
            net.predict(wrong)


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_an_output_that_is_no_number_is_an_error(engine):
    net = CORE[2].network(engine)
    x = np.array([1.0, 2.0])
    assert net.predict_one(x).sum() == pytest.approx(1.0)
    for weights in net.weights:
        weights *= 1e200
    with pytest.raises(ValueError, match="must be smaller"):
        net.predict_one(x)
