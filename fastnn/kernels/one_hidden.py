"""Per-sample SGD for one hidden layer: a sample's update and the next one's forward pass at once.

Sample i's update of the first layer and sample i+1's forward pass read the same weights, so one
sweep over the hidden units does both, with half the loads and stores. One sweep serves start,
middle and end: the first one updates with gradients of zero, and what the last one computes beyond
its update is thrown away. So the same machine code treats every sample, and the result does
not depend on where training is cut into pieces.

With one output and few inputs, all of a sample is one loop over the hidden units. Otherwise the
second layer's weights are kept transposed meanwhile, so that the lanes run over the hidden units.
"""

import functools
from typing import Any

import numpy as np

from fastnn.kernels.activations import SLOPES, VALUES, Codes
from fastnn.kernels.jit import inner, kernel, prefer_wide_vectors
from fastnn.kernels.layout import BIAS, N_IN, N_OUT, WEIGHTS
from fastnn.kernels.rows import make_finish, transpose

#: With one output and up to this many inputs, a sample is one loop.
MOST_MERGED_INPUTS = 8
#: With several inputs that loop vectorises badly, and pays up to this many hidden units: 3-4-1
#: takes 64 ns and 75 ns in the other sweep, 3-8-1 103 and 71, 8-128-1 1991 and 620 (float64).
MOST_MERGED_UNITS = 4
#: Hidden units from which the widest vectors pay.
WIDE_FROM = 32
#: The place of the first output in the vectors of the outputs, and how many there are of one.
FIRST, ONE = np.uint64(0), np.uint64(1)


def workspace_size(layers: np.ndarray) -> int:
    """Hidden values and gradients, transposed weights of the last layer; z, a, d of the outputs."""
    n_hidden, n_out = int(layers[1, N_IN]), int(layers[1, N_OUT])
    return n_hidden * (2 + n_out) + 3 * n_out


@inner
def _update_and_sum(p, X, last, row, at, step, n_in, d):
    """Update one unit's n_in input weights, *step* apart, and return the next sample's sum.

    A function of its own: written into the loop over units, its variables make LLVM peel that
    loop's first round, and the vector loop then starts at an odd place (twice the time).
    """
    z = p.dtype.type(0)
    for i in range(n_in):
        w = p[at + i * step] - X[last, i] * d
        p[at + i * step] = w
        z += w * X[row, i]
    return z


@functools.cache
def make_merged_sweep(hidden: Codes, bias: bool, n_in: int) -> Any:
    """Make the sweep for one output and *n_in* inputs."""
    value, slope = VALUES[hidden[0]], SLOPES[hidden[0]]
    inputs = np.uint64(n_in)

    @inner
    def sweep(layers, p, X, last, row, rated, workspace, sums):
        W, b = layers[0, WEIGHTS], layers[0, BIAS]
        V, n_hidden = layers[1, WEIGHTS], layers[0, N_OUT]
        g = rated[0]
        g_last, x_row = g * X[last, 0], X[row, 0]
        total = p.dtype.type(0)
        for j in range(n_hidden):
            v, h = p[V + j], workspace[j]
            d = v * slope(h, h)
            z = p.dtype.type(0)
            if bias:
                z = p[b + j] - g * d
                p[b + j] = z
            if n_in == 1:  # in scalars: two arrays fewer to prove apart before every sweep
                w = p[W + j] - g_last * d
                p[W + j] = w
                z += w * x_row
            else:
                z += _update_and_sum(p, X, last, row, W + j, n_hidden, inputs, g * d)
            v -= g * h
            h = value(z)
            total += h * v
            workspace[j] = h
            p[V + j] = v
        if bias:
            c = layers[1, BIAS]
            p[c] -= g
            total += p[c]
        sums[0] = total

    return sweep


@functools.cache
def make_sweep(hidden: Codes, bias: bool) -> Any:
    """Make the sweep for any number of inputs and outputs."""
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
def make_one_output_gradient(hidden: Codes, output: int, loss: int, bias: bool) -> Any:
    """Make the way there and back of one sample that writes its gradient to g, for one output.

    The arguments are those of `samples.make_sample_gradient`, for which it stands in: few
    loops over the hidden units, each with few vectors that LLVM has to prove apart.
    """
    value, slope = VALUES[hidden[0]], SLOPES[hidden[0]]
    finish = make_finish(output, loss)

    @inner
    def one_output_gradient(layers, p, X, Y, row, workspace, g, scale, options, counter):
        n_in, n_hidden, c = layers[0, N_IN], layers[0, N_OUT], layers[1, BIAS]
        W, b, V = layers[0, WEIGHTS], layers[0, BIAS], layers[1, WEIGHTS]
        h, d = workspace[:n_hidden], workspace[n_hidden : n_hidden + n_hidden]
        ends = n_hidden + n_hidden
        sums, values = workspace[ends:], workspace[ends + ONE :]
        gradients = workspace[ends + ONE + ONE :]
        x, total = X[row, 0], p.dtype.type(0)
        if n_in == ONE:
            for j in range(n_hidden):
                h_j = value((p[b + j] if bias else 0) + x * p[W + j])
                h[j] = h_j
                total += h_j * p[V + j]
        else:
            for j in range(n_hidden):
                h[j] = (p[b + j] if bias else 0) + x * p[W + j]
            for i in range(ONE, n_in):
                x, w = X[row, i], W + i * n_hidden
                for j in range(n_hidden):
                    h[j] += x * p[w + j]
            for j in range(n_hidden):
                h_j = value(h[j])
                h[j] = h_j
                total += h_j * p[V + j]
        sums[0] = total + p[c] if bias else total
        loss_of_one = scale * finish(sums, values, gradients, FIRST, ONE, Y, row)
        d_out = scale * gradients[0]
        for j in range(n_hidden):
            h_j = h[j]
            d[j] = d_out * p[V + j] * slope(h_j, h_j)
            g[V + j] = d_out * h_j
        x = X[row, 0]
        for j in range(n_hidden):
            d_j = d[j]
            if bias:
                g[b + j] = d_j
            g[W + j] = x * d_j
        for i in range(ONE, n_in):
            x, w = X[row, i], W + i * n_hidden
            for j in range(n_hidden):
                g[w + j] = x * d[j]
        if bias:
            g[c] = d_out
        return loss_of_one

    return one_output_gradient


@functools.cache
def make_train_one_hidden(
    hidden: Codes, output: int, loss: int, bias: bool, merged: bool, n_in: int, wide: bool
) -> Any:
    """Make the kernel for these codes. Its arguments are those of `fastnn.engines.Piece`.

    *merged* and *n_in* as in `make_merged_sweep`; *wide* asks for the widest vectors.
    """
    sweep = make_merged_sweep(hidden, bias, n_in) if merged else make_sweep(hidden, bias)
    finish = make_finish(output, loss)

    @kernel
    def train_one_hidden(layers, p, X, Y, order, rates, start, stop, loss_sums, workspace):
        if wide:
            prefer_wide_vectors()
        n_hidden, n_out = layers[0, N_OUT], layers[1, N_OUT]
        T = n_hidden + n_hidden  # place of the transposed weights of the last layer
        ends = T + n_hidden * n_out
        sums = workspace[ends : ends + n_out]
        values = workspace[ends + n_out : ends + n_out + n_out]
        rated = workspace[ends + n_out + n_out :]  # gradients ∂loss/∂z times the rate
        for j in range(n_hidden):
            workspace[j] = 0
        for o in range(n_out):
            rated[o] = 0
        if not merged:
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
        if not merged:
            transpose(workspace, T, p, layers[1, WEIGHTS], n_out, n_hidden)

    return train_one_hidden
