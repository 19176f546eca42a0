"""How kernels see an architecture: a table of numbers, one row per layer."""

import numpy as np

from fastnn.architecture import Architecture
from fastnn.kernels.jit import inner
from fastnn.memory import LINE

#: Columns of the table. WEIGHTS and BIAS are places in the flat parameter vector. INPUTS and
#: UNITS are the places of a layer's inputs and of its own units in a vector that holds the
#: network's inputs and then the units of all layers. ACTIVATION is a code.
N_IN, N_OUT, WEIGHTS, BIAS, INPUTS, UNITS, ACTIVATION = range(7)

#: Rows that are a multiple of so many bytes apart share a few places of the nearest cache: where
#: one after another is read or written, a few numbers of each, they drive one another out. And a
#: load waits for an earlier store if their addresses differ by a multiple of 4,096 bytes.
FEW_PLACES = 1024


def step_between(n, itemsize):
    """A step between rows of n numbers that are gone through across; n is a uint64 in kernels."""
    line = np.uint64(LINE) // np.uint64(itemsize)
    return n + line if n * np.uint64(itemsize) % np.uint64(FEW_PLACES) == np.uint64(0) else n


def layer_table(architecture: Architecture) -> np.ndarray:
    """The table, shape (layers, 7).

    It is unsigned: an index computed from it cannot be negative, so numba leaves out the check
    for that, and loops over such indices vectorise. Where there are no biases, BIAS is not used.
    """
    rows = []
    inputs = 0
    for layer in architecture.layers:
        bias = 0 if layer.bias is None else layer.bias.start
        units = inputs + layer.n_in
        rows.append(
            (
                layer.n_in,
                layer.n_out,
                layer.weights.start,
                bias,
                inputs,
                units,
                layer.activation.code,
            )
        )
        inputs = units
    return np.array(rows, dtype=np.uint64)


@inner
def layer_of(layers, l):
    """Where the weights and biases of a layer lie, and how many inputs and units it has."""
    return layers[l, WEIGHTS], layers[l, BIAS], layers[l, N_IN], layers[l, N_OUT]
