"""Per-sample training for one hidden layer and one output: the loss and its gradient are scalars.

With few inputs, all of a sample is one loop over the hidden units: as in
`fastnn.kernels.one_hidden`, a sweep makes sample i's update and the forward pass of sample i+1 at
once; the last update has no pass after it.
"""

from typing import Any

import numpy as np

from fastnn.kernels.activations import SLOPES, VALUES, Codes
from fastnn.kernels.epochs import make_train
from fastnn.kernels.jit import inner, made_once, ordered
from fastnn.kernels.layout import BIAS, N_IN, N_OUT, WEIGHTS
from fastnn.kernels.rows import make_finish_one

#: Inputs, and hidden units with more than one input, up to which the sweep pays. Both numbers are
#: built in then: 3-4-1 takes 47 ns, 62 with units counted at run time, 75 by `one_hidden`; 2-8-1
#: would take 65 and 71, 8-8-1 93 and 94 (float64).
MOST_INPUTS, MOST_UNITS = 8, 4
#: Hidden units from which the widest vectors pay.
WIDE_FROM = 32
ONE = np.uint64(1)


def workspace_size(layers: np.ndarray) -> int:
    """Hidden values."""
    return int(layers[0, N_OUT])


def pays(layers: np.ndarray) -> bool:
    """Whether the sweep is made for this network with one hidden layer, and faster."""
    n_in, n_hidden = layers[0, N_IN], layers[0, N_OUT]
    few = n_in == ONE or (n_in <= MOST_INPUTS and n_hidden <= MOST_UNITS)
    return bool(few and layers[1, N_OUT] == ONE)


@ordered
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


@made_once
def make_sweep(hidden: Codes, bias: bool, n_in: int, units: int) -> Any:
    """Make the sweep for *n_in* inputs and, with several, so many *units*.

    *g* is the gradient ∂loss/∂z of sample *last* times the rate, and h the hidden values; returns
    the weighted sum z of sample *row*.
    """
    value, slope = VALUES[hidden[0]], SLOPES[hidden[0]]
    inputs, few = np.uint64(n_in), np.uint64(units)
    # Of few units LLVM makes one straight line, each time that it meets the sweep: reassociated,
    # the one at the end of a piece would update otherwise than those within.
    compiled = ordered if units else inner

    @compiled
    def sweep(layers, p, X, last, row, g, h):
        W, b = layers[0, WEIGHTS], layers[0, BIAS]
        V, n_hidden = layers[1, WEIGHTS], layers[0, N_OUT] if n_in == 1 else few
        g_last, x_row = g * X[last, 0], X[row, 0]
        total = p.dtype.type(0)
        for j in range(n_hidden):
            v, h_j = p[V + j], h[j]
            d = v * slope(h_j, h_j)
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
            v -= g * h_j
            h_j = value(z)
            total += h_j * v
            h[j] = h_j
            p[V + j] = v
        if bias:
            c = layers[1, BIAS]
            p[c] -= g
            total += p[c]
        return total

    return sweep


@made_once
def _make_update(hidden: Codes, bias: bool, n_in: int, units: int) -> Any:
    """Make the half of the sweep that updates, for the end."""
    slope = SLOPES[hidden[0]]
    inputs, few = np.uint64(n_in), np.uint64(units)
    compiled = ordered if units else inner

    @compiled
    def update(layers, p, X, last, g, h):
        W, b = layers[0, WEIGHTS], layers[0, BIAS]
        V, n_hidden = layers[1, WEIGHTS], layers[0, N_OUT] if n_in == 1 else few
        g_last = g * X[last, 0]
        for j in range(n_hidden):
            v, h_j = p[V + j], h[j]
            d = v * slope(h_j, h_j)
            if bias:
                p[b + j] -= g * d
            if n_in == 1:
                p[W + j] -= g_last * d
            else:
                for i in range(inputs):
                    p[W + j + i * n_hidden] -= X[last, i] * (g * d)
            p[V + j] = v - g * h_j
        if bias:
            p[layers[1, BIAS]] -= g

    return update


@inner
def _begin(layers, p, moments, w):
    """No values."""
    for j in range(layers[0, N_OUT]):
        w[j] = 0


@made_once
def make_train_one_output(
    hidden: Codes, output: int, loss: int, bias: bool, n_in: int, units: int, wide: bool
) -> Any:
    """Make the kernel for these codes, see `epochs.make_train`; the numbers as in `make_sweep`."""
    sweep, finish_one = make_sweep(hidden, bias, n_in, units), make_finish_one(output, loss)
    update = _make_update(hidden, bias, n_in, units)

    @inner
    def learn(layers, p, t, data, last, row, rate, options, w, g):
        z = sweep(layers, p, data.X, last, row, g, w)
        d, loss = finish_one(z, data.Y[row, 0], ONE)
        return loss, 0.0, p.dtype.type(rate) * d

    @inner
    def end(layers, p, moments, data, last, w, g):
        update(layers, p, data.X, last, g, w)

    return make_train(_begin, learn, end, wide)
