"""The ``numba`` engine: chooses the kernels for a network and gives them their workspace."""

import functools

import numpy as np

from fastnn.architecture import Architecture
from fastnn.engines import Piece, Samples
from fastnn.kernels.activations import MIXED
from fastnn.kernels.batches import make_loss_and_gradient, make_train_batches
from fastnn.kernels.layout import layer_table
from fastnn.kernels.outputs import make_layer_outputs
from fastnn.kernels.samples import make_train_samples, workspace_size

_layer_table = functools.lru_cache(maxsize=256)(layer_table)


def _codes(architecture: Architecture) -> tuple[int, int, int, bool]:
    """What kernels are compiled for: hidden and output activation, loss, biases."""
    hidden = {activation.code for activation in architecture.activations[:-1]}
    return (
        hidden.pop() if len(hidden) == 1 else MIXED if hidden else 0,
        architecture.activations[-1].code,
        architecture.loss.code,
        architecture.bias,
    )


def _workspace(architecture: Architecture) -> np.ndarray:
    return np.empty(workspace_size(_layer_table(architecture)), architecture.dtype)


class _Trainer:
    def __init__(self, architecture: Architecture, samples: Samples, batch_size: int):
        self._architecture = architecture
        self._samples = samples
        self._batch_size = batch_size
        self._layers = _layer_table(architecture)
        self._workspace = _workspace(architecture)
        self._gradient = np.empty(architecture.n_parameters, architecture.dtype)
        nothing = Piece(np.ones(1), np.empty((0, len(samples)), np.int64), 0, 0, np.zeros(1))
        self.run(np.zeros(architecture.n_parameters, architecture.dtype), nothing)  # compiles

    def run(self, parameters: np.ndarray, piece: Piece) -> None:
        """See `fastnn.engines.Trainer`."""
        X, Y = self._samples.X, self._samples.Y
        if self._batch_size == 1:
            train = make_train_samples(*_codes(self._architecture))
            train(self._layers, parameters, X, Y, piece.order, piece.rates, piece.start,
                  piece.stop, piece.loss_sums, self._workspace)  # fmt: skip
            return
        mean = self._architecture.reduction == "mean"
        train = make_train_batches(*_codes(self._architecture), mean)
        train(self._layers, parameters, X, Y, piece.order, piece.rates, self._batch_size,
              piece.start, piece.stop, piece.loss_sums, self._gradient, self._workspace)  # fmt: skip


trainer = _Trainer


def predict(architecture: Architecture, parameters: np.ndarray, X: np.ndarray) -> np.ndarray:
    """See `fastnn.engines.Engine`."""
    return layer_outputs(architecture, parameters, X)[-1].copy()


def layer_outputs(
    architecture: Architecture, parameters: np.ndarray, X: np.ndarray
) -> list[np.ndarray]:
    """See `fastnn.engines.Engine`."""
    run = make_layer_outputs(*_codes(architecture))
    values = np.empty((len(X), sum(architecture.sizes)), architecture.dtype)
    Y = np.zeros((len(X), architecture.sizes[-1]), architecture.dtype)
    Y.flags.writeable = False
    run(_layer_table(architecture), parameters, X, Y, values, _workspace(architecture))
    ends = np.cumsum(architecture.sizes)
    return [values[:, a:b] for a, b in zip(ends[:-1], ends[1:], strict=True)]


def loss(architecture: Architecture, parameters: np.ndarray, samples: Samples) -> float:
    """See `fastnn.engines.Engine`."""
    run = make_layer_outputs(*_codes(architecture))
    values = np.empty((0, 0), architecture.dtype)
    workspace = _workspace(architecture)
    layers = _layer_table(architecture)
    return float(run(layers, parameters, samples.X, samples.Y, values, workspace))


def loss_and_gradient(
    architecture: Architecture, parameters: np.ndarray, samples: Samples
) -> tuple[float, np.ndarray]:
    """See `fastnn.engines.Engine`."""
    run = make_loss_and_gradient(*_codes(architecture))
    gradient = np.empty_like(parameters)
    workspace = _workspace(architecture)
    layers = _layer_table(architecture)
    total = run(layers, parameters, samples.X, samples.Y, gradient, workspace)
    return float(total), gradient
