"""Activations and losses of the ``numpy`` engine: on arrays with a row for each sample."""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi, sqrt

import numpy as np

from fastnn.activations import LEAK, SELU_ALPHA, SELU_SCALE
from fastnn.losses import Loss


def sigmoid(Z: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-z), by way of e^-|z| so that nothing overflows."""
    e = np.exp(-np.abs(Z))
    A: np.ndarray = np.where(Z >= 0, 1, e) / (1 + e)
    return A


def softmax(Z: np.ndarray) -> np.ndarray:
    """e^z_j / Σ_k e^z_k by rows; the largest z is taken off first, so that nothing overflows."""
    E: np.ndarray = np.exp(Z - Z.max(axis=1, keepdims=True))
    E /= E.sum(axis=1, keepdims=True)
    return E


def elu(Z: np.ndarray) -> np.ndarray:
    """z above 0, e^z - 1 below."""
    return np.where(Z > 0, Z, np.expm1(np.minimum(Z, 0)))


def elu_slope(Z: np.ndarray, A: np.ndarray) -> np.ndarray:
    """1 above 0, e^z = a + 1 below."""
    return np.where(Z > 0, 1, A + 1)


def selu(Z: np.ndarray) -> np.ndarray:
    """λ z above 0, λ α (e^z - 1) below."""
    return SELU_SCALE * np.where(Z > 0, Z, SELU_ALPHA * np.expm1(np.minimum(Z, 0)))


def selu_slope(Z: np.ndarray, A: np.ndarray) -> np.ndarray:
    """λ above 0, λ α e^z = a + λ α below."""
    return np.where(Z > 0, SELU_SCALE, A + SELU_SCALE * SELU_ALPHA)


def softplus(Z: np.ndarray) -> np.ndarray:
    """log(1 + e^z), as max(z, 0) + log(1 + e^-|z|)."""
    A: np.ndarray = np.maximum(Z, 0) + np.log1p(np.exp(-np.abs(Z)))
    return A


def silu_slope(Z: np.ndarray, A: np.ndarray) -> np.ndarray:
    """s + a (1 - s), s = sigmoid(z)."""
    S = sigmoid(Z)
    slopes: np.ndarray = S + A * (1 - S)
    return slopes


def normal_cdf(Z: np.ndarray) -> np.ndarray:
    """Φ(z), the normal distribution function."""
    from scipy.special import ndtr  # a third of a second to import, and only gelu needs it

    values: np.ndarray = ndtr(Z)
    return values


def gelu_slope(Z: np.ndarray, A: np.ndarray) -> np.ndarray:
    """Φ(z) + z e^(-z²/2) / √(2π)."""
    slopes: np.ndarray = normal_cdf(Z) + Z * np.exp(-0.5 * Z * Z) / sqrt(2 * pi)
    return slopes


def silu_curvature(Z: np.ndarray, A: np.ndarray, S: np.ndarray) -> np.ndarray:
    """g (1 - g) (2 + z (1 - 2 g)), g = sigmoid(z)."""
    G = sigmoid(Z)
    curvatures: np.ndarray = G * (1 - G) * (2 + Z * (1 - 2 * G))
    return curvatures


def gelu_curvature(Z: np.ndarray, A: np.ndarray, S: np.ndarray) -> np.ndarray:
    """(2 - z²) e^(-z²/2) / √(2π)."""
    curvatures: np.ndarray = (2 - Z * Z) * np.exp(-0.5 * Z * Z) / sqrt(2 * pi)
    return curvatures


def flat(Z: np.ndarray, A: np.ndarray, S: np.ndarray) -> np.ndarray:
    """0."""
    return np.zeros_like(A)


def elu_curvature(Z: np.ndarray, A: np.ndarray, S: np.ndarray) -> np.ndarray:
    """0 above 0, the slope below."""
    return np.where(Z > 0, 0, S)


@dataclass(frozen=True)
class Function:
    """An activation a(z), its slope s = da/dz given z and a, and ds/dz given z, a and s."""

    value: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray, np.ndarray], np.ndarray]
    curvature: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] = flat


ACTIVATIONS = {
    "identity": Function(lambda Z: Z, lambda Z, A: np.ones_like(A)),
    "sigmoid": Function(sigmoid, lambda Z, A: A * (1 - A), lambda Z, A, S: S * (1 - 2 * A)),
    "tanh": Function(np.tanh, lambda Z, A: 1 - A * A, lambda Z, A, S: -2 * A * S),
    "relu": Function(lambda Z: np.maximum(Z, 0), lambda Z, A: (Z > 0).astype(Z.dtype)),
    "leaky_relu": Function(
        lambda Z: np.where(Z > 0, Z, LEAK * Z),
        lambda Z, A: np.where(Z > 0, 1, LEAK).astype(Z.dtype),
    ),
    "elu": Function(elu, elu_slope, elu_curvature),
    "selu": Function(selu, selu_slope, elu_curvature),
    "softplus": Function(softplus, lambda Z, A: sigmoid(Z), lambda Z, A, S: S * (1 - S)),
    "silu": Function(lambda Z: Z * sigmoid(Z), silu_slope, silu_curvature),
    "gelu": Function(lambda Z: Z * normal_cdf(Z), gelu_slope, gelu_curvature),
    "hard_tanh": Function(
        lambda Z: np.clip(Z, -1, 1), lambda Z, A: (np.abs(Z) < 1).astype(Z.dtype)
    ),
    "exp": Function(np.exp, lambda Z, A: A, lambda Z, A, S: A),
}


def binary_cross_entropy(Z: np.ndarray, A: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """(1/m) Σ log(1 + e^z) - y z, with log(1 + e^z) = max(z, 0) + log(1 + e^-|z|)."""
    terms: np.ndarray = (np.maximum(Z, 0) - Y * Z) + np.log1p(np.exp(-np.abs(Z)))
    losses: np.ndarray = terms.mean(axis=1)
    return losses


def cross_entropy(Z: np.ndarray, A: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Σ y (log Σ e^z - z), the largest z taken off first."""
    top = Z.max(axis=1, keepdims=True)
    log_sum = top + np.log(np.exp(Z - top).sum(axis=1, keepdims=True))
    losses: np.ndarray = (Y * (log_sum - Z)).sum(axis=1)
    return losses


def clipped_binary_cross_entropy(Z: np.ndarray, A: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """See `fastnn.losses.CLIPPED`."""
    epsilon = np.finfo(A.dtype).eps
    losses: np.ndarray = -np.log(np.clip(np.where(Y > 0, A, 1 - A), epsilon, 1 - epsilon)).mean(
        axis=1
    )
    return losses


def clipped_cross_entropy(Z: np.ndarray, A: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """See `fastnn.losses.CLIPPED`; the rows of Y are one-hot."""
    epsilon = np.finfo(A.dtype).eps
    losses: np.ndarray = np.clip(cross_entropy(Z, A, Y), epsilon, -np.log(epsilon))
    return losses


def huber(Z: np.ndarray, A: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """(1/m) Σ ½ d² if |d| < 1 else |d| - ½, d = a - y."""
    D = np.abs(A - Y)
    losses: np.ndarray = np.where(D < 1, 0.5 * D * D, D - 0.5).mean(axis=1)
    return losses


def poisson(Z: np.ndarray, A: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """(1/m) Σ e^z - y z + y log y - y, with a = e^z and 0 log 0 = 0: half the deviance."""
    entropies = Y * np.log(np.where(Y > 0, Y, 1))
    losses: np.ndarray = (A - Y * Z + (entropies - Y)).mean(axis=1)
    return losses


def hinge_gradient(A: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """-y / m where y a < 1, else 0."""
    return np.where(Y * A < 1, -Y / Y.shape[1], 0)


def gaussian_nll(Z: np.ndarray, A: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """(1/m) Σ ½ (s + (μ - y)² e^-s): the means μ are the first m columns, then come the s."""
    M, S = np.split(Z, 2, axis=1)
    losses: np.ndarray = (0.5 * (S + (M - Y) ** 2 * np.exp(-S))).mean(axis=1)
    return losses


def gaussian_nll_gradient(A: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """(1/m) (μ - y) e^-s for each mean, and (1/m) ½ (1 - (μ - y)² e^-s) for each s."""
    M, S = np.split(A, 2, axis=1)
    P = np.exp(-S)
    D: np.ndarray = np.hstack([(M - Y) * P, 0.5 * (1 - (M - Y) ** 2 * P)]) / Y.shape[1]
    return D


def quantile(Z: np.ndarray, A: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """(1/m) Σ max(q (y - z), (q - 1) (y - z)); Y holds m targets, and then as many q."""
    targets, Q = np.split(Y, 2, axis=1)
    E = targets - Z
    losses: np.ndarray = np.maximum(Q * E, (Q - 1) * E).mean(axis=1)
    return losses


def quantile_gradient(A: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """(1/m) (1 - q where z > y, -q where z < y); 0 where they are equal."""
    targets, Q = np.split(Y, 2, axis=1)
    E = targets - A
    D: np.ndarray = np.where(E < 0, 1 - Q, np.where(E > 0, -Q, 0)) / A.shape[1]
    return D


@dataclass(frozen=True)
class LossFunction:
    """Each sample's loss (Z, A, Y) -> (b,), and its gradient (A, Y) -> a new array (b, m).

    The gradient is with respect to A, or to Z for the losses computed from logits.
    """

    value: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    gradient: Callable[[np.ndarray, np.ndarray], np.ndarray]


LOSSES = {
    "half_squared_error": LossFunction(
        lambda Z, A, Y: ((A - Y) ** 2).sum(axis=1) / 2, lambda A, Y: A - Y
    ),
    "squared_error": LossFunction(
        lambda Z, A, Y: ((A - Y) ** 2).mean(axis=1), lambda A, Y: 2 * (A - Y) / Y.shape[1]
    ),
    "binary_cross_entropy": LossFunction(binary_cross_entropy, lambda A, Y: (A - Y) / Y.shape[1]),
    "cross_entropy": LossFunction(cross_entropy, lambda A, Y: A - Y),
    "absolute_error": LossFunction(
        lambda Z, A, Y: np.abs(A - Y).mean(axis=1), lambda A, Y: np.sign(A - Y) / Y.shape[1]
    ),
    "huber": LossFunction(huber, lambda A, Y: np.clip(A - Y, -1, 1) / Y.shape[1]),
    "poisson": LossFunction(poisson, lambda A, Y: (A - Y) / Y.shape[1]),
    "hinge": LossFunction(lambda Z, A, Y: np.maximum(1 - Y * A, 0).mean(axis=1), hinge_gradient),
    "gaussian_nll": LossFunction(gaussian_nll, gaussian_nll_gradient),
    "quantile": LossFunction(quantile, quantile_gradient),
}
CLIPPED = {
    "clipped_binary_cross_entropy": LossFunction(
        clipped_binary_cross_entropy, lambda A, Y: (A - Y) / Y.shape[1]
    ),
    "clipped_cross_entropy": LossFunction(clipped_cross_entropy, lambda A, Y: A - Y),
}


def loss_function(loss: Loss) -> LossFunction:
    """The functions of a loss; those that leave out targets that are NaN, if it has such."""
    whole = {**LOSSES, **CLIPPED}[loss.name]
    if not loss.missing:
        return whole

    def value(Z: np.ndarray, A: np.ndarray, Y: np.ndarray) -> np.ndarray:
        there, filled = ~np.isnan(Y), np.nan_to_num(Y)
        columns = [slice(j, j + 1) for j in range(Y.shape[1])]
        parts = [whole.value(Z[:, j], A[:, j], filled[:, j]) for j in columns]
        total: np.ndarray = np.where(there, np.stack(parts, axis=1), 0).sum(axis=1)
        return total if loss.name == "half_squared_error" else total / Y.shape[1]

    def gradient(A: np.ndarray, Y: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(Y), 0, whole.gradient(A, np.nan_to_num(Y))).astype(A.dtype)

    return LossFunction(value, gradient)
