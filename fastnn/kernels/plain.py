"""The epochs of plain SGD, sample by sample: the shell around the kernels that update at once.

Three functions make such a kernel. Each gets the layers, the parameters and the workspace w.

``begin(layers, p, m, w)``
    before the first sample; what m is does not matter
``learn(layers, p, X, Y, last, row, rate, w, carried)``
    takes a sample, *row*; *last* is the one before it, and *carried* the number that it left.
    Returns the loss, and the number for the next one.
``end(layers, p, X, last, w, carried)``
    after the last sample

So the forward pass may be that of the sample at hand and the update that of the one before: see
`fastnn.kernels.one_hidden`.
"""

import functools
from typing import Any

import numpy as np

from fastnn.kernels.jit import inner, kernel
from fastnn.kernels.lanes import prefer_wide_vectors


@inner
def row_of(order, epoch, position):
    """The row of X at a position of an epoch; without an order rows are taken as they come."""
    return order[epoch, position] if len(order) > 0 else position


@functools.cache
def make_train(begin: Any, learn: Any, end: Any, wide: bool) -> Any:
    """Make the kernel. Its arguments are those of `fastnn.contract.Piece`.

    *wide* asks for the widest vectors.
    """

    @kernel
    def train(layers, p, X, Y, order, rates, start, stop, loss_sums, w):
        if wide:
            prefer_wide_vectors()
        begin(layers, p, p, w)
        per_update = 1 if rates.shape[1] > 1 else 0
        if start < stop:
            last, carried = row_of(order, np.int64(0), start), p.dtype.type(0)
            for epoch in range(len(rates)):
                total = loss_sums[epoch]
                for position in range(start, stop):
                    rate = p.dtype.type(rates[epoch, (position - start) * per_update])
                    row = row_of(order, epoch, position)
                    loss, carried = learn(layers, p, X, Y, last, row, rate, w, carried)
                    total += loss
                    last = row
                loss_sums[epoch] = total
            end(layers, p, X, last, w, carried)

    return train
