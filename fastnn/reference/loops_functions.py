"""Activations and losses of the ``python`` engine: on lists of floats, one sample at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from math import erfc, exp, expm1, inf, log, log1p, pi, sqrt, tanh

from fastnn.activations import LEAK, SELU_ALPHA, SELU_SCALE
from fastnn.losses import Loss

Vector = list[float]
Matrix = list[Vector]


def sigmoid(z: Vector) -> Vector:
    """1 / (1 + e^-z), as e^z where e^-z would overflow."""
    return [1.0 / (1.0 + exp(-z_j)) if z_j > -700.0 else exp(z_j) for z_j in z]


def silu(z: Vector) -> Vector:
    """z sigmoid(z)."""
    return [z_j * s_j for z_j, s_j in zip(z, sigmoid(z), strict=True)]


def silu_slope(z: Vector, a: Vector) -> Vector:
    """s + a (1 - s), s = sigmoid(z)."""
    return [s_j + a_j * (1.0 - s_j) for s_j, a_j in zip(sigmoid(z), a, strict=True)]


def softmax(z: Vector) -> Vector:
    """e^z_j / Σ_k e^z_k; the largest z is taken off first, so that nothing overflows."""
    top = max(z)
    exps = [exp(z_j - top) for z_j in z]
    total = sum(exps)
    return [e / total for e in exps]


# Functions of one number.


def exp_or_infinity(z: float) -> float:
    """e^z, which is infinite where Python would raise OverflowError."""
    return inf if z > 709.78 else exp(z)


def elu(z: float) -> float:
    """z above 0, e^z - 1 below."""
    return z if z > 0.0 else expm1(z)


def softplus(z: float) -> float:
    """log(1 + e^z), as max(z, 0) + log(1 + e^-|z|)."""
    return max(z, 0.0) + log1p(exp(-abs(z)))


def normal_cdf(z: float) -> float:
    """Φ(z) = ½ (1 + erf(z/√2)), by way of erfc, which is exact for negative z too."""
    return 0.5 * erfc(-z / sqrt(2.0))


def gelu_slope(z: float, a: float) -> float:
    """Φ(z) + z e^(-z²/2) / √(2π)."""
    return normal_cdf(z) + z * exp(-0.5 * z * z) / sqrt(2.0 * pi)


def silu_curvature(z: float, a: float, s: float) -> float:
    """g (1 - g) (2 + z (1 - 2 g)), g = sigmoid(z)."""
    (g,) = sigmoid([z])
    return g * (1.0 - g) * (2.0 + z * (1.0 - 2.0 * g))


def gelu_curvature(z: float, a: float, s: float) -> float:
    """(2 - z²) e^(-z²/2) / √(2π)."""
    return (2.0 - z * z) * exp(-0.5 * z * z) / sqrt(2.0 * pi)


def flat(z: float, a: float, s: float) -> float:
    """0."""
    return 0.0


def elu_curvature(z: float, a: float, s: float) -> float:
    """0 above 0, the slope below."""
    return 0.0 if z > 0.0 else s


@dataclass(frozen=True)
class Function:
    """An activation a(z) of all units of a layer, and their slopes s = da/dz given z and a.

    The curvature ds/dz is of one number, given z, a and s.
    """

    value: Callable[[Vector], Vector]
    slope: Callable[[Vector, Vector], Vector]
    curvature: Callable[[float, float, float], float] = flat


def _each(
    value: Callable[[float], float],
    slope: Callable[[float, float], float],
    curvature: Callable[[float, float, float], float] = flat,
) -> Function:
    """A function of one number, for every unit of a layer."""
    return Function(
        lambda z: [value(z_j) for z_j in z],
        lambda z, a: [slope(z_j, a_j) for z_j, a_j in zip(z, a, strict=True)],
        curvature,
    )


ACTIVATIONS = {
    "identity": Function(lambda z: z, lambda z, a: [1.0] * len(z)),
    "sigmoid": Function(
        sigmoid,
        lambda z, a: [a_j * (1.0 - a_j) for a_j in a],
        lambda z, a, s: s * (1.0 - 2.0 * a),
    ),
    "tanh": Function(
        lambda z: [tanh(z_j) for z_j in z],
        lambda z, a: [1.0 - a_j * a_j for a_j in a],
        lambda z, a, s: -2.0 * a * s,
    ),
    "relu": Function(
        lambda z: [0.0 if z_j <= 0.0 else z_j for z_j in z],
        lambda z, a: [1.0 if z_j > 0.0 else 0.0 for z_j in z],
    ),
    "leaky_relu": _each(
        lambda z: z if z > 0.0 else LEAK * z, lambda z, a: 1.0 if z > 0.0 else LEAK
    ),
    "elu": _each(elu, lambda z, a: 1.0 if z > 0.0 else a + 1.0, elu_curvature),
    "selu": _each(
        lambda z: SELU_SCALE * (z if z > 0.0 else SELU_ALPHA * expm1(z)),
        lambda z, a: SELU_SCALE if z > 0.0 else a + SELU_SCALE * SELU_ALPHA,
        elu_curvature,
    ),
    "softplus": Function(
        lambda z: [softplus(z_j) for z_j in z],
        lambda z, a: sigmoid(z),
        lambda z, a, s: s * (1.0 - s),
    ),
    "silu": Function(silu, silu_slope, silu_curvature),
    "gelu": _each(lambda z: z * normal_cdf(z), gelu_slope, gelu_curvature),
    "hard_tanh": _each(
        lambda z: min(max(z, -1.0), 1.0), lambda z, a: 1.0 if -1.0 < z < 1.0 else 0.0
    ),
    "exp": _each(exp_or_infinity, lambda z, a: a, lambda z, a, s: a),
}


# Losses of one sample from z, the outputs a and the targets y, each with its gradient: with
# respect to a, or to z for those that are computed from logits.


def half_squared_error(z: Vector, a: Vector, y: Vector) -> float:
    """½ Σ (a - y)²."""
    return 0.5 * sum((a_j - y_j) * (a_j - y_j) for a_j, y_j in zip(a, y, strict=True))


def squared_error(z: Vector, a: Vector, y: Vector) -> float:
    """(1/m) Σ (a - y)²."""
    return sum((a_j - y_j) * (a_j - y_j) for a_j, y_j in zip(a, y, strict=True)) / len(a)


def squared_error_gradient(a: Vector, y: Vector) -> Vector:
    """∂/∂a_j (1/m) Σ (a - y)² = (2/m) (a_j - y_j)."""
    return [2.0 * (a_j - y_j) / len(a) for a_j, y_j in zip(a, y, strict=True)]


def binary_cross_entropy(z: Vector, a: Vector, y: Vector) -> float:
    """(1/m) Σ log(1 + e^z) - y z, with log(1 + e^z) = max(z, 0) + log(1 + e^-|z|)."""
    return sum(
        (max(z_j, 0.0) - y_j * z_j) + log1p(exp(-abs(z_j))) for z_j, y_j in zip(z, y, strict=True)
    ) / len(z)


def cross_entropy(z: Vector, a: Vector, y: Vector) -> float:
    """log Σ e^z - Σ y z, the largest z taken off first; Σ y = 1."""
    top = max(z)
    log_sum = top + log(sum(exp(z_j - top) for z_j in z))
    return sum(y_j * (log_sum - z_j) for z_j, y_j in zip(z, y, strict=True))


def difference(a: Vector, y: Vector) -> Vector:
    """a_j - y_j: ∂/∂a_j ½ Σ (a - y)², and, as Σ y = 1, ∂/∂z_j (log Σ e^z - Σ y z)."""
    return [a_j - y_j for a_j, y_j in zip(a, y, strict=True)]


def mean_difference(a: Vector, y: Vector) -> Vector:
    """(1/m) (a_j - y_j): ∂/∂z_j of binary cross-entropy and of poisson."""
    return [(a_j - y_j) / len(a) for a_j, y_j in zip(a, y, strict=True)]


def absolute_error(z: Vector, a: Vector, y: Vector) -> float:
    """(1/m) Σ |a - y|."""
    return sum(abs(a_j - y_j) for a_j, y_j in zip(a, y, strict=True)) / len(a)


def absolute_error_gradient(a: Vector, y: Vector) -> Vector:
    """∂/∂a_j (1/m) Σ |a - y| = (1/m) sign(a_j - y_j); 0 where they are equal."""
    return [((a_j > y_j) - (a_j < y_j)) / len(a) for a_j, y_j in zip(a, y, strict=True)]


def huber(z: Vector, a: Vector, y: Vector) -> float:
    """(1/m) Σ ½ d² if |d| < 1 else |d| - ½, d = a - y."""
    distances = [abs(a_j - y_j) for a_j, y_j in zip(a, y, strict=True)]
    return sum(0.5 * d * d if d < 1.0 else d - 0.5 for d in distances) / len(a)


def huber_gradient(a: Vector, y: Vector) -> Vector:
    """The difference, within ±1, divided by m."""
    return [min(max(a_j - y_j, -1.0), 1.0) / len(a) for a_j, y_j in zip(a, y, strict=True)]


def poisson(z: Vector, a: Vector, y: Vector) -> float:
    """(1/m) Σ e^z - y z + y log y - y, with a = e^z and 0 log 0 = 0: half the deviance."""
    entropies = [y_j * log(y_j) if y_j > 0.0 else 0.0 for y_j in y]
    return sum(
        a_j - y_j * z_j + (e_j - y_j) for z_j, a_j, y_j, e_j in zip(z, a, y, entropies, strict=True)
    ) / len(z)


def hinge(z: Vector, a: Vector, y: Vector) -> float:
    """(1/m) Σ max(0, 1 - y a), y = ±1."""
    return sum(max(1.0 - y_j * a_j, 0.0) for a_j, y_j in zip(a, y, strict=True)) / len(a)


def hinge_gradient(a: Vector, y: Vector) -> Vector:
    """∂/∂a_j (1/m) Σ max(0, 1 - y a) = -y_j / m where y_j a_j < 1, else 0."""
    return [-y_j / len(a) if y_j * a_j < 1.0 else 0.0 for a_j, y_j in zip(a, y, strict=True)]


def gaussian_nll(z: Vector, a: Vector, y: Vector) -> float:
    """(1/m) Σ ½ (s + (μ - y)² e^-s): the means μ are the first m of z, then come the s."""
    m = len(y)
    errors = [mean - y_j for mean, y_j in zip(z[:m], y, strict=True)]
    return sum(
        0.5 * (s + error * error * exp_or_infinity(-s))
        for error, s in zip(errors, z[m:], strict=True)
    ) / m  # fmt: skip


def gaussian_nll_gradient(a: Vector, y: Vector) -> Vector:
    """(1/m) (μ - y) e^-s for each mean, and (1/m) ½ (1 - (μ - y)² e^-s) for each s."""
    m = len(y)
    errors = [mean - y_j for mean, y_j in zip(a[:m], y, strict=True)]
    precisions = [exp_or_infinity(-s) for s in a[m:]]
    pairs = list(zip(errors, precisions, strict=True))
    return [error * p / m for error, p in pairs] + [
        0.5 * (1.0 - error * error * p) / m for error, p in pairs
    ]


def quantile(z: Vector, a: Vector, y: Vector) -> float:
    """(1/m) Σ max(q (y - z), (q - 1) (y - z)); y are m targets, and then as many q."""
    m = len(z)
    errors = [y_j - z_j for y_j, z_j in zip(y[:m], z, strict=True)]
    return sum(max(q * e, (q - 1.0) * e) for e, q in zip(errors, y[m:], strict=True)) / m


def quantile_gradient(a: Vector, y: Vector) -> Vector:
    """(1/m) (1 - q where z > y, -q where z < y); 0 where they are equal."""
    m = len(a)
    return [
        ((a_j > y_j) * (1.0 - q) - (a_j < y_j) * q) / m
        for a_j, y_j, q in zip(a, y[:m], y[m:], strict=True)
    ]


@dataclass(frozen=True)
class LossFunction:
    """A sample's loss (z, a, y) -> float, and its gradient (a, y) -> one number per output."""

    value: Callable[[Vector, Vector, Vector], float]
    gradient: Callable[[Vector, Vector], Vector]


LOSSES = {
    "half_squared_error": LossFunction(half_squared_error, difference),
    "squared_error": LossFunction(squared_error, squared_error_gradient),
    "binary_cross_entropy": LossFunction(binary_cross_entropy, mean_difference),
    "cross_entropy": LossFunction(cross_entropy, difference),
    "absolute_error": LossFunction(absolute_error, absolute_error_gradient),
    "huber": LossFunction(huber, huber_gradient),
    "poisson": LossFunction(poisson, mean_difference),
    "hinge": LossFunction(hinge, hinge_gradient),
    "gaussian_nll": LossFunction(gaussian_nll, gaussian_nll_gradient),
    "quantile": LossFunction(quantile, quantile_gradient),
}


def loss_function(loss: Loss) -> LossFunction:
    """The functions of a loss; those that leave out targets that are NaN, if it has such."""
    whole = LOSSES[loss.name]
    if not loss.missing:
        return whole

    def value(z: Vector, a: Vector, y: Vector) -> float:
        given = [
            whole.value([z_j], [a_j], [y_j])
            for z_j, a_j, y_j in zip(z, a, y, strict=True)
            if y_j == y_j  # not NaN
        ]
        return sum(given) / (1 if loss.name == "half_squared_error" else len(y))

    def gradient(a: Vector, y: Vector) -> Vector:
        filled = whole.gradient(a, [y_j if y_j == y_j else 0.0 for y_j in y])
        return [d_j if y_j == y_j else 0.0 for d_j, y_j in zip(filled, y, strict=True)]

    return LossFunction(value, gradient)
