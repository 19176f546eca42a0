"""What ``fit`` was asked for, validated."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from fastnn import validation
from fastnn.architecture import Architecture
from fastnn.callbacks import Callback, EpochEnd, bind
from fastnn.contract import Plan, Samples
from fastnn.engines import Engine, get_engine
from fastnn.metrics import Function, Metric, get_metrics
from fastnn.optimizers import LBFGS, SGD, Optimizer, get_lbfgs, get_optimizer
from fastnn.schedules import ReduceOnPlateau, Schedule
from fastnn.stopping import EarlyStopping
from fastnn.training.scoring import Scores
from fastnn.training.watching import check_monitors

#: Work that may take so many seconds is too long for Ctrl-C to wait for.
LONG_SECONDS = 0.07
#: Epochs that a rule is shown at once at first.
AT_FIRST = 32


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
    #: The minimiser in place of the optimiser, if it was asked for.
    lbfgs: LBFGS | None = None
    #: The parameters after every epoch that is a multiple of it go into the history.
    record: int | None = None
    #: What is computed after each epoch.
    scores: Scores = field(init=False)

    @classmethod
    def asked(
        cls,
        network: Any,
        validation_data: Samples | None,
        *,
        epochs: Any = 1,
        batch_size: Any = 32,
        learning_rate: Any = None,
        optimizer: Any = "sgd",
        shuffle: Any = True,
        metrics: Iterable[str | Function] = (),
        early_stopping: EarlyStopping | None = None,
        callbacks: Iterable[Callback] = (),
        progress: Any = False,
        record: Any = None,
    ) -> Job:
        """The arguments of `Network.fit` but for the samples, checked.

        Raises
        ------
        ValueError, TypeError
        """
        minimiser = get_lbfgs(optimizer, learning_rate)
        rule = get_optimizer(optimizer, learning_rate) if minimiser is None else SGD(1.0)
        architecture, engine, dropout_key = network._blueprint
        return cls(
            architecture=architecture,
            engine=get_engine(engine),
            optimizer=rule,
            epochs=validation.integer(epochs, "epochs", 1),
            batch_size=checked_batch_size(batch_size),
            shuffle=validation.boolean(shuffle, "shuffle"),
            dropout_key=dropout_key,
            validation=validation_data,
            metrics=get_metrics(metrics, architecture.loss),
            early_stopping=early_stopping,
            callbacks=bind(callbacks, network),
            progress=validation.boolean(progress, "progress"),
            lbfgs=minimiser,
            record=None if record is None else validation.integer(record, "record", 1),
        )

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: the engine, a module, by its name."""
        name = getattr(self.engine, "__name__", None)
        return {**self.__dict__, "engine": name, "scores": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over a state."""
        self.__dict__.update(state | {"engine": importlib.import_module(state["engine"])})
        self.__post_init__()

    def __post_init__(self) -> None:
        scores = Scores(self.architecture, self.engine, self.validation, self.metrics)
        object.__setattr__(self, "scores", scores)
        check_monitors(self.early_stopping, self.learning_rate, scores.names)

    @property
    def learning_rate(self) -> float | Schedule:
        """The optimiser's."""
        return self.optimizer.learning_rate

    @property
    def waits_for_plateau(self) -> bool:
        """Whether the rate of an epoch depends on how the one before went."""
        return isinstance(self.learning_rate, ReduceOnPlateau)

    @property
    def has_rules(self) -> bool:
        """Whether a rule is shown each epoch, and may speak up."""
        return self.early_stopping is not None or self.waits_for_plateau

    @property
    def looks_at_epochs(self) -> bool:
        """Whether something looks at the network, or only at its loss, after each epoch."""
        return self.has_rules or bool(self.scores.names)

    def stretch(self, epochs: int, most: int) -> int:
        """How many epochs, at most *most*, may be run at once after so many that count.

        Functions of the user's are called only after epochs that count. Where a rule may speak up
        after any epoch, those beyond are in vain: about three times those that count, at most, but
        for `AT_FIRST`.
        """
        if any(metric.of_user for metric in self.metrics):
            return min(1, most)
        if self.has_rules:
            most = min(most, max(3 * epochs, AT_FIRST))
        return min([most, *(each.every - epochs % each.every for each in self.callbacks)])

    def recorded_among(self, first: int, stop: int) -> range:
        """Those of the epochs from *first* on, before *stop*, whose parameters are kept."""
        if self.record is None:
            return range(0)
        return range(first + -first % self.record, stop, self.record)

    def plan(self, samples: Samples) -> Plan:
        """How to train with these samples."""
        n = len(samples)
        return Plan(
            batch_size=n if self.batch_size is None else min(self.batch_size, n),
            optimizer=self.optimizer,
            dropout_key=self.dropout_key,
            weighted=samples.weights is not None,
            sparse=samples.sparse,
            sloped=samples.dydx is not None,
        )

    def takes_long(self, plan: Plan, rows: int) -> bool:
        """Whether work on so many rows may keep Ctrl-C waiting."""
        seconds = rows * self.engine.row_seconds(self.architecture, plan)
        return seconds >= LONG_SECONDS and not self.engine.may_be_left


def checked_batch_size(batch_size: Any) -> int | None:
    """The argument of that name."""
    if batch_size is None:
        return None
    return validation.integer(batch_size, "batch_size", 1, math.inf)
