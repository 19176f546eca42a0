"""The ``numba`` engine: chooses the kernels for a network and gives them their workspace."""

import functools
import itertools
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.engines import Piece, Samples
from fastnn.kernels import batches, one_hidden, outputs, samples
from fastnn.kernels.activations import MIXED
from fastnn.kernels.layout import layer_table

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
    return np.empty(samples.workspace_size(_layer_table(architecture)), architecture.dtype)


def _sample_kernel(architecture: Architecture) -> tuple[Any, int]:
    """The kernel for per-sample SGD, and how large a workspace it needs."""
    layers = _layer_table(architecture)
    codes = _codes(architecture)
    if len(layers) != 2:
        return samples.make_train_samples(*codes), samples.workspace_size(layers)
    n_in, n_hidden, n_out = architecture.sizes
    merged = n_out == 1 and n_in <= one_hidden.MOST_MERGED_INPUTS
    train = one_hidden.make_train_one_hidden(
        *codes,
        merged=merged,
        n_in=1 if merged and n_in == 1 else 0,
        wide=n_hidden >= one_hidden.WIDE_FROM,
    )
    return train, one_hidden.workspace_size(layers)


class _Trainer:
    def __init__(self, architecture: Architecture, data: Samples, batch_size: int):
        self._samples = data
        self._layers = _layer_table(architecture)
        self._extra: tuple[Any, ...] = ()
        if batch_size == 1:
            self._kernel, size = _sample_kernel(architecture)
        else:
            mean = architecture.reduction == "mean"
            self._kernel = batches.make_train_batches(*_codes(architecture), mean)
            size = samples.workspace_size(self._layers)
            self._extra = (batch_size, np.empty(architecture.n_parameters, architecture.dtype))
        self._workspace = np.empty(size, architecture.dtype)
        nothing = Piece(np.ones(1), np.empty((0, len(data)), np.int64), 0, 0, np.zeros(1))
        self.run(np.zeros(architecture.n_parameters, architecture.dtype), nothing)  # compiles

    def run(self, parameters: np.ndarray, piece: Piece) -> None:
        """See `fastnn.engines.Trainer`."""
        self._kernel(
            self._layers,
            parameters,
            self._samples.X,
            self._samples.Y,
            piece.order,
            piece.rates,
            piece.start,
            piece.stop,
            piece.loss_sums,
            self._workspace,
            *self._extra,
        )


trainer = _Trainer


def predict(architecture: Architecture, parameters: np.ndarray, X: np.ndarray) -> np.ndarray:
    """See `fastnn.engines.Engine`."""
    return layer_outputs(architecture, parameters, X)[-1].copy()


def layer_outputs(
    architecture: Architecture, parameters: np.ndarray, X: np.ndarray
) -> list[np.ndarray]:
    """See `fastnn.engines.Engine`."""
    run = outputs.make_layer_outputs(*_codes(architecture))
    values = np.empty((len(X), sum(architecture.sizes)), architecture.dtype)
    Y = np.zeros((len(X), architecture.sizes[-1]), architecture.dtype)
    Y.flags.writeable = False
    run(_layer_table(architecture), parameters, X, Y, values, _workspace(architecture))
    ends = np.cumsum(architecture.sizes)
    return [values[:, a:b] for a, b in itertools.pairwise(ends)]


def loss(architecture: Architecture, parameters: np.ndarray, data: Samples) -> float:
    """See `fastnn.engines.Engine`."""
    run = outputs.make_layer_outputs(*_codes(architecture))
    values = np.empty((0, 0), architecture.dtype)
    workspace = _workspace(architecture)
    layers = _layer_table(architecture)
    return float(run(layers, parameters, data.X, data.Y, values, workspace))


def loss_and_gradient(
    architecture: Architecture, parameters: np.ndarray, data: Samples
) -> tuple[float, np.ndarray]:
    """See `fastnn.engines.Engine`."""
    run = batches.make_loss_and_gradient(*_codes(architecture))
    gradient = np.empty_like(parameters)
    workspace = _workspace(architecture)
    layers = _layer_table(architecture)
    total = run(layers, parameters, data.X, data.Y, gradient, workspace)
    return float(total), gradient
