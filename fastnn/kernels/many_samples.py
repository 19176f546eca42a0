"""Sample by sample, many networks at once: a weight is changed where its gradient is made.

A sample goes forward through all layers, and back from the last to the first, see
`many_sample_steps`. With plain SGD what goes back is a delta times the rate. Where penalties and
limits change the gradient, it is the delta alone; and only where the norm of somebody's whole
gradient is limited, a first way back measures it.
"""

from collections import namedtuple
from typing import Any

import numpy as np

from fastnn.kernels.activations import Codes
from fastnn.kernels.jit import inner, kernel, made_once, ordered
from fastnn.kernels.lanes import (
    constant,
    convert,
    load,
    maximum,
    minimum,
    select,
    splat,
    store,
)
from fastnn.kernels.layout import N_OUT, UNITS
from fastnn.kernels.many import add_sum, make_finish_many
from fastnn.kernels.many_rows import ROWS, find, take
from fastnn.kernels.many_sample_steps import make_backward, make_forward
from fastnn.kernels.many_updates import (
    factors_for_norms,
    limit_norms,
    make_numbers_of_many,
)
from fastnn.kernels.rules import make_change, number
from fastnn.kernels.updates import Limits
from fastnn.optimizers import RULES

_SGD = RULES["sgd"]
#: What an update changes, by its numbers, see `fastnn.kernels.rules`, and by those of `_limits_of`.
Own = namedtuple("Own", "p moments numbers limits")


@inner
def _limits_of(p, options, lanes):
    """What gradients are limited by."""
    l1, l2 = load(options.l1, 0, lanes), load(options.l2, 0, lanes)
    clip_value = load(options.clip_value, 0, lanes)
    none, beyond_all = constant(0.0, l1), constant(np.inf, l1)
    most = number(select(clip_value > none, clip_value, beyond_all), p)
    return number(l1, p), number(l2, p), number(constant(0.5, l2) * l2, p), most


@made_once
def _make_limit(limits: Limits, lanes: int) -> Any:
    """Make the gradient of w with that of the penalty, limited; and the penalty."""
    has_l1, has_l2, _, clips, _ = limits

    @ordered
    def limit(own, w, g):
        l1, l2, half_l2, most = own.limits
        zero = pull = constant(0, w)
        if has_l1:
            pull = select(w > zero, l1, select(w < zero, -l1, zero))
            g = g + pull
        if has_l2:
            pull = pull + w * half_l2
            g = g + w * l2
        penalty = convert(w, np.float64) * convert(pull, np.float64)
        if clips:
            g = minimum(maximum(g, -most), most)
        return g, penalty

    return limit


@made_once
def _make_measure(limits: Limits, lanes: int) -> Any:
    """Make the square of a parameter's gradient, in the place of its change."""
    limit = _make_limit(limits, lanes)

    @ordered
    def measure(own, place, w, g):
        g, _ = limit(own, w, g)
        wide = convert(g, np.float64)
        return wide * wide

    return measure


@made_once
def _make_act(rule: int, limits: Limits, plain: bool, lanes: int) -> Any:
    """Make the change of a parameter w at a place, from its gradient; it returns the penalty.

    *plain*: what comes as its gradient is its change, the rate in it.
    """
    change, limited, limit = make_change(rule), any(limits), _make_limit(limits, lanes)

    @ordered
    def act_plainly(own, place, w, g):
        store(own.p, place, w - g)
        return splat(0.0, lanes)

    @ordered
    def act(own, place, w, g):
        n, penalty = len(own.p), splat(0.0, lanes)
        if limited:
            g, penalty = limit(own, w, g)
        change(own.p, place, w, g, own.moments, place, n, lanes, lanes, own.numbers)
        return penalty

    return act_plainly if plain else act


@made_once
def _make_deltas(output: int, loss: int, plain: bool, weighted: bool, lanes: int) -> Any:
    """Make the outputs' deltas, times the sample's weight if any, and of plain SGD the rate.

    The sample is the s-th that was found. It returns the loss.
    """
    finish = make_finish_many(output, loss, lanes)

    @ordered
    def deltas(layers, own, scratch, s):
        last = len(layers) - 1
        n_out, outputs = layers[last, N_OUT], layers[last, UNITS]
        lost = finish(scratch, outputs, 1, 0, n_out)
        if weighted:
            lost = lost * load(scratch.weights, s * lanes, lanes)
        for j in range(n_out if weighted or plain else 0):
            place = (outputs + j) * lanes
            d_j = load(scratch.deltas, place, lanes)
            if weighted:
                d_j = d_j * load(scratch.weights, s * lanes, lanes)
            if plain:
                d_j = d_j * own.numbers[0]
            store(scratch.deltas, place, d_j)
        return lost

    return deltas


@made_once
def _make_learn(
    hidden: Codes, output: int, loss: int, bias: bool, rule: int, limits: Limits, keeps: bool,
    drops: bool, weighted: bool, lanes: int,
) -> Any:  # fmt: skip
    """Make the update from the s-th sample that was found, which is in the scratch.

    It returns the loss and the penalty.
    """
    # Plain SGD takes two rows of weights at once where it can. The arithmetic of another rule may
    # come out with other last bits by two, see `fastnn.kernels.jit`, and how many inputs a layer
    # has is the block's: so it goes by one alone.
    plain, measured, bounded = rule == _SGD and not any(limits), limits.clip_norm, limits.max_norm
    of_biases = limits._replace(l1=False, l2=False)
    forward = make_forward(hidden, bias, keeps, drops, lanes)
    deltas = _make_deltas(output, loss, plain, weighted, lanes)
    acts = (_make_act(rule, some, plain, lanes) for some in (limits, of_biases))
    backward = make_backward(hidden, bias, keeps, *acts, plain, lanes)
    acts = (_make_measure(some, lanes) for some in (limits, of_biases))
    measure = make_backward(hidden, bias, keeps, *acts, False, lanes)
    numbers_of = make_numbers_of_many(rule, lanes)

    @ordered
    def learn(layers, own, scratch, options, rate, update, s):
        counter = (update - np.uint64(1)) * load(options.n_hidden, 0, lanes)
        forward(layers, own.p, scratch, options, counter)
        lost = deltas(layers, own, scratch, s)
        if measured and options.norms_clipped:
            factors = factors_for_norms(measure(layers, own, scratch), options, lanes)
            numbers = numbers_of(own.p, options, factors, rate, update)
            own = Own(own.p, own.moments, numbers, own.limits)
        penalty = backward(layers, own, scratch)
        if bounded and options.norms_limited:
            limit_norms(layers, own.p, options, lanes)
        return lost, penalty

    return learn


@made_once
def make_train_samples_of_many(
    hidden: Codes, output: int, loss: int, bias: bool, rule: int, limits: Limits, keeps: bool,
    drops: bool, weighted: bool, lanes: int,
) -> Any:  # fmt: skip
    """Make the kernel; its arguments are those of `many_batches.make_train_many`'s.

    *limits* is what `updates.limits_of` says.
    """
    kind = hidden, output, loss, bias, rule, limits, keeps, drops, weighted
    learn, penalised = _make_learn(*kind, lanes), limits.l1 or limits.l2
    # Adam's numbers are others in each update; those of the others as long as the rate is the same.
    numbers_of, counts = make_numbers_of_many(rule, lanes), rule == RULES["adam"]

    @kernel
    def train_samples_of_many(layers, p, moments, t, data, span, options, scratch, g):
        per_update, one = span.rates.shape[1] > 1, splat(1.0, lanes)
        update, of_limits = load(t, 0, lanes), _limits_of(p, options, lanes)
        for epoch in range(len(span.rates)):
            rate = load(span.rates, (epoch, 0, 0), lanes)
            numbers = numbers_of(p, options, one, rate, update)
            for first in range(span.start, span.stop, ROWS):
                total, n = load(scratch.zero, 0, lanes), min(ROWS, span.stop - first)
                penalties = splat(0.0, lanes)
                find(data, epoch, first, n, scratch, weighted, lanes)
                for s in range(n):
                    update = update + np.uint64(1)
                    if per_update:
                        rate = load(span.rates, (epoch, first + s - span.start, 0), lanes)
                    if per_update or counts:
                        numbers = numbers_of(p, options, one, rate, update)
                    take(data, s, 1, 0, 1, scratch, lanes)
                    own = Own(p, moments, numbers, of_limits)
                    lost, penalty = learn(layers, own, scratch, options, rate, update, s)
                    total, penalties = total + lost, penalties + penalty
                add_sum(span.loss_sums, epoch, total, lanes)
                if penalised:
                    add_sum(span.penalty_sums, epoch, penalties, lanes)
        store(t, 0, update)

    return train_samples_of_many
