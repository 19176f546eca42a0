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

The layers above the first are in the workspace meanwhile, and are gone through as by
`fastnn.kernels.samples`.

Where training is cut into pieces changes no bit, as long as the pieces begin at multiples of
`BLOCK` rows of the epoch: then the blocks are the same.
"""

from collections import namedtuple
from operator import ge
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.kernels.activations import Codes
from fastnn.kernels.epochs import ask_for_sample, lie_far, row_of
from fastnn.kernels.jit import inner, kernel, made_once
from fastnn.kernels.lanes import minimum, prefer_wide_vectors
from fastnn.kernels.layout import ACTIVATION, BIAS, N_IN, N_OUT, UNITS, WEIGHTS
from fastnn.kernels.llvm import lanes_of_register, register_bits
from fastnn.kernels.padded import ALL_UNITS, APART, make_copies, padded_table
from fastnn.kernels.products import multiply
from fastnn.kernels.rows import load_row, make_finish
from fastnn.kernels.sample_steps import make_activate, scale, subtract
from fastnn.kernels.samples import make_back, make_forward
from fastnn.kernels.tiles import Matrix
from fastnn.memory import MOST_BYTES

#: Inputs and units of the first layer, and bytes of its weights, from which blocks pay. Where it is
#: the only hidden one, for which `one_hidden` goes in one sweep: with registers of 512 bits, and
#: with narrower ones. Measured on a Zen 5, AVX-512 and AVX2 (128 bits were not), for 4,000 networks
#: of 16-32-1 to 784-400-40 and 24-32-8-3 to 500-200-32-32-4, relu: what is chosen takes 1.007 times
#: as long as what is best, at most 1.5.
LEAST, LEAST_IF_NARROW = (128, 33, 28_000), (300, 33, 1 << 18)
#: The same where there are more hidden layers, and where there is none: of the latter 784-16 takes
#: 1.3 times as long in blocks.
LEAST_IF_DEEP, LEAST_IF_ALONE = (48, 16, 12_000), (48, 33, 1 << 15)

#: Samples in a block; `fastnn.training` cuts epochs at multiples of it.
BLOCK = np.uint64(64)
#: Rows of G in one product.
STRIP = np.uint64(8)

_0, _1, _2, _3 = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(3)
_4 = np.uint64(4)

#: Places in the workspace, behind what is padded: a block's X, Z, D and G.
Places = namedtuple("Places", "x z d gram end")


def find_places(layers):
    """The places for this network."""
    n_in, n_hidden = layers[0, N_IN], layers[0, N_OUT]
    x = layers[0, ALL_UNITS] * _4 + layers[0, APART]
    z = x + BLOCK * n_in
    d = z + BLOCK * n_hidden
    gram = d + BLOCK * n_hidden
    return Places(x, z, d, gram, gram + BLOCK * BLOCK)


_places_of = inner(find_places)


def pays(layers: np.ndarray, itemsize: int) -> bool:
    """Whether this kernel is faster for a network than those that go sample by sample.

    Where a block takes too much memory, it does not come into question.
    """
    n_in, n_units = int(layers[0, N_IN]), int(layers[0, N_OUT])
    fits = int(BLOCK) * (n_in + 2 * n_units) * itemsize <= MOST_BYTES
    least = LEAST_IF_DEEP if len(layers) > 2 else LEAST_IF_ALONE
    if len(layers) == 2:
        least = LEAST if register_bits() == 512 else LEAST_IF_NARROW
    return fits and all(map(ge, (n_in, n_units, n_in * n_units * itemsize), least))


def table(architecture: Architecture) -> tuple[np.ndarray, int]:
    """See `padded.padded_table`: the first layer's weights stay in p."""
    lanes = lanes_of_register(architecture.dtype.itemsize)
    layers, _ = padded_table(architecture, lanes, first=1)
    return layers, int(find_places(layers).end)


@made_once
def _make_enter_block(bias: bool) -> Any:
    """Make Z = X W + b and G = X Xᵀ of n samples."""

    @inner
    def enter_block(layers, p, workspace, places, n):
        n_in, n_hidden = layers[0, N_IN], layers[0, N_OUT]
        W, b = layers[0, WEIGHTS], layers[0, BIAS]
        one, zero = p.dtype.type(1), p.dtype.type(0)
        keep, kept = (one, b) if bias else (zero, W)  # nothing of W
        X, weights = Matrix(workspace, places.x, n_in, False), Matrix(p, W, n_hidden, False)
        K, Z = Matrix(p, kept, _0, False), Matrix(workspace, places.z, n_hidden, False)
        multiply(one, X, weights, keep, K, Z, (n, n_in, n_hidden))
        turned = Matrix(workspace, places.x, n_in, True)
        for s in range(_0, n, STRIP):
            rows = minimum(STRIP, n - s)
            X = Matrix(workspace, places.x + s * n_in, n_in, False)
            G = Matrix(workspace, places.gram + s * BLOCK, BLOCK, False)
            multiply(one, X, turned, zero, G, G, (rows, n_in, s + rows))

    return enter_block


@made_once
def _make_leave_block(bias: bool) -> Any:
    """Make W −= Xᵀ D and b −= Σ d of n samples."""

    @inner
    def leave_block(layers, p, workspace, places, n):
        n_in, n_hidden = layers[0, N_IN], layers[0, N_OUT]
        W, b = layers[0, WEIGHTS], layers[0, BIAS]
        one = p.dtype.type(1)
        X, D = Matrix(workspace, places.x, n_in, True), Matrix(workspace, places.d, n_hidden, False)
        weights = Matrix(p, W, n_hidden, False)
        multiply(-one, X, D, one, weights, weights, (n_in, n, n_hidden))
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


@made_once
def _make_learn_above(hidden: Codes, output: int, loss: int, bias: bool) -> Any:
    """Make a sample's way up from the first layer's sums z, and down to their d; returns the loss.

    d is times the rate. The layers above are updated.
    """
    activate, finish = make_activate(hidden, False), make_finish(output, loss)
    forward = make_forward(hidden, False, False, first=1)
    back = make_back(hidden, bias, False, subtract, 4, first=1)

    @inner
    def learn_above(layers, w, z, Y, row, rate, d):
        top, all_units, n_hidden = len(layers) - 1, layers[0, ALL_UNITS], layers[0, N_OUT]
        h, outputs, n_out = layers[0, UNITS], layers[top, UNITS], layers[top, N_OUT]
        for j in range(n_hidden):
            w[h + j] = w[z + j]
        if top > 0:
            activate(layers[0, ACTIVATION], layers, 0, w)
        forward(layers, w, None, None)
        loss = finish(w, outputs, all_units + outputs, n_out, Y, row)
        scale(w, all_units + outputs, n_out, rate)
        back(layers, w, 0, 0)
        for j in range(n_hidden):
            w[d + j] = w[all_units + h + j]
        return loss

    return learn_above


@made_once
def make_train_wide_input(hidden: Codes, output: int, loss: int, bias: bool) -> Any:
    """Make the kernel for these codes; its arguments are those of `epochs.make_train`."""
    enter_block, leave_block = _make_enter_block(bias), _make_leave_block(bias)
    learn_above = _make_learn_above(hidden, output, loss, bias)
    take, give = make_copies(bias, first=1)

    @kernel
    def train_wide_input(layers, p, moments, t, data, span, options, workspace):
        places, n_hidden = _places_of(layers), layers[0, N_OUT]
        extra = p.dtype.type(1 if bias else 0)
        take(layers, p, moments, workspace)
        far, per_update = lie_far(data.X, data.order), 1 if span.rates.shape[1] > 1 else 0
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
                    if far:
                        ask_for_sample(data, epoch, at + np.int64(BLOCK), span.stop)
                    _take_off_earlier(workspace, z, gram, places.d, s, n_hidden, extra)
                    row = row_of(data.order, epoch, at)
                    rate = span.rates[epoch, (at - span.start) * per_update]
                    total += learn_above(layers, workspace, z, data.Y, row, rate, d)
                leave_block(layers, p, workspace, places, n)
            span.loss_sums[epoch] = total
        give(layers, p, moments, workspace)

    return train_wide_input
