"""Rows with other features each: only what belongs to the features of a row is looked at.

The weights out of each feature, and the moments of these weights, have a place in a large store.
For a row those of its features are gathered into a small network, which the trainer's kernel
trains like any other; then they go back to their places. So the cost is that of the features which
are there, however many there are in all; the weights out of a feature that is not there stay as
they are, penalties and moments included. An update that diverges does not go back, which is all
there is to undo.

The small network's parameters are those of all layers but the first, and its biases, which stay
where they are whatever the row, and then the weights of the first layer.
"""

from collections import namedtuple
from typing import Any

import numpy as np

from fastnn.kernels.held import held
from fastnn.kernels.jit import inner, made_once, quick
from fastnn.kernels.layout import INPUTS, N_IN, UNITS
from fastnn.kernels.recorded import Data
from fastnn.kernels.rows import all_finite

#: What there is to rows of features. *weights* and *moments* are the store, by feature; *rest* and
#: *rest_moments* are those of the other parameters. *layers*, *training*, p, m, x, Y and the two
#: workspaces are the small network's, made for as many features as a row may have; *training* is
#: the trainer's table of layers. *units* are the places of the layers' units without features.
#: *counts*, *means* and *squares* are the running statistics by feature, with those of the target
#: last; *scales* says whether they are used. *rates* are those of the updates from *first* on, or
#: with a *first* below 0 a single one; *done* is the row at which the last call stopped.
Store = namedtuple(
    "Store",
    "weights moments rest rest_moments layers training units p m x values Y weight order options"
    " workspace own_workspace counts means squares scales updates rates first span done",
)
#: The largest number that is scaled: the squares of many such have a finite sum.
MOST_SCALED = 1e150
#: Why a call stopped before the last row: nothing; a value or a target that is infinite, or too
#: large to be scaled; a divergence; no more rates.
WELL, NOT_FINITE, DIVERGED, NO_RATE = range(4)


@inner
def _width(store):
    """The units of the first layer: weights of each feature."""
    return len(store.weights) // (len(store.counts) - 1)


@inner
def _add(store, at, value):
    """Take a value into running statistics, by Welford's way."""
    store.counts[at] += 1.0
    change = value - store.means[at]
    store.means[at] += change / store.counts[at]
    store.squares[at] += change * (value - store.means[at])


@inner
def _deviation(store, at):
    """The standard deviation so far; 0 before two different values."""
    count = store.counts[at]
    return np.sqrt(store.squares[at] / count) if count > 0.0 else 0.0


@inner
def _scaled(store, at, value):
    deviation = _deviation(store, at)
    return (value - store.means[at]) / deviation if deviation > 0.0 else 0.0


@inner
def _gather(store, places, order, row, first, learns):
    """Take the features of a row that are there; how many, or -1 if one is not finite.

    A place below 0 is of a feature that is not known, and NaN stands for a value that is not there.
    """
    width, scales = _width(store), store.scales[0] != 0
    n_rest, k = len(store.rest), 0
    for i in range(len(places)):
        value, place = row[first + order[i]], places[i]
        if place < 0 or np.isnan(value):
            continue
        if learns and scales:
            _add(store, place, value)
        if scales:
            value = _scaled(store, place, value)
        if not np.isfinite(value):
            return -1
        store.x[k] = value
        for j in range(width):
            store.p[n_rest + k * width + j] = store.weights[place * width + j]
        k += 1
    for j in range(n_rest):
        store.p[j] = store.rest[j]
    return k


@inner
def _move_moments(store, places, order, row, first, n, back, n_moments):
    """Take the moments of a row's features, or put these and the parameters *back*; n are known."""
    n_rest, width, whole, k = len(store.rest), _width(store), len(store.weights), 0
    for i in range(len(places)):
        place = places[i]
        if place < 0 or np.isnan(row[first + order[i]]):
            continue
        for j in range(width):
            near, far = n_rest + k * width + j, place * width + j
            if back:
                store.weights[far] = store.p[near]
            for l in range(n_moments):
                if back:
                    store.moments[l * whole + far] = store.m[l * n + near]
                else:
                    store.m[l * n + near] = store.moments[l * whole + far]
        k += 1
    for j in range(n_rest):
        if back:
            store.rest[j] = store.p[j]
        for l in range(n_moments):
            if back:
                store.rest_moments[l * n_rest + j] = store.m[l * n + j]
            else:
                store.m[l * n + j] = store.rest_moments[l * n_rest + j]


@inner
def _lay_out(store, k):
    """Let the small network have k inputs."""
    layers = store.layers
    layers[0, N_IN] = store.training[0, N_IN] = k
    for l in range(len(layers)):
        layers[l, UNITS] = store.units[l] + k
        layers[l, INPUTS] = store.units[l - 1] + k if l > 0 else 0


@inner
def _fits(value, scales):
    """Whether a value is finite, and not so large that its square overflows, if it is scaled."""
    return abs(value) <= MOST_SCALED if scales else np.isfinite(value)


@inner
def _row_fits(rows, first, n, scales):
    """The same of a row's values, of which some may be missing."""
    fits = True
    for i in range(first, first + n):
        fits &= np.isnan(rows[i]) or _fits(rows[i], scales)
    return fits


@inner
def _take_target(store, y, of_class):
    """Write a target; False if it is too large to be scaled."""
    if of_class:
        for j in range(store.Y.shape[1]):
            store.Y[0, j] = 0.0
        store.Y[0, int(y)] = 1.0
        return True
    at = len(store.counts) - 1
    if store.scales[0] != 0:
        _add(store, at, y)
        y = _scaled(store, at, y)
    store.Y[0, 0] = y
    return np.isfinite(y)


@made_once
def make_learn_rows(train: Any, of_class: bool, n_moments: int) -> Any:
    """Make updates from some rows, each with the kernel *train*, a rule's.

    *rows* has the values of the first row's features, then those of the second's. The feature at
    the place ``places[i]`` of the store has in each row the value at ``order[i]``. It returns what
    stopped it; what was learned from rows before that stays.
    """

    @quick
    def learn_rows(rows, places, order, targets, address):
        store = held(address, "Store", rows)
        n_rest, span, scales = len(store.rest), store.span, store.scales[0] != 0
        width = _width(store)
        for row in range(len(targets)):
            store.done[0] = row
            first = row * len(places)
            step = store.updates[0] - store.first[0] if store.first[0] >= 0 else 0
            if step < 0 or step >= len(store.rates):
                return NO_RATE
            span.rates[0, 0] = store.rates[step]
            well = _row_fits(rows, first, len(places), scales)
            if not (well and (of_class or _fits(targets[row], scales))):
                return NOT_FINITE
            k = _gather(store, places, order, rows, first, True)
            if k < 0 or not _take_target(store, targets[row], of_class):
                return NOT_FINITE
            n = n_rest + k * width
            _move_moments(store, places, order, rows, first, n, False, n_moments)
            _lay_out(store, k)
            span.loss_sums[0] = span.penalty_sums[0] = 0.0
            data = Data(store.x[:k].reshape((1, k)), store.Y, store.weight, store.order)
            p, m = store.p[:n], store.m[: n_moments * n]
            train(store.training, p, m, store.updates[0], data, span, store.options,
                  store.own_workspace)  # fmt: skip
            if not (np.isfinite(span.loss_sums[0] + span.penalty_sums[0]) and all_finite(p)):
                return DIVERGED
            _move_moments(store, places, order, rows, first, n, True, n_moments)
            store.updates[0] += 1
        store.done[0] = len(targets)
        return WELL

    return learn_rows


@made_once
def make_predict_rows(outputs_by_row: Any, of_class: bool) -> Any:
    """Make predictions of *n_rows* rows, written to *outputs*; the rest is as in `make_learn_rows`.

    The target's statistics are taken back. NaN where an input is infinite or too large; it returns
    whether there is none.
    """

    @quick
    def predict_rows(rows, places, order, outputs, n_rows, address):
        store = held(address, "Store", rows)
        n_out, width = store.values.shape[1], _width(store)
        at, all_well = len(store.counts) - 1, True
        for row in range(n_rows):
            k = _gather(store, places, order, rows, row * len(places), False)
            well = k >= 0
            if well:
                _lay_out(store, k)
                n = len(store.rest) + k * width
                X = store.x[:k].reshape((1, k))
                well = outputs_by_row(store.layers, store.p[:n], X, store.values, store.workspace)
            for j in range(n_out):
                value = store.values[0, j] if well else np.nan
                if not of_class and store.scales[0] != 0:
                    value = value * _deviation(store, at) + store.means[at]
                outputs[row * n_out + j] = value
                all_well &= not np.isnan(value)
        return all_well

    return predict_rows
