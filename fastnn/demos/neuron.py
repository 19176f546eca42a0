"""One neuron, one number in: it learns from which x on the answer is 1.

After "a minimal neural network in 99 lines" (orczhou.com; code: github.com/orczhou/ssnn).

    ŷ = σ(w x + b),  σ(z) = 1 / (1 + e^-z)

The cost is the binary cross-entropy. Gradient descent goes down its slope, from w = b = 0, with
all samples in every step:

    ∂cost/∂w = Σ (ŷ - y) x,  ∂cost/∂b = Σ (ŷ - y)
"""

import numpy as np

from fastnn import History, Network

X = np.arange(6.0)
Y = [0, 0, 0, 0, 0, 1]


def new_network(hidden: tuple[int, ...] = (), engine: str = "numba") -> Network:
    """One neuron at zero; hidden units must begin apart from each other, or they stay alike."""
    return Network(
        [1, *hidden, 1],
        loss="binary_cross_entropy",
        reduction="sum",
        initializer="glorot_uniform" if hidden else "zeros",
        seed=0,
        engine=engine,
    )


def train(net: Network, epochs: int = 50_000, learning_rate: float = 0.01) -> History:
    """Gradient descent: all samples in one step, so that an epoch is an iteration."""
    return net.fit(X, Y, epochs=epochs, batch_size=None, learning_rate=learning_rate)


if __name__ == "__main__":
    net = new_network()
    history = train(net)
    print(
        f"w = {net.weights[0][0, 0]:.6f}, b = {net.biases[0][0]:.6f}, cost {history.loss[-1]:.6f}"
    )
    print("ŷ =", *net.predict(X)[:, 0].round(6))
