"""The validation loss and the metrics after each epoch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fastnn.architecture import Architecture
from fastnn.contract import Samples
from fastnn.engines import EachLoss, EachOutput, Engine, Predictor
from fastnn.metrics import Metric

#: Numbers, of parameters or outputs, that are kept to be scored at once; and the fewest epochs for
#: which that pays.
MOST_NUMBERS, LEAST_AT_ONCE = 1 << 15, 4


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
        self._predictors: dict[bool, Predictor] = {}  # for sparse samples, and for others
        self._scores = scores

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
            weights = data.weights
            values += [
                metric.value(data.Y, outputs, weights) if finite or not metric.of_user else np.nan
                for metric in self._metrics
            ]
        return values

    def _predict(self, parameters: np.ndarray, data: Samples) -> np.ndarray | None:
        if data.sparse not in self._predictors:
            predictor = self._scores.engine.predictor(self._architecture, data.sparse)
            self._predictors[data.sparse] = predictor
        return self._predictors[data.sparse](parameters, data.X)

    def at_once(self, samples: Samples) -> int:
        """How many vectors of parameters `of_each` may be given; 1: it is not worth while.

        Without validation data the scores are those of *samples*.
        """
        architecture, data = self._architecture, self._validation or samples
        if data.sparse or any(metric.of_user for metric in self._metrics):
            return 1
        outputs = len(data) * architecture.sizes[-1] if self._metrics else 0
        many = MOST_NUMBERS // max(architecture.n_parameters, outputs)
        return many if many >= LEAST_AT_ONCE else 1

    def of_each(self, vectors: np.ndarray, samples: Samples) -> tuple[np.ndarray, np.ndarray]:
        """What `values` would say of each of the *vectors* (K, P), to the bit.

        Returns a table, shape (K, scores), and whether there are such values, shape (K,).
        """
        data = self._validation or samples
        columns, well = [], np.ones(len(vectors), bool)
        if self._validation is not None:
            sums = self._each_loss(vectors, self._smoothed)
            columns.append(self._architecture.mean_losses(sums, len(data), vectors))
        if self._metrics:
            outputs, well = self._each_output(vectors, data.dense)
            columns += [metric.values(data.Y, outputs, data.weights) for metric in self._metrics]
        return np.array(columns).T, well

    @cached_property
    def _each_loss(self) -> EachLoss:
        weighted = self._smoothed.weights is not None
        return self._scores.engine.each_loss(self._architecture, weighted)

    @cached_property
    def _each_output(self) -> EachOutput:
        return self._scores.engine.each_output(self._architecture)
