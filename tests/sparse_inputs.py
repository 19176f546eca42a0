"""Sparse inputs, the same numbers in an array, and a network for them."""

from __future__ import annotations

import numpy as np
import scipy.sparse
from helpers import CORE

import fastnn

N, N_IN = 40, 12


def awkward(n: int = N, n_in: int = N_IN, dtype=np.float64) -> scipy.sparse.csr_matrix:
    """Rows with duplicates, unsorted columns, zeros that are there, empty rows and columns."""
    rng = np.random.default_rng(n)
    counts = rng.integers(0, 7, n)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    indices = rng.choice(np.delete(np.arange(n_in), [0, 5]), indptr[-1]).astype(np.int64)
    values = rng.integers(-8, 9, indptr[-1]) / 8
    matrix = scipy.sparse.csr_matrix((values.astype(dtype), indices, indptr), shape=(n, n_in))
    assert (values == 0).any()
    assert (counts == 0).any()
    assert matrix.nnz > scipy.sparse.csr_matrix(matrix.toarray()).nnz + (values == 0).sum()
    assert not matrix.has_sorted_indices
    return matrix


X = awkward()
DENSE = X.toarray()
Y = np.random.default_rng(3).integers(0, 3, N)
WEIGHTS = np.linspace(0.5, 1.5, N)
#: Activation, loss and so on of kernels that other tests need for dense inputs too.
CASE = CORE[2]


def network(engine: str, hidden=(4,), **options) -> fastnn.Network:
    options = {"activation": CASE.activation, "loss": CASE.loss, "seed": 2} | options
    net = fastnn.Network([N_IN, *hidden, 3], engine=engine, **options)
    for b in net.biases:
        b[:] = np.linspace(-0.5, 0.5, len(b))
    return net


def close(a, b, dtype="float64"):
    tolerance = (
        {"rtol": 1e-11, "atol": 1e-13} if dtype == "float64" else {"rtol": 2e-5, "atol": 1e-5}
    )
    np.testing.assert_allclose(a, b, **tolerance)
