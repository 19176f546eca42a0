"""Training from streams: chunk by chunk with `Network.fit_stream`, or one update at a time.

A stream's memory is that of one chunk. Each chunk is trained like an epoch of ``fit``, by the same
training loop; what the optimiser remembers goes on from chunk to chunk.
"""

from collections.abc import Callable, Iterable, Iterator
from math import isfinite
from typing import Any

import numpy as np

from fastnn import validation
from fastnn.architecture import Architecture
from fastnn.clock import rates_of_piece
from fastnn.engines import Engine, Piece, Plan, Samples, State
from fastnn.errors import TrainingDivergedError
from fastnn.history import History
from fastnn.names import describe, short
from fastnn.progress import TrainingBar
from fastnn.schedules import Schedule
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
            if history.epochs == 0:
                raise
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
    """One update after another, each from *n_samples* rows, without setting up anything anew.

    The trainer's samples are memory of the updater's own, which each update's rows are copied to.
    """

    def __init__(self, architecture: Architecture, engine: Engine, samples: Samples, plan: Plan):
        self.optimizer = plan.optimizer
        self._scale = architecture.gradient_scale(len(samples))
        self._any_targets = architecture.loss.targets == "real"
        self._n = len(samples)
        self._numbers = np.zeros(samples.X.size + samples.Y.size, architecture.dtype)
        self._X = self._numbers[: samples.X.size].reshape(samples.X.shape)
        self._Y = self._numbers[samples.X.size :].reshape(samples.Y.shape)
        self._weights = None if samples.weights is None else samples.weights.copy()
        mine = Samples(_read_only(self._X), _read_only(self._Y), self._weights)
        self._trainer = engine.trainer(architecture, mine, plan)
        order = np.empty((0, self._n), np.int64)
        self._piece = Piece.of_epochs(np.zeros((1, 1)), order, self._n)
        self._before: State | None = None

    def takes(self, X: Any, y: Any) -> bool:
        """Take rows that need neither checks nor conversion, the short way; False: nothing taken.

        Of targets with conditions, and of weights, it knows nothing.
        """
        if not (
            self._any_targets
            and self._weights is None
            and type(X) is np.ndarray
            and type(y) is np.ndarray
            and X.shape == self._X.shape
            and y.shape == self._Y.shape
            and X.dtype == y.dtype == self._numbers.dtype
        ):
            return False
        self._X[...] = X
        self._Y[...] = y
        return isfinite(self._numbers.dot(self._numbers))

    def has_place_for(self, samples: Samples) -> bool:
        """Whether they are as many as the updater was made for, and weighted like them."""
        return len(samples) == self._n and (samples.weights is None) == (self._weights is None)

    def take(self, samples: Samples) -> None:
        """Take rows that have been checked."""
        self._X[...] = samples.X
        self._Y[...] = samples.Y
        if self._weights is not None:
            self._weights[...] = samples.weights

    def update(self, state: State) -> float:
        """Update *state* in place with the rows taken; their loss before the update.

        Raises
        ------
        TrainingDivergedError
            If the loss or a parameter is no longer finite; *state* is as before then.
        """
        if self._before is None or self._before.moments.shape != state.moments.shape:
            self._before = state.copy()
        else:
            self._before.restore(state)
        piece = self._piece
        try:
            piece.rates[:] = rates_of_piece(self.optimizer.learning_rate, state.clock, 1, 1)
            piece.loss_sums[0] = piece.penalty_sums[0] = 0.0
            self._trainer.run(state, piece)
            state.clock.steps[0] += 1
            loss = float(piece.loss_sums[0] + piece.penalty_sums[0])
            if not (state.is_finite() and isfinite(loss)):
                raise self._divergence(int(state.updates[0]))
        except BaseException:
            state.restore(self._before)
            raise
        return loss * self._scale

    def _divergence(self, update: int) -> TrainingDivergedError:
        rate = self.optimizer.learning_rate
        schedule = rate if isinstance(rate, Schedule) else None
        return TrainingDivergedError(update, float(self._piece.rates[0, 0]), schedule)


def _read_only(rows: np.ndarray) -> np.ndarray:
    view = rows.view()
    view.flags.writeable = False
    return view
