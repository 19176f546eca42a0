"""What every way of training shares: the history, Ctrl-C, callbacks, the bar, and how it ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from fastnn.errors import TrainingDivergedError
from fastnn.history import History
from fastnn.progress import TrainingBar
from fastnn.training.interrupts import Interrupts, remember_interrupt
from fastnn.training.job import Job


class Session:
    """What there is while *history* is filled; `open` makes it.

    Attributes
    ----------
    job : Job
    history : History
    interrupts : Interrupts
    """

    def __init__(self, job: Job, history: History, interrupts: Interrupts, bar: TrainingBar):
        self.job = job
        self.history = history
        self.interrupts = interrupts
        self._bar = bar
        self._started = time.perf_counter()

    @classmethod
    @contextmanager
    def open(cls, job: Job, history: History, samples_per_epoch: int) -> Iterator[Self]:
        """Train inside; however that ends, *history* tells. *samples_per_epoch* is for the bar."""
        history.stop_reason = "running"
        if job.record is not None:
            history.record(job.architecture)
        bar = TrainingBar(job.progress, job.epochs, samples_per_epoch)
        with remember_interrupt() as interrupts, bar:
            session = cls(job, history, interrupts, bar)
            try:
                yield session
            except BaseException as error:
                history.stop_reason = _reason_after(error)
                raise
            finally:
                session.note_time()

    def note_time(self) -> None:
        """Bring the history's seconds up to date."""
        self.history.seconds = time.perf_counter() - self._started

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """What happens inside takes none of the training's time."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._started += time.perf_counter() - started

    def count(self, samples_per_epoch: int) -> None:
        """Let the bar know how many samples the next epoch has."""
        self._bar.count(self.history.epochs, samples_per_epoch)

    def show(self, part: float = 0.0) -> None:
        """Bring the bar up to date; *part* of the next epoch is done."""
        self._bar.show(self.history.epochs + part, self.history)

    def call_back(self) -> str | None:
        """Call the callbacks with the epoch that has just ended. Why training ends, or None."""
        epoch = self.history.epochs
        due = [callback for callback in self.job.callbacks if epoch % callback.every == 0]
        if not due:
            return None
        logs = self.history.logs()
        with self.interrupts.breakable():
            stops = [callback.call(epoch, dict(logs)) for callback in due]
        return "callback" if any(stops) else None

    def reason_from_outside(self) -> str | None:
        """Why training ends now though the epochs themselves give no reason."""
        rule = self.job.early_stopping
        if self.interrupts():
            return "interrupted"
        if rule is not None and rule.max_seconds is not None:
            return "time limit" if self.history.seconds >= rule.max_seconds else None
        return None


def _reason_after(error: BaseException) -> str:
    """What the history says of training that ended with an exception."""
    if isinstance(error, TrainingDivergedError):
        return "diverged"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "error"
