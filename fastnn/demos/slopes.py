"""A curve from values and slopes: with half the samples of the values alone.

    y = sin(3 x) + ½ sin(7 x), from -1.5 to 1.5

Simulations, adjoint codes and prices often come with their derivatives. With ``dydx`` a network
learns from both: its loss is that of the values plus the mean squared error of its Jacobian. (After
Czarnecki and others, Sobolev training for neural networks (NeurIPS 2017).)
"""

import numpy as np

from fastnn import History, Network

MANY, FEW, ITERATIONS = 24, 12, 2000
#: Where L-BFGS ends hangs on the start and on the last bits of every sum: one network shows little.
SEEDS = range(9)


def curve(x: np.ndarray) -> np.ndarray:
    """The values at x."""
    y: np.ndarray = np.sin(3 * x) + 0.5 * np.sin(7 * x)
    return y


def slope(x: np.ndarray) -> np.ndarray:
    """The slopes at x."""
    dydx: np.ndarray = 3 * np.cos(3 * x) + 3.5 * np.cos(7 * x)
    return dydx


def places(n: int) -> np.ndarray:
    """So many inputs, shape (n, 1)."""
    return np.linspace(-1.5, 1.5, n)[:, np.newaxis]


def new_network(engine: str, seed: int = 0) -> Network:
    """Not trained yet."""
    return Network([1, 24, 1], activation="tanh", loss="squared_error", seed=seed, engine=engine)


def train(net: Network, n: int, with_slopes: bool, iterations: int = ITERATIONS) -> History:
    """Learn from n samples. Derivatives have the shape that `Network.jacobian` returns."""
    x = places(n)
    dydx = slope(x)[:, :, np.newaxis] if with_slopes else None
    return net.fit(x, curve(x), dydx=dydx, epochs=iterations, optimizer="lbfgs")


def error(net: Network) -> float:
    """How far off the curve the network is, between the samples too: the root mean square."""
    x = places(301)
    return float(np.sqrt(((net.predict(x) - curve(x)) ** 2).mean()))
