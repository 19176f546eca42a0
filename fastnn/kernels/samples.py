"""Per-sample training for any depth and rule: one sample at a time through all layers and back.

First the gradient, then `updates.make_step`. Plain SGD without penalties, limits, weights and
dropout has a shorter way, see `fastnn.kernels.plain_samples`.

The workspace is three vectors over the inputs and all units, so that a unit has the same place in
each: its sum z, or its slope; its value a; its gradient d.
"""

import functools
from typing import Any

import numpy as np

from fastnn.kernels.activations import Codes
from fastnn.kernels.blocks import drop
from fastnn.kernels.jit import inner, kernel
from fastnn.kernels.lanes import prefer_wide_vectors
from fastnn.kernels.layout import ACTIVATION, INPUTS, N_OUT, UNITS, layer_of
from fastnn.kernels.one_output import make_one_output_gradient
from fastnn.kernels.plain import row_of
from fastnn.kernels.rows import (
    back_through_weights,
    load_row,
    make_activate,
    make_finish,
    make_outer,
    make_times_slope,
    make_weighted_sums,
)
from fastnn.kernels.updates import make_step

_1 = np.uint64(1)
#: Behind the units of a vector: a layer's last sums are stored as a whole register, be it AVX-512's
#: of float32. What is loaded next from a store of some lanes would have to wait for it.
ROOM = 16


def vector_size(n_units: int) -> int:
    """How long a vector over the inputs and all units is."""
    return n_units + ROOM


def workspace_size(layers: np.ndarray) -> int:
    """Three vectors over the inputs and all units."""
    return 3 * vector_size(int(layers[-1, UNITS] + layers[-1, N_OUT]))


@inner
def unit_places(layers):
    """Where z, a and d begin; where the outputs are in each of them, and how many there are."""
    last = len(layers) - 1
    units, n_out = layers[last, UNITS], layers[last, N_OUT]
    n = units + n_out + np.uint64(ROOM)
    return n - n, n, n + n, units, n_out


@functools.cache
def make_forward(hidden: Codes, bias: bool, keeps: bool, drops: bool) -> Any:
    """Make the forward pass of the inputs at *a*: hidden units' values, the outputs' sums at *z*.

    a and z are where the vectors over all units begin. With *keeps* the slopes of hidden units go
    into z. With *drops* (which needs it) units are dropped: *options* are those of the kernel,
    *counter* is the number of the first hidden unit's random number.
    """
    weighted_sums = make_weighted_sums(bias)
    activate = make_activate(hidden, keeps)

    @inner
    def forward(layers, p, w, z, a, options, counter):
        last = len(layers) - 1
        for l in range(last + 1):
            W, b, n_in, n = layer_of(layers, l)
            units = layers[l, UNITS]
            into = (a if l < last else z) + units
            weighted_sums(p, W, b, n_in, n, w, a + layers[l, INPUTS], into)
            if l < last:
                activate(layers[l, ACTIVATION], w, into, n, z + units)
                if drops:
                    first = counter + (units - layers[0, UNITS])
                    drop(w, into, z + units, n, _1, options, l, first, n)

    return forward


@functools.cache
def make_backward(hidden: Codes, bias: bool, keeps: bool) -> Any:
    """Make the backward pass, from d of the outputs, which writes the gradient to g."""
    outer = make_outer(bias)
    times_slope = make_times_slope(hidden, keeps)

    @inner
    def backward(layers, p, w, z, a, d, g):
        for l in range(len(layers) - 1, -1, -1):
            W, b, n_in, n_out = layer_of(layers, l)
            inputs, own = layers[l, INPUTS], d + layers[l, UNITS]
            if l > 0:
                below = d + inputs
                back_through_weights(p, W, n_in, n_out, w, own, below)
                times_slope(layers[l - 1, ACTIVATION], w, a + inputs, below, n_in, z + inputs)
            outer(g, W, b, n_in, n_out, w, a + inputs, own)

    return backward


@functools.cache
def make_sample_gradient(
    hidden: Codes, output: int, loss: int, bias: bool, keeps: bool, drops: bool
) -> Any:
    """Make the way there and back of one sample, which writes its gradient to g.

    Both the loss returned and the gradient are multiplied by *scale*; the rest as in
    `make_forward`.
    """
    forward, finish = make_forward(hidden, bias, keeps, drops), make_finish(output, loss)
    backward = make_backward(hidden, bias, keeps)

    @inner
    def sample_gradient(layers, p, X, Y, row, w, g, scale, options, counter):
        z, a, d, units, n_out = unit_places(layers)
        load_row(X, row, w, a)
        forward(layers, p, w, z, a, options, counter)
        total = scale * finish(w, z + units, d + units, n_out, Y, row)
        for j in range(n_out):
            w[d + units + j] *= scale
        backward(layers, p, w, z, a, d, g)
        return total

    return sample_gradient


@functools.cache
def make_update_by_rule(
    hidden: Codes, output: int, loss: int, bias: bool, rule: int, extras: bool, keeps: bool,
    drops: bool, one_output: bool,
) -> Any:  # fmt: skip
    """Make the update from the sample *row* for any plan; it returns the loss and the penalty.

    *rule* and *extras* are as in `make_step`, the rest as above; *one_output* says that there is
    one hidden layer and one output, and neither keeps nor drops. *t* is the number of updates so
    far; *weight* the sample's; *g* is scratch like p.
    """
    if one_output:
        sample_gradient = make_one_output_gradient(hidden, output, loss, bias)
    else:
        sample_gradient = make_sample_gradient(hidden, output, loss, bias, keeps, drops)
    step = make_step(rule, extras)

    @inner
    def update(layers, p, moments, t, X, Y, row, weight, rate, options, w, g):
        n_hidden = layers[len(layers) - 1, UNITS] - layers[0, UNITS]
        scale, counter = p.dtype.type(1), np.uint64(t) * n_hidden
        if extras:
            scale = p.dtype.type(options.scale * weight)
        loss_of_one = sample_gradient(layers, p, X, Y, row, w, g, scale, options, counter)
        penalty = step(layers, p, g, moments, t + 1, 1, weight, rate, options)
        if extras and options.divide_by_weights and weight != 0.0:
            loss_of_one /= weight
            penalty /= weight
        return loss_of_one, penalty

    return update


@functools.cache
def make_train_samples_by_rule(
    hidden: Codes, output: int, loss: int, bias: bool, rule: int, extras: bool, keeps: bool,
    drops: bool, one_output: bool,
) -> Any:  # fmt: skip
    """Make the kernel for any plan, see `make_update_by_rule`.

    *data* are `contract.Samples` and the order, *span* the rest of `Piece`.
    """
    update = make_update_by_rule(hidden, output, loss, bias, rule, extras, keeps, drops, one_output)

    @kernel
    def train_samples_by_rule(layers, p, moments, t, data, span, options, workspace, g):
        prefer_wide_vectors()
        per_update = 1 if span.rates.shape[1] > 1 else 0
        weight = 1.0
        for epoch in range(len(span.rates)):
            total, penalties = span.loss_sums[epoch], span.penalty_sums[epoch]
            for position in range(span.start, span.stop):
                rate = span.rates[epoch, (position - span.start) * per_update]
                row = row_of(data.order, epoch, position)
                if extras and len(data.weights) > 0:
                    weight = float(data.weights[row])
                loss_of_one, penalty = update(layers, p, moments, t, data.X, data.Y, row, weight,
                                              rate, options, workspace, g)  # fmt: skip
                t += 1
                total += loss_of_one
                penalties += penalty
            span.loss_sums[epoch], span.penalty_sums[epoch] = total, penalties

    return train_samples_by_rule
