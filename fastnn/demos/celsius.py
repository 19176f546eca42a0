"""One linear neuron learns the formula from Celsius to Fahrenheit from examples.

After Python 上的单神经元神经网络——具有数学直觉, "a one-neuron network in Python, with mathematical
intuition" (2021-06-21).

    ŷ = w c + b,  cost = mean of (ŷ - y)²,  y = 1.8 c + 32

One weight and one bias, so gradient descent has to end at w = 1.8 and b = 32.
"""

import numpy as np

from fastnn import History, Network

X = np.arange(-50.0, 50.0)  # °C
Y = 1.8 * X + 32  # °F


def new_network(hidden: tuple[int, ...] = (), engine: str = "numba") -> Network:
    """One weight, drawn from a seed, and one bias, zero."""
    return Network([1, *hidden, 1], loss="squared_error", seed=1, engine=engine)


def train(net: Network, epochs: int = 10_000, learning_rate: float = 0.001) -> History:
    """Gradient descent with all samples in every step."""
    return net.fit(X, Y, epochs=epochs, batch_size=None, learning_rate=learning_rate)


if __name__ == "__main__":
    net = new_network()
    history = train(net)
    print(f"cost {history.loss[0]:.6g} -> {history.loss[-1]:.6g}")
    print(f"°F = {net.weights[0][0, 0]:.6f} °C + {net.biases[0][0]:.6f}")
