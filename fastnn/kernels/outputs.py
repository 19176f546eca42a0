"""Forward passes without training: outputs of layers, and the loss."""

import functools
from typing import Any

import numpy as np

from fastnn.activations import ACTIVATIONS
from fastnn.kernels.activations import VALUES, Codes
from fastnn.kernels.blocks import (
    WIDE_INPUT,
    gather,
    make_finish,
    make_forward,
    softmax,
)
from fastnn.kernels.jit import inner, kernel
from fastnn.kernels.lanes import prefer_wide_vectors
from fastnn.kernels.layout import ACTIVATION, BIAS, INPUTS, N_IN, N_OUT, UNITS, WEIGHTS
from fastnn.kernels.rows import make_activate, make_weighted_sums
from fastnn.kernels.rows import softmax as softmax_row

SOFTMAX = ACTIVATIONS["softmax"].code


@functools.cache
def _make_activate_outputs(output: int) -> Any:
    """Make a function that activates an output block (n_out, n) in place."""
    if output == SOFTMAX:

        @inner
        def activate_softmax(values, n_out, n, scratch):
            softmax(values, values, n_out, n, scratch[:n], scratch[n : 2 * n])

        return activate_softmax
    activate = make_activate((output,))

    @inner
    def activate_outputs(values, n_out, n, scratch):
        activate(output, values, 0, n_out * n)

    return activate_outputs


@inner
def _all_finite(values):
    finite = True
    for k in range(len(values)):
        finite &= np.isfinite(values[k])
    return finite


@inner
def _all_numbers(values):
    numbers = True
    for k in range(len(values)):
        numbers &= not np.isnan(values[k])
    return numbers


@functools.cache
def _make_forward_by_unit(hidden: Codes, bias: bool) -> Any:
    """Make the forward pass for one hidden layer and few inputs and outputs.

    Unit by unit: what a unit has to say about n samples stays in the first-level cache from its
    weighted sums to the outputs.
    """
    value = VALUES[hidden[0]]

    @inner
    def forward_by_unit(layers, p, workspace, places, x, n, options, counter):
        n_in, n_hidden, n_out = layers[0, N_IN], layers[0, N_OUT], layers[1, N_OUT]
        W, V = layers[0, WEIGHTS], layers[1, WEIGHTS]
        out = places.units + n_hidden * places.block
        zero = p.dtype.type(0)
        h = workspace[places.scratch : places.scratch + n]
        for o in range(n_out):
            start = p[layers[1, BIAS] + o] if bias else zero
            for s in range(n):
                workspace[out + o * n + s] = start
        for j in range(n_hidden):
            start = p[layers[0, BIAS] + j] if bias else zero
            first, w = workspace[x : x + n], p[W + j]
            for s in range(n):
                h[s] = start + w * first[s]
            for i in range(1, n_in):
                row, w = workspace[x + i * n : x + (i + 1) * n], p[W + i * n_hidden + j]
                for s in range(n):
                    h[s] += w * row[s]
            for s in range(n):
                h[s] = value(h[s])
            for o in range(n_out):
                row, v = workspace[out + o * n : out + (o + 1) * n], p[V + j * n_out + o]
                for s in range(n):
                    row[s] += v * h[s]

    return forward_by_unit


@functools.cache
def make_outputs(hidden: Codes, output: int, bias: bool, by_unit: bool) -> Any:
    """Make the kernel that fills *values*, (n, m): the last m units of the network.

    It returns False, having stopped, if it meets an input that is not finite or a value that is not
    a number. *by_unit* chooses `_make_forward_by_unit`, which leaves nothing of the hidden layer.
    """
    forward = _make_forward_by_unit(hidden, bias) if by_unit else make_forward(hidden, bias)
    activate_outputs = _make_activate_outputs(output)

    @kernel
    def outputs(layers, places, p, X, values, workspace):
        prefer_wide_vectors()
        in_order = layers[:0]  # the row order of no epochs
        no = len(in_order)  # 0 of the type that training has: what is shared is compiled once
        block = places.block
        last, n_in = len(layers) - 1, layers[0, N_IN]
        n_out = layers[last, N_OUT]
        z = places.units + (layers[last, UNITS] - n_in) * block
        for position in range(0, len(X), block):
            n = min(block, len(X) - position)
            gather(X, in_order, no, position, n, n_in < WIDE_INPUT, workspace, places.x)
            if not _all_finite(workspace[places.x : places.x + n_in * n]):
                return False
            forward(layers, p, workspace, places, places.x, n, None, 0)
            activate_outputs(workspace[z : z + n_out * n], n_out, n, workspace[places.scratch :])
            column = values.shape[1]
            for l in range(last, -1, -1):
                column -= layers[l, N_OUT]
                if column < 0:
                    break
                at = places.units + (layers[l, UNITS] - n_in) * block
                if not _all_numbers(workspace[at : at + layers[l, N_OUT] * n]):
                    return False
                for s in range(n):
                    for j in range(layers[l, N_OUT]):
                        values[position + s, column + j] = workspace[at + j * n + s]
        return True

    return outputs


@functools.cache
def make_outputs_by_row(hidden: Codes, output: int, bias: bool) -> Any:
    """Make the same kernel for few samples and the output layer only: the lanes run over units.

    The layer table is unsigned here, and the workspace holds the inputs and all units.
    """
    weighted_sums = make_weighted_sums(bias)
    activate = make_activate(hidden)
    with_softmax = output == SOFTMAX
    activate_output = softmax_row if with_softmax else make_activate((output,))

    @kernel
    def outputs_by_row(layers, p, X, values, workspace):
        last = len(layers) - 1
        at, n_out = layers[last, UNITS], layers[last, N_OUT]
        for row in range(len(X)):
            for i in range(X.shape[1]):
                if not np.isfinite(X[row, i]):
                    return False
                workspace[i] = X[row, i]
            for l in range(last + 1):
                n, units = layers[l, N_OUT], layers[l, UNITS]
                weighted_sums(p, layers[l, WEIGHTS], layers[l, BIAS], layers[l, N_IN], n,
                              workspace, layers[l, INPUTS], workspace, units)  # fmt: skip
                if l < last:
                    activate(layers[l, ACTIVATION], workspace, units, n)
            if with_softmax:
                activate_output(workspace, at, workspace, n_out)
            else:
                activate_output(output, workspace, at, n_out)
            for j in range(n_out):
                values[row, j] = workspace[at + j]
            if not _all_numbers(workspace[at : at + n_out]):
                return False
        return True

    return outputs_by_row


@functools.cache
def make_loss(hidden: Codes, output: int, loss: int, bias: bool, weighted: bool) -> Any:
    """Make the kernel that returns the sum of the samples' losses.

    *weighted*: times the samples' *weights*, which otherwise are not looked at.
    """
    forward = make_forward(hidden, bias)
    finish = make_finish(output, loss, weighted)

    @kernel
    def total_loss(layers, places, p, X, Y, weights, workspace):
        prefer_wide_vectors()
        in_order = layers[:0]  # the row order of no epochs
        no = len(in_order)  # 0 of the type that training has: what is shared is compiled once
        block = places.block
        n_in, n_out = layers[0, N_IN], Y.shape[1]
        z = places.units + (layers[len(layers) - 1, UNITS] - n_in) * block
        total = 0.0
        for position in range(0, len(X), block):
            n = min(block, len(X) - position)
            gather(X, in_order, no, position, n, n_in < WIDE_INPUT, workspace, places.x)
            gather(Y, in_order, no, position, n, n > 0, workspace, places.y)
            forward(layers, p, workspace, places, places.x, n, None, 0)
            total += finish(
                workspace[z : z + n_out * n],
                workspace[places.y : places.y + n_out * n],
                workspace[places.d : places.d + n_out * n],
                n_out,
                n,
                workspace[places.scratch :],
                weights[position : position + n],
            )
        return total

    return total_loss
