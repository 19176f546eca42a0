"""The time that a profile may take, and who is told how it goes."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fastnn.progress import Display

#: Told what is being done, and which part of all of it is behind.
Report = Callable[[str, float], object]


@dataclass
class Budget:
    """The seconds for everything, counted from now."""

    seconds: float
    report: Report = lambda what, part: None

    def __post_init__(self) -> None:
        self._started = time.perf_counter()

    def behind(self) -> float:
        """The part of the time that is over, 1 at most."""
        return min((time.perf_counter() - self._started) / self.seconds, 1.0)

    def left(self) -> float:
        """Seconds that are left."""
        return self.seconds * (1 - self.behind())

    def say(self, what: str, part: float | None = None) -> None:
        """Tell what is being done."""
        self.report(what, self.behind() if part is None else part)


@contextmanager
def show_progress(enabled: bool) -> Iterator[Report]:
    """Give what shows in the terminal what is being done; nothing unless *enabled*.

    It shows on the standard error stream, and only if that is a terminal.
    """
    from rich import progress
    from rich.console import Console

    console = Console(stderr=True)
    if not enabled or not console.is_terminal:
        yield lambda what, part: None
        return
    bar = progress.Progress(
        progress.SpinnerColumn(),
        progress.BarColumn(bar_width=24),
        progress.TimeElapsedColumn(),
        progress.TextColumn("{task.description}"),
        console=console,
        transient=True,
    )
    task = bar.add_task("", total=1.0)
    with Display(bar) as display:
        yield lambda what, part: display.draw(
            lambda bar: bar.update(task, description=what, completed=part)
        )
