"""Plain SGD sample by sample, many networks at once: each layer's update goes straight into p.

A sample goes forward through all layers, and back from the last to the first. There, one sweep over
a layer's weights has both uses of each: the gradient for the layer below is made with the weight as
it was, and then the weight is changed. What goes back is a delta times the rate.
"""

import functools
from typing import Any

import numpy as np

from fastnn.kernels.activations import SLOPES, VALUES, Codes
from fastnn.kernels.jit import kernel, ordered
from fastnn.kernels.lanes import load, store
from fastnn.kernels.layout import ACTIVATION, BIAS, INPUTS, N_IN, N_OUT, UNITS, WEIGHTS
from fastnn.kernels.many import (
    ROWS,
    by_code,
    make_add_sum,
    make_finish_many,
    make_take,
)
from fastnn.kernels.many_updates import number


@functools.cache
def _make_weighted_sum(bias: bool, lanes: int) -> Any:
    """Make z_j = b_j + Σ_i x_i W_ij of a unit j of a sample, whose inputs are at the place x."""

    @ordered
    def weighted_sum(p, W, b, n_in, n_out, scratch, x, j):
        z = load(p, (b + j) * lanes, lanes) if bias else load(scratch.zero, 0, lanes)
        for i in range(n_in):
            w = load(p, (W + i * n_out + j) * lanes, lanes)
            z = z + load(scratch.values, (x + i) * lanes, lanes) * w
        return z

    return weighted_sum


@functools.cache
def _make_hidden_layer(hidden: Codes, bias: bool, keeps: bool, lanes: int) -> Any:
    """Make a hidden layer's values from its inputs', and slopes if they are kept."""
    weighted_sum = _make_weighted_sum(bias, lanes)

    def for_code(code: int) -> Any:
        value, slope = VALUES[code], SLOPES[code]

        @ordered
        def hidden_layer(p, W, b, n_in, n_out, scratch, x, units, unit):
            for j in range(n_out):
                z = weighted_sum(p, W, b, n_in, n_out, scratch, x, j)
                a = value(z)
                there = load(scratch.present, (unit + j) * lanes, lanes)
                store(scratch.values, (units + j) * lanes, a * there)
                if keeps:
                    store(scratch.slopes, (units + j) * lanes, slope(z, a))

        return hidden_layer

    return by_code(for_code, hidden)


@functools.cache
def _make_update(lanes: int) -> Any:
    """Make W_ij -= x_i d_j of an input i; it returns Σ_j d_j W_ij of the weights before."""

    @ordered
    def update(p, W, n_out, scratch, x_i, d, i):
        total = load(scratch.zero, 0, lanes)
        for j in range(n_out):
            place = (W + i * n_out + j) * lanes
            w, d_j = load(p, place, lanes), load(scratch.deltas, (d + j) * lanes, lanes)
            total = total + d_j * w
            store(p, place, w - x_i * d_j)
        return total

    return update


@functools.cache
def _make_back(hidden: Codes, bias: bool, keeps: bool, lanes: int) -> Any:
    """Make the update of a layer's weights, and the deltas of the hidden units that it comes from.

    Their biases, at the place b, get these at once.
    """
    update = _make_update(lanes)

    def for_code(code: int) -> Any:
        slope = SLOPES[code]

        @ordered
        def back(p, W, b, n_in, n_out, scratch, x, d):
            for i in range(n_in):
                place = (x + i) * lanes
                x_i = load(scratch.values, place, lanes)
                factor = load(scratch.slopes, place, lanes) if keeps else slope(x_i, x_i)
                d_i = update(p, W, n_out, scratch, x_i, d, i) * factor
                store(scratch.deltas, place, d_i)
                if bias:
                    store(p, (b + i) * lanes, load(p, (b + i) * lanes, lanes) - d_i)

        return back

    return by_code(for_code, hidden)


@functools.cache
def _make_learn(hidden: Codes, output: int, loss: int, bias: bool, keeps: bool, lanes: int) -> Any:
    """Make the update from the sample whose inputs and targets are in the scratch."""
    weighted_sum, update = _make_weighted_sum(bias, lanes), _make_update(lanes)
    hidden_layer = _make_hidden_layer(hidden, bias, keeps, lanes)
    back = _make_back(hidden, bias, keeps, lanes)
    finish = make_finish_many(output, loss, lanes)

    @ordered
    def forward(layers, p, scratch):
        last = len(layers) - 1
        for l in range(last + 1):
            n_in, n_out, units = layers[l, N_IN], layers[l, N_OUT], layers[l, UNITS]
            W, b, x = layers[l, WEIGHTS], layers[l, BIAS], layers[l, INPUTS]
            if l < last:
                unit, code = units - layers[0, N_IN], layers[l, ACTIVATION]
                hidden_layer(code, p, W, b, n_in, n_out, scratch, x, units, unit)
            else:
                for j in range(n_out):
                    z = weighted_sum(p, W, b, n_in, n_out, scratch, x, j)
                    store(scratch.values, (units + j) * lanes, z)

    @ordered
    def backward(layers, p, scratch):
        for l in range(len(layers) - 1, -1, -1):
            W, n_in, n_out = layers[l, WEIGHTS], layers[l, N_IN], layers[l, N_OUT]
            x, d = layers[l, INPUTS], layers[l, UNITS]
            if l > 0:
                code, b = layers[l - 1, ACTIVATION], layers[l - 1, BIAS]
                back(code, p, W, b, n_in, n_out, scratch, x, d)
            else:
                for i in range(n_in):
                    x_i = load(scratch.values, (x + i) * lanes, lanes)
                    update(p, W, n_out, scratch, x_i, d, i)

    @ordered
    def learn(layers, p, scratch, rate):
        forward(layers, p, scratch)
        last = len(layers) - 1
        b, n_out, outputs = layers[last, BIAS], layers[last, N_OUT], layers[last, UNITS]
        lost = finish(scratch, outputs, 0, n_out)
        for j in range(n_out):
            d_j = load(scratch.deltas, (outputs + j) * lanes, lanes) * rate
            store(scratch.deltas, (outputs + j) * lanes, d_j)
            if bias:
                store(p, (b + j) * lanes, load(p, (b + j) * lanes, lanes) - d_j)
        backward(layers, p, scratch)
        return lost

    return learn


@functools.cache
def make_train_samples_of_many(
    hidden: Codes, output: int, loss: int, bias: bool, keeps: bool, lanes: int
) -> Any:
    """Make the kernel; its arguments are those of `fastnn.kernels.many.make_train_many`'s."""
    take, add_sum = make_take(lanes), make_add_sum(lanes)
    learn = _make_learn(hidden, output, loss, bias, keeps, lanes)

    @kernel
    def train_samples_of_many(layers, p, moments, t, data, span, options, scratch, g):
        per_update = span.rates.shape[1] > 1
        for epoch in range(len(span.rates)):
            rate = number(load(span.rates, (epoch, 0, 0), lanes), p)
            for first in range(span.start, span.stop, ROWS):
                total = load(scratch.zero, 0, lanes)
                for position in range(first, min(first + ROWS, span.stop)):
                    if per_update:
                        update = (epoch, position - span.start, 0)
                        rate = number(load(span.rates, update, lanes), p)
                    take(data, epoch, position, 1, 0, 0, scratch, False)
                    total = total + learn(layers, p, scratch, rate)
                add_sum(span.loss_sums, epoch, total)
        n_updates = np.uint64(len(span.rates) * (span.stop - span.start))
        store(t, 0, load(t, 0, lanes) + n_updates)

    return train_samples_of_many
