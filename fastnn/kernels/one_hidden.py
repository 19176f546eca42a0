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
from fastnn.kernels.jit import inner
from fastnn.kernels.layout import BIAS, N_IN, N_OUT, WEIGHTS
from fastnn.kernels.plain import make_train
from fastnn.kernels.rows import make_finish, transpose

#: Hidden units from which the widest vectors pay.
WIDE_FROM = 32


def workspace_size(layers: np.ndarray) -> int:
    """Hidden values and gradients, transposed weights of the last layer; z and d of the outputs."""
    n_hidden, n_out = int(layers[1, N_IN]), int(layers[1, N_OUT])
    return n_hidden * (2 + n_out) + 2 * n_out


@inner
def _begin(layers, p, w):
    """Turn the second layer's weights; no values and gradients."""
    n_hidden, n_out = layers[0, N_OUT], layers[1, N_OUT]
    T = n_hidden + n_hidden
    rated = T + n_hidden * n_out + n_out
    for j in range(n_hidden):
        w[j] = 0
    for o in range(n_out):
        w[rated + o] = 0
    transpose(p, layers[1, WEIGHTS], w, T, n_hidden, n_out)


@inner
def _gradients_of_units(w, g, t, d, n_hidden):
    """Add what an output says of each unit to d, and learn: *g* is its gradient times the rate."""
    for j in range(n_hidden):
        w[d + j] += g * w[t + j]
        w[t + j] -= g * w[j]


@functools.cache
def make_sweep(hidden: Codes, bias: bool) -> Any:
    """Make the sweep.

    It starts from the values of sample *last*, which begin w, and from its gradients ∂loss/∂z times
    the rate, which end it; it leaves the values of sample *row*, and the outputs' sums.
    """
    value, slope = VALUES[hidden[0]], SLOPES[hidden[0]]

    @inner
    def sweep(layers, p, X, last, row, w):
        n_in, n_hidden, n_out = layers[0, N_IN], layers[0, N_OUT], layers[1, N_OUT]
        W, b, c = layers[0, WEIGHTS], layers[0, BIAS], layers[1, BIAS]
        d, T = n_hidden, n_hidden + n_hidden  # places of the gradients and transposed weights
        sums = T + n_hidden * n_out
        rated = sums + n_out
        for j in range(n_hidden):
            w[d + j] = 0
        for o in range(n_out):
            _gradients_of_units(w, w[rated + o], T + o * n_hidden, d, n_hidden)
        for j in range(n_hidden):
            h = w[j]
            d_j = w[d + j] * slope(h, h)
            w[d + j] = d_j
            z = p.dtype.type(0)
            if bias:
                z = p[b + j] - d_j
                p[b + j] = z
            w[j] = z
        for i in range(n_in):
            x_last, x_row, into = X[last, i], X[row, i], W + i * n_hidden
            for j in range(n_hidden):
                w_j = p[into + j] - x_last * w[d + j]
                p[into + j] = w_j
                w[j] += x_row * w_j
        for j in range(n_hidden):
            w[j] = value(w[j])
        for o in range(n_out):
            total, t = p.dtype.type(0), T + o * n_hidden
            for j in range(n_hidden):
                total += w[j] * w[t + j]
            if bias:
                p[c + o] -= w[rated + o]
                total += p[c + o]
            w[sums + o] = total

    return sweep


@functools.cache
def _make_update(hidden: Codes, bias: bool) -> Any:
    """Make the half of the sweep that updates, for the end."""
    slope = SLOPES[hidden[0]]

    @inner
    def update(layers, p, X, last, w):
        n_in, n_hidden, n_out = layers[0, N_IN], layers[0, N_OUT], layers[1, N_OUT]
        W, b, c = layers[0, WEIGHTS], layers[0, BIAS], layers[1, BIAS]
        d, T = n_hidden, n_hidden + n_hidden
        rated = T + n_hidden * n_out + n_out
        for j in range(n_hidden):
            w[d + j] = 0
        for o in range(n_out):
            _gradients_of_units(w, w[rated + o], T + o * n_hidden, d, n_hidden)
            if bias:
                p[c + o] -= w[rated + o]
        for j in range(n_hidden):
            d_j = w[d + j] * slope(w[j], w[j])
            w[d + j] = d_j
            if bias:
                p[b + j] -= d_j
        for i in range(n_in):
            x, into = X[last, i], W + i * n_hidden
            for j in range(n_hidden):
                p[into + j] -= x * w[d + j]

    return update


@functools.cache
def make_train_one_hidden(hidden: Codes, output: int, loss: int, bias: bool, wide: bool) -> Any:
    """Make the kernel for these codes, see `plain.make_train`."""
    sweep, finish = make_sweep(hidden, bias), make_finish(output, loss)
    update = _make_update(hidden, bias)

    @inner
    def learn(layers, p, X, Y, last, row, rate, w, carried):
        n_hidden, n_out = layers[0, N_OUT], layers[1, N_OUT]
        sums = n_hidden + n_hidden + n_hidden * n_out
        rated = sums + n_out
        sweep(layers, p, X, last, row, w)
        loss = finish(w, sums, rated, n_out, Y, row)
        for o in range(n_out):
            w[rated + o] *= rate
        return loss, carried

    @inner
    def end(layers, p, X, last, w, carried):
        n_hidden, n_out = layers[0, N_OUT], layers[1, N_OUT]
        update(layers, p, X, last, w)
        transpose(w, n_hidden + n_hidden, p, layers[1, WEIGHTS], n_out, n_hidden)

    return make_train(_begin, learn, end, wide)
