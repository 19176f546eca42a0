"""Backpropagation in NumPy, whole: paste it into a notebook, run it, change it.

W (n_in, n_out) are the weights of a layer, b (n_out,) its biases. Hidden units are sigmoids, the
outputs are sums; the loss of a sample is ½ Σ (ŷ - y)². ``loops.py`` is the same in lists and
floats; fastnn's engine "numpy" does this in batches, with every activation, loss and optimiser.
"""

from itertools import pairwise

import numpy as np


def start(sizes, seed=0):
    """Random weights and zero biases for layers of these sizes: a list of (W, b)."""
    rng, layers = np.random.default_rng(seed), []
    for n_in, n_out in pairwise(sizes):
        limit = np.sqrt(6 / (n_in + n_out))
        layers.append((rng.uniform(-limit, limit, (n_in, n_out)), np.zeros(n_out)))
    return layers


def forward(layers, x):
    """What each layer puts out for the inputs x (n_in,), x itself first."""
    outputs = [x]
    for number, (W, b) in enumerate(layers, 1):
        z = outputs[-1] @ W + b
        outputs.append(z if number == len(layers) else (1 + np.tanh(z / 2)) / 2)
    return outputs


def learn(layers, x, y, rate):
    """One step of gradient descent from one sample, in place; its loss before the step."""
    outputs = forward(layers, x)
    d = outputs[-1] - y  # ∂loss/∂z of the last layer
    loss = d @ d / 2
    for (W, b), a in zip(reversed(layers), reversed(outputs[:-1]), strict=True):
        below = W @ d  # the chain rule, by the weights as they were
        W -= rate * np.outer(a, d)
        b -= rate * d
        d = below * a * (1 - a)  # one layer down, times σ' = a (1 - a)
    return loss


def train(layers, X, Y, epochs, rate):
    """Go through all samples in order, again and again; the mean loss of each epoch."""
    pairs = list(zip(X, Y, strict=True))
    return [sum(learn(layers, x, y, rate) for x, y in pairs) / len(X) for _ in range(epochs)]


if __name__ == "__main__":
    X = np.arange(50)[:, np.newaxis] * 0.618 % 1
    losses = train(start([1, 8, 1]), X, np.sin(6 * X), epochs=500, rate=0.2)
    print(losses[0], "->", losses[-1])
