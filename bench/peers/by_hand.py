"""The loops that one writes for this one network, 1-128-1: in NumPy as the document, and in lists.

They know their network: one hidden layer, one input, one output, half squared error.
"""

from math import exp

import numpy as np

from bench.contest import Entry, UnavailableError
from bench.problems import Problem


def train(problem: Problem, language: str) -> Entry:
    """Per-sample SGD."""
    n_in, *hidden, n_out = problem.sizes
    known = (n_in, len(hidden), n_out, problem.batch, problem.dtype, problem.bias)
    if known != (1, 1, 1, 1, "float64", True):
        raise UnavailableError("written by hand for 1-n-1 in float64, one sample at a time")
    network = (_InNumPy if language == "numpy" else _InPython)(problem)
    return Entry(network.train, network.result, {}, compiles=False)


class _InNumPy:
    def __init__(self, problem: Problem):
        (W1, self.b1), (W2, self.b2) = problem.layers(problem.start)
        self.W1, self.W2 = W1.ravel(), W2.ravel()
        self.problem = problem

    def train(self) -> None:
        problem, W1, b1, W2, b2 = self.problem, self.W1, self.b1, self.W2, self.b2
        rate, xs, targets = problem.rate, problem.X.ravel().tolist(), problem.Y.ravel().tolist()
        for _ in range(problem.epochs):
            for x, target in zip(xs, targets, strict=True):
                h = 1.0 / (1.0 + np.exp(-(x * W1 + b1)))
                d = h @ W2 + b2[0] - target
                d1 = d * W2 * h * (1.0 - h)
                W2 -= rate * d * h
                b2 -= rate * d
                W1 -= rate * x * d1
                b1 -= rate * d1

    def result(self) -> np.ndarray:
        return np.concatenate([self.W1, self.b1, self.W2, self.b2])


class _InPython:
    def __init__(self, problem: Problem):
        (W1, b1), (W2, b2) = problem.layers(problem.start)
        self.W1, self.b1, self.W2 = W1.ravel().tolist(), b1.tolist(), W2.ravel().tolist()
        self.b2 = float(b2[0])
        self.problem = problem

    def train(self) -> None:
        problem, W1, b1, W2, b2 = self.problem, self.W1, self.b1, self.W2, self.b2
        rate, xs, targets = problem.rate, problem.X.ravel().tolist(), problem.Y.ravel().tolist()
        for _ in range(problem.epochs):
            for x, target in zip(xs, targets, strict=True):
                h = [1.0 / (1.0 + exp(-(w * x + b))) for w, b in zip(W1, b1, strict=True)]
                d = sum([a * w for a, w in zip(h, W2, strict=True)]) + b2 - target
                d1 = [d * w * a * (1.0 - a) for w, a in zip(W2, h, strict=True)]
                step, step1 = rate * d, rate * x
                W2 = [w - step * a for w, a in zip(W2, h, strict=True)]
                b2 -= step
                W1 = [w - step1 * e for w, e in zip(W1, d1, strict=True)]
                b1 = [b - rate * e for b, e in zip(b1, d1, strict=True)]
        self.W1, self.b1, self.W2, self.b2 = W1, b1, W2, b2

    def result(self) -> np.ndarray:
        return np.array([*self.W1, *self.b1, *self.W2, self.b2])
