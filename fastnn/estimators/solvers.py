"""scikit-learn's stochastic optimisers as an engine runs them, and what they remember.

A fitted estimator keeps scikit-learn's own optimiser object, with its arrays in scikit-learn's
form; an engine wants them as one flat vector per moment.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

from fastnn.architecture import Architecture
from fastnn.contract import State
from fastnn.optimizers import LEAST_EPSILON, Optimizer

#: The rates come with each `fastnn.contract.Piece`, so an optimiser's own is not used.
_UNUSED_RATE = 1.0


@dataclass(frozen=True)
class RateInsideSGD(Optimizer):
    """SGD with the rate inside the velocity; a momentum of 1 is allowed."""

    momentum: float = 0.9
    nesterov: bool = True

    name: ClassVar[str] = "sgd"

    @property
    def rule(self) -> str:
        """Plain "sgd" without momentum."""
        return "momentum" if self.momentum else "sgd"

    @property
    def settings(self) -> tuple[float, ...]:
        """Momentum, Nesterov (0 or 1), weight decay, rate inside (0 or 1)."""
        return (self.momentum, float(self.nesterov), 0.0, 1.0) if self.momentum else ()


@dataclass(frozen=True)
class PlainEpsilonAdam(Optimizer):
    """Adam with epsilon added to the root that is not yet corrected."""

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    name: ClassVar[str] = "adam"

    @property
    def settings(self) -> tuple[float, ...]:
        """Beta 1, beta 2, epsilon, decay, plain epsilon (0 or 1)."""
        return (self.beta_1, self.beta_2, max(self.epsilon, LEAST_EPSILON), 0.0, 1.0)


def new_optimizer(estimator: Any) -> Any:
    """scikit-learn's optimiser object for an estimator that has its start parameters."""
    parameters = estimator.coefs_ + estimator.intercepts_
    if estimator.solver == "sgd":
        return SGDOptimizer(
            parameters,
            estimator.learning_rate_init,
            estimator.learning_rate,
            estimator.momentum,
            estimator.nesterovs_momentum,
            estimator.power_t,
        )
    return AdamOptimizer(
        parameters,
        estimator.learning_rate_init,
        estimator.beta_1,
        estimator.beta_2,
        estimator.epsilon,
    )


def settings_of(optimizer: Any) -> Optimizer:
    """What an engine has to know of scikit-learn's optimiser object."""
    if isinstance(optimizer, AdamOptimizer):
        return PlainEpsilonAdam(
            _UNUSED_RATE,
            float(optimizer.beta_1),
            float(optimizer.beta_2),
            float(optimizer.epsilon),
        )
    return RateInsideSGD(_UNUSED_RATE, float(optimizer.momentum), bool(optimizer.nesterov))


def rates(optimizer: Any, epochs: int, seen: int, n_samples: int) -> np.ndarray:
    """The rates of the next epochs, shape (epochs, 1), if nothing else changes them.

    *seen* is the number of samples trained on so far. See `fastnn.contract.Piece`.
    """
    if isinstance(optimizer, AdamOptimizer):
        return np.full((epochs, 1), float(optimizer.learning_rate_init))
    values = np.full((epochs, 1), optimizer.learning_rate)
    if optimizer.lr_schedule == "invscaling":
        start = float(optimizer.learning_rate_init)
        for e in range(1, epochs):
            values[e] = start / (seen + e * n_samples + 1) ** optimizer.power_t
    return values


def read_state(optimizer: Any, architecture: Architecture, parameters: np.ndarray) -> State:
    """The engine's state that goes on from scikit-learn's optimiser object."""
    state = State.new(parameters, settings_of(optimizer))
    if isinstance(optimizer, AdamOptimizer):
        state.updates[0] = optimizer.t
        _pack(optimizer.ms, architecture, state.moments[0])
        _pack(optimizer.vs, architecture, state.moments[1])
    elif len(state.moments):
        _pack(optimizer.velocities, architecture, state.moments[0])
        np.negative(state.moments, out=state.moments)  # scikit-learn adds its velocity
    return state


def write_state(state: State, architecture: Architecture, optimizer: Any) -> None:
    """Let scikit-learn's optimiser object remember what the engine has done."""
    if isinstance(optimizer, AdamOptimizer):
        t = optimizer.t = int(state.updates[0])
        optimizer.ms = _unpack(state.moments[0], architecture)
        optimizer.vs = _unpack(state.moments[1], architecture)
        if t > 0:
            shrunk = (1 - optimizer.beta_2**t) ** 0.5 / (1 - optimizer.beta_1**t)
            optimizer.learning_rate = optimizer.learning_rate_init * shrunk
    elif len(state.moments):
        optimizer.velocities = _unpack(-state.moments[0], architecture)


def _pack(arrays: list[np.ndarray], architecture: Architecture, vector: np.ndarray) -> None:
    for view, array in zip(_unpack(vector, architecture), arrays, strict=True):
        view[...] = array


def _unpack(vector: np.ndarray, architecture: Architecture) -> list[np.ndarray]:
    """Views in scikit-learn's order: all weights, then all biases."""
    return architecture.weight_views(vector) + architecture.bias_views(vector)
