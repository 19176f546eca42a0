"""Parameters in rows that fill registers: how plain SGD has them between its first and last sample.

Each layer's row of weights is filled up with zeros, which stay zeros. So all vectors are whole and
have cache lines of their own, where a row that ends within one would have its last lanes masked.
What was just stored with a mask, or partly, a load has to wait for: with three outputs that was
more than half the time of an update.

A layer of few units, and fewer than inputs, is turned: a row is what leads to one unit, and the
lanes run over the inputs, so that less is added up across them. For less than three registers of
units that is faster: 784-10 1.08 µs for 2.34, 60-10-10-3 164 ns for 244, 16-64-32-10 366 for 407
(float64, Zen 5).

The workspace is four vectors over the inputs and all units: values; gradients; 1 for a unit and 0
behind a layer's last; biases. Behind them are the weights. A layer, and a row of weights, begins at
a multiple of the lanes.
"""

import functools
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.kernels.jit import inner
from fastnn.kernels.lanes import load, store, width
from fastnn.kernels.layout import BIAS, INPUTS, N_OUT, UNITS, layer_of, layer_table

#: Columns of the table behind those of `layout`: how long a row is, whether the layer is turned,
#: where in the workspace its weights and biases are, and how long a vector over all units is.
ROW, TURNED, OWN_WEIGHTS, OWN_BIAS, ALL_UNITS = range(7, 12)
_0, _1, _2, _4 = (np.uint64(k) for k in (0, 1, 2, 4))


def padded_table(
    architecture: Architecture, lanes: int, turned: Sequence[bool] | None = None
) -> tuple[np.ndarray, int]:
    """The table of layers, shape (layers, 12), and how long the workspace is.

    INPUTS and UNITS are places in the padded vectors. *turned* says of each layer what would
    otherwise be chosen.
    """

    def filled(n: int) -> int:
        return -(-n // lanes) * lanes

    sizes = architecture.sizes
    if turned is None:
        turned = [n_out < min(3 * lanes, n_in) for n_in, n_out in pairwise(sizes)]
    table = np.pad(layer_table(architecture), ((0, 0), (0, 5)))
    begins = np.cumsum([0, *map(filled, sizes)])
    table[:, INPUTS], table[:, UNITS], table[:, ALL_UNITS] = begins[:-2], begins[1:-1], begins[-1]
    table[:, OWN_BIAS] = table[:, UNITS] + 3 * table[:, ALL_UNITS]
    end = 4 * int(begins[-1])
    for l, (n_in, n_out) in enumerate(pairwise(sizes)):
        row, rows = (n_in, n_out) if turned[l] else (n_out, n_in)
        table[l, ROW:OWN_BIAS] = filled(row), turned[l], end
        end += filled(row) * rows
    return table, end


@inner
def _take_weights(layers, l, p, w):
    """Write a layer's weights to their rows, and zeros behind them."""
    W, _, n_in, n_out = layer_of(layers, l)
    own, row, n = layers[l, OWN_WEIGHTS], layers[l, ROW], width(w)
    if layers[l, TURNED] == _1:
        for j in range(n_out):
            for i in range(row):
                w[own + j * row + i] = p[W + i * n_out + j] if i < n_in else 0
    else:
        for i in range(n_in):
            for j in range(_0, row, n):
                store(w, own + i * row + j, load(p, W + i * n_out + j, n, n_out - j))


@inner
def _give_weights(layers, l, w, p):
    """Write a layer's weights to p."""
    W, _, n_in, n_out = layer_of(layers, l)
    own, row, n = layers[l, OWN_WEIGHTS], layers[l, ROW], width(w)
    if layers[l, TURNED] == _1:
        for j in range(n_out):
            for i in range(n_in):
                p[W + i * n_out + j] = w[own + j * row + i]
    else:
        for i in range(n_in):
            for j in range(_0, row, n):
                store(p, W + i * n_out + j, load(w, own + i * row + j, n), n_out - j)


@functools.cache
def make_copies(bias: bool) -> tuple[Any, Any]:
    """Make the filling of the workspace from p, and the writing of its parameters to p."""

    @inner
    def take(layers, p, w):
        for k in range(layers[0, ALL_UNITS] * _4):
            w[k] = 0
        for l in range(len(layers)):
            _take_weights(layers, l, p, w)
            there, b = layers[l, ALL_UNITS] * _2 + layers[l, UNITS], layers[l, BIAS]
            for j in range(layers[l, N_OUT]):
                w[there + j] = 1
                if bias:
                    w[layers[l, OWN_BIAS] + j] = p[b + j]

    @inner
    def give(layers, w, p):
        for l in range(len(layers)):
            _give_weights(layers, l, w, p)
            b = layers[l, BIAS]
            for j in range(layers[l, N_OUT] if bias else _0):
                p[b + j] = w[layers[l, OWN_BIAS] + j]

    return take, give
