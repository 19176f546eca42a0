"""Learning-rate schedules: what ``learning_rate`` may be instead of a number.

A schedule counts steps t = 0, 1, 2, ... from where it was first used: epochs, or with
``per="update"`` updates. It goes on counting over calls of ``fit`` for as long as they are given an
equal schedule (and the same kind of optimiser); another one begins at 0, and so does an equal one
after `Network.reset_optimizer`. A schedule that has run out stays at its last rate, which may be 0.
``partial_fit`` ends no epochs: there only schedules per update move.

To add one, add a class here with `CountedSchedule.rate_at`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from fastnn import validation
from fastnn.calls import guided_class
from fastnn.metrics import sign
from fastnn.names import short
from fastnn.settings import (
    AtLeast0,
    AtLeast1,
    Mode,
    NonNegative,
    Positive,
    Real,
    Settings,
    Text,
    one_of,
)


class Schedule(Settings):
    """What ``learning_rate`` may be instead of a number."""


def _up_to_one(value: object, name: str) -> float:
    number = validation.real(value, name)
    if not 0.0 <= number <= 1.0:
        raise ValueError(f"{name} must be from 0 to 1, got {value}")
    return number


def _below_one(value: object, name: str) -> float:
    number = validation.positive(value, name)
    if number >= 1.0:
        raise ValueError(f"{name} must be below 1, got {value}")
    return number


UpToOne = Annotated[float, _up_to_one]
BelowOne = Annotated[float, _below_one]
Per = Annotated[str, one_of("epoch", "update")]


@dataclass(frozen=True)
class CountedSchedule(Schedule):
    """A schedule that depends on the number of the step alone.

    Parameters
    ----------
    per : {"epoch", "update"}
        What a step is. Keras's schedules count updates, and torch's OneCycleLR is stepped once per
        update: for those say "update".
    """

    per: Per = field(default="epoch", kw_only=True)

    @np.errstate(all="ignore")
    def rates(self, first: int, count: int) -> np.ndarray:
        """The learning rates of the steps from *first* on.

        Parameters
        ----------
        first : int
            The first step, counted from 0.
        count : int
            How many.

        Returns
        -------
        ndarray, shape (count,), float64
        """
        first = validation.integer(first, "first", 0)
        return self.rates_from(first, validation.integer(count, "count", 0))

    def rates_from(self, first: int, count: int) -> np.ndarray:
        """`rates` without its checks."""
        return self.rate_at(np.arange(first, first + count, dtype=np.float64))

    def rate_at(self, t: np.ndarray) -> np.ndarray:
        """The rates of the steps *t*, shape (count,)."""
        raise NotImplementedError


@guided_class
@dataclass(frozen=True)
class StepDecay(CountedSchedule):
    """Multiply the rate by *factor* after every *step_size* steps, as torch's StepLR.

    Parameters
    ----------
    initial_learning_rate : float
    step_size : int
        Steps with one and the same rate.
    factor : float
        What the rate is then multiplied by, above 0 (gamma in PyTorch).
    per : {"epoch", "update"}
        What a step is. Keras's schedules count updates, and torch's OneCycleLR is stepped once per
        update: for those say "update".

    Examples
    --------
    >>> import fastnn
    >>> fastnn.StepDecay(0.8, step_size=2, factor=0.5).rates(0, 6)
    array([0.8, 0.8, 0.4, 0.4, 0.2, 0.2])
    """

    initial_learning_rate: Positive
    step_size: AtLeast1
    factor: Positive = 0.1

    def rate_at(self, t: np.ndarray) -> np.ndarray:
        """See `CountedSchedule.rate_at`."""
        return self.initial_learning_rate * self.factor ** np.floor(t / self.step_size)


@guided_class
@dataclass(frozen=True)
class ExponentialDecay(CountedSchedule):
    """The rate initial · decay_rate^(t / decay_steps), as in Keras.

    Parameters
    ----------
    initial_learning_rate : float
    decay_rate : float
        What the rate is multiplied by over *decay_steps* steps, above 0 (gamma in PyTorch).
    decay_steps : int
    per : {"epoch", "update"}
        What a step is. Keras's schedules count updates, and torch's OneCycleLR is stepped once per
        update: for those say "update".

    Examples
    --------
    >>> import fastnn
    >>> fastnn.ExponentialDecay(1.0, 0.5).rates(0, 4)
    array([1.   , 0.5  , 0.25 , 0.125])
    """

    initial_learning_rate: Positive
    decay_rate: Positive
    decay_steps: AtLeast1 = 1

    def rate_at(self, t: np.ndarray) -> np.ndarray:
        """See `CountedSchedule.rate_at`."""
        rates: np.ndarray = self.initial_learning_rate * self.decay_rate ** (t / self.decay_steps)
        return rates


@guided_class
@dataclass(frozen=True)
class InverseScaling(CountedSchedule):
    """The rate initial / (t + 1)^power.

    With ``per="update"`` and batches of 1 it is "invscaling" of scikit-learn's SGDRegressor. Its
    MLPs change the rate after each epoch, with t the number of samples seen so far, so that
    theirs falls much faster: for that use `fastnn.MLPRegressor`.

    Parameters
    ----------
    initial_learning_rate : float
    power : float
        Above 0.
    per : {"epoch", "update"}
        What a step is. Keras's schedules count updates, and torch's OneCycleLR is stepped once per
        update: for those say "update".

    Examples
    --------
    >>> import fastnn
    >>> fastnn.InverseScaling(1.0, power=1.0).rates(0, 4).round(3)
    array([1.   , 0.5  , 0.333, 0.25 ])
    """

    initial_learning_rate: Positive
    power: Positive = 0.5

    def rate_at(self, t: np.ndarray) -> np.ndarray:
        """See `CountedSchedule.rate_at`."""
        return self.initial_learning_rate / (t + 1.0) ** self.power


@guided_class
@dataclass(frozen=True)
class CosineDecay(CountedSchedule):
    """Down along half a cosine, perhaps after a linear warm-up; as Keras' CosineDecay.

    With *warmup_target* the rate goes linearly from *initial_learning_rate* to it in
    *warmup_steps* steps. Then, in *decay_steps* steps, it goes down along half a cosine to
    *alpha* times where it came from, and stays there.

    Parameters
    ----------
    initial_learning_rate : float
        At least 0 with a warm-up, above 0 without.
    decay_steps : int
    alpha : float
        From 0 to 1.
    warmup_target : float, optional
    warmup_steps : int
        Needs *warmup_target*, and the other way round.
    per : {"epoch", "update"}
        What a step is. Keras's schedules count updates, and torch's OneCycleLR is stepped once per
        update: for those say "update".

    Examples
    --------
    >>> import fastnn
    >>> fastnn.CosineDecay(0.4, decay_steps=4).rates(0, 6).round(3)
    array([0.4  , 0.341, 0.2  , 0.059, 0.   , 0.   ])
    >>> fastnn.CosineDecay(0.1, 2, warmup_target=0.4, warmup_steps=3).rates(0, 6).round(3)
    array([0.1, 0.2, 0.3, 0.4, 0.2, 0. ])
    """

    initial_learning_rate: Real
    decay_steps: AtLeast1
    alpha: UpToOne = 0.0
    warmup_target: Positive | None = None
    warmup_steps: AtLeast0 = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.warmup_target is None) != (self.warmup_steps == 0):
            raise ValueError(
                "warmup_target and warmup_steps go together, got "
                f"warmup_target={short(self.warmup_target)} and warmup_steps={self.warmup_steps}"
            )
        above = validation.positive if self.warmup_target is None else validation.non_negative
        above(self.initial_learning_rate, "initial_learning_rate")

    def rate_at(self, t: np.ndarray) -> np.ndarray:
        """See `CountedSchedule.rate_at`."""
        first = self.initial_learning_rate
        top = first if self.warmup_target is None else self.warmup_target
        done = np.clip((t - self.warmup_steps) / self.decay_steps, 0.0, 1.0)
        decayed = top * ((1.0 - self.alpha) * 0.5 * (1.0 + np.cos(math.pi * done)) + self.alpha)
        if self.warmup_target is None:
            return decayed
        warming = first + (top - first) * (t / self.warmup_steps)
        return np.where(t < self.warmup_steps, warming, decayed)


@guided_class
@dataclass(frozen=True)
class OneCycle(CountedSchedule):
    """Up and then far down, both along half cosines; as torch's OneCycleLR.

    From max / div_factor up to the maximum, which is reached in step pct_start · total_steps - 1;
    then down to max / div_factor / final_div_factor in the last step, total_steps - 1. It stays
    there, where PyTorch raises an error. Unlike PyTorch's default, momentum is left alone.

    Parameters
    ----------
    max_learning_rate : float
    total_steps : int
    pct_start : float
        The part of the steps that goes up, from 0 to 1.
    div_factor, final_div_factor : float
        Above 0.
    per : {"epoch", "update"}
        What a step is. Keras's schedules count updates, and torch's OneCycleLR is stepped once per
        update: for those say "update".

    References
    ----------
    Smith and Topin, "Super-convergence", 2018, arXiv:1708.07120; torch.optim.lr_scheduler.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.OneCycle(1.0, 10, div_factor=10, final_div_factor=10).rates(0, 10).round(2)
    array([0.1 , 0.55, 1.  , 0.95, 0.81, 0.62, 0.39, 0.2 , 0.06, 0.01])
    """

    max_learning_rate: Positive
    total_steps: AtLeast1
    pct_start: UpToOne = 0.3
    div_factor: Positive = 25.0
    final_div_factor: Positive = 1e4

    def rate_at(self, t: np.ndarray) -> np.ndarray:
        """See `CountedSchedule.rate_at`."""
        top = self.max_learning_rate
        first = top / self.div_factor
        last = first / self.final_div_factor
        peak = self.pct_start * self.total_steps - 1.0
        fall = self.total_steps - 1.0 - peak  # 0 with pct_start=1: then nothing falls
        falling = _along_cosine(top, last, (t - peak) / (fall or 1.0))
        if peak <= 0.0:
            return falling
        return np.where(t <= peak, _along_cosine(first, top, t / peak), falling)


@guided_class
@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """Multiply the rate by *factor* when a value no longer improves.

    As torch's ReduceLROnPlateau with ``threshold_mode="abs"`` (torch's own default is "rel").
    Looks at the value after each epoch. An epoch is better if it improves the best value so far by
    more than *min_delta*; the rate is reduced when more than *patience* epochs in a row are not.

    Parameters
    ----------
    initial_learning_rate : float
    monitor : str
        ``"loss"``, ``"val_loss"``, or one of the ``metrics`` of ``fit``.
    factor : float
        Between 0 and 1.
    patience : int
    min_delta : float
    min_rate : float
        The rate is never reduced below it.
    mode : {"auto", "min", "max"}
        Whether lower or higher is better. "auto": higher for accuracy, r2, auc and the estimators'
        val_score, lower for all else; say "max" for a function of yours that should grow.

    Examples
    --------
    >>> import fastnn
    >>> net = fastnn.Network([1, 1], seed=0, engine="numpy")
    >>> rate = fastnn.ReduceOnPlateau(0.5, factor=0.5, patience=0, min_delta=0.1)
    >>> net.fit([0.0, 0.0], [1.0, -1.0], epochs=4, learning_rate=rate).learning_rate
    [0.5, 0.5, 0.25, 0.125]
    """

    initial_learning_rate: Positive
    monitor: Text = "loss"
    factor: BelowOne = 0.1
    patience: AtLeast0 = 10
    min_delta: NonNegative = 1e-4
    min_rate: NonNegative = 0.0
    mode: Mode = "auto"

    def rate_after(self, plateau: np.ndarray) -> float:
        """The rate that goes with *plateau*, what is remembered in `fastnn.clock.Clock.plateau`."""
        return self.initial_learning_rate * float(plateau[0])

    def remember(self, plateau: np.ndarray, value: float) -> bool:
        """Take the next epoch's *value* into *plateau*; True if the rate is reduced."""
        scale, best, waited = plateau.tolist()
        value *= sign(self.monitor, self.mode)
        if value < best - self.min_delta:
            plateau[1:] = value, 0.0
            return False
        if waited < self.patience:
            plateau[2] = waited + 1.0
            return False
        lowest = min(1.0, self.min_rate / self.initial_learning_rate)
        reduced = max(scale * self.factor, lowest)
        plateau[:] = reduced, best, 0.0
        return bool(reduced < scale)


def _along_cosine(start: float, stop: float, part: np.ndarray) -> np.ndarray:
    """From start (part 0 or less) to stop (part 1 or more) along half a cosine."""
    angle: np.ndarray = math.pi * np.clip(part, 0.0, 1.0)
    rates: np.ndarray = stop + (start - stop) / 2.0 * (1.0 + np.cos(angle))
    return rates


def same(one: object, other: object) -> bool:
    """Whether two rates, or optimisers, that were given are the same; the second is a good one.

    What is of another type is another: True is no 1, and an array is not compared. Neither is what
    cannot be.
    """
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    try:
        return bool(one == other)
    except Exception:  # a schedule of the user's own, with arrays in it
        return False


SCHEDULES = {
    kind.__name__: kind
    for kind in (StepDecay, ExponentialDecay, InverseScaling, CosineDecay, OneCycle,
                 ReduceOnPlateau)
}  # fmt: skip
