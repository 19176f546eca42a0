"""The validation loss and the metrics after each epoch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from fastnn.architecture import Architecture
from fastnn.engines import Engine, Predictor, Samples
from fastnn.metrics import Metric


@dataclass(frozen=True)
class Scores:
    """What to compute after each epoch: see `names`.

    With *validation* data, the loss and the *metrics* on them; without, the metrics on the
    samples trained with.
    """

    architecture: Architecture
    engine: Engine
    validation: Samples | None
    metrics: tuple[Metric, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """``val_loss`` and ``val_`` before each metric's name; or the metrics' names."""
        names = tuple(metric.name for metric in self.metrics)
        return names if self.validation is None else ("val_loss", *(f"val_{n}" for n in names))


class Scorer:
    """`Scores` at work; what is needed is compiled when it is made."""

    def __init__(self, scores: Scores):
        architecture, data = scores.architecture, scores.validation
        self._architecture = architecture
        self._metrics = scores.metrics
        self._validation = data
        if data is not None:
            self._smoothed = data.for_loss(architecture)
            weighted = data.weights is not None
            self._evaluate = scores.engine.evaluator(architecture, weighted, data.sparse)
        self._predictor_for = partial(scores.engine.predictor, architecture)
        self._predictors: dict[bool, Predictor] = {}  # for sparse samples, and for others

    def values(
        self, parameters: np.ndarray, samples: Samples, strictly: bool = False
    ) -> list[float] | None:
        """The scores of *parameters*, in the order of `Scores.names`.

        Without validation data those of *samples*. None if an output is not a number: sums
        overflow. Where one is infinite, a metric of the user's is NaN, and not asked; *strictly*,
        there are no values at all.
        """
        values = []
        data = self._validation or samples
        if self._validation is not None:
            total = self._evaluate(parameters, self._smoothed)
            values.append(self._architecture.mean_loss(total, len(data), parameters))
        if self._metrics:
            outputs = self._predict(parameters, data)
            if outputs is None:
                return None
            finite = bool(np.isfinite(outputs).all())
            if strictly and not finite and any(metric.of_user for metric in self._metrics):
                return None
            outputs.flags.writeable = False  # one metric must not change them for the next
            values += [
                metric.value(data.Y, outputs) if finite or not metric.of_user else np.nan
                for metric in self._metrics
            ]
        return values

    def _predict(self, parameters: np.ndarray, data: Samples) -> np.ndarray | None:
        if data.sparse not in self._predictors:
            self._predictors[data.sparse] = self._predictor_for(data.sparse)
        return self._predictors[data.sparse](parameters, data.X)
