"""The one training loop: cuts the epochs into pieces, and runs each on an engine.

A piece is about 50 ms of work: thousands of epochs of a problem with four samples, or a part of
one epoch of a large one. Between pieces Python looks at the losses, the stopping rule,
the progress bar and Ctrl-C. How the epochs are cut changes no bit of the result: when
training has to end inside a piece, the piece is taken back and run again up to that epoch.
"""

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.engines import Engine, Piece, Plan, Samples, State
from fastnn.errors import TrainingDivergedError
from fastnn.history import History
from fastnn.interrupts import remember_interrupt
from fastnn.mapped import release_pages
from fastnn.progress import TrainingBar
from fastnn.stopping import EarlyStopping, StopRule

#: Seconds of work in a piece, and the most row numbers that a piece may hold.
PIECE_SECONDS = 0.05
_MOST_ORDERED_ROWS = 1 << 22
#: A cut within an epoch comes after a whole number of batches and of this many rows, or
#: the next such number of batches.
_GRAIN = 64


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


@dataclass
class _Snapshot:
    """Where training stands at the end of an epoch or a piece: enough to come back to it."""

    state: State
    random: Any

    @classmethod
    def of(cls, state: State, rng: np.random.Generator) -> "_Snapshot":
        return cls(state.copy(), rng.bit_generator.state)

    def restore(self, state: State, rng: np.random.Generator) -> None:
        state.restore(self.state)
        rng.bit_generator.state = self.random


class _Pace:
    """How many rows make a piece, from how long the last one took."""

    def __init__(self) -> None:
        self.rows = _GRAIN

    def took(self, rows: int, seconds: float) -> None:
        wanted = rows * PIECE_SECONDS / max(seconds, 1e-7)
        self.rows = int(max(_GRAIN, min(wanted, 64 * self.rows)))


class _Run:
    """One call of ``fit``: changes *state* in place, draws from *rng*, fills a history."""

    def __init__(self, job: Job, state: State, rng: np.random.Generator):
        self.job = job
        self.state = state
        self.rng = rng
        self.history = History()
        self._n = len(job.samples)
        self._trainer = job.engine.trainer(job.architecture, job.samples, job.plan)
        self._evaluate = (
            job.engine.evaluator(job.architecture, job.validation) if job.validation else None
        )
        self._rule = StopRule(job.early_stopping) if job.early_stopping else None
        self._best: tuple[_Snapshot, int] | None = (
            None  # a state, and how many epochs on is the best
        )
        self._pace = _Pace()
        self._part: Piece | None = None  # the last piece, if it ended within an epoch
        self._epoch_start = _Snapshot.of(state, rng)  # where the piece, or its epoch, began

    def train(self) -> History:
        """Run all the epochs, or until something ends training."""
        started = time.perf_counter()
        bar = TrainingBar(self.job.progress, self.job.epochs, self._n)
        # Overflow is reported as divergence, not as a warning.
        with np.errstate(all="ignore"), remember_interrupt() as interrupted, bar:
            while self.history.epochs < self.job.epochs:
                if self._run_next_piece():
                    self.history.stop_reason = "early stopping"
                    break
                if interrupted():
                    self.history.stop_reason = "interrupted"
                    break
                self._show(bar)
            self._restore_best()
            self._show(bar)
        self.history.seconds = time.perf_counter() - started
        return self.history

    def _run_next_piece(self) -> bool:
        """Run one piece and take in its losses. True if the stopping rule ends training."""
        before = _Snapshot.of(self.state, self.rng)
        if self._part is None:
            self._epoch_start = before
        piece = self._next_piece()
        started = time.perf_counter()
        try:
            val_losses = self._run(piece)
        except BaseException:
            before.restore(self.state, self.rng)
            raise
        release_pages(self.job.samples.X)
        rows = len(piece.rates) * (piece.stop - piece.start)
        self._pace.took(rows, time.perf_counter() - started)
        self._part = piece if piece.stop < self._n else None
        sums = piece.loss_sums + piece.penalty_sums
        return self._take_in(piece, sums / self._loss_divisor(), val_losses)

    def _next_piece(self) -> Piece:
        """As many whole epochs as fit the pace, or else the next part of an epoch."""
        epochs = min(self._pace.rows // self._n, self.job.epochs - self.history.epochs)
        if self._part is None and epochs > 0:
            return self._whole_epochs(min(epochs, max(1, _MOST_ORDERED_ROWS // self._n)))
        last = self._part or replace(self._whole_epochs(1), stop=0)
        batch = self.job.plan.batch_size
        grain = batch * -(-_GRAIN // batch)
        rows = grain * max(1, self._pace.rows // grain)
        return replace(last, start=last.stop, stop=min(last.stop + rows, self._n))

    def _whole_epochs(self, epochs: int) -> Piece:
        rates = np.full((epochs, 1), self.job.plan.optimizer.learning_rate)
        return Piece.of_epochs(rates, self._draw_order(epochs), self._n)

    def _draw_order(self, epochs: int) -> np.ndarray:
        """The order of the rows in each epoch: the same draws, however many at a time."""
        if not self.job.shuffle or self.job.plan.batch_size >= self._n:
            return np.empty((0, self._n), np.int64)
        in_order = np.tile(np.arange(self._n, dtype=np.int64), (epochs, 1))
        return self.rng.permuted(in_order, axis=1, out=in_order)

    def _run(self, piece: Piece) -> np.ndarray:
        """Run *piece*; the loss on the validation data after each epoch that it completes."""
        if self._evaluate is None:
            self._trainer.run(self.state, piece)
            return np.empty(0)
        scale = self.job.architecture.gradient_scale(len(self.job.validation or ()))
        val_losses = []
        for e in range(len(piece.rates)):
            one = slice(e, e + 1)
            epoch = replace(
                piece,
                rates=piece.rates[one],
                order=piece.order[one],
                loss_sums=piece.loss_sums[one],
                penalty_sums=piece.penalty_sums[one],
            )
            self._trainer.run(self.state, epoch)
            if piece.stop == self._n:
                val_losses.append(self._evaluate(self.state.parameters) * scale)
        return np.array(val_losses)

    def _loss_divisor(self) -> float:
        """What an epoch's sum of sample losses is divided by."""
        n_batches = -(-self._n // self.job.plan.batch_size)
        return self._n if self.job.architecture.reduction == "mean" else n_batches

    def _take_in(self, piece: Piece, losses: np.ndarray, val_losses: np.ndarray) -> bool:
        """Write the epochs that *piece* completed into the history. True if training ends there.

        Raises TrainingDivergedError, back at the end of the last epoch in which all was well.
        """
        well = np.isfinite(losses)
        if val_losses.size:
            well &= np.isfinite(val_losses)
        n_well = len(well) if well.all() else int(well.argmin())
        completed = n_well if self._part is None else 0
        first = self.history.epochs
        stops = False
        if self._rule is not None:
            completed, stops = self._follow_rule(
                piece, self._rule, losses[:completed], val_losses[:completed]
            )
        self.history.loss += losses[:completed].tolist()
        self.history.val_loss += val_losses[:completed].tolist()
        if stops and completed < len(losses):
            self._go_back(completed)
        if not (stops or well.all()) or not np.isfinite(self.state.parameters).all():
            kept = self._go_back_to_finite(self.history.epochs - first)
            del self.history.loss[first + kept :], self.history.val_loss[first + kept :]
            raise TrainingDivergedError(
                self.history.epochs + 1, self.job.plan.optimizer.learning_rate
            )
        return stops

    def _follow_rule(
        self, piece: Piece, rule: StopRule, losses: np.ndarray, val_losses: np.ndarray
    ) -> tuple[int, bool]:
        """Show the rule the epochs of *piece*: how many count, and whether it says stop."""
        best_before = rule.best_epoch
        monitored = losses if rule.settings.monitor == "loss" else val_losses
        done, stops = 0, False
        for value in monitored.tolist():
            done += 1
            stops = rule.says_stop(value)
            if stops:
                break
        if rule.best_epoch > best_before:
            self.history.best_epoch = rule.best_epoch
            if piece.start == 0:
                self._best = (self._epoch_start, rule.best_epoch - self.history.epochs)
            else:  # the epoch was run in parts and ends here
                self._best = (_Snapshot.of(self.state, self.rng), 0)
        return done, stops

    def _go_back(self, epochs: int, start: _Snapshot | None = None) -> None:
        """Return to *start*, by default where the last piece began, and run *epochs* from there."""
        (start or self._epoch_start).restore(self.state, self.rng)
        if epochs > 0:
            self._trainer.run(self.state, self._whole_epochs(epochs))

    def _go_back_to_finite(self, most: int) -> int:
        """Go back to the latest epoch, at most *most*, with finite parameters; return which.

        By bisection: parameters that are not finite never become so again.
        """
        finite, not_finite, epochs = 0, most + 1, most
        while not_finite - finite > 1:
            self._go_back(epochs)
            if np.isfinite(self.state.parameters).all():
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
        bar.show(
            history.epochs + part,
            history.loss[-1] if history.loss else None,
            history.val_loss[-1] if history.val_loss else None,
        )


def train(job: Job, state: State, rng: np.random.Generator) -> History:
    """Train *state* in place.

    Raises
    ------
    TrainingDivergedError
        If a loss or a parameter is no longer finite.
    """
    return _Run(job, state, rng).train()
