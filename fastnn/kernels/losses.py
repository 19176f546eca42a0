"""Losses in kernels that are sums over outputs: one output's part, and its gradient.

Each function takes the output's weighted sum z, its value a, its target y, which are numbers or
lanes, and the number of outputs m. Cross-entropy couples the outputs: see `fastnn.kernels.rows`.
So does a Gaussian, and a quantile needs to be known: their functions say what they take.
"""

from typing import Any

from fastnn.kernels.elementary import computed_by, exp, log, softplus
from fastnn.kernels.jit import inner
from fastnn.kernels.lanes import constant, maximum, minimum, select
from fastnn.losses import CLIPPED, COUPLED, LOSSES, MISSING

_TINY = 1e-30  # above 0 in both dtypes


@inner
def _half_square(z, a, y, m):
    return (a - y) * (a - y) * constant(0.5, a)


@inner
def _difference(z, a, y, m):
    return a - y


@inner
def _mean_square(z, a, y, m):
    return (a - y) * (a - y) / constant(m, a)


@inner
def _twice_mean_difference(z, a, y, m):
    return (a - y) * constant(2, a) / constant(m, a)


@inner
def _binary_cross_entropy(z, a, y, m):
    # log(1 + e^z) in two parts: for large z, one small number is left of two large ones.
    return (maximum(z, constant(0, z)) - y * z + softplus(-abs(z))) / constant(m, a)


@inner
def as_it_is(value):
    """The loss of one class, not clipped."""
    return value


# Between ε and -log ε, the limits of -log p with p clipped to [ε, 1 - ε], for each dtype's ε.
def _clipped_float64(x: Any) -> Any:
    return minimum(maximum(x, constant(2.0**-52, x)), constant(36.04365338911715, x))


def _clipped_float32(x: Any) -> Any:
    return minimum(maximum(x, constant(2.0**-23, x)), constant(15.942385152878742, x))


@computed_by(_clipped_float64, _clipped_float32)
def clipped(x: Any) -> Any:
    """The loss of one class, of a clipped probability: see `fastnn.losses.CLIPPED`."""


@inner
def _clipped_binary_cross_entropy(z, a, y, m):
    # From the probability, rounded as exactly as SciPy does it, and 1 minus it: what rounding makes
    # of the latter is a part of what scikit-learn reports.
    zero, one, e = constant(0, z), constant(1, z), exp(-abs(z))
    p = select(z >= zero, one, e) / (one + e)
    of_class = maximum(select(y > zero, p, one - p), constant(_TINY, z))
    return clipped(-log(of_class)) / constant(m, z)


@inner
def _mean_difference(z, a, y, m):
    return (a - y) / constant(m, a)


@inner
def _distance(z, a, y, m):
    return abs(a - y) / constant(m, a)


@inner
def _sign(z, a, y, m):
    one = constant(1, a)
    return select(a > y, one, select(a < y, -one, one - one)) / constant(m, a)


@inner
def _huber(z, a, y, m):
    d = abs(a - y)
    half = constant(0.5, a)
    return select(d < constant(1, d), half * d * d, d - half) / constant(m, a)


@inner
def _limited_difference(z, a, y, m):
    return minimum(maximum(a - y, constant(-1, a)), constant(1, a)) / constant(m, a)


@inner
def _poisson(z, a, y, m):
    entropy = select(y > constant(0, y), y * log(y), constant(0, y))
    return (exp(z) - y * z + entropy - y) / constant(m, a)


@inner
def _hinge(z, a, y, m):
    return maximum(constant(1, a) - y * a, constant(0, a)) / constant(m, a)


@inner
def _hinge_gradient(z, a, y, m):
    return select(y * a < constant(1, a), -y, constant(0, a)) / constant(m, a)


@inner
def gaussian(mean, log_variance, y, m):
    """Of one of m targets: the gradients for its two outputs, and its part of the loss."""
    error, precision = mean - y, exp(-log_variance)
    square = error * error * precision
    half, one, n = constant(0.5, mean), constant(1, mean), constant(m, mean)
    return error * precision / n, half * (one - square) / n, half * (log_variance + square) / n


@inner
def quantile(z, y, q, m):
    """Of one of m outputs, for a target and a quantile: the gradient, and its part of the loss."""
    error, zero, one, n = y - z, constant(0, z), constant(1, z), constant(m, z)
    slope = select(error < zero, one - q, select(error > zero, -q, zero))
    return slope / n, maximum(q * error, (q - one) * error) / n


#: name: (one output's part of the loss, its gradient with respect to a, or to z from logits)
FUNCTIONS = {
    "half_squared_error": (_half_square, _difference),
    "squared_error": (_mean_square, _twice_mean_difference),
    "binary_cross_entropy": (_binary_cross_entropy, _mean_difference),
    "absolute_error": (_distance, _sign),
    "huber": (_huber, _limited_difference),
    "poisson": (_poisson, _mean_difference),
    "hinge": (_hinge, _hinge_gradient),
}

#: By code, from `fastnn.losses.LOSSES`.
TERMS = {LOSSES[name].code: term for name, (term, _) in FUNCTIONS.items()}
GRADIENTS = {LOSSES[name].code: gradient for name, (_, gradient) in FUNCTIONS.items()}
FROM_LOGITS = frozenset(
    code
    for loss in (*LOSSES.values(), *CLIPPED.values())
    for code in (loss.code, MISSING + loss.code)
    if loss.from_logits
)
CROSS_ENTROPY = LOSSES["cross_entropy"].code
GAUSSIAN, QUANTILE = LOSSES["gaussian_nll"].code, LOSSES["quantile"].code
#: The losses that couple the outputs, and what becomes of the loss of each class.
OF_CLASSES = {CROSS_ENTROPY: as_it_is, CLIPPED["cross_entropy"].code: clipped}

TERMS[CLIPPED["binary_cross_entropy"].code] = _clipped_binary_cross_entropy
GRADIENTS[CLIPPED["binary_cross_entropy"].code] = _mean_difference


def _where_given(function):
    """The same, but 0 where the target is NaN."""

    @inner
    def where_given(z, a, y, m):
        there, zero = y == y, constant(0, a)
        return select(there, function(z, a, select(there, y, zero), m), zero)

    return where_given


for _name, _functions in FUNCTIONS.items():
    if _name not in COUPLED:
        _term, _gradient = map(_where_given, _functions)
        TERMS[MISSING + LOSSES[_name].code] = _term
        GRADIENTS[MISSING + LOSSES[_name].code] = _gradient
