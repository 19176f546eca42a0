"""What a user passes as X, y and weights, made into `Samples` once: checked, converted, split."""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from fastnn import arrays, validation
from fastnn.activations import ACTIVATIONS
from fastnn.architecture import Architecture
from fastnn.calls import frames_to_user
from fastnn.contract import Samples, quiet
from fastnn.names import short
from fastnn.sparse import AnyRows, is_sparse


class Inputs:
    """Makes samples for the networks of one architecture."""

    def __init__(self, architecture: Architecture):
        self._architecture = architecture

    def __deepcopy__(self, _memo: dict[int, Any]) -> "Inputs":
        return self  # it never changes

    @quiet
    def features(self, X: Any, name: str = "X") -> AnyRows:
        """X as a read-only (n, n_in) array of the network's dtype, or as sparse rows."""
        return self._features(X, name)

    def _features(self, X: Any, name: str) -> AnyRows:
        return validation.features(X, self._architecture.sizes[0], self._architecture.dtype, name)

    def are_ready(self, X: Any, y: Any) -> bool:
        """Whether inputs and targets need no conversion, and no check but that they are finite."""
        architecture = self._architecture
        return (
            architecture.loss.targets == "real"
            and not architecture.loss.missing
            and arrays.is_ready(X, architecture.sizes[0], architecture.dtype)
            and arrays.is_ready(y, architecture.n_targets, architecture.dtype)
            and len(X) == len(y)
        )

    @quiet
    def array(self, X: Any) -> np.ndarray:
        """The same where it must be an array."""
        features = arrays.numeric(X, "X") if is_sparse(X) else self.features(X)  # which refuses it
        assert isinstance(features, np.ndarray)
        return features

    @quiet
    def row(self, x: Any) -> np.ndarray:
        """One sample's inputs, shape (n_in,)."""
        n_in, dtype = self._architecture.sizes[0], self._architecture.dtype
        array = arrays.numeric(x, "x")
        if array.shape != (n_in,):
            hint = "; for several samples there is partial_fit" if array.ndim == 2 else ""
            raise ValueError(f"x must have shape ({n_in},), got shape {array.shape}{hint}")
        return arrays.finite_and_frozen(array, dtype, "x")

    def sample(self, x: Any, y: Any) -> Samples:
        """One sample, from its inputs and its target without the dimension of samples."""
        row, architecture = self.row(x), self._architecture
        n_out, loss = architecture.n_targets, architecture.loss
        target = arrays.numeric(y, "y", validation.ADVICE_FOR_CLASS_NAMES)
        of_class = loss.targets == "classes"
        if target.shape != (n_out,) and (target.ndim > 0 or not (of_class or n_out == 1)):
            number = "the number of a class or " if of_class else "a number or " * (n_out == 1)
            raise ValueError(f"y must be {number}of shape ({n_out},), got shape {target.shape}")
        targets = self._targets(target[np.newaxis], 1, "y")
        return Samples(row[np.newaxis], targets)

    def samples(
        self, X: Any, y: Any, sample_weight: Any = None, names: tuple[str, str] = ("X", "y")
    ) -> Samples:
        """Inputs, targets and weights; *names* are those of X and y in messages."""
        inputs = self._features(X, names[0])
        targets = self._targets(y, len(inputs), names[1])
        return Samples(inputs, targets, self._weights(sample_weight, len(inputs), "sample_weight"))

    def _targets(self, y: Any, n: int, name: str) -> np.ndarray:
        """Checked targets; NaN where there is none, if the network takes that."""
        architecture, loss = self._architecture, self._architecture.loss
        like = (n, loss, architecture.n_targets, architecture.dtype, name)
        if not loss.missing:
            return validation.targets(y, *like)
        array = arrays.numeric(y, name)
        missing = np.isnan(array)
        any_given = array[~missing][0] if not missing.all() else 0  # one that the loss takes
        given = validation.targets(np.where(missing, any_given, array), *like)
        targets = np.where(missing.reshape(given.shape), np.nan, given).astype(architecture.dtype)
        targets.flags.writeable = False
        return targets

    def weigh_classes(self, samples: Samples, class_weight: Any) -> Samples:
        """The samples, each with its weight times that of its class."""
        weights = validation.class_weight(class_weight, samples.Y, self._architecture.loss)
        if weights is None or samples.weights is None:
            return samples if weights is None else replace(samples, weights=weights)
        product = samples.weights * weights
        name = "sample_weight times class_weight"
        return replace(samples, weights=self._weights(product, len(samples), name))

    def with_dydx(self, samples: Samples, dydx: Any, dydx_weight: Any) -> Samples:
        """The samples with what the Jacobians of the outputs are to be, (n, n_out, n_in)."""
        weight = validation.positive(dydx_weight, "dydx_weight")
        if dydx is None:
            if weight != 1.0:
                raise ValueError(f"dydx_weight={short(dydx_weight)} needs dydx")
            return samples
        if samples.sparse:
            raise TypeError("dydx needs X as an array: pass X.toarray()")
        architecture = self._architecture
        _check_slopes_are_learned(architecture)
        shape = (len(samples), architecture.sizes[-1], architecture.sizes[0])
        array = arrays.numeric(dydx, "dydx")
        if array.shape != shape:
            raise ValueError(
                f"dydx must have shape {shape}, (n_samples, n_outputs, n_inputs) as jacobian "
                f"returns it, got shape {array.shape}"
            )
        rows = arrays.finite_and_frozen(array, architecture.dtype, "dydx").reshape(shape[0], -1)
        return replace(samples, dydx=rows, dydx_weight=weight)

    def held_out(self, validation_data: Any) -> Samples | None:
        """The samples of ``validation_data``, (X, y) or (X, y, sample_weight); None without."""
        if validation_data is None:
            return None
        if not isinstance(validation_data, tuple | list) or len(validation_data) not in (2, 3):
            kind = type(validation_data).__name__
            is_list = isinstance(validation_data, tuple | list)
            got = f"a {kind} of {len(validation_data)}" if is_list else kind
            raise TypeError(
                f"validation_data must be a pair (X, y), or (X, y, sample_weight), got {got}"
            )
        X, y, *weights = validation_data
        samples = self.samples(X, y, names=("validation_data[0]", "validation_data[1]"))
        if not weights:
            return samples
        return replace(
            samples, weights=self._weights(weights[0], len(samples), "validation_data[2]")
        )

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
        if self._are_sorted_by_class(samples.Y):
            warnings.warn(
                f"validation_split={short(validation_split)} takes the last samples, and y is "
                "sorted by class: shuffle the samples before, or give validation_data",
                stacklevel=frames_to_user(),
            )
        first = samples.at(slice(None, n))
        name = "sample_weight, without the part for validation_split,"
        return (
            replace(first, weights=self._weights(first.weights, n, name)),
            Samples(samples.X[n:], samples.Y[n:]),
        )

    def _are_sorted_by_class(self, Y: np.ndarray) -> bool:
        """Whether the targets are classes, of which one comes after the other."""
        kind = self._architecture.loss.targets
        if kind == "classes":
            steps = np.diff(Y.argmax(axis=1))
        elif kind in ("unit", "signs") and Y.shape[1] == 1:
            steps = np.diff(Y[:, 0])
        else:
            return False
        return bool(steps.any() and ((steps >= 0).all() or (steps <= 0).all()))

    def chunks(
        self, chunks: Iterable[tuple[Any, ...]], class_weight: Any = None
    ) -> Iterator[Samples]:
        """The samples of each chunk, (X, y) or (X, y, sample_weight)."""
        seen = 0
        for k, (X, y, *weights) in enumerate(chunks, 1):
            names = (f"X of chunk {k}", f"y of chunk {k}")
            try:
                samples = self.samples(X, y, weights[0] if weights else None, names)
                samples = self.weigh_classes(samples, class_weight)
            except (TypeError, ValueError) as error:
                error.add_note(f"Chunk {k} begins with row {seen + 1} of the stream.")
                raise
            seen += len(samples)
            yield samples
            del X, y, weights, samples  # not kept while the next ones are made

    def class_weight_for_chunks(self, class_weight: Any) -> Any:
        """``class_weight`` for samples that are not there yet."""
        if isinstance(class_weight, str) and class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all samples at once: give a dict of weights"
            )
        n_out = self._architecture.sizes[-1]
        any_class = np.full((1, n_out), 1.0 / max(n_out, 2), self._architecture.dtype)
        validation.class_weight(class_weight, any_class, self._architecture.loss)
        return class_weight

    def _weights(self, weights: Any, n_samples: int, name: str) -> np.ndarray | None:
        return validation.sample_weight(weights, n_samples, self._architecture.dtype, name)


def _check_slopes_are_learned(architecture: Architecture) -> None:
    """Refuse networks whose Jacobians have no gradient, or none that is learned from."""
    for activation in architecture.activations:
        if not activation.smooth:
            smooth = [row.name for row in ACTIVATIONS.values() if row.smooth]
            raise ValueError(
                f"dydx needs activations whose slope does not jump, and that of "
                f"{activation.name!r} does: take one of {', '.join(smooth[:-2])}"
            )
    if architecture.dropout:
        raise ValueError(
            "dydx needs a network without chance, and this one has "
            f"dropout={list(architecture.dropout)}"
        )
    if architecture.n_targets != architecture.sizes[-1]:
        raise ValueError(
            "dydx needs a loss with one output for each target, got loss "
            f"{architecture.loss.name!r}"
        )
