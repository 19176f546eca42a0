"""What a training run leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass
class History:
    """The course of one call of ``fit``.

    Attributes
    ----------
    loss : list of float
        Per epoch, the mean of its batches' losses, each taken before the batch's update. A
        smaller last batch weighs by its size (``reduction="sum"``: the batches' sums are
        averaged over the number of batches).
    val_loss : list of float
        Per epoch, the loss on ``validation_data`` after it; empty without validation data.
    epochs : int
        Completed epochs.
    seconds : float
        Wall time of the training, compilation left out.
    stop_reason : {"completed", "early stopping", "interrupted"}
        Why training ended; "interrupted" is Ctrl-C.
    best_epoch : int or None
        With early stopping, the epoch with the lowest monitored value, counted from 1.
    """

    loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    seconds: float = 0.0
    stop_reason: str = "completed"
    best_epoch: int | None = None

    @property
    def epochs(self) -> int:
        """Completed epochs."""
        return len(self.loss)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the losses over the epochs, on a logarithmic scale; needs matplotlib.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib.axes.Axes
        """
        if ax is None:
            from fastnn.plotting import new_axes

            ax = new_axes()
        epochs = range(1, self.epochs + 1)
        ax.plot(epochs, self.loss, label="training loss")
        if self.val_loss:
            ax.plot(epochs, self.val_loss, label="validation loss")
            ax.legend()
        ax.set(xlabel="epoch", ylabel="loss", yscale="log")
        return ax

    def __repr__(self) -> str:
        if not self.loss:
            return f"History(epochs=0, stop_reason={self.stop_reason!r})"
        last = f"loss={self.loss[-1]:.6g}"
        if self.val_loss:
            last += f", val_loss={self.val_loss[-1]:.6g}"
        return (
            f"History(epochs={self.epochs}, {last}, seconds={self.seconds:.3g}, "
            f"stop_reason={self.stop_reason!r})"
        )
