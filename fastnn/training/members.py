"""Many networks to train, as they are handed to a thread, another process or another machine.

What goes there is a `Work`, what comes back are `Outcome`s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from fastnn.architecture import Architecture
from fastnn.clock import Clock
from fastnn.contract import Numbers, Samples, State
from fastnn.errors import TrainingDivergedError
from fastnn.history import History
from fastnn.training.job import Job


class Member(NamedTuple):
    """A network to train.

    Attributes
    ----------
    number : int
        Among all networks.
    job : Job
        May be one for several networks: its architecture and key of dropout are not to be used.
    architecture : Architecture
    dropout_key : int
    state : State
        Read, and never changed.
    rng : numpy.random.Generator
        The network's: drawn from.
    data : Samples
        Of all that are trained together, the same.
    rows : ndarray, shape (m,), or None
        The samples' row numbers in the data; None: all as they lie.
    weights : ndarray, shape (m,), or None
        The weights of those samples.
    """

    number: int
    job: Job
    architecture: Architecture
    dropout_key: int
    state: State
    rng: np.random.Generator
    data: Samples
    rows: np.ndarray | None = None
    weights: np.ndarray | None = None

    def own_job(self) -> Job:
        """What is asked, of this network."""
        return replace(self.job, architecture=self.architecture, dropout_key=self.dropout_key)

    def samples(self) -> Samples:
        """Its own, for training alone."""
        data = self.data
        if self.rows is None:
            return Samples(data.X, data.Y, self.weights)
        X = data.X[self.rows] if data.sparse else _frozen(data.dense[self.rows])
        return Samples(X, _frozen(data.Y[self.rows]), self.weights)


@dataclass(frozen=True)
class Work:
    """Networks to train together, in so many lanes; or each alone: 0."""

    members: Sequence[Member]
    lanes: int = 0


class Outcome(NamedTuple):
    """What has become of a network: its state, its generator, and the course of its training."""

    number: int
    numbers: Numbers
    clock: Clock
    rng: np.random.Generator
    history: History
    divergence: TrainingDivergedError | None = None


def _frozen(rows: np.ndarray) -> np.ndarray:
    rows.flags.writeable = False
    return rows


def numbers_of(state: State) -> Numbers:
    """What training changes, but for the clock."""
    return state.parameters, state.moments, int(state.updates[0])
