"""Ctrl-C while something is compiled: heard when a function is done, not within LLVM.

LLVM calls Python back, to keep what it has compiled. An exception there, as Ctrl-C raises one at
whatever line Python is, is printed and forgotten: neither does the training end, nor is the kernel
kept.
"""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any


class _Held:
    """Takes SIGINT in place of a *handler*."""

    def __init__(self, handler: Callable[[int, FrameType | None], Any]):
        self.handler = handler  # who hears it later
        self._waiting: list[tuple[int, FrameType | None]] = []

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Take note of one."""
        self._waiting.append((number, frame))

    def let_go(self) -> None:
        """Give the handler what has come; it may raise an exception."""
        while self._waiting:
            self.handler(*self._waiting.pop(0))


def owner_of(handler: Any) -> Any:
    """Whose method a handler of SIGINT is, while it is held too; None if it is nobody's."""
    owner = getattr(handler, "__self__", None)
    return owner_of(owner.handler) if isinstance(owner, _Held) else owner


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Have Ctrl-C wait for the end of the block, or of one inside it.

    Python hears signals in the main thread alone; in others nothing is to be done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGINT)
    outer = getattr(handler, "__self__", None)
    if isinstance(outer, _Held):
        try:
            yield
        finally:
            outer.let_go()
    elif callable(handler):
        held = _Held(handler)
        signal.signal(signal.SIGINT, held.hear)
        try:
            yield
        finally:
            if signal.getsignal(signal.SIGINT) == held.hear:  # nobody has set another one
                signal.signal(signal.SIGINT, handler)
            held.let_go()
    else:  # it is ignored, or ends the process
        yield
