"""Per-sample SGD for one hidden layer: a sample's update and the next one's forward pass at once.

Sample i's update of the first layer and sample i+1's forward pass read the same weights, so one
sweep over the hidden units does both, with half the loads and stores. One sweep serves start,
middle and end: the first one updates with gradients of zero, and what the last one computes beyond
its update is thrown away. So the same machine code treats every sample, and the result does
not depend on where training is cut into pieces.

The second layer's weights are kept transposed meanwhile, so that the lanes run over the hidden
units. With one output and few inputs `fastnn.kernels.one_output` is faster.
"""

import functools
from typing import Any

import numpy as np

from fastnn.kernels.activations import SLOPES, VALUES, Codes
from fastnn.kernels.jit import inner, kernel
from fastnn.kernels.lanes import prefer_wide_vectors
from fastnn.kernels.layout import BIAS, N_IN, N_OUT, WEIGHTS
from fastnn.kernels.rows import make_finish, transpose

#: Hidden units from which the widest vectors pay.
WIDE_FROM = 32
#: The place of the first output in the vectors of the outputs.
FIRST = np.uint64(0)


def workspace_size(layers: np.ndarray) -> int:
    """Hidden values and gradients, transposed weights of the last layer; z, a, d of the outputs."""
    n_hidden, n_out = int(layers[1, N_IN]), int(layers[1, N_OUT])
    return n_hidden * (2 + n_out) + 3 * n_out


@functools.cache
def make_sweep(hidden: Codes, bias: bool) -> Any:
    """Make the sweep; *rated* are the gradients ∂loss/∂z of sample *last* times the rate."""
    value, slope = VALUES[hidden[0]], SLOPES[hidden[0]]

    @inner
    def sweep(layers, p, X, last, row, rated, workspace, sums):
        n_in, n_hidden, n_out = layers[0, N_IN], layers[0, N_OUT], layers[1, N_OUT]
        W, b, c = layers[0, WEIGHTS], layers[0, BIAS], layers[1, BIAS]
        d, T = n_hidden, n_hidden + n_hidden  # places of the gradients and transposed weights
        for j in range(n_hidden):
            workspace[d + j] = 0
        for o in range(n_out):
            g, t = rated[o], T + o * n_hidden
            for j in range(n_hidden):
                workspace[d + j] += g * workspace[t + j]
                workspace[t + j] -= g * workspace[j]
        for j in range(n_hidden):
            h = workspace[j]
            d_j = workspace[d + j] * slope(h, h)
            workspace[d + j] = d_j
            z = p.dtype.type(0)
            if bias:
                z = p[b + j] - d_j
                p[b + j] = z
            workspace[j] = z
        for i in range(n_in):
            x_last, x_row, w = X[last, i], X[row, i], W + i * n_hidden
            for j in range(n_hidden):
                w_j = p[w + j] - x_last * workspace[d + j]
                p[w + j] = w_j
                workspace[j] += x_row * w_j
        for j in range(n_hidden):
            workspace[j] = value(workspace[j])
        for o in range(n_out):
            total, t = p.dtype.type(0), T + o * n_hidden
            for j in range(n_hidden):
                total += workspace[j] * workspace[t + j]
            if bias:
                p[c + o] -= rated[o]
                total += p[c + o]
            sums[o] = total

    return sweep


@functools.cache
def make_train_one_hidden(hidden: Codes, output: int, loss: int, bias: bool, wide: bool) -> Any:
    """Make the kernel for these codes. Its arguments are those of `fastnn.engines.Piece`.

    *wide* asks for the widest vectors.
    """
    sweep, finish = make_sweep(hidden, bias), make_finish(output, loss)

    @kernel
    def train_one_hidden(layers, p, X, Y, order, rates, start, stop, loss_sums, workspace):
        if wide:
            prefer_wide_vectors()
        n_hidden, n_out = layers[0, N_OUT], layers[1, N_OUT]
        T = n_hidden + n_hidden  # place of the transposed weights of the last layer
        ends = T + n_hidden * n_out
        sums = workspace[ends : ends + n_out]
        values = workspace[ends + n_out : ends + n_out + n_out]
        rated = workspace[ends + n_out + n_out :]
        for j in range(n_hidden):
            workspace[j] = 0
        for o in range(n_out):
            rated[o] = 0
        transpose(p, layers[1, WEIGHTS], workspace, T, n_hidden, n_out)
        in_order = len(order) == 0
        per_update = 1 if rates.shape[1] > 1 else 0
        if start < stop:
            last = start if in_order else order[0, start]
            for epoch in range(len(rates)):
                total = loss_sums[epoch]
                for position in range(start, stop):
                    rate = p.dtype.type(rates[epoch, (position - start) * per_update])
                    row = position if in_order else order[epoch, position]
                    sweep(layers, p, X, last, row, rated, workspace, sums)
                    total += finish(sums, values, rated, FIRST, n_out, Y, row)
                    for o in range(n_out):
                        rated[o] *= rate
                    last = row
                loss_sums[epoch] = total
            sweep(layers, p, X, last, last, rated, workspace, sums)
        transpose(workspace, T, p, layers[1, WEIGHTS], n_out, n_hidden)

    return train_one_hidden
