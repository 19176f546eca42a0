"""From a batch's summed gradients to new parameters, of many networks: a lane each.

As `fastnn.kernels.updates`, with lanes for numbers: every network has its own rate, settings and
limits.
"""

from collections import namedtuple
from typing import Any

import numpy as np

from fastnn.kernels.jit import inner, made_once, ordered
from fastnn.kernels.lanes import (
    constant,
    convert,
    load,
    maximum,
    minimum,
    select,
    sqrt,
    store,
)
from fastnn.kernels.layout import N_IN, N_OUT, WEIGHTS
from fastnn.kernels.rules import make_change, make_numbers, number

#: Vectors over the lanes, of float64, but for numbers that all networks share: *batch_size*,
#: *mean* (the reduction), *penalised*, *clipped*, *norms_clipped*, *norms_limited*: whether any
#: network has penalties, limits on gradients, on their norm, on the norms of weights. *settings*
#: and *rests* (1 - settings) have one after another the rule's settings, *dropout* a rate per
#: hidden layer, *first_unit* the number of each hidden layer's first unit among the *n_hidden*;
#: these two and *dropout_key* are uint64.
Options = namedtuple(
    "Options",
    "batch_size mean penalised clipped norms_clipped norms_limited settings rests l1 l2 max_norm"
    " clip_value clip_norm dropout dropout_key first_unit n_hidden",
)


@made_once
def make_step_of_many(rule: int, extras: bool, lanes: int) -> Any:
    """Make the way from a batch's summed gradients to new parameters; returns the penalties.

    n is the number of samples, t (lanes,) the number of this update from 1.
    """
    update = _make_update(rule, lanes)

    @ordered
    def step(layers, p, g, moments, t, n, rate, options):
        one = constant(1.0, rate)
        penalty = one - one
        scale = one / constant(n, one) if options.mean else one
        if extras:
            if options.penalised:
                penalty = _add_penalty(layers, p, g, n if options.mean else 1, options, lanes)
            if options.clipped:
                _limit(g, scale, options, lanes)
                scale = one
        update(p, g, moments, scale, rate, t, options)
        if extras and options.norms_limited:
            limit_norms(layers, p, options, lanes)
        return penalty

    return step


@ordered
def _add_penalty(layers, p, g, times, options, lanes):
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


@ordered
def _limit(g, scale, options, lanes):
    """Scale the gradient, then limit its entries, then its norm; a limit of 0 is none."""
    clip_value = load(options.clip_value, 0, lanes)
    none = constant(0.0, clip_value)
    limited = clip_value > none
    most, factor = number(clip_value, g), number(scale, g)
    square = none
    for k in range(len(g) // lanes):
        g_k = load(g, k * lanes, lanes) * factor
        g_k = select(limited, minimum(maximum(g_k, -most), most), g_k)
        store(g, k * lanes, g_k)
        wide = convert(g_k, np.float64)
        square = square + wide * wide
    if options.norms_clipped:
        factor = number(factors_for_norms(square, options, lanes), g)
        for k in range(len(g) // lanes):
            store(g, k * lanes, load(g, k * lanes, lanes) * factor)


@ordered
def factors_for_norms(square, options, lanes):
    """What to multiply gradients by whose norms are √square: see `updates.factor_for_norm`."""
    clip_norm = load(options.clip_norm, 0, lanes)
    norm, little = sqrt(square), constant(1e-6, square)
    beyond = (clip_norm > constant(0.0, clip_norm)) & (norm > clip_norm - little)
    return select(beyond, clip_norm / (norm + little), constant(1.0, norm))


@ordered
def limit_norms(layers, p, options, lanes):
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


@made_once
def _make_update(rule: int, lanes: int) -> Any:
    """Make the update of p from g times *scale*."""
    numbers_of, change = make_numbers_of_many(rule, lanes), make_change(rule)

    @ordered
    def update(p, g, moments, scale, rate, t, options):
        numbers = numbers_of(p, options, scale, rate, load(t, 0, lanes))
        for k in range(0, len(p), lanes):
            p_k, g_k = load(p, k, lanes), load(g, k, lanes)
            change(p, k, p_k, g_k, moments, k, len(p), lanes, lanes, numbers)

    return update


@made_once
def make_numbers_of_many(rule: int, lanes: int) -> Any:
    """Make the numbers of a rule, see `fastnn.kernels.rules`, for lanes of networks."""

    @inner
    def take(settings, k):
        return load(settings, k * lanes, lanes)

    return make_numbers(rule, take)
