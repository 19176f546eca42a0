"""From a batch's summed gradient to the updated parameters, by the steps of `fastnn.contract.Plan`.

All of it is loops over flat vectors: parameters p, gradient g, and the optimiser's moments, one
after another in one vector.
"""

import math
from collections import namedtuple
from typing import Any, NamedTuple

import numpy as np

from fastnn.architecture import Architecture
from fastnn.contract import Plan
from fastnn.kernels.jit import inner, made_once
from fastnn.kernels.lanes import load, width
from fastnn.kernels.layout import N_IN, N_OUT, WEIGHTS
from fastnn.kernels.rules import make_change, make_numbers
from fastnn.optimizers import Optimizer

#: A `Plan` and the regularisation of an `Architecture`, as kernels get them. *settings* are the
#: rule's, and *rests* are 1 - settings: in a kernel LLVM would make g² + a (v - g²) of
#: a v + (1 - a) g², which is NaN where g² is infinite. A limit that is off is 0; *mean* is the
#: reduction; *dropout* has a rate per hidden layer.
Options = namedtuple(
    "Options",
    "batch_size settings rests mean l1 l2 max_norm clip_value clip_norm scale penalty_per_batch"
    " divide_by_weights dropout dropout_key",
)


class Limits(NamedTuple):
    """Which penalties and limits there are.

    Kernels sample by sample are made for it: each parameter meets them in each update, and one that
    is not there would take up to a fourth of the time.
    """

    l1: bool
    l2: bool
    max_norm: bool
    clip_value: bool
    clip_norm: bool


def limits_of(architecture: Architecture, optimizer: Optimizer) -> Limits:
    """The penalties and limits of a training."""
    of_weights = architecture.l1, architecture.l2, architecture.max_norm
    return Limits(*map(bool, (*of_weights, optimizer.clip_value, optimizer.clip_norm)))


def has_extras(architecture: Architecture, plan: Plan) -> bool:
    """Whether there is anything to do beside the optimiser's rule and dropout."""
    return any(limits_of(architecture, plan.optimizer)) or plan.scale != 1.0 or plan.weighted


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


@made_once
def make_update(rule: int) -> Any:
    """Make the update of flat parameters p from g times *scale* by a rule."""
    numbers_of, change = make_numbers(rule), make_change(rule)

    @inner
    def update(p, g, moments, scale, rate, t, options):
        numbers, n = numbers_of(p, options, scale, rate, t), width(p)
        whole = len(p) - len(p) % n
        for k in range(0, whole, n):
            change(p, k, load(p, k, n), load(g, k, n), moments, k, len(p), n, np.int64(n), numbers)
        left = len(p) - whole
        p_k, g_k = load(p, whole, n, left), load(g, whole, n, left)
        change(p, whole, p_k, g_k, moments, whole, len(p), n, left, numbers)

    return update


@made_once
def make_step(rule: int, extras: bool) -> Any:
    """Make the way from a batch's summed gradient to new parameters; returns the penalty.

    Without *extras* there are no penalties, limits and weights. *t* is the number of this update
    from 1; n and *weight* are as in `add_penalty`.
    """
    update = make_update(rule)

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
