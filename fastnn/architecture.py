"""What a network is, without its numbers: sizes, activations, loss, and where each weight lies."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fastnn.activations import Activation
from fastnn.losses import Loss


@dataclass(frozen=True)
class Layer:
    """One layer and its place in the flat parameter vector.

    The weights, shape (n_in, n_out), lie row-major at ``weights``; the bias, shape (n_out,),
    at ``bias``, which is None in a network without biases.
    """

    n_in: int
    n_out: int
    activation: Activation
    weights: slice
    bias: slice | None


@dataclass(frozen=True)
class Architecture:
    """The unchanging description of a network that every engine works from.

    Attributes
    ----------
    sizes : tuple of int
        Number of inputs, of units in each hidden layer, and of outputs.
    activations : tuple of Activation
        One per layer of weights; the last is the output activation.
    loss : Loss
    reduction : {"mean", "sum"}
        Over the samples of a batch.
    bias : bool
    dtype : numpy.dtype
        float32 or float64.
    """

    sizes: tuple[int, ...]
    activations: tuple[Activation, ...]
    loss: Loss
    reduction: str
    bias: bool
    dtype: np.dtype[np.floating]

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers from the input to the output."""
        layers = []
        position = 0
        for n_in, n_out, activation in zip(
            self.sizes, self.sizes[1:], self.activations, strict=False
        ):
            weights = slice(position, position + n_in * n_out)
            position = weights.stop
            bias = slice(position, position + n_out) if self.bias else None
            position += n_out if self.bias else 0
            layers.append(Layer(n_in, n_out, activation, weights, bias))
        return tuple(layers)

    @cached_property
    def n_parameters(self) -> int:
        """Length of the flat parameter vector."""
        per_layer = (n_in + self.bias for n_in in self.sizes[:-1])
        return sum(rows * n_out for rows, n_out in zip(per_layer, self.sizes[1:], strict=True))

    def gradient_scale(self, batch_size: int) -> float:
        """What the summed gradient of a batch is multiplied by."""
        return 1.0 / batch_size if self.reduction == "mean" else 1.0

    def weight_views(self, vector: np.ndarray) -> list[np.ndarray]:
        """Views (n_in, n_out) into a flat vector, one per layer."""
        return [vector[layer.weights].reshape(layer.n_in, layer.n_out) for layer in self.layers]

    def bias_views(self, vector: np.ndarray) -> list[np.ndarray]:
        """Views (n_out,) into a flat vector, one per layer; empty without biases."""
        return [vector[layer.bias] for layer in self.layers if layer.bias is not None]
