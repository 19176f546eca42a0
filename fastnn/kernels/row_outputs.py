"""The outputs of few samples: one at a time through all layers, the lanes over a layer's units.

The parameters are where they always are: to copy them to better places would take longer. The
workspace is a vector over the inputs and all units.
"""

import functools
from typing import Any

import numpy as np

from fastnn.kernels.activations import Codes
from fastnn.kernels.jit import inner, kernel, ordered
from fastnn.kernels.lanes import load, splat, store, width
from fastnn.kernels.layout import ACTIVATION, INPUTS, N_IN, N_OUT, UNITS, layer_of
from fastnn.kernels.outputs import SOFTMAX, all_numbers
from fastnn.kernels.rows import make_activate, softmax

_0, _1, _2 = np.uint64(0), np.uint64(1), np.uint64(2)
#: Behind the units: a layer's last sums are stored as a whole register, be it AVX-512's of float32.
#: What is loaded next from a store of some lanes would have to wait for it.
ROOM = 16


def vector_size(n_units: int) -> int:
    """How long the workspace for so many inputs and units is."""
    return n_units + ROOM


@functools.cache
def _make_weighted_sums(bias: bool) -> Any:
    """Make z_j = b_j + Σ_i x_i W_ij. Behind z there must be room for a register."""

    @ordered
    def weighted_sums(p, W, b, n_in, n_out, w, x, z):
        lanes, wide = width(p), width(p, 4)
        if n_out == 1:  # one output: the lanes run over the inputs
            w[z] = _weighted_sum(p, W, p[b] if bias else p.dtype.type(0), n_in, w, x)
            return
        zero, far, near = p.dtype.type(0), n_out - n_out % wide, n_out - n_out % lanes
        for j in range(_0, far, wide):  # in rows as long as this memory is read ahead
            total = load(p, b + j, wide) if bias else splat(zero, wide)
            for i in range(n_in):
                total = total + load(p, W + i * n_out + j, wide) * w[x + i]
            store(w, z + j, total)
        for j in range(far, near, lanes):
            total = load(p, b + j, lanes) if bias else splat(zero, lanes)
            store(w, z + j, _times_column(p, W + j, n_in, n_out, w, x, total, lanes))
        if near < n_out:
            left = n_out - near
            total = load(p, b + near, lanes, left) if bias else splat(zero, lanes)
            store(w, z + near, _times_column(p, W + near, n_in, n_out, w, x, total, left))

    return weighted_sums


@inner
def _weighted_sum(p, W, total, n_in, w, x):
    for i in range(n_in):
        total += w[x + i] * p[W + i]
    return total


@ordered
def _times_column(p, at, n_in, n_out, w, x, total, count):
    """*total* + Σ_i x_i W_ij for *count* neighbouring units: in two sums, of which none waits."""
    lanes = width(p)
    other = splat(p.dtype.type(0), lanes)
    for i in range(_0, n_in - n_in % _2, _2):
        total = total + load(p, at + i * n_out, lanes, count) * w[x + i]
        other = other + load(p, at + (i + _1) * n_out, lanes, count) * w[x + i + _1]
    if n_in % _2 == _1:
        i = n_in - _1
        total = total + load(p, at + i * n_out, lanes, count) * w[x + i]
    return total + other


@functools.cache
def _make_forward(hidden: Codes, bias: bool) -> Any:
    """Make the forward pass of the inputs at the start of w; the outputs' sums are left."""
    weighted_sums, activate = _make_weighted_sums(bias), make_activate(hidden, False)

    @inner
    def forward(layers, p, w):
        last = len(layers) - 1
        for l in range(last + 1):
            W, b, n_in, n = layer_of(layers, l)
            z = layers[l, UNITS]
            weighted_sums(p, W, b, n_in, n, w, layers[l, INPUTS], z)
            if l < last:
                activate(layers[l, ACTIVATION], w, z, n, z)

    return forward


@functools.cache
def make_outputs_by_row(hidden: Codes, output: int, bias: bool) -> Any:
    """Make `outputs.make_outputs` for few samples and the output layer only.

    The workspace is a vector over the inputs and all units, see `vector_size`.
    """
    forward = _make_forward(hidden, bias)
    code = np.uint64(0 if output == SOFTMAX else output)
    activate = make_activate((int(code),), False)

    @kernel
    def outputs_by_row(layers, p, X, values, w):
        last, first = len(layers) - 1, layers[0, INPUTS]
        at, n_out = layers[last, UNITS], layers[last, N_OUT]
        for row in range(len(X)):
            for i in range(layers[0, N_IN]):
                if not np.isfinite(X[row, i]):
                    return False
                w[i] = X[row, i]
            forward(layers, p, w)
            if output == SOFTMAX:
                softmax(w, at, at, n_out)
            else:
                activate(code, w, at, n_out, first)
            for j in range(n_out):
                values[row, j] = w[at + j]
            if not all_numbers(w[at : at + n_out]):
                return False
        return True

    return outputs_by_row
