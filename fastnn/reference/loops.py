"""The ``python`` engine: lists and floats, written to be read.

A network's weights are a list of layers; ``W[i][j]`` leads from unit i of one layer to unit j of
the next, ``b[j]`` is the bias of unit j. For one sample x:

    forward    z_j = b_j + Σ_i x_i W_ij,  a_j = activation(z_j), layer by layer
    backward   d_j = ∂loss/∂z_j at the output; one layer down, d_i = slope_i Σ_j W_ij d_j
    gradient   ∂loss/∂W_ij = a_i d_j, ∂loss/∂b_j = d_j

Of a sparse sample only the entries that are there take part in the sums over i: x is then a list of
pairs, i and x_i.

With dtype float32 the arithmetic here is still Python's float64; the weights and moments are
rounded to float32 after every update. The activations and losses are in ``loops_functions.py``,
the optimisers and what comes with them in ``loops_updates.py``.
"""

from array import array
from collections.abc import Iterable, Sequence
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
from fastnn.reference import loops_derivatives, plans, random
from fastnn.reference import loops_updates as updates
from fastnn.reference.loops_functions import ACTIVATIONS, Matrix, Vector, loss_function, softmax
from fastnn.sparse import AnyRows, SparseRows

#: The inputs of a sample, all in order or as pairs.
Inputs = Vector | list[tuple[int, float]]


class Model:
    """An architecture with its weights as nested lists."""

    def __init__(self, architecture: Architecture, vector: Iterable[float]):
        self.architecture = architecture
        self.weights: list[Matrix] = []
        self.biases: list[Vector] = []
        self.set_flat([float(v) for v in vector])

    def set_flat(self, flat: Vector) -> None:
        """Take the weights from a flat parameter vector."""
        self.weights, self.biases = [], []
        for layer in self.architecture.layers:
            w = flat[layer.weights]
            self.weights.append(
                [w[i * layer.n_out : (i + 1) * layer.n_out] for i in range(layer.n_in)]
            )
            self.biases.append(flat[layer.bias] if layer.bias else [0.0] * layer.n_out)

    def to_flat(self) -> Vector:
        """The weights in the order of the flat parameter vector."""
        flat: Vector = []
        for W, b in zip(self.weights, self.biases, strict=True):
            for row in W:
                flat.extend(row)
            if self.architecture.bias:
                flat.extend(b)
        return flat

    def forward(self, x: Inputs, kept: Matrix | None = None) -> tuple[list[Inputs], Matrix, Matrix]:
        """Inputs, weighted sums z and outputs a of every layer.

        A layer's outputs are the next one's inputs, multiplied by *kept*, the factors of dropout.
        """
        inputs: list[Inputs] = [x]
        sums, outputs = [], []
        for k, (W, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            z = b
            for i, a_i in _pairs(inputs[-1]):
                z = [z_j + a_i * w for z_j, w in zip(z, W[i], strict=True)]
            name = self.architecture.activations[k].name
            a = softmax(z) if name == "softmax" else ACTIVATIONS[name].value(z)
            sums.append(z)
            outputs.append(a)
            if kept is not None and k < len(kept):
                a = [a_j * kept_j for a_j, kept_j in zip(a, kept[k], strict=True)]
            inputs.append(a)
        return inputs[:-1], sums, outputs

    def loss(self, z: Vector, a: Vector, y: Vector) -> float:
        """The loss of one sample, from the output layer's z and a."""
        return loss_function(self.architecture.loss).value(z, a, y)

    def backward(
        self, sums: Matrix, outputs: Matrix, y: Vector, kept: Matrix | None = None
    ) -> Matrix:
        """∂loss/∂z of one sample in every layer."""
        d = self._of_output(sums[-1], outputs[-1], y)
        gradients = [d]
        for k in range(len(self.weights) - 1, 0, -1):
            back = [
                sum([w * d_j for w, d_j in zip(row, d, strict=True)]) for row in self.weights[k]
            ]
            if kept is not None:
                back = [d_j * kept_j for d_j, kept_j in zip(back, kept[k - 1], strict=True)]
            d = self._through_activation(k - 1, back, sums[k - 1], outputs[k - 1])
            gradients.insert(0, d)
        return gradients

    def _of_output(self, z: Vector, a: Vector, y: Vector) -> Vector:
        """∂loss/∂z of one sample in the output layer."""
        loss = self.architecture.loss
        d = loss_function(loss).gradient(a, y)
        return d if loss.from_logits else self._through_activation(-1, d, z, a)

    def _through_activation(self, k: int, d: Vector, z: Vector, a: Vector) -> Vector:
        """From ∂loss/∂a to ∂loss/∂z in layer k."""
        slopes = ACTIVATIONS[self.architecture.activations[k].name].slope(z, a)
        return [d_j * slope for d_j, slope in zip(d, slopes, strict=True)]

    def add_gradient(
        self, into: "Model", sample: Samples, scale: float, kept: Matrix | None = None
    ) -> float:
        """Add scale times the gradient of one sample to *into*'s weights; return its loss.

        *into* is where gradients are summed, or this model itself, for a step of SGD: then
        *scale* is minus the rate.
        """
        (x,), (y,) = _samples_in(sample.X), sample.Y.tolist()
        if sample.dydx is not None:
            return self._add_sloped_gradient(into, x, y, sample, scale)
        inputs, sums, outputs = self.forward(x, kept)
        loss = self.loss(sums[-1], outputs[-1], y)
        into.add_outer(inputs, self.backward(sums, outputs, y, kept), scale)
        return loss

    def _add_sloped_gradient(
        self, into: "Model", x: Vector, y: Vector, sample: Samples, scale: float
    ) -> float:
        """The same with the error of the Jacobian in the loss."""
        passage = loops_derivatives.Passage(self.architecture, self.weights, self.biases, x)
        loss = self.loss(passage.sums[-1], passage.values[-1], y)
        of_loss = self._of_output(passage.sums[-1], passage.values[-1], y)
        assert sample.dydx is not None
        dydx = sample.dydx.reshape(len(of_loss), len(x)).tolist()
        more, of_sums, of_tangents = loops_derivatives.gradients_with_jacobian(
            passage, of_loss, dydx, sample.dydx_weight
        )
        into.add_outer(passage.inputs, of_sums, scale)
        for tangents, gradients in of_tangents:
            into.add_outer(tangents, gradients, scale, of_weights_only=True)
        return loss + more

    def add_outer(
        self,
        inputs: Sequence[Inputs],
        gradients: Matrix,
        scale: float,
        of_weights_only: bool = False,
    ) -> None:
        """W_ij += scale a_i d_j and b_j += scale d_j."""
        for W, b, a, d in zip(self.weights, self.biases, inputs, gradients, strict=True):
            scaled = [scale * d_j for d_j in d]
            for i, a_i in _pairs(a):
                W[i] = [w + a_i * d_j for w, d_j in zip(W[i], scaled, strict=True)]
            if self.architecture.bias and not of_weights_only:
                b[:] = [b_j + d_j for b_j, d_j in zip(b, scaled, strict=True)]

    def round_to_dtype(self) -> None:
        """Round the weights to the architecture's dtype."""
        if self.architecture.dtype == np.float32:
            for W, b in zip(self.weights, self.biases, strict=True):
                W[:] = [array("f", row).tolist() for row in W]
                b[:] = array("f", b).tolist()


def _pairs(x: Inputs) -> Iterable[tuple[int, Any]]:
    return x if x and isinstance(x[0], tuple) else enumerate(x)


def _samples_in(X: AnyRows) -> list[Any]:
    """The inputs of each sample."""
    return X.pairs() if isinstance(X, SparseRows) else X.tolist()


def batch_gradient(
    model: Model, samples: Samples, kept: list[Matrix] | None = None
) -> tuple[float, Model]:
    """Sum of the samples' losses and of their gradients, each times the sample's weight.

    *kept* are the factors of dropout, for each sample.
    """
    architecture = model.architecture
    gradient = Model(architecture, [0.0] * architecture.n_parameters)
    total = 0.0
    for s, weight in enumerate(_weights(samples)):
        sample = samples.at(slice(s, s + 1))
        loss = model.add_gradient(gradient, sample, weight, kept[s] if kept is not None else None)
        total += weight * loss
    return total, gradient


def _weights(samples: Samples) -> Vector:
    """The samples' weights; without any, 1 for each."""
    return [1.0] * len(samples) if samples.weights is None else samples.weights.tolist()


#: Its work is on lists of its own; an exception leaves the state as it was.
may_be_left = True
#: Networks are trained one after another.
blocks = None
shuffler = random.shuffler
derivatives = loops_derivatives


class _Trainer(StopsToRecord):
    def __init__(self, architecture: Architecture, plan: Plan):
        self._architecture = architecture
        self._plan = plan
        self._settings = list(plan.optimizer.settings_in(architecture.dtype))
        self._drops = plans.has_dropout(architecture)
        self._directly = plan.batch_size == 1 and plans.is_plain(architecture, plan)

    def run(self, state: State, samples: Samples, piece: Piece) -> None:
        """See `fastnn.engines.Trainer`."""
        model = Model(self._architecture, state.parameters)
        moments = state.moments.tolist()
        for epoch, rates in enumerate(piece.rates):
            for k, first in enumerate(range(piece.start, piece.stop, self._plan.batch_size)):
                rate = float(rates[k if len(rates) > 1 else 0])
                rows = slice(first, min(first + self._plan.batch_size, piece.stop))
                batch = samples.at(piece.order[epoch, rows] if len(piece.order) else rows)
                update = int(state.updates[0])
                if self._directly:
                    loss, penalty = self._descend_sample(model, batch, rate, update), 0.0
                else:
                    loss, penalty = self._update(model, moments, batch, rate, update)
                piece.loss_sums[epoch] += loss
                piece.penalty_sums[epoch] += penalty
                state.updates += 1
        state.parameters[:] = model.to_flat()
        for row, moment in zip(state.moments, moments, strict=True):
            row[:] = moment

    def _kept(self, batch: Samples, update: int) -> list[Matrix] | None:
        """The factors of dropout for each sample of the batch; None without dropout."""
        if not self._drops:
            return None
        return [
            updates.dropout_factors(self._architecture, self._plan, update, place)
            for place in range(len(batch))
        ]

    def _descend_sample(self, model: Model, batch: Samples, rate: float, update: int) -> float:
        """One step of plain SGD with one sample, without a vector for its gradient; its loss."""
        (weight,) = _weights(batch)
        factors = plans.factors(self._architecture, self._plan, 1, weight)
        kept = self._kept(batch, update)
        scale = -rate * factors.gradient * weight
        loss = model.add_gradient(model, batch, scale, kept[0] if kept is not None else None)
        model.round_to_dtype()
        return factors.loss * weight * loss

    def _update(
        self, model: Model, moments: Matrix, batch: Samples, rate: float, update: int
    ) -> tuple[float, float]:
        """One update, step by step as `fastnn.contract.Plan` has them; loss and penalty before."""
        architecture, optimizer = self._architecture, self._plan.optimizer
        total, gradient = batch_gradient(model, batch, self._kept(batch, update))
        factors = plans.factors(architecture, self._plan, len(batch), sum(_weights(batch)))
        p = model.to_flat()
        g = [factors.gradient * g_k for g_k in gradient.to_flat()]
        penalty = 0.0
        if plans.has_penalty(architecture):
            penalty = updates.penalty(p, architecture)
            updates.add_penalty_gradient(g, p, architecture, factors.penalty_gradient)
        if optimizer.clip_value is not None:
            updates.clip_value(g, optimizer.clip_value)
        if optimizer.clip_norm is not None:
            updates.clip_norm(g, optimizer.clip_norm)
        updates.RULES[optimizer.rule](p, g, moments, rate, update + 1, self._settings)
        if architecture.max_norm > 0.0:
            updates.limit_norms(p, architecture)
        model.set_flat(p)
        model.round_to_dtype()
        if architecture.dtype == np.float32:
            moments[:] = [array("f", moment).tolist() for moment in moments]
        return factors.loss * total, factors.penalty * penalty


trainer = _Trainer


def learner(architecture: Architecture, plan: Plan, state: State) -> None:
    """See `fastnn.engines.Engine`."""


def single_predictor(architecture: Architecture, state: State) -> None:
    """See `fastnn.engines.Engine`."""


def row_seconds(architecture: Architecture, plan: Plan) -> float:
    """See `fastnn.engines.Engine`."""
    return 1e-5 + 1e-6 * architecture.n_parameters


def predictor(architecture: Architecture, sparse: bool = False) -> Predictor:
    """See `fastnn.engines.Engine`."""

    def predict(parameters: np.ndarray, X: AnyRows) -> np.ndarray | None:
        well = not isinstance(X, np.ndarray) or np.isfinite(X).all()
        outputs = layer_outputs(architecture, parameters, X) if well else None
        return outputs[-1] if outputs is not None else None

    return predict


#: See `fastnn.engines.Engine`.
each_output = partial(outputs_one_by_one, predictor)


@quiet
def layer_outputs(
    architecture: Architecture, parameters: np.ndarray, X: AnyRows
) -> list[np.ndarray] | None:
    """See `fastnn.engines.Engine`."""
    model = Model(architecture, parameters)
    per_sample = [model.forward(x)[2] for x in _samples_in(X)]
    layers = [
        np.array([outputs[k] for outputs in per_sample], dtype=architecture.dtype).reshape(
            len(X), layer.n_out
        )
        for k, layer in enumerate(architecture.layers)
    ]
    return None if any(np.isnan(outputs).any() for outputs in layers) else layers


def evaluator(architecture: Architecture, weighted: bool, sparse: bool = False) -> Evaluator:
    """See `fastnn.engines.Engine`."""

    def evaluate(parameters: np.ndarray, samples: Samples) -> float:
        model = Model(architecture, parameters)
        total = 0.0
        X, Y = _samples_in(samples.X), samples.Y.tolist()
        for x, y, weight in zip(X, Y, _weights(samples), strict=True):
            _, sums, outputs = model.forward(x)
            total += weight * model.loss(sums[-1], outputs[-1], y)
        return total

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
    total, summed = batch_gradient(model, samples)
    factors = plans.factors_of(architecture, plan, samples)
    gradient = np.array(summed.to_flat(), dtype=architecture.dtype) * architecture.dtype.type(
        factors.gradient
    )
    penalty = plans.add_penalty(gradient, parameters, architecture, factors)
    return factors.loss * total, penalty, gradient
