"""The first layer for sparse rows: what meets an entry that is not there is not looked at.

Two steps take the place of the dense ones. With x the entries of a sample's row, and W_i the
weights out of input i, which lie side by side:

    forward    z = b + Σ over entries of x_i W_i
    gradient   ∂loss/∂W_i += x_i d for each entry

Entries may come in any order, and several of the same column are each added. The layers above are
those of dense samples.
"""

from collections import namedtuple
from typing import Any

import numpy as np

from fastnn.kernels.blocks import bias_gradient, step_apart
from fastnn.kernels.epochs import row_of
from fastnn.kernels.jit import inner, made_once
from fastnn.kernels.lanes import load, splat, store, width
from fastnn.kernels.turning import turn
from fastnn.sparse import SparseRows

#: `SparseRows` as kernels get them.
Entries = namedtuple("Entries", "starts columns values")
#: A block's rows: those from a position of an epoch on.
Block = namedtuple("Block", "X order epoch position")


def entries_of(X: SparseRows) -> Entries:
    """The rows as kernels get them."""
    return Entries(X.starts, X.columns, X.values)


@inner
def span_of(X, row):
    """Where a row's entries begin, and where they end."""
    return np.uint64(X.starts[row]), np.uint64(X.starts[row + 1])


@inner
def place_of(X, k, W, n_out):
    """Where the weights out of the input lie that entry k is of: signed, as W and n_out are."""
    return W + np.int64(X.columns[k]) * n_out


@made_once
def make_sums_of_row(bias: bool) -> Any:
    """Make z = b + Σ x_i W_i of one row."""

    @inner
    def some_sums(p, W, b, n_out, w, X, row, z, j, n):
        """The sums from unit j on, of n units at most."""
        count = n_out - j
        first, after = span_of(X, row)
        sums = load(p, b + j, n, count) if bias else splat(p.dtype.type(0), n)
        for k in range(first, after):
            sums = sums + load(p, place_of(X, k, W, n_out) + j, n, count) * X.values[k]
        store(w, z + j, sums, count)

    @inner
    def sums_of_row(p, W, b, n_out, w, X, row, z):
        j, units = 0, np.int64(n_out)
        W_, b_, z_ = np.int64(W), np.int64(b), np.int64(z)
        while j + width(p) < units:  # four registers, whose sums need not wait for one another
            some_sums(p, W_, b_, units, w, X, row, z_, j, width(p, 4))
            j += width(p, 4)
        if j < units:
            some_sums(p, W_, b_, units, w, X, row, z_, j, width(p))

    return sums_of_row


@inner
def _add_some(into, W, n_out, w, X, row, d, scale, j, n):
    count = n_out - j
    first, after = span_of(X, row)
    step = load(w, d + j, n, count) * scale
    for k in range(first, after):
        at = place_of(X, k, W, n_out) + j
        store(into, at, load(into, at, n, count) + step * X.values[k], count)


@inner
def add_outer_of_row(into, W, n_out, w, X, row, d, scale):
    """W_i += scale x_i d of one row, in *into*."""
    j, units = 0, np.int64(n_out)
    W_, d_ = np.int64(W), np.int64(d)
    while j + width(into) < units:
        _add_some(into, W_, units, w, X, row, d_, scale, j, width(into, 4))
        j += width(into, 4)
    if j < units:
        _add_some(into, W_, units, w, X, row, d_, scale, j, width(into))


@made_once
def make_sums(bias: bool) -> Any:
    """Make Z (n_out, n) of a block of n rows x; *scratch* has room for it."""
    sums_of_row = make_sums_of_row(bias)

    @inner
    def sums(p, W, b, n_out, w, x, z, n, scratch):
        for s in range(n):
            row = row_of(x.order, x.epoch, x.position + np.int64(s))
            sums_of_row(p, W, b, n_out, w, x.X, row, scratch + s * n_out)
        turn(w, scratch, n, n_out, w, z, n)

    return sums


@made_once
def make_gradient(bias: bool) -> Any:
    """Make the gradient `blocks.Into` a vector, that of weights added to what is there."""

    @inner
    def gradient(to, W, b, n_out, w, x, d, n, scratch):
        if bias:
            bias_gradient(to, b, n_out, w, d, n)
        step = step_apart(n_out, w)
        turn(w, d, n_out, n, w, scratch, step)
        for s in range(n):
            row = row_of(x.order, x.epoch, x.position + np.int64(s))
            add_outer_of_row(to.vector, W, n_out, w, x.X, row, scratch + s * step, to.scale)

    return gradient
