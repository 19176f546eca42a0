"""What every way of training shares: the history, Ctrl-C, callbacks, the bar, and how it ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

import numpy as np

from fastnn.errors import TrainingDivergedError
from fastnn.history import History
from fastnn.progress import TrainingBar
from fastnn.training.interrupts import Interrupts, remember_interrupt
from fastnn.training.job import Job


class Session:
    """A ``with`` block in which *history* is filled; it ends by `end`, or by an exception.

    Inside it overflow gives no warnings: it is reported as divergence.

    Parameters
    ----------
    job : Job
    history : History
    samples_per_epoch : int
        For the bar.
    """

    def __init__(self, job: Job, history: History, samples_per_epoch: int):
        self.job = job
        self.history = history
        self.interrupts = Interrupts(listening=False)
        self._bar = TrainingBar(job.progress, job.epochs, samples_per_epoch)
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self.history.stop_reason = "running"
        self._started = time.perf_counter()
        self._open.enter_context(np.errstate(all="ignore"))
        self.interrupts = self._open.enter_context(remember_interrupt())
        self._open.enter_context(self._bar)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self.history.stop_reason = _reason_after(error)
        self._open.close()
        self.note_time()

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

    def show(self, part: float = 0.0) -> None:
        """Bring the bar up to date; *part* of the next epoch is done."""
        self._bar.show(self.history.epochs + part, self.history)

    def call_back(self) -> str | None:
        """Call the callbacks with the epoch that has just ended. Why training ends, or None."""
        if not self.job.callbacks:
            return None
        epoch, logs = self.history.epochs, self.history.logs()
        with self.interrupts.breakable():
            stops = [callback(epoch, dict(logs)) for callback in self.job.callbacks]
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
