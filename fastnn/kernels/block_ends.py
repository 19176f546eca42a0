"""The end of a block's way forward: the sum of its losses, and D from Z, where the way back begins.

Z and D are (n_out, n), the targets Y (target_columns, n), all in the workspace w: see
`fastnn.kernels.blocks`.
"""

from typing import Any

import numpy as np

from fastnn.kernels.elementary import exp, log
from fastnn.kernels.jit import inner, made_once, ordered
from fastnn.kernels.lanes import constant, load, maximum, splat, store, width
from fastnn.kernels.lanes import total as sum_of
from fastnn.kernels.losses import GAUSSIAN, OF_CLASSES, QUANTILE, gaussian, quantile
from fastnn.kernels.rows import make_finish_one

_0, _1 = np.uint64(0), np.uint64(1)


@ordered
def softmax_in_lanes(values, z, into, a, n_classes, step, lanes, count):
    """a_j = e^z_j / Σ e^z_k in *count* lanes, j going *step* places further each time.

    It returns log Σ e^z_k. The largest z is taken off: no overflow.
    """
    top = load(values, z, lanes, count)
    for j in range(1, n_classes):
        top = maximum(top, load(values, z + j * step, lanes, count))
    total = constant(0, top)
    for j in range(n_classes):
        e = exp(load(values, z + j * step, lanes, count) - top)
        store(into, a + j * step, e, count)
        total = total + e
    share = constant(1, total) / total
    for j in range(n_classes):
        store(into, a + j * step, load(into, a + j * step, lanes, count) * share, count)
    return top + log(total)


@inner
def softmax(w, z, n_classes, n):
    """Columns of (n_classes, n) sums z become softmax values."""
    lanes, count = width(w), np.uint64(width(w))  # no literal: that had a function of its own
    whole = n - n % lanes
    for s in range(_0, whole, lanes):
        softmax_in_lanes(w, z + s, w, z + s, n_classes, n, lanes, count)
    if whole < n:
        count = np.uint64(n - whole)
        softmax_in_lanes(w, z + whole, w, z + whole, n_classes, n, lanes, count)


@made_once
def make_finish(output: int, loss: int, weighted: bool) -> Any:
    """Make the end.

    With *weighted* D and losses are multiplied by the n *weights*, which otherwise are not looked
    at: by the constant 1.
    """
    if loss in (GAUSSIAN, QUANTILE):
        return _make_finish_distribution(loss, weighted)
    if loss in OF_CLASSES:
        return _make_finish_classes(loss, weighted)
    return _make_finish_outputs(output, loss, weighted)


def _make_finish_outputs(output: int, loss: int, weighted: bool) -> Any:
    finish_one = make_finish_one(output, loss)

    @inner
    def finish_outputs(w, z, y, d, n_out, n, weights):
        total, weight = w.dtype.type(0), w.dtype.type(1)
        rows, columns = (n_out, n) if weighted else (_1, n_out * n)  # the longer, the better
        for j in range(rows):
            for s in range(columns):
                k = j * columns + s
                if weighted:
                    weight = w[weights + s]
                d_k, loss_k = finish_one(w[z + k], w[y + k], n_out)
                w[d + k] = weight * d_k
                total += weight * loss_k
        return total

    return finish_outputs


def _make_finish_classes(loss: int, weighted: bool) -> Any:
    reported = OF_CLASSES[loss]

    @ordered
    def finish_some(w, z, y, d, n_out, n, weights, lanes, count):
        log_total = softmax_in_lanes(w, z, w, d, n_out, n, lanes, count)
        total = constant(0, log_total)
        weight = load(w, weights, lanes, count) if weighted else constant(1, total)
        for j in range(n_out):
            target = load(w, y + j * n, lanes, count)
            total = total + target * reported(log_total - load(w, z + j * n, lanes, count))
            gradient = load(w, d + j * n, lanes, count) - target
            store(w, d + j * n, weight * gradient if weighted else gradient, count)
        return weight * total

    @inner
    def finish_classes(w, z, y, d, n_out, n, weights):
        lanes, count = width(w), np.uint64(width(w))
        total, whole = splat(w.dtype.type(0), lanes), n - n % lanes
        for s in range(_0, whole, lanes):
            total = total + finish_some(w, z + s, y + s, d + s, n_out, n, weights + s, lanes, count)
        if whole < n:
            s, count = whole, np.uint64(n - whole)
            total = total + finish_some(w, z + s, y + s, d + s, n_out, n, weights + s, lanes, count)
        return sum_of(total)

    return finish_classes


def _make_finish_distribution(loss: int, weighted: bool) -> Any:
    """Make it for a loss whose outputs say more than a number of their target."""
    is_gaussian = loss == GAUSSIAN

    @inner
    def finish_distribution(w, z, y, d, n_out, n, weights):
        total, weight = w.dtype.type(0), w.dtype.type(1)
        m = n_out >> _1 if is_gaussian else n_out
        other = m * n
        for j in range(m):
            for s in range(n):
                k = j * n + s
                if weighted:
                    weight = w[weights + s]
                if is_gaussian:
                    d_k, d_log, loss_k = gaussian(w[z + k], w[z + other + k], w[y + k], m)
                    w[d + other + k] = weight * d_log
                else:
                    d_k, loss_k = quantile(w[z + k], w[y + k], w[y + other + k], m)
                w[d + k] = weight * d_k
                total += weight * loss_k
        return total

    return finish_distribution
