"""Parameters in rows that fill registers: how training sample by sample has them meanwhile.

Each layer's row of weights is filled up with zeros, which stay zeros. So all vectors are whole and
have cache lines of their own, where a row that ends within one would have its last lanes masked.
What was just stored with a mask, or partly, a load has to wait for: with three outputs that was
more than half the time of an update.

A layer of few units, and fewer than inputs, is turned: a row is what leads to one unit, and the
lanes run over the inputs, so that less is added up across them. For less than three registers of
units that is faster: 784-10 1.08 µs for 2.34, 60-10-10-3 164 ns for 244, 16-64-32-10 366 for 407
(float64, Zen 5).

Rows of some lengths are a cache line further apart, see `layout.step_between`: else 24-512-24 in
float64 takes 3.6 times as long, with AVX2 4 times.

The workspace is five vectors over the inputs and all units: values; gradients; 1 for a unit and 0
behind a layer's last; slopes, where they are kept; biases. Behind them are the weights. A layer,
and a row of weights, begins at a multiple of the lanes, or of a cache line if that is less. The
optimiser's moments lie like biases and weights, once or twice so far behind them as these are long.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.kernels.jit import inner, made_once
from fastnn.kernels.lanes import load, store, width
from fastnn.kernels.layout import INPUTS, N_OUT, UNITS, layer_of, layer_table, step_between
from fastnn.kernels.rows import all_finite

#: Columns of the table behind those of `layout`: how long a row is, and how far from the next;
#: whether the layer is turned, where in the workspace its weights and biases are, how long a vector
#: over all units is, and how far moments are behind their parameters.
ROW, STEP, TURNED, OWN_WEIGHTS, OWN_BIAS, ALL_UNITS, APART = range(7, 14)
_0, _1, _2, _4, _5 = (np.uint64(k) for k in (0, 1, 2, 4, 5))


def is_turned(n_in: int, n_out: int, lanes: int) -> bool:
    """Whether the lanes run over such a layer's inputs."""
    return n_out < min(3 * lanes, n_in)


def registers_of(sizes: Sequence[int], lanes: int) -> int:
    """How many registers all weights fill."""
    turned = ((n, m) if is_turned(n, m, lanes) else (m, n) for n, m in pairwise(sizes))
    return sum(-(-row // lanes) * rows for row, rows in turned)


def padded_table(
    architecture: Architecture,
    lanes: int,
    turned: Sequence[bool] | None = None,
    moments: int = 0,
    first: int = 0,
) -> tuple[np.ndarray, int]:
    """The table of layers, shape (layers, 14), and how long the workspace is.

    INPUTS and UNITS are places in the padded vectors. *turned* says of each layer what would
    otherwise be chosen. There are so many *moments* of each parameter. There is no place for the
    weights of layers before the *first*.
    """

    def filled(n: int) -> int:
        return -(-n // lanes) * lanes

    sizes = architecture.sizes
    if turned is None:
        turned = [is_turned(n_in, n_out, lanes) for n_in, n_out in pairwise(sizes)]
    table = np.pad(layer_table(architecture), ((0, 0), (0, 7)))
    begins = np.cumsum([0, *map(filled, sizes)])
    table[:, INPUTS], table[:, UNITS], table[:, ALL_UNITS] = begins[:-2], begins[1:-1], begins[-1]
    table[:, OWN_BIAS] = table[:, UNITS] + 4 * table[:, ALL_UNITS]
    end = 5 * int(begins[-1])
    for l in range(first, len(table)):
        n_in, n_out = sizes[l : l + 2]
        row, rows = (n_in, n_out) if turned[l] else (n_out, n_in)
        step = int(step_between(filled(row), architecture.dtype.itemsize))
        table[l, ROW:OWN_BIAS] = filled(row), step, turned[l], end
        end += step * rows
    apart = end - 4 * int(begins[-1])
    table[:, APART] = apart
    return table, end + moments * apart


@inner
def own_finite(layers, w):
    """Whether the parameters in the workspace are finite."""
    first = layers[0, ALL_UNITS] * _4
    return all_finite(w[first : first + layers[0, APART]])


@made_once
def make_copies(bias: bool, moments: int = 0, first: int = 0) -> tuple[Any, Any]:
    """Make the filling of the workspace from p and *m*, and the way back to these.

    In m are so many *moments* of each parameter, one vector like p after another. Of layers before
    the *first* nothing is copied.
    """
    take_layer, give_layer = _make_copies_of_layer(bias)
    take_all = _make_copy_of_all(take_layer, moments, first)

    @inner
    def take(layers, p, m, w):
        for k in range(layers[0, ALL_UNITS] * _5):
            w[k] = 0
        for l in range(len(layers)):
            there = layers[l, ALL_UNITS] * _2 + layers[l, UNITS]
            for j in range(layers[l, N_OUT]):
                w[there + j] = 1
        take_all(layers, p, m, w)

    return take, _make_copy_of_all(give_layer, moments, first)


@made_once
def _make_copy_of_all(copy_layer: Any, moments: int, first: int) -> Any:
    """Make the copy of all layers from the *first* on, with their moments, one way or the other."""
    with_moments = moments > 0  # without, numba does not compile what is for them

    @inner
    def copy_all(layers, p, m, w):
        for l in range(first, len(layers)):
            copy_layer(layers, l, p, _0, w, _0)
            if with_moments:
                for k in range(moments):
                    behind = np.uint64(k + 1) * layers[0, APART]
                    copy_layer(layers, l, m, np.uint64(k * len(p)), w, behind)

    return copy_all


@made_once
def _make_copies_of_layer(bias: bool) -> tuple[Any, Any]:
    """Make the copy of a layer's parameters to w, where a row ends with zeros, and the way back.

    They are in a vector like p that begins at *first* in v; in w they are so far *behind* those
    of p.
    """

    @inner
    def take_layer(layers, l, v, first, w, behind):
        W, b, n_in, n_out = layer_of(layers, l)
        at, own, step, n = first + W, behind + layers[l, OWN_WEIGHTS], layers[l, STEP], width(w)
        turned = layers[l, TURNED] == _1
        if turned and n_out > _1:
            for j in range(n_out):
                for i in range(step):
                    w[own + j * step + i] = v[at + i * n_out + j] if i < n_in else 0
        else:
            rows, count = (_1, n_in) if turned else (n_in, n_out)
            for r in range(rows):
                for j in range(_0, step, n):
                    left = count - j if j < count else _0
                    store(w, own + r * step + j, load(v, at + r * count + j, n, left))
        if bias:
            own = behind + layers[l, OWN_BIAS]
            for j in range(_0, n_out if turned else layers[l, ROW], n):
                left = n_out - j if j < n_out else _0
                store(w, own + j, load(v, first + b + j, n, left))

    @inner
    def give_layer(layers, l, v, first, w, behind):
        W, b, n_in, n_out = layer_of(layers, l)
        at, own, step, n = first + W, behind + layers[l, OWN_WEIGHTS], layers[l, STEP], width(w)
        turned = layers[l, TURNED] == _1
        if turned and n_out > _1:
            for j in range(n_out):
                for i in range(n_in):
                    v[at + i * n_out + j] = w[own + j * step + i]
        else:
            rows, count = (_1, n_in) if turned else (n_in, n_out)
            for r in range(rows):
                for j in range(_0, count, n):
                    store(v, at + r * count + j, load(w, own + r * step + j, n), count - j)
        if bias:
            own = behind + layers[l, OWN_BIAS]
            for j in range(_0, n_out, n):
                store(v, first + b + j, load(w, own + j, n), n_out - j)

    return take_layer, give_layer
