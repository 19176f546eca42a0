"""Layers one after the other, as the readers of other systems' networks find them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastnn.architecture import Architecture


@dataclass
class Chain:
    """Layers of weights, each with the activation that follows it.

    Attributes
    ----------
    weights : list of ndarray, shapes (n_in, n_out)
    biases : list of ndarray, shapes (n_out,), or None
    activations : list of str
        One for each layer, by fastnn's names; "identity" until another comes.
    dropout : list of float
        For each layer the fraction of its outputs dropped in training.
    """

    weights: list[np.ndarray] = field(default_factory=list)
    biases: list[np.ndarray | None] = field(default_factory=list)
    activations: list[str] = field(default_factory=list)
    dropout: list[float] = field(default_factory=list)

    def add_layer(self, weights: np.ndarray, bias: np.ndarray | None, where: str) -> None:
        """The next layer; *where* names it in the ValueError if it does not fit the last one."""
        if weights.ndim != 2 or 0 in weights.shape:
            raise ValueError(f"{where} has weights of shape {weights.shape}, expected two sizes")
        if self.weights and len(weights) != self.weights[-1].shape[1]:
            raise ValueError(
                f"{where} takes {len(weights)} inputs, and the layer before it has "
                f"{self.weights[-1].shape[1]} outputs"
            )
        if bias is not None and bias.shape != weights.shape[1:]:
            raise ValueError(
                f"{where} has {weights.shape[1]} outputs and a bias of shape {bias.shape}"
            )
        self.weights.append(weights)
        self.biases.append(bias)
        self.activations.append("identity")
        self.dropout.append(0.0)

    def add_activation(self, name: str, where: str) -> None:
        """The activation of the last layer; ValueError if there is none, or it has one."""
        if not self.weights:
            raise ValueError(f"{where} comes before the first layer of weights")
        if self.dropout[-1]:
            raise ValueError(f"{where} comes after a dropout, expected a layer of weights")
        if name == "identity":
            return
        if self.activations[-1] != "identity":
            raise ValueError(
                f"{where} is a second activation, after {self.activations[-1]!r}, of one layer"
            )
        self.activations[-1] = name

    def add_dropout(self, rate: float, where: str) -> None:
        """Dropout of the last layer's outputs; ValueError where a network has none."""
        if rate and not self.weights:
            raise ValueError(f"{where} drops inputs, which a fastnn.Network does not")
        if rate and self.dropout[-1]:
            raise ValueError(f"{where} is a second dropout of one layer")
        if rate:
            self.dropout[-1] = rate

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of all parameters; ValueError if it is not the same, or none that a network has."""
        if not self.weights:
            raise ValueError("it has no layer of weights")
        arrays = [*self.weights, *(bias for bias in self.biases if bias is not None)]
        names = sorted({array.dtype.name for array in arrays})
        if names not in (["float32"], ["float64"]):
            raise ValueError(
                f"its parameters are of {' and '.join(names)}, expected float32 or float64 for all"
            )
        return np.dtype(names[0])

    def arguments(self) -> dict[str, Any]:
        """The arguments of `fastnn.Network` that it settles; ValueError if there is no such one."""
        dtype = self.dtype
        if self.dropout[-1]:
            raise ValueError("it drops outputs, which a fastnn.Network does not")
        return {
            "layer_sizes": [len(self.weights[0]), *(w.shape[1] for w in self.weights)],
            "activation": self.activations[:-1],
            "output_activation": self.activations[-1],
            "bias": any(bias is not None for bias in self.biases),
            "dropout": self.dropout[:-1],
            "dtype": dtype.name,
        }

    def digest(self) -> str:
        """The SHA-256 of the layers, in hexadecimal digits: another one for any change."""
        digest = hashlib.sha256(repr(self.activations).encode())
        for arrays in zip(self.weights, self.biases, strict=True):
            for array in arrays:
                if array is None:
                    digest.update(b"none")
                    continue
                plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
                digest.update(f"{plain.dtype.name}{plain.shape}".encode())
                digest.update(plain.data)
        return digest.hexdigest()

    def fill(self, architecture: Architecture, vector: np.ndarray) -> None:
        """Copy the parameters into a flat vector; a bias that a layer does not have is 0."""
        vector[:] = 0
        for view, weights in zip(architecture.weight_views(vector), self.weights, strict=True):
            view[...] = weights
        for view, bias in zip(architecture.bias_views(vector), self.biases, strict=False):
            view[...] = 0 if bias is None else bias
