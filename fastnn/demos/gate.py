"""Three inputs and a hidden layer: XOR of the first two, which one neuron cannot learn.

After 簡單搭建自己的神經網絡, "building a simple neural network of one's own" (code after
github.com/llSourcell/Make_a_neural_network).

Four sigmoid units and a sigmoid output, no biases: the third input is always 1. Half squared
error, per-sample SGD in the order of the samples.
"""

from itertools import pairwise

import numpy as np

from fastnn import History, Network

X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
Y = [0, 1, 1, 0]


def start(sizes: list[int]) -> np.ndarray:
    """The weights of all layers from one legacy seed, the first layer's first."""
    random = np.random.RandomState(1)
    layers = [random.normal(0.0, n**-0.5, (n_in, n)) for n_in, n in pairwise(sizes)]
    return np.concatenate([W.ravel() for W in layers])


def new_network(hidden: tuple[int, ...] = (4,), engine: str = "numba") -> Network:
    """The network at its start."""
    sizes = [3, *hidden, 1]
    net = Network(sizes, output_activation="sigmoid", bias=False, engine=engine)
    return net.set_parameters(start(sizes))


def train(net: Network, epochs: int = 20_000, learning_rate: float = 0.1) -> History:
    """Per-sample SGD."""
    return net.fit(X, Y, epochs=epochs, batch_size=1, learning_rate=learning_rate, shuffle=False)


if __name__ == "__main__":
    net = new_network()
    history = train(net)
    print(f"loss {history.loss[0]:.6f} -> {history.loss[-1]:.6f}")
    print("ŷ =", *net.predict(X)[:, 0].round(6), "and for 1, 0, 0:", net.predict([[1, 0, 0]])[0, 0])
