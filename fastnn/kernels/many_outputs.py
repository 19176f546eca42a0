"""Outputs and losses of many networks at once, a lane each."""

from typing import Any

from fastnn.activations import ACTIVATIONS
from fastnn.kernels.activations import VALUES, Codes
from fastnn.kernels.block_ends import softmax_in_lanes
from fastnn.kernels.jit import inner, kernel, made_once, ordered
from fastnn.kernels.lanes import load, store
from fastnn.kernels.layout import N_OUT, UNITS
from fastnn.kernels.many import add_sum, height_of, make_finish_rows, make_forward_of_many
from fastnn.kernels.many_rows import ROWS, find, spread_row, take

_SOFTMAX = ACTIVATIONS["softmax"].code


@made_once
def _make_activate_outputs(output: int, lanes: int) -> Any:
    """Make the activation of the n outputs of a sample, *step* places apart, in place."""
    if output == _SOFTMAX:

        @inner
        def activate_softmax(values, at, step, n):
            first = at * lanes
            softmax_in_lanes(values, first, values, first, n, step * lanes, lanes, lanes)

        return activate_softmax
    value = VALUES[output]

    @ordered
    def activate_outputs(values, at, step, n):
        for j in range(n):
            place = (at + j * step) * lanes
            store(values, place, value(load(values, place, lanes)))

    return activate_outputs


@made_once
def make_outputs_of_many(hidden: Codes, output: int, bias: bool, lanes: int) -> Any:
    """Make the kernel that fills *values*, (blocks, lanes, n, n_out), from (blocks, numbers)."""
    forward = make_forward_of_many(hidden, bias, False, False, lanes)
    activate = _make_activate_outputs(output, lanes)

    @kernel
    def outputs_of_many(layers, blocks, X, values, scratch):
        last = len(layers) - 1
        n_out, height = layers[last, N_OUT], height_of(layers, scratch, lanes)
        outputs = layers[last, UNITS] * height
        for block in range(len(blocks)):
            for position in range(0, len(X), ROWS):
                n = min(ROWS, len(X) - position)
                for s in range(n):
                    spread_row(X, position + s, scratch.values, s, height, lanes)
                forward(layers, blocks[block], scratch, n, None, 0)
                for s in range(n):
                    at = outputs + s
                    activate(scratch.values, at, height, n_out)
                    for l in range(lanes):
                        for o in range(n_out):
                            number = scratch.values[(at + o * height) * lanes + l]
                            values[block, l, position + s, o] = number

    return outputs_of_many


@made_once
def make_losses_of_many(
    hidden: Codes, output: int, loss: int, bias: bool, weighted: bool, lanes: int
) -> Any:
    """Make the kernel that adds each network's losses to *sums*, (1, lanes)."""
    forward = make_forward_of_many(hidden, bias, False, False, lanes)
    finish_rows = make_finish_rows(output, loss, weighted, lanes)

    @kernel
    def losses_of_many(layers, p, data, n_samples, sums, scratch):
        height, columns = height_of(layers, scratch, lanes), data.Y.shape[1]
        for position in range(0, n_samples, ROWS):
            n = min(ROWS, n_samples - position)
            find(data, 0, position, n, scratch, weighted, lanes)
            take(data, 0, n, 0, height, scratch, lanes)
            forward(layers, p, scratch, n, None, 0)
            add_sum(sums, 0, finish_rows(layers, scratch, n, columns), lanes)

    return losses_of_many
