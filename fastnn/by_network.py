"""The arguments of `fit_many` by network: those for all, and those in ``each``."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fastnn.calls import unknown_argument
from fastnn.names import describe
from fastnn.network import Network

#: Arguments of `Network.fit` that `fit_many` does not take: training on derivatives is for one.
_OF_ONE = ("progress", "dydx", "dydx_weight")
#: Those that it takes, for all or by network.
ARGUMENTS = tuple(
    name
    for name, parameter in inspect.signature(Network.fit).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY and name not in _OF_ONE
)


class Arguments:
    """The arguments of `Network.fit` by the number of the network.

    Attributes
    ----------
    keys : list
        For each network: equal ones have arguments that are the same.
    """

    def __init__(self, n: int, each: Any, common: dict[str, Any]):
        if each is not None and not isinstance(each, Mapping):
            raise TypeError(
                "each must be a dict such as {'learning_rate': [0.1, 0.2]}, one value for each "
                f"network, got {describe(each)}"
            )
        for name in (*common, *(each or {})):
            if name not in ARGUMENTS:
                raise TypeError(unknown_argument("fastnn.fit_many", str(name), ARGUMENTS))
        self.n = n
        self._common = {name: _for_all(name, value) for name, value in common.items()}
        self._values: dict[str, list[Any]] = {}
        for name, given in (each or {}).items():
            if name in common:
                raise ValueError(
                    f"{name} was given for all networks and in each; give one of the two"
                )
            values = one_for_each(given, f"each[{name!r}]", n)
            self._values[name] = [_for_all(name, value) for value in values]
        columns = [map(identity, values) for values in self._values.values()]
        self.keys: list[Any] = list(zip(*columns, strict=True)) or [()] * n

    def of(self, k: int) -> dict[str, Any]:
        """Those of network number k."""
        return self._common | {name: values[k] for name, values in self._values.items()}


def _for_all(name: str, value: Any) -> Any:
    """What several networks can take: what can be gone through only once, as a list."""
    once = isinstance(value, Iterator) or (isinstance(value, np.ndarray) and value.ndim > 0)
    return list(value) if once and name in ("metrics", "callbacks") else value


def identity(value: Any) -> Any:
    """Equal for two values that are the same: numbers and texts are by what they are."""
    kind = type(value)
    return (kind, value) if kind in (float, int, str, np.float64) else id(value)


def one_for_each(given: Any, name: str, n: int) -> Any:
    """What was *given*, if it has a value for each of n networks."""
    is_array = isinstance(given, np.ndarray) and given.ndim > 0
    is_sequence = isinstance(given, Sequence) and not isinstance(given, str | bytes)
    if not (is_array or is_sequence):
        raise TypeError(
            f"{name} must be a list with a value for each network, got {describe(given)}"
        )
    if len(given) != n:
        raise ValueError(f"{name} must have a value for each of the {n} networks, got {len(given)}")
    return given
