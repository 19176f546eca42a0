"""Logistic regression: one neuron with two inputs, by gradient descent.

After 神经网络基础：计算方法及其 Python 实现, "basics of neural networks, how to compute them and
how in Python" (third note of a series on telling pictures of cats).

For one sample x with m features and the answer y:

    forward    z = w₁x₁ + … + w_m x_m + b,  a = σ(z),  L = -y log a - (1-y) log(1-a)
    backward   dz = a - y,  dw_i = x_i dz,  db = dz

J is the mean of L over the samples, and dw and db the means of theirs: dw stands for ∂J/∂w.
"""

import numpy as np

from fastnn import History, Network

X = np.array([[2, 3], [3, 4], [1, 5]])
Y = [1, 0, 1]
W, B = (0.01, 0.01), 1.0


def new_network(hidden: tuple[int, ...] = (), engine: str = "numba") -> Network:
    """The neuron at the document's weights; with hidden units, random ones."""
    net = Network([2, *hidden, 1], loss="binary_cross_entropy", seed=0, engine=engine)
    return net if hidden else net.set_parameters([*W, B])


def train(net: Network, epochs: int = 1_000, learning_rate: float = 0.1) -> History:
    """Gradient descent with all samples in every step; the document makes one."""
    return net.fit(X, Y, epochs=epochs, batch_size=None, learning_rate=learning_rate)


if __name__ == "__main__":
    net = new_network()
    history = train(net)
    print(f"J {history.loss[0]:.6f} -> {history.loss[-1]:.6f}, a =", *net.predict(X)[:, 0].round(4))
