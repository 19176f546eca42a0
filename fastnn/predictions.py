"""Predictions of many networks for the same rows: `predict_many`."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import validation
from fastnn.contract import quiet
from fastnn.engines import get_engine
from fastnn.memory import memory_for
from fastnn.names import short
from fastnn.network import Network
from fastnn.sparse import AnyRows


@quiet
def predict_many(networks: Sequence[Network], X: Any) -> np.ndarray:
    """Outputs of each network for each row of *X*.

    Networks of the same activations, of any widths, are computed together.

    Parameters
    ----------
    networks : sequence of Network
        All with the same number of inputs, and of outputs; of any other architecture, dtype and
        engine. One may occur several times.
    X : array-like, shape (n, n_inputs)

    Returns
    -------
    ndarray, shape (n_networks, n, n_outputs)
        ``predict(X)`` of each network, to rounding; float64 if any network is.

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
    n_in, n_out = _ends(members[0])
    dtype = np.result_type(*{network.dtype for network in members})
    inputs = validation.features(X, n_in, dtype)
    shape = (len(members), len(inputs), n_out)
    with memory_for("the outputs, of shape {}, do not fit into memory", shape):
        values = np.empty(shape, dtype)
    together = defaultdict(list)
    for k, network in enumerate(members):
        together[network.engine, network.dtype].append(k)
    for numbers in together.values():
        if not _fill([members[k] for k in numbers], numbers, inputs, values):
            for k in numbers:
                validation.finite_parameters(members[k].parameters, f"networks[{k}].parameters")
            raise validation.too_large("X")
    return values


def _networks(value: Any) -> list[Network]:
    """At least one network, and all with the same ends."""
    networks = validation.listed(value, "networks", "networks")
    if not networks:
        raise ValueError("networks must hold at least one network, got an empty list")
    for k, network in enumerate(networks):
        if not isinstance(network, Network):
            raise TypeError(f"networks[{k}] must be a fastnn.Network, got {short(network)}")
    expected = _ends(networks[0])
    for k, network in enumerate(networks):
        if _ends(network) != expected:
            raise ValueError(
                "networks must have the same number of inputs and of outputs: networks[0] has "
                "{} and {}, networks[{}] has {} and {}".format(*expected, k, *_ends(network))
            )
    return networks


def _ends(network: Network) -> tuple[int, int]:
    return network.layer_sizes[0], network.layer_sizes[-1]


def _fill(networks: list[Network], numbers: list[int], X: AnyRows, values: np.ndarray) -> bool:
    """Fill the values of networks of one engine and dtype; see `fastnn.engines.Engine`."""
    first = networks[0]
    whole = len(numbers) == len(values)
    own = values if whole else np.empty((len(numbers), *values.shape[1:]), first.dtype)
    inputs = validation.features(X, X.shape[1], first.dtype)
    well = get_engine(first.engine).fill_outputs(
        [network._architecture for network in networks],
        [network.parameters for network in networks],
        inputs,
        own,
    )
    if not whole:
        values[numbers] = own
    return well
