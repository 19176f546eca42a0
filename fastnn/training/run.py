"""A run of training: pieces on an engine, and the way back inside one.

When training has to end inside a piece, by a rule or by a divergence, the piece is taken back and
run again up to that epoch: so how the epochs are cut changes no bit of the result.
"""

from __future__ import annotations

import copy
import sys
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastnn.arrays import all_finite
from fastnn.clock import rates_of_piece
from fastnn.contract import Piece, Plan, Samples, State
from fastnn.errors import TrainingDivergedError
from fastnn.history import History
from fastnn.mapped import release_pages, rows_between_releases
from fastnn.schedules import Schedule
from fastnn.training import cuts
from fastnn.training.interrupts import Interrupted
from fastnn.training.job import Job
from fastnn.training.scoring import Scorer
from fastnn.training.session import Session
from fastnn.training.watching import Course, Watch

#: So many row numbers to shuffle are too many for Ctrl-C to wait for.
MANY_ROWS = 1_000_000
#: No epoch is marked, see `fastnn.engines.Trainer`.
NO_MARKS = np.empty(0, np.int64)


@dataclass
class _Snapshot:
    """Where training stands at the end of an epoch or a piece: enough to come back to it."""

    state: State
    random: Any
    epochs: int  # completed

    @classmethod
    def of(cls, state: State, rng: np.random.Generator, epochs: int) -> _Snapshot:
        return cls(state.copy(), rng.bit_generator.state, epochs)

    def restore(self, state: State, rng: np.random.Generator) -> None:
        state.restore(self.state)
        rng.bit_generator.state = self.random


@dataclass(frozen=True)
class _Looks:
    """What was seen after epochs of a piece.

    *scores*, a row for each epoch, and the parameters to keep (k, P), from after these *epochs*.
    """

    scores: np.ndarray
    epochs: list[int]
    parameters: np.ndarray


#: After epochs at which nobody looks.
_NOTHING_SEEN = _Looks(np.empty((0, 0)), [], np.empty((0, 0)))


class Run:
    """Changes *state* in place, draws from *rng*, fills the session's history.

    `take` says which samples the epochs are over; then `train` runs some.
    """

    def __init__(self, job: Job, state: State, rng: np.random.Generator):
        self.job = job
        self.state = state
        self.rng = rng
        scores = job.scores
        self._score_names = scores.names
        self._scorer = Scorer(scores) if scores.names else None
        self._watch = Watch(job.early_stopping, job.learning_rate, scores.names)
        # A state, and how many epochs on is the best.
        self._best: tuple[_Snapshot, int] | None = None
        self._plan: Plan | None = None
        self._epoch_start: _Snapshot  # where the piece, or its epoch, began

    def take(self, samples: Samples) -> None:
        """Train with these samples from now on. What is needed is compiled here."""
        job, n = self.job, len(samples)
        self._raw, self._samples, self._n = samples, samples.for_loss(job.architecture), n
        plan = job.plan(samples)
        if self._plan != plan:
            self._plan, self._batch_size = plan, plan.batch_size
            self._trainer = job.engine.trainer(job.architecture, plan)
            self._pace = cuts.Pace(job.engine.row_seconds(job.architecture, plan))
        self._pace.limit(rows_between_releases(samples.X, job.shuffle))
        self._pieces = cuts.Pieces(self._pace, n, plan.batch_size, plan.window)
        self._shuffles = job.shuffle and self._batch_size < n
        self._shuffle = job.engine.shuffler((job.epochs or 1) * n if self._shuffles else 0)
        self._long_part = job.takes_long(plan, min(self._pieces.grain, n))
        if self._scorer is not None:
            scored = len(job.validation or samples)
            self._long_scores = job.takes_long(replace(plan, batch_size=scored), scored)
        self._make_ready_to_look()

    def _make_ready_to_look(self) -> None:
        """Say how many epochs are looked at at once, and compile what that needs."""
        self._at_once = sys.maxsize
        if self._scorer is not None:
            slow = self._long_part or self._long_scores
            self._at_once = 1 if slow else self._scorer.at_once(self._raw)
        if (
            self._at_once > 1
            and self._pace.rows > self._n
            and (self._scorer is not None or self.job.record is not None)
        ):
            nothing = Piece.of_epochs(np.ones((0, 1)), np.empty((0, self._n), np.int64), self._n)
            state, empty = copy.deepcopy(self.state), self.state.parameters[np.newaxis][:0]
            self._trainer.run_recorded(state, self._samples, nothing, NO_MARKS, empty)
            if self._scorer is not None:
                self._scorer.of_each(empty, self._raw)

    def let_go(self) -> None:
        """Hold the samples no longer: memory is free for the next run at once."""
        del self._raw, self._samples

    def end(self, session: Session) -> None:
        """Train no more; the state is that of the best epoch, if that is asked for."""
        self._restore_best()
        interrupted = session.interrupts() or session.history.stop_reason == "interrupted"
        if not interrupted:  # work that was given up may still use the trainer
            self._trainer.put_back()

    def train(self, session: Session, until: int) -> str | None:
        """Run epochs *until* there are so many; why training ends before that, or None."""
        self._interrupts, self._history = session.interrupts, session.history
        reason = None
        while self._history.epochs < until and reason is None:
            epochs = self._history.epochs
            try:
                reason = self._run_next_piece(until)
                session.note_time()
                if self._history.epochs > epochs:
                    reason = session.call_back() or reason
            except Interrupted:
                return "interrupted"
            part = self._pieces.part
            session.show(part.stop / self._n if part is not None else 0.0)
            reason = reason or session.reason_from_outside()
        return reason

    def _run_next_piece(self, until: int) -> str | None:
        """Run one piece and take in its losses. Why training ends with it, or None."""
        before = self._snapshot()
        if self._pieces.part is None:
            self._epoch_start = before
        try:
            with self._interrupts.breakable():
                piece = self._next_piece(until)
                started = time.perf_counter()
                looks = self._run(piece)
        except BaseException:
            before.restore(self.state, self.rng)
            raise
        release_pages(self._raw.X)
        self._pieces.took(piece, time.perf_counter() - started)
        return self._take_in(piece, looks)

    def _next_piece(self, until: int) -> Piece:
        epochs = self._history.epochs
        return self._pieces.next_piece(self, self.job.stretch(epochs, until - epochs))

    def rates(self, epochs: int, updates: int) -> np.ndarray:
        """The learning rates of the next piece."""
        return rates_of_piece(self.job.learning_rate, self.state.clock, epochs, updates)

    def draw_order(self, epochs: int) -> np.ndarray:
        """The order of the rows in each epoch: the same draws, however many at a time."""
        if not self._shuffles:
            return np.empty((0, self._n), np.int64)
        if epochs * self._n < MANY_ROWS or not self._interrupts.listening:
            return self._shuffled(self.rng, epochs)
        rng = copy.deepcopy(self.rng)  # this may be given up
        order: np.ndarray = self._interrupts.wait_for(self._shuffled, rng, epochs)
        self.rng.bit_generator.state = rng.bit_generator.state
        return order

    def _shuffled(self, rng: np.random.Generator, epochs: int) -> np.ndarray:
        """Random orders of the rows, shape (epochs, n)."""
        orders = np.empty((epochs, self._n), np.int64)
        self._shuffle([rng], orders[:, np.newaxis])
        return orders

    def _run(self, piece: Piece) -> _Looks:
        """Run *piece*, and look at the epochs that it completes, some of them at a time."""
        if self._scorer is None and self.job.record is None:
            self._advance(piece)
            return _NOTHING_SEEN
        before, epochs = self._history.epochs + 1, len(piece.rates)
        scores: list[np.ndarray] = []
        kept: list[np.ndarray] = []
        for first in range(0, epochs, self._at_once):
            part = piece.stretch(first, min(first + self._at_once, epochs))
            if piece.stop < self._n:
                self._advance(part)
                break
            stop = before + first + len(part.rates)
            due = np.array(self.job.recorded_among(before + first, stop), np.int64) - before - first
            if self._scorer is None:
                kept.append(self._advance(part, due + 1))
                continue
            vectors = self._advance(part, np.arange(1, len(part.rates) + 1))
            scores.append(self._score_epochs(part, vectors))
            kept.append(vectors[due])
        due_epochs = self.job.recorded_among(before, before + epochs) if kept else ()
        none = np.empty((0, len(self.state.parameters)), self.state.parameters.dtype)
        table = np.concatenate(scores) if scores else np.empty((0, len(self._score_names)))
        return _Looks(table, list(due_epochs), np.concatenate([none, *kept]))

    def _score_epochs(self, part: Piece, vectors: np.ndarray) -> np.ndarray:
        """The scores after each epoch of *part*; one has diverged if there are none.

        Shape (epochs, scores). *vectors* are the parameters after each of them.
        """
        assert self._scorer is not None
        if len(vectors) > 1:
            finite = np.isfinite(part.loss_sums) & np.isfinite(vectors).all(axis=1)
            table, well = self._scorer.of_each(vectors, self._raw)
        else:
            finite = np.array([np.isfinite(part.loss_sums[0]) and self.state.is_finite()])
            scores = self._score() if finite[0] else None
            table = np.array([scores or [np.nan] * len(self._score_names)])
            well = np.array([scores is not None])
        part.loss_sums[finite & ~well] = np.nan
        table[~(finite & well)] = np.nan
        return table

    def _advance(self, piece: Piece, marks: np.ndarray = NO_MARKS) -> np.ndarray:
        """Run *piece* on the engine, and count its steps.

        Returns the parameters after so many of its epochs as *marks* say, shape (k, P).
        """
        p = self.state.parameters
        records = np.empty((len(marks), len(p)), p.dtype)
        at_end = len(marks) > 0 and marks.tolist() == [len(piece.rates)]
        run: Any = self._trainer.run
        arguments: tuple[Any, ...] = (self._samples, piece)
        if len(marks) and not at_end:
            run, arguments = self._trainer.run_recorded, (*arguments, marks, records)
        if self._long_part and self._interrupts.listening:
            # What is given up must not change the network later.
            state = copy.deepcopy(self.state)
            self._interrupts.wait_for(run, state, *arguments)
            self.state.restore(state)
        else:
            run(self.state, *arguments)
        if at_end:
            records[0] = p
        updates = -(-(piece.stop - piece.start) // self._batch_size)
        self.state.clock.steps[0] += len(piece.rates) * updates
        if piece.stop == self._n:
            self.state.clock.steps[1] += len(piece.rates)
        return records

    def _score(self) -> list[float] | None:
        assert self._scorer is not None
        if self._long_scores and self._interrupts.listening:
            values: list[float] | None = self._interrupts.wait_for(
                self._scorer.values, self.state.parameters.copy(), self._raw
            )
            return values
        return self._scorer.values(self.state.parameters, self._raw)

    def _course(self, piece: Piece, scores: np.ndarray) -> Course:
        """The values of each epoch of *piece* by name."""
        losses = (piece.loss_sums + piece.penalty_sums) / self._loss_divisor()
        course = {"loss": losses, "learning_rate": piece.rates[:, -1]}
        course.update(zip(self._score_names, scores.T, strict=False))
        return course

    def _loss_divisor(self) -> float:
        """What an epoch's sum of sample losses is divided by."""
        n_batches = -(-self._n // self._batch_size)
        return self._n if self.job.architecture.reduction == "mean" else n_batches

    def _take_in(self, piece: Piece, looks: _Looks) -> str | None:
        """Write the epochs that *piece* completed into the history. Why training ends, or None.

        Raises TrainingDivergedError, back at the end of the last epoch in which all was well.
        """
        history, course = self._history, self._course(piece, looks.scores)
        losses = [course["loss"]]
        if "val_loss" in course and self._pieces.part is None:
            losses.append(course["val_loss"])
        n_epochs = n_well = len(losses[0])
        all_well = all(map(all_finite, losses))
        if not all_well:
            n_well = int(np.isfinite(losses).all(axis=0).argmin())
        first, best_epoch = history.epochs, history.best_epoch
        verdict = self._watch.look(
            course, n_well if self._pieces.part is None else 0, self.state.clock.plateau
        )
        self._note_best(piece, first, verdict.epochs)
        history.append(course, verdict.epochs)
        due = [epoch for epoch in looks.epochs if epoch <= history.epochs]
        history.keep(due, looks.parameters[: len(due)])
        if verdict.spoke and verdict.epochs < n_epochs:
            self._go_back(verdict.epochs)
        if not (verdict.spoke or all_well) or not self.state.is_finite():
            kept = self._go_back_to_finite(history.epochs - first)
            history.cut(first + kept)
            if (history.best_epoch or 0) > first + kept:
                history.best_epoch = best_epoch
            raise self._divergence(piece.rates[min(kept, n_epochs - 1)].max())
        return verdict.reason

    def _divergence(self, rate: float) -> TrainingDivergedError:
        """The error for the epoch after those in the history."""
        schedule = self.job.learning_rate
        return TrainingDivergedError(
            self._history.epochs + 1,
            float(rate),
            schedule if isinstance(schedule, Schedule) else None,
        )

    def _note_best(self, piece: Piece, first: int, epochs: int) -> None:
        """Remember how to come back to the best epoch, if it is among the last *epochs*."""
        best = self._watch.best_epoch
        if best is None or best <= first:
            return
        self._history.best_epoch = best
        if best - first == len(piece.rates):  # the piece ends with it
            self._best = (self._snapshot(best), 0)
        else:
            self._best = (self._epoch_start, best - first)

    def _snapshot(self, epochs: int | None = None) -> _Snapshot:
        """The present state; *epochs* are completed, by default those of the history."""
        completed = self._history.epochs if epochs is None else epochs
        return _Snapshot.of(self.state, self.rng, completed)

    def _go_back(self, epochs: int, start: _Snapshot | None = None) -> None:
        """Return to *start*, by default where the last piece began, and run *epochs* from there.

        They run with the rates that they ran with before: the state has all that rates depend on.
        """
        start = start or self._epoch_start
        self._interrupts.wait_for_orphan()
        start.restore(self.state, self.rng)
        if epochs > 0:
            self._advance(self._pieces.whole_epochs(self, epochs))
            again = range(start.epochs, start.epochs + epochs)
            self._watch.remember_again(self._history, again, self.state.clock.plateau)

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
        """Go back to the best epoch, if that is asked for."""
        settings = self.job.early_stopping
        if settings is not None and settings.restore_best and self._best is not None:
            random = self.rng.bit_generator.state
            start, epochs = self._best
            self._go_back(epochs, start)
            self.rng.bit_generator.state = random


def train(
    job: Job, samples: Samples, state: State, rng: np.random.Generator, history: History
) -> History:
    """Train *state* in place, and fill *history*.

    Raises
    ------
    TrainingDivergedError
        If a loss or a parameter is no longer finite.
    """
    assert job.epochs is not None
    run = Run(job, state, rng)
    run.take(samples)
    with Session.open(job, history, len(samples)) as session:
        history.stop_reason = run.train(session, job.epochs) or "completed"
        run.end(session)
        session.show()
    run.let_go()
    return history
