"""From a batch's summed gradient to the updated parameters, by the steps of `fastnn.contract.Plan`.

That of an L2 penalty is a part of it already, see `fastnn.kernels.blocks.Into`.
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


def is_bare(architecture: Architecture, plan: Plan) -> bool:
    """Whether there is nothing to do beside the optimiser's rule and dropout."""
    return not architecture.l2 and not has_extras(architecture, plan)


def has_extras(architecture: Architecture, plan: Plan) -> bool:
    """Whether there is anything beside the rule, dropout and an L2 penalty, which products add."""
    limits = limits_of(architecture, plan.optimizer)._replace(l2=False)
    return any(limits) or plan.scale != 1.0 or plan.weighted


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
def times_of(n, options):
    """How often the penalty counts in a batch of n samples, whose losses are summed."""
    return n if options.mean and not options.penalty_per_batch else 1


@inner
def decay_of(n, options):
    """What a weight is multiplied by in the gradient of an L2 penalty of a batch."""
    return options.l2 * times_of(n, options)


@inner
def scale_of(n, weight, options):
    """What a batch's summed gradient is multiplied by; *weight* is the sum of its weights."""
    if options.divide_by_weights and weight != 0.0:
        return 1.0 / weight
    return 1.0 / n if options.mean or options.divide_by_weights else 1.0


@made_once
def make_penalise(l1: bool, l2: bool) -> Any:
    """Make the penalty of a batch of n samples; the gradient of an L1 penalty is added to g.

    That of an L2 penalty is a part of g already. *l1* and *l2* say which there may be.
    """

    @inner
    def penalise(layers, p, g, n, options):
        penalty = 0.0
        if l1 and options.l1 > 0.0:
            penalty += _add_signs(layers, p, g, options.l1 * times_of(n, options))
        if l2:
            penalty += 0.5 * decay_of(n, options) * _squares(layers, p)
        return penalty

    return penalise


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
def make_step(rule: int, extras: bool, l2: bool) -> Any:
    """Make the way from a batch's summed gradient to new parameters; returns the penalty.

    Without *extras* there are no L1 penalties, limits and weights, without *l2* there is no L2
    penalty. *t* is the number of this update from 1; n and *weight* are as in `scale_of`.
    """
    update, penalise = make_update(rule), make_penalise(extras, l2)

    @inner
    def step(layers, p, g, moments, t, n, weight, rate, options):
        penalty, scale = penalise(layers, p, g, n, options), scale_of(n, weight, options)
        if extras:
            scale_and_limit(g, scale, options.clip_value, options.clip_norm)
            scale = 1.0
        update(p, g, moments, scale, rate, t, options)
        if extras and options.max_norm > 0.0:
            _limit_norms(layers, p, options.max_norm)
        return penalty

    return step


@inner
def _add_signs(layers, p, g, times):
    """Add the signs of weights, so many times, to g; return as many times their absolute values."""
    absolute, factor, zero = 0.0, p.dtype.type(times), p.dtype.type(0)
    for l in range(len(layers)):
        W, n = layers[l, WEIGHTS], layers[l, N_IN] * layers[l, N_OUT]
        weights, gradients = p[W : W + n], g[W : W + n]
        for k in range(n):
            w = weights[k]
            gradients[k] += factor if w > 0 else -factor if w < 0 else zero
            absolute += abs(w)
    return times * absolute


@inner
def _squares(layers, p):
    """The sum of all weights' squares."""
    square = 0.0
    for l in range(len(layers)):
        W, n = layers[l, WEIGHTS], layers[l, N_IN] * layers[l, N_OUT]
        weights = p[W : W + n]
        for k in range(n):
            square += np.float64(weights[k]) * weights[k]
    return square


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
