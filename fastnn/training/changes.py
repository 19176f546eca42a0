"""What single updates change, to take back one that diverged."""

from __future__ import annotations

import numpy as np

from fastnn.arrays import all_finite
from fastnn.contract import Samples, State


class AllNumbers:
    """Everything."""

    def __init__(self, state: State):
        self._state, self._before = state, state.copy()
        self.is_finite = state.is_finite

    def keep(self, samples: Samples) -> None:
        """Remember the state before an update from *samples*."""
        self._before.restore(self._state)

    def take_back(self) -> None:
        """Go back to it."""
        self._state.restore(self._before)


class MetWeights:
    """The weights of columns that occur in sparse rows, and all numbers above the first layer.

    That is enough for an update that leaves all others as they are; it takes no longer for more
    columns.
    """

    def __init__(self, state: State, sizes: tuple[int, ...]):
        self._state = state
        n_first = sizes[0] * sizes[1]
        vectors = [state.parameters, *state.moments]
        self._first = [vector[:n_first].reshape(sizes[:2]) for vector in vectors]
        self._above = [vector[n_first:] for vector in vectors]

    def keep(self, samples: Samples) -> None:
        """See `AllNumbers`."""
        assert not isinstance(samples.X, np.ndarray)
        state = self._state
        self._columns = np.unique(samples.X.columns[samples.X.entries])
        self._rows = [weights[self._columns] for weights in self._first]
        self._rest = [numbers.copy() for numbers in self._above]
        self._updates, self._clock = state.updates.copy(), state.clock.copy()

    def take_back(self) -> None:
        """See `AllNumbers`."""
        state = self._state
        for weights, rows in zip(self._first, self._rows, strict=True):
            weights[self._columns] = rows
        for numbers, rest in zip(self._above, self._rest, strict=True):
            numbers[:] = rest
        state.updates[:] = self._updates
        state.clock.restore(self._clock)

    def is_finite(self) -> bool:
        """Whether all parameters are that may have changed."""
        return all_finite(self._first[0][self._columns]) and all_finite(self._above[0])
