"""Threads that help with large products, while a kernel runs that has some.

There are as many as the process has cores, less one, or as ``NUMBA_NUM_THREADS`` or
``OMP_NUM_THREADS`` allow, or a container, less one; and in all no more than that with the threads
that are helped. They wait in Python until there is a kernel to help, and then look for parts of its
products in one of their own, see `fastnn.kernels.sharing`, until it is through.
"""

import os
import threading
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import Any

import numba
import numpy as np

from fastnn.architecture import Architecture
from fastnn.kernels import products, sharing
from fastnn.kernels.atomics import ON_POSIX, add, nap, observed, set_rounding
from fastnn.kernels.called import address_of
from fastnn.kernels.jit import kernel
from fastnn.kernels.tiles import Matrix
from fastnn.machine import cores, quota

#: Of a call that takes several times as long as it takes to wake a thread.
LEAST_MULTIPLICATIONS = 1 << 25
#: More have not been measured: they would come to the board one after another.
MOST_THREADS = 16
#: The number of a helper that is never wanted.
NOBODY = 1 << 62


@kernel
def help_out(number, singles, doubles):
    """Take parts of products as long as more helpers are wanted than this one's number.

    *singles* and *doubles* are empty vectors of the two dtypes.
    """
    words, looks = sharing.board(), 0
    add(words, sharing.HELPERS, 1)
    while observed(words, sharing.WANTED) > number:
        part = sharing.take(words)
        if part == 0:
            looks += 1
            if looks > sharing.MANY_LOOKS:
                nap()
            else:
                sharing.wait(looks)
            continue
        set_rounding(words[sharing.ROUNDING])
        if words[sharing.SIZE] == singles.itemsize:
            sharing.do(words, part, products.nothing(singles))
        else:
            sharing.do(words, part, products.nothing(doubles))
        add(words, sharing.DONE, 1)
        looks = 0
    add(words, sharing.HELPERS, -1)


def _make_ready(dtype: Any) -> None:
    """Have all compiled, and known, by which products of a dtype are shared."""
    place = sharing.SHARE_SINGLES if dtype.itemsize == 4 else sharing.SHARE_DOUBLES
    if sharing.board_words[place] == 0:
        help_out(NOBODY, *_EMPTY)  # leaves at once
        nowhere, none = np.uint64(0), dtype.type(0)
        M = Matrix(np.empty(0, dtype), nowhere, nowhere, False)
        arguments = (0, none, M, M, none, M, M, (nowhere, nowhere, nowhere))
        sharing.board_words[place] = address_of(products.share_product, arguments)


class _Team:
    """The threads that help; and how many each thread that is helped now has use for."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._useful: dict[int, int] = {}

    def join(self, helpers: int) -> None:
        """Help this thread from now on, with so many others if there are cores for them."""
        try:
            with self._changed:
                self._useful[threading.get_ident()] = helpers
                self._call()
        except BaseException:  # such as Ctrl-C: nobody would send the helpers away
            self.part()
            raise

    def part(self) -> None:
        """Help it no more."""
        with self._changed:
            try:
                self._useful.pop(threading.get_ident(), None)
            finally:
                self._call()

    def _call(self) -> None:
        """Have as many as are wanted leave their waiting, or their kernel."""
        free = allowed() - len(self._useful)
        wanted = max(0, min(free, max(self._useful.values(), default=0)))
        sharing.board_words[sharing.WANTED] = wanted
        while len(self._threads) < wanted:
            number = len(self._threads)
            thread = threading.Thread(
                target=self._help, args=(number,), name=f"fastnn helper {number}", daemon=True
            )
            self._threads.append(thread)
            try:
                thread.start()
            except RuntimeError:  # the system, or a Python that ends, has no more of them
                self._threads.pop()
                break
        self._changed.notify_all()

    def _help(self, number: int) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: sharing.board_words[sharing.WANTED] > number)
            help_out(number, *_EMPTY)


_EMPTY = np.empty(0, np.float32), np.empty(0, np.float64)
_team = _Team()


def _begin_anew() -> None:
    """Threads do not come along to a process that is forked."""
    global _team
    _team = _Team()
    sharing.board_words[:] = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def allowed() -> int:
    """How many threads may work at once."""
    if numba.config.DISABLE_JIT or numba.config.BOUNDSCHECK:  # an error would leave others waiting
        return 1
    if not ON_POSIX:  # who waits could not give way
        return 1
    by_user = os.environ.get("OMP_NUM_THREADS", "")
    by_numba: int = numba.config.NUMBA_NUM_THREADS
    most = int(by_user) if by_user.isdecimal() and int(by_user) else by_numba
    limit = quota()
    most = most if limit is None else min(most, max(1, int(limit)))
    return min(len(cores()), by_numba, most, MOST_THREADS)


class Help:
    """In its ``with`` threads help a network's kernel, if there are cores and it pays.

    *rows*: how many samples products are of, at most; without any there are none.
    """

    def __init__(self, architecture: Architecture, rows: int):
        sizes, self._helpers, self._dtype = architecture.sizes, 0, architecture.dtype
        largest = rows * max(a * b for a, b in pairwise(sizes))
        if largest >= products.SHARED_FROM:
            self._helpers = min(largest // int(products.LEAST_PART), allowed()) - 1
        self._least_rows = LEAST_MULTIPLICATIONS // architecture.n_parameters

    def for_rows(self, n: int) -> AbstractContextManager[Any]:
        """The same where n samples go through, and not if that is over before a thread comes."""
        return self if n > self._least_rows else _NO_HELP

    def __enter__(self) -> None:
        if self._helpers > 0:
            _make_ready(self._dtype)
            _team.join(self._helpers)

    def __exit__(self, *error: Any) -> None:
        if self._helpers > 0:
            _team.part()


_NO_HELP = nullcontext()
