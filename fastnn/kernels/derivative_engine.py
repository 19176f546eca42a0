"""Derivatives with respect to the inputs on the ``numba`` engine: the kernels and their workspace.

The functions are those of `fastnn.engines.Derivatives`.
"""

import collections
import contextlib
import functools
from collections import namedtuple
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.contract import Samples
from fastnn.kernels import derivative_training, derivatives, second_derivatives
from fastnn.kernels.activations import Codes
from fastnn.kernels.ready import layer_table
from fastnn.kernels.recorded import Data
from fastnn.memory import aligned, frozen

_places = functools.lru_cache(maxsize=256)(derivatives.find_places)


def codes_of(architecture: Architecture) -> Codes:
    """The codes of all layers but softmax, and identity's, which costs nothing.

    So a network has the same kernels with its output activation and without.
    """
    codes = {activation.code for activation in architecture.activations}
    return tuple(sorted(codes - {int(derivatives.SOFTMAX)} | {0}))


#: Samples with their Jacobians.
_SlopedData = namedtuple("_SlopedData", "X Y weights order dydx dydx_weight")


def sloped_data(samples: Samples, data: Data) -> _SlopedData:
    """What kernels of training on derivatives get in place of *data*."""
    return _SlopedData(*data, samples.dydx, samples.dydx_weight)


@functools.lru_cache(maxsize=256)
def sloped_gradient(architecture: Architecture, extras: bool) -> Any:
    """The gradient of a batch with the Jacobian's error, for `fastnn.kernels.batches`."""
    output, loss, bias = architecture.activations[-1], architecture.loss, architecture.bias
    return derivative_training.make_sloped_gradient(
        codes_of(architecture), output.code, loss.code, bias, extras
    )


def places_of_training(architecture: Architecture) -> derivatives.Places:
    """The places for training on derivatives."""
    return _places(architecture, architecture.sizes[0], 0, curved=True, learned=True)


def jacobian(architecture: Architecture, parameters: np.ndarray, X: np.ndarray) -> np.ndarray:
    """See `fastnn.engines.Derivatives`: by the outputs or by the inputs, whichever are fewer."""
    n_in, n_out = architecture.sizes[0], architecture.sizes[-1]
    return _first(architecture, parameters, X, None, n_in < n_out).reshape(len(X), n_out, n_in)


def vjp(
    architecture: Architecture,
    parameters: np.ndarray,
    X: np.ndarray,
    V: np.ndarray,
    into: np.ndarray | None = None,
) -> np.ndarray:
    """See `fastnn.engines.Derivatives`."""
    return _first(architecture, parameters, X, V, False, into).reshape(X.shape)


def jvp(
    architecture: Architecture, parameters: np.ndarray, X: np.ndarray, U: np.ndarray
) -> np.ndarray:
    """See `fastnn.engines.Derivatives`."""
    return _first(architecture, parameters, X, U, True).reshape(len(X), architecture.sizes[-1])


def hessian(architecture: Architecture, parameters: np.ndarray, X: np.ndarray) -> np.ndarray:
    """See `fastnn.engines.Derivatives`."""
    n_in, n_out = architecture.sizes[0], architecture.sizes[-1]
    out = _run(_ready_for_second(architecture, True), parameters, X, (None, None))
    return out.reshape(len(X), n_out, n_in, n_in)


def hvp(
    architecture: Architecture,
    parameters: np.ndarray,
    X: np.ndarray,
    U: np.ndarray,
    V: np.ndarray,
) -> np.ndarray:
    """See `fastnn.engines.Derivatives`."""
    return _run(_ready_for_second(architecture, False), parameters, X, (U, V)).reshape(X.shape)


def _first(
    architecture: Architecture,
    parameters: np.ndarray,
    X: np.ndarray,
    seeds: np.ndarray | None,
    forwards: bool,
    into: np.ndarray | None = None,
) -> np.ndarray:
    ready = _ready_for_first(architecture, seeds is None, forwards)
    into = parameters[:0] if into is None else into
    return _run(ready, parameters, X, (seeds,), forwards, into)


#: A kernel, its table of layers and places, the numbers that it gives for each row, no directions.
_Ready = tuple[Any, np.ndarray, derivatives.Places, int, np.ndarray]


@functools.lru_cache(maxsize=256)
def _ready_for_first(architecture: Architecture, all_units: bool, forwards: bool) -> _Ready:
    n_in, n_out = architecture.sizes[0], architecture.sizes[-1]
    directions = (n_in if forwards else n_out) if all_units else 1
    ahead, back = (directions, 0) if forwards else (0, directions)
    return (
        derivatives.make_first(codes_of(architecture), architecture.bias),
        layer_table(architecture),
        _places(architecture, ahead, back, curved=False),
        directions * (n_out if forwards else n_in),
        frozen(np.empty((0, 0), architecture.dtype)),
    )


@functools.lru_cache(maxsize=256)
def _ready_for_second(architecture: Architecture, all_units: bool) -> _Ready:
    n_in, n_out = architecture.sizes[0], architecture.sizes[-1]
    ahead, back, size = (n_in, n_out, n_out * n_in * n_in) if all_units else (1, 1, n_in)
    return (
        second_derivatives.make_second(codes_of(architecture), architecture.bias),
        layer_table(architecture),
        _places(architecture, ahead, back, curved=True, squared=all_units),
        size,
        frozen(np.empty((0, 0), architecture.dtype)),
    )


def _run(
    ready: _Ready,
    parameters: np.ndarray,
    X: np.ndarray,
    directions: Sequence[np.ndarray | None],
    *rest: Any,
) -> np.ndarray:
    """What a kernel gives for all rows, which come to it as samples do in training."""
    kernel, layers, places, size, nothing = ready
    given = [nothing if seeds is None else frozen(seeds) for seeds in directions]
    out = np.empty(len(X) * size, X.dtype)
    workspace = _take_workspace(places, X.dtype)
    kernel(layers, places, parameters, frozen(X), *given, *rest, out, workspace)
    _give_back(workspace)
    return out


#: Workspaces that are not in use, of at most so many bytes. New memory takes as long as the work on
#: hundreds of rows: the system fills it with zeros.
_idle: collections.deque[np.ndarray] = collections.deque(maxlen=4)
_MOST_IDLE_BYTES = 1 << 22


def _take_workspace(places: derivatives.Places, dtype: np.dtype[Any]) -> np.ndarray:
    size = int(places.end)
    with contextlib.suppress(IndexError):  # another thread may take the last
        for _ in range(len(_idle)):
            workspace = _idle.pop()
            if workspace.size >= size and workspace.dtype == dtype:
                return workspace
            _idle.appendleft(workspace)
    return aligned(size, dtype)


def _give_back(workspace: np.ndarray) -> None:
    if workspace.nbytes <= _MOST_IDLE_BYTES:
        _idle.append(workspace)
