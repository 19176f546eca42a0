"""One sample through one layer on rows that fill registers: forward, and back with the update.

Back, one pass over a layer's weights has both uses of each: what goes back is made with the weight
as it was, and then it is changed. Parameters and values are in the workspace w, see
`fastnn.kernels.padded`, whose table the layers are.
"""

from typing import Any

import numpy as np

from fastnn.kernels.activations import SLOPES, VALUES, Codes
from fastnn.kernels.jit import inner, made_once, ordered
from fastnn.kernels.lanes import load, splat, store, width
from fastnn.kernels.lanes import total as sum_of
from fastnn.kernels.layout import INPUTS, N_IN, N_OUT, UNITS
from fastnn.kernels.padded import ALL_UNITS, OWN_BIAS, OWN_WEIGHTS, ROW, STEP, TURNED
from fastnn.kernels.rows import by_code, dot, sums_of_some

_0, _1, _2, _3 = (np.uint64(k) for k in (0, 1, 2, 3))


# Forward


@inner
def take_row(layers, X, row, w):
    """Copy a sample's inputs to their place, with zeros to the end of the last register."""
    n, n_in = width(w), layers[0, N_IN]
    for i in range(_0, n_in, n):
        store(w, layers[0, INPUTS] + i, load(X, (row, i), n, n_in - i))


@ordered
def _sums_of_some(w, W, step, b, x, n_in, j, n):
    """z_j = b_j + Σ_i x_i W_ij of n neighbouring units from unit j on."""
    z = load(w, b + j, n)
    for i in range(n_in):
        z = z + load(w, W + i * step + j, n) * w[x + i]
    return z


@inner
def weighted_sums(layers, l, w):
    """Write z of a layer to the place of its values."""
    W, b, row, step = layers[l, OWN_WEIGHTS], layers[l, OWN_BIAS], layers[l, ROW], layers[l, STEP]
    x, z, n_in = layers[l, INPUTS], layers[l, UNITS], layers[l, N_IN]
    if layers[l, TURNED] == _1:
        for j in range(layers[l, N_OUT]):
            w[z + j] = w[b + j] + dot(w, W + j * step, w, x, row)
        return
    n, wide = width(w), width(w, 4)
    far = row - row % wide
    for j in range(_0, far, wide):
        store(w, z + j, _sums_of_some(w, W, step, b, x, n_in, j, wide))
    for j in range(far, row, n):
        store(w, z + j, sums_of_some(w, W + j, b + j, True, n_in, step, w, x, n, n))


@made_once
def make_activate(hidden: Codes, keeps: bool) -> Any:
    """Make the activation of a layer's units in place; of several, *code* says which.

    With *keeps* their slopes are kept, for the way back.
    """

    def for_code(code: int) -> Any:
        value, slope = VALUES[code], SLOPES[code]

        @ordered
        def activate(code, layers, l, w):
            a, n = layers[l, UNITS], width(w)
            present, slopes = layers[l, ALL_UNITS] * _2 + a, layers[l, ALL_UNITS] * _3 + a
            for j in range(_0, layers[l, N_OUT], n):
                z_j = load(w, a + j, n)
                a_j = value(z_j)
                if keeps:
                    store(w, slopes + j, slope(z_j, a_j))
                store(w, a + j, a_j * load(w, present + j, n))

        return activate

    return by_code(for_code, hidden)


# Back


@inner
def scale(w, d, n, factor):
    """Multiply n gradients of the outputs: everything on the way back is linear in them."""
    if factor != 1.0:  # as it is for samples without weights, which need not wait
        for j in range(n):
            w[d + j] *= w.dtype.type(factor)


@made_once
def make_times_slope(hidden: Codes, keeps: bool) -> Any:
    """Make d *= activation'(z) of the units that are a layer's inputs."""

    def for_code(code: int) -> Any:
        slope = SLOPES[code]

        @ordered
        def times_slope(code, layers, l, w):
            a, n = layers[l, INPUTS], width(w)
            d, slopes = layers[l, ALL_UNITS] + a, layers[l, ALL_UNITS] * _3 + a
            for i in range(_0, layers[l, N_IN], n):
                if keeps:
                    factor = load(w, slopes + i, n)
                else:
                    a_i = load(w, a + i, n)
                    factor = slope(a_i, a_i)
                store(w, d + i, load(w, d + i, n) * factor)

        return times_slope

    return for_code(hidden[0]) if keeps else by_code(for_code, hidden)


@made_once
def _make_go_back(act: Any, registers: int) -> tuple[Any, Any]:
    """Make the way back through a row, and through a turned layer, see `make_update_layer`."""

    @ordered
    def through_some(w, W, d, j, x, n, numbers):
        weights, d_j = load(w, W + j, n), load(w, d + j, n)
        value = act(w, W + j, weights, d_j * x, n, numbers)
        return weights * d_j, value

    @ordered
    def through_row(w, W, row, d, x, numbers):
        n, wide, below, value = width(w), width(w, registers), w.dtype.type(0), 0.0
        far = row - row % wide
        if far > _0:
            total, values = splat(below, wide), splat(value, wide)
            for j in range(_0, far, wide):
                product, more = through_some(w, W, d, j, x, wide, numbers)
                total, values = total + product, values + more
            below, value = sum_of(total), sum_of(values)
        if registers > 1 and far < row:
            total, values = splat(w.dtype.type(0), n), splat(0.0, n)
            for j in range(far, row, n):
                product, more = through_some(w, W, d, j, x, n, numbers)
                total, values = total + product, values + more
            below, value = below + sum_of(total), value + sum_of(values)
        return below, value

    @ordered
    def through_turned(w, W, row, step, x, d, n_out, below, numbers):
        n, values = width(w), splat(0.0, width(w))
        for i in range(_0, row, n):
            total, x_i = splat(w.dtype.type(0), n), load(w, x + i, n)
            for j in range(n_out):
                at, d_j = W + j * step + i, w[d + j]
                weights = load(w, at, n)
                total = total + weights * d_j
                values = values + act(w, at, weights, x_i * d_j, n, numbers)
            store(w, below + i, total)
        return sum_of(values)

    return through_row, through_turned


@made_once
def make_update_layer(bias: bool, act: Any, registers: int) -> Any:
    """Make the way back through a layer from its d: it writes Σ_j W_ij d_j for its inputs.

    What is done to the parameters meanwhile, *registers* of them at once, is
    ``act(w, at, parameters, gradients, n, numbers)``: *at* is the place of n of them. What it
    returns is added up, in float64. *numbers* are those for weights, *of_biases* those for biases.
    """
    through_row, through_turned = _make_go_back(act, registers)

    @inner
    def update_layer(layers, l, w, numbers, of_biases):
        W, row, step = layers[l, OWN_WEIGHTS], layers[l, ROW], layers[l, STEP]
        x, d, n_out = layers[l, INPUTS], layers[l, ALL_UNITS] + layers[l, UNITS], layers[l, N_OUT]
        below, value = layers[l, ALL_UNITS] + x, 0.0
        if layers[l, TURNED] == _1:
            value = through_turned(w, W, row, step, x, d, n_out, below, numbers)
        else:
            for i in range(layers[l, N_IN]):
                below_i, more = through_row(w, W + i * step, row, d, w[x + i], numbers)
                w[below + i] = below_i
                value += more
        if bias:
            b, n = layers[l, OWN_BIAS], width(w)
            for j in range(_0, n_out, n):
                b_j, d_j = load(w, b + j, n), load(w, d + j, n)
                value += sum_of(act(w, b + j, b_j, d_j, n, of_biases))
        return value

    return update_layer


@ordered
def subtract(w, at, parameters, gradients, n, numbers):
    """What plain SGD does to them."""
    store(w, at, parameters - gradients)
    return splat(0.0, n)
