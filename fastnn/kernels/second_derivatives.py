"""Second derivatives with respect to the inputs, for a block of samples: the steps, and a kernel.

The names are those of `fastnn.kernels.derivatives`.
"""

from typing import Any

import numpy as np

from fastnn.kernels.activations import Codes
from fastnn.kernels.blocks import (
    WIDE_INPUT,
    back_through_weights,
    gather,
    make_sums,
)
from fastnn.kernels.derivatives import (
    LANES,
    SOFTMAX,
    centre,
    first_tangents,
    load_directions,
    make_activate_layer,
    through,
    times,
    write_back,
)
from fastnn.kernels.epochs import NO_ORDER
from fastnn.kernels.jit import inner, kernel, made_once, ordered
from fastnn.kernels.lanes import load, minimum, prefer_wide_vectors, store
from fastnn.kernels.layout import ACTIVATION, N_IN, N_OUT, UNITS, layer_of

_LANES = np.uint64(LANES)
_0, _1, _2, _3, _4 = np.arange(5, dtype=np.uint64)


@inner
def bend(layers, l, w, places, n, d, e, m):
    """From W D and W E to D and E of a layer, in place, where the tangents T are kept.

    D and T are of m directions, and E is one for all: what each of them adds to it.
    """
    before, n_units = layers[l, UNITS] - layers[0, UNITS], layers[l, N_OUT]
    at = before * places.block
    slopes, curves, t = places.slopes + at, places.curves + at, places.t + before * m * places.block
    if layers[l, ACTIVATION] == SOFTMAX:
        a = places.units + at
        centre(w, a, n_units, n, e, _1, places.scratch)
        times(w, a, n_units, n, e, _1, e)
        centre(w, a, n_units, n, d, m, places.scratch)
        times(w, a, n_units, n, d, m, d)
        for k in range(_0, m * n, n):
            for i in range(n):
                w[places.scratch + i] = 0
            for j in range(n_units):
                for i in range(n):
                    both = w[d + j * m * n + k + i] * w[t + j * m * n + k + i]
                    w[places.scratch + i] += both
                    w[e + j * n + i] += both
            for j in range(n_units):
                for i in range(n):
                    w[e + j * n + i] -= w[a + j * n + i] * w[places.scratch + i]
        return
    times(w, slopes, n_units, n, e, _1, e)
    for j in range(n_units):
        for k in range(j * m * n, (j + _1) * m * n, n):
            for i in range(n):
                w[e + j * n + i] += w[curves + j * n + i] * w[t + k + i] * w[d + k + i]
    times(w, slopes, n_units, n, d, m, d)


@made_once
def make_push(codes: Codes, bias: bool) -> Any:
    """Make the forward pass with second derivatives and, in all layers, tangents T and U.

    They are of the m directions at *places.u*, or, if that is not *given*, of all unit vectors.
    With *whole*, the output layer is activated; otherwise its sums are left, and T is all.
    """
    sums, through_weights = make_sums(bias), make_sums(False)
    activate_layer = make_activate_layer(codes, True)

    @inner
    def push(layers, p, w, places, n, m, given, whole):
        a, turned, u = places.x, layers[0, N_IN] < WIDE_INPUT, places.u
        for l in range(len(layers)):
            W, b, n_in, n_out = layer_of(layers, l)
            before = layers[l, UNITS] - layers[0, UNITS]
            z, t = places.units + before * places.block, places.t + before * m * places.block
            sums(p, W, b, n_in, n_out, w, w, a, turned, z, n, places.scratch)
            if l == 0 and not given:
                first_tangents(p, W, n_in, n_out, w, t, n)
            else:
                through_weights(p, W, b, n_in, n_out, w, w, u, turned, t, m * n, places.scratch)
            u = places.pushed + before * m * places.block
            if whole or l < len(layers) - 1:
                activate_layer(layers, l, w, places, n)
                through(layers, l, w, places, n, t, m, u)
            a, turned = z, True

    return push


@inner
def _write_product(layers, p, w, places, n, out, position):
    """The derivative, in the one direction, of the gradient of Σ v a: D holds the seeds v."""
    d, below, e, e_below = places.d, places.d_below, places.e, places.e_below
    for k in range(layers[len(layers) - 1, N_OUT] * n):
        w[e + k] = 0
    for l in range(len(layers) - 1, -1, -1):
        W, _b, n_in, n_out = layer_of(layers, l)
        bend(layers, l, w, places, n, d, e, _1)
        if l == 0:
            write_back(p, W, n_in, n_out, w, e, _1, n, places.x, out, position)
        else:
            back_through_weights(p, W, n_in, n_out, w, d, below, n)
            back_through_weights(p, W, n_in, n_out, w, e, e_below, n)
            d, below, e, e_below = below, d, e_below, e


@inner
def _write_hessians(layers, p, w, places, n, m, out, position):
    """Second derivatives of the outputs, (n_out, m, m) for each sample, in all m directions.

    They are Σ over all units of c (W D) T Tᵀ; of softmax D R Rᵀ.
    """
    d, below, last = places.d, places.d_below, len(layers) - 1
    n_out, size = layers[last, N_OUT], layers[last, N_OUT] * m * m
    for k in range(size * n):
        w[places.h + k] = 0
    for l in range(last, -1, -1):
        before = layers[l, UNITS] - layers[0, UNITS]
        t = places.t + before * m * places.block
        if layers[l, ACTIVATION] == SOFTMAX:
            through(layers, l, w, places, n, d, n_out, d)
            _add_squares(w, d, layers[l, N_OUT], n_out, t, m, n, places.h)
        else:
            q, curves = places.q, places.curves + before * places.block
            times(w, curves, layers[l, N_OUT], n, d, n_out, q)
            _add_squares(w, q, layers[l, N_OUT], n_out, t, m, n, places.h)
            through(layers, l, w, places, n, d, n_out, d)
        if l > 0:
            W, _b, n_in, width = layer_of(layers, l)
            back_through_weights(p, W, n_in, width, w, d, below, n_out * n)
            d, below = below, d
    for s in range(n):
        for k in range(n_out):
            for i in range(m):
                for j in range(m):
                    low, high = (i, j) if i < j else (j, i)
                    h = w[places.h + ((k * m + high) * m + low) * n + s]
                    out[(position + s) * size + (k * m + i) * m + j] = h


@ordered
def _add_squares(w, q, n_units, n_out, t, m, n, h):
    """Add Σ over units of Q T Tᵀ at *h*, (n_out, m, m) for n samples, in the lower triangles.

    Four columns at a time, so that some are beyond them.
    """
    for s in range(_0, n, _LANES):
        left = n - s
        for k in range(n_out):
            for i in range(m):
                fours = minimum(i + _4 - i % _4, m - m % _4)
                for o in range(_0, fours, _4):
                    at = h + ((k * m + i) * m + o) * n + s
                    a, b = load(w, at, LANES, left), load(w, at + n, LANES, left)
                    c, d = load(w, at + _2 * n, LANES, left), load(w, at + _3 * n, LANES, left)
                    for j in range(n_units):
                        u = t + (j * m + o) * n + s
                        r = load(w, q + (j * n_out + k) * n + s, LANES, left)
                        r = r * load(w, t + (j * m + i) * n + s, LANES, left)
                        a = a + r * load(w, u, LANES, left)
                        b = b + r * load(w, u + n, LANES, left)
                        c = c + r * load(w, u + _2 * n, LANES, left)
                        d = d + r * load(w, u + _3 * n, LANES, left)
                    store(w, at, a, left)
                    store(w, at + n, b, left)
                    store(w, at + _2 * n, c, left)
                    store(w, at + _3 * n, d, left)
                for o in range(fours, i + _1):
                    at = h + ((k * m + i) * m + o) * n + s
                    a = load(w, at, LANES, left)
                    for j in range(n_units):
                        r = load(w, q + (j * n_out + k) * n + s, LANES, left)
                        r = r * load(w, t + (j * m + i) * n + s, LANES, left)
                        a = a + r * load(w, t + (j * m + o) * n + s, LANES, left)
                    store(w, at, a, left)


@made_once
def make_second(codes: Codes, bias: bool) -> Any:
    """Make the kernel of second derivatives, for the *codes* of all layers but softmax.

    It fills out with the derivatives (n, n_in), in each sample's direction, its row of *directions*
    (n, n_in), of the gradient of Σ v a, its row of *seeds* (n, n_out); or, both being empty, with
    the Hessians of all outputs, (n, n_out, n_in, n_in).
    """
    push = make_push(codes, bias)

    @kernel
    def second(layers, places, p, X, directions, seeds, out, w):
        prefer_wide_vectors()
        n_in, n_out, block = layers[0, N_IN], layers[len(layers) - 1, N_OUT], np.int64(places.block)
        given, narrow = len(seeds) > 0, n_in < WIDE_INPUT
        m = _1 if given else n_in
        for position in range(0, len(X), block):
            n, before = np.uint64(minimum(block, len(X) - position)), np.uint64(position)
            gather(X, NO_ORDER, 0, position, n, narrow, w, places.x)
            if given:
                gather(directions, NO_ORDER, 0, position, n, narrow, w, places.u)
            push(layers, p, w, places, n, m, given, True)
            load_directions(seeds, position, n, True, w, places.d, n_out, n_out)
            if given:
                _write_product(layers, p, w, places, n, out, before)
            else:
                _write_hessians(layers, p, w, places, n, m, out, before)

    return second
