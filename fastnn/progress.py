"""The progress bar of ``fit``, drawn by rich in terminals and notebooks."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

    from fastnn.history import History


class TrainingBar:
    """Epochs, losses, rate, samples per second and time left; does nothing unless *enabled*."""

    def __init__(self, enabled: bool, epochs: int | None, samples_per_epoch: int):
        self._epochs = epochs
        self._samples_per_epoch = samples_per_epoch
        self._progress: Progress | None = _new_progress() if enabled else None
        if self._progress is not None:
            self._task = self._progress.add_task("", total=epochs, losses="", speed="")

    def __enter__(self) -> TrainingBar:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.refresh()
            self._progress.stop()

    def show(self, epochs_done: float, history: History) -> None:
        """Bring the bar up to date; losses and rate are those of the last whole epoch."""
        if self._progress is None:
            return
        losses = ""
        if history.loss:
            shown = {**history.logs_to_show(), "rate": history.learning_rate[-1]}
            losses = "  ".join(f"{name}={value:.4g}" for name, value in shown.items())
        seconds = self._progress.tasks[0].elapsed or 0.0
        rate = epochs_done * self._samples_per_epoch / seconds if seconds > 0 else 0.0
        self._progress.update(
            self._task, completed=epochs_done, losses=losses, speed=f"{rate:,.0f} samples/s"
        )


def _new_progress() -> Progress:
    from rich import progress
    from rich.table import Column

    return progress.Progress(
        progress.MofNCompleteColumn(),
        progress.BarColumn(bar_width=12),
        # The only column that may be broken into lines where the terminal is narrow.
        progress.TextColumn("{task.fields[losses]}", table_column=Column(no_wrap=False)),
        progress.TextColumn("{task.fields[speed]}"),
        progress.TimeRemainingColumn(elapsed_when_finished=True),
    )
