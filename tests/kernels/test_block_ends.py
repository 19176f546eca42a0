"""The end of a block's way forward, for losses of classes: against NumPy."""

import functools

import numpy as np
import pytest

from fastnn.kernels import block_ends
from fastnn.kernels.jit import kernel
from fastnn.kernels.losses import CROSS_ENTROPY

CLASSES = 3


@functools.cache
def make_end(weighted):
    finish = block_ends.make_finish(0, CROSS_ENTROPY, weighted)

    @kernel
    def end(w, n):
        """Z, Y, D and the weights are behind one another."""
        classes = np.uint64(CLASSES)
        y, d, weights = classes * n, np.uint64(2) * classes * n, np.uint64(3) * classes * n
        return finish(w, np.uint64(0), y, d, classes, n, weights)

    return end


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("weighted", [False, True])
def test_softmax_and_its_loss_of_any_number_of_samples(weighted, dtype):
    """Of sums up to ten thousand, of any class: the largest is taken off first."""
    rng, tolerance = np.random.default_rng(0), {"float64": 1e-13, "float32": 1e-5}[dtype]
    for n in range(1, 36):
        Z = rng.uniform(-1, 1, (CLASSES, n)).astype(dtype)
        Z[rng.integers(CLASSES, size=n), np.arange(n)] *= 1e4
        Y = np.eye(CLASSES, dtype=dtype)[rng.integers(CLASSES, size=n)].T
        weights = (rng.uniform(size=n) if weighted else np.ones(n)).astype(dtype)
        lie = (
            Z.ravel(),
            Y.ravel(),
            np.full(Z.size, np.nan),
            weights if weighted else weights * np.nan,
        )
        w = np.concatenate([*lie, np.full(70, np.nan)]).astype(dtype)
        total = make_end(weighted)(w, np.uint64(n))
        centred = Z.astype("f8") - Z.max(axis=0)
        shares = np.exp(centred) / np.exp(centred).sum(axis=0)
        lost = np.log(np.exp(centred).sum(axis=0)) - (Y * centred).sum(axis=0)
        D = w[2 * Z.size : 3 * Z.size].reshape(Z.shape)
        np.testing.assert_allclose(D, weights * (shares - Y), rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(total, weights @ lost, rtol=10 * tolerance, atol=tolerance)
        assert np.isnan(w[3 * Z.size + n :]).all()
