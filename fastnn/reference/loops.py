"""The ``python`` engine: lists and floats, written to be read.

A network's weights are a list of layers; ``W[i][j]`` leads from unit i of one layer to unit j of
the next, ``b[j]`` is the bias of unit j. For one sample x:

    forward    z_j = b_j + Σ_i x_i W_ij,  a_j = activation(z_j), layer by layer
    backward   d_j = ∂loss/∂z_j at the output; one layer down, d_i = slope_i Σ_j W_ij d_j
    gradient   ∂loss/∂W_ij = a_i d_j, ∂loss/∂b_j = d_j

With dtype float32 the arithmetic here is still Python's float64; only what is handed
back is rounded to float32.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from fastnn.architecture import Architecture
from fastnn.engines import Piece, Samples

Vector = list[float]
Matrix = list[Vector]


def sigmoid(z: float) -> float:
    """1 / (1 + e^-z), without overflow for large negative z."""
    if z >= 0.0:
        return 1.0 / (1.0 + math.exp(-z))
    e = math.exp(z)
    return e / (1.0 + e)


def softmax(z: Vector) -> Vector:
    """e^z_j / Σ_k e^z_k; the largest z is taken off first, so that nothing overflows."""
    top = max(z)
    exps = [math.exp(z_j - top) for z_j in z]
    total = sum(exps)
    return [e / total for e in exps]


@dataclass(frozen=True)
class Function:
    """An activation a(z) and its slope da/dz, given both z and a."""

    value: Callable[[float], float]
    slope: Callable[[float, float], float]


ACTIVATIONS = {
    "identity": Function(lambda z: z, lambda z, a: 1.0),
    "sigmoid": Function(sigmoid, lambda z, a: a * (1.0 - a)),
    "tanh": Function(math.tanh, lambda z, a: 1.0 - a * a),
    "relu": Function(lambda z: max(z, 0.0), lambda z, a: 1.0 if z > 0.0 else 0.0),
}


# Losses of one sample from z, the outputs a and the targets y, each with its gradient: with
# respect to a for the first two, to z for the two that are computed from logits.


def half_squared_error(z: Vector, a: Vector, y: Vector) -> float:
    """½ Σ (a - y)²."""
    return 0.5 * sum((a_j - y_j) ** 2 for a_j, y_j in zip(a, y, strict=True))


def half_squared_error_gradient(a: Vector, y: Vector) -> Vector:
    """∂/∂a_j ½ Σ (a - y)² = a_j - y_j."""
    return [a_j - y_j for a_j, y_j in zip(a, y, strict=True)]


def squared_error(z: Vector, a: Vector, y: Vector) -> float:
    """(1/m) Σ (a - y)²."""
    return sum((a_j - y_j) ** 2 for a_j, y_j in zip(a, y, strict=True)) / len(a)


def squared_error_gradient(a: Vector, y: Vector) -> Vector:
    """∂/∂a_j (1/m) Σ (a - y)² = (2/m) (a_j - y_j)."""
    return [2.0 * (a_j - y_j) / len(a) for a_j, y_j in zip(a, y, strict=True)]


def binary_cross_entropy(z: Vector, a: Vector, y: Vector) -> float:
    """(1/m) Σ log(1 + e^z) - y z, with log(1 + e^z) = max(z, 0) + log(1 + e^-|z|)."""
    return sum(
        max(z_j, 0.0) + math.log1p(math.exp(-abs(z_j))) - y_j * z_j
        for z_j, y_j in zip(z, y, strict=True)
    ) / len(z)


def binary_cross_entropy_gradient(a: Vector, y: Vector) -> Vector:
    """∂/∂z_j (1/m) Σ log(1 + e^z) - y z = (1/m) (a_j - y_j)."""
    return [(a_j - y_j) / len(a) for a_j, y_j in zip(a, y, strict=True)]


def cross_entropy(z: Vector, a: Vector, y: Vector) -> float:
    """log Σ e^z - Σ y z, the largest z taken off first; Σ y = 1."""
    top = max(z)
    log_sum = top + math.log(sum(math.exp(z_j - top) for z_j in z))
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

    def __init__(self, architecture: Architecture, vector: Iterable[float] | None = None):
        self.architecture = architecture
        flat = [0.0] * architecture.n_parameters if vector is None else [float(v) for v in vector]
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
        """Weighted sums z and outputs a of every layer; a[0] is the input itself."""
        zs: Matrix = []
        outputs = [x]
        for layer, W, b in zip(self.architecture.layers, self.weights, self.biases, strict=True):
            z = list(b)
            for a_i, row in zip(outputs[-1], W, strict=True):
                for j, w in enumerate(row):
                    z[j] += a_i * w
            zs.append(z)
            name = layer.activation.name
            if name == "softmax":
                outputs.append(softmax(z))
            else:
                value = ACTIVATIONS[name].value
                outputs.append([value(z_j) for z_j in z])
        return zs, outputs

    def loss(self, z: Vector, a: Vector, y: Vector) -> float:
        """The loss of one sample, from the output layer's z and a."""
        return LOSSES[self.architecture.loss.name].value(z, a, y)

    def backward(self, zs: Matrix, outputs: Matrix, y: Vector, gradient: "Model") -> None:
        """Add the gradient of one sample's loss to *gradient*."""
        loss = self.architecture.loss
        d = LOSSES[loss.name].gradient(outputs[-1], y)
        if not loss.from_logits:
            d = self._through_activation(-1, d, zs[-1], outputs[-1])
        for k in reversed(range(len(self.weights))):
            W, a = self.weights[k], outputs[k]
            for a_i, row in zip(a, gradient.weights[k], strict=True):
                for j, d_j in enumerate(d):
                    row[j] += a_i * d_j
            for j, d_j in enumerate(d):
                gradient.biases[k][j] += d_j
            if k > 0:
                back = [sum(w * d_j for w, d_j in zip(row, d, strict=True)) for row in W]
                d = self._through_activation(k - 1, back, zs[k - 1], a)

    def _through_activation(self, k: int, d: Vector, z: Vector, a: Vector) -> Vector:
        """From ∂loss/∂a to ∂loss/∂z in layer k."""
        slope = ACTIVATIONS[self.architecture.activations[k].name].slope
        return [d_j * slope(z_j, a_j) for d_j, z_j, a_j in zip(d, z, a, strict=True)]

    def step(self, gradient: "Model", rate: float) -> None:
        """Gradient descent: every weight goes down by rate times its gradient."""
        for W, dW in zip(self.weights, gradient.weights, strict=True):
            for row, d_row in zip(W, dW, strict=True):
                for j, d in enumerate(d_row):
                    row[j] -= rate * d
        if self.architecture.bias:
            for b, db in zip(self.biases, gradient.biases, strict=True):
                for j, d in enumerate(db):
                    b[j] -= rate * d


def batch_gradient(model: Model, X: Sequence[Vector], Y: Sequence[Vector]) -> tuple[float, Model]:
    """Sum of the samples' losses and of their gradients."""
    gradient = Model(model.architecture)
    total = 0.0
    for x, y in zip(X, Y, strict=True):
        zs, outputs = model.forward(x)
        total += model.loss(zs[-1], outputs[-1], y)
        model.backward(zs, outputs, y, gradient)
    return total, gradient


class _Trainer:
    def __init__(self, architecture: Architecture, samples: Samples, batch_size: int):
        self._architecture = architecture
        self._samples = samples
        self._batch_size = batch_size

    def run(self, parameters: np.ndarray, piece: Piece) -> None:
        """See `fastnn.engines.Trainer`."""
        model = Model(self._architecture, parameters)
        for epoch, rate in enumerate(piece.rates.tolist()):
            for first in range(piece.start, piece.stop, self._batch_size):
                rows = slice(first, min(first + self._batch_size, piece.stop))
                picked = piece.order[epoch, rows] if len(piece.order) else rows
                X, Y = self._samples.X[picked].tolist(), self._samples.Y[picked].tolist()
                total, gradient = batch_gradient(model, X, Y)
                model.step(gradient, rate * self._architecture.gradient_scale(len(X)))
                piece.loss_sums[epoch] += total
        parameters[:] = model.to_flat()


trainer = _Trainer


def predict(architecture: Architecture, parameters: np.ndarray, X: np.ndarray) -> np.ndarray:
    """See `fastnn.engines.Engine`."""
    return layer_outputs(architecture, parameters, X)[-1]


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


def loss(architecture: Architecture, parameters: np.ndarray, samples: Samples) -> float:
    """See `fastnn.engines.Engine`."""
    model = Model(architecture, parameters)
    total = 0.0
    for x, y in zip(samples.X.tolist(), samples.Y.tolist(), strict=True):
        zs, outputs = model.forward(x)
        total += model.loss(zs[-1], outputs[-1], y)
    return total


def loss_and_gradient(
    architecture: Architecture, parameters: np.ndarray, samples: Samples
) -> tuple[float, np.ndarray]:
    """See `fastnn.engines.Engine`."""
    model = Model(architecture, parameters)
    total, gradient = batch_gradient(model, samples.X.tolist(), samples.Y.tolist())
    return total, np.array(gradient.to_flat(), dtype=architecture.dtype)
