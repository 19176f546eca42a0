"""What ``evaluate`` reports beside the loss."""

import numpy as np

from fastnn.losses import Loss


def score(loss: Loss, targets: np.ndarray, outputs: np.ndarray) -> tuple[str, float]:
    """Name and value of the metric that goes with *loss*; arrays have shape (n, n_out)."""
    if loss.targets == "classes":
        return "accuracy", class_accuracy(targets, outputs)
    if loss.targets == "unit":
        return "accuracy", binary_accuracy(targets, outputs)
    return "r2", r2(targets, outputs)


def class_accuracy(targets: np.ndarray, outputs: np.ndarray) -> float:
    """Fraction of rows whose largest output is where the largest target is."""
    return float((outputs.argmax(axis=1) == targets.argmax(axis=1)).mean())


def binary_accuracy(targets: np.ndarray, outputs: np.ndarray) -> float:
    """Fraction of single outputs on the right side of one half."""
    return float(((outputs > 0.5) == (targets > 0.5)).mean())


@np.errstate(over="ignore", invalid="ignore")
def r2(targets: np.ndarray, outputs: np.ndarray) -> float:
    """Coefficient of determination, the mean over outputs.

    Constant targets give 1.0 when met exactly and 0.0 when not, as in scikit-learn's r2_score;
    errors too large to be squared give -inf.
    """
    residual = ((targets - outputs) ** 2).sum(axis=0, dtype=np.float64)
    total = ((targets - targets.mean(axis=0)) ** 2).sum(axis=0, dtype=np.float64)
    constant = total == 0
    scores = 1 - residual / np.where(constant, 1, total)
    scores[constant] = residual[constant] == 0
    return float(scores.mean())
