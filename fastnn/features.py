"""Networks over features with names, which come and go, and over outputs that come later.

What `fastnn.river` is made of, and nothing of river's is in it. The arithmetic is that of
`fastnn.kernels.feature_rows`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.clock import Clock, rates_of_piece
from fastnn.contract import Plan, quiet
from fastnn.kernels import feature_rows as kernels
from fastnn.kernels import ready
from fastnn.kernels.held import Held
from fastnn.kernels.layout import BIAS, N_IN, N_OUT, UNITS, WEIGHTS, layer_table
from fastnn.kernels.recorded import Span
from fastnn.kernels.row_outputs import make_outputs_by_row, vector_size
from fastnn.kernels.samples_by_rule import lanes_at_once, make_kernels, table
from fastnn.kernels.updates import limits_of, options_of
from fastnn.memory import aligned
from fastnn.network import Network
from fastnn.optimizers import RULES, Optimizer
from fastnn.schedules import CountedSchedule

#: Rates of a schedule that are computed at once; combinations of features whose places are kept.
RATES, MOST_KEPT = 512, 256
#: Features that there is room for from the start.
LEAST_ROOM = 8


#: Of a row's features: their places in the store, sorted; in which order the row's values belong to
#: these; and whether all are known.
Places = tuple[np.ndarray, np.ndarray, bool]


@dataclass(frozen=True)
class Stop:
    """What stopped learning before the last row: with so many *left*, the one at fault first."""

    diverged: bool
    left: int


class FeatureNetwork:
    """A network that learns rows of named features.

    Its memory is that of the features and outputs seen so far. The start weights out of a feature
    depend on *entropy* and the feature's name alone.

    Attributes
    ----------
    index : dict
        The features' names, and their places in the store.
    updates : int
        Rows learned.
    """

    def __init__(
        self, network: Network, optimizer: Optimizer, scale: bool, entropy: int, n_out: int
    ):
        architecture: Architecture = network._architecture
        self._architecture = replace(architecture, sizes=(1, *architecture.sizes[1:-1], n_out))
        self._optimizer = optimizer
        self._entropy = entropy
        self.index: dict[Any, int] = {}
        self._scales = np.array([int(scale)])
        # Counts, means and squares of the features, by place, and of the target, last.
        self._statistics = np.zeros((3, LEAST_ROOM + 1))
        self._updates = np.zeros(1, np.int64)
        self._widest = 1
        self.forget()

    # What there is: start weights, and room

    @property
    def updates(self) -> int:
        """Rows learned."""
        return int(self._updates[0])

    @property
    def _width(self) -> int:
        """How many weights go out of a feature."""
        return self._architecture.sizes[1]

    @property
    def n_out(self) -> int:
        """Outputs so far."""
        return self._architecture.sizes[-1]

    def forget(self) -> None:
        """Go back to the start weights; features, outputs and their statistics stay."""
        sizes, n_moments = self._architecture.sizes, self._optimizer.n_moments
        self._updates[0] = 0
        rest = []
        for l, (n_in, n_out) in enumerate(pairwise(sizes)):
            if l > 0:  # the first layer's are in the store, the last layer's begin with 0
                last = l == len(sizes) - 2
                rest.append(self._start(f"layer {l}", n_in * n_out) * (not last))
            rest.append(np.zeros(n_out))
        self._rest = np.concatenate(rest)
        self._rest_moments = np.zeros((n_moments, self._rest.size))
        capacity = self._statistics.shape[1] - 1
        self._weights = np.zeros((capacity, self._width))
        self._moments = np.zeros((n_moments, capacity, self._width))
        for name, place in self.index.items():
            self._weights[place] = self._start_of(name)
        self._made: _Made | None = None

    def _start(self, what: str, n: int) -> np.ndarray:
        digest = hashlib.blake2b(f"{self._entropy} {what}".encode(), digest_size=16).digest()
        rng = np.random.default_rng(int.from_bytes(digest, "little"))
        return rng.uniform(-1.0, 1.0, n) / math.sqrt(self._width)

    def _start_of(self, name: Any) -> np.ndarray:
        """The start weights out of a feature; 0 where they go to the outputs."""
        if len(self._architecture.sizes) == 2:
            return np.zeros(self._width)
        return self._start(f"{type(name).__name__} {name!r}", self._width)

    def add_features(self, names: Iterable[Any]) -> None:
        """Make room for features that are not known yet: in an order that is not theirs."""
        new = {name for name in names if name not in self.index}
        if not new:
            return
        in_order = sorted(new, key=lambda name: (type(name).__name__, repr(name)))
        starts = [self._start_of(name) for name in in_order]
        have, need = len(self._weights), len(self.index) + len(new)
        if need > have:
            more = max(need, 2 * have) - have
            weights = np.pad(self._weights, ((0, more), (0, 0)))
            moments = np.pad(self._moments, ((0, 0), (0, more), (0, 0)))
            known, target = self._statistics[:, :-1], self._statistics[:, -1:]
            self._statistics = np.hstack([known, np.zeros((3, more)), target])
            self._weights, self._moments, self._made = weights, moments, None
        for name, start in zip(in_order, starts, strict=True):
            self._weights[len(self.index)] = start
            self.index[name] = len(self.index)
        if self._made is not None:
            self._made.places.clear()

    def add_output(self) -> None:
        """One output more: its weights begin with 0."""
        architecture, n_out = self._architecture, self.n_out
        above = architecture.sizes[-2] if len(architecture.sizes) > 2 else 0
        at = self._rest.size - (above + 1) * n_out

        def wider(rest: np.ndarray) -> np.ndarray:
            last = np.pad(rest[at:].reshape(above + 1, n_out), ((0, 0), (0, 1)))
            return np.concatenate([rest[:at], last.ravel()])

        rest, weights, moments = wider(self._rest), self._weights, self._moments
        rest_moments = np.array([wider(row) for row in self._rest_moments]).reshape(
            len(self._rest_moments), rest.size
        )
        if not above:
            weights = np.pad(weights, ((0, 0), (0, 1)))
            moments = np.pad(moments, ((0, 0), (0, 0), (0, 1)))
        self._rest, self._rest_moments = rest, rest_moments
        self._weights, self._moments, self._made = weights, moments, None
        self._architecture = replace(architecture, sizes=(*architecture.sizes[:-1], n_out + 1))

    # Rows

    @property
    def most(self) -> float:
        """The largest value that a row may have."""
        return kernels.MOST_SCALED if self._scales[0] else float(np.finfo(np.float64).max)

    def takes(self, values: np.ndarray, target: float = 0.0) -> bool:
        """Whether a row can be learned: NaN stands for a value that is missing, not for a target.

        To be asked before there is room for what is new in a row. Of other rows `learn` finds out.
        """
        return bool(abs(target) <= self.most and not (abs(values) > self.most).any())

    def learn(self, names: tuple[Any, ...], rows: np.ndarray, targets: np.ndarray) -> Stop | None:
        """Learn rows in turn; *rows* are their values, those of the first row's features first.

        What stopped it before the last, if anything: a row that it does not take changes nothing.
        """
        made, (places, order, known) = self._ready(names)
        if not known and len(targets) > 0:
            if not self.takes(rows[: len(names)], targets[0]):
                return Stop(diverged=False, left=len(targets))
            self.add_features(names)
            made, (places, order, known) = self._ready(names)
        while True:
            why = made.learn(rows, places, order, targets, made.address)
            if why != kernels.NO_RATE:
                break
            made.set_rates(self._optimizer.learning_rate, self.updates)
            done = made.done
            rows, targets = rows[done * len(names) :], targets[done:]
        if why == kernels.WELL:
            return None
        return Stop(why == kernels.DIVERGED, len(targets) - made.done)

    def predict(
        self, names: tuple[Any, ...], rows: np.ndarray, n_rows: int
    ) -> tuple[np.ndarray, bool]:
        """The outputs for rows, shape (n_rows * n_out,), and whether all of them are numbers."""
        made, (places, order, _) = self._ready(names)
        outputs = np.empty(n_rows * self.n_out)
        well = made.predict(rows, places, order, outputs, n_rows, made.address)
        return outputs, well

    def _ready(self, names: tuple[Any, ...]) -> tuple[_Made, Places]:
        """What is made ready, with room for these features, and their places."""
        made = self._made
        if made is None or len(names) > self._widest:
            self._widest = max(self._widest, 1 << max(0, len(names) - 1).bit_length())
            made = self._made = _Made(self)
        found = made.places.get(names)
        if found is None:
            where = self.index.get
            listed = [where(name, -1) for name in names]
            places = np.array(listed, np.int64)
            order = places.argsort(kind="stable")
            found = (places[order], order, -1 not in listed)
            if len(made.places) >= MOST_KEPT:
                made.places.clear()
            made.places[names] = found
        return made, found

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled and copied: everything but what is made ready, and for how wide a row."""
        return {**self.__dict__, "_made": None, "_widest": 1}


class _Made:
    """What a `FeatureNetwork` has made ready for rows, until something must be larger."""

    def __init__(self, network: FeatureNetwork):
        self.places: dict[tuple[Any, ...], Places] = {}  # by the names of a row's features
        optimizer = network._optimizer
        sizes = (network._widest, *network._architecture.sizes[1:])
        architecture = replace(network._architecture, sizes=sizes)
        of_class = architecture.loss.targets == "classes"
        hidden, output, loss, bias = ready.codes(architecture)
        rule, limits = RULES[optimizer.rule], limits_of(architecture, optimizer)
        keeps = ready.keeps_slopes(architecture)
        # As for one feature: a wider row is no reason to compile another kernel.
        lanes = lanes_at_once(network._architecture)
        train, _ = make_kernels(hidden, output, loss, bias, rule, limits, keeps, False, lanes)
        self._rates, self._first = np.zeros(RATES), np.array([-1])
        self.set_rates(optimizer.learning_rate, network.updates)
        self._done = np.zeros(1, np.int64)
        self._held = Held(self._store(network, architecture, lanes), architecture.dtype)
        self.address = self._held.address
        self.learn = _as_function(kernels.make_learn_rows(train, of_class, optimizer.n_moments))
        self.predict = _as_function(
            kernels.make_predict_rows(make_outputs_by_row(hidden, output, bias), of_class)
        )

    def _store(
        self, network: FeatureNetwork, architecture: Architecture, lanes: int
    ) -> kernels.Store:
        n, n_moments = architecture.n_parameters, network._optimizer.n_moments
        # The lanes run over units in the first layer, so that the work is that of a row's features.
        turned = [False] * (len(architecture.sizes) - 1)
        training, size = table(architecture, n_moments, lanes, turned)
        layers, n_rest = layer_table(architecture), network._rest.size
        for columns in layers, training:
            _put_first_weights_last(columns, n_rest)
        n_out, n_units = architecture.sizes[-1], sum(architecture.sizes)
        dtype = architecture.dtype
        counts, means, squares = network._statistics
        return kernels.Store(
            weights=network._weights.reshape(-1),
            moments=network._moments.reshape(-1),
            rest=network._rest,
            rest_moments=network._rest_moments.reshape(-1),
            layers=layers,
            training=training,
            units=layers[:, UNITS] - np.uint64(architecture.sizes[0]),
            p=aligned(n, dtype),
            m=aligned(n_moments * n, dtype),
            x=aligned(architecture.sizes[0], dtype),
            values=np.zeros((1, n_out)),
            Y=np.zeros((1, n_out)),
            weight=np.zeros(0),
            order=np.empty((0, 1), np.int64),
            options=options_of(architecture, Plan(1, network._optimizer)),
            workspace=aligned(vector_size(n_units), dtype),
            own_workspace=aligned(size, dtype),
            counts=counts,
            means=means,
            squares=squares,
            scales=network._scales,
            updates=network._updates,
            rates=self._rates,
            first=self._first,
            span=Span(np.zeros((1, 1)), 0, 1, np.zeros(1), np.zeros(1), 0),
            done=self._done,
        )

    @property
    def done(self) -> int:
        """The row at which the last call stopped."""
        return int(self._done[0])

    def set_rates(self, rate: Any, updates: int) -> None:
        """Make the rates of the next updates ready."""
        clock, by_update = Clock(), isinstance(rate, CountedSchedule) and rate.per == "update"
        clock.steps[0] = updates
        rates = rates_of_piece(rate, clock, 1, RATES if by_update else 1)[0]
        self._rates[: len(rates)] = rates
        self._first[0] = updates if by_update else -1


def _as_function(kernel: Any) -> Any:
    """A kernel as a function of Python's.

    What goes over all that a model refers to, as river does for its size, stops there: in numba it
    would meet all kernels, and what is no longer alive. With the JIT off a kernel is Python, and
    NumPy would warn of what overflows.
    """
    if not hasattr(kernel, "compile"):
        return quiet(kernel)

    def call(*arguments: Any) -> Any:
        return kernel(*arguments)

    return call


def _put_first_weights_last(layers: np.ndarray, n_rest: int) -> None:
    """Let a table's weights of the first layer be behind the *n_rest* other parameters."""
    before = layers[0, N_IN] * layers[0, N_OUT]
    layers[:, BIAS] -= before
    layers[1:, WEIGHTS] -= before
    layers[0, WEIGHTS] = n_rest
