"""Losses in kernels that are sums over outputs: one output's part, and its gradient.

Each function takes the output's weighted sum z, its value a, its target y, and the number
of outputs m. Cross-entropy couples the outputs: see `fastnn.kernels.rows`.
"""

from fastnn.kernels.elementary import softplus
from fastnn.kernels.jit import inner
from fastnn.losses import LOSSES


@inner
def _half_square(z, a, y, m):
    return (a - y) * (a - y) * type(a)(0.5)


@inner
def _difference(z, a, y, m):
    return a - y


@inner
def _mean_square(z, a, y, m):
    return (a - y) * (a - y) / type(a)(m)


@inner
def _twice_mean_difference(z, a, y, m):
    return (a - y) * type(a)(2) / type(a)(m)


@inner
def _binary_cross_entropy(z, a, y, m):
    # log(1 + e^z) in two parts: for large z, one small number is left of two large ones.
    return (max(z, type(z)(0)) - y * z + softplus(-abs(z))) / type(a)(m)


@inner
def _mean_difference(z, a, y, m):
    return (a - y) / type(a)(m)


#: name: (one output's part of the loss, its gradient with respect to a, or to z from logits)
FUNCTIONS = {
    "half_squared_error": (_half_square, _difference),
    "squared_error": (_mean_square, _twice_mean_difference),
    "binary_cross_entropy": (_binary_cross_entropy, _mean_difference),
}

#: By code, from `fastnn.losses.LOSSES`.
TERMS = {LOSSES[name].code: term for name, (term, _) in FUNCTIONS.items()}
GRADIENTS = {LOSSES[name].code: gradient for name, (_, gradient) in FUNCTIONS.items()}
FROM_LOGITS = frozenset(loss.code for loss in LOSSES.values() if loss.from_logits)
CROSS_ENTROPY = LOSSES["cross_entropy"].code
