"""What one sample needs in several kernels: sums, activations, slopes, the loss at the output.

z, a, d and the like are places in a flat vector w: where a layer's weighted sums begin, its values,
and gradients ∂loss/∂z. All places and sizes are unsigned, see `fastnn.kernels.layout`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.kernels.activations import SLOPES, VALUES, Codes
from fastnn.kernels.elementary import exp, log
from fastnn.kernels.jit import inner, made_once, ordered
from fastnn.kernels.lanes import load, maximum, splat, store, width
from fastnn.kernels.lanes import total as sum_of
from fastnn.kernels.losses import (
    FROM_LOGITS,
    GAUSSIAN,
    GRADIENTS,
    OF_CLASSES,
    QUANTILE,
    TERMS,
    gaussian,
    quantile,
)

_0, _1, _2 = np.uint64(0), np.uint64(1), np.uint64(2)


@inner
def all_finite(values):
    """Whether there is neither NaN nor infinity among them."""
    finite = True
    for k in range(len(values)):
        finite &= np.isfinite(values[k])
    return finite


@inner
def load_row(X, row, w, at):
    """Copy a sample's inputs, or its targets, to a place."""
    for i in range(np.uint64(X.shape[1])):
        w[at + i] = X[row, i]


@inner
def _product(p, row, w, at, k, lanes, count):
    return load(p, row + k, lanes, count) * load(w, at + k, lanes, count)


@ordered
def dot(p, row, w, at, n):
    """Σ_k p_k w_k of n numbers from two places on."""
    lanes, wide, every = width(p), width(p, 4), np.uint64(width(p, 4))
    whole, far = n - n % lanes, n - n % wide
    result = p.dtype.type(0)
    if far > _0:
        sums = splat(result, wide)
        for k in range(_0, far, wide):
            sums = sums + _product(p, row, w, at, k, wide, every)
        result += sum_of(sums)
    if far < n:
        rest = splat(p.dtype.type(0), lanes)
        for k in range(far, whole, lanes):
            rest = rest + _product(p, row, w, at, k, lanes, every)
        if whole < n:
            rest = rest + _product(p, row, w, at, whole, lanes, np.uint64(n - whole))
        result += sum_of(rest)
    return result


@ordered
def sums_of_some(p, W, b, bias, n_in, n_out, w, x, lanes, count):
    """b_j + Σ_i x_i W_ij of *count* neighbouring units: in two sums, of which none waits."""
    other = splat(p.dtype.type(0), lanes)
    total, even = load(p, b, lanes, count) if bias else other, n_in - n_in % _2
    for i in range(_0, even, _2):
        total = total + load(p, W + i * n_out, lanes, count) * w[x + i]
        other = other + load(p, W + (i + _1) * n_out, lanes, count) * w[x + i + _1]
    if even < n_in:
        total = total + load(p, W + even * n_out, lanes, count) * w[x + even]
    return total + other


@ordered
def weighted_sums(p, W, b, bias, n_in, n_out, w, x, z):
    """z_j = b_j + Σ_i x_i W_ij of a layer, from the parameters where they always are.

    The last are stored as a whole register: what is loaded next from a store of some lanes would
    have to wait for it. So behind z there must be room.
    """
    n, wide, every = width(p), width(p, 4), np.uint64(width(p, 4))
    if n_out == 1:  # the lanes run over the inputs
        store(w, z, splat(dot(p, W, w, x, n_in) + (p[b] if bias else p.dtype.type(0)), n))
        return
    far, near = n_out - n_out % wide, n_out - n_out % n
    for j in range(_0, far, wide):  # in rows as long as this memory is read ahead
        store(w, z + j, sums_of_some(p, W + j, b + j, bias, n_in, n_out, w, x, wide, every))
    for j in range(far, near, n):
        store(w, z + j, sums_of_some(p, W + j, b + j, bias, n_in, n_out, w, x, n, every))
    if near < n_out:
        left = np.uint64(n_out - near)
        last = sums_of_some(p, W + near, b + near, bias, n_in, n_out, w, x, n, left)
        store(w, z + near, last)


@made_once
def make_activate(hidden: Codes, keeps: bool) -> Any:
    """Make the activation of n numbers in place; of several, *code* says at run time which.

    In place, because for two vectors that may be one and the same LLVM does not vectorise. With
    *keeps* the slopes are written from the place *slopes* on.
    """

    def for_code(code: int) -> Any:
        value, slope = VALUES[code], SLOPES[code]

        @inner
        def activate(code, w, at, n, slopes):
            for j in range(n):
                z_j = w[at + j]
                a_j = value(z_j)
                w[at + j] = a_j
                if keeps:
                    w[slopes + j] = slope(z_j, a_j)

        return activate

    return by_code(for_code, hidden)


@made_once
def make_times_slope(hidden: Codes, keeps: bool) -> Any:
    """Make d *= activation'(z), from ∂loss/∂a to ∂loss/∂z. The arguments are as in `make_activate`.

    *keeps* says that the slopes are in *slopes*: it takes those of activations whose slope needs z,
    and those of dropout. Without, they are computed from a.
    """

    def for_code(code: int) -> Any:
        slope = SLOPES[code]

        @inner
        def times_slope(code, w, a, d, n, slopes):
            for j in range(n):
                if keeps:
                    w[d + j] *= w[slopes + j]
                else:
                    a_j = w[a + j]
                    w[d + j] *= slope(a_j, a_j)

        return times_slope

    return for_code(hidden[0]) if keeps else by_code(for_code, hidden)


def by_code(for_code: Callable[[int], Any], hidden: Codes) -> Any:
    """The function for the one code in *hidden*, or a chain over several.

    The code that is wanted is their first argument.
    """
    chain = None
    for code in hidden:
        chain = _link(code, for_code(code), chain)
    return chain


def _link(code: int, function: Any, otherwise: Any) -> Any:
    if otherwise is None:
        return function

    @inner
    def choose(wanted, *arguments):
        if wanted == code:
            return function(wanted, *arguments)
        return otherwise(wanted, *arguments)

    return choose


@inner
def softmax(w, z, a, n):
    """a_j = e^z_j / Σ e^z_k; returns log Σ e^z_k. The largest z is taken off: no overflow."""
    top = w[z]
    for j in range(n):
        top = maximum(top, w[z + j])
    total = type(top)(0)
    for j in range(n):
        e = exp(w[z + j] - top)
        w[a + j] = e
        total += e
    for j in range(n):
        w[a + j] /= total
    return top + log(total)


@made_once
def make_finish(output: int, loss: int) -> Any:
    """Make the end of the forward pass: d of n outputs from their z and targets; the loss."""
    if loss in OF_CLASSES:
        return _make_finish_classes(loss)
    if loss == GAUSSIAN:
        return _finish_gaussian
    if loss == QUANTILE:
        return _finish_quantiles
    finish_one = make_finish_one(output, loss)

    @inner
    def finish_outputs(w, z, d, n, Y, row):
        total = w.dtype.type(0)
        for j in range(n):
            d_j, loss_j = finish_one(w[z + j], Y[row, j], n)
            w[d + j] = d_j
            total += loss_j
        return total

    return finish_outputs


def _make_finish_classes(loss: int) -> Any:
    reported = OF_CLASSES[loss]

    @inner
    def finish_classes(w, z, d, n, Y, row):
        log_total = softmax(w, z, d, n)
        total = type(log_total)(0)
        for j in range(n):
            y = Y[row, j]
            total += y * reported(log_total - w[z + j])
            w[d + j] -= y
        return total

    return finish_classes


@inner
def _finish_gaussian(w, z, d, n, Y, row):
    total, m = w.dtype.type(0), n >> _1
    for j in range(m):
        d_mean, d_log, loss = gaussian(w[z + j], w[z + m + j], Y[row, j], m)
        w[d + j] = d_mean
        w[d + m + j] = d_log
        total += loss
    return total


@inner
def _finish_quantiles(w, z, d, n, Y, row):
    total = w.dtype.type(0)
    for j in range(n):
        d_j, loss = quantile(w[z + j], Y[row, j], Y[row, n + j], n)
        w[d + j] = d_j
        total += loss
    return total


@made_once
def make_finish_one(output: int, loss: int) -> Any:
    """Make the same for one of m outputs, of a loss that does not couple them: d and the loss.

    Its arguments are the output's z, its target y, and m.
    """
    value, slope = VALUES[output], SLOPES[output]
    term, gradient = TERMS[loss], GRADIENTS[loss]
    from_logits = loss in FROM_LOGITS

    @inner
    def finish_one(z, y, m):
        a = value(z)
        d = gradient(z, a, y, m)
        return d if from_logits else d * slope(z, a), term(z, a, y, m)

    return finish_one
