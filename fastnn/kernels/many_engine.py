"""Blocks of networks for the ``numba`` engine: their numbers by lanes, and the kernels for them."""

import functools
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.contract import Numbers, Piece, Plan, Samples, Together, quiet
from fastnn.kernels import many_one_output
from fastnn.kernels.layout import layer_table
from fastnn.kernels.llvm import lanes_of_register, vector_registers
from fastnn.kernels.many import Scratch, Span
from fastnn.kernels.many_batches import make_train_many
from fastnn.kernels.many_outputs import make_losses_of_many, make_outputs_of_many
from fastnn.kernels.many_rows import ROWS, Data
from fastnn.kernels.many_samples import make_train_samples_of_many
from fastnn.kernels.many_updates import Options
from fastnn.kernels.ready import codes, slopes_need_z
from fastnn.kernels.updates import Limits, is_bare, limits_of
from fastnn.memory import aligned
from fastnn.optimizers import RULES, Optimizer

#: Bytes of a block's parameters up to which a number has 4 registers, and 2, sample by sample and
#: in batches; of a machine that has 32 of them, of 512 bits, and of one that has 16, of 256 (Arm,
#: with 32 of 128, was not measured).
MOST_FOR_FOUR_AND_TWO = {
    32: ((25_000, 50_000), (1 << 14, 1 << 14)),
    16: ((1 << 13, 100_000), (1 << 13, 100_000)),
}

#: Bytes of a network's parameters up to which it is better in a lane than alone: see `pays`. In
#: batches, of a network with a layer that is THICK, also up to which they are times the batch.
MOST_BY_SAMPLE, MOST_BY_SAMPLE_DEEP, MOST_IN_BATCHES = 4_500, 18_000, 27_500
MOST_BY_BATCH, THICK = 250_000, 8


def lanes_for(architecture: Architecture, batch_size: int, n_networks: int) -> int:
    """How many networks of this kind are best trained together: 1, 2 or 4 registers of them.

    Their instructions need not wait for one another, but a block is larger, and its sums take more
    registers. Measured on a Zen 5, with AVX-512 and AVX2, for 26 networks of 2-4-1 to 30-32-3 and
    8-32-32-4, relu and tanh, by samples and in batches of 8 and 32: what is chosen takes 1.02 times
    as long as the best on average, 1.03 in batches with AVX-512.
    """
    one = lanes_of_register(architecture.dtype.itemsize)
    size = one * architecture.n_parameters * architecture.dtype.itemsize
    four, two = MOST_FOR_FOUR_AND_TWO[vector_registers()][batch_size > 1]
    if n_networks > 2 * one and 4 * size <= four:
        return 4 * one
    return 2 * one if n_networks > one and 2 * size <= two else one


@functools.lru_cache(maxsize=1024)
def _places_in(architecture: Architecture, widest: Architecture) -> np.ndarray:
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


def _data(samples: Together, order: np.ndarray) -> Data:
    arrays = samples.X, samples.Y, samples.rows, order, samples.weights
    return Data(*(_read_only(array) for array in arrays))


def _read_only(array: np.ndarray) -> np.ndarray:
    """A view that may not be written to, and has no gaps: kernels are compiled for such."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def _no_order(lanes: int) -> np.ndarray:
    return np.empty((0, lanes, 0), np.int64)


def _all(widest: Architecture, lanes: int) -> np.ndarray:
    """For kernels that need not know which units are present: those that are not add 0."""
    return np.ones(sum(widest.sizes[1:-1]) * lanes, widest.dtype)


class Block:
    """Networks that are trained together: parameters and all that training changes, by lanes.

    Parameters
    ----------
    architectures : sequence of Architecture
        Of each lane.
    lanes : int
    n_moments : int
        That the rule keeps per parameter.
    """

    def __init__(self, architectures: Sequence[Architecture], lanes: int, n_moments: int):
        self.widest = widest = _widest_of(architectures)
        self.lanes = lanes
        # Where each one's parameters are among those of the widest, unless all are alike.
        self._places: list[np.ndarray] = []
        if len(_sizes(architectures)) > 1:
            self._places = [_places_in(architecture, widest) for architecture in architectures]
        size = widest.n_parameters
        self.parameters = self._zeros(size)
        self.moments = self._zeros(n_moments * size)
        self.updates = np.zeros(self.lanes, np.uint64)

    def _zeros(self, size: int) -> np.ndarray:
        vector = aligned(size * self.lanes, self.widest.dtype)
        vector[:] = 0
        return vector

    def put(self, numbers: Sequence[Numbers]) -> None:
        """Have the networks' numbers in the lanes, from the first on."""
        n = len(numbers)
        parameters, moments = self._by_lane()
        if not self._places:
            parameters[:, :n] = np.array([own for own, _, _ in numbers]).T
            if len(moments):
                moments[..., :n] = np.moveaxis(np.array([own for _, own, _ in numbers]), 0, -1)
        else:
            for lane, (own, own_moments, _) in enumerate(numbers):
                parameters[self._places[lane], lane] = own
                if len(moments):
                    moments[:, self._places[lane], lane] = own_moments
        self.updates[:n] = [updates for _, _, updates in numbers]

    def get(
        self, lanes: Sequence[int], copy: tuple[np.ndarray, ...] | None = None
    ) -> list[Numbers]:
        """Copies of the numbers of some lanes, by default the present ones."""
        parameters, moments = self._by_lane(copy)
        updates = self.updates if copy is None else copy[2]
        own = np.ascontiguousarray(parameters.T[lanes])
        own_moments = np.ascontiguousarray(np.moveaxis(moments, -1, 0)[lanes])
        numbers = list(zip(own, own_moments, updates[lanes].tolist(), strict=True))
        if not self._places:
            return numbers
        places = [self._places[lane] for lane in lanes]
        return [(p[k], m[:, k], t) for k, (p, m, t) in zip(places, numbers, strict=True)]

    def copy(self) -> tuple[np.ndarray, ...]:
        """A copy of all lanes to come back to."""
        return self.parameters.copy(), self.moments.copy(), self.updates.copy()

    def restore(self, copy: tuple[np.ndarray, ...]) -> None:
        """Go back to it."""
        self.parameters[:], self.moments[:], self.updates[:] = copy

    def vectors(self, copies: Sequence[tuple[np.ndarray, ...]]) -> np.ndarray:
        """The parameters of copies, shape (k, numbers)."""
        return np.stack([parameters for parameters, _, _ in copies])

    def parameters_in(self, vectors: np.ndarray, lane: int) -> np.ndarray:
        """Those of the network in a lane, shape (k, P)."""
        own = vectors.reshape(len(vectors), -1, self.lanes)[..., lane]
        return np.ascontiguousarray(own[:, self._places[lane]] if self._places else own)

    def finite(self, vectors: np.ndarray | None = None) -> np.ndarray:
        """Whether all parameters are, by default the present ones, of each lane: (k, lanes)."""
        vectors = self.parameters[np.newaxis] if vectors is None else vectors
        parameters = vectors.reshape(len(vectors), -1, self.lanes)
        finite: np.ndarray = np.isfinite(np.einsum("kpl,kpl->kl", parameters, parameters))
        return finite if finite.all() else np.isfinite(parameters).all(axis=1)

    @quiet
    def outputs(self, vectors: np.ndarray, X: np.ndarray) -> np.ndarray:
        """The outputs of each lane's network for X (n, n_in): shape (k, lanes, n, n_out)."""
        widest, lanes = self.widest, self.lanes
        values = np.empty((len(vectors), lanes, len(X), widest.sizes[-1]), widest.dtype)
        hidden, output, _, bias = codes(widest)
        run = make_outputs_of_many(hidden, output, bias, lanes)
        scratch = _scratch(widest, lanes, len(X), _all(widest, lanes))
        run(layer_table(widest).view(np.int64), vectors, _read_only(X), values, scratch)
        return values

    @quiet
    def losses(self, vectors: np.ndarray, samples: Samples) -> np.ndarray:
        """The sums of each lane's losses, times the samples' weights if any: (k, lanes)."""
        widest, lanes, n = self.widest, self.lanes, len(samples)
        weighted = samples.weights is not None
        weights = np.empty((lanes, 0), widest.dtype)
        if samples.weights is not None:
            weights = np.tile(samples.weights, (lanes, 1))
        together = Together(samples.dense, samples.Y, np.empty((lanes, 0), np.int64), weights)
        sums = np.zeros((len(vectors), lanes))
        run = make_losses_of_many(*codes(widest), weighted, lanes)
        layers = layer_table(widest).view(np.int64)
        scratch = _scratch(widest, lanes, n, _all(widest, lanes))
        data = _data(together, _no_order(lanes))
        for k, parameters in enumerate(vectors):
            run(layers, parameters, data, n, sums[k : k + 1], scratch)
        return sums

    def _by_lane(self, copy: tuple[np.ndarray, ...] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Parameters (P, lanes) and moments (n_moments, P, lanes)."""
        parameters, moments, _ = copy or (self.parameters, self.moments, None)
        shape = self.widest.n_parameters, self.lanes
        n_moments = moments.size // parameters.size
        return parameters.reshape(shape), moments.reshape(n_moments, *shape)


class BlockTrainer(Block):
    """A block with the kernels for it; see `fastnn.engines.BlockTrainer`."""

    def __init__(self, members: Sequence[tuple[Architecture, Plan]], lanes: int):
        architectures = [architecture for architecture, _ in members]
        plan = members[0][1]
        super().__init__(architectures, lanes, plan.optimizer.n_moments)
        widest = self.widest
        kind, kinds = codes(widest), _distinct(members)
        drops = any(any(architecture.dropout) for architecture, _ in kinds)
        extras = not all(is_bare(*member) for member in kinds)
        self._layers = layer_table(widest).view(np.int64)
        self._options = _options(members, widest, lanes)
        present = _present(architectures, widest, lanes)
        self._scratch = _scratch(widest, lanes, plan.batch_size, present)
        self._gradient = aligned(widest.n_parameters * lanes, widest.dtype)
        rule = RULES[plan.optimizer.rule]
        keeps = slopes_need_z(widest) or drops
        sweeps = plan.optimizer.rule == "sgd" and many_one_output.pays(widest)
        if plan.batch_size > 1:
            self._kernel = make_train_many(*kind, rule, extras, keeps, drops, lanes)
        elif sweeps and not (extras or drops):
            self._kernel = many_one_output.make_train_one_output_of_many(
                *kind, widest.sizes[0], lanes
            )
        else:
            of_each = [limits_of(a, own.optimizer) for a, own in kinds]
            limits = Limits(*map(any, zip(*of_each, strict=True)))
            self._kernel = make_train_samples_of_many(
                *kind, rule, limits, keeps, drops, plan.weighted, lanes
            )

    @quiet
    def run(self, samples: Together, piece: Piece) -> None:
        """See `fastnn.engines.BlockTrainer`."""
        data = _data(samples, piece.order)
        span = Span(piece.rates, piece.start, piece.stop, piece.loss_sums, piece.penalty_sums)
        self._kernel(
            self._layers,
            self.parameters,
            self.moments,
            self.updates,
            data,
            span,
            self._options,
            self._scratch,
            self._gradient,
        )


def block(members: Sequence[tuple[Architecture, Plan]], lanes: int) -> BlockTrainer:
    """See `fastnn.engines.Blocks`."""
    return BlockTrainer(members, lanes)


def pays(architecture: Architecture, batch_size: int) -> bool:
    """See `fastnn.engines.Blocks`.

    A block of large networks does not fit into the caches, and a large one alone uses the vectors
    as well. One alone / one in a lane, relu, float32 and float64, 64 of them on Zen 5, sample by
    sample: 1-128-1 1.3, 0.95; 10-32-3 1.7, 1.2; 10-64-3 0.97, 0.73; with more hidden layers, which
    alone have more to wait for, 8-32-32-4 1.75, 1.05; 16-64-64-4 0.86, 0.64. With a penalty these
    are 1.4, 1.2; 1.5, 1.3; 1.3, 1.1; 1.6, 1.3; 1.2, 1.1; by momentum 1.2, 0.8; 1.5, 1.06; 1.0, 0.8;
    1.3, 1.0; 0.9, 1.0; by Adam, with dropout or weights between that. In batches of 8, 32 and 256,
    float64: 10-64-3 1.7, 1.3, 1.2; 10-100-2 1.65, 1.3, 1.2; 64-16-10 1.2, 0.73, 0.65; 8-32-32-4
    1.3, 0.87, 0.86; 64-64-10 0.93, 0.7, 0.7; in float32 3.0, 2.0, 1.4; 3.0, 2.0, 1.35; 2.0, 0.93,
    0.79; 2.4, 1.15, 0.85; 1.45, 0.80, 0.87: alone, a batch takes something however small it is, and
    products of many inputs and many units reuse more of what they load. Other activations take more
    of both, and what a `fit` costs beside its kernel comes on top. Of 1,056 networks and batches of
    1 to 128 of 4-8-1 to 64-128-10 and 30-64-64-4, what is chosen takes 1.016 times as long as the
    better way, at most 2 (64-8-1 by 32).
    """
    size = architecture.n_parameters * architecture.dtype.itemsize
    if batch_size > 1:
        thick = any(min(layer.n_in, layer.n_out) >= THICK for layer in architecture.layers)
        return size <= MOST_IN_BATCHES and not (thick and size * batch_size > MOST_BY_BATCH)
    return size <= (MOST_BY_SAMPLE_DEEP if len(architecture.sizes) > 3 else MOST_BY_SAMPLE)


def _widest_of(architectures: Sequence[Architecture]) -> Architecture:
    """The first of them, with each layer as wide as the widest of all."""
    sizes = _sizes(architectures)
    if len(sizes) == 1:
        return architectures[0]
    return replace(architectures[0], sizes=tuple(map(max, *sizes)))


def _sizes(architectures: Sequence[Architecture]) -> set[tuple[int, ...]]:
    """Each once; most architectures are the same object as many others."""
    return {architecture.sizes for architecture in {id(a): a for a in architectures}.values()}


def _distinct(members: Sequence[tuple[Architecture, Plan]]) -> list[tuple[Architecture, Plan]]:
    """Each pair once: in most blocks there is one."""
    return list({(id(a), id(plan)): (a, plan) for a, plan in members}.values())


def _by_lanes(values: Any, lanes: int, dtype: Any = np.float64) -> np.ndarray:
    """One value a network, or a row of them each, as a vector by lanes; 0 where there is none."""
    values = np.asarray(values, dtype)
    table = np.zeros((*values.shape[1:], lanes), dtype)
    table[..., : len(values)] = values.T
    return np.ascontiguousarray(table).reshape(-1)


def _options(
    members: Sequence[tuple[Architecture, Plan]], widest: Architecture, lanes: int
) -> Options:
    known = {(id(a), id(plan)): _factors(a, plan.optimizer) for a, plan in _distinct(members)}
    if len(known) == 1:
        [row] = known.values()
        factors = np.repeat(np.array(row)[:, np.newaxis], lanes, axis=1)
    else:
        rows = [known[id(architecture), id(plan)] for architecture, plan in members]
        factors = _by_lanes(rows, lanes).reshape(-1, lanes)
    any_of = [any(column) for column in zip(*known.values(), strict=True)]
    settings = factors[_N_FACTORS:].reshape(-1)
    l1, l2, max_norm, clip_value, clip_norm = factors[:_N_FACTORS]
    return Options(
        batch_size=members[0][1].batch_size,
        mean=widest.reduction == "mean",
        penalised=any_of[0] or any_of[1],
        clipped=any_of[3] or any_of[4],
        norms_clipped=any_of[4],
        norms_limited=any_of[2],
        settings=settings,
        rests=1.0 - settings,
        l1=l1,
        l2=l2,
        max_norm=max_norm,
        clip_value=clip_value,
        clip_norm=clip_norm,
        **_dropout_options(members, lanes),
    )


#: Of `_factors`, before the settings.
_N_FACTORS = 5


def _factors(architecture: Architecture, optimizer: Optimizer) -> list[float]:
    penalties = [architecture.l1, architecture.l2, architecture.max_norm]
    clips = [optimizer.clip_value or 0.0, optimizer.clip_norm or 0.0]
    return [*penalties, *clips, *optimizer.settings_in(architecture.dtype), 0.0]


def _dropout_options(members: Sequence[tuple[Architecture, Plan]], lanes: int) -> dict[str, Any]:
    if not any(architecture.dropout for architecture, _ in _distinct(members)):
        nothing = np.zeros(lanes, np.uint64)
        names = ("dropout_key", "first_unit", "n_hidden")
        return {"dropout": np.zeros(lanes), **dict.fromkeys(names, nothing)}
    architectures = [architecture for architecture, _ in members]
    none = (0.0,) * (len(architectures[0].sizes) - 2)
    hidden = [architecture.sizes[1:-1] for architecture in architectures]
    keys = [plan.dropout_key for _, plan in members]
    return {
        "dropout": _by_lanes([[*(a.dropout or none), 0.0] for a in architectures], lanes),
        "dropout_key": _by_lanes(keys, lanes, np.uint64),
        "first_unit": _by_lanes([[0, *np.cumsum(n)] for n in hidden], lanes, np.uint64),
        "n_hidden": _by_lanes([sum(n) for n in hidden], lanes, np.uint64),
    }


def _present(architectures: Sequence[Architecture], widest: Architecture, lanes: int) -> np.ndarray:
    """1 for each hidden unit that a network has, by lanes; 0 for the others."""
    if len(_sizes(architectures)) == 1:
        return _all(widest, lanes)
    hidden = widest.sizes[1:-1]
    units = [
        np.concatenate(
            [np.arange(wide) < own for wide, own in zip(hidden, a.sizes[1:-1], strict=True)]
        )
        for a in architectures
    ]
    return _by_lanes(units, lanes, widest.dtype)


def _scratch(widest: Architecture, lanes: int, n_rows: int, present: np.ndarray) -> Scratch:
    """Room for so many rows at once, or for ROWS; for at least 2 of them."""
    rows = max(2, min(ROWS, n_rows))
    units = rows * sum(widest.sizes)
    sizes = [n * lanes for n in (units, units, units, rows * widest.target_columns, ROWS, 1)]
    room = aligned(sum(sizes), widest.dtype)
    values, slopes, deltas, targets, weights, zero = (
        room[after - size : after] for size, after in zip(sizes, accumulate(sizes), strict=True)
    )
    zero[:] = 0
    return Scratch(
        values=values,
        slopes=slopes,
        deltas=deltas,
        targets=targets,
        weights=weights,
        present=present,
        zero=zero,
        rows=np.empty(ROWS * lanes, np.int64),
    )
