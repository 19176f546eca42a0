"""Sparse inputs: what comes of them is what comes of the same numbers in a dense array."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import scipy.sparse
from helpers import NUMBA_SLOW, in_turn, slow_but, unchanged
from sparse_inputs import DENSE, WEIGHTS, X, Y, close, network

import fastnn

# What is refused


def unsound(indptr, indices):
    """A CSR matrix of two rows and columns that somebody has put together wrongly."""
    matrix = scipy.sparse.csr_array(np.eye(2))
    matrix.indptr, matrix.indices = np.array(indptr), np.array(indices)
    return matrix


NAN = float("nan")
#: Two columns wanted. (What comes, the exception, what the message says beside "X".)
REFUSED = {
    "sparse of another width": (scipy.sparse.csr_matrix(np.eye(3)), ValueError, ("2)", "(3, 3)")),
    "sparse, flat": (scipy.sparse.coo_array([1.0, 2]), ValueError, ("dimensions", "(2,)")),
    "sparse without rows": (scipy.sparse.csc_array((0, 2)), ValueError, ("is empty", "(0, 2)")),
    "sparse with NaN": (
        scipy.sparse.coo_array([[0.0, 0], [1, NAN]]), ValueError, ("finite", "X[1, 1] = nan")
    ),
    "sparse complex": (scipy.sparse.csr_array(1j * np.eye(2)), TypeError, ("real", "complex128")),
    "sparse with columns beyond": (unsound([0, 1, 2], [0, 2]), ValueError, ("columns", "0 to 2")),
    "sparse with a column below 0": (unsound([0, 1, 2], [0, -1]), ValueError, ("columns", "-1 to")),
    "sparse with rows beyond": (unsound([0, 1, 9], [0, 1]), ValueError, ("sound CSR", "at most 2")),
    "sparse with rows going back": (unsound([0, 2, 1], [0, 1]), ValueError, ("sound CSR", "rise")),
}  # fmt: skip


@in_turn("what", REFUSED)
def test_what_is_no_matrix_of_finite_numbers_is_refused(what):
    matrix, kind, fragments = REFUSED[what]
    net = fastnn.Network([2, 3, 1], engine="numpy", seed=0)
    for method in (net.predict, lambda X: net.fit(X, [0.0] * X.shape[0], epochs=1)):
        with unchanged(net, net._rng), pytest.raises(kind, match=r"^X ") as error:
            method(matrix)
        for fragment in fragments:
            assert fragment in str(error.value)


def test_derivatives_by_inputs_take_arrays_only():
    with pytest.raises(TypeError, match=r"^X is a sparse matrix, .* pass X\.toarray\(\)$"):
        network("numpy").jacobian(X)


# What a network computes


@in_turn("hidden", [(4,), (), (9, 2)])
@pytest.mark.parametrize("engine", NUMBA_SLOW)
def test_outputs_are_those_of_dense_inputs(engine, hidden):
    net = network(engine, hidden)
    assert net.predict(X).dtype == net.dtype
    close(net.predict(X), net.predict(DENSE))


@in_turn("hidden", [(4,), (), (9, 2)])
@pytest.mark.parametrize("engine", NUMBA_SLOW)
def test_gradients_are_those_of_dense_inputs(engine, hidden):
    net = network(engine, hidden)
    sparse, dense = net.loss_and_gradient(X, Y), net.loss_and_gradient(DENSE, Y)
    close(sparse[0], dense[0])
    close(sparse[1], dense[1])


#: As many units as fill no register of the machine's, one, several, and some of another.
@in_turn("width", [1, 3, 8, 15, 16, 17, 33, 70])
@pytest.mark.parametrize("engine", slow_but(["numpy"], ["numpy", "numba"]))
def test_every_width_of_the_first_layer(engine, width):
    net, other = network(engine, (width,)), network("python", (width,))
    close(net.predict(X), other.predict(DENSE))
    close(net.loss_and_gradient(X, Y)[1], other.loss_and_gradient(DENSE, Y)[1])


@in_turn("options", [{"bias": False}, {"dtype": "float32"}])
@pytest.mark.parametrize("engine", NUMBA_SLOW)
def test_without_biases_and_in_single_precision(engine, options):
    for width in (3, 40):
        net = network(engine, (width,), **options)
        close(net.predict(X), net.predict(DENSE), net.dtype)
        sparse, dense = net.loss_and_gradient(X, Y), net.loss_and_gradient(DENSE, Y)
        close(sparse[1], dense[1], net.dtype)


@pytest.mark.parametrize("engine", NUMBA_SLOW)
def test_everything_else_that_looks_at_inputs(engine):
    net = network(engine)
    for mine, other in zip(net.layer_outputs(X), net.layer_outputs(DENSE), strict=True):
        close(mine, other)
    of_sparse = net.evaluate(X, Y, sample_weight=WEIGHTS)
    assert of_sparse == pytest.approx(net.evaluate(DENSE, Y, sample_weight=WEIGHTS), rel=1e-12)
    close(net.predict_with([net.parameters] * 2, X), net.predict_with([net.parameters] * 2, DENSE))
    close(fastnn.predict_many([net, net], X), fastnn.predict_many([net, net], DENSE))


@in_turn(
    "make",
    [scipy.sparse.csr_array, scipy.sparse.csc_matrix, scipy.sparse.csc_array,
     scipy.sparse.coo_array, scipy.sparse.lil_array, scipy.sparse.dok_array, scipy.sparse.bsr_array,
     scipy.sparse.dia_array, lambda X: scipy.sparse.csr_array(X, dtype=np.float32),
     lambda X: X.astype(np.longdouble), lambda X: (8 * X).astype(np.int8) / 8],
)  # fmt: skip
def test_every_format_and_type_is_taken(make):
    net = network("numpy")
    close(net.predict(make(X)), net.predict(DENSE))
    net.fit(make(X), Y, epochs=1)


def test_csr_of_the_networks_dtype_is_not_copied():
    rows = network("numpy")._inputs.features(short := X.copy().astype(np.float64))
    assert np.shares_memory(rows.values, short.data)
    short.indices = short.indices.astype(np.int32)
    rows = network("numpy")._inputs.features(short)
    assert np.shares_memory(rows.columns, short.indices)
    part = rows[10:20]
    assert np.shares_memory(part.values, short.data)
    for array in (rows.starts, rows.columns, rows.values, part.starts):
        assert not array.flags.writeable


@in_turn("rows", [slice(3, 9), slice(5, 5), slice(None, None, 3), np.array([4, 4, 39, 0])])
def test_rows_can_be_taken(rows):
    all_rows = network("numpy")._inputs.features(X)
    some = all_rows[rows]
    assert (len(some), some.shape[1]) == DENSE[rows].shape
    close(some.to_scipy().toarray(), DENSE[rows])
    again = pickle.loads(pickle.dumps(some))
    assert not again.values.flags.writeable
    close(again[:].to_scipy().toarray(), DENSE[rows])


@pytest.mark.parametrize("engine", NUMBA_SLOW)
def test_inputs_that_overflow_are_blamed(engine):
    net = network(engine)
    net.parameters[:] = 1e300
    net.weights[1][:, 1] = -1e300
    with pytest.raises(ValueError, match=r"^X must be smaller: sums"):
        net.predict(1e300 * abs(X))
