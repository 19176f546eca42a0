"""A curve is learned by 128 hidden units, one sample at a time: a million small updates.

After 单入单出的两层神经网络能做什么, "what a two-layer network with one input and one output can
do".

    y = 0.4 x² + 0.3 x sin(15 x) + 0.01 cos(50 x) - 0.3  on [0, 1]

A sigmoid hidden layer, one linear output, half squared error, per-sample SGD in the order of
the samples. This is the work that this library was made for: each update is so small that
everything around it costs more than the update itself, unless all of it is compiled.
"""

from itertools import pairwise

import numpy as np

from fastnn import History, Network


def curve(x: np.ndarray) -> np.ndarray:
    """The function to be learned."""
    y: np.ndarray = 0.4 * x**2 + 0.3 * x * np.sin(15 * x) + 0.01 * np.cos(50 * x) - 0.3
    return y


X = np.linspace(0.0, 1.0, 100)  # to test it with
Y = curve(X)


def new_network(hidden: tuple[int, ...] = (128,), engine: str = "numba") -> Network:
    """The network at its start: weights uniform ±√6/√(n_in + n_out), biases 0."""
    sizes, random = [1, *hidden, 1], np.random.RandomState(2)
    net = Network(sizes, activation="sigmoid", engine=engine)
    for W, (n_in, n) in zip(net.weights, pairwise(sizes), strict=True):
        limit = np.sqrt(6) / np.sqrt(n_in + n)
        W[:] = random.uniform(-limit, limit, (n_in, n))
    return net


def train(
    net: Network, epochs: int = 1_000, learning_rate: float = 0.1, samples: int = 1_000
) -> History:
    """Per-sample SGD on random points."""
    x = np.random.RandomState(0).random_sample((samples, 2))[:, 0]
    return net.fit(
        x, curve(x), epochs=epochs, batch_size=1, learning_rate=learning_rate, shuffle=False
    )


if __name__ == "__main__":
    net = new_network()
    history = train(net)
    print(f"{history.seconds:.3f} s, test MSE {((net.predict(X)[:, 0] - Y) ** 2).mean():.7f}")
