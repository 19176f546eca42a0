"""river's neural network: `MLPClassifier` and `MLPRegressor` for streams, a sample at a time.

They follow river's contract: samples are dicts, features come and go, classes come later, nothing
has to be said before. See `MLPClassifier`. This needs river: ``pip install 'fastnn-jit[river]'``;
importing fastnn alone does not import it.
"""

from __future__ import annotations

import numbers
import secrets
import warnings
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

try:
    from river import base
    from river.utils import dataframe
except ImportError:
    raise ImportError(
        "fastnn.river needs river 0.26 or later: pip install 'fastnn-jit[river]'"
    ) from None

from fastnn import validation
from fastnn.calls import frames_to_user
from fastnn.features import FeatureNetwork
from fastnn.names import describe, short
from fastnn.network import Network
from fastnn.optimizers import get_optimizer
from fastnn.schedules import Schedule

__all__ = ["MLPClassifier", "MLPRegressor"]

#: Among values of these types nothing has to be looked at.
_PLAIN = frozenset((float, int, bool, np.float64, np.int64, np.bool_))
#: The rate, where none is given, of optimisers by name.
_RATE = 0.01


class _Perceptron:
    """What the two have in common."""

    _loss: str
    _n_out: int

    def __init__(
        self,
        hidden: tuple[int, ...] | int | None = (16,),
        activation: str = "relu",
        optimizer: Any = "adam",
        learning_rate: float | Schedule | None = None,
        l2: float = 0.0,
        scale: bool = True,
        seed: int | None = None,
    ):
        # An empty tuple as a parameter is more than river's `clone` takes.
        self.hidden = None if isinstance(hidden, tuple | list) and not hidden else hidden
        self.activation = activation
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.l2 = l2
        self.scale = scale
        self.seed = seed
        rate = _RATE if learning_rate is None and isinstance(optimizer, str) else learning_rate
        sizes = (hidden or ()) if isinstance(hidden, tuple | list | None) else (hidden,)
        checked = [validation.integer(n, f"hidden[{k}]", 1) for k, n in enumerate(sizes)]
        network = Network([1, *checked, 1], activation=activation, loss=self._loss, l2=l2, seed=0)
        entropy = secrets.randbits(64) if seed is None else validation.integer(seed, "seed", 0)
        #: The numbers of the classes that there have been; none of a regressor.
        self._classes: dict[Any, int] = {}
        self._net = FeatureNetwork(
            network,
            get_optimizer(optimizer, rate),
            validation.boolean(scale, "scale"),
            entropy,
            n_out=self._n_out,
        )
        self._rows = 0

    def _learn(self, names: tuple[Any, ...], rows: np.ndarray, targets: np.ndarray) -> None:
        """Learn rows; where one diverges, go back to the start weights, and on."""
        while True:
            stop = self._net.learn(names, rows, targets)
            self._rows += len(targets) - (0 if stop is None else stop.left)
            if stop is None:
                return
            at = len(targets) - stop.left
            if not stop.diverged:
                values = rows[at * len(names) : (at + 1) * len(names)]
                raise self._not_finite(names, values, targets[at])
            self._net.forget()
            self._rows += 1
            warnings.warn(
                f"{type(self).__name__} diverged in row {self._rows}, and begins again with its "
                "start weights: scale the features, or take a smaller learning_rate",
                RuntimeWarning,
                stacklevel=frames_to_user(),
            )
            rows, targets = rows[(at + 1) * len(names) :], targets[at + 1 :]

    def _not_finite(self, names: tuple[Any, ...], values: np.ndarray, target: Any) -> ValueError:
        scaled = " and at most 1e150 to be scaled" if self.scale else ""
        named = [(f"x[{name!r}]", value) for name, value in zip(names, values, strict=True)]
        for name, value in (*named, ("y", target)):
            if abs(value) > self._net.most or (name == "y" and value != value):
                break
        return ValueError(f"{name} must be finite{scaled}, got {value} in row {self._rows + 1}")

    def _values(self, x: Any) -> tuple[tuple[Any, ...], np.ndarray]:
        """The names of a row's features, and their values; NaN for one that is missing."""
        try:
            names, values = tuple(x), x.values()
            if not _PLAIN.issuperset(map(type, values)):
                values = [self._number(name, value) for name, value in x.items()]
            return names, np.fromiter(values, np.float64, len(names))
        except (AttributeError, TypeError) as error:
            if isinstance(x, Mapping):
                raise
            raise TypeError(
                f"x must be a dict of features, got {describe(x)} in row {self._rows + 1}"
            ) from error
        except OverflowError:
            raise ValueError(
                f"x must hold numbers that fit into a float, got {short(x)} in row {self._rows + 1}"
            ) from None

    def _number(self, name: Any, value: Any) -> float:
        if _is_missing(value):
            return np.nan
        if not _is_number(value):
            text = " (text; encode it first, for example with river.preprocessing.OneHotEncoder)"
            raise TypeError(
                f"x[{name!r}] must be a number, got {describe(value)} in row {self._rows + 1}"
                f"{text if isinstance(value, str | bytes) else ''}"
            )
        return float(value)

    def _frame(self, X: Any) -> tuple[Any, tuple[Any, ...], np.ndarray]:
        """A frame, its columns, and its values row after row."""
        frame = dataframe.into_frame(X)
        names = tuple(frame.columns)
        for name, kind in zip(names, frame.schema.values(), strict=True):
            if not (kind.is_numeric() or str(kind) in ("Boolean", "Object", "Unknown")):
                raise TypeError(f"column {name!r} of X must hold numbers, got {kind}")
        try:
            values = dataframe.to_numpy(frame)
        except (TypeError, ValueError) as error:
            raise TypeError(f"X must hold numbers: {error}") from None
        return frame, names, np.ascontiguousarray(values).reshape(-1)

    def _outputs(self, names: tuple[Any, ...], rows: np.ndarray, n_rows: int) -> np.ndarray:
        """The outputs for rows, (n_rows * n_out,)."""
        outputs, well = self._net.predict(names, rows, n_rows)
        if not well:
            for row in rows.reshape(n_rows, len(names)):
                if not self._net.takes(row):
                    raise self._not_finite(names, row, 0.0)
            raise validation.too_large("x")
        return outputs


class MLPClassifier(_Perceptron, base.MiniBatchClassifier):
    """A neural network that classifies samples of a stream, learning from one at a time.

    Parameters
    ----------
    hidden : tuple of int, int or None
        The units of each hidden layer. None: no hidden layer, which is softmax regression.
    activation : str
        Of the hidden layers, as in `fastnn.Network`.
    optimizer : str or object
        As in `fastnn.Network.fit`. It keeps what it remembers for each weight.
    learning_rate : float or Schedule, optional
        By default 0.01 for an optimiser by name. A schedule per update counts rows.
    l2 : float
        Penalty ½ l2 w² on the weights of the features that are there.
    scale : bool
        Scale each feature by its running mean and standard deviation, as
        ``river.preprocessing.StandardScaler`` does. False, if there is one in front.
    seed : int, optional
        For the start weights. Those of a feature depend on the seed and its name alone.

    Notes
    -----
    *Features* may come and go: the cost of a row is that of those it has, and their number is what
    memory grows with. None and NaN stand for a feature that is missing. Text is refused: put
    ``river.preprocessing.OneHotEncoder`` in front of it. An infinite value is an error that names
    the feature and the row, and what was learned stays.

    *Classes* may be anything hashable, and new ones come any time.

    *An update that diverges* is taken back; the weights begin anew, with a RuntimeWarning.

    `learn_many` is to rounding the same as `learn_one` row by row. Frames are pandas', polars', or
    any other that river takes.

    Examples
    --------
    >>> from fastnn.river import MLPClassifier
    >>> from river import datasets, evaluate, metrics
    >>> model = MLPClassifier(seed=1)
    >>> metric = evaluate.progressive_val_score(datasets.Phishing(), model, metrics.Accuracy())
    >>> bool(metric.get() > 0.88)
    True
    """

    _loss, _n_out = "cross_entropy", 0

    @property
    def _multiclass(self) -> bool:
        return True

    def learn_one(self, x: dict[Any, Any], y: Any) -> None:
        """Learn one sample: its features by name, and its class."""
        names, row = self._values(x)
        self._learn(names, row, np.array([self._class(y, names, row)], np.float64))

    def _class(self, y: Any, names: tuple[Any, ...], values: np.ndarray) -> int:
        """The number of a class; room for a new one, if its first row is one to be learned."""
        try:
            return self._classes[y]
        except KeyError:
            pass
        except TypeError:
            raise TypeError(f"y must be hashable, got {describe(y)}") from None
        if _is_missing(y) or y != y:
            raise ValueError(f"y must be a class, got {y} in row {self._rows + 1}")
        if not self._net.takes(values):
            raise self._not_finite(names, values, 0.0)
        self._net.add_output()
        self._classes[y] = len(self._classes)
        return len(self._classes) - 1

    def predict_proba_one(self, x: dict[Any, Any], **_kwargs: Any) -> dict[Any, float]:
        """The probability of each class seen so far."""
        names, row = self._values(x)
        if not self._classes:
            return {}
        outputs = self._outputs(names, row, 1)
        return dict(zip(self._classes, outputs.tolist(), strict=True))

    def learn_many(self, X: Any, y: Any) -> None:
        """Learn the samples of a frame, one after another, and their classes, a series."""
        _, names, rows = self._frame(X)
        targets = _listed(y)
        n = _check_lengths(rows, names, targets, X)
        start = 0
        while start < n:  # up to the next new class
            first = rows[start * len(names) : (start + 1) * len(names)]
            classes = [self._class(targets[start], names, first)]
            for label in targets[start + 1 :]:
                if not isinstance(label, Hashable) or label not in self._classes:
                    break
                classes.append(self._classes[label])
            stop = start + len(classes)
            part = rows[start * len(names) : stop * len(names)]
            self._learn(names, part, np.array(classes, np.float64))
            start = stop

    def predict_proba_many(self, X: Any) -> Any:
        """The probability of each class, in a frame with a column for each."""
        frame, names, rows = self._frame(X)
        outputs = self._outputs_of_many(names, rows, len(frame))
        columns = {label: outputs[:, k] for label, k in self._classes.items()}
        return dataframe.to_native_frame(columns, like=frame)

    def predict_many(self, X: Any) -> Any:
        """The most probable classes, in a series."""
        frame, names, rows = self._frame(X)
        outputs = self._outputs_of_many(names, rows, len(frame))
        labels = list(self._classes)
        values = [labels[k] for k in outputs.argmax(axis=1)] if labels else [None] * len(frame)
        return dataframe.to_native_series(values, name=None, like=frame)

    def _outputs_of_many(self, names: tuple[Any, ...], rows: np.ndarray, n: int) -> np.ndarray:
        if not self._classes:
            return np.zeros((n, 0))
        return self._outputs(names, rows, n).reshape(n, len(self._classes))


class MLPRegressor(_Perceptron, base.MiniBatchRegressor):
    """A neural network that predicts numbers of a stream, learning from one sample at a time.

    Parameters
    ----------
    hidden, activation, optimizer, learning_rate, l2, seed
        As in `MLPClassifier`.
    scale : bool
        Scale the features as there, and the target too, by its running mean and deviation.

    Examples
    --------
    >>> from fastnn.river import MLPRegressor
    >>> from river import datasets, evaluate, metrics
    >>> model = MLPRegressor(seed=1)
    >>> metric = evaluate.progressive_val_score(datasets.TrumpApproval(), model, metrics.MAE())
    >>> bool(metric.get() < 2)
    True
    """

    _loss, _n_out = "half_squared_error", 1

    def learn_one(self, x: dict[Any, Any], y: Any) -> None:
        """Learn one sample: its features by name, and its target."""
        names, row = self._values(x)
        self._learn(names, row, np.array([self._target(y)], np.float64))

    def _target(self, y: Any, ahead: int = 1) -> float:
        """A target, of the row that is so far ahead of the last one learned."""
        if type(y) not in _PLAIN and not _is_number(y):
            raise TypeError(f"y must be a number, got {describe(y)} in row {self._rows + ahead}")
        try:
            return float(y)
        except OverflowError:
            raise ValueError(
                f"y must be a number that fits into a float, got {short(y)} "
                f"in row {self._rows + ahead}"
            ) from None

    def predict_one(self, x: dict[Any, Any]) -> float:
        """The prediction for a sample."""
        names, row = self._values(x)
        return float(self._outputs(names, row, 1)[0])

    def learn_many(self, X: Any, y: Any) -> None:
        """Learn the samples of a frame, one after another, and their targets, a series."""
        _, names, rows = self._frame(X)
        targets = [self._target(target, ahead) for ahead, target in enumerate(_listed(y), 1)]
        _check_lengths(rows, names, targets, X)
        self._learn(names, rows, np.array(targets, np.float64))

    def predict_many(self, X: Any) -> Any:
        """The predictions, in a series."""
        frame, names, rows = self._frame(X)
        outputs = self._outputs(names, rows, len(frame))
        return dataframe.to_native_series(outputs, name=None, like=frame)


def _is_missing(value: Any) -> bool:
    return value is None or type(value).__name__ == "NAType"  # pandas.NA, which equals nothing


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real | np.bool_) and not isinstance(value, np.timedelta64)


def _listed(y: Any) -> list[Any]:
    """The entries of a series, as Python's own types."""
    if hasattr(y, "to_list"):
        return list(y.to_list())
    return validation.listed(y, "y", "targets")


def _check_lengths(rows: np.ndarray, names: tuple[Any, ...], targets: list[Any], X: Any) -> int:
    n = len(X)
    if len(targets) != n:
        raise ValueError(f"y must have an entry for each of the {n} rows of X, got {len(targets)}")
    return n
