"""Single updates: `Network.partial_fit`."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.clock import rates_of_piece
from fastnn.engines import Engine, Piece, Plan, Samples, State
from fastnn.errors import TrainingDivergedError
from fastnn.schedules import Schedule


class Updater:
    """One update after another, each from as many rows, without setting up anything anew.

    Rows that need a check or a conversion are copied to memory of the updater's own.
    """

    def __init__(self, architecture: Architecture, engine: Engine, samples: Samples, plan: Plan):
        self.optimizer = plan.optimizer
        self._scale = architecture.gradient_scale(len(samples))
        self._any_targets = architecture.loss.targets == "real" and not architecture.quantiles
        self._n = len(samples)
        self._numbers = np.zeros(samples.X.size + samples.Y.size, architecture.dtype)
        self._X = self._numbers[: samples.X.size].reshape(samples.X.shape)
        self._Y = self._numbers[samples.X.size :].reshape(samples.Y.shape)
        self._weights = None if samples.weights is None else samples.weights.copy()
        self._samples = Samples(_read_only(self._X), _read_only(self._Y), self._weights)
        self._trainer = engine.trainer(architecture, plan)
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
            self._trainer.run(state, self._samples, piece)
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
