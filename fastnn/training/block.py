"""Networks that are trained together, by lanes: their pieces, and what becomes of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastnn.clock import Clock, rates_of_piece
from fastnn.contract import Numbers, Piece, Plan, Samples, Together
from fastnn.errors import TrainingDivergedError
from fastnn.history import History
from fastnn.schedules import Schedule
from fastnn.training import cuts
from fastnn.training.members import Member, Outcome, Work, numbers_of
from fastnn.training.watching import Course, Watch

#: The most numbers of rows that a piece's orders may hold.
MOST_ORDERED = 1 << 20

#: The most numbers of a block, in parameters, moments and outputs, that wait to be looked at.
MOST_KEPT = 1 << 18

#: For the first piece of a block: so many times as fast as what is said of its networks alone,
#: which is what a slow machine takes. Mostly they are faster still.
AT_LEAST_AS_FAST = 2

#: Takes a number of epochs that are done. True if training is to end.
Report = Callable[[float], bool]


class _Lane:
    """A network in training, and its number in the block; *watch* looks at its epochs."""

    __slots__ = ("best", "clock_of_best", "divergence", "history", "member", "number", "watch")

    def __init__(self, number: int, member: Member, looks: bool):
        self.number, self.member = number, member
        self.history = History()
        self.best: Numbers | None = None
        self.clock_of_best: Clock | None = None
        self.divergence: TrainingDivergedError | None = None
        self.watch: Watch | None = None
        if looks:
            job = member.job
            self.watch = Watch(job.early_stopping, job.learning_rate, job.scores.names)

    @property
    def rows(self) -> Any:
        """Of the data."""
        return slice(None) if self.member.rows is None else self.member.rows


@dataclass(frozen=True)
class _Looks:
    """What was seen after each epoch of a piece.

    Copies of all lanes, scores by name, and whether outputs and parameters are numbers, shapes
    (epochs, lanes).
    """

    copies: list[Any]
    scores: dict[str, np.ndarray]
    well: np.ndarray


class Block:
    """Networks whose epochs are run together.

    Networks that come to their end leave, and keep what they were there; those that diverge, what
    they were after the last epoch in which all was well. Where somebody looks at single epochs, a
    copy of all lanes is kept after each, until the piece is over.
    """

    def __init__(self, work: Work, report: Report):
        self._report = report
        members, first = work.members, work.members[0]
        self._job, self._data, self._architecture = first.job, first.data, first.architecture
        self._n = n = len(first.data) if first.rows is None else len(first.rows)
        plans = _plans(members, n)
        self._batch_size = plans[0].batch_size
        blocks = first.job.engine.blocks
        assert blocks is not None
        architectures = [member.architecture for member in members]
        self._trainer = blocks.block(list(zip(architectures, plans, strict=True)), work.lanes)
        self._trainer.put([numbers_of(member.state) for member in members])
        self._steps = np.array([member.state.clock.steps for member in members])
        self._plateaus = np.array([member.state.clock.plateau for member in members])
        self._looks = looks = first.job.looks_at_epochs
        self._lanes = [_Lane(k, member, looks) for k, member in enumerate(members)]
        rates: list[Any] = [member.job.learning_rate for member in members]
        self._constant_rates: np.ndarray | None = None
        if not any(isinstance(rate, Schedule) for rate in rates):
            self._constant_rates = np.zeros(work.lanes)
            self._constant_rates[: len(rates)] = rates
        samples = first.data.for_loss(first.architecture)
        self._samples = Together(
            samples.dense,
            samples.Y,
            self._stacked([member.rows for member in members], np.dtype(np.int64)),
            self._stacked([member.weights for member in members], first.architecture.dtype),
        )
        alone = first.job.engine.row_seconds(architectures[0], plans[0])
        pace = cuts.Pace(alone * len(members) / AT_LEAST_AS_FAST)
        if first.job.shuffle:
            pace.limit(MOST_ORDERED // work.lanes)
        self._pieces = cuts.Pieces(pace, n, self._batch_size)
        numbers = sum(member.job.epochs or 1 for member in members) * n
        self._shuffles = first.job.shuffle and self._batch_size < n
        self._shuffle = first.job.engine.shuffler(numbers if self._shuffles else 0)
        # Kept from piece to piece: to get such memory takes a third as long as to shuffle. Lanes in
        # which no network is learn on from what is there: it must always be row numbers.
        self._orders = np.zeros((0, work.lanes, n), np.int64)
        self._epochs = self._epochs_gone = 0
        self._seconds = 0.0
        self._outcomes: list[Outcome] = []

    def _stacked(self, rows: list[Any], dtype: Any) -> np.ndarray:
        """A row for each lane; rows of length 0 where there are none."""
        stacked = np.zeros((self._trainer.lanes, 0 if rows[0] is None else self._n), dtype)
        if rows[0] is not None:
            stacked[: len(rows)] = rows
        return stacked

    def train(self) -> list[Outcome]:
        """Run until all have left."""
        started = time.perf_counter()
        while self._lanes:
            if self._report(self._epochs_gone + self._epochs * len(self._lanes)):
                self._leave(self._lanes, "interrupted")
                break
            if self._pieces.part is None:
                self._remember()
            piece = self._pieces.next_piece(self, self._most_epochs())
            piece_started = time.perf_counter()
            looks = self._run(piece)
            now = time.perf_counter()
            self._pieces.took(piece, now - piece_started)
            self._seconds = now - started
            if looks is not None:
                self._look_at(piece, looks)
            else:
                self._take_in(piece)
        return self._outcomes

    def _run(self, piece: Piece) -> _Looks | None:
        """Run *piece*, and look at the epochs that it completes if anybody does."""
        if not self._looks or piece.stop < self._n:
            self._trainer.run(self._samples, piece)
            return None
        copies = []
        for e in range(len(piece.rates)):
            self._trainer.run(self._samples, piece.epoch(e))
            copies.append(self._trainer.copy())
        vectors = self._trainer.vectors(copies)
        scores, well = self._scores(vectors)
        return _Looks(copies, scores, well & self._trainer.finite(vectors))

    def _remember(self) -> None:
        """Take note of where the piece begins, or its epoch: enough to come back to it."""
        self._before = self._trainer.copy()
        self._clocks = self._steps.copy(), self._plateaus.copy()
        if self._job.shuffle:
            self._randoms = {
                lane.number: lane.member.rng.bit_generator.state for lane in self._lanes
            }

    def _most_epochs(self) -> int:
        """How many epochs may be run at once: one, where the next one's rate may depend on it."""
        if self._job.waits_for_plateau:
            return 1
        done, jobs = self._epochs, {id(k.member.job): k.member.job for k in self._lanes}.values()
        most = min(job.stretch(done, (job.epochs or 1) - done) for job in jobs)
        return min(most, self._at_once()) if self._looks else most

    def _at_once(self) -> int:
        """Epochs of which all that is looked at may be kept."""
        parameters, moments, _ = self._before
        numbers, job, outputs = parameters.size + moments.size, self._job, 0
        if job.scores.names:
            outputs = self._architecture.sizes[-1] if job.metrics else 1  # or losses
        numbers += self._trainer.lanes * len(job.validation or self._data) * outputs
        return max(1, MOST_KEPT // int(numbers))

    def rates(self, epochs: int, updates: int) -> np.ndarray:
        """The rates of the next piece by lanes; 0 in those that are empty."""
        if self._constant_rates is not None:
            return np.tile(self._constant_rates, (epochs, 1, 1))
        by_lane = [
            rates_of_piece(lane.member.job.learning_rate, self._clock(lane), epochs, updates)
            for lane in self._lanes
        ]
        columns = max(rates.shape[1] for rates in by_lane)
        rates = np.zeros((epochs, columns, self._trainer.lanes))
        for lane, own in zip(self._lanes, by_lane, strict=True):
            rates[..., lane.number] = own
        return rates

    def _clock(self, lane: _Lane) -> Clock:
        """The block's clock of a lane: what changes it changes the block's."""
        return Clock(self._steps[lane.number], self._plateaus[lane.number])

    def draw_order(self, epochs: int) -> np.ndarray:
        """The orders of the rows, by epochs and lanes; none if they are taken as they lie."""
        lanes, n = self._trainer.lanes, self._n
        if not self._shuffles:
            return np.empty((0, lanes, n), np.int64)
        if len(self._orders) < epochs:
            self._orders = np.zeros((epochs, lanes, n), np.int64)
        rngs: list[np.random.Generator | None] = [None] * lanes
        for lane in self._lanes:
            rngs[lane.number] = lane.member.rng
        self._shuffle(rngs, self._orders[:epochs])
        return self._orders[:epochs]

    def _take_in(self, piece: Piece) -> None:
        """Write the epochs that *piece* completed into the histories; let go whose time is over."""
        losses = self._losses(piece)
        well = np.isfinite(losses)
        well[-1] &= self._trainer.finite()[0]
        all_well = well.all(axis=0).tolist()
        diverged = [lane for lane in self._lanes if not all_well[lane.number]]
        if diverged:
            self._diverge(diverged, piece, losses)
        self._steps += self._steps_of(piece, len(piece.rates))
        if self._pieces.part is not None:
            return
        self._epochs += len(piece.rates)
        course = _course(piece, losses, {})
        for lane in self._lanes:
            lane.history.append(course, len(piece.rates), lane.number)
        self._leave([k for k in self._lanes if k.member.job.epochs == self._epochs], "completed")

    def _losses(self, piece: Piece) -> np.ndarray:
        """The mean losses of the epochs of *piece*, (epochs, lanes)."""
        n_batches = -(-self._n // self._batch_size)
        divisor = self._n if self._architecture.reduction == "mean" else n_batches
        losses: np.ndarray = (piece.loss_sums + piece.penalty_sums) / divisor
        return losses

    def _look_at(self, piece: Piece, looks: _Looks) -> None:
        """Show the rules the epochs of *piece*."""
        losses, copies = self._losses(piece), looks.copies
        well = np.isfinite(losses) & looks.well
        n_well = np.where(well.all(axis=0), len(well), well.argmin(axis=0)).tolist()
        course = _course(piece, losses, looks.scores)
        self._steps += self._steps_of(piece, len(copies))
        self._epochs += len(copies)
        for lane in list(self._lanes):
            self._look(lane, course, n_well[lane.number], piece, copies)

    def _steps_of(self, piece: Piece, epochs: int) -> tuple[int, int]:
        """Updates and epochs in so many epochs of *piece*."""
        updates = -(-(piece.stop - piece.start) // self._batch_size)
        return epochs * updates, epochs if piece.stop == self._n else 0

    def _look(
        self, lane: _Lane, course: Course, n_well: int, piece: Piece, copies: list[Any]
    ) -> None:
        """Show the rules those of a lane's epochs that are well; let it go if it ends with them."""
        job, history, watch, first = lane.member.job, lane.history, lane.watch, lane.history.epochs
        rule, k = job.early_stopping, lane.number
        assert watch is not None
        own = {name: values[:, k] for name, values in course.items()}
        verdict = watch.look(own, n_well, self._clock(lane).plateau)
        history.append(course, verdict.epochs, k)
        best = (watch.best_epoch or 0) - first
        if rule is not None and best > 0:
            history.best_epoch = watch.best_epoch
            if rule.restore_best:
                [lane.best] = self._trainer.get([k], copies[best - 1])
                lane.clock_of_best = self._clock_after(lane, best, piece)
        reason, epochs = verdict.reason, verdict.epochs
        if reason is None and epochs < len(copies):
            self._note_divergence(lane, piece.rates[epochs])
            reason = "diverged"
        elif reason is None and self._epochs == job.epochs:
            reason = "completed"
        elif reason is None and rule is not None and rule.max_seconds is not None:
            reason = "time limit" if self._seconds >= rule.max_seconds else None
        if reason is not None:
            if epochs < len(copies):
                self._set_back(lane, epochs, piece)
            self._leave([lane], reason, copies[epochs - 1] if epochs else self._before)

    def _clock_after(self, lane: _Lane, epochs: int, piece: Piece) -> Clock:
        """A lane's clock after so many epochs of *piece*, whose end is the present."""
        clock = self._clock(lane).copy()
        clock.steps -= self._steps_of(piece, len(piece.rates) - epochs)
        return clock

    def _leave(self, lanes: Sequence[_Lane], reason: str, copy: Any = None) -> None:
        """Have lanes leave with what they are in a copy, by default now."""
        if not lanes:
            return
        all_numbers = self._trainer.get([lane.number for lane in lanes], copy)
        steps, plateaus = self._steps.copy(), self._plateaus.copy()
        for lane, numbers in zip(lanes, all_numbers, strict=True):
            k, member, history = lane.number, lane.member, lane.history
            history.stop_reason, history.seconds = reason, self._seconds
            clock = Clock(steps[k], plateaus[k])
            if lane.best is not None and lane.clock_of_best is not None:
                numbers, clock = lane.best, lane.clock_of_best
            outcome = Outcome(member.number, numbers, clock, member.rng, history, lane.divergence)
            self._outcomes.append(outcome)
            self._epochs_gone += member.job.epochs or 0
        gone = {lane.number for lane in lanes}
        if self._constant_rates is not None:
            self._constant_rates[list(gone)] = 0
        self._lanes = [lane for lane in self._lanes if lane.number not in gone]

    def _diverge(self, lanes: list[_Lane], piece: Piece, losses: np.ndarray) -> None:
        """Have lanes leave with what they were before the epoch of *piece* that spoiled them.

        If it had several, they are run once more, one by one, from where it began.
        """
        after = self._trainer.copy()
        self._trainer.restore(self._before)
        for e in range(len(piece.rates) - 1):
            before = self._trainer.copy()
            self._trainer.run(self._samples, piece.epoch(e))
            well = np.isfinite(losses[e]) & self._trainer.finite()[0]
            spoiled = [lane for lane in lanes if not well[lane.number]]
            if spoiled:
                here = self._trainer.copy()
                self._trainer.restore(before)
                self._end_at(e, spoiled, piece, losses)
                self._trainer.restore(here)
                lanes = [lane for lane in lanes if lane not in spoiled]
        self._end_at(len(piece.rates) - 1, lanes, piece, losses)
        self._trainer.restore(after)

    def _end_at(self, epochs: int, lanes: list[_Lane], piece: Piece, losses: np.ndarray) -> None:
        """Have lanes leave after so many epochs of *piece*: there the trainer is."""
        for lane in lanes:
            self._set_back(lane, epochs, piece)
            course = _course(piece.stretch(0, epochs), losses[:epochs], {})
            lane.history.append(course, epochs, lane.number)
            self._note_divergence(lane, piece.rates[epochs])
        self._leave(lanes, "diverged")

    def _set_back(self, lane: _Lane, epochs: int, piece: Piece) -> None:
        """Have a lane's clock and generator be what they were after so many epochs of *piece*."""
        for now, before in zip((self._steps, self._plateaus), self._clocks, strict=True):
            now[lane.number] = before[lane.number]
        if self._job.shuffle:
            lane.member.rng.bit_generator.state = self._randoms[lane.number]
        if epochs:
            if piece.order.size:
                self._shuffle([lane.member.rng], np.empty((epochs, 1, self._n), np.int64))
            self._steps[lane.number] += self._steps_of(piece, epochs)

    def _note_divergence(self, lane: _Lane, rates: np.ndarray) -> None:
        """A lane diverged in the epoch after those in its history, which had these *rates*."""
        rate = lane.member.job.learning_rate
        lane.divergence = TrainingDivergedError(
            lane.history.epochs + 1,
            float(rates[:, lane.number].max()),
            rate if isinstance(rate, Schedule) else None,
        )
        lane.best = None

    def _scores(self, vectors: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """What is computed after epochs, (epochs, lanes): as `scoring.Scorer` does of a network.

        *vectors* are the parameters of all lanes after each. With it, whether the validation loss
        is finite and all outputs are numbers: a metric alone may be none.
        """
        job, held_out, trainer = self._job, self._job.validation, self._trainer
        shape = len(vectors), trainer.lanes
        scores, well = {name: np.zeros(shape) for name in job.scores.names}, np.ones(shape, bool)
        if held_out is not None:
            sums = trainer.losses(vectors, held_out.for_loss(self._architecture))
            for lane in self._lanes:
                k, architecture = lane.number, lane.member.architecture
                own = trainer.parameters_in(vectors, k) if architecture.penalised else vectors
                losses = architecture.mean_losses(sums[:, k], len(held_out), own)
                scores["val_loss"][:, k] = losses
            well &= np.isfinite(scores["val_loss"])
        if job.metrics:
            data = held_out or self._data
            outputs = trainer.outputs(vectors, data.dense)
            names = job.scores.names[-len(job.metrics) :]
            for lane in self._lanes:
                rows = slice(None) if held_out is not None else lane.rows
                own_outputs = np.ascontiguousarray(outputs[:, lane.number, rows])
                weights = lane.member.weights if held_out is None else held_out.weights
                well[:, lane.number] &= ~np.isnan(own_outputs).any(axis=(1, 2))
                for name, metric in zip(names, job.metrics, strict=True):
                    values = metric.values(data.Y[rows], own_outputs, weights)
                    scores[name][:, lane.number] = values
        return scores, well


def _plans(members: Sequence[Member], n: int) -> list[Plan]:
    """How to train each of them with n samples."""
    alike = Samples(np.empty((n, 0)), np.empty((n, 0)), members[0].weights)
    jobs = {id(member.job): member.job for member in members}
    plans = {number: job.plan(alike) for number, job in jobs.items()}
    if not members[0].architecture.dropout:
        return [plans[id(member.job)] for member in members]
    return [replace(plans[id(m.job)], dropout_key=m.dropout_key) for m in members]


def _course(piece: Piece, losses: np.ndarray, scores: dict[str, np.ndarray]) -> Course:
    """The values of each epoch of *piece* by name, (epochs, lanes)."""
    rates = piece.rates[:, -1]
    course = {"loss": losses, "learning_rate": rates if piece.rates.shape[1] == 1 else rates.copy()}
    return course | scores
