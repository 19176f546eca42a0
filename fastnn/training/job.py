"""What ``fit`` was asked for, validated."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from fastnn.architecture import Architecture
from fastnn.callbacks import EpochEnd
from fastnn.engines import Engine, Plan, Samples
from fastnn.metrics import Metric
from fastnn.optimizers import Optimizer
from fastnn.schedules import Schedule
from fastnn.stopping import EarlyStopping
from fastnn.training.scoring import Scores
from fastnn.training.watching import check_monitors

#: Work that may take so many seconds is too long for Ctrl-C to wait for.
LONG_SECONDS = 0.07


@dataclass(frozen=True)
class Job:
    """All that is asked for but the samples.

    Attributes
    ----------
    epochs : int or None
        None: for as long as there are samples.
    batch_size : int or None
        None: all samples.
    """

    architecture: Architecture
    engine: Engine
    optimizer: Optimizer
    epochs: int | None
    batch_size: int | None
    shuffle: bool = True
    dropout_key: int = 0
    validation: Samples | None = None
    metrics: tuple[Metric, ...] = ()
    early_stopping: EarlyStopping | None = None
    callbacks: tuple[EpochEnd, ...] = ()
    progress: bool = False

    def __post_init__(self) -> None:
        check_monitors(self.early_stopping, self.learning_rate, self.scores.names)

    @property
    def learning_rate(self) -> float | Schedule:
        """The optimiser's."""
        return self.optimizer.learning_rate

    @property
    def one_by_one(self) -> bool:
        """Whether functions of the user's come after each epoch: only after those that count."""
        return bool(self.callbacks) or any(metric.of_user for metric in self.metrics)

    @cached_property
    def scores(self) -> Scores:
        """What is computed after each epoch."""
        return Scores(self.architecture, self.engine, self.validation, self.metrics)

    def plan(self, samples: Samples) -> Plan:
        """How to train with these samples."""
        n = len(samples)
        return Plan(
            batch_size=n if self.batch_size is None else min(self.batch_size, n),
            optimizer=self.optimizer,
            dropout_key=self.dropout_key,
            weighted=samples.weights is not None,
        )

    def takes_long(self, plan: Plan, rows: int) -> bool:
        """Whether work on so many rows may keep Ctrl-C waiting."""
        seconds = rows * self.engine.row_seconds(self.architecture, plan)
        return seconds >= LONG_SECONDS and not self.engine.may_be_left
