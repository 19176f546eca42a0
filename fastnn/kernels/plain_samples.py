"""Plain SGD sample by sample for any depth: each layer's update goes straight into its weights.

A sample goes forward through all layers, and back from the last to the first. There one pass over a
layer's weights has both uses of each: what goes back is made with the weight as it was, and then it
is changed. Parameters and values are in the workspace, see `fastnn.kernels.padded`.
"""

import functools
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.kernels.activations import SLOPES, VALUES, Codes
from fastnn.kernels.jit import inner, ordered
from fastnn.kernels.lanes import load, splat, store, width
from fastnn.kernels.lanes import total as sum_of
from fastnn.kernels.layout import ACTIVATION, INPUTS, N_IN, N_OUT, UNITS
from fastnn.kernels.llvm import register_bits
from fastnn.kernels.padded import (
    ALL_UNITS,
    OWN_BIAS,
    OWN_WEIGHTS,
    ROW,
    TURNED,
    make_copies,
    padded_table,
)
from fastnn.kernels.plain import make_train
from fastnn.kernels.rows import by_code, load_row, make_finish

_0, _1, _2 = np.uint64(0), np.uint64(1), np.uint64(2)


def table(architecture: Architecture) -> tuple[np.ndarray, int]:
    """See `padded.padded_table`."""
    return padded_table(architecture, register_bits() // 8 // architecture.dtype.itemsize)


# Forward


@ordered
def _sums_of_some(w, W, row, b, x, n_in, j, n):
    """z_j = b_j + Σ_i x_i W_ij of n neighbouring units from unit j on."""
    z = load(w, b + j, n)
    for i in range(n_in):
        z = z + load(w, W + i * row + j, n) * w[x + i]
    return z


@ordered
def _sums_of_few(w, W, row, b, x, n_in, j, n):
    """The same in two sums, of which none waits for the other."""
    z, rest, even = load(w, b + j, n), splat(w.dtype.type(0), n), n_in - n_in % _2
    for i in range(_0, even, _2):
        z = z + load(w, W + i * row + j, n) * w[x + i]
        rest = rest + load(w, W + (i + _1) * row + j, n) * w[x + i + _1]
    if even < n_in:
        z = z + load(w, W + even * row + j, n) * w[x + even]
    return z + rest


@ordered
def _sum_over_inputs(w, W, row, x):
    """Σ_i x_i W_i of one unit of a turned layer."""
    n = width(w)
    total = splat(w.dtype.type(0), n)
    for i in range(_0, row, n):
        total = total + load(w, W + i, n) * load(w, x + i, n)
    return sum_of(total)


@inner
def weighted_sums(layers, l, w):
    """Write z of a layer to the place of its values."""
    W, b, row, n_in = layers[l, OWN_WEIGHTS], layers[l, OWN_BIAS], layers[l, ROW], layers[l, N_IN]
    x, z = layers[l, INPUTS], layers[l, UNITS]
    if layers[l, TURNED] == _1:
        for j in range(layers[l, N_OUT]):
            w[z + j] = w[b + j] + _sum_over_inputs(w, W + j * row, row, x)
        return
    n, wide = width(w), width(w, 4)
    far = row - row % wide
    for j in range(_0, far, wide):
        store(w, z + j, _sums_of_some(w, W, row, b, x, n_in, j, wide))
    for j in range(far, row, n):
        store(w, z + j, _sums_of_few(w, W, row, b, x, n_in, j, n))


@functools.cache
def make_activate(hidden: Codes) -> Any:
    """Make the activation of a layer's units in place; of several, *code* says which."""

    def for_code(code: int) -> Any:
        value = VALUES[code]

        @ordered
        def activate(code, layers, l, w):
            a, n = layers[l, UNITS], width(w)
            present = layers[l, ALL_UNITS] * _2 + a
            for j in range(_0, layers[l, N_OUT], n):
                store(w, a + j, value(load(w, a + j, n)) * load(w, present + j, n))

        return activate

    return by_code(for_code, hidden)


# Back


@ordered
def _update_some(w, W, d, j, step, n):
    """Update n weights from an input; their products with d before."""
    weights, d_j = load(w, W + j, n), load(w, d + j, n)
    store(w, W + j, weights - d_j * step)
    return weights * d_j


@ordered
def _update_row(w, W, row, d, step):
    """Update all weights from an input i; Σ_j W_ij d_j of before."""
    n, wide, result = width(w), width(w, 4), w.dtype.type(0)
    far = row - row % wide
    if far > _0:
        total = splat(result, wide)
        for j in range(_0, far, wide):
            total = total + _update_some(w, W, d, j, step, wide)
        result = sum_of(total)
    if far < row:
        rest = splat(w.dtype.type(0), n)
        for j in range(far, row, n):
            rest = rest + _update_some(w, W, d, j, step, n)
        result += sum_of(rest)
    return result


@ordered
def _update_turned(w, W, row, x, d, n_out, below, rate):
    """Update a turned layer; Σ_j W_ij d_j of before, for all inputs."""
    n = width(w)
    for i in range(_0, row, n):
        total, step = splat(w.dtype.type(0), n), load(w, x + i, n) * rate
        for j in range(n_out):
            weights, d_j = load(w, W + j * row + i, n), w[d + j]
            total = total + weights * d_j
            store(w, W + j * row + i, weights - step * d_j)
        store(w, below + i, total)


@functools.cache
def make_update_layer(bias: bool) -> Any:
    """Make the update of a layer from its d; it writes Σ_j W_ij d_j of before for its inputs."""

    @inner
    def update_layer(layers, l, w, rate):
        W, row, n_in, n_out = (
            layers[l, OWN_WEIGHTS],
            layers[l, ROW],
            layers[l, N_IN],
            layers[l, N_OUT],
        )
        x, d = layers[l, INPUTS], layers[l, ALL_UNITS] + layers[l, UNITS]
        below = layers[l, ALL_UNITS] + x
        if layers[l, TURNED] == _1:
            _update_turned(w, W, row, x, d, n_out, below, rate)
        else:
            for i in range(n_in):
                w[below + i] = _update_row(w, W + i * row, row, d, w[x + i] * rate)
        if bias:
            b, n = layers[l, OWN_BIAS], width(w)
            for j in range(_0, n_out, n):
                _update_some(w, b, d, j, rate, n)

    return update_layer


@functools.cache
def make_times_slope(hidden: Codes) -> Any:
    """Make d *= activation'(z) of the units that are a layer's inputs."""

    def for_code(code: int) -> Any:
        slope = SLOPES[code]

        @ordered
        def times_slope(code, layers, l, w):
            a, n = layers[l, INPUTS], width(w)
            d = layers[l, ALL_UNITS] + a
            for i in range(_0, layers[l, N_IN], n):
                a_i = load(w, a + i, n)
                store(w, d + i, load(w, d + i, n) * slope(a_i, a_i))

        return times_slope

    return by_code(for_code, hidden)


@functools.cache
def make_train_samples(hidden: Codes, output: int, loss: int, bias: bool) -> Any:
    """Make the kernel, see `plain.make_train`; the layers are those of `padded.padded_table`."""
    take, give = make_copies(bias)
    activate, finish = make_activate(hidden), make_finish(output, loss)
    update_layer, times_slope = make_update_layer(bias), make_times_slope(hidden)

    @inner
    def learn(layers, p, X, Y, last, row, rate, w, carried):
        load_row(X, row, w, _0)
        top = len(layers) - 1
        for l in range(top + 1):
            weighted_sums(layers, l, w)
            if l < top:
                activate(layers[l, ACTIVATION], layers, l, w)
        z, n_out = layers[top, UNITS], layers[top, N_OUT]
        loss = finish(w, z, layers[top, ALL_UNITS] + z, n_out, Y, row)
        for l in range(top, -1, -1):
            update_layer(layers, l, w, rate)
            if l > 0:
                times_slope(layers[l - 1, ACTIVATION], layers, l, w)
        return loss, carried

    @inner
    def end(layers, p, X, last, w, carried):
        give(layers, w, p)

    return make_train(take, learn, end, wide=False)
