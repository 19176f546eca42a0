"""The steps of training one layer, each alone and many times over, so that they can be timed.

A layer's weights, row-major, and then its biases are all of p. In the workspace lie the layer's
inputs and then its own units, (width, n) each: their values; the same for gradients ∂loss/∂z; and
scratch for n samples of the units.
"""

import functools
from typing import Any

from fastnn.kernels import blocks, rows
from fastnn.kernels.jit import kernel
from fastnn.kernels.lanes import prefer_wide_vectors
from fastnn.kernels.products import find_blas

#: The steps: a of the layer; d of its inputs; the gradient, added to the weights.
FORWARD, BACKWARD, UPDATE = range(3)


@functools.cache
def make_sample_step(activation: int, below: int, bias: bool) -> Any:
    """Make the kernel for one sample; *activation* and *below* are codes, of it and its inputs.

    *sizes* are the inputs, the units and the samples: unsigned, as in `fastnn.kernels.layout`.
    """
    weighted_sums, add_outer = rows.make_weighted_sums(bias), rows.make_add_outer(bias)
    activate, times_slope = (
        rows.make_activate((activation,), False),
        rows.make_times_slope((below,), False),
    )

    @kernel
    def sample_step(sizes, p, w, step, rate, rounds):
        n_in, n_out = sizes[0], sizes[1]
        a, b = n_in - n_in, n_in * n_out
        d = n_in + n_out
        for _ in range(rounds):
            if step == FORWARD:
                weighted_sums(p, a, b, n_in, n_out, w, a, n_in)
                activate(activation, w, n_in, n_out, a)
            elif step == BACKWARD:
                rows.back_through_weights(p, a, n_in, n_out, w, d + n_in, d)
                times_slope(below, w, a, d, n_in, a)
            else:
                add_outer(p, a, b, n_in, n_out, w, a, d + n_in, rate)

    return sample_step


@functools.cache
def make_block_step(activation: int, below: int, bias: bool) -> Any:
    """Make the same for a block of n samples, whose matrices are (width, n)."""
    sums, gradient = blocks.make_sums(bias), blocks.make_gradient(bias)
    activate, times_slope = (
        rows.make_activate((activation,), False),
        rows.make_times_slope((below,), False),
    )
    find_blas()

    @kernel
    def block_step(sizes, p, w, step, rate, rounds):
        prefer_wide_vectors()
        n_in, n_out, n, one = sizes[0], sizes[1], sizes[2], p.dtype.type(1)
        a, own, b = n_in - n_in, n_in * n, n_in * n_out
        d = own + n_out * n
        scratch = d + d
        for _ in range(rounds):
            if step == FORWARD:
                sums(p, a, b, n_in, n_out, w, a, True, own, n)
                activate(activation, w, own, n_out * n, a)
            elif step == BACKWARD:
                blocks.back_through_weights(p, a, n_in, n_out, w, d + own, d, n)
                times_slope(below, w, a, d, own, a)
            else:
                gradient(p, a, b, n_in, n_out, w, a, True, d + own, n, rate, one, scratch)

    return block_step
