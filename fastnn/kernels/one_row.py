"""One update from one row, one prediction of one row, and as little around them as can be.

A call from Python should not take longer than the work: so the kernels here get the row, its
target, and one address for all else (`fastnn.kernels.held`); and they do inside what otherwise is
done around a kernel: look whether the row and its target are what they must be, and leave the state
as it was if something is no longer finite. The update is that of the trainer's kernel.
"""

from collections import namedtuple
from typing import Any

import numpy as np

from fastnn.kernels.called import truth_at
from fastnn.kernels.held import held
from fastnn.kernels.jit import inner, made_once, quick
from fastnn.kernels.lanes import load, prefer_wide_vectors, store, width
from fastnn.kernels.rows import all_finite

#: What there is to an update of one row. *updates* and *clock* are the state's, *data* and *span*
#: those of the trainer's kernel, for one row and one rate; x and y are where the row and its target
#: go. *before* has room for p, where it is needed; *rates* are those of the clock's steps from
#: *first* on; with a *first* below 0 the only one, for ever. *notes* and *limits* are below.
Row = namedtuple(
    "Row",
    "layers p moments updates clock x y data span options workspace before rates first notes"
    " limits",
)
#: Added to an address, of which there are only even ones: the target is in y already. (Addresses
#: come as floats, which hold them exactly, and which numba takes in 15 ns less than whole numbers.)
GIVEN = 1
#: Places in *notes*: whether targets are the numbers of classes; whether they are signs; and, told
#: by the kernel, whether it had all it needed.
OF_CLASS, SIGN, TRIED = range(3)
#: Places in *limits*: the least and the most that a target may be, and what becomes of 0 and of 1,
#: or of the classes that it is not and of the one that it is.
LEAST, MOST, OFF, ON = range(4)

#: What there is to a prediction of one row: *run*, the address of the kernel for outputs by row,
#: and its arguments.
OneOutput = namedtuple("OneOutput", "run layers p x values workspace")


@inner
def _take_row(x, into):
    """Copy a row; False if it is of another length or not finite."""
    if len(x) != len(into):
        return False
    finite = True
    for i in range(len(x)):
        finite &= np.isfinite(x[i])
        into[i] = x[i]
    return finite


@inner
def _take_target(value, row):
    """Write a target that is one number; False if it is none that can be taken."""
    notes, limits, y = row.notes, row.limits, row.y
    if notes[OF_CLASS]:
        if not (value >= 0.0 and value < len(y)) or value != np.floor(value):
            return False
        for j in range(len(y)):
            y[j] = limits[OFF]
        y[int(value)] = limits[ON]
        return True
    if len(y) != 1 or abs(value) > 2.0**53:  # beyond, whole numbers would be rounded twice
        return False
    y[0] = value
    if notes[SIGN]:
        if not (value == 1.0 or value == 0.0 or value == -1.0):
            return False
        y[0] = 1.0 if value == 1.0 else -1.0
    elif limits[OFF] > limits[LEAST]:  # smoothed
        if not (value == 0.0 or value == 1.0):
            return False
        y[0] = limits[ON] if value == 1.0 else limits[OFF]
    return np.isfinite(y[0]) and y[0] >= limits[LEAST] and y[0] <= limits[MOST]


@inner
def _set_rate(row):
    """Set the rate of this update; False if it is not among those that were made ready."""
    step = 0
    if row.first[0] >= 0:
        step = row.clock[0] - row.first[0]
    if step < 0 or step >= len(row.rates):
        return False
    row.span.rates[0, 0] = row.rates[step]
    return True


@inner
def _copy(source, target):
    """Copy a vector by explicit lanes: LLVM took four times as long."""
    n = width(source)
    whole = len(source) - len(source) % n
    for k in range(0, whole, n):
        store(target, k, load(source, k, n))
    left = len(source) - whole
    store(target, whole, load(source, whole, n, left), left)


@made_once
def make_learn_plainly(train: Any) -> Any:
    """Make the update of `make_learn_one` with a kernel of plain SGD."""

    @inner
    def learn_plainly(row):
        p, span = row.p, row.span
        _copy(p, row.before)
        span.loss_sums[0] = 0.0
        train(row.layers, p, row.moments, row.updates[0], row.data, span, row.options,
              row.workspace)  # fmt: skip
        if np.isfinite(span.loss_sums[0]) and all_finite(p):
            return span.loss_sums[0]
        _copy(row.before, p)
        return np.nan

    return learn_plainly


@made_once
def make_learn_one(learn: Any, dtype: np.dtype[Any]) -> Any:
    """Make the update around what *learn* does, which gets a `Row` whose sample and rate are there.

    *learn* returns the loss with the penalty; NaN if this or a parameter is no longer finite, and
    the state is as before. For each *dtype* there is another update, which knows no rows of others:
    what lies at the address is of the dtype that the row has.

    The update returns the loss before it. NaN says that the state is as before: something was not
    as it must be, or the update was tried and diverged.
    """

    @quick
    def learn_one(x, y, address):
        prefer_wide_vectors()
        place = int(address)
        given = place % 2 == GIVEN
        row = held(place - GIVEN if given else place, "Row", x)
        notes = row.notes
        notes[TRIED] = 0
        taken = _take_row(x, row.x) and (all_finite(row.y) if given else _take_target(y, row))
        if not (taken and _set_rate(row)):
            return np.nan
        notes[TRIED] = 1
        loss = learn(row)
        if not np.isnan(loss):
            row.updates[0] += 1
            row.clock[0] += 1
        return loss

    return learn_one


@made_once
def make_predict_one(dtype: np.dtype[Any]) -> Any:
    """Make the prediction, for each *dtype* as in `make_learn_one`.

    It writes to *values*, and returns False where it cannot.
    """

    @quick
    def predict_one(x, values, address):
        one = held(int(address), "OneOutput", x)
        if len(x) != one.x.shape[1]:
            return False
        for i in range(len(x)):
            one.x[0, i] = x[i]
        if not truth_at(one.run, (one.layers, one.p, one.x, one.values, one.workspace)):
            return False
        for j in range(len(values)):
            values[j] = one.values[0, j]
        return True

    return predict_one
