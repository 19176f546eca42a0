"""Mini-batch and full-batch gradient descent, and the gradient alone."""

import functools
from typing import Any

from fastnn.kernels.blocks import (
    BLOCK,
    WIDE_INPUT,
    gather,
    make_backward,
    make_finish,
    make_forward,
    places_of,
)
from fastnn.kernels.jit import kernel, prefer_wide_vectors
from fastnn.kernels.layout import N_IN, UNITS


@functools.cache
def make_train_batches(hidden: int, output: int, loss: int, bias: bool) -> Any:
    """Make the training kernel for these codes; most arguments are those of `Piece`.

    With *mean* a batch's gradient is divided by its size.
    *gradient* is scratch as long as p, and is used for batches larger than a block. With
    *only_gradient* p stays as it is and gradient holds the last batch's summed gradient. With
    *keep* the samples, taken in order, are gathered once and stay in the workspace.
    """
    forward = make_forward(hidden, bias)
    backward = make_backward(hidden, bias)
    finish = make_finish(output, loss)

    @kernel
    def train_batches(layers, p, X, Y, order, rates, start, stop, loss_sums, workspace,
                      batch_size, mean, gradient, only_gradient, keep):  # fmt: skip
        prefer_wide_vectors()
        places = places_of(layers, BLOCK, len(X) if keep else 0)
        n_in, n_out = layers[0, N_IN], Y.shape[1]
        turned = n_in < WIDE_INPUT
        z = places.units + (layers[len(layers) - 1, UNITS] - n_in) * BLOCK
        one = p.dtype.type(1)
        per_update = 1 if rates.shape[1] > 1 else 0
        for epoch in range(len(rates)):
            for first in range(start, stop, batch_size):
                after = min(first + batch_size, stop)
                rate = p.dtype.type(rates[epoch, (first - start) // batch_size * per_update])
                if mean:
                    rate /= p.dtype.type(after - first)
                direct = after - first <= BLOCK and not only_gradient  # the update goes into p
                for position in range(first, after, BLOCK):
                    n = min(BLOCK, after - position)
                    x, y = places.x, places.y
                    if keep:
                        x, y = x + position * n_in, y + position * n_out
                    if epoch == 0 or not keep:
                        gather(X, order, epoch, position, n, turned, workspace, x)
                        gather(Y, order, epoch, position, n, n > 0, workspace, y)
                    forward(layers, p, workspace, places, x, n, BLOCK)
                    loss_sums[epoch] += finish(
                        workspace[z : z + n_out * n],
                        workspace[y : y + n_out * n],
                        workspace[places.d : places.d + n_out * n],
                        n_out,
                        n,
                        workspace[places.scratch :],
                    )
                    into = p if direct else gradient
                    scale = -rate if direct else one
                    fresh = position == first and not direct
                    backward(layers, p, workspace, places, x, n, BLOCK, into, scale,
                             one - one if fresh else one)  # fmt: skip
                if not direct and not only_gradient:
                    for k in range(len(p)):
                        p[k] -= rate * gradient[k]

    return train_batches
