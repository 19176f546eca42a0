"""The samples of many networks: each network's next rows, gathered into the lanes."""

from collections import namedtuple

import numpy as np

from fastnn.kernels.jit import inner
from fastnn.kernels.lanes import gather, splat, store, width
from fastnn.kernels.llvm import flat, stack
from fastnn.kernels.turning import PLACES, turn_tile

#: The samples X (n, n_in) and Y (n, columns). Network l takes of them those of *rows*, (lanes, its
#: n), by default all; in *order*, (epochs, lanes, its n), by default as they lie; with *weights*,
#: (lanes, its n). What is not given has length 0.
Data = namedtuple("Data", "X Y rows order weights")
#: So many rows are found at once. In batches they are there and back at once too, and their
#: gradients summed before the next.
ROWS = 32


@inner
def find(data, epoch, first, n, scratch, weighted, lanes):
    """Find n samples, at most ROWS, from the position *first* of an epoch on.

    In what row of X and Y the s-th one of each lane is comes to place s of the scratch's *rows*,
    and with *weighted* its weight to the *weights*. What is loaded from places that were stored
    just before would wait for them: so all are found before the first is taken.
    """
    rows, some = scratch.rows, data.rows.shape[1] > 0
    if len(data.order) > 0:
        _turn_order(data.order, epoch, first, n, rows, lanes)
    else:
        for s in range(n):
            store(rows, s * lanes, splat(np.int64(first + s), lanes))
    if some or weighted:
        for l in range(lanes):
            for s in range(n):
                place = s * lanes + l
                k = rows[place]
                rows[place] = data.rows[l, k] if some else k
                if weighted:
                    given = data.weights.shape[1] > 0
                    scratch.weights[place] = data.weights[l, k] if given else 1.0


@inner
def _turn_order(order, epoch, first, n, rows, lanes):
    """Copy n row numbers of each lane, which lie side by side, by lanes."""
    n_places, some = width(rows), min(width(rows), lanes)
    places = stack(n_places, PLACES)
    for lane in range(0, lanes, some):
        for l in range(some):
            places[l] = (epoch * lanes + lane + l) * order.shape[2] + first
        for s in range(0, n, some):
            to, there = s * lanes + lane, (some, n - s)
            turn_tile(n_places, n_places, flat(order), places, s, rows, to, lanes, there)


@inner
def take(data, first, n, at, height, scratch, lanes):
    """Gather n of the samples that were found, from the one at place *first* on.

    The first one's inputs go to *at* and every *height* places from there, the next one's to the
    place behind.
    """
    X, Y, rows = data.X, data.Y, scratch.rows
    alike = len(data.order) == 0 and data.rows.shape[1] == 0
    for s in range(n):
        x, y, found = at + s, s * Y.shape[1], (first + s) * lanes
        if alike:
            spread_row(X, rows[found], scratch.values, x, height, lanes)
            spread_row(Y, rows[found], scratch.targets, y, 1, lanes)
        else:
            _gather_row(X, rows, found, scratch.values, x, height, lanes)
            _gather_row(Y, rows, found, scratch.targets, y, 1, lanes)


@inner
def spread_row(rows, row, into, at, step, lanes):
    """Copy a row into all lanes, its numbers *step* places apart."""
    for k in range(rows.shape[1]):
        store(into, (at + k * step) * lanes, splat(rows[row, k], lanes))


@inner
def _gather_row(source, rows, found, into, at, step, lanes):
    for k in range(source.shape[1]):
        store(into, (at + k * step) * lanes, gather(source, rows, found, k, lanes))
