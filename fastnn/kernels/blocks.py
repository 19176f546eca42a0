"""A block of samples through a network: forward and backward; between them is `block_ends`.

Inside a block of n samples every matrix is feature-major: (width, n), the samples of one unit side
by side. That keeps the samples in the SIMD lanes however narrow the layers are. Only wide inputs
stay as they lie, (n, width), because turning them would cost more. With A the inputs of a layer:

    forward    Z (n_out, n) = b + Wᵀ A
    backward   D = ∂loss/∂Z at the output; one layer down, D (n_in, n) = (W D) * slope
    gradient   ∂loss/∂W (n_in, n_out) = A Dᵀ, ∂loss/∂b = Σ over samples of D

W and b are places in the flat parameters p, all others places in a flat vector w; n is the number
of samples. All of them are unsigned, see `fastnn.kernels.layout`.
"""

from collections import namedtuple
from typing import Any

import numpy as np
from numba import types

from fastnn.architecture import Architecture
from fastnn.kernels.activations import Codes
from fastnn.kernels.epochs import AHEAD, ask_for_row, lie_far, row_of
from fastnn.kernels.jit import inner, made_once
from fastnn.kernels.lanes import minimum, width
from fastnn.kernels.layout import ACTIVATION, INPUTS, N_IN, UNITS, layer_of, step_between
from fastnn.kernels.linked import linked
from fastnn.kernels.llvm import flat, stack
from fastnn.kernels.products import multiply
from fastnn.kernels.random import uniform
from fastnn.kernels.rows import load_row, make_activate, make_times_slope
from fastnn.kernels.tiles import Matrix, tile_side
from fastnn.kernels.turning import PLACES, turn, turn_rows
from fastnn.memory import LINE, MOST_BYTES

#: Samples in a block: larger batches are worked through block by block, in constant memory. The
#: smaller ones are for training, see `_find_block`. Those of outputs and losses have whole tiles as
#: well, by the bytes of a number: rows of 256 doubles would have the same places in a cache.
BLOCK, SMALL_BLOCK, OUTPUT_BLOCKS = 256, 64, {4: 256, 8: 192}
#: Bytes of the units' values of a block from which they leave the cache nothing for the rest, and
#: weights per unit from which products with long blocks make up for that (measured).
FULL_CACHE, MANY_WEIGHTS = 1 << 19, 70
#: Inputs from which a block's inputs stay (n, n_in): measured with 32 samples of 784 inputs.
WIDE_INPUT = np.uint64(96)

_0, _1 = np.uint64(0), np.uint64(1)

#: Where a gradient goes: vector = scale * gradient + keep * old. *old* is the vector itself, or p,
#: of which an L2 penalty adds a part; biases, to which it adds none, have a *keep* of their own.
Into = namedtuple("Into", "vector scale old keep keep_biases")

#: How many samples make a block, and the places in the workspace: inputs X, targets Y, sample
#: weights, units of all layers and their slopes, gradients D of two neighbouring layers, scratch.
Places = namedtuple("Places", "block x y weights units slopes d d_below scratch end")


def find_places(
    architecture: Architecture, training: bool, kept: int = 0, sparse: bool = False
) -> Places:
    """The places for a network, in training with room for *kept* samples of X and Y.

    For outputs and losses so many are in a block, if one has that many. *sparse* X needs no room.
    """
    n_in, *hidden, n_out = architecture.sizes
    n_in = 0 if sparse else n_in
    columns = architecture.target_columns
    block = _find_block(architecture, training, n_in, kept)
    room, widest = max(block, kept if training else 0), max(architecture.sizes[1:])
    y = n_in * room
    weights = y + columns * room
    units = weights + room
    slopes = units + (sum(hidden) + n_out) * block
    d = slopes + sum(hidden) * block
    d_below = d + widest * block
    scratch = d_below + widest * block
    end = scratch + room_apart(widest, architecture) * block
    places = (block, 0, y, weights, units, slopes, d, d_below, scratch, end)
    return Places(*map(np.uint64, places))


def _find_block(architecture: Architecture, training: bool, n_in: int, kept: int) -> int:
    """How many samples make a block: as many as `MOST_BYTES` have places for, at most.

    In training, where values, slopes and gradients are held, small ones serve best where the others
    would fill the cache for nothing. *n_in* is 0 for sparse inputs, which need no place.
    """
    sizes, itemsize = architecture.sizes[1:], architecture.dtype.itemsize
    columns, units = architecture.target_columns, sum(sizes)
    fitting = MOST_BYTES // ((n_in + columns + 1 + 2 * units + 3 * max(sizes)) * itemsize + LINE)
    if fitting < BLOCK:
        fitting = max(fitting - fitting % 8, 1)
    if not training:
        return min(fitting, max(OUTPUT_BLOCKS[itemsize], min(kept, BLOCK)))
    few_weights = architecture.n_parameters < MANY_WEIGHTS * units
    full = units * BLOCK * itemsize > FULL_CACHE and few_weights
    return min(fitting, SMALL_BLOCK if full else BLOCK)


def _kinds(
    X: Any, order: Any, epoch: Any, position: Any, n: Any, turned: Any, w: Any, to: Any
) -> Any:
    """What `gather` is compiled for."""
    if any(array.layout != "C" for array in (X, order, w)) or not w.mutable:
        return None
    rows, orders = types.Array(X.dtype, 2, "C"), types.Array(order.dtype, 2, "C")
    number, place, vector = types.intp, types.uint64, types.Array(w.dtype, 1, "C")
    return rows, orders, number, number, place, types.boolean, vector, place


@linked(_kinds)
def gather(X, order, epoch, position, n, turned, w, to):
    """n rows of X from a position of the epoch on, feature-major if *turned*."""
    columns, lanes, far = np.uint64(X.shape[1]), width(w), lie_far(X, order)
    if not turned or columns == _1:
        for s in range(n):
            at = position + np.int64(s)
            if far and at + AHEAD < order.shape[1]:
                ask_for_row(X, order[epoch, at + AHEAD])
            load_row(X, row_of(order, epoch, at), w, to + s * columns)
        return
    rows = stack(lanes, PLACES)
    for first in range(_0, n, lanes):
        some, at = minimum(n - first, lanes), position + np.int64(first)
        for s in range(some):
            rows[s] = row_of(order, epoch, at + np.int64(s)) * X.shape[1]
        if far:
            after = at + np.int64(some)
            for k in range(after, minimum(after + np.int64(lanes), order.shape[1])):
                ask_for_row(X, order[epoch, k])
        turn_rows(flat(X), rows, np.uint64(some), columns, w, np.uint64(to + first), n)


@inner
def lie_ready(order, turned):
    """Whether rows need not be gathered: they are taken as they come, and not *turned*."""
    return not turned and len(order) == 0


def room_apart(n: int, architecture: Architecture) -> int:
    """Room for a row of n numbers and what `step_apart` leaves after it."""
    return n + LINE // architecture.dtype.itemsize


_step_between = inner(step_between)


@inner
def step_apart(n, vector):
    """A step between rows of n numbers that are written all over."""
    return _step_between(n, np.uint64(vector.itemsize))


@inner
def drop(w, a, slopes, n_units, n, options, layer, counter, step):
    """Dropout of a hidden layer's (n_units, n) values and slopes.

    *counter* is the number of the first sample's first unit, *step* from sample to sample.
    """
    rate = options.dropout[layer]
    factor = 1.0 / (1.0 - rate)
    for j in range(n_units):
        for s in range(n):
            kept = uniform(options.dropout_key, counter + j + s * step) >= rate
            times = w.dtype.type(factor if kept else 0.0)
            w[a + j * n + s] *= times
            w[slopes + j * n + s] *= times


@made_once
def make_sums(bias: bool) -> Any:
    """Make Z (n_out, n) = b + Wᵀ A. A is (n_in, n) if *turned*, otherwise (n, n_in).

    Then it goes by way of Zᵀ, for which *scratch* has room. A is in the vector *source*, which may
    be w, at the place a.
    """

    @inner
    def sums(p, W, b, n_in, n_out, w, source, a, turned, z, n, scratch):
        one = p.dtype.type(1)
        keep, kept = (one, b) if bias else (one - one, W)  # nothing of W
        if turned:
            weights, A = Matrix(p, W, n_out, True), Matrix(source, a, n, False)
            K, Z = Matrix(p, kept, _0, True), Matrix(w, z, n, False)
            multiply(one, weights, A, keep, K, Z, (n_out, n_in, n))
        else:
            A, weights = Matrix(source, a, n_in, False), Matrix(p, W, n_out, False)
            K, Z = Matrix(p, kept, _0, False), Matrix(w, scratch, n_out, False)
            multiply(one, A, weights, keep, K, Z, (n, n_in, n_out))
            turn(w, scratch, n, n_out, w, z, n)

    return sums


@inner
def back_through_weights(p, W, n_in, n_out, w, d, below, n):
    """D of the layer below, (n_in, n) = W D."""
    one = p.dtype.type(1)
    weights, D, B = Matrix(p, W, n_out, False), Matrix(w, d, n, False), Matrix(w, below, n, False)
    multiply(one, weights, D, one - one, B, B, (n_in, n_out, n))


@inner
def more(to):
    """Where more of a gradient goes: onto what is there."""
    one = to.vector.dtype.type(1)
    return Into(to.vector, to.scale, to.vector, one, one)


@inner
def bias_gradient(to, b, n_out, w, d, n):
    """The biases' ∂loss/∂b = Σ D, `Into` a vector."""
    keep = to.keep_biases
    for j in range(n_out):
        total = keep - keep
        for s in range(n):
            total += w[d + j * n + s]
        to.vector[b + j] = to.scale * total + (keep * to.old[b + j] if keep != 0 else keep)


@inner
def quicker_along_samples(n_in, n_out, n, vector):
    """Whether A Dᵀ is quicker by `tiles.dots`, with samples in the lanes, than with D turned first.

    Each estimate is of a row of the gradient, in cycles in which two multiply-and-adds or two loads
    begin, see the notebook: by dots four columns take so many for n samples and some to add their
    lanes up; by tiles so many registers of columns, of which single ones are bound by loads.
    """
    lanes, side = width(vector), tile_side()
    rounds, rest = (n + lanes - 1) // lanes, n_out % 4
    by_dots = n_out // 4 * (2 * rounds + lanes // 4 + 3) + rest * rounds + (3 if rest > 0 else 0)
    wide, left = n_out // (side * lanes), n_out % (side * lanes)
    registers = (left + lanes - 1) // lanes
    pairs = 1 if registers > 1 else 0
    singles = registers - 2 * pairs
    by_tiles = n * (side * wide + 2 * pairs) // 2 + 5 * n * singles // 8
    turning = (4 * n * n_out // lanes + 60) // n_in
    return by_dots < by_tiles + turning


@made_once
def make_gradient(bias: bool) -> Any:
    """Make the gradient, ∂loss/∂W = A Dᵀ and ∂loss/∂b = Σ D, `Into` a vector.

    What is of A is as in `make_sums`; *scratch* has room for D, see `room_apart`.
    """

    @inner
    def gradient(to, W, b, n_in, n_out, w, source, a, turned, d, n, scratch):
        if bias:
            bias_gradient(to, b, n_out, w, d, n)
        K, G = Matrix(to.old, W, n_out, False), Matrix(to.vector, W, n_out, False)
        sizes = (n_in, n, n_out)
        if turned and quicker_along_samples(n_in, n_out, n, w):
            A, D = Matrix(source, a, n, False), Matrix(w, d, n, True)
            multiply(to.scale, A, D, to.keep, K, G, sizes)
        else:
            step = step_apart(n_out, w)
            turn(w, d, n_out, n, w, scratch, step)
            A = Matrix(source, a, n if turned else n_in, not turned)
            multiply(to.scale, A, Matrix(w, scratch, step, False), to.keep, K, G, sizes)

    return gradient


@made_once
def make_forward(
    hidden: Codes, bias: bool, keeps: bool, drops: bool, first_sums: Any = None
) -> Any:
    """Make the forward pass: hidden layers' values, and the output layer's weighted sums.

    With *keeps* hidden units' slopes are kept as well; with *drops* (which needs it) units are
    dropped, *counter* being the number of the first hidden unit's random number for the first
    sample. Without, *options* and *counter* are not looked at.

    x says where the inputs are: in which vector, and at what place. For sparse inputs x are the
    rows, see `fastnn.kernels.sparse`, whose `make_sums` made *first_sums*.
    """
    sums, activate = make_sums(bias), make_activate(hidden, keeps)
    sparse = first_sums is not None

    @inner
    def forward(layers, p, w, places, x, n, options, counter):
        source, a = (w, places.x) if sparse else x
        turned, first = layers[0, N_IN] < WIDE_INPUT, layers[0, UNITS]
        last = len(layers) - 1
        for l in range(last + 1):
            W, b, n_in, n_out = layer_of(layers, l)
            before = layers[l, UNITS] - first
            z = places.units + before * places.block
            if sparse and l == 0:
                first_sums(p, W, b, n_out, w, x, z, n, places.scratch)
            else:
                sums(p, W, b, n_in, n_out, w, source, a, turned, z, n, places.scratch)
            if l < last:
                slopes = places.slopes + before * places.block
                activate(layers[l, ACTIVATION], w, z, n_out * n, slopes)
                if drops:
                    step = layers[last, UNITS] - first
                    drop(w, z, slopes, n_out, n, options, l, counter + before, step)
            source, a, turned = w, z, True

    return forward


@made_once
def make_backward(hidden: Codes, bias: bool, keeps: bool, first_gradient: Any = None) -> Any:
    """Make the backward pass, with the gradient `Into` a vector, which may be p.

    *keeps* as in `make_forward`. For sparse inputs `sparse.make_gradient` made *first_gradient*,
    which adds to what is there of the first layer's weights.
    """
    times_slope, gradient = make_times_slope(hidden, keeps), make_gradient(bias)
    sparse = first_gradient is not None

    @inner
    def backward(layers, p, w, places, x, n, to):
        d, below = places.d, places.d_below
        for l in range(len(layers) - 1, -1, -1):
            W, b, n_in, n_out = layer_of(layers, l)
            source, a = (w, places.x) if sparse else x
            turned = layers[0, N_IN] < WIDE_INPUT
            if l > 0:  # before W changes
                before = (layers[l, INPUTS] - layers[0, UNITS]) * places.block
                source, a, turned = w, places.units + before, True
                back_through_weights(p, W, n_in, n_out, w, d, below, n)
                slopes = places.slopes + before
                times_slope(layers[l - 1, ACTIVATION], w, a, below, n_in * n, slopes)
            if sparse and l == 0:
                first_gradient(to, W, b, n_out, w, x, d, n, places.scratch)
            else:
                gradient(to, W, b, n_in, n_out, w, source, a, turned, d, n, places.scratch)
            d, below = below, d

    return backward
