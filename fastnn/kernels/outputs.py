"""Forward passes without training: outputs of layers, and the loss."""

import functools
from typing import Any

from fastnn.activations import ACTIVATIONS
from fastnn.kernels.blocks import (
    BLOCK,
    WIDE_INPUT,
    gather,
    make_finish,
    make_forward,
    places_of,
    softmax,
)
from fastnn.kernels.jit import inner, kernel, prefer_wide_vectors
from fastnn.kernels.layout import N_IN, N_OUT, UNITS
from fastnn.kernels.rows import make_activate


@functools.cache
def _make_activate_outputs(output: int) -> Any:
    """Make a function that activates an output block (n_out, n) in place."""
    if output == ACTIVATIONS["softmax"].code:

        @inner
        def activate_softmax(values, n_out, n, scratch):
            softmax(values, values, n_out, n, scratch[:n], scratch[n : 2 * n])

        return activate_softmax
    activate = make_activate(output)

    @inner
    def activate_outputs(values, n_out, n, scratch):
        activate(output, values, 0, values, 0, n_out * n)

    return activate_outputs


@functools.cache
def make_outputs(hidden: int, output: int, bias: bool) -> Any:
    """Make the kernel that fills *values*, (n, m): the last m units of the network."""
    forward = make_forward(hidden, bias)
    activate_outputs = _make_activate_outputs(output)

    @kernel
    def outputs(layers, p, X, in_order, values, workspace):
        prefer_wide_vectors()
        places = places_of(layers, BLOCK, 0)
        last, n_in = len(layers) - 1, layers[0, N_IN]
        n_out = layers[last, N_OUT]
        z = places.units + (layers[last, UNITS] - n_in) * BLOCK
        for position in range(0, len(X), BLOCK):
            n = min(BLOCK, len(X) - position)
            gather(X, in_order, 0, position, n, n_in < WIDE_INPUT, workspace, places.x)
            forward(layers, p, workspace, places, places.x, n, BLOCK)
            activate_outputs(workspace[z : z + n_out * n], n_out, n, workspace[places.scratch :])
            column = values.shape[1]
            for l in range(last, -1, -1):
                column -= layers[l, N_OUT]
                if column < 0:
                    break
                at = places.units + (layers[l, UNITS] - n_in) * BLOCK
                for s in range(n):
                    for j in range(layers[l, N_OUT]):
                        values[position + s, column + j] = workspace[at + j * n + s]

    return outputs


@functools.cache
def make_loss(hidden: int, output: int, loss: int, bias: bool) -> Any:
    """Make the kernel that returns the sum of the samples' losses."""
    forward = make_forward(hidden, bias)
    finish = make_finish(output, loss)

    @kernel
    def total_loss(layers, p, X, Y, in_order, workspace):
        prefer_wide_vectors()
        places = places_of(layers, BLOCK, 0)
        n_in, n_out = layers[0, N_IN], Y.shape[1]
        z = places.units + (layers[len(layers) - 1, UNITS] - n_in) * BLOCK
        total = 0.0
        for position in range(0, len(X), BLOCK):
            n = min(BLOCK, len(X) - position)
            gather(X, in_order, 0, position, n, n_in < WIDE_INPUT, workspace, places.x)
            gather(Y, in_order, 0, position, n, n > 0, workspace, places.y)
            forward(layers, p, workspace, places, places.x, n, BLOCK)
            total += finish(
                workspace[z : z + n_out * n],
                workspace[places.y : places.y + n_out * n],
                workspace[places.d : places.d + n_out * n],
                n_out,
                n,
                workspace[places.scratch :],
            )
        return total

    return total_loss
