"""The profiler's single steps of a layer against NumPy."""

import numpy as np
import pytest
from problems import few_to_compile

from fastnn.activations import ACTIVATIONS
from fastnn.kernels import phases

TANH, RATE = ACTIVATIONS["tanh"].code, 0.5


def layer(n_in, n_out, bias, n):
    """Weights, biases, inputs (n_in, n), the layer's own gradients (n_out, n)."""
    rng = np.random.default_rng(0)
    shapes = ((n_in, n_out), (n_out,), (n_in, n), (n_out, n))
    W, b, A, D = (rng.uniform(-1, 1, shape) for shape in shapes)
    return W, b * bias, A, D


def expected(W, b, A, D, bias):
    """Values and gradients of inputs and units, and the parameters after the update."""
    a = np.concatenate([A.ravel(), np.tanh(W.T @ A + b[:, None]).ravel()])
    d = np.concatenate([((W @ D) * (1 - A * A)).ravel(), D.ravel()])
    p = np.concatenate([(W + RATE * A @ D.T).ravel(), b + RATE * bias * D.sum(axis=1)])
    return a, d, p


@pytest.mark.parametrize("bias", few_to_compile([True], [True, False]))
@pytest.mark.parametrize(("n_in", "n_out"), [(3, 1), (2, 4)])
@pytest.mark.parametrize("n", [1, 5])
def test_steps_are_those_of_a_layer(n_in, n_out, bias, n):
    W, b, A, D = layer(n_in, n_out, bias, n)
    p = np.concatenate([W.ravel(), b])
    a = np.concatenate([A.ravel(), np.full(n_out * n, np.nan)])
    d = np.concatenate([np.full(n_in * n, np.nan), D.ravel()])
    w = np.concatenate([a, d, np.empty(n_out * n)])
    for step in (phases.FORWARD, phases.BACKWARD, phases.UPDATE):
        make_step = phases.make_sample_step if n == 1 else phases.make_block_step
        sizes = np.array([n_in, n_out, n], np.uint64)
        make_step(TANH, TANH, bias)(sizes, p, w, step, RATE, 1)
    a, d = np.split(w[: 2 * len(a)], 2)
    for got, wanted in zip((a, d, p), expected(W, b, A, D, bias), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-14)
