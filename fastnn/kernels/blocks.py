"""A block of samples through a network: forward, the losses at the output, backward.

Inside a block of n samples every matrix is feature-major: (width, n), the samples of one unit side
by side. That keeps the samples in the SIMD lanes however narrow the layers are, and it is the
orientation in which BLAS is fastest on narrow ones. Only wide inputs stay as they lie,
(n, width), because turning them would cost more. With A the inputs of a layer:

    forward    Z (n_out, n) = b + Wᵀ A
    backward   D = ∂loss/∂Z at the output; one layer down, D (n_in, n) = (W D) * slope
    gradient   ∂loss/∂W (n_in, n_out) = A Dᵀ, ∂loss/∂b = Σ over samples of D

The layer table is used here as signed numbers.
"""

import functools
import itertools
from collections import namedtuple
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.kernels.activations import SLOPES, VALUES, Codes
from fastnn.kernels.elementary import exp, log
from fastnn.kernels.jit import inner
from fastnn.kernels.layout import ACTIVATION, BIAS, N_IN, N_OUT, UNITS, WEIGHTS
from fastnn.kernels.losses import FROM_LOGITS, GRADIENTS, OF_CLASSES, TERMS
from fastnn.kernels.products import AT_ONCE, Matrix, inputs_at_once, multiply
from fastnn.kernels.random import uniform
from fastnn.kernels.rows import make_activate, make_activate_and_keep, make_times_slope
from fastnn.memory import MOST_BYTES

#: Samples in a block: larger batches are worked through block by block, in constant memory. The
#: smaller ones are for training, see `find_places`.
BLOCK, SMALL_BLOCK = 256, 64
#: Bytes of the units' values of a block from which they leave the cache nothing for the rest, and
#: weights per unit from which products with long blocks make up for that (measured).
FULL_CACHE, MANY_WEIGHTS = 1 << 19, 70
#: Inputs from which a block's inputs stay (n, n_in): measured with 32 samples of 784 inputs.
WIDE_INPUT = 96
#: Multiplications from which D is turned before the weights' gradient is computed (measured), but
#: for calls so large that BLAS packs it anyway.
TURN_FROM = 100_000

#: How many samples make a block, and the places in the workspace: BLAS scalars, inputs X, targets
#: Y, sample weights, units of all layers and their slopes, gradients D of two neighbouring layers,
#: and scratch.
Places = namedtuple("Places", "block scalars x y weights units slopes d d_below scratch end")


def find_places(architecture: Architecture, training: bool, kept: int = 0) -> Places:
    """The places for a network, with room for *kept* samples of X and Y."""
    n_in, *hidden, n_out = architecture.sizes
    block = _find_block(architecture, training)
    room, widest = max(block, kept), max(2, *hidden, n_out)
    x = 16  # the scalars are two numbers; X begins on a cache line of its own
    y = x + n_in * room
    weights = y + n_out * room
    units = weights + room
    slopes = units + (sum(hidden) + n_out) * block
    d = slopes + sum(hidden) * block
    d_below = d + widest * block
    scratch = d_below + widest * block
    end = scratch + widest * block
    return Places(block, 0, x, y, weights, units, slopes, d, d_below, scratch, end)


def _find_block(architecture: Architecture, training: bool) -> int:
    """How many samples make a block: `BLOCK`, or as many as `MOST_BYTES` have places for.

    In training, where values, slopes and gradients are held, small ones serve best where the others
    would fill the cache for nothing, or where only they leave the largest layer's products so small
    that BLAS packs nothing.
    """
    sizes, itemsize = architecture.sizes, architecture.dtype.itemsize
    n_in, n_out, units = sizes[0], sizes[-1], sum(sizes[1:])
    fitting = MOST_BYTES // ((n_in + n_out + 1 + 2 * units + 3 * max(2, *sizes[1:])) * itemsize)
    if fitting < BLOCK:
        fitting = max(fitting - fitting % 8, 1)
    if not training:
        return min(fitting, BLOCK)
    few_weights = architecture.n_parameters < MANY_WEIGHTS * units
    full = units * BLOCK * itemsize > FULL_CACHE and few_weights
    largest = max(a * b for a, b in itertools.pairwise(sizes))
    unpacked = largest * SMALL_BLOCK <= AT_ONCE < largest * BLOCK
    return min(fitting, SMALL_BLOCK if full or unpacked else BLOCK)


@inner
def gather(X, order, epoch, position, n, turned, workspace, to):
    """n rows of X from a position of the epoch on, feature-major if *turned*."""
    width = X.shape[1]
    shuffled = len(order) > 0
    fours = n - n % 4 if turned else 0
    for s in range(0, fours, 4):  # four samples at a time: four neighbours are written together
        r0, r1, r2, r3 = position + s, position + s + 1, position + s + 2, position + s + 3
        if shuffled:
            r0, r1, r2, r3 = order[epoch, r0], order[epoch, r1], order[epoch, r2], order[epoch, r3]
        k = to + s
        for i in range(width):
            workspace[k] = X[r0, i]
            workspace[k + 1] = X[r1, i]
            workspace[k + 2] = X[r2, i]
            workspace[k + 3] = X[r3, i]
            k += n
    for s in range(fours, n):
        row = order[epoch, position + s] if shuffled else position + s
        if turned:
            k = to + s
            for i in range(width):
                workspace[k] = X[row, i]
                k += n
        else:
            copy = workspace[to + s * width : to + (s + 1) * width]
            for i in range(width):
                copy[i] = X[row, i]


@inner
def turn(workspace, at, rows, columns, to):
    """Copy a (rows, columns) matrix as (columns, rows)."""
    for r in range(rows):
        row = workspace[at + r * columns : at + (r + 1) * columns]
        k = to + r
        for c in range(columns):
            workspace[k] = row[c]
            k += rows


@inner
def drop(values, slopes, n_units, n, options, layer, counter, step):
    """Dropout of a hidden layer's (n_units, n) values and slopes.

    *counter* is the number of the first sample's first unit, *step* from sample to sample.
    """
    rate = options.dropout[layer]
    factor = 1.0 / (1.0 - rate)
    for j in range(n_units):
        row, slopes_row = values[j * n : (j + 1) * n], slopes[j * n : (j + 1) * n]
        first = counter + np.uint64(j)
        for s in range(n):
            kept = uniform(options.dropout_key, first + np.uint64(s) * step) >= rate
            times = values.dtype.type(factor if kept else 0.0)
            row[s] *= times
            slopes_row[s] *= times


@functools.cache
def make_forward(hidden: Codes, bias: bool, keeps: bool = False, drops: bool = False) -> Any:
    """Make the forward pass: hidden layers' values, and the output layer's weighted sums.

    With *keeps* hidden units' slopes are kept as well; with *drops* (which needs it) units are
    dropped, *counter* being the number of the first hidden unit's random number for the first
    sample. Without, *options* and *counter* are not looked at.
    """
    activate = make_activate_and_keep(hidden) if keeps else make_activate(hidden)

    @inner
    def forward(layers, p, workspace, places, x, n, options, counter):
        n_hidden = layers[len(layers) - 1, UNITS] - layers[0, N_IN]
        at, turned = x, layers[0, N_IN] < WIDE_INPUT
        one = p.dtype.type(1)
        scalars = workspace[:2]
        for l in range(len(layers)):
            n_in, n_out = layers[l, N_IN], layers[l, N_OUT]
            z = places.units + (layers[l, UNITS] - layers[0, N_IN]) * places.block
            for j in range(n_out):
                sums = workspace[z + j * n : z + (j + 1) * n]
                start = p[layers[l, BIAS] + j] if bias else one - one
                for s in range(n):
                    sums[s] = start
            some = inputs_at_once(n_in, n_out, n)
            for i in range(0, n_in, some):
                W = Matrix(p, layers[l, WEIGHTS] + i * n_out, n_out, True)
                A = Matrix(
                    workspace, at + (i * n if turned else i), n if turned else n_in, not turned
                )
                Z = Matrix(workspace, z, n, False)
                multiply(one, W, A, one, Z, (n_out, min(some, n_in - i), n), scalars)
            if l < len(layers) - 1:
                values = workspace[z : z + n_out * n]
                if keeps:
                    kept = z - places.units + places.slopes
                    slopes = workspace[kept : kept + n_out * n]
                    activate(layers[l, ACTIVATION], values, 0, n_out * n, slopes, 0)
                    if drops:
                        first = counter + np.uint64(layers[l, UNITS] - layers[0, N_IN])
                        drop(values, slopes, n_out, n, options, l, first, np.uint64(n_hidden))
                else:
                    activate(layers[l, ACTIVATION], values, 0, n_out * n)
            at, turned = z, True

    return forward


@functools.cache
def make_backward(hidden: Codes, bias: bool, keeps: bool = False) -> Any:
    """Make the backward pass: ``into = scale * gradient + keep * into``; *into* may be p.

    *keeps* as in `make_forward`.
    """
    times_slope = make_times_slope(hidden)

    @inner
    def backward(layers, p, workspace, places, x, n, into, scale, keep):
        one = p.dtype.type(1)
        scalars = workspace[:2]
        d, d_below = places.d, places.d_below
        for l in range(len(layers) - 1, -1, -1):
            n_in, n_out, W = layers[l, N_IN], layers[l, N_OUT], layers[l, WEIGHTS]
            at, turned = x, layers[0, N_IN] < WIDE_INPUT
            D = Matrix(workspace, d, n, False)
            if l > 0:  # before W changes
                first = layers[l - 1, UNITS] - layers[0, N_IN]
                at, turned = places.units + first * places.block, True
                weights = Matrix(p, W, n_out, False)
                below = Matrix(workspace, d_below, n, False)
                multiply(one, weights, D, one - one, below, (n_in, n_out, n), scalars)
                gradients = workspace[d_below : d_below + n_in * n]
                if keeps:
                    kept = at - places.units + places.slopes
                    slopes = workspace[kept : kept + n_in * n]
                    for k in range(n_in * n):
                        gradients[k] *= slopes[k]
                else:
                    values = workspace[at : at + n_in * n]
                    times_slope(layers[l - 1, ACTIVATION], values, 0, gradients, 0, n_in * n)
            if bias:
                for j in range(n_out):
                    row = workspace[d + j * n : d + (j + 1) * n]
                    total = one - one
                    for s in range(n):
                        total += row[s]
                    k = layers[l, BIAS] + j
                    into[k] = scale * total + (keep * into[k] if keep != 0 else keep)
            some = inputs_at_once(n_in, n_out, n)
            large = n_in * n_out * n > TURN_FROM and some * n_out * n <= AT_ONCE
            if large:
                turn(workspace, d, n_out, n, places.scratch)
            D = Matrix(workspace, places.scratch if large else d, n_out if large else n, not large)
            for i in range(0, n_in, some):
                A = Matrix(
                    workspace, at + (i * n if turned else i), n if turned else n_in, not turned
                )
                G = Matrix(into, W + i * n_out, n_out, False)
                multiply(scale, A, D, keep, G, (min(some, n_in - i), n, n_out), scalars)
            d, d_below = d_below, d

    return backward


@inner
def softmax(z, a, n_classes, n, top, total):
    """Columns of softmax values from (n_classes, n) sums; *top* is left holding log Σ e^z.

    The largest sum of a sample is taken off first, so that nothing overflows.
    """
    for s in range(n):
        top[s] = z[s]
        total[s] = 0
    for j in range(1, n_classes):
        row = z[j * n : (j + 1) * n]
        for s in range(n):
            top[s] = max(top[s], row[s])
    for j in range(n_classes):
        row, out = z[j * n : (j + 1) * n], a[j * n : (j + 1) * n]
        for s in range(n):
            e = exp(row[s] - top[s])
            out[s] = e
            total[s] += e
    for j in range(n_classes):
        out = a[j * n : (j + 1) * n]
        for s in range(n):
            out[s] /= total[s]
    for s in range(n):
        top[s] += log(total[s])


@functools.cache
def make_finish(output: int, loss: int, weighted: bool = False) -> Any:
    """Make the end of the forward pass: D of the output layer from its Z; the sum of losses.

    Z, Y and D are vectors of n_out * n numbers, *scratch* of at least 2 n. With *weighted* both
    are multiplied by the n *weights*, which otherwise are not looked at.
    """
    if weighted:
        return _make_finish_weighted(output, loss)
    if loss in OF_CLASSES:
        return _make_finish_classes(loss)
    return _make_finish_outputs(output, loss)


@functools.cache
def _make_finish_classes(loss: int) -> Any:
    reported = OF_CLASSES[loss]

    @inner
    def finish_classes(Z, Y, D, n_out, n, scratch, weights):
        log_total = scratch[:n]
        softmax(Z, D, n_out, n, log_total, scratch[n : 2 * n])
        loss = Z.dtype.type(0)
        for j in range(n_out):
            z, y, d = Z[j * n : (j + 1) * n], Y[j * n : (j + 1) * n], D[j * n : (j + 1) * n]
            for s in range(n):
                loss += y[s] * reported(log_total[s] - z[s])
                d[s] -= y[s]
        return loss

    return finish_classes


def _make_finish_weighted(output: int, loss: int) -> Any:
    """Make it sample by sample's weight; classes once more for their loss."""
    classes = loss in OF_CLASSES
    finish_classes: Any = _make_finish_classes(loss) if classes else None
    reported: Any = OF_CLASSES.get(loss)
    value, slope = (VALUES[0], SLOPES[0]) if classes else (VALUES[output], SLOPES[output])
    term, gradient = (TERMS[0], GRADIENTS[0]) if classes else (TERMS[loss], GRADIENTS[loss])
    from_logits = loss in FROM_LOGITS

    @inner
    def finish_weighted(Z, Y, D, n_out, n, scratch, weights):
        if classes:
            finish_classes(Z, Y, D, n_out, n, scratch, weights)
        total = Z.dtype.type(0)
        for j in range(n_out):
            z, y, d = Z[j * n : (j + 1) * n], Y[j * n : (j + 1) * n], D[j * n : (j + 1) * n]
            for s in range(n):
                if classes:
                    total += weights[s] * (y[s] * reported(scratch[s] - z[s]))
                    d[s] *= weights[s]
                else:
                    a = value(z[s])
                    d_s = gradient(z[s], a, y[s], n_out)
                    d[s] = weights[s] * (d_s if from_logits else d_s * slope(z[s], a))
                    total += weights[s] * term(z[s], a, y[s], n_out)
        return total

    return finish_weighted


def _make_finish_outputs(output: int, loss: int) -> Any:
    value, slope = VALUES[output], SLOPES[output]
    term, gradient = TERMS[loss], GRADIENTS[loss]
    from_logits = loss in FROM_LOGITS

    @inner
    def finish_outputs(Z, Y, D, n_out, n, scratch, weights):
        total = Z.dtype.type(0)
        for k in range(n_out * n):
            a = value(Z[k])
            d = gradient(Z[k], a, Y[k], n_out)
            D[k] = d if from_logits else d * slope(Z[k], a)
            total += term(Z[k], a, Y[k], n_out)
        return total

    return finish_outputs
