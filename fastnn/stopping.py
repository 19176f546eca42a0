"""When to stop training before the epochs are used up."""

from dataclasses import dataclass

from fastnn import validation
from fastnn.names import find


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when the loss no longer falls.

    Epochs count from 1. The best value is followed from epoch 1. From *start_from_epoch* on, an
    epoch that is not better than the best by more than *min_delta* counts, and training
    stops when more than *patience* such epochs come in a row.

    Parameters
    ----------
    monitor : {"loss", "val_loss"}
        ``"loss"`` is the mean over the epoch, taken before the updates; ``"val_loss"`` the loss
        on ``validation_data`` after the epoch.
    min_delta : float
        How much lower than the best an epoch's loss must be to count as better.
    patience : int
        How many epochs in a row may fail to be better before training stops at the next.
    start_from_epoch : int
        The first epoch that can count.
    restore_best : bool
        Go back to the parameters that the best epoch ended with.
    """

    monitor: str = "loss"
    min_delta: float = 0.0
    patience: int = 0
    start_from_epoch: int = 1
    restore_best: bool = False

    def __post_init__(self) -> None:
        find(self.monitor, {"loss": 0, "val_loss": 1}, "monitor")
        validation.non_negative(self.min_delta, "min_delta")
        validation.integer(self.patience, "patience", 0)
        validation.integer(self.start_from_epoch, "start_from_epoch", 1)
        validation.boolean(self.restore_best, "restore_best")


class StopRule:
    """`EarlyStopping` at work: is shown each epoch's value once, in order."""

    def __init__(self, settings: EarlyStopping):
        self.settings = settings
        self.best = float("inf")
        self.best_epoch = 0
        self._epoch = 0
        self._waited = 0

    def says_stop(self, value: float) -> bool:
        """Take in the next epoch's value; True if training ends with it."""
        self._epoch += 1
        if value < self.best - self.settings.min_delta:
            self._waited = 0
        elif self._epoch >= self.settings.start_from_epoch:
            self._waited += 1
        if value < self.best:
            self.best = value
            self.best_epoch = self._epoch
        return self._waited > self.settings.patience
