"""Blocks of networks for the ``numba`` engine: their numbers by lanes, and the kernels for them."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.engines import Plan, State, Together
from fastnn.kernels.layout import layer_table
from fastnn.kernels.llvm import register_bits
from fastnn.kernels.many import ROWS, Data, Scratch, Span, make_train_many
from fastnn.kernels.many_updates import Options
from fastnn.memory import aligned
from fastnn.optimizers import RULES

#: Bytes of a block's parameters up to which it has two registers for each number.
MOST_FOR_TWO_REGISTERS = 1 << 14


def lanes_for(architecture: Architecture, n_networks: int) -> int:
    """How many networks of this kind are best trained together."""
    one = register_bits() // 8 // architecture.dtype.itemsize
    two_fit = 2 * one * architecture.n_parameters * architecture.dtype.itemsize
    return 2 * one if two_fit <= MOST_FOR_TWO_REGISTERS and n_networks > one else one


@functools.lru_cache(maxsize=1024)
def _places(architecture: Architecture, widest: Architecture) -> np.ndarray:
    """Where the parameters of a network are in the vector of the block's widest network."""
    places = [
        np.arange(layer.n_in)[:, None] * wide.n_out + np.arange(layer.n_out) + wide.weights.start
        for layer, wide in zip(architecture.layers, widest.layers, strict=True)
    ]
    biases = [
        wide.bias.start + np.arange(layer.n_out) if wide.bias is not None else np.arange(0)
        for layer, wide in zip(architecture.layers, widest.layers, strict=True)
    ]
    return np.concatenate([p.ravel() for pair in zip(places, biases, strict=True) for p in pair])


class Block:
    """Networks that are trained together: parameters and all that training changes, by lanes.

    Parameters
    ----------
    widest : Architecture
        Of the block: each hidden layer is the widest of the networks'.
    lanes : int
    n_moments : int
        That the rule keeps per parameter.
    """

    def __init__(self, widest: Architecture, lanes: int, n_moments: int):
        self.widest, self.lanes = widest, lanes
        size = widest.n_parameters
        self.parameters = self._zeros(size)
        self.moments = self._zeros(n_moments * size)
        self.updates = np.zeros(lanes, np.uint64)

    def _zeros(self, size: int) -> np.ndarray:
        vector = aligned(size * self.lanes, self.widest.dtype)
        vector[:] = 0
        return vector

    def put(self, lane: int, architecture: Architecture, state: State) -> None:
        """Have a network's state in a lane."""
        places = self._places_of(architecture)
        self._by_lane(self.parameters)[places, lane] = state.parameters
        moments = self.moments.reshape(len(state.moments), self.widest.n_parameters, self.lanes)
        for mine, its in zip(moments, state.moments, strict=True):
            mine[places, lane] = its
        self.updates[lane] = state.updates[0]

    def get(self, lane: int, architecture: Architecture, state: State) -> None:
        """Write a lane back into a network's state."""
        places = self._places_of(architecture)
        state.parameters[:] = self._by_lane(self.parameters)[places, lane]
        moments = self.moments.reshape(len(state.moments), self.widest.n_parameters, self.lanes)
        for mine, its in zip(moments, state.moments, strict=True):
            its[:] = mine[places, lane]
        state.updates[0] = self.updates[lane]

    def _by_lane(self, vector: np.ndarray) -> np.ndarray:
        return vector.reshape(-1, self.lanes)

    def _places_of(self, architecture: Architecture) -> Any:
        same = architecture.sizes == self.widest.sizes
        return slice(None) if same else _places(architecture, self.widest)


class BlockTrainer:
    """The kernel for a block, with what it needs; see `fastnn.engines.BlockTrainer`."""

    def __init__(self, block: Block, members: Sequence[tuple[Architecture, Plan]], extras: bool):
        widest, lanes = block.widest, block.lanes
        plan = members[0][1]
        hidden = tuple(sorted({a.code for a in widest.activations[:-1]})) or (0,)
        keeps = any(a.slope_needs_z for a in widest.activations[:-1])
        drops = any(any(architecture.dropout) for architecture, _ in members)
        self._block = block
        self._layers = layer_table(widest).view(np.int64)
        self._options = _options(members, widest, lanes)
        self._scratch = _scratch(members, widest, lanes)
        self._gradient = aligned(widest.n_parameters * lanes, widest.dtype)
        self._kernel = make_train_many(
            hidden,
            widest.activations[-1].code,
            widest.loss.code,
            widest.bias,
            RULES[plan.optimizer.rule],
            extras,
            keeps or drops,
            drops,
            lanes,
        )

    def run(self, samples: Together, rates: np.ndarray, order: np.ndarray, start: int, stop: int):
        """Run a piece: the sums of losses and penalties, shape (epochs, lanes)."""
        block = self._block
        sums = np.zeros((2, len(rates), block.lanes))
        data = Data(samples.X, samples.Y, samples.rows, order, samples.weights)
        span = Span(rates, start, stop, sums[0], sums[1])
        self._kernel(
            self._layers,
            block.parameters,
            block.moments,
            block.updates,
            data,
            span,
            self._options,
            self._scratch,
            self._gradient,
        )
        return sums


def _by_lanes(values: Any, lanes: int, dtype: Any = np.float64) -> np.ndarray:
    """One value a network, or a row of them each, as a vector by lanes; 0 where there is none."""
    values = np.asarray(values, dtype)
    table = np.zeros((*values.shape[1:], lanes), dtype)
    table[..., : len(values)] = values.T
    return np.ascontiguousarray(table).reshape(-1)


def _options(
    members: Sequence[tuple[Architecture, Plan]], widest: Architecture, lanes: int
) -> Options:
    architectures = [architecture for architecture, _ in members]
    optimizers = [plan.optimizer for _, plan in members]
    settings = np.array([[*o.settings_in(widest.dtype), 0.0] for o in optimizers])
    n_hidden = [a.sizes[1:-1] for a in architectures]
    no_dropout = (0.0,) * (len(widest.sizes) - 2)
    spread = functools.partial(_by_lanes, lanes=lanes)
    clips = [[o.clip_value or 0.0, o.clip_norm or 0.0] for o in optimizers]
    penalties = [[a.l1, a.l2, a.max_norm] for a in architectures]
    l1, l2, max_norm = np.array(penalties).T
    clip_value, clip_norm = np.array(clips).T
    return Options(
        batch_size=members[0][1].batch_size,
        mean=widest.reduction == "mean",
        penalised=bool(l1.any() or l2.any()),
        limited=bool(clip_value.any() or clip_norm.any()),
        norms_limited=bool(max_norm.any()),
        settings=spread(settings),
        rests=spread(1.0 - settings),
        l1=spread(l1),
        l2=spread(l2),
        max_norm=spread(max_norm),
        clip_value=spread(clip_value),
        clip_norm=spread(clip_norm),
        dropout=spread([[*(a.dropout or no_dropout), 0.0] for a in architectures]),
        dropout_key=spread([plan.dropout_key for _, plan in members], dtype=np.uint64),
        first_unit=spread([[0, *np.cumsum(sizes)] for sizes in n_hidden], dtype=np.uint64),
        n_hidden=spread([sum(sizes) for sizes in n_hidden], dtype=np.uint64),
    )


def _scratch(
    members: Sequence[tuple[Architecture, Plan]], widest: Architecture, lanes: int
) -> Scratch:
    rows = min(ROWS, members[0][1].batch_size)
    n_out, hidden = widest.sizes[-1], widest.sizes[1:-1]
    present = [
        np.concatenate(
            [np.arange(wide) < own for wide, own in zip(hidden, a.sizes[1:-1], strict=True)]
            + [np.zeros(0, bool)]
        )
        for a, _ in members
    ]

    def room(size: int) -> np.ndarray:
        vector = aligned(size * lanes, widest.dtype)
        vector[:] = 0
        return vector

    size = rows * sum(widest.sizes)
    return Scratch(
        values=room(size),
        slopes=room(size),
        deltas=room(size),
        targets=room(rows * n_out),
        weights=room(rows),
        present=_by_lanes(present, lanes, widest.dtype),
        zero=room(1),
    )
