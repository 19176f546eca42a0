"""The steps of training one layer, each alone and many times over, so that they can be timed.

The training kernels run the same arithmetic in the same order of loops, or by the same products of
BLAS, but merge steps where that saves time.

A layer's weights, row-major, and then its biases are all of p. a and d hold the layer's inputs and
then its own units: values, and gradients ∂loss/∂z.
"""

import functools
from typing import Any

from fastnn.kernels.activations import SLOPES, VALUES
from fastnn.kernels.jit import kernel
from fastnn.kernels.lanes import prefer_wide_vectors
from fastnn.kernels.products import Matrix, multiply

#: The steps: a of the layer; d of its inputs; the gradient, added to the weights.
FORWARD, BACKWARD, UPDATE = range(3)


@functools.cache
def make_sample_step(activation: int, below: int, bias: bool) -> Any:
    """Make the kernel for one sample; *activation* and *below* are codes, of it and its inputs.

    *sizes* are the inputs, the units, and 0: unsigned, as in `fastnn.kernels.layout`.
    """
    value, slope = VALUES[activation], SLOPES[below]

    @kernel
    def sample_step(sizes, p, a, d, step, rate, rounds):
        n_in, n_out, zero = sizes[0], sizes[1], sizes[2]
        b = n_in * n_out
        for _ in range(rounds):
            if step == FORWARD:
                for j in range(n_out):
                    a[n_in + j] = p[b + j] if bias else 0
                if n_out == 1:
                    total = a[n_in]
                    for i in range(n_in):
                        total += a[i] * p[zero + i]
                    a[n_in] = total
                else:
                    for i in range(n_in):
                        x, row = a[zero + i], i * n_out
                        for j in range(n_out):
                            a[n_in + j] += x * p[row + j]
                for j in range(n_out):
                    a[n_in + j] = value(a[n_in + j])
            elif step == BACKWARD:
                for i in range(n_in):
                    total, row = p.dtype.type(0), i * n_out
                    for j in range(n_out):
                        total += p[row + j] * d[n_in + j]
                    d[zero + i] = total * slope(a[zero + i], a[zero + i])
            else:
                if bias:
                    for j in range(n_out):
                        p[b + j] += rate * d[n_in + j]
                for i in range(n_in):
                    x, row = rate * a[zero + i], i * n_out
                    for j in range(n_out):
                        p[row + j] += x * d[n_in + j]

    return sample_step


@functools.cache
def make_block_step(activation: int, below: int, bias: bool) -> Any:
    """Make the kernel for a block of n samples, (width, n), the rest as in `make_sample_step`."""
    value, slope = VALUES[activation], SLOPES[below]

    @kernel
    def block_step(sizes, n, p, a, d, scalars, step, rate, rounds):
        prefer_wide_vectors()
        n_in, n_out = sizes[0], sizes[1]
        one = p.dtype.type(1)
        own = n_in * n
        units = a[own : own + n_out * n]
        for _ in range(rounds):
            if step == FORWARD:
                for j in range(n_out):
                    start = p[n_in * n_out + j] if bias else one - one
                    for s in range(n):
                        units[j * n + s] = start
                W, A = Matrix(p, 0, n_out, True), Matrix(a, 0, n, False)
                multiply(one, W, A, one, Matrix(a, own, n, False), (n_out, n_in, n), scalars)
                for k in range(n_out * n):
                    units[k] = value(units[k])
            elif step == BACKWARD:
                W, D = Matrix(p, 0, n_out, False), Matrix(d, own, n, False)
                multiply(one, W, D, one - one, Matrix(d, 0, n, False), (n_in, n_out, n), scalars)
                for k in range(n_in * n):
                    d[k] *= slope(a[k], a[k])
            else:
                if bias:
                    for j in range(n_out):
                        row = d[own + j * n : own + (j + 1) * n]
                        total = one - one
                        for s in range(n):
                            total += row[s]
                        p[n_in * n_out + j] += rate * total
                A, D = Matrix(a, 0, n, False), Matrix(d, own, n, True)
                multiply(rate, A, D, one, Matrix(p, 0, n_out, False), (n_in, n, n_out), scalars)

    return block_step
