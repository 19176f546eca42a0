"""Single updates: `Network.partial_fit` and `Network.learn_one`."""

from __future__ import annotations

import math
from collections.abc import Callable
from math import isfinite
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.clock import rates_of_piece
from fastnn.contract import Piece, Plan, Samples, State
from fastnn.engines import Engine, Learner
from fastnn.errors import TrainingDivergedError
from fastnn.optimizers import Optimizer
from fastnn.schedules import CountedSchedule, Schedule
from fastnn.training.changes import AllNumbers, MetWeights

#: How many rates of a schedule are computed at once.
RATES = 512
#: The targets of a kind that need no check but of their values: the least and the most of them.
_RANGES = {
    "real": (-np.inf, np.inf),
    "unit": (0.0, 1.0),
    "counts": (0.0, np.inf),
}
#: What a single target may be to go the short way.
_NUMBERS = frozenset((float, int, np.float64, np.float32, np.int64))
#: What a learner says of what is none: a TypeError, or whatever numba has to say of an odd object.
NO_NUMBER = Exception

#: What `Network.learn_one` calls: a learner's ``learn`` and ``address``, the rate and the optimiser
#: that are asked for, the rows' dtype, and the learner, which must live as long as it is called.
QuickUpdate = tuple[Callable[[Any, Any, float], float], float, Any, Any, Any, Any]
#: The same of `Network.predict_one`: ``predict`` and ``address``, the outputs' number and dtype,
#: and the predictor.
QuickPrediction = tuple[Callable[[Any, Any, float], bool], float, int, Any, Any]
#: Where nothing is ready: nobody can ask for this rate.
NO_UPDATE: QuickUpdate = (lambda x, y, address: math.nan, 0.0, object(), None, None, None)
NO_PREDICTION: QuickPrediction = (lambda x, values, address: False, 0.0, 0, None, None)


class Updater:
    """One update of *state* after another, each from as many rows, without setting up anything.

    Rows are copied to memory of the updater's own. The state, and the optimiser but for its rate,
    are the same as long as there is the updater.

    Attributes
    ----------
    optimizer : Optimizer
        With the rate of the next update.
    """

    def __init__(
        self, architecture: Architecture, engine: Engine, samples: Samples, plan: Plan, state: State
    ):
        self.optimizer = plan.optimizer
        self._architecture = architecture
        self._state = state
        self._n, self._sparse = len(samples), samples.sparse
        self._make_place(samples)
        self._trainer = engine.trainer(architecture, plan)
        order = np.empty((0, self._n), np.int64)
        self._piece = Piece.of_epochs(np.zeros((1, 1)), order, self._n)
        rows = samples.sparse and plan.leaves_others(architecture)
        self._before = MetWeights(state, architecture.sizes) if rows else AllNumbers(state)
        self.change_rate(plan.optimizer)

    def _make_place(self, samples: Samples) -> None:
        """Have memory for the rows, unless they are sparse: then there may be any number in one."""
        self._weights = None if samples.weights is None else samples.weights.copy()
        if samples.sparse:
            return
        X = samples.dense
        self._numbers = np.zeros(X.size + samples.Y.size, self._architecture.dtype)
        self._X = self._numbers[: X.size].reshape(X.shape)
        self._Y = self._numbers[X.size :].reshape(samples.Y.shape)
        self._samples = Samples(_read_only(self._X), _read_only(self._Y), self._weights)

    def change_rate(self, optimizer: Optimizer) -> None:
        """Go on with an optimiser that differs in its rate only."""
        self.optimizer = optimizer
        rate = optimizer.learning_rate
        self._constant = not isinstance(rate, Schedule)
        if self._constant:
            self._piece.rates[:] = rate

    def quick(self, X: Any, y: Any) -> float:
        """The loss of rows that need no conversion, before an update from them.

        NaN, if they do or are not what they must be, or the update diverged: nothing is changed.
        """
        if not self._takes(X, y):
            return np.nan
        return self._update()

    def _takes(self, X: Any, y: Any) -> bool:
        dtype = self._architecture.dtype
        if (
            self._weights is not None
            or self._sparse
            or type(X) is not np.ndarray
            or type(y) is not np.ndarray
            or X.shape != self._X.shape
            or X.dtype != dtype
        ):
            return False
        self._X[...] = X
        return self._take_targets(y) and isfinite(self._numbers.dot(self._numbers))

    def _take_targets(self, y: Any) -> bool:
        kind, n_out = self._architecture.loss.targets, self._architecture.n_targets
        Y = self._Y
        if self._architecture.label_smoothing or self._architecture.quantiles:
            return False
        if kind == "classes" and y.shape == (self._n,) and y.dtype.kind in "iu":
            if y.min() < 0 or y.max() >= n_out:
                return False
            Y[...] = 0
            Y[np.arange(self._n), y] = 1
            return True
        if kind not in _RANGES or y.dtype.kind not in "fiub" or y.size != Y.size:
            return False
        if y.shape != Y.shape and (y.ndim != 1 or n_out != 1):
            return False
        Y[...] = y.reshape(Y.shape)
        least, most = _RANGES[kind]
        return kind == "real" or bool(Y.min() >= least and Y.max() <= most)

    def learn(self, x: Any, y: Any) -> float:
        """The same for a row, for which there is no quick way here."""
        return np.nan

    def quick_way(self, learning_rate: Any, optimizer: Any) -> QuickUpdate:
        """What `Network.learn_one` calls for these arguments."""
        return NO_UPDATE

    def can_go_on(self, samples: Samples, optimizer: Optimizer, state: State) -> bool:
        """Whether it only needs another rate for these samples, optimiser and state."""
        return (
            self.has_place_for(samples)
            and state is self._state
            and optimizer.but_rate() == self.optimizer.but_rate()
        )

    def has_place_for(self, samples: Samples) -> bool:
        """Whether they are as many as the updater was made for, weighted and sparse alike."""
        alike = (samples.weights is None) == (self._weights is None)
        return alike and len(samples) == self._n and samples.sparse == self._sparse

    def update(self, samples: Samples) -> float:
        """Update the state in place with rows that have been checked; the loss before that.

        Raises
        ------
        TrainingDivergedError
            If the loss or a parameter is no longer finite; the state is as before then.
        """
        if self._sparse:
            self._samples = samples
        else:
            self._X[...] = samples.dense
            self._Y[...] = samples.Y
            if self._weights is not None:
                self._weights[...] = samples.weights
        loss = self._update()
        if not isfinite(loss):
            raise divergence(self.optimizer, self._state)
        return loss

    def _update(self) -> float:
        """Update with the rows taken; the loss, or NaN if it diverged, which changes nothing."""
        piece, state = self._piece, self._state
        self._before.keep(self._samples)
        try:
            if not self._constant:
                piece.rates[:] = rates_of_piece(self.optimizer.learning_rate, state.clock, 1, 1)
            piece.loss_sums[0] = piece.penalty_sums[0] = 0.0
            self._trainer.run(state, self._samples, piece)
            state.clock.steps[0] += 1
            loss = float(piece.loss_sums[0] + piece.penalty_sums[0])
            well = isfinite(loss) and self._before.is_finite()
        except BaseException:
            self._before.take_back()
            raise
        if not well:
            self._before.take_back()
            return np.nan
        return loss * self._architecture.gradient_scale(self._n)


def divergence(optimizer: Optimizer, state: State) -> TrainingDivergedError:
    """The error for an update that is no longer finite, and was taken back."""
    rate = float(rates_of_piece(optimizer.learning_rate, state.clock, 1, 1)[0, 0])
    schedule = optimizer.learning_rate
    return TrainingDivergedError(
        int(state.updates[0]) + 1, rate, schedule if isinstance(schedule, Schedule) else None
    )


class RowUpdater:
    """The same from one row each, where an engine has a way of its own.

    Attributes
    ----------
    learner : Learner
    """

    def __init__(
        self, architecture: Architecture, learner: Learner, optimizer: Optimizer, state: State
    ):
        self.learner = learner
        self._state = state
        self._takes_rows = architecture.loss.targets == "real"
        self._classes = architecture.loss.targets == "classes"
        self._x_shape, self._y_shape = (1, architecture.sizes[0]), (architecture.n_targets,)
        self._dtype = architecture.dtype
        self.change_rate(optimizer)

    def change_rate(self, optimizer: Optimizer) -> None:
        """See `Updater`."""
        self.optimizer = optimizer
        self._make_rates_ready()

    def _make_rates_ready(self) -> None:
        rate, clock = self.optimizer.learning_rate, self._state.clock
        by_update = isinstance(rate, CountedSchedule) and rate.per == "update"
        rates = rates_of_piece(rate, clock, 1, RATES if by_update else 1)
        self.learner.set_rates(rates[0], int(clock.steps[0]) if by_update else -1)

    def quick(self, X: Any, y: Any) -> float:
        """See `Updater`."""
        if type(X) is not np.ndarray or X.shape != self._x_shape or type(y) is not np.ndarray:
            return np.nan
        if y.ndim == 2 and y.shape[0] == 1:
            return self.learn(X[0], y[0])
        if y.shape != (1,) or (not self._classes and self._y_shape != (1,)):
            return np.nan
        return self.learn(X[0], y.item())

    def learn(self, x: Any, y: Any) -> float:
        """The same with a row, and its target as a number or as a row (n_out,)."""
        learner = self.learner
        if type(x) is not np.ndarray or x.dtype != self._dtype:
            return np.nan
        if not x.flags.carray:  # read-only, or with gaps
            x = x.copy()
        try:
            if type(y) is not np.ndarray:
                return learner.learn(x, y, learner.address) if type(y) in _NUMBERS else np.nan
            if not (self._takes_rows and y.shape == self._y_shape and y.dtype == self._dtype):
                return np.nan
            learner.put_target(y)
            return learner.learn(x, 0.0, learner.address_of_target)
        except NO_NUMBER:
            return np.nan

    def quick_way(self, learning_rate: Any, optimizer: Any) -> QuickUpdate:
        """See `Updater`."""
        learner = self.learner
        return (learner.learn, learner.address, learning_rate, optimizer, self._dtype, learner)

    def can_go_on(self, samples: Samples, optimizer: Optimizer, state: State) -> bool:
        """See `Updater`."""
        return (
            self.has_place_for(samples)
            and state is self._state
            and optimizer.but_rate() == self.optimizer.but_rate()
        )

    def has_place_for(self, samples: Samples) -> bool:
        """See `Updater`."""
        return len(samples) == 1 and samples.weights is None and not samples.sparse

    def update(self, samples: Samples) -> float:
        """See `Updater`."""
        learner, x = self.learner, samples.dense[0].copy()
        learner.put_target(samples.Y[0])
        loss = learner.learn(x, 0.0, learner.address_of_target)
        if not (isfinite(loss) or learner.tried):  # the rates have run out
            self._make_rates_ready()
            loss = learner.learn(x, 0.0, learner.address_of_target)
        if not isfinite(loss):
            raise divergence(self.optimizer, self._state)
        return loss


AnyUpdater = Updater | RowUpdater


def new_updater(
    architecture: Architecture, engine: Engine, samples: Samples, plan: Plan, state: State
) -> AnyUpdater:
    """The updater for so many rows, with weights or not."""
    if len(samples) == 1 and samples.weights is None and not architecture.quantiles:
        learner = engine.learner(architecture, plan, state)
        if learner is not None:
            return RowUpdater(architecture, learner, plan.optimizer, state)
    return Updater(architecture, engine, samples, plan, state)


def _read_only(rows: np.ndarray) -> np.ndarray:
    view = rows.view()
    view.flags.writeable = False
    return view
