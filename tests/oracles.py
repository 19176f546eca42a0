"""What is to come out, written a second time and straight from the definitions.

Slow and plain on purpose; imports nothing from fastnn.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, kl_div, logsumexp, ndtr
from scipy.special import huber as special_huber


def activate(name: str, Z: np.ndarray) -> np.ndarray:
    """An activation function of weighted sums (n, m)."""
    if name == "softmax":
        return np.exp(Z - logsumexp(Z, axis=1, keepdims=True))
    return ACTIVATIONS[name](Z)


def selu(Z: np.ndarray) -> np.ndarray:
    """The function whose two numbers keep a mean of 0 and a variance of 1 (Klambauer 2017)."""
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return np.where(Z > 0, scale * Z, scale * alpha * np.expm1(np.minimum(Z, 0)))


ACTIVATIONS = {
    "identity": np.asarray,
    "sigmoid": expit,
    "tanh": np.tanh,
    "relu": lambda Z: np.where(Z > 0, Z, 0.0),
    "leaky_relu": lambda Z: np.where(Z > 0, Z, Z / 100),
    "elu": lambda Z: np.where(Z > 0, Z, np.expm1(np.minimum(Z, 0))),
    "selu": selu,
    "softplus": lambda Z: np.logaddexp(0, Z),
    "silu": lambda Z: Z * expit(Z),
    "gelu": lambda Z: Z * ndtr(Z),
    "hard_tanh": lambda Z: np.where(Z < -1, -1.0, np.where(Z > 1, 1.0, Z)),
    "exp": np.exp,
}
#: Where slopes, or their slopes, jump: no place to take differences.
KINKS = {"relu": [0], "leaky_relu": [0], "elu": [0], "selu": [0], "hard_tanh": [-1, 1]}


def distance_from_kinks(loss: str, activation: str, Zs: list[np.ndarray], Y: np.ndarray) -> float:
    """How near hidden weighted sums, or outputs to their targets, come to a jump of a slope."""
    gaps = [abs(Z - kink).min() for Z in Zs[:-1] for kink in KINKS.get(activation, [])]
    error = abs(Zs[-1] - Y)
    if loss == "absolute_error":
        gaps.append(error.min())
    if loss == "huber":
        gaps.append(abs(error - 1).min())
    if loss == "hinge":
        gaps.append(abs(Y * Zs[-1] - 1).min())
    return min(gaps, default=np.inf)


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
    if name == "absolute_error":
        return abs(A - Y).mean(axis=1)
    if name == "huber":
        return special_huber(1.0, A - Y).mean(axis=1)
    if name == "poisson":  # kl_div(y, a) = y log(y / a) - y + a
        return kl_div(Y, np.exp(Z)).mean(axis=1)
    if name == "hinge":
        return np.maximum(0, 1 - Y * A).mean(axis=1)
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
