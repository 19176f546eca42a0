"""What ``evaluate`` and ``history.metrics`` report beside the loss.

A metric is a function of targets (n, n_out) and outputs of that shape; class numbers have become
one-hot rows, and of several outputs for a target there is one: see `of_targets`. To add one, add a
function here and a line to the tables below. Those here take outputs (..., n, n_out) too, after
many epochs at once, and return the metric of each, shape (...); and they take the samples' weights,
shape (n,), by which those count that have some.
"""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn import validation
from fastnn.losses import Loss
from fastnn.names import describe, find

Function = Callable[[np.ndarray, np.ndarray], Any]
Weights = np.ndarray | None


@dataclass(frozen=True)
class Metric:
    """A name, and a function f(targets, outputs) -> float of arrays of shape (n, n_out)."""

    name: str
    function: Callable[..., Any]
    of_user: bool = False

    def value(self, targets: np.ndarray, outputs: np.ndarray, weights: Weights = None) -> float:
        """The metric; TypeError if a user's function returns anything but one number.

        Functions of users are not told of *weights*.
        """
        if self.of_user:
            value = self.function(targets, outputs)
        else:
            value = self.values(targets, outputs, weights)
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            raise TypeError(
                f"metric {self.name!r} must return one number, got {type(value).__name__}"
            ) from None

    def values(
        self, targets: np.ndarray, outputs: np.ndarray, weights: Weights = None
    ) -> np.ndarray:
        """The metric of each of the *outputs* (K, n, n_out), shape (K,); none of the user's."""
        outputs = of_targets(outputs, targets.shape[1])
        if math.isnan(np.vdot(targets, targets)):  # a third of the time of looking at each
            return self._where_given(targets, outputs, weights)
        return np.asarray(self.function(targets, outputs, weights))

    def _where_given(
        self, targets: np.ndarray, outputs: np.ndarray, weights: Weights
    ) -> np.ndarray:
        """The mean over outputs, of each the metric of the samples that have a target for it."""
        found = []
        for j in range(targets.shape[1]):
            rows = ~np.isnan(targets[:, j])
            if weights is not None:  # those of all that are left must not be 0
                rows &= weights > 0
            if rows.any():
                own = None if weights is None else weights[rows]
                one = slice(j, j + 1)
                found.append(self.function(targets[rows, one], outputs[..., rows, one], own))
        return np.mean(found, axis=0) if found else np.full(outputs.shape[:-2], np.nan)


def of_targets(outputs: np.ndarray, n_targets: int) -> np.ndarray:
    """One output for each target, where there are several: the mean, or the middle quantile."""
    first = (outputs.shape[-1] // n_targets - 1) // 2 * n_targets
    return outputs[..., first : first + n_targets]


def _mean(values: np.ndarray, weights: Weights) -> Any:
    """The mean over samples and outputs of values (..., n, m)."""
    if weights is None:
        return values.mean(axis=(-2, -1))
    weights = weights.astype(np.float64)
    return (values.mean(axis=-1) * weights).sum(axis=-1) / weights.sum()


def class_accuracy(targets: np.ndarray, outputs: np.ndarray, weights: Weights = None) -> Any:
    """Fraction of rows whose largest output is where the largest target is."""
    right = outputs.argmax(axis=-1) == targets.argmax(axis=-1)
    return right.mean(axis=-1) if weights is None else _mean(right[..., np.newaxis], weights)


def binary_accuracy(targets: np.ndarray, outputs: np.ndarray, weights: Weights = None) -> Any:
    """Fraction of single outputs on the right side of one half."""
    return _mean((outputs > 0.5) == (targets > 0.5), weights)


def sign_accuracy(targets: np.ndarray, outputs: np.ndarray, weights: Weights = None) -> Any:
    """Fraction of single outputs on the right side of zero."""
    return _mean((outputs > 0) == (targets > 0), weights)


def r2(targets: np.ndarray, outputs: np.ndarray, weights: Weights = None) -> Any:
    """Coefficient of determination, the mean over outputs.

    Constant targets give 1.0 when met exactly and 0.0 when not, as in scikit-learn's r2_score;
    errors too large to be squared give -inf.
    """
    n = len(targets)
    with np.errstate(over="ignore", invalid="ignore"):
        errors, spread = (targets - outputs) ** 2, targets - np.add.reduce(targets, axis=0) / n
        if weights is not None:
            column = weights[:, np.newaxis].astype(np.float64)
            spread = targets - (column * targets).sum(axis=0) / column.sum()
            errors, spread = column * errors, np.sqrt(column) * spread
        residual = _sums_over_samples(errors)
        total = _sums_over_samples(spread**2)
        if not math.isfinite(total.sum()) and np.isfinite(targets).all():
            finite = np.isfinite(total)
            if not finite.all():
                largest = np.where(finite, 1, np.abs(targets).max(axis=0))
                return r2(targets / largest / n, outputs / largest / n, weights)
        if total.all():
            return (1 - residual / total).mean(axis=-1)
        constant = total == 0
        scores = 1 - residual / np.where(constant, 1, total)
        scores[..., constant] = residual[..., constant] == 0
        return scores.mean(axis=-1)


def _sums_over_samples(values: np.ndarray) -> np.ndarray:
    """Of values (..., n, m), shape (..., m): turned first, NumPy takes a fifth of the time."""
    turned = np.ascontiguousarray(np.swapaxes(values, -1, -2))
    return np.asarray(np.add.reduce(turned, axis=-1, dtype=np.float64))


@np.errstate(over="ignore")
def mean_squared_error(targets: np.ndarray, outputs: np.ndarray, weights: Weights = None) -> Any:
    """Mean over samples and outputs of (ŷ - y)²."""
    return _mean(np.square(targets - outputs, dtype=np.float64), weights)


def mean_absolute_error(targets: np.ndarray, outputs: np.ndarray, weights: Weights = None) -> Any:
    """Mean over samples and outputs of |ŷ - y|."""
    return _mean(np.abs(targets - outputs).astype(np.float64), weights)


def auc(targets: np.ndarray, outputs: np.ndarray, weights: Weights = None) -> Any:
    """Area under the ROC curve: the mean over outputs, one against the rest.

    The probability that a sample of the class (target above one half) has a larger output than one
    of the others, ties counting one half. From ranks: with p samples of the class,
    (sum of their ranks - p (p + 1) / 2) / (p (n - p)), the Mann-Whitney U statistic. NaN if an
    output has no sample of its class, or no other.
    """
    positive = targets > 0.5
    if weights is not None:
        values = np.empty(outputs.shape[:-2])
        for place in np.ndindex(values.shape):
            columns = zip(positive.T, outputs[place].T, strict=True)
            values[place] = np.mean([_weighted_auc(*column, weights) for column in columns])
        return values
    p = positive.sum(axis=0).astype(np.float64)
    pairs = p * (len(targets) - p)
    if (pairs == 0).any():
        return np.full(outputs.shape[:-2], np.nan)
    rank_sums = _rank_sums(np.swapaxes(outputs, -1, -2), positive.T)
    return ((rank_sums - p * (p + 1) / 2) / pairs).mean(axis=-1)


def _rank_sums(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The sum of the ranks of the *chosen* (m, n) among values (..., m, n), shape (..., m).

    Ranks count from 1, and equal values share their mean rank. Probabilities leave the first two of
    their 64 bits unused. Shifted by one, with *chosen* as the last, the numbers are sorted by
    themselves, in a third of the time of an ``argsort``.
    """
    values = np.array(values, np.float64, order="C")
    if values.size and values.min() >= 0.0 and values.max() < 2.0:
        bits = values.view(np.int64)
        bits <<= 1
        bits |= chosen.astype(np.int64)
        bits.sort(axis=-1)
        ranks = np.arange(1, bits.shape[-1] + 1)
        if (bits[..., 1:] - bits[..., :-1] == 1).any():  # mostly: equal ones, of both kinds
            ranks = _mean_ranks(bits >> 1)
        bits &= 1
        chosen = bits
    else:
        order = values.argsort(axis=-1)
        chosen = np.take_along_axis(np.broadcast_to(chosen, values.shape), order, -1)
        ranks = _mean_ranks(np.take_along_axis(values, order, -1))
    return np.asarray(np.einsum("...n,...n->...", chosen, ranks))


def _mean_ranks(values: np.ndarray) -> np.ndarray:
    """The ranks of sorted values (..., n)."""
    edge, places = np.ones((*values.shape[:-1], 1), bool), np.arange(values.shape[-1])
    differ = values[..., 1:] != values[..., :-1]
    begins, ends = np.concatenate([edge, differ], axis=-1), np.concatenate([differ, edge], axis=-1)
    first = np.maximum.accumulate(np.where(begins, places, 0), axis=-1)
    last = np.where(ends, places, places[-1])[..., ::-1]
    last = np.minimum.accumulate(last, axis=-1)[..., ::-1]
    return np.asarray((first + last) / 2 + 1)


def _weighted_auc(positive: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> float:
    """The same for one output, where each pair counts by the product of its weights."""
    _, places = np.unique(outputs, return_inverse=True)
    of_class, of_others = (
        np.bincount(places, weights * mask, places.max() + 1) for mask in (positive, ~positive)
    )
    below = np.cumsum(of_others) - of_others
    pairs = of_class.sum() * of_others.sum()
    return float((of_class * (below + of_others / 2)).sum() / pairs) if pairs > 0 else np.nan


#: By what the loss's targets are: the function called "accuracy".
_ACCURACIES: dict[str, Callable[..., Any]] = {
    "classes": class_accuracy,
    "unit": binary_accuracy,
    "signs": sign_accuracy,
}

_METRICS: dict[str, Callable[..., Any]] = {
    "r2": r2,
    "mean_absolute_error": mean_absolute_error,
    "mean_squared_error": mean_squared_error,
    "auc": auc,
}

#: What ``fit`` takes as ``metrics`` beside functions.
NAMES = ("accuracy", *_METRICS)
HIGHER_IS_BETTER = ("accuracy", "r2", "auc", "score")
MODES = {"auto": 0, "min": 1, "max": -1}


def sign(monitor: str, mode: str) -> int:
    """What to multiply the monitored value by so that lower is better: 1 or -1."""
    return MODES[mode] or (-1 if monitor.removeprefix("val_") in HIGHER_IS_BETTER else 1)


def usual_metric(loss: Loss) -> Metric:
    """The metric that goes with *loss*: accuracy, or r2 for regression."""
    return get_metric("accuracy" if loss.targets in _ACCURACIES else "r2", loss, "metrics")


def get_metric(metric: object, loss: Loss, argument: str) -> Metric:
    """A metric by name, or from a user's function, called by the function's name."""
    if callable(metric):
        return _metric_of_user(metric, argument)
    if not isinstance(metric, str):
        raise TypeError(f"{argument} must be a name or a function, got {describe(metric)}")
    if metric != "accuracy":
        return Metric(str(metric), find(metric, {**_METRICS, "accuracy": r2}, argument))
    if loss.targets not in _ACCURACIES:
        raise ValueError(
            f"{argument}='accuracy' is for classification, got loss={loss.name!r}; for regression "
            "there are 'r2', 'mean_absolute_error' and 'mean_squared_error'"
        )
    return Metric("accuracy", _ACCURACIES[loss.targets])


def _metric_of_user(function: Function, argument: str) -> Metric:
    name = getattr(function, "__name__", None)
    if not isinstance(name, str):
        name = type(function).__name__
    if not validation.takes(function, None, None):
        raise TypeError(
            f"{argument} must be a function of (targets, outputs), "
            f"got {name}{inspect.signature(function)}"
        )
    return Metric(name, function, of_user=True)


def get_metrics(metrics: object, loss: Loss) -> tuple[Metric, ...]:
    """The metrics that a user asked for: a list or tuple of names and functions."""
    entries = validation.listed(metrics, "metrics", "names and functions such as ['accuracy']")
    found = tuple(get_metric(metric, loss, f"metrics[{k}]") for k, metric in enumerate(entries))
    names = [metric.name for metric in found]
    for name in names:
        if name in ("loss", "val_loss", "learning_rate") or names.count(name) > 1:
            raise ValueError(f"metrics must have different names, got {name!r} twice")
    return found
