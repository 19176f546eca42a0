"""Shuffled rows of more than caches hold, which kernels ask for ahead."""

import numpy as np
import pytest

import fastnn
from fastnn.kernels import wide_input
from fastnn.kernels.epochs import NEAR
from fastnn.kernels.layout import layer_table

pytestmark = pytest.mark.own_kernels

#: Layer sizes, and batch sizes: one output, one hidden layer, in blocks of samples; turned, or not.
KINDS = {
    "one output": ([70, 3, 1], 1),
    "one hidden layer": ([70, 3, 2], 1),
    "wide input": ([130, 64, 3, 2], 1),
    "turned": ([70, 3, 2], 32),
    "as they lie": ([120, 3, 2], 32),
}


@pytest.mark.parametrize("kind", KINDS)
def test_shuffled_rows_beyond_the_caches_are_learned_as_by_the_reference(kind):
    sizes, batch_size = KINDS[kind]
    n, rng = NEAR // (8 * sizes[0]) + 3, np.random.default_rng(0)
    X, Y = rng.normal(size=(n, sizes[0])), rng.normal(size=(n, sizes[-1]))
    assert X.nbytes > NEAR
    layers = layer_table(fastnn.Network(sizes)._architecture)
    assert wide_input.pays(layers, 8) == (kind == "wide input")
    learned = []
    for engine in ("numba", "numpy"):
        net = fastnn.Network(sizes, engine=engine, seed=0)
        net.fit(X, Y, epochs=2, batch_size=batch_size, learning_rate=0.01, shuffle=True)
        learned.append(net.parameters.copy())
    np.testing.assert_allclose(*learned, rtol=1e-11, atol=1e-12)
