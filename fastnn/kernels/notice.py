"""Says once, where somebody waits for it, that kernels are being compiled.

One line on the standard error stream, if that is a terminal or a notebook's: never in a process
that another one has started for its work, and not with ``FASTNN_NOTES=0``.
"""

import contextlib
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterator

from fastnn.kernels import cache

#: Seconds of compiling in this process until it is said.
PATIENCE_SECONDS = 1.0


class _Notice:
    """What a process has spent compiling, and whether it has said so."""

    def __init__(self) -> None:
        self._spent = 0.0
        self._said = False

    @contextlib.contextmanager
    def compiling(self, name: str) -> Iterator[None]:
        """Compile the kernel of that name inside."""
        cache.compiled.append(name)
        if self._said or not _somebody_looks():
            yield
            return
        patience = max(PATIENCE_SECONDS - self._spent, 0.0)
        timer = threading.Timer(patience, self._say, [name])
        timer.daemon = True
        started = time.perf_counter()
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            self._spent += time.perf_counter() - started

    def _say(self, name: str) -> None:
        self._said = True
        where = f"and is kept in {next(cache.directories())}" if cache.is_on() else "a process"
        text = (
            f"fastnn is compiling its kernels, {name} for now. It happens once {where}. "
            "To do it ahead: fastnn.warmup(net), or `fastnn warmup`. FASTNN_NOTES=0: not a word."
        )
        with contextlib.suppress(Exception):  # the work goes on, whatever has become of the stream
            print(text, file=sys.stderr, flush=True)


#: The one of this process.
compiling = _Notice().compiling


def _somebody_looks() -> bool:
    """Whether the standard error stream is shown to somebody who waits for this process."""
    if os.environ.get("FASTNN_NOTES") == "0":
        return False
    if multiprocessing.current_process().name != "MainProcess":
        return False
    stream = sys.stderr
    with contextlib.suppress(Exception):  # it may be closed, or None, or anybody's object
        return type(stream).__module__.startswith("ipykernel.") or stream.isatty()
    return False
