"""Forward passes without training: outputs of layers, and the loss."""

from typing import Any

import numpy as np

from fastnn.activations import ACTIVATIONS
from fastnn.kernels import sparse as sparse_rows
from fastnn.kernels.activations import VALUES, Codes
from fastnn.kernels.block_ends import make_finish, softmax
from fastnn.kernels.blocks import (
    WIDE_INPUT,
    gather,
    make_forward,
)
from fastnn.kernels.epochs import NO_ORDER
from fastnn.kernels.jit import inner, kernel, made_once
from fastnn.kernels.lanes import minimum, prefer_wide_vectors
from fastnn.kernels.layout import BIAS, N_IN, N_OUT, UNITS, WEIGHTS
from fastnn.kernels.llvm import flat
from fastnn.kernels.rows import all_finite, make_activate
from fastnn.kernels.turning import turn

SOFTMAX, _1 = ACTIVATIONS["softmax"].code, np.uint64(1)


@made_once
def _make_activate_outputs(output: int) -> Any:
    """Make the activation of an output block (n_out, n) in place."""
    code = np.uint64(0 if output == SOFTMAX else output)
    activate = make_activate((int(code),), False)

    @inner
    def activate_outputs(w, z, n_out, n):
        if output == SOFTMAX:
            softmax(w, z, n_out, n)
        else:
            activate(code, w, z, n_out * n, z)

    return activate_outputs


@inner
def all_numbers(values):
    """Whether there is no NaN among them."""
    numbers = True
    for k in range(len(values)):
        numbers &= not np.isnan(values[k])
    return numbers


@inner
def _put(w, at, n_out, n, values, position, column, scratch):
    """Write (n_out, n) outputs to n rows of *values*, from a position and a column on.

    They are turned in the cache, since there it does not matter how few numbers are stored at once.
    """
    step = np.uint64(values.shape[1])
    into, to = flat(values), np.uint64(position) * step + np.uint64(column)
    if n_out > _1:
        turn(w, at, n_out, n, w, scratch, n_out)
        at = scratch
    if n_out == step:
        for k in range(n_out * n):
            into[to + k] = w[at + k]
    else:
        for s in range(n):
            for j in range(n_out):
                into[to + s * step + j] = w[at + s * n_out + j]


@inner
def _put_column(w, at, n_out, n, values, position, column, scratch):
    """The same of one output, without `turn`: that takes 0.2 s to compile."""
    for s in range(n):
        values[position + np.int64(s), 0] = w[at + s]


@made_once
def _make_forward_by_unit(hidden: Codes, bias: bool) -> Any:
    """Make the forward pass for one hidden layer between one input and one output.

    Unit by unit: what a unit has to say about n samples is added up at once, and not stored.
    """
    value = VALUES[hidden[0]]

    @inner
    def forward_by_unit(layers, p, w, places, x, n, options, counter):
        n_hidden, (source, at) = layers[0, N_OUT], x
        W, b, V, c = layers[0, WEIGHTS], layers[0, BIAS], layers[1, WEIGHTS], layers[1, BIAS]
        out, zero = places.units + n_hidden * places.block, p.dtype.type(0)
        start = p[c] if bias else zero
        for s in range(n):
            w[out + s] = start
        for j in range(n_hidden):
            start, w_j, v = p[b + j] if bias else zero, p[W + j], p[V + j]
            for s in range(n):
                w[out + s] += v * value(start + w_j * source[at + s])

    return forward_by_unit


@inner
def find_inputs(X, position, n, turned, w, places):
    """Where n inputs are: in X, or gathered from there; if it has no rows, by the call before."""
    if not turned and len(X) > np.int64(places.block):
        return flat(X), np.uint64(position) * np.uint64(X.shape[1])
    if len(X) > 0:
        gather(X, NO_ORDER, 0, position, n, turned, w, places.x)
    return w, places.x


@inner
def _find_column(X, position, n, turned, w, places):
    """The same of one input, where they lie in X: `gather` takes 0.2 s to compile."""
    if len(X) > np.int64(places.block):
        return flat(X), np.uint64(position)
    for s in range(np.uint64(len(X))):
        w[places.x + s] = X[np.int64(s), 0]
    return w, places.x


@made_once
def make_outputs(
    hidden: Codes, output: int, bias: bool, by_unit: bool, sparse: bool = False
) -> Any:
    """Make the kernel that fills *values*, (n, m): the last m units of the network.

    X without rows stands for the one of the call before, if that was a block: it is still in the
    workspace. The kernel returns False, having stopped, if it meets an input that is not finite or
    a value that is not a number. *by_unit* chooses `_make_forward_by_unit`, which leaves nothing of
    the hidden layer. With *sparse* X is, and must be finite; then not *by_unit*.
    """
    first_sums = sparse_rows.make_sums(bias) if sparse else None
    forward = (
        _make_forward_by_unit(hidden, bias)
        if by_unit
        else make_forward(hidden, bias, False, False, first_sums)
    )
    find, put = (_find_column, _put_column) if by_unit else (find_inputs, _put)
    activate_outputs = _make_activate_outputs(output)

    @kernel
    def outputs(layers, places, p, X, values, w):
        prefer_wide_vectors()
        last, n_in, block = len(layers) - 1, layers[0, N_IN], np.int64(places.block)
        for position in range(0, len(values), block):
            n = np.uint64(minimum(block, len(values) - position))
            if sparse:
                x = sparse_rows.Block(X, NO_ORDER, 0, position)
            else:
                x = find(X, position, n, n_in < WIDE_INPUT, w, places)
                if len(X) > 0 and not all_finite(x[0][x[1] : x[1] + n_in * n]):
                    return False
            forward(layers, p, w, places, x, n, None, None)
            column = values.shape[1]
            for l in range(last, -1, -1):
                n_out = layers[l, N_OUT]
                column -= np.int64(n_out)
                if column < 0:
                    break
                at = places.units + (layers[l, UNITS] - n_in) * places.block
                if l == last:
                    activate_outputs(w, at, n_out, n)
                if not all_numbers(w[at : at + n_out * n]):
                    return False
                put(w, at, n_out, n, values, position, column, places.scratch)
        return True

    return outputs


@made_once
def make_loss(
    hidden: Codes, output: int, loss: int, bias: bool, weighted: bool, sparse: bool = False
) -> Any:
    """Make the kernel that returns the sum of the samples' losses.

    *weighted*: times the samples' *weights*, which otherwise are not looked at. X without rows as
    in `make_outputs`, for Y and the weights too.
    """
    first_sums = sparse_rows.make_sums(bias) if sparse else None
    forward = make_forward(hidden, bias, False, False, first_sums)
    finish = make_finish(output, loss, weighted)

    @kernel
    def total_loss(layers, places, p, X, Y, weights, w):
        prefer_wide_vectors()
        last, n_in, block = len(layers) - 1, layers[0, N_IN], np.int64(places.block)
        n_out = layers[last, N_OUT]
        z = places.units + (layers[last, UNITS] - n_in) * places.block
        total = 0.0
        for position in range(0, len(Y), block):
            n = np.uint64(minimum(block, len(Y) - position))
            if sparse:
                x = sparse_rows.Block(X, NO_ORDER, 0, position)
            else:
                x = find_inputs(X, position, n, n_in < WIDE_INPUT, w, places)
            if sparse or len(X) > 0:
                gather(Y, NO_ORDER, 0, position, n, n > 0, w, places.y)
                if weighted:
                    for s in range(n):
                        w[places.weights + s] = weights[position + np.int64(s)]
            forward(layers, p, w, places, x, n, None, None)
            total += finish(w, z, places.y, places.d, n_out, n, places.weights)
        return total

    return total_loss
