"""Forward passes without training: outputs, and the loss."""

import functools
from typing import Any

from fastnn.kernels.jit import kernel
from fastnn.kernels.samples import make_forward


@functools.cache
def make_layer_outputs(hidden: int, output: int, loss: int, bias: bool) -> Any:
    """Make the kernel that writes all units' values and returns the sum of the losses.

    *values* is (n, inputs and all units); Y holds targets, or zeros if the loss is not wanted.
    """
    forward = make_forward(hidden, output, loss, bias)

    @kernel
    def layer_outputs(layers, p, X, Y, values, workspace):
        n = len(workspace) // 3
        z, a, d = workspace[:n], workspace[n : 2 * n], workspace[2 * n :]
        total = 0.0
        for row in range(len(X)):
            total += forward(layers, p, X, Y, row, z, a, d)
            if len(values) > 0:
                for k in range(n):
                    values[row, k] = a[k]
        return total

    return layer_outputs
