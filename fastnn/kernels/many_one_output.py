"""Plain SGD sample by sample, many networks of one hidden layer and one output at once.

A sample's update of the parameters and the next one's forward pass are one sweep over the hidden
units: what a sweep reads and writes it has in registers between the two.
"""

from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.kernels.activations import SLOPES, VALUES, Codes
from fastnn.kernels.jit import kernel, made_once, ordered
from fastnn.kernels.lanes import load, store
from fastnn.kernels.layout import BIAS, N_OUT, WEIGHTS
from fastnn.kernels.losses import TERMS
from fastnn.kernels.many import add_sum
from fastnn.kernels.many_rows import ROWS, find, take
from fastnn.kernels.ready import slopes_need_z
from fastnn.kernels.rows import make_finish_one
from fastnn.kernels.rules import number

#: Up to so many inputs the sweep takes 10 to 30 % less than two passes. The weights of more are so
#: far apart that they push one another out of the cache. Not a limit on hidden units: what a block
#: is wide must not choose the kernel, which would make a network's bits depend on its company.
MOST_INPUTS = 3


def pays(architecture: Architecture) -> bool:
    """Whether the sweep is made for such networks, of any width, and faster."""
    n_in, *hidden, n_out = architecture.sizes
    one_of_each = len(hidden) == 1 and n_out == 1 and architecture.loss.code in TERMS
    return one_of_each and n_in <= MOST_INPUTS and not slopes_need_z(architecture)


@made_once
def _make_sweep(hidden: Codes, bias: bool, n_in: int, lanes: int) -> Any:
    """Make the update with the last sample, and the forward pass of the next, of *n_in* inputs.

    It is known how many when it is compiled, and loops over them are none any longer: 1-128-1 relu
    in float64 takes 0.7 of the time, sigmoid 0.92, 3-4-1 0.88.

    Their inputs are at *before* and *x*; g is the rate times the last one's ∂loss/∂z of the output.
    It returns the next output's z, without its bias.
    """
    value, slope = VALUES[hidden[0]], SLOPES[hidden[0]]

    @ordered
    def sweep(layers, p, scratch, before, x, g):
        n_hidden = layers[0, N_OUT]
        W, b, V = layers[0, WEIGHTS], layers[0, BIAS], layers[1, WEIGHTS]
        output = load(scratch.zero, 0, lanes)
        for j in range(n_hidden):
            h, v = load(scratch.deltas, j * lanes, lanes), load(p, (V + j) * lanes, lanes)
            d = v * g * slope(h, h)
            z = load(scratch.zero, 0, lanes)
            if bias:
                z = load(p, (b + j) * lanes, lanes) - d
                store(p, (b + j) * lanes, z)
            for i in range(n_in):
                place = (W + i * n_hidden + j) * lanes
                w = load(p, place, lanes) - d * load(scratch.values, (before + i) * lanes, lanes)
                store(p, place, w)
                z = z + w * load(scratch.values, (x + i) * lanes, lanes)
            v = v - h * g
            store(p, (V + j) * lanes, v)
            h = value(z) * load(scratch.present, j * lanes, lanes)
            store(scratch.deltas, j * lanes, h)
            output = output + h * v
        return output

    return sweep


@made_once
def make_train_one_output_of_many(
    hidden: Codes, output: int, loss: int, bias: bool, n_in: int, lanes: int
) -> Any:
    """Make the kernel for *n_in* inputs; its arguments are as in `many_batches.make_train_many`."""
    sweep, finish_one = _make_sweep(hidden, bias, n_in, lanes), make_finish_one(output, loss)

    @ordered
    def begin(scratch, x, n_hidden):
        """Hidden values and inputs for a first sweep that changes nothing, and a last one."""
        for j in range(n_hidden):
            store(scratch.deltas, j * lanes, load(scratch.zero, 0, lanes))
        for i in range(n_in):
            store(scratch.values, (x + i) * lanes, load(scratch.zero, 0, lanes))

    @ordered
    def end_of_sample(p, c, z, y, rate, total):
        """*total* and the loss, and g for the sweep; the output's bias is changed."""
        if bias:
            z = z + load(p, c, lanes)
        d, lost = finish_one(z, y, 1)
        g = d * rate
        if bias:
            store(p, c, load(p, c, lanes) - g)
        return total + lost, g

    @kernel
    def train_one_output_of_many(layers, p, moments, t, data, span, options, scratch, g):
        n_hidden, c = layers[0, N_OUT], layers[1, BIAS] * lanes
        width, per_update = n_in + n_hidden + 1, span.rates.shape[1] > 1
        before, x = width, 0
        begin(scratch, before, n_hidden)
        g_output = load(scratch.zero, 0, lanes)
        for epoch in range(len(span.rates)):
            rate = number(load(span.rates, (epoch, 0, 0), lanes), p)
            for first in range(span.start, span.stop, ROWS):
                total, n = load(scratch.zero, 0, lanes), min(ROWS, span.stop - first)
                find(data, epoch, first, n, scratch, False, lanes)
                for s in range(n):
                    if per_update:
                        update = (epoch, first + s - span.start, 0)
                        rate = number(load(span.rates, update, lanes), p)
                    take(data, s, 1, x, 1, scratch, lanes)
                    z = sweep(layers, p, scratch, before, x, g_output)
                    y = load(scratch.targets, 0, lanes)
                    total, g_output = end_of_sample(p, c, z, y, rate, total)
                    before, x = x, before
                add_sum(span.loss_sums, epoch, total, lanes)
        sweep(layers, p, scratch, before, x, g_output)
        n_updates = np.uint64(len(span.rates) * (span.stop - span.start))
        store(t, 0, load(t, 0, lanes) + n_updates)

    return train_one_output_of_many
