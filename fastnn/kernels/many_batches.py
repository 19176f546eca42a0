"""Batches of many networks: the way back through the layers, and the kernel for any rule."""

import functools
from typing import Any

import numpy as np

from fastnn.kernels.activations import SLOPES, Codes
from fastnn.kernels.jit import inner, kernel, ordered
from fastnn.kernels.lanes import load, store
from fastnn.kernels.layout import ACTIVATION, BIAS, INPUTS, N_IN, N_OUT, UNITS, WEIGHTS
from fastnn.kernels.many import (
    ROWS,
    by_code,
    height_of,
    make_add_sum,
    make_finish_rows,
    make_forward_of_many,
    make_take,
)
from fastnn.kernels.many_products import (
    Matrix,
    Units,
    make_sums,
    make_sums_over_rows,
    make_units_at_once,
)
from fastnn.kernels.many_updates import make_step_of_many


@functools.cache
def make_times_slope_of_many(hidden: Codes, keeps: bool, lanes: int) -> Any:
    """Make the way from a unit's ∂loss/∂a, at the place d, to ∂loss/∂z, in n rows.

    It returns *total* and the sum of these, which is the gradient of the unit's bias.
    """

    def for_code(code: int) -> Any:
        slope = SLOPES[code]

        @ordered
        def delta_of(scratch, at, d):
            if keeps:
                factor = load(scratch.slopes, at * lanes, lanes)
            else:
                a = load(scratch.values, at * lanes, lanes)
                factor = slope(a, a)
            delta = load(scratch.deltas, d * lanes, lanes) * factor
            store(scratch.deltas, d * lanes, delta)
            return delta

        @ordered
        def times_slope(scratch, at, d, n, total):
            other = load(scratch.zero, 0, lanes)
            for s in range(0, n - 1, 2):  # two sums, of which neither waits for the other
                total = total + delta_of(scratch, at + s, d + s)
                other = other + delta_of(scratch, at + s + 1, d + s + 1)
            if n % 2 == 1:
                total = total + delta_of(scratch, at + n - 1, d + n - 1)
            return total + other

        return times_slope

    return by_code(for_code, hidden)


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
            Units(scratch.values, (units + first) * height, height),
            Units(scratch.deltas, layers[l, UNITS] * height, height),
        )
        G = Matrix(g, W + first * n_out, n_out, 1)
        sums_over_rows(a, above, G if more else zero, G, after - first, 0, n_out, n)
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
