"""From a batch's summed gradient to the updated parameters, by the steps of `fastnn.contract.Plan`.

All of it is loops over flat vectors: parameters p, gradient g, and the optimiser's moments, one
after another in one vector.
"""

import functools
import math
from collections import namedtuple
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.contract import Plan
from fastnn.kernels.elementary import quotient
from fastnn.kernels.estimates import newton_steps, root
from fastnn.kernels.jit import inner, ordered
from fastnn.kernels.lanes import load, select, sqrt, store, width
from fastnn.kernels.layout import N_IN, N_OUT, WEIGHTS
from fastnn.optimizers import RULES

#: A `Plan` and the regularisation of an `Architecture`, as kernels get them. *settings* are the
#: rule's, and *rests* are 1 - settings: in a kernel LLVM would make g² + a (v - g²) of
#: a v + (1 - a) g², which is NaN where g² is infinite. A limit that is off is 0; *mean* is the
#: reduction; *dropout* has a rate per hidden layer.
Options = namedtuple(
    "Options",
    "batch_size settings rests mean l1 l2 max_norm clip_value clip_norm scale penalty_per_batch"
    " divide_by_weights dropout dropout_key",
)


def has_extras(architecture: Architecture, plan: Plan) -> bool:
    """Whether there is anything to do beside the optimiser's rule and dropout."""
    optimizer = plan.optimizer
    return bool(
        architecture.l1
        or architecture.l2
        or architecture.max_norm
        or optimizer.clip_value
        or optimizer.clip_norm
        or plan.scale != 1.0
        or plan.weighted
    )


def options_of(architecture: Architecture, plan: Plan) -> Options:
    """The options for kernels."""
    optimizer = plan.optimizer
    settings = np.array([*optimizer.settings_in(architecture.dtype), 0.0], np.float64)
    return Options(
        batch_size=plan.batch_size,
        settings=settings,
        rests=1.0 - settings,
        mean=architecture.reduction == "mean",
        l1=architecture.l1,
        l2=architecture.l2,
        max_norm=architecture.max_norm,
        clip_value=optimizer.clip_value or 0.0,
        clip_norm=optimizer.clip_norm or 0.0,
        scale=plan.scale,
        penalty_per_batch=plan.penalty_per_batch,
        divide_by_weights=plan.divide_by_weights,
        dropout=np.array(architecture.dropout or (0.0,), np.float64),
        dropout_key=np.uint64(plan.dropout_key),
    )


@inner
def add_penalty(layers, p, g, n, weight, options):
    """Add the penalty's gradient to a batch's; the penalty, and what to multiply g by.

    n is the batch's number of samples, *weight* the sum of their weights.
    """
    penalty, scale = 0.0, 1.0 / n if options.mean else 1.0
    if options.l1 > 0.0 or options.l2 > 0.0:
        times = n if options.mean and not options.penalty_per_batch else 1
        penalty = times * _add_penalty(layers, p, g, options.l1, options.l2, times)
    if options.divide_by_weights:
        scale = 1.0 / (weight if weight != 0.0 else n)
    return penalty, scale


@functools.cache
def make_step(rule: int, extras: bool) -> Any:
    """Make the way from a batch's summed gradient to new parameters; returns the penalty.

    Without *extras* there are no penalties, limits and weights. *t* is the number of this update
    from 1; n and *weight* are as in `add_penalty`.
    """
    update = UPDATES[rule]

    @inner
    def step(layers, p, g, moments, t, n, weight, rate, options):
        penalty, scale = 0.0, 1.0 / n if options.mean else 1.0
        if extras:
            penalty, scale = add_penalty(layers, p, g, n, weight, options)
            scale_and_limit(g, scale, options.clip_value, options.clip_norm)
            scale = 1.0
        update(p, g, moments, scale, rate, t, options)
        if extras and options.max_norm > 0.0:
            _limit_norms(layers, p, options.max_norm)
        return penalty

    return step


@inner
def _add_penalty(layers, p, g, l1, l2, times):
    """Add times the gradient of the penalty to g; return the penalty."""
    first, second = p.dtype.type(l1 * times), p.dtype.type(l2 * times)
    zero = p.dtype.type(0)
    absolute, square = 0.0, 0.0
    for l in range(len(layers)):
        W, n = layers[l, WEIGHTS], layers[l, N_IN] * layers[l, N_OUT]
        weights, gradients = p[W : W + n], g[W : W + n]
        for k in range(n):
            w = weights[k]
            gradients[k] += (first if w > 0 else -first if w < 0 else zero) + second * w
            absolute += abs(w)
            square += np.float64(w) * w
    return l1 * absolute + 0.5 * l2 * square


@inner
def scale_and_limit(g, scale, clip_value, clip_norm):
    """Scale the gradient, then limit its entries, then its norm; a limit of 0 is none.

    Returns the sum of its squares before the last.
    """
    factor, limit = g.dtype.type(scale), g.dtype.type(clip_value)
    limited = clip_value > 0.0  # where limit may have become 0
    square = 0.0
    for k in range(len(g)):
        g_k = g[k] * factor
        if limited:
            g_k = min(max(g_k, -limit), limit)
        g[k] = g_k
        square += np.float64(g_k) * g_k
    if clip_norm > 0.0:
        norm = math.sqrt(square)
        if norm > clip_norm - 1e-6:
            factor = g.dtype.type(clip_norm / (norm + 1e-6))
            for k in range(len(g)):
                g[k] *= factor
    return square


@inner
def factor_for_norm(square, clip_norm):
    """What limits a gradient to a norm, 0 for none, from the sum of its squares."""
    norm = math.sqrt(square)
    return clip_norm / (norm + 1e-6) if clip_norm > 0.0 and norm > clip_norm - 1e-6 else 1.0


@inner
def _limit_norms(layers, p, max_norm):
    """Scale the weights into a unit down to *max_norm* where they measure more."""
    for l in range(len(layers)):
        W, n_in, n_out = layers[l, WEIGHTS], layers[l, N_IN], layers[l, N_OUT]
        for j in range(n_out):
            square = 0.0
            for i in range(n_in):
                w = p[W + i * n_out + j]
                square += np.float64(w) * w
            norm = math.sqrt(square)
            if norm > max_norm:
                factor = p.dtype.type(max_norm / norm)
                for i in range(n_in):
                    p[W + i * n_out + j] *= factor


# One rule of `fastnn.optimizers` each: an update of p from g times *scale*.


@inner
def _sgd(p, g, moments, scale, rate, t, options):
    step = p.dtype.type(rate * scale)
    for k in range(len(p)):
        p[k] -= step * g[k]


@inner
def _momentum(p, g, moments, scale, rate, t, options):
    number, settings = p.dtype.type, options.settings
    momentum, decay, factor = number(settings[0]), number(settings[2]), number(scale)
    inside, outside = number(1), number(rate)
    if settings[3] > 0.0:
        inside, outside = outside, inside
    if settings[1] > 0.0:
        for k in range(len(p)):
            g_k = (g[k] * factor + decay * p[k]) * inside
            v = momentum * moments[k] + g_k
            moments[k] = v
            p[k] -= outside * (g_k + momentum * v)
    else:
        for k in range(len(p)):
            v = momentum * moments[k] + (g[k] * factor + decay * p[k]) * inside
            moments[k] = v
            p[k] -= outside * v


@inner
def _rmsprop(p, g, moments, scale, rate, t, options):
    number, settings = p.dtype.type, options.settings
    rho, epsilon = number(settings[0]), number(settings[1])
    step, factor, rest = number(rate), number(scale), number(options.rests[0])
    for k in range(len(p)):
        g_k = g[k] * factor
        v = rho * moments[k] + rest * (g_k * g_k)
        moments[k] = v
        p[k] -= quotient(step * g_k, math.sqrt(v) + epsilon)


@inner
def _adagrad(p, g, moments, scale, rate, t, options):
    number, settings = p.dtype.type, options.settings
    epsilon, step, factor = number(settings[0]), number(rate), number(scale)
    for k in range(len(p)):
        g_k = g[k] * factor
        v = moments[k] + g_k * g_k
        moments[k] = v
        p[k] -= quotient(step * g_k, math.sqrt(v) + epsilon)


@inner
def _adam(p, g, moments, scale, rate, t, options):
    number, settings = p.dtype.type, options.settings
    left_1, left_2 = _powers(settings[0], settings[1], t)
    whole_root = math.sqrt(1.0 - left_2)
    step = number(rate * whole_root / (1.0 - left_1))
    epsilon = number(settings[2] if settings[4] > 0.0 else settings[2] * whole_root)
    numbers = (
        number(scale),
        number(options.rests[0]),
        number(settings[1]),
        number(options.rests[1]),
        number(1.0 - rate * settings[3]),
        step,
        epsilon,
    )
    n = width(p)
    whole = len(p) - len(p) % n
    for k in range(0, whole, n):
        _adam_some(p, g, moments, k, n, np.int64(n), numbers)
    _adam_some(p, g, moments, whole, n, len(p) - whole, numbers)


@ordered
def _adam_some(p, g, moments, k, n, count, numbers):
    """Adam for *count* of n parameters from the place k on."""
    scale, rest_1, beta_2, rest_2, kept, step, epsilon = numbers
    squares = len(p) + k
    g_k = load(g, k, n, count) * scale
    m = load(moments, k, n, count)
    m = m + (g_k - m) * rest_1
    v = beta_2 * load(moments, squares, n, count) + rest_2 * (g_k * g_k)
    store(moments, k, m, count)
    store(moments, squares, v, count)
    change = _over_root(step * m, v, epsilon)
    store(p, k, kept * load(p, k, n, count) - change, count)


@ordered
def _over_root(a, square, epsilon):
    """a/(√square + epsilon), of which the divider does one part and multiplications the other."""
    if newton_steps(square) > 1:  # a root takes the divider longer than a quotient
        return a / (root(square) + epsilon)
    return quotient(a, sqrt(square) + epsilon)


@inner
def _powers(a, b, t):
    """a and b to the power of the whole number t, by squaring: a function of t alone."""
    x, y = 1.0, 1.0
    while t > 0:
        odd = t & 1 == 1
        x *= select(odd, a, 1.0)  # no branch, which a processor could not foresee
        y *= select(odd, b, 1.0)
        a *= a
        b *= b
        t >>= 1
    return x, y


UPDATES = {
    RULES["sgd"]: _sgd,
    RULES["momentum"]: _momentum,
    RULES["rmsprop"]: _rmsprop,
    RULES["adagrad"]: _adagrad,
    RULES["adam"]: _adam,
}
