"""Many networks at once, each in a lane of its own: one sample, or a batch, there and back.

What is a number in the other kernels is here `lanes.Lanes` of them, one for each network: a weight,
a unit's value, a loss. So nothing waits for a neighbour, nothing is added up across lanes, and what
a network gets depends neither on the networks beside it nor on how many lanes there are.

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

import functools
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.kernels.activations import SLOPES, VALUES, Codes
from fastnn.kernels.elementary import exp, log
from fastnn.kernels.jit import inner, kernel, ordered
from fastnn.kernels.lanes import constant, convert, load, maximum, select, splat, store
from fastnn.kernels.layout import ACTIVATION, BIAS, INPUTS, N_IN, N_OUT, UNITS, WEIGHTS
from fastnn.kernels.losses import GAUSSIAN, OF_CLASSES, QUANTILE, gaussian, quantile
from fastnn.kernels.many_products import (
    Matrix,
    Units,
    make_sums,
    make_sums_over_rows,
    make_units_at_once,
)
from fastnn.kernels.many_updates import make_step_of_many, number
from fastnn.kernels.random import uniforms
from fastnn.kernels.rows import make_finish_one

#: The samples X (n, n_in) and Y (n, columns). Network l takes of them those of *rows*, (lanes, its
#: n), by default all; in *order*, (epochs, lanes, its n), by default as they lie; with *weights*,
#: (lanes, its n). What is not given has length 0.
Data = namedtuple("Data", "X Y rows order weights")
#: *values*, *slopes* and *deltas* are (inputs and all units, height), *targets* (height, columns of
#: Y), *weights* (height,), *present* (hidden units,), *zero* is one 0. *numbers* and *rows*, of
#: the samples that are taken, are uint64.
Scratch = namedtuple("Scratch", "values slopes deltas targets weights present zero numbers rows")
#: As in `contract.Piece`, but rates (epochs, 1 or updates, lanes), and sums (epochs, lanes).
Span = namedtuple("Span", "rates start stop loss_sums penalty_sums")
#: So many rows are there and back at once, and their gradients summed before the next.
ROWS = 32


@functools.cache
def make_spread_row(lanes: int) -> Any:
    """Make the copying of a row into all lanes, its numbers *step* places apart."""

    @inner
    def spread_row(rows, row, into, at, step):
        for k in range(rows.shape[1]):
            store(into, (at + k * step) * lanes, splat(rows[row, k], lanes))

    return spread_row


@functools.cache
def make_take(lanes: int) -> Any:
    """Make the gathering of n samples from the position *first* of an epoch on.

    The first one's inputs go to *at* and every *height* places from there, the next one's to the
    place behind. With *weighted* their weights too.
    """
    spread_row = make_spread_row(lanes)

    @inner
    def find(data, epoch, position, numbers, rows):
        """Of each lane the number of its sample, and in what row of X and Y that is."""
        for l in range(lanes):
            numbers[l] = data.order[epoch, l, position] if len(data.order) > 0 else position
        for l in range(lanes):
            rows[l] = data.rows[l, numbers[l]] if data.rows.shape[1] > 0 else numbers[l]

    @inner
    def gather_row(source, rows, into, at, step):
        for k in range(source.shape[1]):
            for l in range(lanes):
                into[(at + k * step) * lanes + l] = source[rows[l], k]

    @inner
    def take(data, epoch, first, n, at, height, scratch, weighted):
        X, Y = data.X, data.Y
        alike = len(data.order) == 0 and data.rows.shape[1] == 0
        for s in range(n):
            x, y = at + s, s * Y.shape[1]
            if not alike or weighted:
                find(data, epoch, first + s, scratch.numbers, scratch.rows)
            if alike:
                spread_row(X, first + s, scratch.values, x, height)
                spread_row(Y, first + s, scratch.targets, y, 1)
            else:
                gather_row(X, scratch.rows, scratch.values, x, height)
                gather_row(Y, scratch.rows, scratch.targets, y, 1)
            if weighted:
                for l in range(lanes):
                    there = data.weights.shape[1] > 0
                    weight = data.weights[l, scratch.numbers[l]] if there else 1.0
                    scratch.weights[s * lanes + l] = weight

    return take


@functools.cache
def make_activate_many(hidden: Codes, keeps: bool, lanes: int) -> Any:
    """Make the activation of a unit, *present* or not, in n rows; it keeps slopes if need be.

    *code* says which of several activations.
    """

    def for_code(code: int) -> Any:
        value, slope = VALUES[code], SLOPES[code]

        @ordered
        def activate(scratch, at, unit, n):
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


def by_code(for_code: Callable[[int], Any], hidden: Codes) -> Any:
    """The functions for the codes in *hidden*, told apart at run time by the first argument."""
    chain = None
    for code in hidden:
        chain = _link(code, for_code(code), chain)
    return chain


def _link(code: int, function: Any, otherwise: Any) -> Any:
    if otherwise is None:

        @inner
        def only(wanted, *arguments):
            return function(*arguments)

        return only

    @inner
    def choose(wanted, *arguments):
        if wanted == code:
            return function(*arguments)
        return otherwise(wanted, *arguments)

    return choose


@functools.cache
def make_times_slope_of_many(hidden: Codes, keeps: bool, lanes: int) -> Any:
    """Make the way from a unit's ∂loss/∂a, at the place d, to ∂loss/∂z, in n rows.

    It returns *total* and the sum of these, which is the gradient of the unit's bias.
    """

    def for_code(code: int) -> Any:
        slope = SLOPES[code]

        @ordered
        def times_slope(scratch, at, d, n, total):
            for s in range(n):
                if keeps:
                    factor = load(scratch.slopes, (at + s) * lanes, lanes)
                else:
                    a = load(scratch.values, (at + s) * lanes, lanes)
                    factor = slope(a, a)
                place = (d + s) * lanes
                delta = load(scratch.deltas, place, lanes) * factor
                store(scratch.deltas, place, delta)
                total = total + delta
            return total

        return times_slope

    return by_code(for_code, hidden)


@functools.cache
def make_drop_of_many(lanes: int) -> Any:
    """Make the dropout of unit j of layer l in n rows, whose numbers begin with *counter*."""

    @ordered
    def drop(scratch, at, n, l, j, counter, options):
        key = load(options.dropout_key, 0, lanes)
        rate = load(options.dropout, l * lanes, lanes)
        count = counter + load(options.first_unit, l * lanes, lanes) + np.uint64(j)
        factor = constant(1.0, rate) / (constant(1.0, rate) - rate)
        for s in range(n):
            place = (at + s) * lanes
            kept = uniforms(key, count) >= rate
            count = count + load(options.n_hidden, 0, lanes)
            times = number(select(kept, factor, constant(0.0, rate)), scratch.values)
            store(scratch.values, place, load(scratch.values, place, lanes) * times)
            store(scratch.slopes, place, load(scratch.slopes, place, lanes) * times)

    return drop


@inner
def height_of(layers, scratch, lanes):
    """How many rows there is room for."""
    last = len(layers) - 1
    return len(scratch.values) // ((layers[last, UNITS] + layers[last, N_OUT]) * lanes)


@functools.cache
def make_forward_of_many(hidden: Codes, bias: bool, keeps: bool, drops: bool, lanes: int) -> Any:
    """Make the forward pass of n rows up to the outputs' z; dropout is numbered from *counter*."""
    sums, units_at_once = make_sums(lanes), make_units_at_once(lanes)
    activate = make_activate_many(hidden, keeps, lanes)
    drop = make_drop_of_many(lanes)

    @inner
    def forward(layers, p, scratch, n, options, counter):
        last, height = len(layers) - 1, height_of(layers, scratch, lanes)
        for l in range(last + 1):
            n_in, n_out, units = layers[l, N_IN], layers[l, N_OUT], layers[l, UNITS]
            inputs = Units(scratch.values, layers[l, INPUTS] * height, height)
            start = Matrix(scratch.zero, 0, 0, 0)
            if bias:
                start = Matrix(p, layers[l, BIAS], 0, 1)
            W, z = (
                Matrix(p, layers[l, WEIGHTS], n_out, 1),
                Units(inputs.vector, units * height, height),
            )
            for first in range(0, n_out, units_at_once(p)):
                after = min(first + units_at_once(p), n_out)
                sums(inputs, W, start, z, n, first, after, n_in)
                for j in range(first, first if l == last else after):
                    at, unit = (units + j) * height, units + j - layers[0, N_IN]
                    activate(layers[l, ACTIVATION], scratch, at, unit, n)
                    if drops:
                        drop(scratch, at, n, l, j, counter, options)

    return forward


@functools.cache
def make_finish_many(output: int, loss: int, lanes: int) -> Any:
    """Make the end of a sample: the outputs' deltas from their z; returns the loss.

    The first output is at a place *at*, and each other one *step* behind the one before.
    """
    if loss in OF_CLASSES:
        return _make_finish_classes(lanes)
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


def _make_finish_classes(lanes: int) -> Any:
    softmax = make_softmax_of_many(lanes)

    @ordered
    def finish(scratch, at, step, targets, n):
        log_total = softmax(scratch.values, at, step, scratch.deltas, n)
        total = load(scratch.zero, 0, lanes)
        for j in range(n):
            place = (at + j * step) * lanes
            y = load(scratch.targets, (targets + j) * lanes, lanes)
            total = total + y * (log_total - load(scratch.values, place, lanes))
            store(scratch.deltas, place, load(scratch.deltas, place, lanes) - y)
        return total

    return finish


@functools.cache
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


@functools.cache
def make_add_sum(lanes: int) -> Any:
    """Make the adding of a value to an epoch's sums, which are float64."""

    @ordered
    def add_sum(sums, epoch, value):
        sum_so_far = load(sums, (epoch, 0), lanes)
        store(sums, (epoch, 0), sum_so_far + convert(value, np.float64))

    return add_sum


@functools.cache
def make_softmax_of_many(lanes: int) -> Any:
    """Make a_j = e^z_j / Σ e^z_k of n units, *step* places apart, to the same places of *into*.

    It returns log Σ e^z_k. The largest z is taken off: no overflow.
    """

    @ordered
    def softmax(values, at, step, into, n):
        top = load(values, at * lanes, lanes)
        for j in range(1, n):
            top = maximum(top, load(values, (at + j * step) * lanes, lanes))
        total = top - top
        for j in range(n):
            e = exp(load(values, (at + j * step) * lanes, lanes) - top)
            store(into, (at + j * step) * lanes, e)
            total = total + e
        for j in range(n):
            place = (at + j * step) * lanes
            store(into, place, load(into, place, lanes) / total)
        return top + log(total)

    return softmax


@functools.cache
def make_backward_of_many(hidden: Codes, bias: bool, keeps: bool, lanes: int) -> Any:
    """Make the gradient of n rows, into g, or with *more* onto it."""
    sums, sums_over_rows = make_sums(lanes), make_sums_over_rows(lanes)
    times_slope = make_times_slope_of_many(hidden, keeps, lanes)
    units_at_once = make_units_at_once(lanes)

    @inner
    def so_far(scratch, g, b, more):
        """The gradient of a bias from the rows before."""
        return load(g, b * lanes, lanes) if more else load(scratch.zero, 0, lanes)

    @inner
    def units_back(layers, p, scratch, n, g, more, l, first, after):
        """The units from *first* up to *after* of the layer below layer l; returns their deltas."""
        height, zero = height_of(layers, scratch, lanes), Matrix(scratch.zero, 0, 0, 0)
        n_out, W, units = layers[l, N_OUT], layers[l, WEIGHTS], layers[l, INPUTS]
        a, above = (
            Units(scratch.values, units * height, height),
            Units(scratch.deltas, layers[l, UNITS] * height, height),
        )
        turned = Matrix(g, W, 1, n_out)
        sums_over_rows(above, a, turned if more else zero, turned, n_out, first, after, n)
        # The deltas of the first hidden layer are not needed again: the next take their place.
        place = units - first if l == 1 else units
        d = Units(scratch.deltas, place * height, height)
        sums(above, Matrix(p, W, 1, n_out), zero, d, n, first, after, n_out)
        for j in range(first, after):
            b = layers[l - 1, BIAS] + j if bias else 0
            total = so_far(scratch, g, b, more)
            at, to, code = (units + j) * height, (place + j) * height, layers[l - 1, ACTIVATION]
            total = times_slope(code, scratch, at, to, n, total)
            if bias:
                store(g, b * lanes, total)
        return d

    @inner
    def backward(layers, p, scratch, n, g, more):
        last, height = len(layers) - 1, height_of(layers, scratch, lanes)
        x, into = Units(scratch.values, 0, height), Matrix(g, 0, layers[0, N_OUT], 1)
        start = into if more else Matrix(scratch.zero, 0, 0, 0)
        outputs = Units(scratch.deltas, layers[last, UNITS] * height, height)
        for j in range(layers[last, N_OUT] if bias else 0):
            b = layers[last, BIAS] + j
            total = so_far(scratch, g, b, more)
            for s in range(n):
                total = total + load(scratch.deltas, (outputs.at + j * height + s) * lanes, lanes)
            store(g, b * lanes, total)
        if last == 0:
            n_out = layers[0, N_OUT]
            sums_over_rows(x, outputs, start, into, layers[0, N_IN], 0, n_out, n)
        for l in range(last, 0, -1):
            for first in range(0, layers[l, N_IN], units_at_once(p)):
                after = min(first + units_at_once(p), layers[l, N_IN])
                d = units_back(layers, p, scratch, n, g, more, l, first, after)
                if l == 1:
                    sums_over_rows(x, d, start, into, layers[0, N_IN], first, after, n)

    return backward


@functools.cache
def make_train_many(
    hidden: Codes, output: int, loss: int, bias: bool, rule: int, extras: bool, keeps: bool,
    drops: bool, lanes: int,
) -> Any:  # fmt: skip
    """Make the training kernel for any rule, in batches or sample by sample.

    *t* (lanes,) counts updates; g is scratch like p; *options* are those of `many_updates`.
    """
    take, finish_rows = make_take(lanes), make_finish_rows(output, loss, extras, lanes)
    forward = make_forward_of_many(hidden, bias, keeps, drops, lanes)
    backward = make_backward_of_many(hidden, bias, keeps, lanes)
    step, add_sum = make_step_of_many(rule, extras, lanes), make_add_sum(lanes)

    @kernel
    def train_many(layers, p, moments, t, data, span, options, scratch, g):
        height, columns = height_of(layers, scratch, lanes), data.Y.shape[1]
        per_update = 1 if span.rates.shape[1] > 1 else 0
        for epoch in range(len(span.rates)):
            for first in range(span.start, span.stop, options.batch_size):
                after = min(first + options.batch_size, span.stop)
                update = (first - span.start) // options.batch_size * per_update
                counter = (
                    load(t, 0, lanes) * np.uint64(options.batch_size)
                    * load(options.n_hidden, 0, lanes)
                )  # fmt: skip
                for position in range(first, after, ROWS):
                    n = min(ROWS, after - position)
                    take(data, epoch, position, n, 0, height, scratch, extras)
                    done = np.uint64(position - first) * load(options.n_hidden, 0, lanes)
                    forward(layers, p, scratch, n, options, counter + done)
                    add_sum(span.loss_sums, epoch, finish_rows(layers, scratch, n, columns))
                    backward(layers, p, scratch, n, g, position > first)
                store(t, 0, load(t, 0, lanes) + np.uint64(1))
                rate = load(span.rates, (epoch, update, 0), lanes)
                penalty = step(layers, p, g, moments, t, after - first, rate, options)
                if extras:
                    add_sum(span.penalty_sums, epoch, penalty)

    return train_many
