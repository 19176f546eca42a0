"""Batches of many networks: the way back through the layers, and the kernel for any rule."""

from typing import Any

import numpy as np

from fastnn.kernels.activations import SLOPES, Codes
from fastnn.kernels.jit import inner, kernel, made_once, ordered
from fastnn.kernels.lanes import load, store
from fastnn.kernels.layout import ACTIVATION, BIAS, INPUTS, N_IN, N_OUT, UNITS, WEIGHTS
from fastnn.kernels.many import add_sum, height_of, make_finish_rows, make_forward_of_many
from fastnn.kernels.many_products import matrix, sums, sums_over_rows, turned, units_at_once
from fastnn.kernels.many_rows import ROWS, find, take
from fastnn.kernels.many_updates import make_step_of_many
from fastnn.kernels.rows import by_code


@made_once
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
        def times_slope(code, scratch, at, d, n, total):
            other = load(scratch.zero, 0, lanes)
            for s in range(0, n - 1, 2):  # two sums, of which neither waits for the other
                total = total + delta_of(scratch, at + s, d + s)
                other = other + delta_of(scratch, at + s + 1, d + s + 1)
            if n % 2 == 1:
                total = total + delta_of(scratch, at + n - 1, d + n - 1)
            return total + other

        return times_slope

    return by_code(for_code, hidden)


@inner
def _so_far(scratch, g, b, more, lanes):
    """Where a sum begins: at 0, or with *more* at what is there."""
    return load(g, b * lanes, lanes) if more else load(scratch.zero, 0, lanes)


@inner
def _onto(scratch, G, more, lanes):
    """The same of a product."""
    return G if more else matrix(scratch.zero, 0, 0, 0, (1, 1), lanes)


@made_once
def _make_ends_back(bias: bool, lanes: int) -> Any:
    """Make the way back at both ends of a network.

    From the outputs' deltas, which are returned, to the gradient of their biases; and from those of
    some units of the first layer to the gradient of the weights that lead to them.
    """

    @ordered
    def outputs_back(layers, scratch, n, g, more):
        last, height = len(layers) - 1, height_of(layers, scratch, lanes)
        n_out, at = layers[last, N_OUT], layers[last, UNITS] * height
        for j in range(n_out if bias else 0):
            b = layers[last, BIAS] + j
            total = _so_far(scratch, g, b, more, lanes)
            for s in range(n):
                total = total + load(scratch.deltas, (at + j * height + s) * lanes, lanes)
            store(g, b * lanes, total)
        return matrix(scratch.deltas, at, 1, height, (n, n_out), lanes)

    @inner
    def inputs_back(layers, scratch, n, g, more, d, first, after):
        n_in, height = layers[0, N_IN], height_of(layers, scratch, lanes)
        x = matrix(scratch.values, 0, 1, height, (n, n_in), lanes)
        G = matrix(g, first, layers[0, N_OUT], 1, (n_in, after - first), lanes)
        sums_over_rows(x, d, _onto(scratch, G, more, lanes), G, (n_in, n, after - first), lanes)

    return outputs_back, inputs_back


@made_once
def make_backward_of_many(hidden: Codes, bias: bool, keeps: bool, lanes: int) -> Any:
    """Make the gradient of n rows, into g, or with *more* onto it."""
    times_slope = make_times_slope_of_many(hidden, keeps, lanes)
    outputs_back, inputs_back = _make_ends_back(bias, lanes)

    @inner
    def units_back(layers, p, scratch, n, g, more, l, first, after):
        """The units from *first* up to *after* of the layer below layer l; returns their deltas."""
        height, some = height_of(layers, scratch, lanes), after - first
        n_out, units = layers[l, N_OUT], layers[l, INPUTS]
        W, above = layers[l, WEIGHTS] + first * n_out, layers[l, UNITS] * height
        a = matrix(scratch.values, (units + first) * height, 1, height, (n, some), lanes)
        D = matrix(scratch.deltas, above, 1, height, (n, n_out), lanes)
        G = matrix(g, W, n_out, 1, (some, n_out), lanes)
        sums_over_rows(a, D, _onto(scratch, G, more, lanes), G, (some, n, n_out), lanes)
        # The deltas of the first hidden layer are not needed again: the next take their place.
        place = units - first if l == 1 else units
        d = matrix(scratch.deltas, (place + first) * height, 1, height, (n, some), lanes)
        weights = matrix(p, W, 1, n_out, (n_out, some), lanes)
        sums(turned(D), weights, _onto(scratch, d, False, lanes), d, (n, n_out, some), lanes)
        for j in range(first, after):
            b = layers[l - 1, BIAS] + j if bias else 0
            total = _so_far(scratch, g, b, more, lanes)
            at, to, code = (units + j) * height, (place + j) * height, layers[l - 1, ACTIVATION]
            total = times_slope(code, scratch, at, to, n, total)
            if bias:
                store(g, b * lanes, total)
        return d

    @inner
    def backward(layers, p, scratch, n, g, more):
        last, at_once = len(layers) - 1, units_at_once(p, lanes)
        outputs = outputs_back(layers, scratch, n, g, more)
        if last == 0:
            inputs_back(layers, scratch, n, g, more, outputs, 0, layers[0, N_OUT])
        for l in range(last, 0, -1):
            for first in range(0, layers[l, N_IN], at_once):
                after = min(first + at_once, layers[l, N_IN])
                d = units_back(layers, p, scratch, n, g, more, l, first, after)
                if l == 1:
                    inputs_back(layers, scratch, n, g, more, d, first, after)

    return backward


@made_once
def make_train_many(
    hidden: Codes, output: int, loss: int, bias: bool, rule: int, extras: bool, keeps: bool,
    drops: bool, lanes: int,
) -> Any:  # fmt: skip
    """Make the training kernel for any rule, in batches.

    *t* (lanes,) counts updates; g is scratch like p; *options* are those of `many_updates`.
    """
    finish_rows = make_finish_rows(output, loss, extras, lanes)
    forward = make_forward_of_many(hidden, bias, keeps, drops, lanes)
    backward = make_backward_of_many(hidden, bias, keeps, lanes)
    step = make_step_of_many(rule, extras, lanes)

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
                    find(data, epoch, position, n, scratch, extras, lanes)
                    take(data, 0, n, 0, height, scratch, lanes)
                    done = np.uint64(position - first) * load(options.n_hidden, 0, lanes)
                    forward(layers, p, scratch, n, options, counter + done)
                    lost = finish_rows(layers, scratch, n, columns)
                    add_sum(span.loss_sums, epoch, lost, lanes)
                    backward(layers, p, scratch, n, g, position > first)
                store(t, 0, load(t, 0, lanes) + np.uint64(1))
                rate = load(span.rates, (epoch, update, 0), lanes)
                penalty = step(layers, p, g, moments, t, after - first, rate, options)
                if extras:
                    add_sum(span.penalty_sums, epoch, penalty, lanes)

    return train_many
