"""Derivatives with respect to the inputs, for a block of samples: the steps, and a kernel.

As in `fastnn.kernels.blocks` matrices are (width, n). Derivatives in several directions lie side by
side, (width, m n) with those of the samples in the first direction first, so that all m go through
the weights in one product:

    ahead    tangents T = ∂z/∂direction (n_out, m n) = Wᵀ U, with U = s * T of the layer below
    back     D = ∂(Σ v a)/∂z at the output; one layer down, D (n_in, m n) = s * (W D)
    curved   along with D goes its own derivative E in one direction, whose tangents are T:
             E = s * (W E) + c * T * (W D); at the input W E is the derivative of W D

s and c are the first and second derivatives of the activations. Of softmax, which couples the
outputs of a sample, they are here: U = a * R with R = T - Σ a T; D = a * (v - Σ a v);
E = D * R - a * Σ D R.
"""

import itertools
from collections import namedtuple
from typing import Any

import numpy as np

from fastnn.activations import ACTIVATIONS
from fastnn.architecture import Architecture
from fastnn.kernels.activations import CURVATURES, SLOPES, VALUES, Codes
from fastnn.kernels.block_ends import softmax
from fastnn.kernels.blocks import (
    BLOCK,
    WIDE_INPUT,
    Into,
    back_through_weights,
    gather,
    make_gradient,
    make_sums,
    room_apart,
)
from fastnn.kernels.epochs import NO_ORDER
from fastnn.kernels.jit import inner, kernel, made_once, ordered, shared
from fastnn.kernels.lanes import load, minimum, prefer_wide_vectors, store
from fastnn.kernels.layout import ACTIVATION, INPUTS, N_IN, N_OUT, UNITS, layer_of
from fastnn.kernels.products import multiply
from fastnn.kernels.rows import by_code
from fastnn.kernels.tiles import Matrix
from fastnn.kernels.turning import turn
from fastnn.memory import MOST_BYTES

SOFTMAX = np.uint64(ACTIVATIONS["softmax"].code)

#: Numbers that are activated together.
LANES = 16
_LANES = np.uint64(LANES)
_0, _1 = np.uint64(0), np.uint64(1)

#: How many samples make a block, and the places in the workspace: inputs and their direction; of
#: all units the values, slopes, second derivatives, tangents T and U; D of two neighbouring layers,
#: and c (W D); E of two layers; Hessians; targets, and of the Jacobians; weights; scratch.
Places = namedtuple(
    "Places",
    "block x u units slopes curves t pushed d d_below q e e_below h y wanted weights scratch end",
)
#: Samples of a block, if memory allows, are at least so many, and otherwise as many as leave the
#: largest product so many multiplications: the caches hold what it works on.
SMALLEST, AT_ONCE = 32, 1_000_000


def find_places(
    architecture: Architecture,
    ahead: int,
    back: int,
    curved: bool,
    squared: bool = False,
    learned: bool = False,
) -> Places:
    """The places for so many directions *ahead* and *back*.

    *squared* with those of Hessians, *learned* with those of targets.
    """
    n_in, *hidden, n_out = architecture.sizes
    units, widest = sum(hidden) + n_out, max(architecture.sizes[1:])
    most = max(ahead, back, 1)
    tangents, flow = units * ahead * curved, widest * most
    targets = (architecture.target_columns * learned, n_out * n_in * learned, int(learned))
    rows = [n_in, n_in, units, units, units * curved, tangents, tangents, flow, flow]
    rows += [flow * squared, widest * curved, widest * curved, n_out * n_in * n_in * squared]
    rows += [*targets, room_apart(widest, architecture) * (most if learned else 1)]
    largest = max(a * b for a, b in itertools.pairwise(architecture.sizes))
    held = AT_ONCE // (largest * most)
    fitting = MOST_BYTES // (sum(rows) * architecture.dtype.itemsize)
    block = max(min(BLOCK, fitting, max(held, SMALLEST)), 1)
    block -= block % 8 if block > 8 else 0
    starts = itertools.accumulate((size * block for size in rows), initial=0)
    return Places(*map(np.uint64, (block, *starts)))


@made_once
def _make_activate(codes: Codes, curved: bool) -> Any:
    """Make the activation of n numbers in place, with slopes and, if *curved*, their slopes."""

    def for_code(code: int) -> Any:
        value, slope, curvature = VALUES[code], SLOPES[code], CURVATURES[code]

        @ordered
        def activate(code, w, at, n, slopes, curves):
            for j in range(_0, n, _LANES):
                left = n - j
                z = load(w, at + j, LANES, left)
                a = value(z)
                s = slope(z, a)
                store(w, at + j, a, left)
                store(w, slopes + j, s, left)
                if curved:
                    store(w, curves + j, curvature(z, a, s), left)

        return activate

    return by_code(for_code, codes)


@made_once
def make_activate_layer(codes: Codes, curved: bool) -> Any:
    """Make the activation of a layer's sums, softmax too, which has no slopes of its own."""
    activate = _make_activate(codes, curved)

    @inner
    def activate_layer(layers, l, w, places, n):
        at, n_out = (layers[l, UNITS] - layers[0, UNITS]) * places.block, layers[l, N_OUT]
        z = places.units + at
        if layers[l, ACTIVATION] == SOFTMAX:
            softmax(w, z, n_out, n)
        else:
            slopes, curves = places.slopes + at, places.curves + at
            activate(layers[l, ACTIVATION], w, z, n_out * n, slopes, curves)

    return activate_layer


@made_once
def _make_forward(codes: Codes, bias: bool, curved: bool) -> Any:
    """Make the forward pass: values and slopes of all layers."""
    sums, activate_layer = make_sums(bias), make_activate_layer(codes, curved)

    @inner
    def forward(layers, p, w, places, n):
        a, turned = places.x, layers[0, N_IN] < WIDE_INPUT
        for l in range(len(layers)):
            W, b, n_in, n_out = layer_of(layers, l)
            z = places.units + (layers[l, UNITS] - layers[0, UNITS]) * places.block
            sums(p, W, b, n_in, n_out, w, w, a, turned, z, n, places.scratch)
            activate_layer(layers, l, w, places, n)
            a, turned = z, True

    return forward


@shared
def through(layers, l, w, places, n, t, m, into):
    """From tangents of a layer's sums to those of its values, or gradients the other way.

    *into* = s * T for the m directions of T (n_units, m n); it may be T itself. Of softmax T
    becomes R.
    """
    prefer_wide_vectors()
    at, n_units = (layers[l, UNITS] - layers[0, UNITS]) * places.block, layers[l, N_OUT]
    slopes = places.slopes + at
    if layers[l, ACTIVATION] == SOFTMAX:
        slopes = places.units + at
        centre(w, slopes, n_units, n, t, m, places.scratch)
    times(w, slopes, n_units, n, t, m, into)


@ordered
def times(w, slopes, n_units, n, t, m, into):
    """*into* = s * T for the m directions of T (n_units, m n); it may be T itself."""
    for j in range(n_units):
        for i in range(_0, n, _LANES):
            left = n - i
            s = load(w, slopes + j * n + i, LANES, left)
            for k in range(j * m * n + i, (j + _1) * m * n + i, n):
                store(w, into + k, s * load(w, t + k, LANES, left), left)


@inner
def centre(w, a, n_units, n, t, m, mean):
    """R = T - Σ a T, in place; *mean* has room for n numbers."""
    for k in range(_0, m * n, n):
        for i in range(n):
            w[mean + i] = 0
        for j in range(n_units):
            for i in range(n):
                w[mean + i] += w[a + j * n + i] * w[t + j * m * n + k + i]
        for j in range(n_units):
            for i in range(n):
                w[t + j * m * n + k + i] -= w[mean + i]


@inner
def load_directions(seeds, position, n, turned, w, to, n_units, m):
    """The samples' own direction, a row of *seeds* each; without any, all m unit vectors."""
    if len(seeds) > 0:
        gather(seeds, NO_ORDER, 0, position, n, turned, w, to)
        return
    for k in range(n_units * m * n):
        w[to + k] = 0
    for j in range(n_units):
        for i in range(n):
            w[to + (j * m + j) * n + i] = 1


@inner
def first_tangents(p, W, n_in, n_out, w, t, n):
    """T of the first layer, for all n_in unit vectors: W itself."""
    for j in range(n_out):
        for i in range(n_in):
            for s in range(n):
                w[t + (j * n_in + i) * n + s] = p[W + i * n_out + j]


_through_weights = make_sums(False)


@inner
def _ahead(layers, p, w, places, n, m, given, out, position):
    """Write U of the outputs, (n_out, m) for each sample."""
    t, u, turned = places.d, places.u, layers[0, N_IN] < WIDE_INPUT
    for l in range(len(layers)):
        W, b, n_in, n_out = layer_of(layers, l)
        if l == 0 and not given:
            first_tangents(p, W, n_in, n_out, w, t, n)
        else:
            _through_weights(p, W, b, n_in, n_out, w, w, u, turned, t, m * n, places.scratch)
        through(layers, l, w, places, n, t, m, t)
        t, u, turned = (places.d_below if t == places.d else places.d), t, True
    size = layers[len(layers) - 1, N_OUT] * m
    for s in range(n):
        for k in range(size):
            out[(position + s) * size + k] = w[u + k * n + s]


@inner
def write_back(p, W, n_in, n_out, w, d, m, n, x, out, position):
    """W D of the first layer, (m, n_in) for each sample, by way of (n_in, n) numbers at x."""
    one = p.dtype.type(1)
    weights, O = Matrix(p, W, n_out, False), Matrix(w, x, n, False)
    for k in range(m):
        D = Matrix(w, d + k * n, m * n, False)
        multiply(one, weights, D, one - one, O, O, (n_in, n_out, n))
        turn(w, x, n_in, n, out, (position * m + k) * n_in, m * n_in)


@ordered
def start_back(layers, p, w, places, n):
    """D of the last hidden layer's sums, for all unit vectors of the outputs: slopes times W."""
    last = len(layers) - 1
    W, _b, n_in, m = layer_of(layers, last)
    of_hidden = places.slopes + (layers[last, INPUTS] - layers[0, UNITS]) * places.block
    of_output = places.slopes + (layers[last, UNITS] - layers[0, UNITS]) * places.block
    for i in range(n_in):
        for s in range(_0, n, _LANES):
            left = n - s
            slope = load(w, of_hidden + i * n + s, LANES, left)
            for k in range(m):
                both = slope * load(w, of_output + k * n + s, LANES, left)
                store(w, places.d + (i * m + k) * n + s, both * p[W + i * m + k], left)


@made_once
def _make_back(bias: bool) -> Any:
    """Make what writes W D of the inputs, (m, n_in) for each sample, from D of layer *top*.

    It adds the gradient with respect to the parameters to *into*, if that is not empty.
    """
    gradient = make_gradient(bias)

    @inner
    def back(layers, top, p, w, places, n, m, out, position, into):
        one = p.dtype.type(1)
        to = Into(into, one, into, one, one)
        d, below, first = places.d, places.d_below, layers[0, UNITS]
        for l in range(top, -1, -1):
            W, b, n_in, n_out = layer_of(layers, l)
            a, turned = places.x, n_in < WIDE_INPUT
            if l > 0:
                a, turned = places.units + (layers[l, INPUTS] - first) * places.block, True
            if len(into) > 0:
                gradient(to, W, b, n_in, n_out, w, w, a, turned, d, n, places.scratch)
            if l == 0:
                write_back(p, W, n_in, n_out, w, d, m, n, places.x, out, position)
            else:
                back_through_weights(p, W, n_in, n_out, w, d, below, m * n)
                through(layers, l - 1, w, places, n, below, m, below)
                d, below = below, d

    return back


@made_once
def make_first(codes: Codes, bias: bool) -> Any:
    """Make the kernel of first derivatives, for the *codes* of all layers but softmax.

    With *forwards* it fills out with U (n, n_out, m) of each sample's direction, its row of *seeds*
    (n, n_in), or, *seeds* being empty, of all n_in unit vectors. Otherwise with W D (n, m, n_in) of
    the seeds (n, n_out), or of the unit vectors; then it adds the gradient with respect to the
    parameters to *into*, if that is not empty.
    """
    forward, back = _make_forward(codes, bias, False), _make_back(bias)

    @kernel
    def first(layers, places, p, X, seeds, forwards, into, out, w):
        prefer_wide_vectors()
        last, n_in, block = len(layers) - 1, layers[0, N_IN], np.int64(places.block)
        n_out, narrow = layers[last, N_OUT], n_in < WIDE_INPUT
        m = _1 if len(seeds) > 0 else (n_in if forwards else n_out)
        for position in range(0, len(X), block):
            n, before = np.uint64(minimum(block, len(X) - position)), np.uint64(position)
            gather(X, NO_ORDER, 0, position, n, narrow, w, places.x)
            forward(layers, p, w, places, n)
            if forwards:
                if len(seeds) > 0:
                    gather(seeds, NO_ORDER, 0, position, n, narrow, w, places.u)
                _ahead(layers, p, w, places, n, m, len(seeds) > 0, out, before)
                continue
            top = last
            if len(seeds) == 0 and last > 0 and layers[last, ACTIVATION] != SOFTMAX:
                start_back(layers, p, w, places, n)
                top = last - 1
            else:
                load_directions(seeds, position, n, True, w, places.d, n_out, m)
                through(layers, last, w, places, n, places.d, m, places.d)
            back(layers, top, p, w, places, n, m, out, before, into)

    return first
