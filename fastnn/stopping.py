"""When to stop training before the epochs are used up."""

from __future__ import annotations

from dataclasses import dataclass

from fastnn.calls import guided_class
from fastnn.metrics import sign
from fastnn.settings import (
    AtLeast0,
    AtLeast1,
    Flag,
    Mode,
    NonNegative,
    Positive,
    Real,
    Settings,
    Text,
)


@guided_class
@dataclass(frozen=True)
class EarlyStopping(Settings):
    """Stop when the loss no longer falls, when it is good enough, or when time is up.

    Epochs count from 1. The best value is followed from epoch 1. From *start_from_epoch* on, an
    epoch that is not better than the best by more than *min_delta* counts, and training
    stops when more than *patience* such epochs come in a row.

    Parameters
    ----------
    monitor : str
        ``"loss"`` is the mean over the epoch, taken before the updates; ``"val_loss"`` the loss
        on the validation data after the epoch. Or one of the ``metrics`` of ``fit``, by its name or
        as in ``"val_accuracy"``.
    min_delta : float
        How much better than the best an epoch's value must be to count as better.
    patience : int or None
        Stop when more than this many epochs in a row are not better; 0 stops at the first such
        epoch. It is one less than in Keras: Keras' ``patience=10`` is 9 here. None: never stop for
        this reason, for example if only a *target* or *max_seconds* is to end training.
    start_from_epoch : int
        The first epoch that can count.
    restore_best : bool
        When training ends, for whatever reason but an exception, put the network back to the end
        of its best epoch: parameters, optimiser and learning-rate schedule (with L-BFGS, the
        parameters). The history keeps all epochs.
    mode : {"auto", "min", "max"}
        Whether lower or higher is better. "auto": higher for accuracy, r2, auc and the estimators'
        val_score, lower for all else; say "max" for a function of yours that should grow.
    target : float, optional
        Stop with the first epoch whose value is this good.
    max_seconds : float, optional
        Stop once training has taken so long; looked at every 50 ms or after every update, whichever
        is longer; with L-BFGS after each iteration. Compilation does not count.

    Examples
    --------
    >>> import fastnn
    >>> until_good = fastnn.EarlyStopping(target=0.01, max_seconds=10, patience=None)
    >>> patient = fastnn.EarlyStopping("val_loss", patience=20, restore_best=True)
    """

    monitor: Text = "loss"
    min_delta: NonNegative = 0.0
    patience: AtLeast0 | None = 0
    start_from_epoch: AtLeast1 = 1
    restore_best: Flag = False
    mode: Mode = "auto"
    target: Real | None = None
    max_seconds: Positive | None = None


class StopRule:
    """`EarlyStopping` at work: is shown each epoch's value once, in order."""

    def __init__(self, settings: EarlyStopping):
        self.settings = settings
        self.best_epoch = 0
        self._sign = sign(settings.monitor, settings.mode)
        self._best = float("inf")
        self._epoch = 0
        self._waited = 0

    @property
    def best(self) -> float:
        """The best value so far."""
        return self._sign * self._best

    def reason_to_stop(self, value: float) -> str | None:
        """Take in the next epoch's value; why training ends with it, or None."""
        settings = self.settings
        signed = self._sign * value
        self._epoch += 1
        if signed < self._best - settings.min_delta:
            self._waited = 0
        elif self._epoch >= settings.start_from_epoch:
            self._waited += 1
        if signed < self._best:
            self._best = signed
            self.best_epoch = self._epoch
        if settings.target is not None and signed <= self._sign * settings.target:
            return "target reached"
        if settings.patience is not None and self._waited > settings.patience:
            return "early stopping"
        return None
