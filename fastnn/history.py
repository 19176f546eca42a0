"""What a training run leaves behind."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastnn.snapshots import Snapshots, copied

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.axes import Axes

    from fastnn.architecture import Architecture


class _Grows:
    """A field of `History` that training appends to: see `History.append`.

    A descriptor for dataclasses: as a default it stands for a new list or dict.
    """

    def __init__(self, kind: type) -> None:
        self._kind = kind

    def __set_name__(self, _owner: type, name: str) -> None:
        self._name = name

    def __get__(self, history: History | None, _owner: type) -> Any:
        if history is None:
            return self
        history._convert()
        if self._name not in history.__dict__:
            history.__dict__[self._name] = self._kind()
        return history.__dict__[self._name]

    def __set__(self, history: History, values: Any) -> None:
        if values is not self:  # the default: it is made when somebody looks
            history.__dict__[self._name] = values

    def __repr__(self) -> str:
        return repr(self._kind())  # in the signature of History


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
        Per epoch, the loss on the validation data after it; empty without validation data.
    epochs : int
        Completed epochs.
    seconds : float
        Wall time of the training, compilation left out.
    stop_reason : str
        Why training ended: "completed", "early stopping", "target reached", "time limit",
        "callback", or "interrupted", which is Ctrl-C. After an exception "diverged" or "error".
        Until it ends, "running". With L-BFGS also "converged", "evaluation limit", or "no
        descent", when no step along the line searched makes the loss smaller.
    best_epoch : int or None
        With early stopping, the epoch with the best monitored value, counted from 1.
    metrics : dict of str to list of float
        The metrics that ``fit`` was asked for, per epoch after it: ``"val_accuracy"`` on the
        validation data, ``"accuracy"`` on the training data if there are none.
    learning_rate : list of float
        Per epoch, the learning rate of its last update; 1.0 with L-BFGS, which has none.
    parameters : ndarray, shape (n_records, n_parameters)
        With ``fit(..., record=k)``, the parameters after every k-th epoch, one row each;
        `weights` and `biases` are those of a layer. An AttributeError without *record*.
    recorded_epochs : ndarray of int, shape (n_records,)
        After which epochs, counted from 1.
    """

    loss: list[float] = _Grows(list)  # type: ignore[assignment]
    val_loss: list[float] = _Grows(list)  # type: ignore[assignment]
    seconds: float = 0.0
    stop_reason: str = "completed"
    best_epoch: int | None = None
    metrics: dict[str, list[float]] = _Grows(dict)  # type: ignore[assignment]
    learning_rate: list[float] = _Grows(list)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        #: Courses as `append` got them; of many networks with the number of this one's column.
        self._appended: list[tuple[dict[str, np.ndarray], int, int | None]] = []
        self._epochs = len(self.__dict__.get("loss", ()))
        #: What `parameters` and its like look into; None without *record*.
        self.snapshots: Snapshots | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled and copied."""
        self._convert()
        lists = {name: getattr(self, name) for name in _GROWING}
        snapshots = copied(self.snapshots)
        return {**self.__dict__, **lists, "_appended": [], "snapshots": snapshots}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over a state; older versions did not count the epochs, or keep parameters."""
        self.__dict__.update({"_epochs": len(state["loss"]), "snapshots": None, **state})

    def __deepcopy__(self, memo: dict[int, Any]) -> History:
        """A copy of its own. What it holds is not looked at number by number."""
        state = self.__getstate__()
        lists = {name: list(state.pop(name)) for name in ("loss", "val_loss", "learning_rate")}
        metrics = {name: list(values) for name, values in state.pop("metrics").items()}
        new = type(self).__new__(type(self))
        new.__setstate__({**copy.deepcopy(state, memo), **lists, "metrics": metrics})
        return new

    @property
    def epochs(self) -> int:
        """Completed epochs, whatever somebody has made of the lists."""
        return self._epochs

    @property
    def parameters(self) -> np.ndarray:
        """The parameters after every k-th epoch, with ``fit(..., record=k)``; see the class."""
        return self._recorded().parameters

    @property
    def recorded_epochs(self) -> np.ndarray:
        """After which epochs they were taken, counted from 1; shape (n_records,)."""
        return self._recorded().epochs

    def weights(self, layer: int) -> np.ndarray:
        """A layer's weights in `parameters`, a view.

        Parameters
        ----------
        layer : int
            As in ``net.weights[layer]``.

        Returns
        -------
        ndarray, shape (n_records, n_in, n_out)
        """
        return self._recorded().weights(layer)

    def biases(self, layer: int) -> np.ndarray:
        """A layer's biases in `parameters`, a view.

        Parameters
        ----------
        layer : int
            As in ``net.biases[layer]``.

        Returns
        -------
        ndarray, shape (n_records, n_out)
        """
        return self._recorded().biases(layer)

    def record(self, architecture: Architecture) -> None:
        """Be ready to keep parameters of a network of this *architecture*: see `keep`."""
        bias, dtype = architecture.bias, architecture.dtype
        self.snapshots = self.snapshots or Snapshots(architecture.sizes, bias, dtype)

    def keep(self, epochs: Sequence[int], vectors: np.ndarray) -> None:
        """Keep *vectors* of parameters, shape (k, n_parameters), from after these *epochs*."""
        if self.snapshots is not None:
            self.snapshots.append(epochs, vectors)

    def _recorded(self) -> Snapshots:
        if self.snapshots is None:
            raise AttributeError(
                "this history has no parameters: fit(..., record=k) keeps those after every k-th "
                "epoch"
            )
        return self.snapshots

    def append(self, course: dict[str, np.ndarray], epochs: int, column: int | None = None) -> None:
        """Add the first *epochs* of *course*: names to values of shape (n,).

        They become floats when somebody looks at one of the lists: to make a float for each epoch
        takes as long as a sample of the smallest networks. With a *column* the values are of
        several networks, of shape (epochs, networks): they are kept, and must not be changed.
        """
        if column is None:
            course = {name: values[:epochs].copy() for name, values in course.items()}
        self._appended.append((course, epochs, column))
        self._epochs += epochs

    def _convert(self) -> None:
        """Bring the lists up to date."""
        if not self._appended:
            return
        appended, self._appended = self._appended, []
        for course, epochs, column in appended:
            for name, values in course.items():
                own = values if column is None else values[:epochs, column]
                self._course(name).extend(_as_floats(own))

    def cut(self, epochs: int) -> None:
        """Forget what came after the first *epochs*."""
        forgotten = self._epochs - epochs
        for name in self.names():
            values = self._course(name)
            del values[max(len(values) - forgotten, 0) :]
        self._epochs = epochs
        if self.snapshots is not None:
            self.snapshots.cut(epochs)

    def names(self) -> list[str]:
        """What there are values of: the losses, metrics, the learning rate."""
        names = ("loss", "val_loss", *self.metrics, "learning_rate")
        return [name for name in names if self._course(name)]

    def _course(self, name: str) -> list[float]:
        if name in ("loss", "val_loss", "learning_rate"):
            values: list[float] = getattr(self, name)
            return values
        return self.metrics.setdefault(name, [])

    def logs(self) -> dict[str, float]:
        """The last epoch's values by name."""
        return {name: self._course(name)[-1] for name in self.names()}

    def course(self, first: int, stop: int) -> dict[str, list[float]]:
        """The values of the epochs from *first* to *stop* by name; epochs count from 0 here."""
        return {name: self._course(name)[first:stop] for name in self.names()}

    def to_pandas(self) -> pd.DataFrame:
        """One row per epoch, counted from 1, and one column per name; needs pandas.

        Returns
        -------
        pandas.DataFrame
        """
        try:
            import pandas as pd
        except ImportError:
            raise ImportError("to_pandas needs pandas: pip install pandas") from None
        epochs = pd.RangeIndex(1, self.epochs + 1, name="epoch")
        columns = {  # the last ones, where somebody has emptied a list
            name: pd.Series(values, epochs[self.epochs - len(values) :])
            for name, values in self.course(0, self.epochs).items()
        }
        return pd.DataFrame(columns, epochs, dtype=float)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw losses, on a logarithmic scale, and metrics over the epochs; needs matplotlib.

        The metrics are dashed lines with a scale on the right.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from fastnn.pictures import draw_course

        losses = {"training loss": self.loss, "validation loss": self.val_loss}
        return draw_course(losses, {k: values for k, values in self.metrics.items() if values}, ax)

    def __add__(self, later: History) -> History:
        """The course of two calls of ``fit``, one after the other, as one: a new history.

        ``history += net.fit(...)`` goes on with it. What only one of them has is NaN in the
        epochs of the other. The best epoch is that of the later one, if it has one.
        """
        if not isinstance(later, History):
            return NotImplemented
        n, m = self.epochs, later.epochs
        both = History(seconds=self.seconds + later.seconds, stop_reason=later.stop_reason)
        for name in dict.fromkeys((*self.names(), *later.names())):
            before, after = (
                history._course(name) if name in history.names() else [math.nan] * history.epochs
                for history in (self, later)
            )
            both._course(name).extend([*before, *after])
        both._epochs = n + m
        both.best_epoch = self.best_epoch if later.best_epoch is None else n + later.best_epoch
        both.snapshots = copied(self.snapshots or later.snapshots)
        if self.snapshots is None and both.snapshots is not None:
            both.snapshots.shift(n)
        elif both.snapshots is not None and later.snapshots is not None:
            both.snapshots.go_on(later.snapshots, n)
        return both

    def __repr__(self) -> str:
        if not self.epochs:
            return f"History(epochs=0, stop_reason={self.stop_reason!r})"
        logs = self.logs()
        logs.pop("learning_rate", None)
        last = "".join(f"{name}={value:.6g}, " for name, value in logs.items())
        return (
            f"History(epochs={self.epochs}, {last}seconds={self.seconds:.3g}, "
            f"stop_reason={self.stop_reason!r})"
        )


#: What training appends to.
_GROWING = ("loss", "val_loss", "metrics", "learning_rate")


def _as_floats(values: np.ndarray) -> list[float]:
    """Values as floats: one for all where all are equal, as learning rates mostly are."""
    if len(values) > 1 and (values == values[0]).all():
        return [float(values[0])] * len(values)
    floats: list[float] = values.tolist()
    return floats
