"""One sample through one hidden layer: all that some of its units have to do, at once.

Forward from the inputs to their values, and back from the outputs' gradients to their parameters:
what goes on between the layers stays in registers. Plain SGD does both in one sweep, see
`fastnn.kernels.one_hidden`, whose table the layers are; a rule whose divisions take long would
there keep the next sample waiting.
"""

from collections import namedtuple
from typing import Any

import numpy as np

from fastnn.kernels.activations import SLOPES, VALUES, Codes
from fastnn.kernels.jit import inner, made_once, ordered
from fastnn.kernels.lanes import load, splat, store, width
from fastnn.kernels.lanes import total as sum_of
from fastnn.kernels.layout import INPUTS, N_IN, N_OUT, UNITS
from fastnn.kernels.padded import ALL_UNITS, OWN_BIAS, OWN_WEIGHTS, ROW, STEP
from fastnn.kernels.rows import sums_of_some

_0, _1, _2, _3 = (np.uint64(k) for k in range(4))
#: Where all is in the workspace, read once a sample: a table that is read in a loop with stores is
#: read again in each round. x are the inputs, h, *present* and *slopes* are of hidden units, z and
#: d of outputs; c are the outputs' biases.
Places = namedtuple("Places", "n_in n_out row step x h present slopes z d b W V c")


@inner
def _places_of(layers):
    units, h, z = layers[0, ALL_UNITS], layers[0, UNITS], layers[1, UNITS]
    return Places(
        n_in=layers[0, N_IN],
        n_out=layers[1, N_OUT],
        row=layers[0, ROW],
        step=layers[0, STEP],
        x=layers[0, INPUTS],
        h=h,
        present=units * _2 + h,
        slopes=units * _3 + h,
        z=z,
        d=units + z,
        b=layers[0, OWN_BIAS],
        W=layers[0, OWN_WEIGHTS],
        V=layers[1, OWN_WEIGHTS],
        c=layers[1, OWN_BIAS],
    )


@made_once
def make_forward(hidden: Codes, keeps: bool, lanes: int) -> Any:
    """Make the way of a sample's inputs to the outputs' sums, see `samples.make_forward`."""
    value, slope = VALUES[hidden[0]], SLOPES[hidden[0]]

    @ordered
    def values_of_some(at, w, j, total):
        """Units from j on; *total* is of the first output, to which they add their share."""
        W, b = at.W + j, at.b + j
        z = sums_of_some(w, W, b, True, at.n_in, at.step, w, at.x, lanes, lanes)
        h = value(z)
        if keeps:
            store(w, at.slopes + j, slope(z, h))
        h = h * load(w, at.present + j, lanes)
        store(w, at.h + j, h)
        return total + h * load(w, at.V + j, lanes)

    @ordered
    def sum_of_output(at, w, V):
        total = splat(w.dtype.type(0), lanes)
        for j in range(_0, at.row, lanes):
            total = total + load(w, at.h + j, lanes) * load(w, V + j, lanes)
        return sum_of(total)

    @inner
    def forward(layers, w, options, counter):
        at, total = _places_of(layers), splat(w.dtype.type(0), lanes)
        for j in range(_0, at.row, lanes):
            total = values_of_some(at, w, j, total)
        w[at.z] = sum_of(total) + w[at.c]
        for o in range(_1, at.n_out):
            w[at.z + o] = sum_of_output(at, w, at.V + o * at.step) + w[at.c + o]

    return forward


@made_once
def make_back(hidden: Codes, bias: bool, keeps: bool, act: Any, lanes: int) -> Any:
    """Make the way back from the outputs' gradients, see `samples.make_back`."""
    slope = SLOPES[hidden[0]]

    @ordered
    def back_of_some(at, w, j, numbers, of_biases):
        h, v, d_o = load(w, at.h + j, lanes), load(w, at.V + j, lanes), w[at.d]
        d = v * d_o
        values = act(w, at.V + j, v, h * d_o, lanes, numbers)
        for o in range(_1, at.n_out):
            place, d_o = at.V + o * at.step + j, w[at.d + o]
            v = load(w, place, lanes)
            d = d + v * d_o
            values = values + act(w, place, v, h * d_o, lanes, numbers)
        d = d * (load(w, at.slopes + j, lanes) if keeps else slope(h, h))
        if bias:
            b = load(w, at.b + j, lanes)
            values = values + act(w, at.b + j, b, d, lanes, of_biases)
        for i in range(at.n_in):
            place = at.W + i * at.step + j
            weights, x_i = load(w, place, lanes), w[at.x + i]
            values = values + act(w, place, weights, d * x_i, lanes, numbers)
        return values

    @inner
    def back(layers, w, numbers, of_biases):
        at, n, values = _places_of(layers), width(w), splat(0.0, lanes)
        for j in range(_0, at.row, lanes):
            values = values + back_of_some(at, w, j, numbers, of_biases)
        value = sum_of(values)
        if bias:
            for o in range(_0, at.n_out, n):
                c, d_o = load(w, at.c + o, n), load(w, at.d + o, n)
                value += sum_of(act(w, at.c + o, c, d_o, n, of_biases))
        return value

    return back
