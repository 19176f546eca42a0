"""From a batch's summed gradients to new parameters, of many networks: a lane each.

As `fastnn.kernels.updates`, with lanes for numbers: every network has its own rate, settings and
limits.
"""

import functools
from collections import namedtuple
from typing import Any

import numpy as np

from fastnn.kernels.elementary import quotient
from fastnn.kernels.jit import inner, ordered
from fastnn.kernels.lanes import (
    constant,
    convert,
    largest,
    load,
    maximum,
    minimum,
    select,
    sqrt,
    store,
)
from fastnn.kernels.layout import N_IN, N_OUT, WEIGHTS
from fastnn.optimizers import RULES

#: Vectors over the lanes, of float64, but for numbers that all networks share: *batch_size*,
#: *mean* (the reduction), *penalised*, *limited*, *norms_limited*: whether any network has
#: penalties, limits on gradients, on norms. *settings* and *rests* (1 - settings) have one after
#: another the rule's settings, *dropout* a rate per hidden layer, *first_unit* the number of each
#: hidden layer's first unit among the *n_hidden*; these two and *dropout_key* are uint64.
Options = namedtuple(
    "Options",
    "batch_size mean penalised limited norms_limited settings rests l1 l2 max_norm clip_value"
    " clip_norm dropout dropout_key first_unit n_hidden",
)


@inner
def number(value, vector):
    """Lanes of float64 as numbers of the vector's type."""
    return convert(value, vector.dtype.type)


@functools.cache
def make_step_of_many(rule: int, extras: bool, lanes: int) -> Any:
    """Make the way from a batch's summed gradients to new parameters; returns the penalties.

    n is the number of samples, t (lanes,) the number of this update from 1.
    """
    add_penalty = _make_add_penalty(lanes)
    limit = _make_limit(lanes)
    limit_norms = _make_limit_norms(lanes)
    update = _UPDATES[rule](lanes)

    @ordered
    def step(layers, p, g, moments, t, n, rate, options):
        one = constant(1.0, rate)
        penalty = one - one
        scale = one / constant(n, one) if options.mean else one
        if extras:
            if options.penalised:
                penalty = add_penalty(layers, p, g, n if options.mean else 1, options)
            if options.limited:
                limit(g, scale, options)
                scale = one
        update(p, g, moments, scale, rate, t, options)
        if extras and options.norms_limited:
            limit_norms(layers, p, options)
        return penalty

    return step


def _make_add_penalty(lanes: int) -> Any:
    @ordered
    def add_penalty(layers, p, g, times, options):
        l1, l2 = load(options.l1, 0, lanes), load(options.l2, 0, lanes)
        factor = constant(times, l1)
        first, second = number(l1 * factor, p), number(l2 * factor, p)
        zero = constant(0, first)
        absolute, square = l1 - l1, l1 - l1
        for l in range(len(layers)):
            W = layers[l, WEIGHTS]
            for k in range(W, W + layers[l, N_IN] * layers[l, N_OUT]):
                w = load(p, k * lanes, lanes)
                pull = select(w > zero, first, select(w < zero, -first, zero)) + second * w
                store(g, k * lanes, load(g, k * lanes, lanes) + pull)
                wide = convert(w, np.float64)
                absolute, square = absolute + abs(wide), square + wide * wide
        return factor * (l1 * absolute + constant(0.5, l2) * l2 * square)

    return add_penalty


def _make_limit(lanes: int) -> Any:
    @ordered
    def limit(g, scale, options):
        """Scale the gradient, then limit its entries, then its norm; a limit of 0 is none."""
        clip_value, clip_norm = (
            load(options.clip_value, 0, lanes),
            load(options.clip_norm, 0, lanes),
        )
        none = clip_value - clip_value
        limited = clip_value > none
        most, factor = number(clip_value, g), number(scale, g)
        square = none
        for k in range(len(g) // lanes):
            g_k = load(g, k * lanes, lanes) * factor
            g_k = select(limited, minimum(maximum(g_k, -most), most), g_k)
            store(g, k * lanes, g_k)
            wide = convert(g_k, np.float64)
            square = square + wide * wide
        norm, little = sqrt(square), constant(1e-6, square)
        beyond = (clip_norm > none) & (norm > clip_norm - little)
        factor = number(select(beyond, clip_norm / (norm + little), constant(1.0, norm)), g)
        for k in range(len(g) // lanes):
            store(g, k * lanes, load(g, k * lanes, lanes) * factor)

    return limit


def _make_limit_norms(lanes: int) -> Any:
    @ordered
    def limit_norms(layers, p, options):
        """Scale the weights into a unit down to *max_norm* where they measure more."""
        max_norm = load(options.max_norm, 0, lanes)
        none, one = max_norm - max_norm, constant(1.0, max_norm)
        for l in range(len(layers)):
            W, n_in, n_out = layers[l, WEIGHTS], layers[l, N_IN], layers[l, N_OUT]
            for j in range(n_out):
                square = none
                for i in range(n_in):
                    w = convert(load(p, (W + i * n_out + j) * lanes, lanes), np.float64)
                    square = square + w * w
                norm = sqrt(square)
                beyond = (max_norm > none) & (norm > max_norm)
                factor = number(select(beyond, max_norm / norm, one), p)
                for i in range(n_in):
                    place = (W + i * n_out + j) * lanes
                    store(p, place, load(p, place, lanes) * factor)

    return limit_norms


# One rule of `fastnn.optimizers` each: an update of p from g times *scale*.


def _make_sgd(lanes: int) -> Any:
    @ordered
    def sgd(p, g, moments, scale, rate, t, options):
        step = number(rate * scale, p)
        for k in range(0, len(p), lanes):
            store(p, k, load(p, k, lanes) - step * load(g, k, lanes))

    return sgd


def _make_momentum(lanes: int) -> Any:
    @ordered
    def momentum(p, g, moments, scale, rate, t, options):
        kept = number(load(options.settings, 0, lanes), p)
        nesterov = load(options.settings, lanes, lanes) > rate - rate
        decay = number(load(options.settings, 2 * lanes, lanes), p)
        inside = load(options.settings, 3 * lanes, lanes) > rate - rate
        factor, one = number(scale, p), constant(1, kept)
        before, after = select(inside, number(rate, p), one), select(inside, one, number(rate, p))
        for k in range(0, len(p), lanes):
            p_k = load(p, k, lanes)
            g_k = (load(g, k, lanes) * factor + decay * p_k) * before
            v = kept * load(moments, k, lanes) + g_k
            store(moments, k, v)
            store(p, k, p_k - after * select(nesterov, g_k + kept * v, v))

    return momentum


def _make_rmsprop(lanes: int) -> Any:
    @ordered
    def rmsprop(p, g, moments, scale, rate, t, options):
        rho, rest = load(options.settings, 0, lanes), load(options.rests, 0, lanes)
        rho, rest = number(rho, p), number(rest, p)
        epsilon = number(load(options.settings, lanes, lanes), p)
        step, factor = number(rate, p), number(scale, p)
        for k in range(0, len(p), lanes):
            g_k = load(g, k, lanes) * factor
            v = rho * load(moments, k, lanes) + rest * (g_k * g_k)
            store(moments, k, v)
            store(p, k, load(p, k, lanes) - quotient(step * g_k, sqrt(v) + epsilon))

    return rmsprop


def _make_adagrad(lanes: int) -> Any:
    @ordered
    def adagrad(p, g, moments, scale, rate, t, options):
        epsilon = number(load(options.settings, 0, lanes), p)
        step, factor = number(rate, p), number(scale, p)
        for k in range(0, len(p), lanes):
            g_k = load(g, k, lanes) * factor
            v = load(moments, k, lanes) + g_k * g_k
            store(moments, k, v)
            store(p, k, load(p, k, lanes) - quotient(step * g_k, sqrt(v) + epsilon))

    return adagrad


def _make_adam(lanes: int) -> Any:
    powers = _make_powers(lanes)

    @ordered
    def adam(p, g, moments, scale, rate, t, options):
        one = constant(1.0, rate)
        beta_1, beta_2 = load(options.settings, 0, lanes), load(options.settings, lanes, lanes)
        epsilon = load(options.settings, 2 * lanes, lanes)
        decay = load(options.settings, 3 * lanes, lanes)
        plain = load(options.settings, 4 * lanes, lanes) > one - one
        left_1, left_2 = powers(beta_1, beta_2, load(t, 0, lanes))
        whole_root = sqrt(one - left_2)
        step = number(rate * whole_root / (one - left_1), p)
        epsilon = number(select(plain, epsilon, epsilon * whole_root), p)
        factor, kept = number(scale, p), number(one - rate * decay, p)
        rest_1, rest_2 = load(options.rests, 0, lanes), load(options.rests, lanes, lanes)
        rest_1, rest_2, beta_2 = number(rest_1, p), number(rest_2, p), number(beta_2, p)
        for k in range(0, len(p), lanes):
            g_k = load(g, k, lanes) * factor
            m = load(moments, k, lanes)
            m = m + (g_k - m) * rest_1
            v = beta_2 * load(moments, len(p) + k, lanes) + rest_2 * (g_k * g_k)
            store(moments, k, m)
            store(moments, len(p) + k, v)
            change = quotient(step * m, sqrt(v) + epsilon)
            store(p, k, kept * load(p, k, lanes) - change)

    return adam


def _make_powers(lanes: int) -> Any:
    @ordered
    def powers(a, b, t):
        """a and b to the power of the whole numbers t, by squaring: functions of t alone."""
        x, y = constant(1.0, a), constant(1.0, a)
        none, one = t - t, (t - t) + np.uint64(1)
        while largest(t) > np.uint64(0):
            odd = (t & one) != none
            x, y = select(odd, x * a, x), select(odd, y * b, y)
            a, b, t = a * a, b * b, t >> one
        return x, y

    return powers


_UPDATES = {
    RULES["sgd"]: _make_sgd,
    RULES["momentum"]: _make_momentum,
    RULES["rmsprop"]: _make_rmsprop,
    RULES["adagrad"]: _make_adagrad,
    RULES["adam"]: _make_adam,
}
