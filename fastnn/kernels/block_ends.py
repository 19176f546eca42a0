"""The end of a block's way forward: the sum of its losses, and D from Z, where the way back begins.

Z and D are (n_out, n), the targets Y (target_columns, n), all in the workspace w: see
`fastnn.kernels.blocks`.
"""

import functools
from typing import Any

import numpy as np

from fastnn.kernels.elementary import exp, log
from fastnn.kernels.jit import inner
from fastnn.kernels.lanes import maximum
from fastnn.kernels.losses import GAUSSIAN, OF_CLASSES, QUANTILE, gaussian, quantile
from fastnn.kernels.rows import make_finish_one

_1 = np.uint64(1)


@inner
def softmax(w, z, a, n_classes, n, top, total):
    """Columns of softmax values from (n_classes, n) sums z.

    The largest sum of a sample is taken off first, so that nothing overflows; it is left at *top*,
    and at *total* the Σ e^z of what remains.
    """
    for s in range(n):
        w[top + s] = w[z + s]
        w[total + s] = 0
    for j in range(_1, n_classes):
        for s in range(n):
            w[top + s] = maximum(w[top + s], w[z + j * n + s])
    for j in range(n_classes):
        for s in range(n):
            e = exp(w[z + j * n + s] - w[top + s])
            w[a + j * n + s] = e
            w[total + s] += e
    for j in range(n_classes):
        for s in range(n):
            w[a + j * n + s] /= w[total + s]


@functools.cache
def make_finish(output: int, loss: int, weighted: bool) -> Any:
    """Make the end; *scratch* has room for 2 n numbers.

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
    def finish_outputs(w, z, y, d, n_out, n, scratch, weights):
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

    @inner
    def finish_classes(w, z, y, d, n_out, n, scratch, weights):
        softmax(w, z, d, n_out, n, scratch, scratch + n)
        for s in range(n):
            w[scratch + s] += log(w[scratch + n + s])
        total, weight = w.dtype.type(0), w.dtype.type(1)
        for j in range(n_out):
            for s in range(n):
                k = j * n + s
                if weighted:
                    weight = w[weights + s]
                total += weight * (w[y + k] * reported(w[scratch + s] - w[z + k]))
                w[d + k] = weight * (w[d + k] - w[y + k])
        return total

    return finish_classes


def _make_finish_distribution(loss: int, weighted: bool) -> Any:
    """Make it for a loss whose outputs say more than a number of their target."""
    is_gaussian = loss == GAUSSIAN

    @inner
    def finish_distribution(w, z, y, d, n_out, n, scratch, weights):
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
