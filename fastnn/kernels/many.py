"""Many networks at once, each in a lane of its own: one sample, or a batch, there and back.

What is a number in the other kernels is here `lanes.Lanes` of them, one for each network: a weight,
a unit's value, a loss. So nothing waits for a neighbour, nothing is added up across lanes, and what
a network gets depends neither on the networks beside it nor on how many lanes there are.

Numbers are added up in functions that are `jit.ordered`, kernels not among them: the order of a sum
must not hang on how many registers lanes take.

Networks of a block have the same number of layers, activations, loss and rule. Hidden layers may
differ in width: the block has the widest, and units that a network does not have are *present* 0
times. Their weights are 0 and stay 0, and sums get zeros added at their end.

All vectors are of numbers by lanes: number k of network l is at ``k * lanes + l``, and k is called
its place. The table of layers is that of `fastnn.kernels.layout`, of the widest, signed.

A batch's values of `Scratch` are by units: that of row s and unit u is at ``u * height + s``. A few
units go through all steps before the next, while their values are in the nearest cache: sum,
activation, dropout; and back: the gradient of the weights that lead on from them, their deltas, and
in the first hidden layer the gradient of the weights that lead to them.
"""

from collections import namedtuple
from typing import Any

import numpy as np

from fastnn.kernels.activations import SLOPES, VALUES, Codes
from fastnn.kernels.block_ends import softmax_in_lanes
from fastnn.kernels.jit import inner, made_once, ordered
from fastnn.kernels.lanes import constant, convert, load, select, store
from fastnn.kernels.layout import ACTIVATION, BIAS, INPUTS, N_IN, N_OUT, UNITS, WEIGHTS
from fastnn.kernels.losses import GAUSSIAN, OF_CLASSES, QUANTILE, gaussian, quantile
from fastnn.kernels.many_products import matrix, sums, units_at_once
from fastnn.kernels.random import uniform
from fastnn.kernels.rows import by_code, make_finish_one
from fastnn.kernels.rules import number

#: *values*, *slopes* and *deltas* are (inputs and all units, height), *targets* (height, columns of
#: Y), *weights* (ROWS,), *present* (hidden units,), *zero* is one 0. *rows* (ROWS,) are int64.
Scratch = namedtuple("Scratch", "values slopes deltas targets weights present zero rows")
#: As in `contract.Piece`, but rates (epochs, 1 or updates, lanes), and sums (epochs, lanes).
Span = namedtuple("Span", "rates start stop loss_sums penalty_sums")


@made_once
def make_activate_many(hidden: Codes, keeps: bool, lanes: int) -> Any:
    """Make the activation of a unit, *present* or not, in n rows; it keeps slopes if need be.

    *code* says which of several activations.
    """

    def for_code(code: int) -> Any:
        value, slope = VALUES[code], SLOPES[code]

        @ordered
        def activate(code, scratch, at, unit, n):
            there = load(scratch.present, unit * lanes, lanes)
            for s in range(n):
                place = (at + s) * lanes
                z = load(scratch.values, place, lanes)
                a = value(z)
                store(scratch.values, place, a * there)
                if keeps:
                    store(scratch.slopes, place, slope(z, a) * there)

        return activate

    return by_code(for_code, hidden)


@ordered
def drop(scratch, at, n, l, j, counter, options, lanes):
    """Dropout of unit j of layer l in n rows, whose numbers begin with *counter*."""
    key = load(options.dropout_key, 0, lanes)
    rate = load(options.dropout, l * lanes, lanes)
    count = counter + load(options.first_unit, l * lanes, lanes) + np.uint64(j)
    factor = constant(1.0, rate) / (constant(1.0, rate) - rate)
    for s in range(n):
        place = (at + s) * lanes
        kept = uniform(key, count) >= rate
        count = count + load(options.n_hidden, 0, lanes)
        times = number(select(kept, factor, constant(0.0, rate)), scratch.values)
        store(scratch.values, place, load(scratch.values, place, lanes) * times)
        store(scratch.slopes, place, load(scratch.slopes, place, lanes) * times)


@inner
def height_of(layers, scratch, lanes):
    """How many rows there is room for."""
    last = len(layers) - 1
    return len(scratch.values) // ((layers[last, UNITS] + layers[last, N_OUT]) * lanes)


@made_once
def make_forward_of_many(hidden: Codes, bias: bool, keeps: bool, drops: bool, lanes: int) -> Any:
    """Make the forward pass of n rows up to the outputs' z; dropout is numbered from *counter*."""
    activate = make_activate_many(hidden, keeps, lanes)

    @inner
    def forward(layers, p, scratch, n, options, counter):
        last, height = len(layers) - 1, height_of(layers, scratch, lanes)
        at_once = units_at_once(p, lanes)
        for l in range(last + 1):
            n_in, n_out, units = layers[l, N_IN], layers[l, N_OUT], layers[l, UNITS]
            inputs = matrix(scratch.values, layers[l, INPUTS] * height, height, 1, (n_in, n), lanes)
            for first in range(0, n_out, at_once):
                after = min(first + at_once, n_out)
                some = after - first
                W = matrix(p, layers[l, WEIGHTS] + first, n_out, 1, (n_in, some), lanes)
                start = matrix(scratch.zero, 0, 0, 0, (1, 1), lanes)
                if bias:
                    start = matrix(p, layers[l, BIAS] + first, 0, 1, (1, some), lanes)
                z = matrix(scratch.values, (units + first) * height, 1, height, (n, some), lanes)
                sums(inputs, W, start, z, (n, n_in, some), lanes)
                for j in range(first, first if l == last else after):
                    at, unit = (units + j) * height, units + j - layers[0, N_IN]
                    activate(layers[l, ACTIVATION], scratch, at, unit, n)
                    if drops:
                        drop(scratch, at, n, l, j, counter, options, lanes)

    return forward


@made_once
def make_finish_many(output: int, loss: int, lanes: int) -> Any:
    """Make the end of a sample: the outputs' deltas from their z; returns the loss.

    The first output is at a place *at*, and each other one *step* behind the one before.
    """
    if loss in OF_CLASSES:
        return _make_finish_classes(loss, lanes)
    if loss in (GAUSSIAN, QUANTILE):
        return _make_finish_distribution(loss, lanes)
    return _make_finish_outputs(output, loss, lanes)


def _make_finish_outputs(output: int, loss: int, lanes: int) -> Any:
    finish_one = make_finish_one(output, loss)

    @ordered
    def finish(scratch, at, step, targets, n):
        total = load(scratch.zero, 0, lanes)
        for j in range(n):
            place = (at + j * step) * lanes
            y = load(scratch.targets, (targets + j) * lanes, lanes)
            d, loss_j = finish_one(load(scratch.values, place, lanes), y, n)
            store(scratch.deltas, place, d)
            total = total + loss_j
        return total

    return finish


def _make_finish_distribution(loss: int, lanes: int) -> Any:
    is_gaussian = loss == GAUSSIAN

    @ordered
    def finish(scratch, at, step, targets, n):
        total = load(scratch.zero, 0, lanes)
        m = n // 2 if is_gaussian else n
        for j in range(m):
            place, other = (at + j * step) * lanes, (at + (m + j) * step) * lanes
            z = load(scratch.values, place, lanes)
            y = load(scratch.targets, (targets + j) * lanes, lanes)
            if is_gaussian:
                d, d_log, loss_j = gaussian(z, load(scratch.values, other, lanes), y, m)
                store(scratch.deltas, other, d_log)
            else:
                q = load(scratch.targets, (targets + m + j) * lanes, lanes)
                d, loss_j = quantile(z, y, q, m)
            store(scratch.deltas, place, d)
            total = total + loss_j
        return total

    return finish


def _make_finish_classes(loss: int, lanes: int) -> Any:
    reported = OF_CLASSES[loss]

    @ordered
    def finish(scratch, at, step, targets, n):
        first = at * lanes
        log_total = softmax_in_lanes(
            scratch.values, first, scratch.deltas, first, n, step * lanes, lanes, lanes
        )
        total = load(scratch.zero, 0, lanes)
        for j in range(n):
            place = (at + j * step) * lanes
            y = load(scratch.targets, (targets + j) * lanes, lanes)
            total = total + y * reported(log_total - load(scratch.values, place, lanes))
            store(scratch.deltas, place, load(scratch.deltas, place, lanes) - y)
        return total

    return finish


@made_once
def make_finish_rows(output: int, loss: int, weighted: bool, lanes: int) -> Any:
    """Make the end of n rows, whose sum of losses it returns, each times its weight if asked."""
    finish = make_finish_many(output, loss, lanes)

    @ordered
    def finish_rows(layers, scratch, n, columns):
        last, height = len(layers) - 1, height_of(layers, scratch, lanes)
        outputs, n_out = layers[last, UNITS] * height, layers[last, N_OUT]
        total = load(scratch.zero, 0, lanes)
        for s in range(n):
            lost = finish(scratch, outputs + s, height, s * columns, n_out)
            if weighted:
                weight = load(scratch.weights, s * lanes, lanes)
                lost = lost * weight
                for j in range(n_out):
                    place = (outputs + j * height + s) * lanes
                    store(scratch.deltas, place, load(scratch.deltas, place, lanes) * weight)
            total = total + lost
        return total

    return finish_rows


@ordered
def add_sum(sums, epoch, value, lanes):
    """Add a value to an epoch's sums, which are float64."""
    sum_so_far = load(sums, (epoch, 0), lanes)
    store(sums, (epoch, 0), sum_so_far + convert(value, np.float64))
