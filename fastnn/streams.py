"""Training from streams: chunk by chunk with `Network.fit_stream`, or one update at a time.

A stream's memory is that of one chunk. Each chunk is trained like an epoch of ``fit``, by the same
training loop; what the optimiser remembers goes on from chunk to chunk.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.engines import Engine, Piece, Plan, Samples, State
from fastnn.errors import TrainingDivergedError
from fastnn.history import History
from fastnn.progress import TrainingBar
from fastnn.schedules import Schedule, rates_of_piece
from fastnn.training import Job, train

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
    if epochs > 1 and isinstance(chunks, Iterator):
        raise ValueError(
            f"epochs={epochs} needs chunks that can be gone through again: a list, or a function "
            f"that returns an iterator; got {type(chunks).__name__}"
        )
    return _passes(chunks, epochs)


def _passes(chunks: Any, epochs: int) -> Iterator[Chunk]:
    for epoch in range(epochs):
        empty = True
        for chunk in chunks() if callable(chunks) else chunks:
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


class StreamRun:
    """One call of ``fit_stream``: fills *history*, with an entry for each chunk."""

    def __init__(
        self, state: State, rng: np.random.Generator, history: History, chunks: int | None
    ):
        self._state = state
        self._rng = rng
        self._history = history
        self._chunks = chunks

    def train(self, chunks: Iterator[Chunk], job_of: Callable[[Chunk], Job], show: bool) -> None:
        """Train on each of the *chunks* in turn; *job_of* makes one epoch's work of it."""
        history = self._history
        history.stop_reason = "running"
        bar: TrainingBar | None = None
        try:
            while (job := self._next_job(chunks, job_of)) is not None:
                if bar is None:
                    bar = TrainingBar(show, self._chunks, len(job.samples))
                    bar.__enter__()
                if self._train_chunk(job) == "interrupted":
                    history.stop_reason = "interrupted"
                    break
                bar.show(history.epochs, history)
                del job
            else:
                history.stop_reason = "completed"
        except TrainingDivergedError:
            history.stop_reason = "diverged"
            raise
        except KeyboardInterrupt:  # while the next chunk was made
            history.stop_reason = "interrupted"
        finally:
            if history.stop_reason == "running":
                history.stop_reason = "error"
            if bar is not None:
                bar.__exit__(None, None, None)

    def _next_job(self, chunks: Iterator[Chunk], job_of: Callable[[Chunk], Job]) -> Job | None:
        chunk = next(chunks, None)
        return None if chunk is None else job_of(chunk)

    def _train_chunk(self, job: Job) -> str:
        """Train on one chunk, and add its epoch to the history; why it ended."""
        history = self._history
        part = History()
        try:
            train(job, self._state, self._rng, part)
        except TrainingDivergedError as error:
            raise TrainingDivergedError(
                history.epochs + 1, error.learning_rate, error.schedule
            ) from None
        finally:
            history.seconds += part.seconds
        course = {name: np.array(values) for name, values in part.course(0, part.epochs).items()}
        history.append(course, part.epochs)
        return part.stop_reason


class Updater:
    """One update after another, each from *n_samples* rows, without setting up anything anew."""

    def __init__(self, architecture: Architecture, engine: Engine, samples: Samples, plan: Plan):
        self._architecture = architecture
        self.optimizer = plan.optimizer
        self._rows = [
            None if rows is None else rows.copy()
            for rows in (samples.X, samples.Y, samples.weights)
        ]
        X, Y, weights = (_read_only(rows) for rows in self._rows)
        assert X is not None
        assert Y is not None
        self._trainer = engine.trainer(architecture, Samples(X, Y, weights), plan)
        self._order = np.empty((0, len(X)), np.int64)
        self._n = len(X)
        self._before: State | None = None

    def update(self, state: State, samples: Samples) -> float:
        """Update *state* in place; the loss before the update.

        Raises
        ------
        TrainingDivergedError
            If the loss or a parameter is no longer finite; *state* is as before then.
        """
        for mine, given in zip(self._rows, (samples.X, samples.Y, samples.weights), strict=True):
            if mine is not None:
                mine[...] = given
        if self._before is None or self._before.moments.shape != state.moments.shape:
            self._before = state.copy()
        else:
            self._before.restore(state)
        rates = rates_of_piece(self.optimizer.learning_rate, state, 1, 1)
        piece = Piece.of_epochs(rates, self._order, self._n)
        with np.errstate(all="ignore"):
            self._trainer.run(state, piece)
        state.steps[0] += 1
        loss = float(piece.loss_sums[0] + piece.penalty_sums[0])
        if not (np.isfinite(loss) and np.isfinite(state.parameters).all()):
            updates = int(state.updates[0])
            state.restore(self._before)
            schedule = self.optimizer.learning_rate
            raise TrainingDivergedError(
                updates, float(rates[0, 0]), schedule if isinstance(schedule, Schedule) else None
            )
        return loss * self._architecture.gradient_scale(self._n)


def _read_only(rows: np.ndarray | None) -> np.ndarray | None:
    if rows is None:
        return None
    view = rows.view()
    view.flags.writeable = False
    return view
