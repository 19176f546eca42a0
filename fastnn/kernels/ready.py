"""What all trainers and predictors of the ``numba`` engine need to give their kernels."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.contract import Samples
from fastnn.kernels import blocks, layout
from fastnn.kernels.activations import Codes
from fastnn.kernels.recorded import Data
from fastnn.kernels.sparse import entries_of
from fastnn.memory import aligned, frozen
from fastnn.sparse import AnyRows, SparseRows

layer_table = functools.lru_cache(maxsize=256)(layout.layer_table)
places = functools.lru_cache(maxsize=256)(blocks.find_places)


@functools.lru_cache(maxsize=256)
def codes(architecture: Architecture) -> tuple[Codes, int, int, bool]:
    """What kernels are compiled for: hidden and output activation, loss, biases."""
    hidden = {activation.code for activation in architecture.activations[:-1]}
    return (
        tuple(sorted(hidden)) or (0,),
        architecture.activations[-1].code,
        architecture.loss.code,
        architecture.bias,
    )


def new_scratch(size: int, architecture: Architecture) -> np.ndarray:
    """Memory for what a kernel writes; what is in it does not matter."""
    return aligned(size, architecture.dtype)


def workspaces(
    size: int, architecture: Architecture
) -> tuple[Callable[[], np.ndarray], Callable[[np.ndarray], None]]:
    """How a call takes a workspace, and puts it back: as many as there are threads at once."""
    idle: list[np.ndarray] = []
    pop = idle.pop

    def take() -> np.ndarray:
        try:
            return pop()
        except IndexError:
            return new_scratch(size, architecture)

    return take, idle.append


def slopes_need_z(architecture: Architecture) -> bool:
    """Whether slopes of hidden units cannot be told from their values."""
    return any(activation.slope_needs_z for activation in architecture.activations[:-1])


def keeps_slopes(architecture: Architecture) -> bool:
    """Whether training has to keep the slopes of hidden units."""
    return slopes_need_z(architecture) or any(architecture.dropout)


def data_for(samples: Samples, architecture: Architecture, order: np.ndarray) -> Data:
    """Samples and an order of them as kernels get them."""
    return Data(inputs_of(samples.X), samples.Y, weights_of(samples, architecture), order)


def inputs_of(X: AnyRows) -> Any:
    """X as kernels get it."""
    return entries_of(X) if isinstance(X, SparseRows) else X


def weights_of(samples: Samples, architecture: Architecture) -> np.ndarray:
    """The samples' weights, read-only; without any, an empty vector."""
    if samples.weights is None:
        return no_weights(architecture.dtype)
    return frozen(samples.weights)


@functools.cache
def no_weights(dtype: np.dtype[Any]) -> np.ndarray:
    """Weights of samples that have none."""
    return _read_only(0, dtype)


def _read_only(shape: Any, dtype: np.dtype[Any]) -> np.ndarray:
    """Zeros, in an array of the type that samples have in kernels."""
    zeros = np.zeros(shape, dtype)
    zeros.flags.writeable = False
    return zeros


def blank_samples(
    architecture: Architecture, weighted: bool, sparse: bool, n: int = 0, sloped: bool = False
) -> Samples:
    """Samples to compile a kernel with."""
    n_in, dtype = architecture.sizes[0], architecture.dtype
    return Samples(
        SparseRows.without_entries(n, n_in, dtype) if sparse else _read_only((n, n_in), dtype),
        _read_only((n, architecture.target_columns), dtype),
        _read_only(n, dtype) if weighted else None,
        _read_only((n, n_in * architecture.sizes[-1]), dtype) if sloped else None,
    )


#: The kernels compiled in this process, and the dtypes they are compiled for.
_COMPILED: set[tuple[Any, np.dtype[Any]]] = set()


def compile_once(kernel: Any, architecture: Architecture, run: Callable[[np.ndarray], Any]) -> None:
    """Compile *kernel*, unless it is, by a *run* on a blank sample or none, parameters zero."""
    compiled_for = (kernel, architecture.dtype)
    if compiled_for not in _COMPILED:
        run(np.zeros(architecture.n_parameters, architecture.dtype))
        _COMPILED.add(compiled_for)
