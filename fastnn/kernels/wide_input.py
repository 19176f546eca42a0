"""Per-sample SGD for wide first layers, a block of samples at a time: exact, by matrix products.

Sample by sample, a wide first layer is bound by memory: each sample reads and writes all of W. But
the inputs are known ahead, and what a block of samples changes in W is one product of matrices.

Let a block have the inputs x_0, x_1, … (rows of X), and let d_s be sample s's gradient of the loss
with respect to the first layer's weighted sums, times the learning rate. Per-sample SGD says

    W_{s+1} = W_s − x_sᵀ d_s        b_{s+1} = b_s − d_s        z_s = x_s W_s + b_s

where W_s and b_s are what sample s meets. The first two, from the block's start on, in the third:

    z_i = x_i W_0 + b_0 − Σ_{s<i} (x_i·x_s + 1) d_s

The 1 carries the bias and is 0 without biases. So W need not be changed within the block:

    before it      Z = X W_0 + b_0 and G = X Xᵀ, two products
    in it          for each sample, z_i = Z_i − Σ_{s<i} (G_is + 1) d_s; then the layers above, at
                   once and with their own updates, which yields d_i
    after it       W −= Xᵀ D and b −= Σ_s d_s, one product

It is the same algorithm, not an approximation: only the order of the sums differs. Instead of
2 B n_in n_hidden numbers loaded or stored for B samples there are products from registers,
B² n_in / 2 multiplications for G and as many times n_hidden / n_in for the sums over s. The block's
size balances these against W's trips through the cache. Of G only what lies on and below the
diagonal is computed, in strips of a few rows.

Above the first layer the weights are kept transposed meanwhile, one output's weights in a row, so
that the lanes run over a layer's inputs however few its outputs are.

Where training is cut into pieces changes no bit, as long as the pieces begin at multiples of
`BLOCK` rows of the epoch: then the blocks are the same.
"""

import functools
from collections import namedtuple
from typing import Any

import numpy as np

from fastnn.kernels.activations import Codes
from fastnn.kernels.epochs import row_of
from fastnn.kernels.jit import inner, kernel
from fastnn.kernels.lanes import minimum, prefer_wide_vectors
from fastnn.kernels.layout import ACTIVATION, BIAS, N_IN, N_OUT, UNITS, WEIGHTS
from fastnn.kernels.products import multiply
from fastnn.kernels.rows import load_row, make_activate, make_finish, make_times_slope, transpose
from fastnn.kernels.tiles import Matrix
from fastnn.memory import MOST_BYTES

# When blocks pay: the time sample by sample / in blocks, on a Zen 5, sigmoid, float32 / float64,
# and with AVX2 only. With one hidden layer:
#   64-100-10   0.71 / 0.95, 0.99 / 0.93    784-16-10   0.68 / 0.53
#   100-100-10  0.87 / 1.12, 1.17 / 1.02    784-32-10   0.74 / 0.87, 0.97 / 0.86
#   200-128-10  1.26 / 1.26, 1.23 / 1.08    784-48-10   1.49 / 1.59
#   150-64-10   0.82 / 1.03                 784-128-10  1.54 / 1.76, 1.38 / 1.20
# with more:
#   64-64-64-4  0.85 / 1.04, 0.95 / 1.10    128-64-32-4 1.28 / 1.82, 1.23 / 1.37
#   64-100-10-3 1.06 / 1.37                 100-64-16-3 1.28 / 1.37
#: Inputs, and units and bytes of weights of the first layer, from which blocks pay: where these are
#: more than the nearest cache keeps, or half of it where there are other layers to go through.
LEAST_INPUTS, LEAST_UNITS, LEAST_BYTES, LEAST_BYTES_IF_DEEP = 48, 33, 1 << 16, 1 << 15

#: Samples in a block; `fastnn.training` cuts epochs at multiples of it.
BLOCK = np.uint64(64)
#: Rows of G in one product.
STRIP = np.uint64(8)

_0, _1, _2, _3 = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(3)
_4 = np.uint64(4)

#: Places in the workspace: a block's X, Z, D and G; the upper layers' weights, transposed; and
#: three vectors of all units: their sums, values and gradients times the rate.
Places = namedtuple("Places", "x z d gram upper sums values gradients end")


def find_places(layers):
    """The places for this network."""
    n_in, n_hidden, last = layers[0, N_IN], layers[0, N_OUT], len(layers) - 1
    n_units = layers[last, UNITS] + layers[last, N_OUT] - n_in
    n_weights = _0
    for l in range(1, len(layers)):
        n_weights += layers[l, N_IN] * layers[l, N_OUT]
    z = BLOCK * n_in
    d = z + BLOCK * n_hidden
    gram = d + BLOCK * n_hidden
    upper = gram + BLOCK * BLOCK
    sums = upper + n_weights
    values = sums + n_units
    gradients = values + n_units
    return Places(_0, z, d, gram, upper, sums, values, gradients, gradients + n_units)


_places_of = inner(find_places)


def pays(layers: np.ndarray, itemsize: int) -> bool:
    """Whether this kernel is faster for a network than those that go sample by sample.

    Where a block takes too much memory, it does not come into question.
    """
    n_in, n_units = int(layers[0, N_IN]), int(layers[0, N_OUT])
    fits = int(BLOCK) * (n_in + 2 * n_units) * itemsize <= MOST_BYTES
    least = LEAST_BYTES if len(layers) == 2 else LEAST_BYTES_IF_DEEP
    enough = n_in >= LEAST_INPUTS and n_units >= LEAST_UNITS
    return fits and enough and n_in * n_units * itemsize >= least


def workspace_size(layers: np.ndarray) -> int:
    """How many numbers the kernel needs."""
    return int(find_places(layers).end)


@functools.cache
def _make_enter_block(bias: bool) -> Any:
    """Make Z = X W + b and G = X Xᵀ of n samples."""

    @inner
    def enter_block(layers, p, workspace, places, n):
        n_in, n_hidden = layers[0, N_IN], layers[0, N_OUT]
        W, b = layers[0, WEIGHTS], layers[0, BIAS]
        one, zero = p.dtype.type(1), p.dtype.type(0)
        for s in range(n):
            for j in range(n_hidden):
                workspace[places.z + s * n_hidden + j] = p[b + j] if bias else zero
        X, weights = Matrix(workspace, places.x, n_in, False), Matrix(p, W, n_hidden, False)
        Z = Matrix(workspace, places.z, n_hidden, False)
        multiply(one, X, weights, one, Z, (n, n_in, n_hidden))
        turned = Matrix(workspace, places.x, n_in, True)
        for s in range(_0, n, STRIP):
            rows = minimum(STRIP, n - s)
            X = Matrix(workspace, places.x + s * n_in, n_in, False)
            G = Matrix(workspace, places.gram + s * BLOCK, BLOCK, False)
            multiply(one, X, turned, zero, G, (rows, n_in, s + rows))

    return enter_block


@functools.cache
def _make_leave_block(bias: bool) -> Any:
    """Make W −= Xᵀ D and b −= Σ d of n samples."""

    @inner
    def leave_block(layers, p, workspace, places, n):
        n_in, n_hidden = layers[0, N_IN], layers[0, N_OUT]
        W, b = layers[0, WEIGHTS], layers[0, BIAS]
        one = p.dtype.type(1)
        X, D = Matrix(workspace, places.x, n_in, True), Matrix(workspace, places.d, n_hidden, False)
        multiply(-one, X, D, one, Matrix(p, W, n_hidden, False), (n_in, n, n_hidden))
        if bias:
            for s in range(n):
                for j in range(n_hidden):
                    p[b + j] -= workspace[places.d + s * n_hidden + j]

    return leave_block


@inner
def _take_off_earlier(workspace, z, gram, d, n_earlier, n_hidden, extra):
    """z −= Σ_s (G_s + extra) d_s over the block's earlier samples, four a pass."""
    prefer_wide_vectors()  # not in the kernel: this function is too long for LLVM to inline
    fours = n_earlier // _4 * _4
    for s in range(_0, fours, _4):
        g0, g1 = workspace[gram + s] + extra, workspace[gram + s + _1] + extra
        g2, g3 = workspace[gram + s + _2] + extra, workspace[gram + s + _3] + extra
        d0 = d + s * n_hidden
        d1, d2, d3 = d0 + n_hidden, d0 + _2 * n_hidden, d0 + _3 * n_hidden
        for j in range(n_hidden):
            workspace[z + j] -= (g0 * workspace[d0 + j] + g1 * workspace[d1 + j]) + (
                g2 * workspace[d2 + j] + g3 * workspace[d3 + j]
            )
    for s in range(fours, n_earlier):
        g, d_s = workspace[gram + s] + extra, d + s * n_hidden
        for j in range(n_hidden):
            workspace[z + j] -= g * workspace[d_s + j]


@inner
def _transposed_sums(workspace, V, n_in, n_out, a, z):
    """z_o = Σ_j V_oj a_j, four outputs a pass."""
    prefer_wide_vectors()
    zero = workspace.dtype.type(0)
    fours = n_out // _4 * _4
    for o in range(_0, fours, _4):
        v0 = V + o * n_in
        v1, v2, v3 = v0 + n_in, v0 + _2 * n_in, v0 + _3 * n_in
        z0, z1, z2, z3 = zero, zero, zero, zero
        for j in range(n_in):
            a_j = workspace[a + j]
            z0 += workspace[v0 + j] * a_j
            z1 += workspace[v1 + j] * a_j
            z2 += workspace[v2 + j] * a_j
            z3 += workspace[v3 + j] * a_j
        workspace[z + o], workspace[z + o + _1] = z0, z1
        workspace[z + o + _2], workspace[z + o + _3] = z2, z3
    for o in range(fours, n_out):
        total, v = zero, V + o * n_in
        for j in range(n_in):
            total += workspace[v + j] * workspace[a + j]
        workspace[z + o] = total


@inner
def _back_and_update(workspace, V, n_in, n_out, d, a, below):
    """below_j = Σ_o V_oj d_o, and V_oj −= d_o a_j, one output a pass: with two, no vectors."""
    prefer_wide_vectors()
    for j in range(n_in):
        workspace[below + j] = 0
    for o in range(n_out):
        d_o, v = workspace[d + o], V + o * n_in
        for j in range(n_in):
            w = workspace[v + j]
            workspace[below + j] += w * d_o
            workspace[v + j] = w - d_o * workspace[a + j]


@functools.cache
def _make_forward(hidden: Codes, output: int, loss: int, bias: bool) -> Any:
    """Make a sample's way up from its first sums, at z, which become values; returns the loss."""
    activate = make_activate(hidden, False)
    finish = make_finish(output, loss)

    @inner
    def forward(layers, p, workspace, places, z, Y, row):
        last, n_in, n = len(layers) - 1, layers[0, N_IN], layers[0, N_OUT]
        at, into, V = _0, z, places.upper  # the place among the units, of the sums; the weights
        if last > 0:
            activate(layers[0, ACTIVATION], workspace, z, n, z)
        else:
            for j in range(n):
                workspace[places.sums + j] = workspace[z + j]
        for l in range(1, last + 1):
            below, n_below, b = into, n, layers[l, BIAS]
            at, n = layers[l, UNITS] - n_in, layers[l, N_OUT]
            into = (places.values if l < last else places.sums) + at
            _transposed_sums(workspace, V, n_below, n, below, into)
            if bias:
                for j in range(n):
                    workspace[into + j] += p[b + j]
            if l < last:
                activate(layers[l, ACTIVATION], workspace, into, n, into)
            V += n_below * n
        return finish(workspace, places.sums + at, places.gradients + at, n, Y, row)

    return forward


@functools.cache
def _make_backward(hidden: Codes, bias: bool) -> Any:
    """Make a sample's way down, updating the upper layers; the first layer's part goes to d."""
    times_slope = make_times_slope(hidden, False)

    @inner
    def backward(layers, p, workspace, places, z, d, rate):
        last, n_in, n = len(layers) - 1, layers[0, N_IN], layers[len(layers) - 1, N_OUT]
        at, V = layers[last, UNITS] - n_in, places.sums  # the weights end where the sums begin
        gradients = places.gradients + at
        for j in range(n):
            workspace[gradients + j] *= rate
        for l in range(last, 0, -1):
            b, n_below, at = layers[l, BIAS], layers[l, N_IN], layers[l - 1, UNITS] - n_in
            values, below = (places.values + at, places.gradients + at) if l > 1 else (z, d)
            V -= n_below * n
            _back_and_update(workspace, V, n_below, n, gradients, values, below)
            if bias:
                for j in range(n):
                    p[b + j] -= workspace[gradients + j]
            times_slope(layers[l - 1, ACTIVATION], workspace, values, below, n_below, values)
            gradients, n = below, n_below
        if last == 0:
            for j in range(n):
                workspace[d + j] = workspace[gradients + j]

    return backward


@functools.cache
def make_train_wide_input(hidden: Codes, output: int, loss: int, bias: bool) -> Any:
    """Make the kernel for these codes; its arguments are those of `epochs.make_train`."""
    enter_block, leave_block = _make_enter_block(bias), _make_leave_block(bias)
    forward = _make_forward(hidden, output, loss, bias)
    backward = _make_backward(hidden, bias)

    @kernel
    def train_wide_input(layers, p, moments, t, data, span, options, workspace):
        places, n_hidden = _places_of(layers), layers[0, N_OUT]
        extra = p.dtype.type(1 if bias else 0)
        V = places.upper
        for l in range(1, len(layers)):
            transpose(p, layers[l, WEIGHTS], workspace, V, layers[l, N_IN], layers[l, N_OUT])
            V += layers[l, N_IN] * layers[l, N_OUT]
        per_update = 1 if span.rates.shape[1] > 1 else 0
        for epoch in range(len(span.rates)):
            total = span.loss_sums[epoch]
            for position in range(span.start, span.stop, np.int64(BLOCK)):
                n = np.uint64(minimum(np.int64(BLOCK), span.stop - position))
                for s in range(n):
                    row = row_of(data.order, epoch, position + np.int64(s))
                    load_row(data.X, row, workspace, places.x + s * layers[0, N_IN])
                enter_block(layers, p, workspace, places, n)
                for s in range(n):
                    z, d = places.z + s * n_hidden, places.d + s * n_hidden
                    gram, at = places.gram + s * BLOCK, position + np.int64(s)
                    _take_off_earlier(workspace, z, gram, places.d, s, n_hidden, extra)
                    row = row_of(data.order, epoch, at)
                    total += forward(layers, p, workspace, places, z, data.Y, row)
                    rate = p.dtype.type(span.rates[epoch, (at - span.start) * per_update])
                    backward(layers, p, workspace, places, z, d, rate)
                leave_block(layers, p, workspace, places, n)
            span.loss_sums[epoch] = total
        V = places.upper
        for l in range(1, len(layers)):
            transpose(workspace, V, p, layers[l, WEIGHTS], layers[l, N_OUT], layers[l, N_IN])
            V += layers[l, N_IN] * layers[l, N_OUT]

    return train_wide_input
