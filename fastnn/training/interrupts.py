"""Ctrl-C during training: remembered until the engine is between two pieces of work.

If that takes too long, the work is given up: an engine in Python is left by an exception, and work
on large arrays is done in a thread that nobody waits for any longer.
"""

import _thread
import importlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from fastnn.contract import quiet
from fastnn.signals import owner_of

#: What `signal` is a wrapping of, which turns handlers into constants of an enumeration and back
#: for ten times as long: a tenth of what a short fit takes.
_signal: Any = importlib.import_module("_signal")

#: Seconds after Ctrl-C until work that may be given up is given up.
PATIENCE_SECONDS = 0.07


class Interrupted(KeyboardInterrupt):
    """Work was given up because of a Ctrl-C that has waited for long enough."""


class _Breakable:
    """Lets an exception end the block: `Interrupted`, or KeyboardInterrupt by a second Ctrl-C.

    What the block has done until then must be undone, or do no harm.
    """

    def __init__(self) -> None:
        self.now = False

    def __enter__(self) -> None:
        self.now = True

    def __exit__(self, *_error: object) -> None:
        self.now = False


class Interrupts:
    """What is known about Ctrl-C inside a ``with remember_interrupt()`` block."""

    def __init__(self, listening: bool, outer: "Interrupts | None" = None):
        self.listening = listening
        self._outer = outer
        self._presses = 0
        self._breakable = _Breakable()
        self._overdue = False
        self._closed = False
        self._lock = threading.Lock()
        self._orphan: threading.Event | None = None

    def __call__(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self._presses > 0 or (self._outer is not None and self._outer())

    def again(self) -> bool:
        """Whether it was pressed more than once."""
        return self._presses > 1 or (self._outer is not None and self._outer.again())

    def breakable(self) -> _Breakable:
        """A context manager: its block may be ended by Ctrl-C."""
        return self._breakable

    def wait_for(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Do *work* in another thread, so that Ctrl-C can be answered meanwhile.

        If it is, the work goes on for nobody; `wait_for_orphan` waits for its end.
        """
        outcome: list[Any] = []
        error: list[BaseException] = []
        done = threading.Event()

        def do() -> None:
            try:
                outcome.append(quiet(work)(*arguments))  # a thread begins with the usual state
            except BaseException as e:
                error.append(e)
            finally:
                done.set()

        self._orphan = done
        threading.Thread(target=do, daemon=True).start()
        while not done.wait(0.05):
            pass
        self._orphan = None
        if error:
            raise error[0]
        return outcome[0]

    def wait_for_orphan(self) -> None:
        """Wait for the end of work that was given up: it may still use the trainer's memory."""
        if self._orphan is not None:
            self._orphan.wait()

    def hear(self, _number: int, _frame: FrameType | None) -> None:
        """Handle SIGINT, from the user or from `_remind`."""
        reminded, self._overdue = self._overdue, False
        if not reminded:
            self._presses += 1
            if self._presses == 1:
                # Not a threading.Thread: starting one takes locks, which the main thread, where
                # this runs, may hold.
                _thread.start_new_thread(self._remind, ())
                return
        if self._breakable.now:
            self._breakable.now = False
            raise Interrupted if reminded else KeyboardInterrupt

    def _remind(self) -> None:
        """Signal once more when the patience is over."""
        time.sleep(PATIENCE_SECONDS)
        with self._lock:
            if self._closed:
                return
            self._overdue = True
            if hasattr(signal, "pthread_kill"):
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            else:
                _thread.interrupt_main()

    def close(self) -> None:
        """Remind no more."""
        with self._lock:
            self._closed = True


@contextmanager
def remember_interrupt() -> Iterator[Interrupts]:
    """Yield what tells whether Ctrl-C was pressed inside the ``with`` block.

    The first Ctrl-C is only remembered, unless an `Interrupts.breakable` part of the block takes
    too long. Inside another such block, of this thread or another, it is the outer one that
    listens, and both know. Where Python does not let us listen (outside the main thread), or where
    somebody else already listens, nothing changes.
    """
    handler = _signal.getsignal(signal.SIGINT)
    ours_to_take = (
        threading.current_thread() is threading.main_thread()
        and handler is signal.default_int_handler
    )
    outer = owner_of(handler)
    interrupts = Interrupts(ours_to_take, outer if isinstance(outer, Interrupts) else None)
    if not ours_to_take:
        yield interrupts
        return
    _signal.signal(signal.SIGINT, interrupts.hear)
    try:
        yield interrupts
    finally:
        interrupts.close()
        _signal.signal(signal.SIGINT, signal.default_int_handler)
