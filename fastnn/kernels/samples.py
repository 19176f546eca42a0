"""Per-sample training for any depth: one sample at a time through all layers and back.

Plain SGD adds each layer's update to the weights as soon as it is known. Every other rule, and
penalties, limits, weights or dropout, take the long way: the gradient, then `updates.make_step`.
"""

import functools
from typing import Any

import numpy as np

from fastnn.kernels.activations import Codes
from fastnn.kernels.jit import inner, kernel
from fastnn.kernels.lanes import prefer_wide_vectors
from fastnn.kernels.layout import ACTIVATION, BIAS, INPUTS, N_IN, N_OUT, UNITS, WEIGHTS
from fastnn.kernels.one_output import make_one_output_gradient
from fastnn.kernels.rows import (
    back_through_weights,
    drop,
    make_activate,
    make_activate_and_keep,
    make_add_outer,
    make_finish,
    make_outer,
    make_times_slope,
    make_weighted_sums,
)
from fastnn.kernels.updates import make_step


def workspace_size(layers: np.ndarray) -> int:
    """Three vectors over the inputs and all units: sums z or slopes, values a, gradients d."""
    return 3 * int(layers[-1, UNITS] + layers[-1, N_OUT])


@functools.cache
def make_forward(
    hidden: Codes, output: int, loss: int, bias: bool, keeps: bool = False, drops: bool = False
) -> Any:
    """Make the forward pass of one sample: fills a, and d of the outputs; returns the loss.

    With *keeps* the slopes of hidden units go into z. With *drops* (which needs it) units are
    dropped: *options* are those of the kernel, *counter* is the number of the first hidden unit's
    random number. Without, these two are not looked at.
    """
    weighted_sums = make_weighted_sums(bias)
    activate = make_activate_and_keep(hidden) if keeps else make_activate(hidden)
    finish = make_finish(output, loss)

    @inner
    def forward(layers, p, X, Y, row, z, a, d, options, counter):
        for i in range(X.shape[1]):
            a[i] = X[row, i]
        last = len(layers) - 1
        for l in range(last + 1):
            n_in, n_out, units = layers[l, N_IN], layers[l, N_OUT], layers[l, UNITS]
            into = a if l < last else z
            weighted_sums(
                p,
                layers[l, WEIGHTS],
                layers[l, BIAS],
                n_in,
                n_out,
                a,
                layers[l, INPUTS],
                into,
                units,
            )
            if l < last:
                if keeps:
                    activate(layers[l, ACTIVATION], a, units, n_out, z, units)
                else:
                    activate(layers[l, ACTIVATION], a, units, n_out)
                if drops:
                    first = counter + (units - layers[0, UNITS])
                    drop(a, z, units, n_out, options.dropout_key, first, options.dropout[l])
        return finish(z, a, d, layers[last, UNITS], layers[last, N_OUT], Y, row)

    return forward


@functools.cache
def make_backward(hidden: Codes, bias: bool) -> Any:
    """Make the backward pass of plain SGD: ``p += scale * gradient``."""
    add_outer = make_add_outer(bias)
    times_slope = make_times_slope(hidden)

    @inner
    def backward(layers, p, a, d, scale):
        for l in range(len(layers) - 1, -1, -1):
            n_in, n_out, inputs = layers[l, N_IN], layers[l, N_OUT], layers[l, INPUTS]
            W, units = layers[l, WEIGHTS], layers[l, UNITS]
            if l > 0:
                back_through_weights(p, W, n_in, n_out, d, units, inputs)
                times_slope(layers[l - 1, ACTIVATION], a, inputs, d, inputs, n_in)
            add_outer(p, W, layers[l, BIAS], n_in, n_out, a, inputs, d, units, scale)

    return backward


@functools.cache
def make_sample_gradient(
    hidden: Codes, output: int, loss: int, bias: bool, keeps: bool, drops: bool
) -> Any:
    """Make the way there and back of one sample, which writes its gradient to g.

    Both the loss returned and the gradient are multiplied by *scale*; the rest as in
    `make_forward`.
    """
    forward = make_forward(hidden, output, loss, bias, keeps, drops)
    outer = make_outer(bias)
    times_slope = make_times_slope(hidden)

    @inner
    def sample_gradient(layers, p, X, Y, row, workspace, g, scale, options, counter):
        n = len(workspace) // 3
        z, a, d = workspace[:n], workspace[n : 2 * n], workspace[2 * n :]
        total = scale * forward(layers, p, X, Y, row, z, a, d, options, counter)
        last = len(layers) - 1
        for j in range(layers[last, N_OUT]):
            d[layers[last, UNITS] + j] *= scale
        for l in range(last, -1, -1):
            n_in, n_out, inputs = layers[l, N_IN], layers[l, N_OUT], layers[l, INPUTS]
            W, units = layers[l, WEIGHTS], layers[l, UNITS]
            if l > 0:
                back_through_weights(p, W, n_in, n_out, d, units, inputs)
                if keeps:
                    for j in range(n_in):
                        d[inputs + j] *= z[inputs + j]
                else:
                    times_slope(layers[l - 1, ACTIVATION], a, inputs, d, inputs, n_in)
            outer(g, W, layers[l, BIAS], n_in, n_out, a, inputs, d, units)
        return total

    return sample_gradient


@functools.cache
def make_train_samples(hidden: Codes, output: int, loss: int, bias: bool) -> Any:
    """Make the kernel of plain SGD. Its arguments are those of `fastnn.engines.Piece`."""
    forward = make_forward(hidden, output, loss, bias)
    backward = make_backward(hidden, bias)

    @kernel
    def train_samples(layers, p, X, Y, order, rates, start, stop, loss_sums, workspace):
        n = len(workspace) // 3
        z, a, d = workspace[:n], workspace[n : 2 * n], workspace[2 * n :]
        per_update = 1 if rates.shape[1] > 1 else 0
        for epoch in range(len(rates)):
            total = loss_sums[epoch]
            for position in range(start, stop):
                rate = p.dtype.type(rates[epoch, (position - start) * per_update])
                row = order[epoch, position] if len(order) > 0 else position
                total += forward(layers, p, X, Y, row, z, a, d, None, 0)
                backward(layers, p, a, d, -rate)
            loss_sums[epoch] = total

    return train_samples


@functools.cache
def make_train_samples_by_rule(
    hidden: Codes, output: int, loss: int, bias: bool, rule: int, extras: bool, keeps: bool,
    drops: bool, one_output: bool,
) -> Any:  # fmt: skip
    """Make the kernel for any plan: *rule* and *extras* as in `make_step`, the rest as above.

    *one_output* says that there is one hidden layer and one output, and neither keeps nor drops.
    *data* are `engines.Samples` and the order, *span* the rest of `Piece`; *g* is scratch like p.
    *t* is the number of updates so far.
    """
    if one_output:
        sample_gradient = make_one_output_gradient(hidden, output, loss, bias)
    else:
        sample_gradient = make_sample_gradient(hidden, output, loss, bias, keeps, drops)
    step = make_step(rule, extras)

    @kernel
    def train_samples_by_rule(layers, p, moments, t, data, span, options, workspace, g):
        prefer_wide_vectors()
        n_hidden = layers[len(layers) - 1, UNITS] - layers[0, UNITS]
        per_update = 1 if span.rates.shape[1] > 1 else 0
        weight, scale = 1.0, p.dtype.type(1)
        for epoch in range(len(span.rates)):
            total, penalties = span.loss_sums[epoch], span.penalty_sums[epoch]
            for position in range(span.start, span.stop):
                rate = span.rates[epoch, (position - span.start) * per_update]
                row = data.order[epoch, position] if len(data.order) > 0 else position
                counter = np.uint64(t) * n_hidden
                t += 1
                if extras:
                    if len(data.weights) > 0:
                        weight = float(data.weights[row])
                    scale = p.dtype.type(options.scale * weight)
                loss_of_one = sample_gradient(
                    layers, p, data.X, data.Y, row, workspace, g, scale, options, counter
                )
                penalty = step(layers, p, g, moments, t, 1, weight, rate, options)
                if extras and options.divide_by_weights and weight != 0.0:
                    loss_of_one /= weight
                    penalty /= weight
                total += loss_of_one
                penalties += penalty
            span.loss_sums[epoch], span.penalty_sums[epoch] = total, penalties

    return train_samples_by_rule
