"""The rules that look at each epoch in turn: early stopping, and rates reduced on a plateau."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from fastnn.history import History
from fastnn.metrics import NAMES as METRICS
from fastnn.names import describe, find, nearest
from fastnn.schedules import ReduceOnPlateau, Schedule
from fastnn.stopping import EarlyStopping, StopRule

#: Name of a value to the values of some epochs in a row.
Course = dict[str, np.ndarray]


def resolve(monitor: str, names: tuple[str, ...], argument: str) -> str:
    """The name under which the monitored value is kept: a metric's, with or without ``val_``.

    Raises
    ------
    ValueError
        If it is not among the *names* of what ``fit`` computes.
    """
    known = {"loss": "loss"} | {name: name for name in names}
    short = {name.removeprefix("val_"): name for name in names if name != "val_loss"}
    plain = _metric_meant(monitor.removeprefix("val_"), known)
    if plain in METRICS and plain not in short:
        raise ValueError(
            f"{argument} on {monitor!r} needs that metric: give metrics=[{plain!r}] to fit"
            f"{'' if monitor.endswith(plain) else f', and monitor {plain!r}'}"
        )
    meant = f"val_{plain}" if monitor.startswith("val_") else plain
    if meant.startswith("val_") and meant not in known and plain in short | known:
        raise ValueError(
            f"{argument} on {monitor!r} needs validation_data or validation_split, got None"
        )
    if meant != monitor and meant in short | known:
        raise ValueError(f"{argument} on {monitor!r} is not known. Did you mean {meant!r}?")
    return find(monitor, short | known, f"monitor of {argument}")


def _metric_meant(name: str, known: Iterable[str]) -> str:
    """The metric that another library calls *name*, if nothing that is known has that name."""
    if name in known or name in METRICS:
        return name
    meant = nearest(name, (*METRICS, *known))
    return meant if meant in METRICS else name


def check_monitors(
    early_stopping: EarlyStopping | None, rate: float | Schedule, names: tuple[str, ...]
) -> None:
    """Refuse what is no rule, and rules that look at what is not computed."""
    if early_stopping is not None:
        if not isinstance(early_stopping, EarlyStopping):
            raise TypeError(
                f"early_stopping must be a fastnn.EarlyStopping or None, "
                f"got {describe(early_stopping)}"
            )
        resolve(early_stopping.monitor, names, "early_stopping")
    if isinstance(rate, ReduceOnPlateau):
        resolve(rate.monitor, names, "learning_rate")


@dataclass(frozen=True)
class Verdict:
    """How many epochs of those shown count, and what comes after them.

    Attributes
    ----------
    epochs : int
    spoke : bool
        Whether a rule ended the stretch there: the rate changes, or training ends.
    reason : str or None
        Why training ends.
    """

    epochs: int
    spoke: bool = False
    reason: str | None = None


class Watch:
    """Shows each epoch's values to the rules, in order."""

    def __init__(
        self,
        early_stopping: EarlyStopping | None,
        rate: float | Schedule,
        names: tuple[str, ...],
    ):
        self.rule: StopRule | None = None
        self._reduce: ReduceOnPlateau | None = None
        if early_stopping is not None:
            self.rule = StopRule(early_stopping)
            self._monitor = resolve(early_stopping.monitor, names, "early_stopping")
        if isinstance(rate, ReduceOnPlateau):
            self._reduce = rate
            self._reduce_monitor = resolve(rate.monitor, names, "learning_rate")

    @property
    def best_epoch(self) -> int | None:
        """The best epoch so far by early stopping."""
        return self.rule.best_epoch if self.rule is not None else None

    def look(self, course: Course, epochs: int, plateau: np.ndarray) -> Verdict:
        """Look at the first *epochs* of *course*, up to where a rule speaks up.

        Brings *plateau* up to date. A reduced rate ends the stretch, but not training.
        """
        if self.rule is None and self._reduce is None:
            return Verdict(epochs)
        for e in range(epochs):
            reason, reduced = None, False
            if self.rule is not None:
                reason = self.rule.reason_to_stop(float(course[self._monitor][e]))
            if self._reduce is not None:
                value = float(course[self._reduce_monitor][e])
                reduced = self._reduce.remember(plateau, value)
            if reason is not None or reduced:
                return Verdict(e + 1, True, reason)
        return Verdict(epochs)

    def remember_again(self, history: History, epochs: range, plateau: np.ndarray) -> None:
        """Bring *plateau* from before to after the *epochs* of *history*, counted from 0."""
        if self._reduce is not None:
            course = history.course(epochs.start, epochs.stop)
            for value in course[self._reduce_monitor]:
                self._reduce.remember(plateau, value)
