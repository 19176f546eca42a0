"""Predictions of many networks, or of one with many vectors of parameters."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.kernels.llvm import lanes_of_register
from fastnn.kernels.many_engine import Outputs, places_in, widest_of
from fastnn.memory import aligned

#: Bytes of parameters that are laid out by lanes at once.
MOST_PACKED = 1 << 20
#: Networks of more are computed faster one after another.
MOST_PARAMETERS = 1 << 14
_ALONE = None


def fill_outputs(
    architectures: Sequence[Architecture],
    vectors: Sequence[np.ndarray] | np.ndarray,
    X: np.ndarray,
    values: np.ndarray,
    alone: Any,
) -> bool:
    """See `fastnn.engines.Engine`; *alone* does the same for networks that are better alone."""
    first = architectures[0]
    if architectures.count(first) == len(architectures):
        if not pays(first):
            return bool(alone(architectures, vectors, X, values))
        return _fill(first, np.asarray(vectors), X, values)
    alike = defaultdict(list)
    for k in sorted(range(len(architectures)), key=lambda k: architectures[k].sizes):
        alike[_kind(architectures[k])].append(k)
    lanes, numbers = _lanes(first), True
    for kind, group in alike.items():
        for start in range(0, len(group), lanes):
            some = group[start : start + lanes]
            members = [architectures[k] for k in some]
            outputs = np.empty((len(some), *values.shape[1:]), values.dtype)
            if kind is _ALONE:
                numbers &= alone(members, [vectors[k] for k in some], X, outputs)
            else:
                widest = widest_of(members)
                padded = np.zeros((len(some), widest.n_parameters), widest.dtype)
                for vector, k in zip(padded, some, strict=True):
                    vector[places_in(architectures[k], widest)] = vectors[k]
                numbers &= _fill(widest, padded, X, outputs)
            values[some] = outputs
    return numbers


def pays(architecture: Architecture) -> bool:
    """Whether predicting with many such networks together takes less than with each alone."""
    return architecture.n_parameters <= MOST_PARAMETERS


def _kind(architecture: Architecture) -> Any:
    """Networks of one kind share lanes, with units added to the narrower ones."""
    if not pays(architecture):
        return _ALONE
    return architecture.activations, architecture.bias


def _lanes(architecture: Architecture) -> int:
    return lanes_of_register(architecture.dtype.itemsize)


def _fill(
    architecture: Architecture, vectors: np.ndarray, X: np.ndarray, values: np.ndarray
) -> bool:
    """The same for vectors (K, n_parameters) of one architecture."""
    lanes, size = _lanes(architecture), architecture.n_parameters
    outputs = Outputs(architecture, lanes, len(X))
    n_blocks = max(1, MOST_PACKED // (size * lanes * vectors.itemsize))
    n_blocks = min(n_blocks, -(-len(vectors) // lanes))
    blocks = aligned(n_blocks * size * lanes, architecture.dtype)
    by_lanes = blocks.reshape(n_blocks, size, lanes)
    numbers = True
    for first in range(0, len(vectors), n_blocks * lanes):
        some = vectors[first : first + n_blocks * lanes]
        whole, rest = divmod(len(some), lanes)
        full = some[: whole * lanes].reshape(whole, lanes, size)
        by_lanes[:whole] = full.transpose(0, 2, 1)
        if rest:
            by_lanes[whole] = 0
            by_lanes[whole, :, :rest] = some[whole * lanes :].T
        used = blocks.reshape(n_blocks, -1)[: whole + bool(rest)]
        numbers &= outputs.fill(used, X, values[first : first + len(some)])
    return numbers
