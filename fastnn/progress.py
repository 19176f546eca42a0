"""The progress bar of ``fit``, drawn by rich in terminals and notebooks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from rich.progress import Progress

    from fastnn.history import History


class Display:
    """A bar of rich's, shown inside a ``with`` block: what cannot be drawn never stops the work.

    Versions of rich before 14.1 show one bar at a time; the output may be closed, or not know a
    character.
    """

    def __init__(self, bar: Progress | None):
        self._bar = bar

    def __enter__(self) -> Self:
        self.draw(lambda bar: bar.start())
        return self

    def __exit__(self, *_exception: object) -> None:
        self.draw(lambda bar: bar.refresh())
        self.draw(lambda bar: bar.stop())

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


class TrainingBar(Display):
    """Epochs, losses, rate, samples per second and time left; does nothing unless *enabled*."""

    def __init__(self, enabled: bool, epochs: int | None, samples_per_epoch: int):
        super().__init__(_new_progress(epochs) if enabled else None)
        self._samples_per_epoch = samples_per_epoch
        self._earlier_epochs = self._earlier_samples = 0

    def count(self, epochs: int, samples_per_epoch: int) -> None:
        """After so many *epochs*, the next ones have another number of samples."""
        done = (epochs - self._earlier_epochs) * self._samples_per_epoch
        self._earlier_epochs, self._earlier_samples = epochs, self._earlier_samples + done
        self._samples_per_epoch = samples_per_epoch

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
        samples = (epochs_done - self._earlier_epochs) * self._samples_per_epoch
        rate = (self._earlier_samples + samples) / seconds if seconds > 0 else 0.0
        self.draw(
            lambda bar: bar.update(
                task.id, completed=epochs_done, losses=losses, speed=f"{rate:,.0f} samples/s"
            )
        )


class NetworksBar(Display):
    """The epochs of many networks together; does nothing unless *enabled*."""

    def __init__(self, enabled: bool, epochs: int):
        super().__init__(_new_progress(epochs) if enabled else None)

    def show(self, epochs_done: float) -> None:
        """Bring the bar up to date."""
        if self._bar is None:
            return
        (task,) = self._bar.tasks
        seconds = task.elapsed or 0.0
        speed = f"{epochs_done / seconds if seconds > 0 else 0:,.0f} epochs/s"
        self.draw(lambda bar: bar.update(task.id, completed=epochs_done, speed=speed))


class StepsBar(Display):
    """Steps of unlike work, and the time that they have taken; only in a terminal."""

    def __init__(self, steps: int):
        from rich import progress
        from rich.console import Console

        console = Console(stderr=True)
        bar = progress.Progress(
            progress.MofNCompleteColumn(),
            progress.BarColumn(bar_width=24),
            progress.TimeElapsedColumn(),
            console=console,
        )
        bar.add_task("", total=steps)
        super().__init__(bar if console.is_terminal else None)

    def step(self) -> None:
        """One more is done."""
        self.draw(lambda bar: bar.advance(bar.task_ids[0]))


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
