"""Backpropagation in lists and floats, whole: paste it into a notebook, run it, change it.

W[i][j] is the weight from input i of a layer to its unit j, b[j] the bias of unit j. Hidden units
are sigmoids, the outputs are sums; the loss of a sample is ½ Σ (ŷ - y)². ``vectors.py`` is
the same in NumPy; fastnn's engine "python" does this with every activation, loss and optimiser.
"""

import math
import random
from itertools import pairwise


def start(sizes, seed=0):
    """Random weights and zero biases for layers of these sizes: a list of (W, b)."""
    rng, layers = random.Random(seed), []
    for n_in, n_out in pairwise(sizes):
        limit = math.sqrt(6 / (n_in + n_out))
        W = [[rng.uniform(-limit, limit) for _ in range(n_out)] for _ in range(n_in)]
        layers.append((W, [0.0] * n_out))
    return layers


def forward(layers, x):
    """What each layer puts out for the inputs x, x itself first."""
    outputs = [x]
    for number, (W, b) in enumerate(layers, 1):
        a = outputs[-1]
        z = [b[j] + sum(a[i] * W[i][j] for i in range(len(a))) for j in range(len(b))]
        last = number == len(layers)
        outputs.append(z if last else [(1 + math.tanh(z_j / 2)) / 2 for z_j in z])
    return outputs


def learn(layers, x, y, rate):
    """One step of gradient descent from one sample, in place; its loss before the step."""
    outputs = forward(layers, x)
    d = [p - t for p, t in zip(outputs[-1], y, strict=True)]  # ∂loss/∂z of the last layer
    loss = sum(d_j * d_j for d_j in d) / 2
    for (W, b), a in zip(reversed(layers), reversed(outputs[:-1]), strict=True):
        # The chain rule, by the weights as they were: one layer down, times σ' = a (1 - a).
        below = [sum(w * d_j for w, d_j in zip(row, d, strict=True)) for row in W]
        for j, d_j in enumerate(d):
            for i in range(len(a)):
                W[i][j] -= rate * a[i] * d_j
            b[j] -= rate * d_j
        d = [below_i * a_i * (1 - a_i) for below_i, a_i in zip(below, a, strict=True)]
    return loss


def train(layers, X, Y, epochs, rate):
    """Go through all samples in order, again and again; the mean loss of each epoch."""
    pairs = list(zip(X, Y, strict=True))
    return [sum(learn(layers, x, y, rate) for x, y in pairs) / len(X) for _ in range(epochs)]


if __name__ == "__main__":
    X = [[k * 0.618 % 1] for k in range(50)]
    losses = train(start([1, 8, 1]), X, [[math.sin(6 * x)] for (x,) in X], epochs=500, rate=0.2)
    print(losses[0], "->", losses[-1])
