"""Mini-batch and full-batch gradient descent, and the loss with its gradient."""

import functools
from typing import Any

from fastnn.kernels.jit import inner, kernel
from fastnn.kernels.samples import make_backward, make_forward


@functools.cache
def make_add_gradient(hidden: int, output: int, loss: int, bias: bool) -> Any:
    """Make a function that adds the gradient of one sample; returns the sample's loss."""
    forward = make_forward(hidden, output, loss, bias)
    backward = make_backward(hidden, bias)

    @inner
    def add_gradient(layers, p, X, Y, row, workspace, gradient):
        n = len(workspace) // 3
        z, a, d = workspace[:n], workspace[n : 2 * n], workspace[2 * n :]
        total = forward(layers, p, X, Y, row, z, a, d)
        backward(layers, p, z, a, d, gradient, p.dtype.type(1))
        return total

    return add_gradient


@functools.cache
def make_train_batches(hidden: int, output: int, loss: int, bias: bool, mean: bool) -> Any:
    """Make the training kernel for these codes; *gradient* is scratch, as long as p."""
    add_gradient = make_add_gradient(hidden, output, loss, bias)

    @kernel
    def train_batches(
        layers, p, X, Y, order, rates, start, stop, loss_sums, workspace, batch_size, gradient
    ):
        for epoch in range(len(rates)):
            total = loss_sums[epoch]
            for first in range(start, stop, batch_size):
                after = min(first + batch_size, stop)
                for k in range(len(gradient)):
                    gradient[k] = 0
                for position in range(first, after):
                    row = order[epoch, position] if len(order) > 0 else position
                    total += add_gradient(layers, p, X, Y, row, workspace, gradient)
                rate = p.dtype.type(rates[epoch] / (after - first) if mean else rates[epoch])
                for k in range(len(gradient)):
                    p[k] -= rate * gradient[k]
            loss_sums[epoch] = total

    return train_batches


@functools.cache
def make_loss_and_gradient(hidden: int, output: int, loss: int, bias: bool) -> Any:
    """Make the kernel that returns the sum of the samples' losses and fills *gradient*."""
    add_gradient = make_add_gradient(hidden, output, loss, bias)

    @kernel
    def loss_and_gradient(layers, p, X, Y, gradient, workspace):
        total = 0.0
        for k in range(len(gradient)):
            gradient[k] = 0
        for row in range(len(X)):
            total += add_gradient(layers, p, X, Y, row, workspace, gradient)
        return total

    return loss_and_gradient
