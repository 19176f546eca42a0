"""Small fits for the tests of training: a regression, losses that go up and down, a divergence."""

from __future__ import annotations

import functools
import math
from contextlib import contextmanager

import numpy as np
import oracles
import pytest
from helpers import SLICINGS, random_state

import fastnn
from fastnn.training import cuts
from fastnn.training.run import Run

#: Samples for which an epoch is run in parts, with 64 rows a piece.
N = 150
#: Epochs of `fit_noisily`, and the rate of `diverge`.
EPOCHS, RATE_TOO_HIGH = 40, 3.0


def regression(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (n, 2) and noisy targets (n,)."""
    rng = np.random.default_rng([7, n])
    X = rng.uniform(-1, 1, (n, 2))
    return X, np.sin(3 * X[:, 0]) * X[:, 1] + 0.3 * rng.normal(size=n)


def make(engine: str, sizes=(2, 4, 1), **options) -> tuple[fastnn.Network, np.random.Generator]:
    """A network, and the generator that it draws from."""
    rng = np.random.default_rng(options.pop("seed", 11))
    options = {"engine": engine, "seed": rng} | options
    return fastnn.Network(list(sizes), **options), rng


def state(net: fastnn.Network, rng: np.random.Generator) -> tuple[bytes, str]:
    """All that training changes, to compare."""
    return net.parameters.tobytes(), random_state(rng)


def use(monkeypatch: pytest.MonkeyPatch, slicing: str) -> None:
    """Cut training into pieces as `SLICINGS` says."""
    for name, value in SLICINGS[slicing].items():
        assert hasattr(cuts, name)
        monkeypatch.setattr(cuts, name, value)


@contextmanager
def counted_pieces(monkeypatch: pytest.MonkeyPatch):
    """Yield a list that receives (epochs, start, stop) of every piece that is run."""
    pieces = []
    run_piece = Run._run

    def noting(self, piece):
        pieces.append((len(piece.rates), piece.start, piece.stop))
        return run_piece(self, piece)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_run", noting)
        yield pieces


def fit_noisily(net, epochs=EPOCHS, n=20, **options):
    """A fit whose losses go up and down."""
    return net.fit(
        *regression(n), epochs=epochs, batch_size=3, learning_rate=0.6,
        validation_data=regression(n + 1), **options,
    )  # fmt: skip


@functools.cache
def full_course(engine, n=20):
    """What `fit_noisily` does when nothing stops it."""
    return fit_noisily(make(engine)[0], n=n)


def course_of_a_diverging_neuron(rate=RATE_TOO_HIGH):
    """Its data, the loss and the parameters of each epoch, and the epoch in which it goes wrong."""
    X, y = np.array([[1.0], [2.0], [3.0]]), np.array([1.0, -2.0, 3.0])
    course = oracles.descend(np.array([0.5]), 0.0, X, y, rate, 400)
    good = [math.isfinite(loss) and np.isfinite(after).all() for loss, after in course]
    return X, y, course, good.index(False) + 1


def diverge(engine, slicing="as it is", epochs=400, **options):
    """The network, its generator, and the error or else the history of training that neuron."""
    X, y, _, _ = course_of_a_diverging_neuron()
    net, rng = make(engine, (1, 1))
    net.set_parameters([0.5, 0.0])
    with pytest.MonkeyPatch.context() as patch:
        use(patch, slicing)
        try:
            history = net.fit(
                X, y, epochs=epochs, learning_rate=RATE_TOO_HIGH, batch_size=None, **options
            )
        except fastnn.TrainingDivergedError as error:
            return net, rng, error
    return net, rng, history
