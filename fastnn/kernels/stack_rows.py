"""A row's way through a network's layers, on the stack: forward, back, and the update.

All of it serves any network: activations and the loss are told apart at run time, once in a layer,
and the loops over its units are inside. h is a `fastnn.kernels.compiled.Compiled`.

What a pass needs are three vectors of `ROOM` numbers over the inputs and the units of all layers:
values; slopes, from the place S on; from D on weighted sums, and then gradients d. In each a layer
begins at a multiple of `STEP`, so that its last lanes may be filled with whatever is behind its
last unit.
"""

from typing import Any

import numpy as np

from fastnn.kernels.activations import SLOPES, VALUES
from fastnn.kernels.jit import inner, made_once
from fastnn.kernels.lanes import load, splat, store, total, width
from fastnn.kernels.layout import ACTIVATION, INPUTS, UNITS, layer_of
from fastnn.kernels.losses import (
    CROSS_ENTROPY,
    FROM_LOGITS,
    GAUSSIAN,
    GRADIENTS,
    QUANTILE,
    TERMS,
    gaussian,
    quantile,
)
from fastnn.kernels.outputs import SOFTMAX
from fastnn.kernels.rows import by_code, dot, softmax, weighted_sums
from fastnn.losses import LOSSES, MISSING

#: Numbers in a vector on the stack: three of them in float64 are 97 KB. No multiple of 4,096 bytes,
#: at which distance a load seems to the processor to need a store before.
ROOM = 4_144
#: Where slopes and d begin, and where all ends.
S, D, ALL = ROOM, 2 * ROOM, 3 * ROOM
#: As many lanes as there are at most.
STEP = 16


# Forward


@made_once
def _make_activate(keeps: bool) -> Any:
    """Make the activation of n units, from z to *at*; with *keeps* slopes are written to theirs.

    With *keeps* softmax is left to what follows.
    """

    def for_code(code: int) -> Any:
        value, slope = VALUES[code], SLOPES[code]

        @inner
        def activate(code, w, z, at, n):
            lanes = width(w)
            for j in range(0, n, lanes):
                z_j = load(w, z + j, lanes)
                a_j = value(z_j)
                store(w, at + j, a_j)
                if keeps:
                    store(w, at + j + S, slope(z_j, a_j))

        return activate

    def for_softmax() -> Any:
        @inner
        def activate_classes(code, w, z, at, n):
            if not keeps:
                softmax(w, z, at, n)

        return activate_classes

    def either(code: int) -> Any:
        return for_softmax() if code == SOFTMAX else for_code(code)

    return by_code(either, (SOFTMAX, *VALUES))


@made_once
def _make_pass(keeps: bool) -> Any:
    """Make the way through all layers; with *keeps* the weighted sums stay, in the place of d."""
    activate = _make_activate(keeps)
    beside = D if keeps else 0

    @inner
    def forward_pass(h, x, w):
        """Where the outputs are."""
        for i in range(np.uint64(h.n_inputs)):  # which numba knows not to count from the end
            w[i] = x[i]
        for l in range(len(h.layers)):
            at = h.layers[l, UNITS]
            W, b, n_in, n_out = layer_of(h.layers, l)
            weighted_sums(
                h.parameters, W, b, h.bias, n_in, n_out, w, h.layers[l, INPUTS], at + beside
            )
            activate(h.layers[l, ACTIVATION], w, at + beside, at, n_out)
        return h.layers[len(h.layers) - 1, UNITS]

    return forward_pass


pass_forward, pass_keeping = _make_pass(keeps=False), _make_pass(keeps=True)


# The Jacobian


@inner
def probabilities(h, w, at):
    """Softmax of the outputs, if it is theirs, after a pass that keeps."""
    if h.layers[len(h.layers) - 1, ACTIVATION] == SOFTMAX:
        softmax(w, at + D, at, h.n_outputs)


@inner
def _d_of_output(h, w, at, o):
    """Write d of all outputs where the gradient is that of output o."""
    d, n = D + at, h.n_outputs
    if h.layers[len(h.layers) - 1, ACTIVATION] == SOFTMAX:
        a_o = w[at + o]
        for j in range(n):
            w[d + j] = -a_o * w[at + j]
        w[d + o] += a_o
    else:
        for j in range(n):
            w[d + j] = 0
        w[d + o] = w[at + S + o]


@inner
def _back_to_units(h, w, l):
    """Write d of the units below a layer from its own."""
    W, _, n_in, n_out = layer_of(h.layers, l)
    x, d = h.layers[l, INPUTS], h.layers[l, UNITS] + D
    if n_out == 1:
        lanes = width(w)
        for i in range(0, n_in, lanes):
            weights = load(h.parameters, W + i, lanes, n_in - i)
            store(w, x + D + i, weights * load(w, x + S + i, lanes) * w[d])
        return
    for i in range(n_in):
        w[x + D + i] = dot(h.parameters, W + i * n_out, w, d, n_out) * w[x + S + i]


@inner
def jacobian_row(h, w, at, o, J):
    """Write the derivatives of output o to its row of J; the outputs are at *at*."""
    _d_of_output(h, w, at, o)
    for l in range(len(h.layers) - 1, 0, -1):
        _back_to_units(h, w, l)
    W, _, n_in, n = layer_of(h.layers, 0)
    d = h.layers[0, UNITS] + D
    for i in range(n_in):
        J[o, i] = dot(h.parameters, W + i * n, w, d, n)


# The losses, which take the outputs' sums from d and leave d there


@made_once
def _make_finish_sum(loss: int) -> Any:
    """Make the end of a loss that is a sum over outputs."""
    term, gradient, from_logits = TERMS[loss], GRADIENTS[loss], loss in FROM_LOGITS

    @inner
    def finish_sum(loss, h, w, at, y):
        result, n, ignores = w.dtype.type(0), h.n_outputs, h.loss >= MISSING
        for j in range(n):
            place = D + at + j
            z, a, t = w[place], w[at + j], _target(h, w, y, j)
            if ignores and t != t:
                w[place] = 0
                continue
            g = gradient(z, a, t, n)
            w[place] = g if from_logits else g * w[S + at + j]
            result += term(z, a, t, n)
        return result

    return finish_sum


@inner
def _target(h, w, y, j):
    number = w.dtype.type
    return y[j] * number(h.kept) + number(h.added)


@inner
def _finish_classes(loss, h, w, at, y):
    result, n, d = w.dtype.type(0), h.n_outputs, D + at
    log_total = softmax(w, d, at, n)
    for j in range(n):
        t = _target(h, w, y, j)
        result += t * (log_total - w[d + j])
        w[d + j] = w[at + j] - t
    return result


@inner
def _finish_gaussian(loss, h, w, at, y):
    result, m = w.dtype.type(0), h.n_targets
    d = D + at
    for j in range(m):
        d_mean, d_log, lost = gaussian(w[d + j], w[d + m + j], y[j], m)
        w[d + j] = d_mean
        w[d + m + j] = d_log
        result += lost
    return result


@inner
def _finish_quantiles(loss, h, w, at, y):
    result, n, d = w.dtype.type(0), h.n_outputs, D + at
    for j in range(n):
        g, lost = quantile(w[d + j], y[j % h.n_targets], h.levels[j], n)
        w[d + j] = g
        result += lost
    return result


_COUPLED = {CROSS_ENTROPY: _finish_classes, GAUSSIAN: _finish_gaussian, QUANTILE: _finish_quantiles}
#: By a loss's code without `MISSING`.
finish = by_code(
    lambda code: _COUPLED.get(code) or _make_finish_sum(code),
    tuple(loss.code for loss in LOSSES.values()),
)


# Plain SGD


@inner
def _update_some(p, w, row, d, j, step, lanes, count):
    """Update weights from an input; their products with d before."""
    weights, d_j = load(p, row + j, lanes, count), load(w, d + j, lanes, count)
    store(p, row + j, weights - step * d_j, count)
    return weights * d_j


@inner
def _update_row(p, w, row, d, n_out, step):
    """Update all weights from an input i; Σ_j W_ij d_j of before."""
    n, wide = width(p), width(p, 4)
    whole, most = n_out - n_out % n, n_out - n_out % wide
    result = p.dtype.type(0)
    if most > 0:
        sums = splat(result, wide)
        for j in range(0, most, wide):
            sums = sums + _update_some(p, w, row, d, j, step, wide, wide)
        result += total(sums)
    if most < n_out:
        rest = splat(p.dtype.type(0), n)
        for j in range(most, whole, n):
            rest = rest + _update_some(p, w, row, d, j, step, n, n)
        if whole < n_out:
            rest = rest + _update_some(p, w, row, d, whole, step, n, n_out - whole)
        result += total(rest)
    return result


@inner
def _update_of_one(p, w, W, x, d, i, step, lanes, count):
    """Update weights of some inputs to a layer's only unit, and write d of those below."""
    weights = load(p, W + i, lanes, count)
    slopes = load(w, x + S + i, lanes, count)
    store(p, W + i, weights - step * load(w, x + i, lanes, count), count)
    store(w, x + D + i, weights * slopes * d, count)


@inner
def update_layer(h, w, l, rate):
    """Update a layer, and write d of the units below."""
    p = h.parameters
    W, b, n_in, n_out = layer_of(h.layers, l)
    x, d = h.layers[l, INPUTS], h.layers[l, UNITS] + D
    n = width(p)
    if n_out == 1:
        d_0, whole = w[d], n_in - n_in % n
        for i in range(0, whole, n):
            _update_of_one(p, w, W, x, d_0, i, rate * d_0, n, n)
        if whole < n_in:
            _update_of_one(p, w, W, x, d_0, whole, rate * d_0, n, n_in - whole)
    elif l == 0:  # nothing is below
        for i in range(n_in):
            _update_row(p, w, W + i * n_out, d, n_out, rate * w[x + i])
    else:
        for i in range(n_in):
            back = _update_row(p, w, W + i * n_out, d, n_out, rate * w[x + i])
            w[x + D + i] = back * w[x + S + i]
    if h.bias:  # weights of an input that is always 1
        _update_row(p, w, b, d, n_out, rate)
