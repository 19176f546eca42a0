"""The parameters that ``fit(..., record=k)`` keeps, in `fastnn.History`."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

from fastnn import validation


class Snapshots:
    """Vectors of parameters, each with the epoch after which it was taken; they only grow.

    Parameters
    ----------
    sizes : sequence of int
    bias : bool
    dtype : numpy.dtype
        Of the network whose parameters they are.
    """

    def __init__(self, sizes: Sequence[int], bias: bool, dtype: np.dtype[np.floating]):
        self._sizes, self._bias = tuple(sizes), bias
        self._dtype = dtype
        self._epochs: list[int] = []
        self._parts: list[np.ndarray] = []

    def __copy__(self) -> Snapshots:
        twin = Snapshots(self._sizes, self._bias, self._dtype)
        twin._epochs, twin._parts = list(self._epochs), list(self._parts)
        return twin

    def append(self, epochs: Sequence[int], vectors: np.ndarray) -> None:
        """Take vectors, shape (k, n_parameters), from after these epochs."""
        if len(vectors):
            self._epochs.extend(epochs)
            self._parts.append(vectors)

    def shift(self, epochs: int) -> None:
        """Count from so many epochs before."""
        self._epochs = [epochs + epoch for epoch in self._epochs]

    def go_on(self, later: Snapshots, epochs: int) -> None:
        """Take those of *later*, which began after so many *epochs*."""
        if later._sizes != self._sizes or later._bias != self._bias:
            raise ValueError("the parameters are of networks of other shapes")
        self.append([epochs + epoch for epoch in later._epochs], later.parameters)

    def cut(self, epochs: int) -> None:
        """Forget those from after later epochs."""
        kept = [epoch for epoch in self._epochs if epoch <= epochs]
        if len(kept) < len(self._epochs):
            self._parts = [self.parameters[: len(kept)]]
            self._epochs = kept

    @property
    def epochs(self) -> np.ndarray:
        """After which epochs they were taken, shape (n,)."""
        return np.array(self._epochs, np.int64)

    @property
    def parameters(self) -> np.ndarray:
        """The vectors, shape (n, n_parameters)."""
        if len(self._parts) != 1:
            n = sum((n_in + self._bias) * n_out for n_in, n_out in self._layers())
            self._parts = [np.concatenate([np.empty((0, n), self._dtype), *self._parts])]
        return self._parts[0]

    def weights(self, layer: int) -> np.ndarray:
        """A layer's weights, a view of shape (n, n_in, n_out)."""
        first, n_in, n_out = self._place(layer)
        columns = self.parameters[:, first : first + n_in * n_out]
        return columns.reshape(len(columns), n_in, n_out)

    def biases(self, layer: int) -> np.ndarray:
        """A layer's biases, a view of shape (n, n_out)."""
        if not self._bias:
            raise ValueError("the network was made with bias=False: it has no biases")
        first, n_in, n_out = self._place(layer)
        return self.parameters[:, first + n_in * n_out : first + (n_in + 1) * n_out]

    def _layers(self) -> list[tuple[int, int]]:
        return list(zip(self._sizes, self._sizes[1:], strict=False))

    def _place(self, layer: int) -> tuple[int, int, int]:
        """Where a layer's weights begin, and their shape."""
        layers = self._layers()
        number = validation.integer(layer, "layer", -len(layers), len(layers) - 1) % len(layers)
        first = sum((n_in + self._bias) * n_out for n_in, n_out in layers[:number])
        return (first, *layers[number])


def copied(snapshots: Snapshots | None) -> Snapshots | None:
    """One that grows by itself."""
    return copy.copy(snapshots)
