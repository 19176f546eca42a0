"""The one training loop: cuts the epochs into pieces, and runs each on an engine.

A piece is about 50 ms of work: thousands of epochs of a problem with four samples, or a part of
one epoch of a large one. Between pieces Python looks at the losses, the stopping rule,
the progress bar and Ctrl-C. How the epochs are cut changes no bit of the result: when
training has to end inside a piece, the piece is taken back and run again up to that epoch.
"""

import copy
import sys
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.callbacks import EpochEnd
from fastnn.clock import rates_of_piece
from fastnn.engines import Engine, Piece, Plan, Samples, State, get_engine
from fastnn.errors import TrainingDivergedError
from fastnn.history import History
from fastnn.interrupts import Interrupted, Interrupts, remember_interrupt
from fastnn.mapped import release_pages, rows_between_releases
from fastnn.metrics import Metric
from fastnn.progress import TrainingBar
from fastnn.schedules import Schedule
from fastnn.scoring import Scores
from fastnn.stopping import EarlyStopping
from fastnn.watching import Course, Watch, check_monitors

#: Seconds of work in a piece, and the most row numbers that a piece may hold.
PIECE_SECONDS = 0.05
_MOST_ORDERED_ROWS = 1 << 22
#: A cut within an epoch comes after a whole number of batches and of this many rows, or
#: the next such number of batches.
GRAIN = 64
#: Work that may take so many seconds, or so many row numbers to shuffle, is too long for Ctrl-C
#: to wait for.
LONG_SECONDS = 0.07
_MANY_ROWS = 1_000_000


@dataclass(frozen=True)
class Job:
    """What ``fit`` was asked for, validated."""

    architecture: Architecture
    engine: Engine
    samples: Samples
    validation: Samples | None
    plan: Plan
    epochs: int
    shuffle: bool
    early_stopping: EarlyStopping | None
    progress: bool
    metrics: tuple[Metric, ...] = ()
    callbacks: tuple[EpochEnd, ...] = ()

    def __post_init__(self) -> None:
        check_monitors(self.early_stopping, self.learning_rate, self.scores.names)

    @property
    def learning_rate(self) -> float | Schedule:
        """The optimiser's."""
        return self.plan.optimizer.learning_rate

    @property
    def one_by_one(self) -> bool:
        """Whether functions of the user's come after each epoch: only after those that count."""
        return bool(self.callbacks) or any(metric.of_user for metric in self.metrics)

    @property
    def scores(self) -> Scores:
        """What is computed after each epoch."""
        return Scores(self.architecture, self.engine, self.samples, self.validation, self.metrics)


@dataclass
class _Snapshot:
    """Where training stands at the end of an epoch or a piece: enough to come back to it."""

    state: State
    random: Any
    epochs: int  # completed

    @classmethod
    def of(cls, state: State, rng: np.random.Generator, epochs: int) -> "_Snapshot":
        return cls(state.copy(), rng.bit_generator.state, epochs)

    def restore(self, state: State, rng: np.random.Generator) -> None:
        state.restore(self.state)
        rng.bit_generator.state = self.random


class Pace:
    """How many rows make a piece, at most *most*, from how long the last one took."""

    def __init__(self, row_seconds: float, most: int | None = None) -> None:
        self._most = most or sys.maxsize
        self.rows = min(max(int(PIECE_SECONDS / row_seconds), GRAIN), self._most)

    def took(self, rows: int, seconds: float) -> None:
        """Take in how long a piece took, or a part of one."""
        wanted = rows * PIECE_SECONDS / max(seconds, 1e-7)
        self.rows = int(max(1, min(wanted, 64 * self.rows, self._most)))


class _Run:
    """One call of ``fit``: changes *state* in place, draws from *rng*, fills *history*."""

    def __init__(self, job: Job, state: State, rng: np.random.Generator, history: History):
        self.job = job
        self.state = state
        self.rng = rng
        self.history = history
        self._n = len(job.samples)
        self._trainer = job.engine.trainer(
            job.architecture, job.samples.for_loss(job.architecture), job.plan
        )
        scores = job.scores
        self._score_names = scores.names
        batch = job.plan.batch_size
        self._grain = batch * -(-GRAIN // batch)  # rows of a part of an epoch, but for the last
        self._long_part = takes_long(job, min(self._grain, self._n), batch)
        self._long_scores = takes_long(job, len(scores.data), len(scores.data))
        self._scorer = scores.ready() if scores.names else None
        self._watch = Watch(job.early_stopping, job.learning_rate, scores.names)
        # A state, and how many epochs on is the best.
        self._best: tuple[_Snapshot, int] | None = None
        self._pace = Pace(
            job.engine.row_seconds(job.architecture, job.plan),
            rows_between_releases(job.samples.X, job.shuffle),
        )
        self._part: Piece | None = None  # the last piece, if it ended within an epoch
        self._epoch_start: _Snapshot  # where the piece, or its epoch, began
        self._interrupts = Interrupts(listening=False)

    def train(self) -> History:
        """Run all the epochs, or until something ends training."""
        self._started = time.perf_counter()
        self.history.stop_reason = "running"
        bar = TrainingBar(self.job.progress, self.job.epochs, self._n)
        try:
            with remember_interrupt() as self._interrupts, bar:
                self.history.stop_reason = self._run_epochs(bar)
                self._restore_best()
                self._show(bar)
        except BaseException as error:
            self.history.stop_reason = _reason_after(error)
            raise
        finally:
            self.history.seconds = time.perf_counter() - self._started
        return self.history

    def _run_epochs(self, bar: TrainingBar) -> str:
        """Run pieces until training ends; why it ends."""
        history, reason = self.history, None
        while history.epochs < self.job.epochs and reason is None:
            epochs = history.epochs
            try:
                reason = self._run_next_piece()
                history.seconds = time.perf_counter() - self._started
                if self.job.callbacks and history.epochs > epochs:
                    reason = self._call_back() or reason
            except Interrupted:
                return "interrupted"
            self._show(bar)
            reason = reason or self._reason_from_outside()
        return reason or "completed"

    def _reason_from_outside(self) -> str | None:
        """Why training ends now though the epochs themselves give no reason."""
        rule = self.job.early_stopping
        if self._interrupts():
            return "interrupted"
        if rule is not None and rule.max_seconds is not None:
            return "time limit" if self.history.seconds >= rule.max_seconds else None
        return None

    def _call_back(self) -> str | None:
        """Call the callbacks with the epoch that has just ended."""
        with self._interrupts.breakable():
            epoch = self.history.epochs
            stops = [callback(epoch, self.history.logs()) for callback in self.job.callbacks]
        return "callback" if any(stops) else None

    def _run_next_piece(self) -> str | None:
        """Run one piece and take in its losses. Why training ends with it, or None."""
        before = self._snapshot()
        if self._part is None:
            self._epoch_start = before
        try:
            with self._interrupts.breakable():
                piece = self._next_piece()
                started = time.perf_counter()
                scores = self._run(piece)
        except BaseException:
            before.restore(self.state, self.rng)
            raise
        release_pages(self.job.samples.X)
        rows = len(piece.rates) * (piece.stop - piece.start)
        self._pace.took(rows, time.perf_counter() - started)
        self._part = piece if piece.stop < self._n else None
        return self._take_in(piece, self._course(piece, scores))

    def _next_piece(self) -> Piece:
        """As many whole epochs as fit the pace, or else the next part of an epoch."""
        epochs = min(self._pace.rows // self._n, self.job.epochs - self.history.epochs)
        if self.job.one_by_one:
            epochs = min(epochs, 1)
        if self._part is None and epochs > 0:
            return self._whole_epochs(min(epochs, max(1, _MOST_ORDERED_ROWS // self._n)))
        last = self._part or self._nothing_of_an_epoch()
        rows = self._grain * max(1, self._pace.rows // self._grain)
        stop = min(last.stop + rows, self._n)
        rates = self._rates(1, stop - last.stop)
        return replace(last, rates=rates, start=last.stop, stop=stop)

    def _whole_epochs(self, epochs: int) -> Piece:
        rates = self._rates(epochs, self._n)
        return Piece.of_epochs(rates, self._draw_order(epochs), self._n)

    def _nothing_of_an_epoch(self) -> Piece:
        """The empty beginning of the next epoch."""
        return replace(Piece.of_epochs(np.empty((1, 1)), self._draw_order(1), self._n), stop=0)

    def _rates(self, epochs: int, rows: int) -> np.ndarray:
        """The learning rates of the next piece, of so many rows of each of the epochs."""
        updates = -(-rows // self.job.plan.batch_size)
        return rates_of_piece(self.job.learning_rate, self.state.clock, epochs, updates)

    def _draw_order(self, epochs: int) -> np.ndarray:
        """The order of the rows in each epoch: the same draws, however many at a time."""
        if not self.job.shuffle or self.job.plan.batch_size >= self._n:
            return np.empty((0, self._n), np.int64)
        if epochs * self._n < _MANY_ROWS or not self._interrupts.listening:
            return _permuted(self.rng, epochs, self._n)
        rng = copy.deepcopy(self.rng)  # this may be given up
        order: np.ndarray = self._interrupts.wait_for(_permuted, rng, epochs, self._n)
        self.rng.bit_generator.state = rng.bit_generator.state
        return order

    def _run(self, piece: Piece) -> np.ndarray:
        """Run *piece*; the scores after each epoch that it completes, shape (epochs, scores)."""
        if self._scorer is None:
            self._advance(piece)
            return np.empty((0, 0))
        scores = []
        for e in range(len(piece.rates)):
            self._advance(piece.epoch(e))
            if piece.stop == self._n:
                scores.append(self._score_epoch(piece, e))
        return np.array(scores).reshape(len(scores), len(self._score_names))

    def _score_epoch(self, piece: Piece, e: int) -> list[float]:
        """The scores after epoch *e* of *piece*; it has diverged if there are none."""
        nothing = [np.nan] * len(self._score_names)
        if not (np.isfinite(piece.loss_sums[e]) and self.state.is_finite()):
            return nothing
        scores = self._score()
        if scores is None:
            piece.loss_sums[e] = np.nan
            return nothing
        return scores

    def _advance(self, piece: Piece) -> None:
        """Run *piece* on the engine, and count its steps."""
        if self._long_part and self._interrupts.listening:
            state = self.state.copy()  # what is given up must not change the network later
            self._interrupts.wait_for(self._trainer.run, state, piece)
            self.state.restore(state)
        else:
            self._trainer.run(self.state, piece)
        updates = -(-(piece.stop - piece.start) // self.job.plan.batch_size)
        self.state.clock.steps[0] += len(piece.rates) * updates
        if piece.stop == self._n:
            self.state.clock.steps[1] += len(piece.rates)

    def _score(self) -> list[float] | None:
        assert self._scorer is not None
        if self._long_scores and self._interrupts.listening:
            values: list[float] | None = self._interrupts.wait_for(
                self._scorer.values, self.state.parameters.copy()
            )
            return values
        return self._scorer.values(self.state.parameters)

    def _course(self, piece: Piece, scores: np.ndarray) -> Course:
        """The values of each epoch of *piece* by name."""
        losses = (piece.loss_sums + piece.penalty_sums) / self._loss_divisor()
        course = {"loss": losses, "learning_rate": piece.rates[:, -1]}
        course.update(zip(self._score_names, scores.T, strict=False))
        return course

    def _loss_divisor(self) -> float:
        """What an epoch's sum of sample losses is divided by."""
        n_batches = -(-self._n // self.job.plan.batch_size)
        return self._n if self.job.architecture.reduction == "mean" else n_batches

    def _take_in(self, piece: Piece, course: Course) -> str | None:
        """Write the epochs that *piece* completed into the history. Why training ends, or None.

        Raises TrainingDivergedError, back at the end of the last epoch in which all was well.
        """
        well = np.isfinite(course["loss"])
        if "val_loss" in course and self._part is None:
            well &= np.isfinite(course["val_loss"])
        all_well = bool(well.all())
        n_well = len(well) if all_well else int(well.argmin())
        first, best_epoch = self.history.epochs, self.history.best_epoch
        ended = n_well if self._part is None else 0
        verdict = self._watch.look(course, ended, self.state.clock.plateau)
        self._note_best(piece, first, verdict.epochs)
        self.history.append(course, verdict.epochs)
        if verdict.spoke and verdict.epochs < len(well):
            self._go_back(verdict.epochs)
        if not (verdict.spoke or all_well) or not self.state.is_finite():
            kept = self._go_back_to_finite(self.history.epochs - first)
            self.history.cut(first + kept)
            if (self.history.best_epoch or 0) > first + kept:
                self.history.best_epoch = best_epoch
            raise self._divergence(piece.rates[min(kept, len(well) - 1)].max())
        return verdict.reason

    def _divergence(self, rate: float) -> TrainingDivergedError:
        """The error for the epoch after those in the history."""
        schedule = self.job.learning_rate
        return TrainingDivergedError(
            self.history.epochs + 1,
            float(rate),
            schedule if isinstance(schedule, Schedule) else None,
        )

    def _note_best(self, piece: Piece, first: int, epochs: int) -> None:
        """Remember how to come back to the best epoch, if it is among the last *epochs*."""
        best = self._watch.best_epoch
        if best is None or best <= first:
            return
        self.history.best_epoch = best
        if best - first == len(piece.rates):  # the piece ends with it
            self._best = (self._snapshot(best), 0)
        else:
            self._best = (self._epoch_start, best - first)

    def _snapshot(self, epochs: int | None = None) -> _Snapshot:
        """The present state; *epochs* are completed, by default those of the history."""
        return _Snapshot.of(self.state, self.rng, self.history.epochs if epochs is None else epochs)

    def _go_back(self, epochs: int, start: _Snapshot | None = None) -> None:
        """Return to *start*, by default where the last piece began, and run *epochs* from there.

        They run with the rates that they ran with before: the state has all that rates depend on.
        """
        start = start or self._epoch_start
        self._interrupts.wait_for_orphan()
        start.restore(self.state, self.rng)
        if epochs > 0:
            self._advance(self._whole_epochs(epochs))
            again = range(start.epochs, start.epochs + epochs)
            self._watch.remember_again(self.history, again, self.state.clock.plateau)

    def _go_back_to_finite(self, most: int) -> int:
        """Go back to the latest epoch, at most *most*, with finite parameters; return which.

        By bisection: parameters that are not finite never become so again.
        """
        finite, not_finite, epochs = 0, most + 1, most
        while not_finite - finite > 1:
            self._go_back(epochs)
            if self.state.is_finite():
                finite = epochs
            else:
                not_finite = epochs
            epochs = (finite + not_finite) // 2
        self._go_back(finite)
        return finite

    def _restore_best(self) -> None:
        settings = self.job.early_stopping
        if settings is not None and settings.restore_best and self._best is not None:
            random = self.rng.bit_generator.state
            start, epochs = self._best
            self._go_back(epochs, start)
            self.rng.bit_generator.state = random

    def _show(self, bar: TrainingBar) -> None:
        history = self.history
        part = self._part.stop / self._n if self._part is not None else 0.0
        bar.show(history.epochs + part, history)


def takes_long(job: Job, rows: int, batch_size: int) -> bool:
    """Whether work on so many rows may keep Ctrl-C waiting; pure Python may be left anywhere."""
    plan = replace(job.plan, batch_size=batch_size)
    seconds = rows * job.engine.row_seconds(job.architecture, plan)
    return seconds >= LONG_SECONDS and job.engine is not get_engine("python")


def _permuted(rng: np.random.Generator, epochs: int, n: int) -> np.ndarray:
    """Random orders of n rows, shape (epochs, n)."""
    in_order = np.tile(np.arange(n, dtype=np.int64), (epochs, 1))
    return rng.permuted(in_order, axis=1, out=in_order)


def _reason_after(error: BaseException) -> str:
    """What the history says of training that ended with an exception."""
    if isinstance(error, TrainingDivergedError):
        return "diverged"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "error"


def train(
    job: Job, state: State, rng: np.random.Generator, history: History | None = None
) -> History:
    """Train *state* in place; fill *history*, or a new one.

    Raises
    ------
    TrainingDivergedError
        If a loss or a parameter is no longer finite.
    """
    return _Run(job, state, rng, History() if history is None else history).train()
