"""What is to come out, written a second time and straight from the definitions.

Slow and plain on purpose; imports nothing from fastnn.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logsumexp


def activate(name: str, Z: np.ndarray) -> np.ndarray:
    """An activation function of weighted sums (n, m)."""
    if name == "softmax":
        return np.exp(Z - logsumexp(Z, axis=1, keepdims=True))
    if name == "relu":
        return np.where(Z > 0, Z, 0.0)
    return {"identity": np.asarray, "sigmoid": expit, "tanh": np.tanh}[name](Z)


def sample_losses(name: str, Z: np.ndarray, A: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """The loss of each sample from weighted sums, outputs and targets (n, m), as design.md says."""
    if name == "half_squared_error":
        return 0.5 * ((A - Y) ** 2).sum(axis=1)
    if name == "squared_error":
        return ((A - Y) ** 2).mean(axis=1)
    if name == "binary_cross_entropy":  # -y log σ(z) - (1-y) log(1-σ(z)), where 1-σ(z) = σ(-z)
        return (Y * np.logaddexp(0, -Z) + (1 - Y) * np.logaddexp(0, Z)).mean(axis=1)
    if name == "cross_entropy":
        return -(Y * (Z - logsumexp(Z, axis=1, keepdims=True))).sum(axis=1)
    raise AssertionError(f"no oracle for {name}")


def forward(
    weights: list[np.ndarray], biases: list[np.ndarray], activations: list[str], X: np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Weighted sums and outputs of every layer, in float64."""
    Zs, outputs = [], []
    A = np.asarray(X, dtype=float)
    for k, (W, name) in enumerate(zip(weights, activations, strict=True)):
        Z = A @ W.astype(float) + (biases[k].astype(float) if biases else 0.0)
        A = activate(name, Z)
        Zs.append(Z)
        outputs.append(A)
    return Zs, outputs


def stop_epoch(
    values: list[float], min_delta: float, patience: int, start_from_epoch: int
) -> int | None:
    """The epoch, from 1, with which training stops; None if it never does.

    design.md: "The best value is followed from epoch 1; from `start_from_epoch` on, an epoch that
    is not better than the best by more than `min_delta` counts, and training stops when more than
    `patience` such epochs come in a row."
    """
    counts = []
    for epoch, value in enumerate(values, start=1):
        earlier = values[: epoch - 1]
        better = not earlier or min(earlier) - value > min_delta
        counts.append(epoch >= start_from_epoch and not better)
        if len(counts) > patience and all(counts[-patience - 1 :]):
            return epoch
    return None


def best_epoch(values: list[float]) -> int:
    """The first epoch, from 1, with the lowest value."""
    return int(np.argmin(values)) + 1


def descend(
    w: np.ndarray, b: float, X: np.ndarray, y: np.ndarray, rate: float, epochs: int
) -> list[tuple[float, np.ndarray]]:
    """Full-batch descent of one linear neuron under the mean half squared error.

    For each epoch the loss before the update and the parameters (weights, bias) after it.
    """
    course = []
    for _ in range(epochs):
        with np.errstate(all="ignore"):
            error = X @ w + b - y
            loss = float(0.5 * np.mean(error**2))
            w = w - rate * (X.T @ error) / len(y)
            b = b - rate * float(np.mean(error))
        course.append((loss, np.append(w, b)))
    return course
