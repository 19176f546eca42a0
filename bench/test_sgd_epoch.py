"""Per-sample SGD: five epochs of a 1-128-1 network on the 1,000 samples of the curve demo.

    pytest bench

The contestants are checked to agree before they are timed, and run once before, so that
compilation is outside the timing.
"""

from functools import partial
from math import exp

import numpy as np
import pytest

import fastnn
from fastnn.demos.curve import curve

N_SAMPLES = 1000
EPOCHS = 5
RATE = 0.1
ENGINES = ("python", "numpy", "numba")


@pytest.fixture(scope="module")
def data():
    X = np.random.RandomState(0).random_sample((N_SAMPLES, 2))[:, :1].copy()
    return X, curve(X)


@pytest.fixture(scope="module")
def start():
    return fastnn.Network([1, 128, 1], seed=2).parameters.copy()


def numpy_by_hand(X, y, parameters):
    """The NumPy loop as the document writes it, for this one network."""
    W1, b1 = parameters[:128].copy(), parameters[128:256].copy()
    W2, b2 = parameters[256:384].copy(), parameters[384]
    for x, target in zip(X.ravel().tolist() * EPOCHS, y.ravel().tolist() * EPOCHS, strict=True):
        h = 1.0 / (1.0 + np.exp(-(x * W1 + b1)))
        d = h @ W2 + b2 - target
        d1 = d * W2 * h * (1.0 - h)
        W2 -= RATE * d * h
        b2 -= RATE * d
        W1 -= RATE * x * d1
        b1 -= RATE * d1
    return np.concatenate([W1, b1, W2, [b2]])


def python_by_hand(X, y, parameters):
    """The same in lists."""
    W1, b1 = parameters[:128].tolist(), parameters[128:256].tolist()
    W2, b2 = parameters[256:384].tolist(), float(parameters[384])
    for x, target in zip(X.ravel().tolist() * EPOCHS, y.ravel().tolist() * EPOCHS, strict=True):
        h = [1.0 / (1.0 + exp(-(w * x + b))) for w, b in zip(W1, b1, strict=True)]
        d = sum([a * w for a, w in zip(h, W2, strict=True)]) + b2 - target
        d1 = [d * w * a * (1.0 - a) for w, a in zip(W2, h, strict=True)]
        W2 = [w - RATE * d * a for w, a in zip(W2, h, strict=True)]
        b2 -= RATE * d
        W1 = [w - RATE * x * e for w, e in zip(W1, d1, strict=True)]
        b1 = [b - RATE * e for b, e in zip(b1, d1, strict=True)]
    return np.array([*W1, *b1, *W2, b2])


def by_engine(engine, X, y, start):
    net = fastnn.Network([1, 128, 1], engine=engine)
    net.set_parameters(start)
    net.fit(X, y, epochs=EPOCHS, batch_size=1, learning_rate=RATE, shuffle=False)
    return net.parameters


CONTESTANTS = {
    "python by hand": python_by_hand,
    "numpy by hand": numpy_by_hand,
    **{f"engine {name}": partial(by_engine, name) for name in ENGINES},
}


@pytest.mark.benchmark(group="per-sample SGD, 1-128-1, float64, 5,000 updates")
@pytest.mark.parametrize("contestant", CONTESTANTS)
def test_sgd(benchmark, facts, data, start, contestant):
    train = CONTESTANTS[contestant]
    facts.update(contestant=contestant, dtype="float64", updates=EPOCHS * N_SAMPLES)
    expected = numpy_by_hand(*data, start)
    np.testing.assert_allclose(train(*data, start), expected, rtol=1e-9, atol=1e-12)
    benchmark(train, *data, start)
