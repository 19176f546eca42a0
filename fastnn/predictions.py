"""Predictions of many networks for the same rows: `predict_many`."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fastnn import validation
from fastnn.architecture import Architecture
from fastnn.contract import quiet
from fastnn.engines import get_engine
from fastnn.memory import memory_for
from fastnn.names import short
from fastnn.network import Network
from fastnn.sparse import AnyRows, SparseRows

#: Parameters or outputs that are copied at once.
MOST_NUMBERS = 1 << 17
#: By one call go at least so many networks that are alike, for which it takes some 20 µs to set up,
#: of at most so many parameters: to copy more takes longer than calls.
FEW, MOST_TOGETHER = 8, 1 << 13


@quiet
def predict_many(networks: Sequence[Network], X: Any) -> np.ndarray:
    """Outputs of each network for each row of *X*.

    Networks of the same architecture are computed by one call of compiled code.

    Parameters
    ----------
    networks : sequence of Network
        All with the same number of inputs, and of outputs; of any other architecture, dtype and
        engine. One may occur several times.
    X : array-like, shape (n, n_inputs)

    Returns
    -------
    ndarray, shape (n_networks, n, n_outputs)
        ``predict(X)`` of each network; float64 if any network is.

    Raises
    ------
    ValueError, TypeError
        If something in *networks* is no network, or not like the first; if there is none; if X is
        not a finite numeric array of that shape, or an output is not a number (NaN).
    MemoryError
        If the outputs do not fit into memory.

    Examples
    --------
    >>> import fastnn
    >>> networks = [fastnn.Network([4, 16, 2], seed=seed) for seed in range(5)]
    >>> fastnn.predict_many(networks, [[0, 1, 2, 3], [3, 2, 1, 0]]).shape
    (5, 2, 2)
    """
    members = _networks(networks)
    architectures = [network._architecture for network in members]
    n_in, n_out = _ends(architectures[0])
    dtypes = {architecture.dtype for architecture in {id(a): a for a in architectures}.values()}
    dtype = np.result_type(*dtypes)
    inputs = {own: validation.features(X, n_in, own) for own in dtypes}
    shape = (len(members), len(inputs[dtype]), n_out)
    with memory_for("the outputs, of shape {}, do not fit into memory", shape):
        values = np.empty(shape, dtype)
    for numbers in _alike(members):
        first = members[numbers[0]]
        _fill(members, numbers, inputs[first.dtype], values)
    return values


def _networks(value: Any) -> list[Network]:
    """At least one network, and all with the same ends."""
    networks = validation.listed(value, "networks", "networks")
    if not networks:
        raise ValueError("networks must hold at least one network, got an empty list")
    for k, network in enumerate(networks):
        if not isinstance(network, Network):
            raise TypeError(f"networks[{k}] must be a fastnn.Network, got {short(network)}")
    first = networks[0]._architecture
    for k, network in enumerate(networks):
        own = network._architecture
        if own is not first and _ends(own) != _ends(first):
            raise ValueError(
                "networks must have the same number of inputs and of outputs: networks[0] has "
                "{} and {}, networks[{}] has {} and {}".format(*_ends(first), k, *_ends(own))
            )
    return networks


def _ends(architecture: Architecture) -> tuple[int, int]:
    return architecture.sizes[0], architecture.sizes[-1]


def _alike(networks: list[Network]) -> Iterable[list[int]]:
    """The numbers of those that have equal architectures and the same engine."""
    known: dict[Any, list[int]] = {}  # by what is found quickly: equal ones are mostly the same
    alike: dict[Any, list[int]] = {}
    for k, network in enumerate(networks):
        own = network._engine_name, id(network._architecture)
        if own not in known:
            known[own] = alike.setdefault((network._engine_name, network._architecture), [])
        known[own].append(k)
    return alike.values()


def _fill(networks: list[Network], numbers: list[int], X: AnyRows, values: np.ndarray) -> None:
    """Fill the values of some that are alike."""
    architecture = networks[numbers[0]]._architecture
    if len(numbers) < FEW or architecture.n_parameters > MOST_TOGETHER:
        for k in numbers:
            predict = networks[k]._predictor_for(isinstance(X, SparseRows))
            outputs = predict(networks[k]._state.parameters, X)
            if outputs is None:
                raise _complaint(networks, k)
            values[k] = outputs
    else:
        _fill_together(networks, numbers, X, values)


def _fill_together(
    networks: list[Network], numbers: list[int], X: AnyRows, values: np.ndarray
) -> None:
    """The same by one call for many networks, whose parameters are copied side by side."""
    first, n_outputs = networks[numbers[0]], values[0].size
    architecture = first._architecture
    fill = get_engine(first._engine_name).each_output(architecture, isinstance(X, SparseRows))
    at_once = max(1, MOST_NUMBERS // max(architecture.n_parameters, n_outputs))
    in_place, room = len(numbers) == len(values), values[:0]
    if not in_place:
        room = np.empty((min(at_once, len(numbers)), *values.shape[1:]), architecture.dtype)
    for start in range(0, len(numbers), at_once):
        some = numbers[start : start + at_once]
        outputs = values[start : start + at_once] if in_place else room[: len(some)]
        vectors = np.array([networks[k]._state.parameters for k in some])
        well = fill(vectors, X, outputs)
        if not well.all():
            raise _complaint(networks, some[int(well.argmin())])
        if not in_place:
            values[some] = outputs


def _complaint(networks: list[Network], k: int) -> ValueError:
    """Of an output of network k that is not a number."""
    validation.finite_parameters(networks[k].parameters, f"networks[{k}].parameters")
    return validation.too_large("X")
