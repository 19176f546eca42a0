"""The ``numpy`` engine: the same algorithms on arrays, a batch of b samples at a time.

forward    Z = A_in W + b, A = activation(Z), shapes (b, n_out), layer by layer
backward   D = ∂loss/∂Z at the output; one layer down, D_in = (D Wᵀ) * slope
gradient   ∂loss/∂W = A_inᵀ D, ∂loss/∂b = Σ over samples of D
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastnn.architecture import Architecture
from fastnn.engines import Evaluator, Piece, Plan, Predictor, Samples, State

#: Rows handled at once in `loss` and `loss_and_gradient`, so that memory stays bounded.
BLOCK = 1024


def sigmoid(Z: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-z), by way of e^-|z| so that nothing overflows."""
    e = np.exp(-np.abs(Z))
    A: np.ndarray = np.where(Z >= 0, 1, e) / (1 + e)
    return A


def softmax(Z: np.ndarray) -> np.ndarray:
    """e^z_j / Σ_k e^z_k by rows; the largest z is taken off first, so that nothing overflows."""
    E: np.ndarray = np.exp(Z - Z.max(axis=1, keepdims=True))
    E /= E.sum(axis=1, keepdims=True)
    return E


@dataclass(frozen=True)
class Function:
    """An activation a(z) and its slope da/dz, given both z and a."""

    value: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray, np.ndarray], np.ndarray]


ACTIVATIONS = {
    "identity": Function(lambda Z: Z, lambda Z, A: np.ones_like(A)),
    "sigmoid": Function(sigmoid, lambda Z, A: A * (1 - A)),
    "tanh": Function(np.tanh, lambda Z, A: 1 - A * A),
    "relu": Function(lambda Z: np.maximum(Z, 0), lambda Z, A: (Z > 0).astype(Z.dtype)),
}


@dataclass(frozen=True)
class LossFunction:
    """Each sample's loss (Z, A, Y) -> (b,), and its gradient (A, Y) -> (b, m).

    The gradient is with respect to A, or to Z for the losses computed from logits.
    """

    value: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    gradient: Callable[[np.ndarray, np.ndarray], np.ndarray]


def _binary_cross_entropy(Z: np.ndarray, A: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """log(1 + e^z) - y z, with log(1 + e^z) = max(z, 0) + log(1 + e^-|z|)."""
    terms: np.ndarray = (np.maximum(Z, 0) - Y * Z) + np.log1p(np.exp(-np.abs(Z)))
    losses: np.ndarray = terms.mean(axis=1)
    return losses


def _cross_entropy(Z: np.ndarray, A: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """Σ y (log Σ e^z - z), the largest z taken off first."""
    top = Z.max(axis=1, keepdims=True)
    log_sum = top + np.log(np.exp(Z - top).sum(axis=1, keepdims=True))
    losses: np.ndarray = (Y * (log_sum - Z)).sum(axis=1)
    return losses


LOSSES = {
    "half_squared_error": LossFunction(
        lambda Z, A, Y: ((A - Y) ** 2).sum(axis=1) / 2, lambda A, Y: A - Y
    ),
    "squared_error": LossFunction(
        lambda Z, A, Y: ((A - Y) ** 2).mean(axis=1), lambda A, Y: 2 * (A - Y) / Y.shape[1]
    ),
    "binary_cross_entropy": LossFunction(_binary_cross_entropy, lambda A, Y: (A - Y) / Y.shape[1]),
    "cross_entropy": LossFunction(_cross_entropy, lambda A, Y: A - Y),
}


class Model:
    """An architecture with its weights as views into a flat vector."""

    def __init__(self, architecture: Architecture, vector: np.ndarray):
        self.architecture = architecture
        self.vector = vector
        self.weights = architecture.weight_views(vector)
        self.biases = architecture.bias_views(vector)

    def forward(self, X: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Weighted sums Z and outputs A of every layer; A[0] is the input itself."""
        sums: list[np.ndarray] = []
        outputs = [X]
        for k, layer in enumerate(self.architecture.layers):
            Z = outputs[-1] @ self.weights[k]
            if self.biases:
                Z += self.biases[k]
            sums.append(Z)
            name = layer.activation.name
            outputs.append(softmax(Z) if name == "softmax" else ACTIVATIONS[name].value(Z))
        return sums, outputs

    def sample_losses(self, Z: np.ndarray, A: np.ndarray, Y: np.ndarray) -> np.ndarray:
        """The loss of every sample, shape (b,), from the output layer's Z and A."""
        return LOSSES[self.architecture.loss.name].value(Z, A, Y)

    def batch_gradient(self, X: np.ndarray, Y: np.ndarray, gradient: "Model") -> float:
        """Return the sum of the samples' losses; write the sum of their gradients."""
        sums, outputs = self.forward(X)
        loss = self.architecture.loss
        D = LOSSES[loss.name].gradient(outputs[-1], Y)
        if not loss.from_logits:
            D = D * self._slope(-1, sums[-1], outputs[-1])
        for k in reversed(range(len(self.weights))):
            A = outputs[k]
            np.matmul(A.T, D, out=gradient.weights[k])
            if self.biases:
                gradient.biases[k][:] = D.sum(axis=0)
            if k > 0:
                D = (D @ self.weights[k].T) * self._slope(k - 1, sums[k - 1], A)
        return float(self.sample_losses(sums[-1], outputs[-1], Y).sum(dtype=np.float64))

    def _slope(self, k: int, Z: np.ndarray, A: np.ndarray) -> np.ndarray:
        return ACTIVATIONS[self.architecture.activations[k].name].slope(Z, A)


class _Trainer:
    def __init__(self, architecture: Architecture, samples: Samples, plan: Plan):
        self._architecture = architecture
        self._samples = samples
        self._batch_size = plan.batch_size
        self._gradient = Model(
            architecture, np.empty(architecture.n_parameters, architecture.dtype)
        )

    def run(self, state: State, piece: Piece) -> None:
        """See `fastnn.engines.Trainer`."""
        model = Model(self._architecture, state.parameters)
        for epoch, rates in enumerate(piece.rates):
            for k, first in enumerate(range(piece.start, piece.stop, self._batch_size)):
                rate = float(rates[k if len(rates) > 1 else 0])
                rows = slice(first, min(first + self._batch_size, piece.stop))
                picked = piece.order[epoch, rows] if len(piece.order) else rows
                X, Y = self._samples.X[picked], self._samples.Y[picked]
                piece.loss_sums[epoch] += model.batch_gradient(X, Y, self._gradient)
                scale = rate * self._architecture.gradient_scale(len(X))
                self._gradient.vector *= scale
                state.parameters -= self._gradient.vector
                state.updates += 1


trainer = _Trainer

#: As decorators: a result that overflows is infinite, as on the other engines, without a warning.
_overflow = np.errstate(over="ignore", invalid="ignore")


def predictor(architecture: Architecture) -> Predictor:
    """See `fastnn.engines.Engine`."""

    @_overflow
    def predict(parameters: np.ndarray, X: np.ndarray) -> np.ndarray | None:
        finite = np.isfinite(X).all()
        return layer_outputs(architecture, parameters, X)[-1] if finite else None

    return predict


@_overflow
def layer_outputs(
    architecture: Architecture, parameters: np.ndarray, X: np.ndarray
) -> list[np.ndarray]:
    """See `fastnn.engines.Engine`."""
    return Model(architecture, parameters).forward(X)[1][1:]


def _blocks(samples: Samples) -> list[tuple[np.ndarray, np.ndarray]]:
    starts = range(0, len(samples), BLOCK)
    return [(samples.X[s : s + BLOCK], samples.Y[s : s + BLOCK]) for s in starts]


def evaluator(architecture: Architecture, samples: Samples) -> Evaluator:
    """See `fastnn.engines.Engine`."""

    @_overflow
    def evaluate(parameters: np.ndarray) -> float:
        model = Model(architecture, parameters)
        total = 0.0
        for X, Y in _blocks(samples):
            sums, outputs = model.forward(X)
            total += float(model.sample_losses(sums[-1], outputs[-1], Y).sum(dtype=np.float64))
        return total

    return evaluate


@_overflow
def loss_and_gradient(
    architecture: Architecture, parameters: np.ndarray, samples: Samples
) -> tuple[float, np.ndarray]:
    """See `fastnn.engines.Engine`."""
    model = Model(architecture, parameters)
    gradient = np.zeros_like(parameters)
    part = Model(architecture, np.empty_like(parameters))
    total = 0.0
    for X, Y in _blocks(samples):
        total += model.batch_gradient(X, Y, part)
        gradient += part.vector
    return total, gradient
