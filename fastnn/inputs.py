"""What a user passes as X, y and weights, made into `Samples` once: checked, converted, split."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from fastnn import validation
from fastnn.architecture import Architecture
from fastnn.engines import Samples, quiet
from fastnn.names import short


class Inputs:
    """Makes samples for the networks of one architecture."""

    def __init__(self, architecture: Architecture):
        self._architecture = architecture

    @quiet
    def features(self, X: Any, name: str = "X") -> np.ndarray:
        """X as a read-only (n, n_in) array of the network's dtype."""
        return validation.features(X, self._architecture.sizes[0], self._architecture.dtype, name)

    @quiet
    def samples(
        self, X: Any, y: Any, sample_weight: Any = None, names: tuple[str, str] = ("X", "y")
    ) -> Samples:
        """Inputs, targets and weights; *names* are those of X and y in messages."""
        inputs, architecture = self.features(X, names[0]), self._architecture
        targets = validation.targets(
            y, len(inputs), architecture.loss, architecture.n_targets, architecture.dtype, names[1]
        )
        return Samples(inputs, targets, self._weights(sample_weight, len(inputs), "sample_weight"))

    @quiet
    def weigh_classes(self, samples: Samples, class_weight: Any) -> Samples:
        """The samples, each with its weight times that of its class."""
        weights = validation.class_weight(class_weight, samples.Y, self._architecture.loss)
        if weights is None or samples.weights is None:
            return samples if weights is None else replace(samples, weights=weights)
        product = samples.weights * weights
        name = "sample_weight times class_weight"
        return replace(samples, weights=self._weights(product, len(samples), name))

    def held_out(self, validation_data: Any) -> Samples | None:
        """The samples of ``validation_data``, a pair (X, y); None without."""
        if validation_data is None:
            return None
        if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
            kind = type(validation_data).__name__
            is_list = isinstance(validation_data, tuple | list)
            got = f"a {kind} of {len(validation_data)}" if is_list else kind
            raise TypeError(f"validation_data must be a pair (X, y), got {got}")
        X, y = validation_data
        return self.samples(X, y, names=("validation_data[0]", "validation_data[1]"))

    def split(
        self, samples: Samples, held_out: Samples | None, validation_split: float | None
    ) -> tuple[Samples, Samples | None]:
        """The samples to train with, and those to validate with: without weights."""
        if validation_split is None:
            return samples, held_out
        if held_out is not None:
            raise ValueError(
                f"validation_split={short(validation_split)} was given beside validation_data; "
                "give one of the two"
            )
        n = validation.split_position(validation_split, len(samples))
        weights = None if samples.weights is None else samples.weights[:n]
        name = "sample_weight, without the part for validation_split,"
        return (
            Samples(samples.X[:n], samples.Y[:n], self._weights(weights, n, name)),
            Samples(samples.X[n:], samples.Y[n:]),
        )

    def chunks(self, chunks: Iterable[tuple[Any, ...]]) -> Iterator[Samples]:
        """The samples of each chunk, (X, y) or (X, y, sample_weight)."""
        for k, (X, y, *weights) in enumerate(chunks, 1):
            names = (f"X of chunk {k}", f"y of chunk {k}")
            yield self.samples(X, y, weights[0] if weights else None, names)
            del X, y, weights  # not kept while the next ones are made

    def _weights(self, weights: Any, n_samples: int, name: str) -> np.ndarray | None:
        return validation.sample_weight(weights, n_samples, self._architecture.dtype, name)
