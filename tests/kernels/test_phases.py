"""The profiler's phases: one after another they are what the training kernel does."""

import numpy as np
import pytest
from problems import few_to_compile

import fastnn
from fastnn.contract import Samples
from fastnn.kernels import engine, phases, ready, samples
from fastnn.optimizers import SGD

RATE = 0.5


def one_update(sizes, n, bias):
    """A network, one batch, and the parameters that an update with the batch leads to."""
    net = fastnn.Network(sizes, bias=bias, seed=0)
    rng = np.random.default_rng(0)
    X, Y = rng.uniform(-1, 1, (n, sizes[0])), rng.uniform(-1, 1, (n, sizes[-1]))
    start = net.parameters.copy()
    net.fit(X, Y, epochs=1, batch_size=n, optimizer=SGD(RATE), shuffle=False)
    return net._architecture, start, Samples(X, Y), net.parameters


@pytest.mark.own_kernels
@pytest.mark.parametrize("bias", few_to_compile([True], [True, False]))
@pytest.mark.parametrize("sizes", [(2, 4, 3, 2), (2, 2)])
@pytest.mark.parametrize("n", [1, 5])
def test_phases_one_after_another_are_an_update(sizes, n, bias):
    architecture, p, data, expected = one_update(sizes, n, bias)
    places = ready.places(architecture, True, 0)
    layers, size = ready.layer_table(architecture), int(places.end)
    make = phases.make_sample_phase if n == 1 else phases.make_block_phase
    if n == 1:
        layers, size = samples.table(architecture)
    run = make(*ready.codes(architecture))
    given = ready.data_for(data, architecture, np.empty((0, n), np.int64))
    w = np.full(size, np.nan)

    def phase(number, layer=0, rate=0.0):
        return run(layers, places, p, given, w, n, False, layer, number, rate, 1)

    phase(phases.FETCH)
    for l in range(len(layers)):
        phase(phases.FORWARD, l)
    assert phase(phases.LOSS, rate=RATE) > 0
    if n > 1:  # the gradients of one layer take the place of those of the one above it
        _one_layer_after_another(phase, layers, places, w)
    else:
        for l in reversed(range(len(layers))):
            phase(phases.UPDATE, l)
    np.testing.assert_allclose(p, expected, rtol=1e-12, atol=1e-14)


def _one_layer_after_another(phase, layers, places, w):
    d, below = int(places.d), int(places.d_below)
    room = below - d
    for l in reversed(range(len(layers))):
        if l > 0:
            phase(phases.BACKWARD, l)
        phase(phases.UPDATE, l, -RATE / 5)
        w[d : d + room] = w[below : below + room]


def test_only_some_kernels_go_through_a_sample_in_one_sweep():
    def in_one_sweep(*sizes):
        return engine.in_one_sweep(fastnn.Network(sizes, engine="numpy")._architecture)

    assert in_one_sweep(1, 128, 1)
    assert in_one_sweep(784, 128, 10)
    assert not in_one_sweep(4, 1)
    assert not in_one_sweep(3, 3, 60)
    assert not in_one_sweep(4, 5, 5, 1)
