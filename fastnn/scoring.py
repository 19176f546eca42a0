"""The validation loss and the metrics after each epoch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastnn.architecture import Architecture
from fastnn.engines import Engine, Samples
from fastnn.metrics import Metric


@dataclass(frozen=True)
class Scores:
    """What to compute after each epoch: see `names`.

    With *validation* data, the loss and the *metrics* on them; without, the metrics on the
    *samples* trained with.
    """

    architecture: Architecture
    engine: Engine
    samples: Samples
    validation: Samples | None
    metrics: tuple[Metric, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """``val_loss`` and ``val_`` before each metric's name; or the metrics' names."""
        names = tuple(metric.name for metric in self.metrics)
        return names if self.validation is None else ("val_loss", *(f"val_{n}" for n in names))

    @property
    def data(self) -> Samples:
        """What the scores are computed on."""
        return self.samples if self.validation is None else self.validation

    def ready(self) -> Scorer:
        """Compile what is needed."""
        return Scorer(self)


class Scorer:
    """`Scores` at work."""

    def __init__(self, scores: Scores):
        architecture, data = scores.architecture, scores.data
        self._data = data
        self._metrics = scores.metrics
        self._architecture = architecture
        engine = scores.engine
        self._evaluate = (
            engine.evaluator(architecture, data.for_loss(architecture))
            if scores.validation
            else None
        )
        self._predict = engine.predictor(architecture) if scores.metrics else None

    def values(self, parameters: np.ndarray, strictly: bool = False) -> list[float] | None:
        """The scores of *parameters*, in the order of `Scores.names`.

        None if an output is not a number: sums overflow. Where one is infinite, a metric of the
        user's is NaN, and not asked; *strictly*, there are no values at all.
        """
        values = []
        if self._evaluate is not None:
            total = self._evaluate(parameters)
            values.append(self._architecture.mean_loss(total, len(self._data), parameters))
        if self._predict is not None:
            outputs = self._predict(parameters, self._data.X)
            if outputs is None:
                return None
            finite = bool(np.isfinite(outputs).all())
            if strictly and not finite and any(metric.of_user for metric in self._metrics):
                return None
            outputs.flags.writeable = False  # one metric must not change them for the next
            values += [
                metric.value(self._data.Y, outputs) if finite or not metric.of_user else np.nan
                for metric in self._metrics
            ]
        return values
