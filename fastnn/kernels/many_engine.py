"""Blocks of networks for the ``numba`` engine: their numbers by lanes, and the kernels for them."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.engines import Plan, State, Together, quiet
from fastnn.kernels import many_one_output
from fastnn.kernels.activations import Codes
from fastnn.kernels.layout import layer_table
from fastnn.kernels.llvm import register_bits
from fastnn.kernels.many import ROWS, Data, Scratch, Span, make_train_many
from fastnn.kernels.many_outputs import make_losses_of_many, make_outputs_of_many
from fastnn.kernels.many_samples import make_train_samples_of_many
from fastnn.kernels.many_updates import Options
from fastnn.memory import aligned
from fastnn.optimizers import RULES

#: Bytes of a block's parameters up to which a number has 4 registers, and 2.
MOST_FOR_FOUR, MOST_FOR_TWO = 1 << 14, 1 << 16


def lanes_for(architecture: Architecture, n_networks: int) -> int:
    """How many networks of this kind are best trained together: 1, 2 or 4 registers of them.

    Their instructions need not wait for one another, but a block is larger, and its sums take more
    registers. Nanoseconds a sample and network on Zen 4 with 1, 2 and 4, sample by sample: 3-4-1 in
    float64 11, 5.6, 5.2, in float32 3.6, 2.7, 2.6; 1-128-1 in float64 130, 117, 111, in float32 65,
    56, 51; 10-32-3 in float64 93, 87, -, in float32 43, 42, 58. In batches: 10-50-2 in float32 43,
    48, -; 10-10-2 the same with 1 and 2.
    """
    one = register_bits() // 8 // architecture.dtype.itemsize
    size = one * architecture.n_parameters * architecture.dtype.itemsize
    if n_networks > 2 * one and (4 * size <= MOST_FOR_FOUR or many_one_output.pays(architecture)):
        return 4 * one
    return 2 * one if n_networks > one and 2 * size <= MOST_FOR_TWO else one


@functools.lru_cache(maxsize=1024)
def places_in(architecture: Architecture, widest: Architecture) -> np.ndarray:
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


def _codes(widest: Architecture) -> tuple[Codes, int]:
    """The codes of the hidden layers' activations, each once, and that of the outputs."""
    hidden = tuple(sorted({a.code for a in widest.activations[:-1]})) or (0,)
    return hidden, widest.activations[-1].code


def _data(samples: Together, order: np.ndarray) -> Data:
    arrays = samples.X, samples.Y, samples.rows, order, samples.weights
    return Data(*(_read_only(array) for array in arrays))


def _read_only(array: np.ndarray) -> np.ndarray:
    """A view that may not be written to, and has no gaps: kernels are compiled for such."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def _all(widest: Architecture, lanes: int) -> np.ndarray:
    """For kernels that need not know which units are present: those that are not add 0."""
    return np.ones(sum(widest.sizes[1:-1]) * lanes, widest.dtype)


class Outputs:
    """Predicts with networks of one architecture, *lanes* at once."""

    def __init__(self, architecture: Architecture, lanes: int, n_rows: int):
        self._kernel = make_outputs_of_many(*_codes(architecture), architecture.bias, lanes)
        self._layers = layer_table(architecture).view(np.int64)
        self._scratch = _scratch(architecture, lanes, n_rows, _all(architecture, lanes))

    def fill(self, blocks: np.ndarray, X: np.ndarray, values: np.ndarray) -> bool:
        """Fill values (K, n, n_out) with the outputs of the first K; return whether none is NaN.

        A row of *blocks* has the parameters of as many networks as there are lanes, by lanes.
        """
        return bool(self._kernel(self._layers, blocks, _read_only(X), values, self._scratch))


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

    @quiet
    def outputs(self, X: np.ndarray) -> np.ndarray:
        """The outputs of each lane's network for X (n, n_in): shape (lanes, n, n_out)."""
        values = np.empty((self.lanes, len(X), self.widest.sizes[-1]), self.widest.dtype)
        Outputs(self.widest, self.lanes, len(X)).fill(self.parameters[None], X, values)
        return values

    @quiet
    def losses(self, samples: Together, weighted: bool) -> np.ndarray:
        """The sums of each lane's losses, times the samples' weights if *weighted*: (lanes,)."""
        widest, lanes = self.widest, self.lanes
        hidden, output = _codes(widest)
        no_order = np.empty((lanes, 0, 0), np.int64)
        data = _data(samples, no_order)
        n = samples.rows.shape[1] or len(samples.X)
        sums = np.zeros(lanes)
        run = make_losses_of_many(hidden, output, widest.loss.code, widest.bias, weighted, lanes)
        layers = layer_table(widest).view(np.int64)
        run(layers, self.parameters, data, n, sums, _scratch(widest, lanes, n, _all(widest, lanes)))
        return sums

    def _by_lane(self, vector: np.ndarray) -> np.ndarray:
        return vector.reshape(-1, self.lanes)

    def _places_of(self, architecture: Architecture) -> Any:
        same = architecture.sizes == self.widest.sizes
        return slice(None) if same else places_in(architecture, self.widest)


class BlockTrainer:
    """The kernel for a block, with what it needs; see `fastnn.engines.BlockTrainer`."""

    def __init__(self, block: Block, members: Sequence[tuple[Architecture, Plan]], extras: bool):
        widest, lanes = block.widest, block.lanes
        plan = members[0][1]
        hidden, output = _codes(widest)
        keeps = any(a.slope_needs_z for a in widest.activations[:-1])
        drops = any(any(architecture.dropout) for architecture, _ in members)
        self._block = block
        self._layers = layer_table(widest).view(np.int64)
        self._options = _options(members, widest, lanes)
        present = _present([architecture for architecture, _ in members], widest, lanes)
        self._scratch = _scratch(widest, lanes, plan.batch_size, present)
        self._gradient = aligned(widest.n_parameters * lanes, widest.dtype)
        codes = (hidden, output, widest.loss.code, widest.bias)
        if plan.optimizer.rule == "sgd" and plan.batch_size == 1 and not (extras or drops):
            if many_one_output.pays(widest):
                self._kernel = many_one_output.make_train_one_output_of_many(*codes, lanes)
            else:
                self._kernel = make_train_samples_of_many(*codes, keeps, lanes)
        else:
            rule = RULES[plan.optimizer.rule]
            self._kernel = make_train_many(*codes, rule, extras, keeps or drops, drops, lanes)

    @quiet
    def run(self, samples: Together, rates: np.ndarray, order: np.ndarray, start: int, stop: int):
        """Run a piece: the sums of losses and penalties, shape (epochs, lanes)."""
        block = self._block
        sums = np.zeros((2, len(rates), block.lanes))
        data = _data(samples, order)
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


def _present(architectures: Sequence[Architecture], widest: Architecture, lanes: int) -> np.ndarray:
    """1 for each hidden unit that a network has, by lanes; 0 for the others."""
    hidden = widest.sizes[1:-1]
    units = [
        np.concatenate(
            [np.arange(wide) < own for wide, own in zip(hidden, a.sizes[1:-1], strict=True)]
            + [np.zeros(0, bool)]
        )
        for a in architectures
    ]
    return _by_lanes(units, lanes, widest.dtype)


def _scratch(widest: Architecture, lanes: int, n_rows: int, present: np.ndarray) -> Scratch:
    """Room for so many rows at once, or for ROWS; for at least 2 of them."""
    rows = max(2, min(ROWS, n_rows))

    def room(size: int) -> np.ndarray:
        vector = aligned(size * lanes, widest.dtype)
        vector[:] = 0
        return vector

    size = rows * sum(widest.sizes)
    return Scratch(
        values=room(size),
        slopes=room(size),
        deltas=room(size),
        targets=room(rows * widest.sizes[-1]),
        weights=room(rows),
        present=present,
        zero=room(1),
        numbers=np.zeros(lanes, np.uint64),
        rows=np.zeros(lanes, np.uint64),
    )
