"""The progress bar of ``fit``, drawn by rich in terminals and notebooks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress

    from fastnn.history import History


class Display:
    """A bar of rich's that never stops the work: what cannot be drawn is given up.

    Versions of rich before 14.1 show one bar at a time; the output may be closed, or not know a
    character.
    """

    def __init__(self, bar: Progress | None):
        self._bar = bar

    def draw(self, act: Callable[[Progress], Any]) -> None:
        """Do something with the bar, if it is still there."""
        if self._bar is None:
            return
        try:
            act(self._bar)
        except SystemExit as error:  # newer versions end the process when nobody reads any longer
            if not isinstance(error.__context__, BrokenPipeError):
                raise
            self._give_up()
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error: Exception | None = None) -> None:
        from rich.errors import LiveError

        bar, self._bar = self._bar, None
        if bar is not None and not isinstance(error, LiveError):  # which another bar has caused
            with contextlib.suppress(Exception):  # the cursor and the standard streams come back
                bar.live.stop()


class TrainingBar:
    """Epochs, losses, rate, samples per second and time left; does nothing unless *enabled*."""

    def __init__(self, enabled: bool, epochs: int | None, samples_per_epoch: int):
        self._samples_per_epoch = samples_per_epoch
        self._bar = _new_progress(epochs) if enabled else None
        self._display = Display(self._bar)

    def __enter__(self) -> TrainingBar:
        self._display.draw(lambda bar: bar.start())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._display.draw(lambda bar: bar.refresh())
        self._display.draw(lambda bar: bar.stop())

    def show(self, epochs_done: float, history: History) -> None:
        """Bring the bar up to date; losses and rate are those of the last whole epoch."""
        if self._bar is None:
            return
        shown = history.logs()
        if "learning_rate" in shown:
            shown["rate"] = shown.pop("learning_rate")
        losses = "  ".join(f"{name}={value:.4g}" for name, value in shown.items())
        (task,) = self._bar.tasks
        seconds = task.elapsed or 0.0
        rate = epochs_done * self._samples_per_epoch / seconds if seconds > 0 else 0.0
        self._display.draw(
            lambda bar: bar.update(
                task.id, completed=epochs_done, losses=losses, speed=f"{rate:,.0f} samples/s"
            )
        )


def _new_progress(epochs: int | None) -> Progress:
    from rich import progress
    from rich.table import Column

    bar = progress.Progress(
        progress.MofNCompleteColumn(),
        progress.BarColumn(bar_width=12),
        # The only column that may be broken into lines where the terminal is narrow.
        progress.TextColumn("{task.fields[losses]}", table_column=Column(no_wrap=False)),
        progress.TextColumn("{task.fields[speed]}"),
        progress.TimeRemainingColumn(elapsed_when_finished=True),
    )
    bar.add_task("", total=epochs, losses="", speed="")
    return bar
