"""The phases of a training kernel, each alone over whole epochs, so that they can be timed.

They are made of the layer functions of `fastnn.kernels.blocks` and `sample_steps`, on the same
places of the same workspace. The other kernels for single samples go through all layers in
one sweep: they have no phases.
"""

from typing import Any

import numpy as np

from fastnn.kernels import block_ends, blocks, rows, sample_steps
from fastnn.kernels.activations import Codes
from fastnn.kernels.epochs import row_of
from fastnn.kernels.jit import kernel, made_once
from fastnn.kernels.lanes import minimum, prefer_wide_vectors
from fastnn.kernels.layout import ACTIVATION, INPUTS, N_IN, N_OUT, UNITS, layer_of
from fastnn.kernels.llvm import flat
from fastnn.kernels.padded import ALL_UNITS, make_copies

#: What there is to do: get the samples; a of a layer; loss and d of the outputs; d of a layer's
#: inputs; the gradient, added to the weights. Of single samples the last two are one, and LOSS
#: multiplies what goes back by the rate.
FETCH, FORWARD, LOSS, BACKWARD, UPDATE = range(5)


@made_once
def make_sample_phase(hidden: Codes, output: int, loss: int, bias: bool) -> Any:
    """Make the kernel for single samples: the arguments of `make_block_phase`, some not used.

    The layers are those of `padded.padded_table`. Parameters are taken by FETCH, and given back by
    each UPDATE.
    """
    take, give = make_copies(bias)
    activate, finish = sample_steps.make_activate(hidden, False), rows.make_finish(output, loss)
    update_layer = sample_steps.make_update_layer(bias, sample_steps.subtract, 4)
    times_slope = sample_steps.make_times_slope(hidden, False)

    @kernel
    def sample_phase(layers, places, p, data, w, batch_size, kept, l, phase, rate, epochs):
        last, total = len(layers) - 1, 0.0
        z, n_out = layers[last, UNITS], layers[last, N_OUT]
        d = layers[last, ALL_UNITS] + z
        if phase == FETCH:
            take(layers, p, p, w)
        for _ in range(epochs):
            for position in range(len(data.Y)):
                row = row_of(data.order, np.int64(0), position)
                if phase == FETCH:
                    sample_steps.take_row(layers, data.X, row, w)
                elif phase == FORWARD:
                    sample_steps.weighted_sums(layers, l, w)
                    if l < last:
                        activate(layers[l, ACTIVATION], layers, l, w)
                elif phase == LOSS:
                    total += finish(w, z, d, n_out, data.Y, row)
                    sample_steps.scale(w, d, n_out, rate)
                else:
                    update_layer(layers, l, w, 0, 0)
                    if l > 0:
                        times_slope(layers[l - 1, ACTIVATION], layers, l, w)
        if phase == UPDATE:
            give(layers, p, p, w)
        return total

    return sample_phase


@made_once
def make_block_phase(hidden: Codes, output: int, loss: int, bias: bool) -> Any:
    """Make the kernel for batches: one *phase* of layer *l*, over all batches of some *epochs*.

    *layers*, *places*, *data* and *kept* are as in `batches`. What the phase needs lies in the
    workspace w already: whatever a FETCH and the other phases have left there.
    """
    sums, gradient = blocks.make_sums(bias), blocks.make_gradient(bias)
    activate = rows.make_activate(hidden, False)
    times_slope = rows.make_times_slope(hidden, False)
    finish = block_ends.make_finish(output, loss, False)

    @kernel
    def block_phase(layers, places, p, data, w, batch_size, kept, l, phase, rate, epochs):
        prefer_wide_vectors()
        last, block, one = len(layers) - 1, np.int64(places.block), p.dtype.type(1)
        W, b, n_in, n_out = layer_of(layers, l)
        width, first_unit = layers[0, N_IN], layers[0, UNITS]
        of_inputs = width < blocks.WIDE_INPUT
        z = places.units + (layers[l, UNITS] - first_unit) * places.block
        outputs = places.units + (layers[last, UNITS] - first_unit) * places.block
        slopes = places.slopes + (layers[l, UNITS] - first_unit) * places.block
        total = 0.0
        for _ in range(epochs):
            for start in range(0, len(data.Y), batch_size):
                after = minimum(start + batch_size, len(data.Y))
                for position in range(start, after, block):
                    n, before = np.uint64(minimum(block, after - position)), np.uint64(position)
                    x, y = places.x, places.y
                    if kept:
                        x, y = x + before * width, y + before * np.uint64(data.Y.shape[1])
                    lies = blocks.lie_ready(data.order, of_inputs)
                    source, a, turned = w, x, of_inputs
                    if l > 0:
                        a = places.units + (layers[l, INPUTS] - first_unit) * places.block
                        turned = True
                    elif lies:
                        source, a = flat(data.X), before * width
                    if phase == FETCH:
                        if not lies:
                            blocks.gather(data.X, data.order, 0, position, n, of_inputs, w, x)
                        blocks.gather(data.Y, data.order, 0, position, n, n > 0, w, y)
                    elif phase == FORWARD:
                        sums(p, W, b, n_in, n_out, w, source, a, turned, z, n, places.scratch)
                        if l < last:
                            activate(layers[l, ACTIVATION], w, z, n_out * n, slopes)
                    elif phase == LOSS:
                        total += finish(w, outputs, y, places.d, layers[last, N_OUT], n,
                                        places.weights)  # fmt: skip
                    elif phase == BACKWARD:
                        blocks.back_through_weights(
                            p, W, n_in, n_out, w, places.d, places.d_below, n
                        )
                        code = layers[l - 1, ACTIVATION]
                        times_slope(code, w, a, places.d_below, n_in * n, slopes)
                    else:
                        to = blocks.Into(p, rate, p, one, one)
                        gradient(to, W, b, n_in, n_out, w, source, a, turned, places.d, n,
                                 places.scratch)  # fmt: skip
        return total

    return block_phase
