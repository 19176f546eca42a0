"""The ``numpy`` engine: the same algorithms on arrays, a batch of b samples at a time.

forward    Z = A_in W + b, A = activation(Z), shapes (b, n_out), layer by layer
backward   D = ∂loss/∂Z at the output; one layer down, D_in = (D Wᵀ) * slope
gradient   ∂loss/∂W = A_inᵀ D, ∂loss/∂b = Σ over samples of D

Sparse inputs are SciPy's matrices here, of which the same products can be had.

The activations and losses are in ``vectors_functions.py``, the optimisers and what comes with
them in ``vectors_updates.py``.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.contract import Piece, Plan, Samples, State, quiet
from fastnn.engines import (
    Differentiator,
    Evaluator,
    Predictor,
    StopsToRecord,
    losses_one_by_one,
    outputs_one_by_one,
)
from fastnn.memory import MOST_BYTES
from fastnn.reference import plans, random, vectors_derivatives
from fastnn.reference import vectors_updates as updates
from fastnn.reference.vectors_functions import ACTIVATIONS, loss_function, softmax
from fastnn.sparse import AnyRows, SparseRows

#: Rows handled at once in `loss` and the gradient, so that memory stays bounded.
BLOCK = 1024


class Model:
    """An architecture with its weights as views into a flat vector."""

    def __init__(self, architecture: Architecture, vector: np.ndarray):
        self.architecture = architecture
        self.vector = vector
        self.weights = architecture.weight_views(vector)
        self.biases = architecture.bias_views(vector)

    def forward(
        self, X: Any, kept: list[np.ndarray] | None = None
    ) -> tuple[list[Any], list[np.ndarray], list[np.ndarray]]:
        """Inputs, weighted sums Z and outputs A of every layer.

        A layer's outputs are the next one's inputs, multiplied by *kept*, the factors of dropout.
        """
        inputs: list[Any] = []
        sums: list[np.ndarray] = []
        outputs: list[np.ndarray] = []
        A = X
        for k, layer in enumerate(self.architecture.layers):
            inputs.append(A)
            Z = A @ self.weights[k]
            if self.biases:
                Z += self.biases[k]
            sums.append(Z)
            name = layer.activation.name
            A = softmax(Z) if name == "softmax" else ACTIVATIONS[name].value(Z)
            outputs.append(A)
            if kept is not None and k < len(kept):
                A = A * kept[k]
        return inputs, sums, outputs

    def sample_losses(self, Z: np.ndarray, A: np.ndarray, Y: np.ndarray) -> np.ndarray:
        """The loss of every sample, shape (b,), from the output layer's Z and A."""
        return loss_function(self.architecture.loss).value(Z, A, Y)

    def loss(self, samples: Samples) -> float:
        """The sum of the samples' losses, times their weights."""
        _, sums, outputs = self.forward(samples.X)
        return _weighted_sum(self.sample_losses(sums[-1], outputs[-1], samples.Y), samples.weights)

    def batch_gradient(
        self,
        samples: Samples,
        gradient: "Model",
        kept: list[np.ndarray] | None = None,
    ) -> float:
        """Return the sum of the samples' losses; write the sum of their gradients.

        *kept* are the factors of dropout.
        """
        if samples.dydx is not None:
            return self.sloped_gradient(samples, gradient)
        X, Y, weights = samples.X, samples.Y, samples.weights
        inputs, sums, outputs = self.forward(X, kept)
        loss = self.architecture.loss
        D = loss_function(loss).gradient(outputs[-1], Y)
        if weights is not None:
            D *= weights[:, None]
        if not loss.from_logits:
            D = D * self._slope(-1, sums[-1], outputs[-1])
        for k in reversed(range(len(self.weights))):
            if isinstance(inputs[k], np.ndarray):
                np.matmul(inputs[k].T, D, out=gradient.weights[k])
            else:
                gradient.weights[k][...] = inputs[k].T @ D
            if self.biases:
                gradient.biases[k][:] = D.sum(axis=0)
            if k > 0:
                D = (D @ self.weights[k].T) * self._slope(k - 1, sums[k - 1], outputs[k - 1])
                if kept is not None:
                    D *= kept[k - 1]
        return _weighted_sum(self.sample_losses(sums[-1], outputs[-1], Y), weights)

    def sloped_gradient(self, samples: Samples, gradient: "Model") -> float:
        """The same of samples with ``dydx``, the error of whose Jacobians is in their loss."""

        def differentiate(Z: np.ndarray, A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            loss = self.architecture.loss
            D = loss_function(loss).gradient(A, samples.Y)
            if samples.weights is not None:
                D = D * samples.weights[:, None]
            if not loss.from_logits:
                D = D * self._slope(-1, Z, A)
            return self.sample_losses(Z, A, samples.Y), D

        return vectors_derivatives.sloped_gradient(
            self.architecture, self.vector, samples, differentiate, gradient.vector
        )

    def _slope(self, k: int, Z: np.ndarray, A: np.ndarray) -> np.ndarray:
        return ACTIVATIONS[self.architecture.activations[k].name].slope(Z, A)


def _weighted_sum(losses: np.ndarray, weights: np.ndarray | None) -> float:
    """In float64."""
    if weights is not None:
        losses = losses * weights
    return float(losses.sum(dtype=np.float64))


#: Its work changes nothing but arrays, which Ctrl-C must not find half changed.
may_be_left = False
#: Networks are trained one after another.
blocks = None
shuffler = random.shuffler
derivatives = vectors_derivatives


class _Trainer(StopsToRecord):
    def __init__(self, architecture: Architecture, plan: Plan):
        self._architecture = architecture
        self._plan = plan
        self._gradient = Model(
            architecture, np.empty(architecture.n_parameters, architecture.dtype)
        )
        self._settings = plan.optimizer.settings_in(architecture.dtype)
        self._drops = plans.has_dropout(architecture)
        self._is_plain = plans.is_plain(architecture, plan)
        self._full_batch = plans.factors(architecture, plan, plan.batch_size, None)

    def run(self, state: State, samples: Samples, piece: Piece) -> None:
        """See `fastnn.engines.Trainer`."""
        model = Model(self._architecture, state.parameters)
        samples = _readable(samples)
        for epoch, rates in enumerate(piece.rates):
            for k, first in enumerate(range(piece.start, piece.stop, self._plan.batch_size)):
                rate = float(rates[k if len(rates) > 1 else 0])
                rows = slice(first, min(first + self._plan.batch_size, piece.stop))
                batch = samples.at(piece.order[epoch, rows] if len(piece.order) else rows)
                kept = None
                if self._drops:
                    update = int(state.updates[0])
                    kept = updates.dropout_factors(
                        self._architecture, self._plan, update, len(batch)
                    )
                loss = model.batch_gradient(batch, self._gradient, kept)
                factors = self._factors(batch)
                piece.loss_sums[epoch] += factors.loss * loss
                if self._is_plain:
                    self._gradient.vector *= rate * factors.gradient
                    state.parameters -= self._gradient.vector
                else:
                    piece.penalty_sums[epoch] += self._update(model, state, rate, factors)
                state.updates += 1

    def _factors(self, batch: Samples) -> plans.Factors:
        if batch.weights is None and len(batch) == self._plan.batch_size:
            return self._full_batch
        return plans.factors_of(self._architecture, self._plan, batch)

    def _update(self, model: Model, state: State, rate: float, factors: plans.Factors) -> float:
        """One update from the gradient's sum, as `fastnn.contract.Plan` has it.

        Returns what is to be added to `Piece.penalty_sums`.
        """
        architecture, optimizer = self._architecture, self._plan.optimizer
        p, g = state.parameters, self._gradient.vector
        g *= factors.gradient
        penalty = plans.add_penalty(g, p, architecture, factors)
        if optimizer.clip_value is not None:
            updates.clip_value(g, optimizer.clip_value)
        if optimizer.clip_norm is not None:
            updates.clip_norm(g, optimizer.clip_norm)
        t = int(state.updates[0]) + 1
        updates.RULES[optimizer.rule](p, g, state.moments, rate, t, self._settings)
        if architecture.max_norm > 0.0:
            updates.limit_norms(model.weights, architecture.max_norm)
        return penalty


trainer = _Trainer


def learner(architecture: Architecture, plan: Plan, state: State) -> None:
    """See `fastnn.engines.Engine`."""


def single_predictor(architecture: Architecture, state: State) -> None:
    """See `fastnn.engines.Engine`."""


def row_seconds(architecture: Architecture, plan: Plan) -> float:
    """See `fastnn.engines.Engine`."""
    seconds = 2e-4 / plan.batch_size + 1e-8 * architecture.n_parameters
    return seconds * (1 + 2 * architecture.sizes[0]) if plan.sloped else seconds


def predictor(architecture: Architecture, sparse: bool = False) -> Predictor:
    """See `fastnn.engines.Engine`."""

    @quiet
    def predict(parameters: np.ndarray, X: AnyRows) -> np.ndarray | None:
        if isinstance(X, np.ndarray) and not np.isfinite(X).all():
            return None
        rows = _rows_at_once(architecture, len(X))
        parts = []
        for first in range(0, len(X), rows):
            layers = layer_outputs(architecture, parameters, X[first : first + rows])
            if layers is None:
                return None
            parts.append(layers[-1])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    return predict


#: See `fastnn.engines.Engine`.
each_output = partial(outputs_one_by_one, predictor)


@quiet
def layer_outputs(
    architecture: Architecture, parameters: np.ndarray, X: AnyRows
) -> list[np.ndarray] | None:
    """See `fastnn.engines.Engine`."""
    layers = Model(architecture, parameters).forward(_as_matrix(X))[2]
    return None if any(np.isnan(outputs).any() for outputs in layers) else layers


def _as_matrix(X: AnyRows) -> Any:
    return X.to_scipy() if isinstance(X, SparseRows) else X


def _readable(samples: Samples) -> Samples:
    """The samples, with a sparse X as SciPy's matrix."""
    return replace(samples, X=_as_matrix(samples.X)) if samples.sparse else samples


def _rows_at_once(architecture: Architecture, most: int) -> int:
    """How many rows, at most *most*, are handled in `MOST_BYTES`."""
    row_bytes = 4 * sum(architecture.sizes) * architecture.dtype.itemsize  # Z, A, D, slopes
    return max(1, min(most, MOST_BYTES // row_bytes))


def _blocks(architecture: Architecture, samples: Samples) -> list[Samples]:
    """The samples in parts of at most `BLOCK` rows."""
    step = _rows_at_once(architecture, BLOCK)
    if samples.dydx is not None:
        step = max(1, step // (2 * architecture.sizes[0]))
    parts = (samples.at(slice(s, s + step)) for s in range(0, len(samples), step))
    return [_readable(part) for part in parts]


def evaluator(architecture: Architecture, weighted: bool, sparse: bool = False) -> Evaluator:
    """See `fastnn.engines.Engine`."""

    @quiet
    def evaluate(parameters: np.ndarray, samples: Samples) -> float:
        model = Model(architecture, parameters)
        return sum((model.loss(block) for block in _blocks(architecture, samples)), 0.0)

    return evaluate


#: See `fastnn.engines.Engine`.
each_loss = partial(losses_one_by_one, evaluator)


def differentiator(architecture: Architecture, plan: Plan) -> Differentiator:
    """See `fastnn.engines.Engine`."""
    return partial(_differentiate, architecture, plan)


@quiet
def _differentiate(
    architecture: Architecture, plan: Plan, parameters: np.ndarray, samples: Samples
) -> tuple[float, float, np.ndarray]:
    model = Model(architecture, parameters)
    gradient = np.zeros_like(parameters)
    part = Model(architecture, np.empty_like(parameters))
    total = 0.0
    for block in _blocks(architecture, samples):
        total += model.batch_gradient(block, part)
        gradient += part.vector
    factors = plans.factors_of(architecture, plan, samples)
    gradient *= factors.gradient
    penalty = plans.add_penalty(gradient, parameters, architecture, factors)
    return factors.loss * total, penalty, gradient
