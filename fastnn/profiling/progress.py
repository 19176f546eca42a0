"""The progress bar of the profiler."""

from collections.abc import Iterator
from contextlib import contextmanager

from fastnn.profiling.comparing import Report
from fastnn.progress import Display


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
    display = Display(bar)
    display.draw(lambda bar: bar.start())
    try:
        yield lambda what, part: display.draw(
            lambda bar: bar.update(task, description=what, completed=part)
        )
    finally:
        display.draw(lambda bar: bar.stop())
