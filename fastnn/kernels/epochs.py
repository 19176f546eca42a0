"""The epochs of training sample by sample: the shell around what a kernel does for each sample.

Three functions make such a kernel. Each gets the layers, the parameters p and the workspace w.

``begin(layers, p, moments, w)``
    before the first sample
``learn(layers, p, t, data, last, row, rate, options, w, carried)``
    takes a sample, *row*, for the update after t others; *last* is the one before it, and *carried*
    the number that it left. Returns the loss, the penalty, and the number for the next one.
``end(layers, p, moments, data, last, w, carried)``
    after the last sample

So the forward pass may be that of the sample at hand and the update that of the one before: see
`fastnn.kernels.one_hidden`.
"""

from typing import Any

import numpy as np

from fastnn.kernels.jit import inner, kernel, made_once
from fastnn.kernels.lanes import prefer_wide_vectors
from fastnn.kernels.llvm import flat, prefetch
from fastnn.memory import LINE

#: Bytes of X that caches keep near, and how many samples ahead is asked for.
NEAR, AHEAD = 1 << 19, 8
#: Rows as they come.
NO_ORDER = np.empty((0, 0), np.int64)


@inner
def row_of(order, epoch, position):
    """The row of X at a position of an epoch; without an order rows are taken as they come."""
    return order[epoch, position] if len(order) > 0 else position


@inner
def lie_far(X, order):
    """Whether rows come from memory that is worth asking for ahead: shuffled ones, of many.

    From beyond the caches a row takes longer to come than some samples to be learned. Of samples it
    is asked for X alone: Y is rarely the larger one.
    """
    return len(order) > 0 and X.size * X.itemsize > NEAR


@inner
def ask_for_row(X, row):
    """Ask for the memory of a row, line by line; and for its end, since it may begin within one."""
    columns, flat_X = X.shape[1], flat(X)
    for k in range(0, columns, LINE // X.itemsize):
        prefetch(flat_X, row * columns + k)
    prefetch(flat_X, row * columns + columns - 1)


@inner
def ask_for_sample(data, epoch, position, stop):
    """The same for the sample at a position of an epoch, if that is before *stop*."""
    if position < stop:
        row = data.order[epoch, position]
        ask_for_row(data.X, row)
        ask_for_row(data.Y, row)


@made_once
def make_train(begin: Any, learn: Any, end: Any, wide: bool) -> Any:
    """Make the kernel; *wide* asks for the widest vectors.

    *moments* are the optimiser's, flat, and t the number of updates so far; *data* are
    `contract.Samples` and the order, *span* the rest of `contract.Piece`, see
    `fastnn.kernels.recorded`.
    """

    @kernel
    def train_samples(layers, p, moments, t, data, span, options, w):
        if wide:
            prefer_wide_vectors()
        begin(layers, p, moments, w)
        far, per_update = lie_far(data.X, data.order), 1 if span.rates.shape[1] > 1 else 0
        if span.start < span.stop:
            last, carried = row_of(data.order, np.int64(0), span.start), p.dtype.type(0)
            for epoch in range(len(span.rates)):
                total, penalties = span.loss_sums[epoch], span.penalty_sums[epoch]
                for position in range(span.start, span.stop):
                    rate = span.rates[epoch, (position - span.start) * per_update]
                    if far:
                        ask_for_sample(data, epoch, position + AHEAD, span.stop)
                    row = row_of(data.order, epoch, position)
                    loss, penalty, carried = learn(
                        layers, p, t, data, last, row, rate, options, w, carried
                    )
                    t += 1
                    total += loss
                    penalties += penalty
                    last = row
                span.loss_sums[epoch], span.penalty_sums[epoch] = total, penalties
            end(layers, p, moments, data, last, w, carried)

    return train_samples
