"""What the tests of streams and of single updates share."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from helpers import ENGINES, data_for, random_state, slow_but

import fastnn

X, Y = data_for("squared_error", 24, 3, 2)
WEIGHTS = np.arange(24) % 3 + 0.5
RULES = {
    "sgd": fastnn.SGD(0.1),
    "momentum": fastnn.SGD(0.1, momentum=0.9),
    "adam": fastnn.Adam(0.02),
}
#: Numba compiles for each rule, and for single samples and batches.
on_engines = pytest.mark.parametrize(
    ("engine", "rule"),
    slow_but(itertools.product(["python", "numpy"], RULES), itertools.product(ENGINES, RULES)),
)


def network(engine="numpy", **options):
    return fastnn.Network([3, 4, 2], seed=4, engine=engine, **options)


def chunks(size=8):
    return [(X[k : k + size], Y[k : k + size]) for k in range(0, 24, size)]


def bits(net):
    state = net._state
    return [
        state.parameters.tobytes(), state.moments.tobytes(), state.updates.tolist(),
        random_state(net._rng),
    ]  # fmt: skip
