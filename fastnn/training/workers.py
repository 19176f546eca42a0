"""Blocks of networks handed out: to this thread, to several, or to an executor of the user's."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

from fastnn import validation
from fastnn.history import History
from fastnn.machine import cores
from fastnn.names import describe
from fastnn.progress import NetworksBar
from fastnn.training.block import Report
from fastnn.training.interrupts import Interrupts, remember_interrupt
from fastnn.training.many import do, unchanged
from fastnn.training.members import Outcome, Work

#: Seconds between two looks at what is done, at Ctrl-C, and at the bar.
LOOK_SECONDS = 0.1


class Books(Protocol):
    """Takes in what comes back."""

    def take(self, outcome: Outcome) -> None:
        """Take a network that was trained."""

    def failed(self, work: Work, error: BaseException) -> None:
        """Note work that was not done."""


class Workers:
    """Who does the work: one thread, the caller's own; *n_jobs* of them; or an *executor*."""

    def __init__(self, n_jobs: Any, executor: Any, progress: Any):
        n_jobs = _number_of_threads(n_jobs)
        can_submit = callable(getattr(executor, "submit", None)) and not isinstance(executor, type)
        if executor is not None and not can_submit:
            raise TypeError(
                "executor must be a concurrent.futures.Executor, such as a ProcessPoolExecutor or "
                f"Client(...).get_executor() of Dask, got {describe(executor)}"
            )
        if executor is not None and n_jobs != 1:
            raise ValueError(f"n_jobs={n_jobs} was given beside an executor; give one of the two")
        self._n_jobs, self._executor = n_jobs, executor
        self._progress = validation.boolean(progress, "progress")

    def run(self, works: Sequence[Work], books: Books, epochs: int) -> None:
        """Have all works done, and what comes of it noted; *epochs* of all networks for the bar."""
        count = _Count(len(works))
        with remember_interrupt() as interrupted, NetworksBar(self._progress, epochs) as bar:
            look = _Look(count, interrupted, bar.show)
            if self._executor is None and self._n_jobs == 1:
                for k, work in enumerate(works):
                    _settle(work, books, partial(do, work, look.of(k)))
                    look.finished(k, work)
                    look()
                return
            with self._threads() as executor:
                self._hand_out(works, books, executor, look)

    @contextmanager
    def _threads(self) -> Iterator[Executor]:
        if self._executor is not None:
            yield self._executor
            return
        with ThreadPoolExecutor(self._n_jobs) as threads:
            yield threads

    def _hand_out(
        self, works: Sequence[Work], books: Books, executor: Executor, look: _Look
    ) -> None:
        told = self._executor is None  # threads can be told to stop, and tell how far they are
        futures: dict[Future[list[Outcome]], int] = {}
        for k, work in enumerate(works):
            try:
                future = executor.submit(do, work, look.of(k) if told else None)
            except Exception as error:  # such as a pool that is broken, or closed
                books.failed(work, error)
            else:
                futures[future] = k
        while futures:
            done, _ = concurrent.futures.wait(
                futures, LOOK_SECONDS, concurrent.futures.FIRST_COMPLETED
            )
            if look() and not told:
                done |= {future for future in futures if future.cancel()}
            for future in done:
                k = futures.pop(future)
                _settle(works[k], books, partial(_result, future, works[k]))
                look.finished(k, works[k])
            if not told and look.insists():
                break
        for k in futures.values():  # they are done for nobody
            _settle(works[k], books, partial(_interrupted, works[k]))


def _number_of_threads(n_jobs: Any) -> int:
    """None is 1, -1 as many as there are cores for us."""
    if n_jobs is None:
        return 1
    number = validation.integer(n_jobs, "n_jobs", -1)
    if number == 0:
        raise ValueError("n_jobs must be at least 1, or -1 for one per core, got 0")
    return number if number > 0 else len(cores())


def _result(future: Future[list[Outcome]], work: Work) -> list[Outcome]:
    try:
        return future.result()
    except (concurrent.futures.CancelledError, KeyboardInterrupt):  # Ctrl-C comes to workers too
        return _interrupted(work)


def _interrupted(work: Work) -> list[Outcome]:
    """What becomes of networks that were not trained because of Ctrl-C."""
    return [unchanged(member, History(stop_reason="interrupted")) for member in work.members]


def _settle(work: Work, books: Books, outcomes: Callable[[], list[Outcome]]) -> None:
    try:
        came = outcomes()
        if not _are_all(came, work):
            raise RuntimeError(f"the executor gave back {describe(came)} for what became of them")
    except Exception as error:
        books.failed(work, error)
        return
    for outcome in came:
        books.take(outcome)


def _are_all(came: Any, work: Work) -> bool:
    """Whether that is what became of all networks of a work, each once."""
    if not (isinstance(came, list) and all(isinstance(outcome, Outcome) for outcome in came)):
        return False
    return sorted(one.number for one in came) == sorted(one.number for one in work.members)


class _Count:
    """Epochs done, of all works; threads add to it."""

    def __init__(self, n: int):
        self._epochs = [0.0] * n
        self._total = 0.0
        self._lock = threading.Lock()

    def set(self, k: int, epochs: float) -> float:
        """Work number k has done so many; the total."""
        with self._lock:
            self._total += epochs - self._epochs[k]
            self._epochs[k] = epochs
            return self._total


class _Look:
    """Whether to go on, while the bar is brought up to date."""

    def __init__(self, count: _Count, interrupted: Interrupts, show: Callable[[float], None]):
        self._count, self._interrupted, self._show = count, interrupted, show
        self._total = 0.0

    def __call__(self) -> bool:
        """Show how far all are. True if Ctrl-C was pressed."""
        self._show(self._total)
        return self._interrupted()

    def insists(self) -> bool:
        """Whether it was pressed again."""
        return self._interrupted.again()

    def of(self, k: int) -> Report:
        """What work number k reports to."""

        def report(epochs: float) -> bool:
            self._total = self._count.set(k, epochs)
            if threading.current_thread() is threading.main_thread():
                self._show(self._total)
            return self._interrupted()

        return report

    def finished(self, k: int, work: Work) -> None:
        """Work number k has come back."""
        self._total = self._count.set(k, sum(member.job.epochs or 0 for member in work.members))
