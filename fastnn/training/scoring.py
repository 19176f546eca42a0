"""The validation loss and the metrics after each epoch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.contract import Samples
from fastnn.engines import EachLoss, EachOutput, Engine, Evaluator, Predictor
from fastnn.metrics import Metric

#: Numbers, of parameters or outputs, that are kept to be scored at once; and the fewest epochs for
#: which that pays.
MOST_NUMBERS, LEAST_AT_ONCE = 1 << 16, 4
#: Outputs that metrics are computed of at once: larger arrays come and go with page faults, which
#: take as long as the metrics.
MOST_OUTPUTS = 1 << 15


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

    @property
    def names(self) -> tuple[str, ...]:
        """``val_loss`` and ``val_`` before each metric's name; or the metrics' names."""
        names = tuple(metric.name for metric in self.metrics)
        return names if self.validation is None else ("val_loss", *(f"val_{n}" for n in names))


class Measure:
    """The loss and metrics of an architecture, by an engine's functions; these are kept."""

    def __init__(self, architecture: Architecture, engine: Engine):
        self._architecture, self._engine = architecture, engine
        self._evaluators: dict[tuple[bool, bool], Evaluator] = {}
        self._predictors: dict[bool, Predictor] = {}

    def evaluator(self, samples: Samples) -> Evaluator:
        """What sums the losses of such samples, compiled."""
        kind = samples.weights is not None, samples.sparse
        if kind not in self._evaluators:
            self._evaluators[kind] = self._engine.evaluator(self._architecture, *kind)
        return self._evaluators[kind]

    def loss(self, parameters: np.ndarray, smoothed: Samples) -> float:
        """The loss on samples with the targets of `Samples.for_loss`."""
        total = self.evaluator(smoothed)(parameters, smoothed)
        return self._architecture.mean_loss(total, len(smoothed), parameters)

    def metrics(
        self, metrics: tuple[Metric, ...], parameters: np.ndarray, data: Samples, strictly: bool
    ) -> list[float] | None:
        """The *metrics* on *data*; None if an output is not a number: sums overflow.

        Where one is infinite, a metric of the user's is NaN, and not asked; *strictly*, there are
        no values at all.
        """
        if data.sparse not in self._predictors:
            predictor = self._engine.predictor(self._architecture, data.sparse)
            self._predictors[data.sparse] = predictor
        outputs = self._predictors[data.sparse](parameters, data.X)
        if outputs is None:
            return None
        of_user = any(metric.of_user for metric in metrics)
        finite = not of_user or bool(np.isfinite(outputs).all())
        if strictly and not finite:
            return None
        outputs.flags.writeable = False  # one metric must not change them for the next
        return [
            metric.value(data.Y, outputs, data.weights) if finite or not metric.of_user else np.nan
            for metric in metrics
        ]


class Scorer:
    """`Scores` at work; what is needed is compiled when it is made."""

    def __init__(self, scores: Scores):
        architecture, data = scores.architecture, scores.validation
        self._architecture = architecture
        self._metrics = scores.metrics
        self._validation = data
        self._measure = Measure(architecture, scores.engine)
        if data is not None:
            self._smoothed = data.for_loss(architecture)
            self._measure.evaluator(self._smoothed)
        self._scores = scores

    def values(self, parameters: np.ndarray, samples: Samples) -> list[float] | None:
        """The scores of *parameters*, in the order of `Scores.names`.

        Without validation data those of *samples*. None, and NaN, as in `Measure.metrics`.
        """
        values = []
        if self._validation is not None:
            values.append(self._measure.loss(parameters, self._smoothed))
        if self._metrics:
            data = self._validation or samples
            metrics = self._measure.metrics(self._metrics, parameters, data, strictly=False)
            if metrics is None:
                return None
            values += metrics
        return values

    def at_once(self, samples: Samples) -> int:
        """How many vectors of parameters `of_each` may be given; 1: it is not worth while.

        Without validation data the scores are those of *samples*.
        """
        architecture, data = self._architecture, self._validation or samples
        if data.sparse or any(metric.of_user for metric in self._metrics):
            return 1
        outputs = self._outputs_of(data) if self._metrics else 0
        many = MOST_NUMBERS // architecture.n_parameters
        return many if min(many, MOST_NUMBERS // max(outputs, 1)) >= LEAST_AT_ONCE else 1

    def _outputs_of(self, data: Samples) -> int:
        return len(data) * self._architecture.sizes[-1]

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
            block = max(MOST_OUTPUTS // self._outputs_of(data), LEAST_AT_ONCE)
            starts = range(0, max(len(vectors), 1), block)
            blocks = [self._metrics_of_each(vectors[k : k + block], data) for k in starts]
            values, wells = zip(*blocks, strict=True)
            columns += list(np.concatenate(values, axis=1))
            well = np.concatenate(wells)
        return np.array(columns).T, well

    def _metrics_of_each(self, vectors: np.ndarray, data: Samples) -> tuple[Any, np.ndarray]:
        """The metrics, (metrics, K), and whether the outputs are numbers, (K,)."""
        shape, dtype = (len(data), self._architecture.sizes[-1]), self._architecture.dtype
        outputs = np.zeros((len(vectors), *shape), dtype)
        well = self._each_output(vectors, data.dense, outputs)
        return [metric.values(data.Y, outputs, data.weights) for metric in self._metrics], well

    @cached_property
    def _each_loss(self) -> EachLoss:
        weighted = self._smoothed.weights is not None
        return self._scores.engine.each_loss(self._architecture, weighted)

    @cached_property
    def _each_output(self) -> EachOutput:
        return self._scores.engine.each_output(self._architecture)
