"""Derivatives with respect to the inputs on the ``numba`` engine: the kernels and their workspace.

The functions are those of `fastnn.engines.Derivatives`.
"""

import collections
import contextlib
import functools
from collections import namedtuple
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.contract import Piece, Plan, Samples, State
from fastnn.engines import StopsToRecord
from fastnn.kernels import batches, derivative_training, derivatives, second_derivatives
from fastnn.kernels.activations import Codes
from fastnn.kernels.layout import layer_table
from fastnn.kernels.recorded import Span
from fastnn.kernels.updates import has_extras, options_of
from fastnn.memory import aligned
from fastnn.optimizers import RULES

_layer_table = functools.lru_cache(maxsize=256)(layer_table)
_places = functools.lru_cache(maxsize=256)(derivatives.find_places)


def codes_of(architecture: Architecture) -> Codes:
    """The codes of all layers but softmax, and identity's, which costs nothing.

    So a network has the same kernels with its output activation and without.
    """
    codes = {activation.code for activation in architecture.activations}
    return tuple(sorted(codes - {int(derivatives.SOFTMAX)} | {0}))


class SlopedTrainer(StopsToRecord):
    """Batches, and single samples, whose loss has the error of the Jacobian in it."""

    def __init__(self, architecture: Architecture, plan: Plan):
        self._layers, self._places = _layer_table(architecture), places_of_training(architecture)
        self._options = options_of(architecture, plan)
        self._workspace = aligned(int(self._places.end), architecture.dtype)
        self._gradient = aligned(architecture.n_parameters, architecture.dtype)
        extras, rule = has_extras(architecture, plan), RULES[plan.optimizer.rule]
        self.kernel = sloped_kernel(batches.make_training, architecture, extras, rule)

    def run(self, state: State, samples: Samples, piece: Piece) -> None:
        """See `fastnn.engines.Trainer`."""
        weights = samples.weights
        data = sloped_data(
            samples, state.parameters[:0] if weights is None else weights, piece.order
        )
        self.kernel(
            self._layers,
            self._places,
            state.parameters,
            state.moments.reshape(-1),
            int(state.updates[0]),
            data,
            Span(piece.rates, piece.start, piece.stop, piece.loss_sums, piece.penalty_sums, 0),
            self._options,
            self._workspace,
            self._gradient,
            False,
        )
        updates = -(-(piece.stop - piece.start) // self._options.batch_size)
        state.updates[0] += len(piece.rates) * updates


#: Samples with their Jacobians.
_SlopedData = namedtuple("_SlopedData", "X Y weights order dydx dydx_weight")


def sloped_data(samples: Samples, weights: np.ndarray, order: np.ndarray) -> _SlopedData:
    """Samples for the kernels of training on derivatives; weights may be empty."""
    X, Y, dydx = samples.X, samples.Y, samples.dydx
    return _SlopedData(X, Y, _read_only(weights), order, dydx, samples.dydx_weight)


@functools.lru_cache(maxsize=256)
def sloped_kernel(make: Any, architecture: Architecture, extras: bool, *rule: int) -> Any:
    """What *make* makes of the gradient with the Jacobian's error."""
    output, loss, bias = architecture.activations[-1], architecture.loss, architecture.bias
    gradient = derivative_training.make_sloped_gradient(
        codes_of(architecture), output.code, loss.code, bias, extras
    )
    return make(gradient, *rule, extras)


def places_of_training(architecture: Architecture) -> derivatives.Places:
    """The places for training on derivatives."""
    return _places(architecture, architecture.sizes[0], 0, curved=True, learned=True)


def jacobian(architecture: Architecture, parameters: np.ndarray, X: np.ndarray) -> np.ndarray:
    """See `fastnn.engines.Derivatives`: by the outputs or by the inputs, whichever are fewer."""
    n_in, n_out = architecture.sizes[0], architecture.sizes[-1]
    out = _first(architecture, parameters, X, None, n_in < n_out)
    return out.reshape(len(X), n_out, n_in)


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
    out = _second(architecture, parameters, X, None, None)
    return out.reshape(len(X), n_out, n_in, n_in)


def hvp(
    architecture: Architecture,
    parameters: np.ndarray,
    X: np.ndarray,
    U: np.ndarray,
    V: np.ndarray,
) -> np.ndarray:
    """See `fastnn.engines.Derivatives`."""
    return _second(architecture, parameters, X, U, V).reshape(X.shape)


def _first(
    architecture: Architecture,
    parameters: np.ndarray,
    X: np.ndarray,
    seeds: np.ndarray | None,
    forwards: bool,
    into: np.ndarray | None = None,
) -> np.ndarray:
    kernel, layers, places, size, nothing = _ready_for_first(architecture, seeds is None, forwards)
    out = np.empty(len(X) * size, X.dtype)
    workspace = _take_workspace(places, X.dtype)
    kernel(
        layers,
        places,
        parameters,
        _read_only(X),
        nothing if seeds is None else _read_only(seeds),
        forwards,
        parameters[:0] if into is None else into,
        out,
        workspace,
    )
    _give_back(workspace)
    return out


#: A kernel, its table of layers and places, the numbers that it gives for each row, no directions.
_Ready = tuple[Any, np.ndarray, derivatives.Places, int, np.ndarray]


@functools.lru_cache(maxsize=256)
def _ready_for_first(architecture: Architecture, all_units: bool, forwards: bool) -> _Ready:
    n_in, n_out = architecture.sizes[0], architecture.sizes[-1]
    directions = (n_in if forwards else n_out) if all_units else 1
    ahead, back = (directions, 0) if forwards else (0, directions)
    return (
        derivatives.make_first(codes_of(architecture), architecture.bias),
        _layer_table(architecture),
        _places(architecture, ahead, back, curved=False),
        directions * (n_out if forwards else n_in),
        _read_only(np.empty((0, 0), architecture.dtype)),
    )


def _second(
    architecture: Architecture,
    parameters: np.ndarray,
    X: np.ndarray,
    U: np.ndarray | None,
    V: np.ndarray | None,
) -> np.ndarray:
    kernel, layers, places, size, nothing = _ready_for_second(architecture, V is None)
    out = np.empty(len(X) * size, X.dtype)
    workspace = _take_workspace(places, X.dtype)
    kernel(
        layers,
        places,
        parameters,
        _read_only(X),
        nothing if U is None else _read_only(U),
        nothing if V is None else _read_only(V),
        out,
        workspace,
    )
    _give_back(workspace)
    return out


@functools.lru_cache(maxsize=256)
def _ready_for_second(architecture: Architecture, all_units: bool) -> _Ready:
    n_in, n_out = architecture.sizes[0], architecture.sizes[-1]
    ahead, back, size = (n_in, n_out, n_out * n_in * n_in) if all_units else (1, 1, n_in)
    return (
        second_derivatives.make_second(codes_of(architecture), architecture.bias),
        _layer_table(architecture),
        _places(architecture, ahead, back, curved=True, squared=all_units),
        size,
        _read_only(np.empty((0, 0), architecture.dtype)),
    )


#: Workspaces that are not in use, of at most so many bytes. New memory takes as long as the work on
#: hundreds of rows: the system fills it with zeros.
_idle: collections.deque[np.ndarray] = collections.deque(maxlen=4)
_MOST_IDLE_BYTES = 1 << 22


def _take_workspace(places: derivatives.Places, dtype: np.dtype[Any]) -> np.ndarray:
    size = int(places.end)
    with contextlib.suppress(IndexError):
        workspace = _idle.pop()
        if workspace.size >= size and workspace.dtype == dtype:
            return workspace
    return aligned(size, dtype)


def _give_back(workspace: np.ndarray) -> None:
    if workspace.nbytes <= _MOST_IDLE_BYTES:
        _idle.append(workspace)


def _read_only(rows: np.ndarray) -> np.ndarray:
    """As samples are in training, for which `gather` is compiled."""
    view = rows.view()
    view.flags.writeable = False
    return view
