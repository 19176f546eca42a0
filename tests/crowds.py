"""Many networks and their data, for the tests of `fit_many`."""

from __future__ import annotations

import numpy as np
from helpers import random_state

import fastnn

K, N = 20, 60
_rng = np.random.default_rng(0)
X = _rng.normal(size=(N, 3))
Y = np.c_[np.sin(X[:, 0]), X[:, 1] * X[:, 2]]
CLASSES = _rng.integers(0, 3, N)
SUBSETS = [_rng.integers(0, N, N) for _ in range(K)]
WEIGHTS = _rng.uniform(0, 2, N)


def networks(n=K, sizes=(3, 4, 2), **options):
    """Each option may be a function of the network's number."""
    return [
        fastnn.Network(
            *[[size(k) if callable(size) else size for size in sizes]],
            **{"seed": k} | {a: v(k) if callable(v) else v for a, v in options.items()},
        )
        for k in range(n)
    ]


def each(value):
    return [value(k) for k in range(K)]


def state(net):
    """All that decides how it goes on."""
    own = net._state
    arrays = own.parameters, own.moments, own.updates, own.clock.steps, own.clock.plateau
    return *(array.tobytes() for array in arrays), random_state(net._rng), net._optimizer


def states(nets):
    return [state(net) for net in nets]


def check_same(net, twin, rounding):
    scale = max(1, abs(twin.parameters).max())
    np.testing.assert_allclose(net.parameters, twin.parameters, rtol=0, atol=rounding * scale)
    ours, theirs = net._state, twin._state
    assert ours.updates == theirs.updates
    assert ours.clock.steps.tolist() == theirs.clock.steps.tolist()
    assert random_state(net._rng) == random_state(twin._rng)
    assert net._optimizer == twin._optimizer


def trained(**arguments):
    nets = networks(sizes=(3, lambda k: 2 + k % 4, 2))
    fastnn.fit_many(nets, X, Y, epochs=5, batch_size=8, **arguments)
    return nets
