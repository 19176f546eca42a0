"""Training on the derivatives of the outputs with respect to the inputs, in batches.

The error of the Jacobian J = U of the outputs, in the directions of all m inputs, goes back through
the weights as D (width, m n), from its gradient G with respect to J at the output; and the loss's
own gradient as E (width, n), to which D adds what the tangents do to the slopes: see
`fastnn.kernels.derivatives`. With A and U the inputs of a layer and their tangents:

    gradient   ∂loss/∂W (n_in, n_out) = A Eᵀ + U Dᵀ, ∂loss/∂b = Σ over samples of E
"""

from typing import Any

import numpy as np

from fastnn.kernels.activations import Codes
from fastnn.kernels.batches import gather_weights
from fastnn.kernels.block_ends import make_finish
from fastnn.kernels.blocks import (
    WIDE_INPUT,
    back_through_weights,
    gather,
    make_gradient,
    more,
)
from fastnn.kernels.derivatives import make_activate_layer, through
from fastnn.kernels.jit import inner, made_once
from fastnn.kernels.lanes import minimum
from fastnn.kernels.layout import INPUTS, N_IN, N_OUT, UNITS, layer_of
from fastnn.kernels.second_derivatives import bend, make_push


@made_once
def make_sloped_gradient(codes: Codes, output: int, loss: int, bias: bool, extras: bool) -> Any:
    """Make what `fastnn.kernels.batches.make_batch_gradient` makes, with the Jacobian's error.

    *codes* are those of all layers but softmax. There is no dropout, and the samples do not stay in
    the workspace: *counter*, *kept* and *there* are not looked at.
    """
    push, finish = make_push(codes, bias), make_finish(output, loss, extras)
    activate_layer, back = make_activate_layer(codes, True), _make_back(bias)

    @inner
    def sloped_gradient(layers, places, p, data, epoch, first, after, options, counter, w,
                        kept, there, to):  # fmt: skip
        last, m = len(layers) - 1, layers[0, N_IN]
        n_out, units = layers[last, N_OUT], layers[last, UNITS] - layers[0, UNITS]
        z = places.units + units * places.block
        t, block = places.t + units * m * places.block, np.int64(places.block)
        total = 0.0
        for position in range(first, after, block):
            n = np.uint64(minimum(block, after - position))
            gather(data.X, data.order, epoch, position, n, m < WIDE_INPUT, w, places.x)
            gather(data.Y, data.order, epoch, position, n, n > 0, w, places.y)
            gather(data.dydx, data.order, epoch, position, n, n > 0, w, places.wanted)
            if extras:
                gather_weights(data, epoch, position, n, options.scale, w, places.weights)
            push(layers, p, w, places, n, m, False, False)
            total += finish(w, z, places.y, places.e_below, n_out, n, places.weights)
            activate_layer(layers, last, w, places, n)
            through(layers, last, w, places, n, t, m, places.d)
            total += _compare(w, places, n_out, m, n, data.dydx_weight, extras)
            back(layers, p, w, places, n, m, to)
            to = more(to)
        return total

    return sloped_gradient


@inner
def _compare(w, places, n_out, m, n, weight, extras):
    """The errors of the Jacobians at *places.d*, (n_out, m n), summed; G in their place."""
    factor, total = w.dtype.type(weight / (n_out * m)), w.dtype.type(0)
    for k in range(_0, n_out * m * n, n):
        for s in range(n):
            error = w[places.d + k + s] - w[places.wanted + k + s]
            g = factor * error
            if extras:
                g *= w[places.weights + s]
            total += g * error
            w[places.d + k + s] = g + g
    return total


@made_once
def _make_back(bias: bool) -> Any:
    """Make the way back, with the gradient `Into` a vector, which may be p.

    G is at *places.d*, and the gradient of the loss with respect to the output layer's sums at
    *places.e_below*.
    """
    gradient, gradient_of_tangents = make_gradient(bias), make_gradient(False)

    @inner
    def back(layers, p, w, places, n, m, to):
        d, below, e, e_below = places.d, places.d_below, places.e, places.e_below
        last, first = len(layers) - 1, layers[0, UNITS]
        width = layers[last, N_OUT] * n
        for k in range(width):
            w[e + k] = 0
        bend(layers, last, w, places, n, d, e, m)
        for k in range(width):
            w[e + k] += w[e_below + k]
        for l in range(last, -1, -1):
            W, b, n_in, n_out = layer_of(layers, l)
            a, turned, before = places.x, n_in < WIDE_INPUT, layers[l, INPUTS] - first
            if l > 0:  # before W changes
                a, turned = places.units + before * places.block, True
                back_through_weights(p, W, n_in, n_out, w, d, below, m * n)
                back_through_weights(p, W, n_in, n_out, w, e, e_below, n)
                bend(layers, l - 1, w, places, n, below, e_below, m)
            gradient(to, W, b, n_in, n_out, w, w, a, turned, e, n, places.scratch)
            if l > 0:
                u = places.pushed + before * m * places.block
                gradient_of_tangents(
                    more(to), W, b, n_in, n_out, w, w, u, True, d, m * n, places.scratch
                )
            else:
                _add_first_tangents(to, W, n_in, n_out, w, d, n)
            d, below, e, e_below = below, d, e_below, e

    return back


_0 = np.uint64(0)


@inner
def _add_first_tangents(to, W, n_in, n_out, w, d, n):
    """U Dᵀ of the first layer, where U are the unit vectors of the inputs."""
    for j in range(n_out):
        for i in range(n_in):
            total = to.scale - to.scale
            for s in range(n):
                total += w[d + (j * n_in + i) * n + s]
            to.vector[W + i * n_out + j] += to.scale * total
