"""Plain SGD sample by sample for any depth: through all layers, and back from the last one.

Each layer's update goes straight into its weights, which are in the workspace meanwhile, see
`fastnn.kernels.padded`.
"""

from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.kernels.activations import Codes
from fastnn.kernels.blocks import drop
from fastnn.kernels.epochs import make_train
from fastnn.kernels.jit import inner, made_once
from fastnn.kernels.layout import ACTIVATION, N_OUT, UNITS
from fastnn.kernels.llvm import lanes_of_register
from fastnn.kernels.padded import ALL_UNITS, make_copies, padded_table
from fastnn.kernels.rows import make_finish
from fastnn.kernels.sample_steps import (
    make_activate,
    make_times_slope,
    make_update_layer,
    scale,
    subtract,
    take_row,
    weighted_sums,
)

_1, _3 = np.uint64(1), np.uint64(3)


def table(architecture: Architecture) -> tuple[np.ndarray, int]:
    """See `padded.padded_table`."""
    return padded_table(architecture, lanes_of_register(architecture.dtype.itemsize))


@made_once
def make_forward(hidden: Codes, keeps: bool, drops: bool, first: int = 0) -> Any:
    """Make the way of a sample's inputs through all layers, or through those from *first* on.

    With *drops*, which needs *keeps*, units are dropped: *counter* is the number of the first
    hidden unit's random number.
    """
    activate = make_activate(hidden, keeps)

    @inner
    def forward(layers, w, options, counter):
        last = len(layers) - 1
        for l in range(first, last + 1):
            weighted_sums(layers, l, w)
            if l < last:
                activate(layers[l, ACTIVATION], layers, l, w)
                if drops:
                    a, n = layers[l, UNITS], layers[l, N_OUT]
                    drop(w, a, layers[l, ALL_UNITS] * _3 + a, n, _1, options, l, counter, n)
                    counter += n

    return forward


@made_once
def make_back(
    hidden: Codes, bias: bool, keeps: bool, act: Any, registers: int, first: int = 0
) -> Any:
    """Make the way back through all layers; the arguments are those of `make_update_layer`.

    Or only down to layer *first*: the gradients of its inputs are left.
    """
    update_layer = make_update_layer(bias, act, registers)
    times_slope = make_times_slope(hidden, keeps)

    @inner
    def back(layers, w, numbers, of_biases):
        value = 0.0
        for l in range(len(layers) - 1, first - 1, -1):
            value += update_layer(layers, l, w, numbers, of_biases)
            if l > 0:
                times_slope(layers[l - 1, ACTIVATION], layers, l, w)
        return value

    return back


@made_once
def make_train_samples(hidden: Codes, output: int, loss: int, bias: bool) -> Any:
    """Make the kernel of plain SGD, see `epochs.make_train`; the layers are those of `table`."""
    take, give = make_copies(bias)
    forward, finish = make_forward(hidden, False, False), make_finish(output, loss)
    back = make_back(hidden, bias, False, subtract, 4)

    @inner
    def learn(layers, p, t, data, last, row, rate, options, w, carried):
        take_row(layers, data.X, row, w)
        forward(layers, w, None, None)
        top = len(layers) - 1
        z, n_out = layers[top, UNITS], layers[top, N_OUT]
        d = layers[top, ALL_UNITS] + z
        loss = finish(w, z, d, n_out, data.Y, row)
        scale(w, d, n_out, rate)
        back(layers, w, 0, 0)
        return loss, 0.0, carried

    @inner
    def end(layers, p, moments, data, last, w, carried):
        give(layers, p, moments, w)

    return make_train(take, learn, end, wide=False)
