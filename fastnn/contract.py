"""What engines are given: samples, a plan, a state, and pieces of training.

`fastnn.engines` has the functions that take them. Arrays in them are C-contiguous, of the
architecture's dtype and read-only, except for the `State`, which `Trainer.run` changes in place.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.arrays import all_finite
from fastnn.clock import Clock
from fastnn.memory import aligned, aligned_copy
from fastnn.optimizers import Optimizer
from fastnn.sparse import AnyRows, SparseRows

#: Updates in a window of sparse rows at least and at most, and about how many rows are in one: at
#: its end an engine may have to look at all weights.
WINDOWS, ROWS_IN_WINDOW = (16, 256), 4096

#: Around every door to an engine, as a decorator: whatever users do with floating point errors
#: (``numpy.seterr``), a result that overflows is infinite and one that underflows is 0 here. What
#: is no longer finite is found by looking at it.
quiet = np.errstate(all="ignore")


@dataclass(frozen=True)
class Samples:
    """Inputs X (n, n_in) and targets Y, a row for each; classes are one-hot rows.

    Y is (n, n_targets) at the door, (n, target_columns) for engines: see `Architecture`.
    With *weights*, shape (n,), each sample's loss and gradient are multiplied by its weight.
    With *dydx*, (n, n_out * n_in), what the Jacobian of the outputs is to be, row by row, a
    sample's loss has *dydx_weight* times the mean squared error of its Jacobian in it.
    """

    X: AnyRows
    Y: np.ndarray
    weights: np.ndarray | None = None
    dydx: np.ndarray | None = None
    dydx_weight: float = 1.0

    def __len__(self) -> int:
        return len(self.Y)

    @property
    def dense(self) -> np.ndarray:
        """X, which is not sparse."""
        assert isinstance(self.X, np.ndarray)
        return self.X

    @property
    def sparse(self) -> bool:
        """Whether X is sparse: engines have other code for that."""
        return isinstance(self.X, SparseRows)

    def for_loss(self, architecture: Architecture) -> "Samples":
        """With the targets that engines compute the loss from: see `Architecture.for_loss`."""
        targets = architecture.for_loss(self.Y)
        return self if targets is self.Y else replace(self, Y=targets)

    def at(self, rows: slice | np.ndarray) -> "Samples":
        """Some of the rows."""
        weights, dydx = (None if a is None else a[rows] for a in (self.weights, self.dydx))
        return Samples(self.X[rows], self.Y[rows], weights, dydx, self.dydx_weight)


@dataclass(frozen=True)
class Together:
    """The samples of a block of networks: all share X (n, n_in) and Y (n, target_columns).

    Network l learns from the rows ``rows[l]``, shape (lanes, m); (lanes, 0): from all as they lie.
    With *weights*, shape (lanes, m), or (lanes, 0) without, each of those has its weight.
    """

    X: np.ndarray
    Y: np.ndarray
    rows: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Plan:
    """How to train: what stays the same from the first update to the last.

    An update, from a batch of b samples:

    1. the loss and its gradient, summed over the samples, each times its weight and *scale*;
    2. `Architecture.l1` and ``l2``: the penalty Σ l1 |w| + ½ l2 w² over all weights (not biases)
       and its gradient, times b with reduction "mean"; as they are with "sum" or
       *penalty_per_batch*;
    3. with reduction "mean", the gradient is divided by b; with *divide_by_weights*, by the sum
       of the batch's weights (without *scale*), or by b if that is 0;
    4. ``optimizer.clip_value``, then ``clip_norm``, on the gradient of all parameters;
    5. the optimizer's update with the rate from `Piece`;
    6. `Architecture.max_norm`: the weights into each unit are scaled down to that norm.

    Dropout: hidden unit u (counted over all hidden layers) of the sample at place s of its
    batch is dropped if ``uniform(dropout_key, (update * batch_size + s) * n_hidden_units + u)``,
    see `fastnn.reference.random`, is below its layer's rate; otherwise its value is divided
    by 1 - rate. *update* is `State.updates` before the update.

    *weighted* says that all samples will come with weights, *sparse* that their X is sparse,
    *sloped* that they come with ``dydx``.
    """

    batch_size: int
    optimizer: Optimizer
    dropout_key: int = 0
    scale: float = 1.0
    penalty_per_batch: bool = False
    divide_by_weights: bool = False
    weighted: bool = False
    sparse: bool = False
    sloped: bool = False

    @property
    def window(self) -> int:
        """A part of an epoch ends after a whole number of so many updates, or with the epoch."""
        least, most = WINDOWS
        return max(least, min(most, ROWS_IN_WINDOW // self.batch_size)) if self.sparse else 1

    def but_rate(self) -> dict[str, Any]:
        """All that it says but for the rates, which engines get with each `Piece`."""
        return {**vars(self), "optimizer": self.optimizer.but_rate()}

    def leaves_others(self, architecture: Architecture) -> bool:
        """Whether weights whose gradient is 0 stay as they are, and so do their moments.

        Even where a gradient is not a number, which a limit of its norm spreads to all.
        """
        optimizer = self.optimizer
        if architecture.l1 or architecture.l2 or architecture.max_norm or optimizer.clip_norm:
            return False
        return optimizer.rule in ("sgd", "adagrad")


@dataclass
class State:
    """What training changes, and all that it needs to go on.

    Attributes
    ----------
    parameters : ndarray, shape (P,)
    moments : ndarray, shape (optimizer.n_moments, P), of the parameters' dtype
        What the optimiser remembers; zeros at the start.
    updates : ndarray, shape (1,), int64
        Updates so far. The engines add to it.
    clock : Clock
        Where the learning-rate schedule stands. Engines ignore it.
    """

    parameters: np.ndarray
    moments: np.ndarray
    updates: np.ndarray
    clock: Clock = field(default_factory=Clock)

    @classmethod
    def new(cls, parameters: np.ndarray, optimizer: Optimizer) -> "State":
        """The state before the first update of *parameters*, which are not copied."""
        moments = aligned(optimizer.n_moments * len(parameters), parameters.dtype)
        moments[:] = 0
        moments = moments.reshape(optimizer.n_moments, len(parameters))
        return cls(parameters, moments, np.zeros(1, np.int64))

    def __setstate__(self, fields: dict[str, Any]) -> None:
        """Make of what was pickled, by older versions too, as good a state."""
        mine = self.__dict__
        mine.update(fields)
        if "clock" not in mine:
            self.clock = Clock(mine.pop("steps"), mine.pop("plateau"))
        self.parameters = aligned_copy(self.parameters)
        self.moments = aligned_copy(self.moments)

    def copy(self) -> "State":
        """A copy to come back to; ``copy.deepcopy`` makes one to train, on cache lines."""
        return State(
            self.parameters.copy(), self.moments.copy(), self.updates.copy(), self.clock.copy()
        )

    def __deepcopy__(self, _memo: dict[int, Any]) -> "State":
        numbers = aligned_copy(self.parameters), aligned_copy(self.moments), self.updates.copy()
        return State(*numbers, self.clock.copy())

    def restore(self, other: "State") -> None:
        """Become equal to *other*, in place."""
        self.parameters[:] = other.parameters
        self.moments[:] = other.moments
        self.updates[:] = other.updates
        self.clock.restore(other.clock)

    def is_finite(self) -> bool:
        """Whether all parameters are."""
        return all_finite(self.parameters)

    def forget(self) -> None:
        """Become, in place, what `new` makes of the parameters."""
        self.moments[:] = 0
        self.updates[:] = 0
        self.clock.restart()


@dataclass(frozen=True)
class Piece:
    """A stretch of training that an engine runs without coming back to Python.

    It is either any number of whole epochs, or the rows ``start`` to ``stop`` of one epoch.

    Attributes
    ----------
    rates : ndarray, shape (epochs, 1) or (epochs, updates), float64
        The learning rate: one for each epoch, or one for each update, counted from ``start``.
    order : ndarray, shape (epochs, n) or (0, n), int64
        In what order each epoch takes the rows; (0, n): as they lie.
    start, stop : int
        Positions within the epoch, from 0 to n. ``start`` is at the beginning of a batch, and
        ``stop`` at the end of one.
    loss_sums : ndarray, shape (epochs,), float64
        Each epoch's sum of sample losses, each taken before its batch's update, is added here.
        With ``Plan.divide_by_weights`` a batch's sum is first divided by the sum of its weights
        and multiplied by its number of samples.
    penalty_sums : ndarray, shape (epochs,), float64
        The same for the penalty of each batch, multiplied and divided like the losses.
    """

    rates: np.ndarray
    order: np.ndarray
    start: int
    stop: int
    loss_sums: np.ndarray
    penalty_sums: np.ndarray

    @classmethod
    def of_epochs(cls, rates: np.ndarray, order: np.ndarray, n: int) -> "Piece":
        """Whole epochs over n samples; rates (epochs, updates, lanes) are of many networks."""
        sums = np.zeros((2, len(rates), *rates.shape[2:]))
        return cls(rates, order, 0, n, sums[0], sums[1])

    def epoch(self, number: int) -> "Piece":
        """One of its epochs, counted from 0, which adds to the same sums."""
        return self.stretch(number, number + 1)

    def stretch(self, first: int, stop: int) -> "Piece":
        """Its epochs from *first* on up to *stop*, which add to the same sums."""
        some = slice(first, stop)
        return Piece(
            self.rates[some],
            self.order[some],
            self.start,
            self.stop,
            self.loss_sums[some],
            self.penalty_sums[some],
        )


#: Of one of many networks: parameters (P,), moments (n_moments, P), the number of updates.
Numbers = tuple[np.ndarray, np.ndarray, int]


#: How many rows a cut within an epoch comes after, or the next whole number of batches: engines may
#: work on blocks of so many.
GRAIN = 64
