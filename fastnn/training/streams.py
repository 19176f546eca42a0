"""Training from streams, chunk by chunk, with `Network.fit_stream`.

A stream's memory is that of one chunk. Each chunk is an epoch of one and the same run.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from fastnn import validation
from fastnn.contract import Samples, State
from fastnn.history import History
from fastnn.names import describe, short
from fastnn.training.job import Job
from fastnn.training.run import Run
from fastnn.training.session import Session

#: (X, y) or (X, y, sample_weight).
Chunk = tuple[Any, ...]
Chunks = Iterable[Chunk] | Callable[[], Iterable[Chunk]]


def passes(chunks: Any, epochs: int) -> Iterator[Chunk]:
    """All chunks, *epochs* times over.

    Raises
    ------
    TypeError
        If *chunks* cannot be iterated over, or a chunk is no tuple of two or three.
    ValueError
        If there are no chunks, or if they can be gone through only once.
    """
    if not callable(chunks) and not isinstance(chunks, Iterable):
        raise TypeError(
            "chunks must be an iterable of (X, y), or a function that returns one, "
            f"got {type(chunks).__name__}"
        )
    if callable(chunks) and not validation.takes(chunks):
        raise TypeError(
            "chunks must be a function without arguments, or an iterable of (X, y), "
            f"got {short(chunks)}, which takes some"
        )
    if epochs > 1 and isinstance(chunks, Iterator):
        raise ValueError(
            f"epochs={epochs} needs chunks that can be gone through again: a list, or a function "
            f"that returns an iterator; got {type(chunks).__name__}"
        )
    return _passes(chunks, epochs)


def _passes(chunks: Any, epochs: int) -> Iterator[Chunk]:
    for epoch in range(epochs):
        empty = True
        for chunk in _begin(chunks):
            if not isinstance(chunk, tuple | list) or len(chunk) not in (2, 3):
                raise TypeError(
                    "each of the chunks must be (X, y) or (X, y, sample_weight), "
                    f"got {type(chunk).__name__}"
                )
            empty = False
            yield tuple(chunk)
            del chunk  # not kept while the next one is made
        if empty:
            raise ValueError(f"chunks were empty in pass {epoch + 1} of {epochs}")


def _begin(chunks: Any) -> Iterator[Any]:
    """The chunks of a pass, from the first on."""
    made = chunks() if callable(chunks) else chunks
    try:
        return iter(made)
    except TypeError as error:
        came = f", which returned {type(made).__name__}" if callable(chunks) else ""
        raise TypeError(
            "chunks must be an iterable of (X, y), or a function that returns one, "
            f"got {describe(chunks)}{came}"
        ) from error


def count(chunks: Any) -> int | None:
    """How many chunks a pass has; None where that is not known before, whatever ``len`` raises."""
    try:
        return len(chunks)
    except Exception:
        return None


def train(
    job: Job, chunks: Iterator[Samples], state: State, rng: np.random.Generator, history: History
) -> History:
    """Train on each of the *chunks* in turn; fill *history*, with an entry for each.

    Ctrl-C ends training, also while a chunk is made, unless no chunk has been learned yet.

    Raises
    ------
    TrainingDivergedError
        If a loss or a parameter is no longer finite; *state* is that of before the chunk.
    """
    run = Run(job, state, rng)
    samples = next(chunks, None)
    with Session.open(job, history, 0 if samples is None else len(samples)) as session:
        reason = None
        try:
            while samples is not None and reason is None:
                session.count(len(samples))
                with session.uncounted():
                    run.take(samples)
                reason = run.train(session, history.epochs + 1)
                run.let_go()
                del samples  # not kept while the next one is made
                with session.uncounted(), session.interrupts.breakable():
                    samples = None if reason else next(chunks, None)
                reason = reason or session.reason_from_outside()
        except KeyboardInterrupt:
            if history.epochs == 0:
                raise
            reason = "interrupted"
        history.stop_reason = reason or "completed"
        run.end(session)
    return history
