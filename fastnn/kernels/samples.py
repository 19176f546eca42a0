"""Per-sample SGD for any depth: one sample at a time through all layers and back."""

import functools
from typing import Any

import numpy as np

from fastnn.kernels.jit import inner, kernel
from fastnn.kernels.layout import ACTIVATION, BIAS, INPUTS, N_IN, N_OUT, UNITS, WEIGHTS
from fastnn.kernels.rows import (
    back_through_weights,
    make_activate,
    make_add_outer,
    make_finish,
    make_times_slope,
    make_weighted_sums,
)


def workspace_size(layers: np.ndarray) -> int:
    """Three vectors over the inputs and all units: sums z (of the outputs only), values a, d."""
    return 3 * int(layers[-1, UNITS] + layers[-1, N_OUT])


@functools.cache
def make_forward(hidden: int, output: int, loss: int, bias: bool) -> Any:
    """Make the forward pass of one sample: fills a, and d of the outputs; returns the loss."""
    weighted_sums = make_weighted_sums(bias)
    activate = make_activate(hidden)
    finish = make_finish(output, loss)

    @inner
    def forward(layers, p, X, Y, row, z, a, d):
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
                activate(layers[l, ACTIVATION], a, units, n_out)
        return finish(z, a, d, layers[last, UNITS], layers[last, N_OUT], Y, row)

    return forward


@functools.cache
def make_backward(hidden: int, bias: bool) -> Any:
    """Make the backward pass: ``into += scale * gradient``; *into* may be p itself."""
    add_outer = make_add_outer(bias)
    times_slope = make_times_slope(hidden)

    @inner
    def backward(layers, p, a, d, into, scale):
        for l in range(len(layers) - 1, -1, -1):
            n_in, n_out, inputs = layers[l, N_IN], layers[l, N_OUT], layers[l, INPUTS]
            W, units = layers[l, WEIGHTS], layers[l, UNITS]
            if l > 0:
                back_through_weights(p, W, n_in, n_out, d, units, inputs)
                times_slope(layers[l - 1, ACTIVATION], a, inputs, d, inputs, n_in)
            add_outer(into, W, layers[l, BIAS], n_in, n_out, a, inputs, d, units, scale)

    return backward


@functools.cache
def make_train_samples(hidden: int, output: int, loss: int, bias: bool) -> Any:
    """Make the kernel for these codes. Its arguments are those of `fastnn.engines.Piece`."""
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
                total += forward(layers, p, X, Y, row, z, a, d)
                backward(layers, p, a, d, p, -rate)
            loss_sums[epoch] = total

    return train_samples
