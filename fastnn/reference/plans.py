"""What both reference engines read out of a plan: the numbers that scale a batch."""

from typing import NamedTuple

import numpy as np

from fastnn.architecture import Architecture
from fastnn.contract import Plan, Samples


class Factors(NamedTuple):
    """What a batch's sums are multiplied by."""

    #: For the sum of the samples' gradients, times their weights.
    gradient: float
    #: For the gradient of `Architecture.penalty`.
    penalty_gradient: float
    #: For what is added to `Piece.loss_sums` and ``penalty_sums``.
    loss: float
    penalty: float


def factors(
    architecture: Architecture, plan: Plan, n_samples: int, weight_sum: float | None
) -> Factors:
    """The factors of a batch of *n_samples*, whose weights have this sum (None: no weights).

    A batch whose weights sum to 0 is divided by its number of samples.
    """
    mean = architecture.reduction == "mean"
    divisor = float(n_samples) if mean else 1.0
    ratio = 1.0  # of the number of samples to the sum of their weights
    if plan.divide_by_weights:
        divisor = weight_sum or float(n_samples)
        ratio = n_samples / divisor
    penalty = float(n_samples) if mean and not plan.penalty_per_batch else 1.0
    return Factors(plan.scale / divisor, penalty / divisor, plan.scale * ratio, penalty * ratio)


def factors_of(architecture: Architecture, plan: Plan, samples: Samples) -> Factors:
    """The factors of all *samples* as one batch."""
    weights = samples.weights
    weight_sum = None if weights is None else float(weights.sum(dtype=np.float64))
    return factors(architecture, plan, len(samples), weight_sum)


def has_penalty(architecture: Architecture) -> bool:
    """True if weights are penalised."""
    return architecture.l1 > 0.0 or architecture.l2 > 0.0


def has_dropout(architecture: Architecture) -> bool:
    """True if units are dropped in training."""
    return any(rate > 0.0 for rate in architecture.dropout)


def add_penalty(
    gradient: np.ndarray, parameters: np.ndarray, architecture: Architecture, factors: Factors
) -> float:
    """Add the penalty's gradient to *gradient*; return what is to be added to the penalties."""
    if not has_penalty(architecture):
        return 0.0
    gradient += factors.penalty_gradient * architecture.penalty_gradient(parameters)
    return factors.penalty * architecture.penalty(parameters)


def is_plain(architecture: Architecture, plan: Plan) -> bool:
    """True if an update is parameters -= rate * factor * gradient, and nothing else."""
    optimizer = plan.optimizer
    clips = optimizer.clip_value is not None or optimizer.clip_norm is not None
    extras = clips or has_penalty(architecture) or architecture.max_norm > 0.0
    return optimizer.rule == "sgd" and not extras
