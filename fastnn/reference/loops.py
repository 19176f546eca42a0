"""The ``python`` engine: lists and floats, written to be read.

A network's weights are a list of layers; ``W[i][j]`` leads from unit i of one layer to unit j of
the next, ``b[j]`` is the bias of unit j. For one sample x:

    forward    z_j = b_j + Σ_i x_i W_ij,  a_j = activation(z_j), layer by layer
    backward   d_j = ∂loss/∂z_j at the output; one layer down, d_i = slope_i Σ_j W_ij d_j
    gradient   ∂loss/∂W_ij = a_i d_j, ∂loss/∂b_j = d_j

With dtype float32 the arithmetic here is still Python's float64; the weights are rounded to
float32 after every update.
"""

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import exp, log, log1p, tanh

import numpy as np

from fastnn.architecture import Architecture
from fastnn.engines import Evaluator, Piece, Plan, Predictor, Samples, State

Vector = list[float]
Matrix = list[Vector]


def sigmoid(z: Vector) -> Vector:
    """1 / (1 + e^-z), as e^z where e^-z would overflow."""
    return [1.0 / (1.0 + exp(-z_j)) if z_j > -700.0 else exp(z_j) for z_j in z]


def softmax(z: Vector) -> Vector:
    """e^z_j / Σ_k e^z_k; the largest z is taken off first, so that nothing overflows."""
    top = max(z)
    exps = [exp(z_j - top) for z_j in z]
    total = sum(exps)
    return [e / total for e in exps]


@dataclass(frozen=True)
class Function:
    """An activation a(z) of all units of a layer, and their slopes da/dz given z and a."""

    value: Callable[[Vector], Vector]
    slope: Callable[[Vector, Vector], Vector]


ACTIVATIONS = {
    "identity": Function(lambda z: z, lambda z, a: [1.0] * len(z)),
    "sigmoid": Function(sigmoid, lambda z, a: [a_j * (1.0 - a_j) for a_j in a]),
    "tanh": Function(
        lambda z: [tanh(z_j) for z_j in z], lambda z, a: [1.0 - a_j * a_j for a_j in a]
    ),
    "relu": Function(
        lambda z: [z_j if z_j > 0.0 else 0.0 for z_j in z],
        lambda z, a: [1.0 if z_j > 0.0 else 0.0 for z_j in z],
    ),
}


# Losses of one sample from z, the outputs a and the targets y, each with its gradient: with
# respect to a for the first two, to z for the two that are computed from logits.


def half_squared_error(z: Vector, a: Vector, y: Vector) -> float:
    """½ Σ (a - y)²."""
    return 0.5 * sum((a_j - y_j) * (a_j - y_j) for a_j, y_j in zip(a, y, strict=True))


def half_squared_error_gradient(a: Vector, y: Vector) -> Vector:
    """∂/∂a_j ½ Σ (a - y)² = a_j - y_j."""
    return [a_j - y_j for a_j, y_j in zip(a, y, strict=True)]


def squared_error(z: Vector, a: Vector, y: Vector) -> float:
    """(1/m) Σ (a - y)²."""
    return sum((a_j - y_j) * (a_j - y_j) for a_j, y_j in zip(a, y, strict=True)) / len(a)


def squared_error_gradient(a: Vector, y: Vector) -> Vector:
    """∂/∂a_j (1/m) Σ (a - y)² = (2/m) (a_j - y_j)."""
    return [2.0 * (a_j - y_j) / len(a) for a_j, y_j in zip(a, y, strict=True)]


def binary_cross_entropy(z: Vector, a: Vector, y: Vector) -> float:
    """(1/m) Σ log(1 + e^z) - y z, with log(1 + e^z) = max(z, 0) + log(1 + e^-|z|)."""
    return sum(
        (max(z_j, 0.0) - y_j * z_j) + log1p(exp(-abs(z_j))) for z_j, y_j in zip(z, y, strict=True)
    ) / len(z)


def binary_cross_entropy_gradient(a: Vector, y: Vector) -> Vector:
    """∂/∂z_j (1/m) Σ log(1 + e^z) - y z = (1/m) (a_j - y_j)."""
    return [(a_j - y_j) / len(a) for a_j, y_j in zip(a, y, strict=True)]


def cross_entropy(z: Vector, a: Vector, y: Vector) -> float:
    """log Σ e^z - Σ y z, the largest z taken off first; Σ y = 1."""
    top = max(z)
    log_sum = top + log(sum(exp(z_j - top) for z_j in z))
    return sum(y_j * (log_sum - z_j) for z_j, y_j in zip(z, y, strict=True))


def cross_entropy_gradient(a: Vector, y: Vector) -> Vector:
    """∂/∂z_j (log Σ e^z - Σ y z) = a_j - y_j, as Σ y = 1."""
    return [a_j - y_j for a_j, y_j in zip(a, y, strict=True)]


@dataclass(frozen=True)
class LossFunction:
    """A sample's loss (z, a, y) -> float, and its gradient (a, y) -> one number per output."""

    value: Callable[[Vector, Vector, Vector], float]
    gradient: Callable[[Vector, Vector], Vector]


LOSSES = {
    "half_squared_error": LossFunction(half_squared_error, half_squared_error_gradient),
    "squared_error": LossFunction(squared_error, squared_error_gradient),
    "binary_cross_entropy": LossFunction(binary_cross_entropy, binary_cross_entropy_gradient),
    "cross_entropy": LossFunction(cross_entropy, cross_entropy_gradient),
}


class Model:
    """An architecture with its weights as nested lists."""

    def __init__(self, architecture: Architecture, vector: Iterable[float]):
        self.architecture = architecture
        flat = [float(v) for v in vector]
        self.weights: list[Matrix] = []
        self.biases: list[Vector] = []
        for layer in architecture.layers:
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

    def forward(self, x: Vector) -> tuple[Matrix, Matrix]:
        """Weighted sums z and outputs a of every layer; outputs[0] is the input itself."""
        sums: Matrix = []
        outputs = [x]
        for layer, W, b in zip(self.architecture.layers, self.weights, self.biases, strict=True):
            z = b
            for a_i, row in zip(outputs[-1], W, strict=True):
                z = [z_j + a_i * w for z_j, w in zip(z, row, strict=True)]
            sums.append(z)
            name = layer.activation.name
            outputs.append(softmax(z) if name == "softmax" else ACTIVATIONS[name].value(z))
        return sums, outputs

    def loss(self, z: Vector, a: Vector, y: Vector) -> float:
        """The loss of one sample, from the output layer's z and a."""
        return LOSSES[self.architecture.loss.name].value(z, a, y)

    def backward(self, sums: Matrix, outputs: Matrix, y: Vector) -> Matrix:
        """∂loss/∂z of one sample in every layer."""
        loss = self.architecture.loss
        d = LOSSES[loss.name].gradient(outputs[-1], y)
        if not loss.from_logits:
            d = self._through_activation(-1, d, sums[-1], outputs[-1])
        gradients = [d]
        for k in range(len(self.weights) - 1, 0, -1):
            back = [
                sum([w * d_j for w, d_j in zip(row, d, strict=True)]) for row in self.weights[k]
            ]
            d = self._through_activation(k - 1, back, sums[k - 1], outputs[k])
            gradients.insert(0, d)
        return gradients

    def _through_activation(self, k: int, d: Vector, z: Vector, a: Vector) -> Vector:
        """From ∂loss/∂a to ∂loss/∂z in layer k."""
        slopes = ACTIVATIONS[self.architecture.activations[k].name].slope(z, a)
        return [d_j * slope for d_j, slope in zip(d, slopes, strict=True)]

    def round_to_dtype(self) -> None:
        """Round the weights to the architecture's dtype."""
        if self.architecture.dtype == np.float32:
            for W, b in zip(self.weights, self.biases, strict=True):
                W[:] = [array("f", row).tolist() for row in W]
                b[:] = array("f", b).tolist()

    def add_outer(self, outputs: Matrix, gradients: Matrix, scale: float) -> None:
        """W_ij += scale a_i d_j and b_j += scale d_j: a gradient's sum, or a step with -rate."""
        for W, b, a, d in zip(self.weights, self.biases, outputs, gradients, strict=False):
            scaled = [scale * d_j for d_j in d]
            for i, a_i in enumerate(a):
                W[i] = [w + a_i * d_j for w, d_j in zip(W[i], scaled, strict=True)]
            if self.architecture.bias:
                b[:] = [b_j + d_j for b_j, d_j in zip(b, scaled, strict=True)]

    def step(self, gradient: "Model", rate: float) -> None:
        """Gradient descent: every weight goes down by rate times its gradient."""
        for W, dW in zip(self.weights, gradient.weights, strict=True):
            for i, row in enumerate(dW):
                W[i] = [w - rate * d for w, d in zip(W[i], row, strict=True)]
        for b, db in zip(self.biases, gradient.biases, strict=True):
            b[:] = [b_j - rate * d for b_j, d in zip(b, db, strict=True)]


def batch_gradient(model: Model, X: Matrix, Y: Matrix) -> tuple[float, Model]:
    """Sum of the samples' losses and of their gradients."""
    architecture = model.architecture
    gradient = Model(architecture, [0.0] * architecture.n_parameters)
    total = 0.0
    for x, y in zip(X, Y, strict=True):
        sums, outputs = model.forward(x)
        total += model.loss(sums[-1], outputs[-1], y)
        gradient.add_outer(outputs, model.backward(sums, outputs, y), 1.0)
    return total, gradient


def descend_sample(model: Model, x: Vector, y: Vector, rate: float) -> float:
    """One step of per-sample SGD; the sample's loss before it."""
    sums, outputs = model.forward(x)
    total = model.loss(sums[-1], outputs[-1], y)
    model.add_outer(outputs, model.backward(sums, outputs, y), -rate)
    model.round_to_dtype()
    return total


def descend_batch(model: Model, X: Matrix, Y: Matrix, rate: float) -> float:
    """One step of gradient descent; the sum of the samples' losses before it."""
    total, gradient = batch_gradient(model, X, Y)
    model.step(gradient, rate * model.architecture.gradient_scale(len(X)))
    model.round_to_dtype()
    return total


class _Trainer:
    def __init__(self, architecture: Architecture, samples: Samples, plan: Plan):
        self._architecture = architecture
        self._samples = samples
        self._batch_size = plan.batch_size

    def run(self, state: State, piece: Piece) -> None:
        """See `fastnn.engines.Trainer`."""
        model = Model(self._architecture, state.parameters)
        for epoch, rates in enumerate(piece.rates):
            for k, first in enumerate(range(piece.start, piece.stop, self._batch_size)):
                rate = float(rates[k if len(rates) > 1 else 0])
                rows = slice(first, min(first + self._batch_size, piece.stop))
                picked = piece.order[epoch, rows] if len(piece.order) else rows
                X, Y = self._samples.X[picked].tolist(), self._samples.Y[picked].tolist()
                if self._batch_size == 1:
                    piece.loss_sums[epoch] += descend_sample(model, X[0], Y[0], rate)
                else:
                    piece.loss_sums[epoch] += descend_batch(model, X, Y, rate)
                state.updates += 1
        state.parameters[:] = model.to_flat()


trainer = _Trainer


def predictor(architecture: Architecture) -> Predictor:
    """See `fastnn.engines.Engine`."""

    def predict(parameters: np.ndarray, X: np.ndarray) -> np.ndarray | None:
        finite = np.isfinite(X).all()
        return layer_outputs(architecture, parameters, X)[-1] if finite else None

    return predict


def layer_outputs(
    architecture: Architecture, parameters: np.ndarray, X: np.ndarray
) -> list[np.ndarray]:
    """See `fastnn.engines.Engine`."""
    model = Model(architecture, parameters)
    per_sample = [model.forward(x)[1][1:] for x in X.tolist()]
    return [
        np.array([outputs[k] for outputs in per_sample], dtype=architecture.dtype).reshape(
            len(X), layer.n_out
        )
        for k, layer in enumerate(architecture.layers)
    ]


def evaluator(architecture: Architecture, samples: Samples) -> Evaluator:
    """See `fastnn.engines.Engine`."""
    X, Y = samples.X.tolist(), samples.Y.tolist()

    def evaluate(parameters: np.ndarray) -> float:
        model = Model(architecture, parameters)
        total = 0.0
        for x, y in zip(X, Y, strict=True):
            sums, outputs = model.forward(x)
            total += model.loss(sums[-1], outputs[-1], y)
        return total

    return evaluate


def loss_and_gradient(
    architecture: Architecture, parameters: np.ndarray, samples: Samples
) -> tuple[float, np.ndarray]:
    """See `fastnn.engines.Engine`."""
    model = Model(architecture, parameters)
    total, gradient = batch_gradient(model, samples.X.tolist(), samples.Y.tolist())
    return total, np.array(gradient.to_flat(), dtype=architecture.dtype)
