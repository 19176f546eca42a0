"""The outputs of few samples: one at a time through all layers, the lanes over a layer's units.

The parameters are where they always are: to copy them to better places would take longer. The
workspace is a vector over the inputs and all units.
"""

from typing import Any

import numpy as np

from fastnn.kernels.activations import Codes
from fastnn.kernels.jit import inner, kernel, made_once
from fastnn.kernels.layout import ACTIVATION, INPUTS, N_IN, N_OUT, UNITS, layer_of
from fastnn.kernels.outputs import SOFTMAX, all_numbers
from fastnn.kernels.rows import make_activate, softmax, weighted_sums

#: Behind the units, as a layer's last sums are stored as a whole register: AVX-512's of float32.
ROOM = 16


def vector_size(n_units: int) -> int:
    """How long the workspace for so many inputs and units is."""
    return n_units + ROOM


@made_once
def _make_forward(hidden: Codes, bias: bool) -> Any:
    """Make the forward pass of the inputs at the start of w; the outputs' sums are left."""
    activate = make_activate(hidden, False)

    @inner
    def forward(layers, p, w):
        last = len(layers) - 1
        for l in range(last + 1):
            W, b, n_in, n = layer_of(layers, l)
            z = layers[l, UNITS]
            weighted_sums(p, W, b, bias, n_in, n, w, layers[l, INPUTS], z)
            if l < last:
                activate(layers[l, ACTIVATION], w, z, n, z)

    return forward


@made_once
def make_outputs_by_row(hidden: Codes, output: int, bias: bool) -> Any:
    """Make `outputs.make_outputs` for few samples and the output layer only.

    The workspace is a vector over the inputs and all units, see `vector_size`.
    """
    forward = _make_forward(hidden, bias)
    code = np.uint64(0 if output == SOFTMAX else output)
    activate = make_activate((int(code),), False)

    @kernel
    def outputs_by_row(layers, p, X, values, w):
        last, first = len(layers) - 1, layers[0, INPUTS]
        at, n_out = layers[last, UNITS], layers[last, N_OUT]
        for row in range(len(X)):
            for i in range(layers[0, N_IN]):
                if not np.isfinite(X[row, i]):
                    return False
                w[i] = X[row, i]
            forward(layers, p, w)
            if output == SOFTMAX:
                softmax(w, at, at, n_out)
            else:
                activate(code, w, at, n_out, first)
            for j in range(n_out):
                values[row, j] = w[at + j]
            if not all_numbers(w[at : at + n_out]):
                return False
        return True

    return outputs_by_row
