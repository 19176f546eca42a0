"""One sample through one layer: forward, the loss at the output, backward.

W and b are places in the flat parameters p; x, z, and d are places of the layer's inputs, weighted
sums (or values: a unit has the same place in z, a and d) and gradients ∂loss/∂z. All places are
unsigned, see `fastnn.kernels.layout`.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.kernels.activations import SLOPES, VALUES, Codes
from fastnn.kernels.elementary import exp, log
from fastnn.kernels.jit import inner
from fastnn.kernels.losses import FROM_LOGITS, GRADIENTS, OF_CLASSES, TERMS
from fastnn.kernels.random import uniform


@functools.cache
def make_weighted_sums(bias: bool) -> Any:
    """Make z_j = b_j + Σ_i x_i W_ij."""

    @inner
    def weighted_sums(p, W, b, n_in, n_out, values, x, sums, z):
        for j in range(n_out):
            sums[z + j] = p[b + j] if bias else 0
        if n_out == 1:  # one output: the lanes run over the inputs
            total = sums[z]
            for i in range(n_in):
                total += values[x + i] * p[W + i]
            sums[z] = total
        else:
            for i in range(n_in):
                x_i = values[x + i]
                row = W + i * n_out
                for j in range(n_out):
                    sums[z + j] += x_i * p[row + j]

    return weighted_sums


@inner
def back_through_weights(p, W, n_in, n_out, gradients, d, below):
    """below_i = Σ_j W_ij d_j: the gradient with respect to the layer's inputs."""
    if n_out == 1:
        for i in range(n_in):
            gradients[below + i] = p[W + i] * gradients[d]
    else:
        for i in range(n_in):
            row = W + i * n_out
            total = p.dtype.type(0)
            for j in range(n_out):
                total += p[row + j] * gradients[d + j]
            gradients[below + i] = total


@functools.cache
def make_outer(bias: bool) -> Any:
    """Make W_ij = x_i d_j, b_j = d_j: a sample's gradient."""

    @inner
    def outer(into, W, b, n_in, n_out, values, x, gradients, d):
        if bias:
            for j in range(n_out):
                into[b + j] = gradients[d + j]
        if n_out == 1:
            d_0 = gradients[d]
            for i in range(n_in):
                into[W + i] = d_0 * values[x + i]
        else:
            for i in range(n_in):
                x_i = values[x + i]
                row = W + i * n_out
                for j in range(n_out):
                    into[row + j] = x_i * gradients[d + j]

    return outer


@functools.cache
def make_add_outer(bias: bool) -> Any:
    """Make W_ij += scale x_i d_j, b_j += scale d_j: with -rate, an update."""

    @inner
    def add_outer(into, W, b, n_in, n_out, values, x, gradients, d, scale):
        if bias:
            for j in range(n_out):
                into[b + j] += scale * gradients[d + j]
        if n_out == 1:
            step = scale * gradients[d]
            for i in range(n_in):
                into[W + i] += step * values[x + i]
        else:
            for i in range(n_in):
                step = scale * values[x + i]
                row = W + i * n_out
                for j in range(n_out):
                    into[row + j] += step * gradients[d + j]

    return add_outer


@inner
def transpose(source, at, target, to, rows, columns):
    """Copy a (rows, columns) matrix as (columns, rows)."""
    for i in range(rows):
        for j in range(columns):
            target[to + j * rows + i] = source[at + i * columns + j]


@functools.cache
def make_activate(hidden: Codes) -> Any:
    """Make the activation of n numbers in place; of several, *code* says at run time which.

    In place, because for two vectors that may be one and the same LLVM does not vectorise.
    """

    def for_code(code: int) -> Any:
        value = VALUES[code]

        @inner
        def activate(code, values, at, n):
            for j in range(n):
                values[at + j] = value(values[at + j])

        return activate

    return _by_code(for_code, hidden)


@functools.cache
def make_times_slope(hidden: Codes) -> Any:
    """Make d *= activation'(z), from ∂loss/∂a to ∂loss/∂z. The codes are as in `make_activate`.

    Not for activations whose slope needs z, and not with dropout: see `make_activate_and_keep`.
    """

    def for_code(code: int) -> Any:
        slope = SLOPES[code]

        @inner
        def times_slope(code, values, a, gradients, d, n):
            for j in range(n):
                a_j = values[a + j]
                gradients[d + j] *= slope(a_j, a_j)

        return times_slope

    return _by_code(for_code, hidden)


@functools.cache
def make_activate_and_keep(hidden: Codes) -> Any:
    """Make the activation in place that also writes the slopes, for what times_slope cannot do."""

    def for_code(code: int) -> Any:
        value, slope = VALUES[code], SLOPES[code]

        @inner
        def activate_and_keep(code, values, at, n, slopes, to):
            for j in range(n):
                z_j = values[at + j]
                a_j = value(z_j)
                values[at + j] = a_j
                slopes[to + j] = slope(z_j, a_j)

        return activate_and_keep

    return _by_code(for_code, hidden)


def _by_code(for_code: Callable[[int], Any], hidden: Codes) -> Any:
    """The function for the one code in *hidden*, or an if-else chain over several."""
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
            function(wanted, *arguments)
        else:
            otherwise(wanted, *arguments)

    return choose


@inner
def drop(values, slopes, at, n, key, counter, rate):
    """Dropout of n units from the place *at* on, whose numbers *counter*, counter + 1, … decide."""
    factor = 1.0 / (1.0 - rate)
    for j in range(n):
        kept = uniform(key, counter + np.uint64(j)) >= rate
        times = values.dtype.type(factor if kept else 0.0)
        values[at + j] *= times
        slopes[at + j] *= times


@inner
def softmax(z_values, z, values, n):
    """a_j = e^z_j / Σ e^z_k; returns log Σ e^z_k. The largest z is taken off: no overflow."""
    top = z_values[z]
    for j in range(n):
        top = max(top, z_values[z + j])
    total = type(top)(0)
    for j in range(n):
        e = exp(z_values[z + j] - top)
        values[z + j] = e
        total += e
    for j in range(n):
        values[z + j] /= total
    return top + log(total)


@functools.cache
def make_finish(output: int, loss: int) -> Any:
    """Make the end of the forward pass: the outputs' a and d from their z; returns the loss."""
    if loss in OF_CLASSES:
        return _make_finish_classes(loss)
    return _make_finish_outputs(output, loss)


def _make_finish_classes(loss: int) -> Any:
    reported = OF_CLASSES[loss]

    @inner
    def finish_classes(sums, values, gradients, z, n, Y, row):
        log_total = softmax(sums, z, values, n)
        total = type(log_total)(0)
        for j in range(n):
            y = Y[row, j]
            total += y * reported(log_total - sums[z + j])
            gradients[z + j] = values[z + j] - y
        return total

    return finish_classes


def _make_finish_outputs(output: int, loss: int) -> Any:
    finish_one = make_finish_one(output, loss)

    @inner
    def finish_outputs(sums, values, gradients, z, n, Y, row):
        total = sums.dtype.type(0)
        for j in range(n):
            a_j, d_j, loss_j = finish_one(sums[z + j], Y[row, j], n)
            values[z + j] = a_j
            gradients[z + j] = d_j
            total += loss_j
        return total

    return finish_outputs


@functools.cache
def make_finish_one(output: int, loss: int) -> Any:
    """Make the same for one of m outputs, of a loss that does not couple them: a, d and the loss.

    Its arguments are the output's z, its target y, and m.
    """
    value, slope = VALUES[output], SLOPES[output]
    term, gradient = TERMS[loss], GRADIENTS[loss]
    from_logits = loss in FROM_LOGITS

    @inner
    def finish_one(z, y, m):
        a = value(z)
        d = gradient(z, a, y, m)
        return a, d if from_logits else d * slope(z, a), term(z, a, y, m)

    return finish_one
