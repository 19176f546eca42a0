"""The ``numba`` engine: chooses the kernels for a network and gives them their workspace."""

import functools
from contextlib import suppress
from typing import Any

import numba
import numpy as np

from fastnn.architecture import Architecture
from fastnn.contract import Piece, Plan, Samples, State
from fastnn.engines import StopsToRecord, Trainer
from fastnn.kernels import (
    batches,
    derivative_engine,
    forward_engine,
    many_engine,
    one_hidden,
    one_output,
    one_row,
    orders,
    ready,
    recorded,
    samples_by_rule,
    sparse_batches,
    team,
    wide_input,
)
from fastnn.kernels import samples as sample_kernels
from fastnn.kernels.epochs import NO_ORDER
from fastnn.kernels.learner import Learner
from fastnn.kernels.losses import TERMS
from fastnn.kernels.recorded import Data, Span
from fastnn.kernels.updates import Limits, has_extras, is_bare, limits_of, options_of
from fastnn.memory import LARGE
from fastnn.optimizers import MOMENTS, RULES

#: Numbers in X and Y up to which they are gathered once and stay in the workspace.
MOST_KEPT = 1 << 16


@functools.lru_cache(maxsize=256)
def _sample_kernel(architecture: Architecture) -> tuple[Any, np.ndarray, int]:
    """The kernel for per-sample plain SGD, its table of layers, and how large a workspace."""
    layers, itemsize = ready.layer_table(architecture), architecture.dtype.itemsize
    codes = ready.codes(architecture)
    if wide_input.pays(layers, itemsize):
        train = wide_input.make_train_wide_input(*codes)
        return train, *wide_input.table(architecture)
    if len(layers) == 2:
        sizes = architecture.sizes
        n_in, n_hidden, _ = sizes
        if one_output.pays(layers) and architecture.loss.code in TERMS:
            units, wide = n_hidden if n_in > 1 else 0, n_hidden >= one_output.WIDE_FROM
            train = one_output.make_train_one_output(*codes, n_in=n_in, units=units, wide=wide)
            return train, layers, one_output.workspace_size(layers)
        if one_hidden.pays(sizes, itemsize):
            lanes = one_hidden.lanes_for(sizes, itemsize)
            train = one_hidden.make_train_one_hidden(*codes, lanes)
            return train, *one_hidden.table(architecture, lanes)
    return sample_kernels.make_train_samples(*codes), *sample_kernels.table(architecture)


@functools.lru_cache(maxsize=256)
def _sample_kernels_by_rule(
    architecture: Architecture, rule: str, limits: Limits
) -> tuple[Any, Any, np.ndarray, int]:
    """The same by a rule, with what makes one update alone behind the kernel."""
    keeps, drops = ready.keeps_slopes(architecture), any(architecture.dropout)
    lanes = samples_by_rule.lanes_at_once(architecture)
    kind = (*ready.codes(architecture), RULES[rule], limits, keeps, drops, lanes)
    kernels = samples_by_rule.make_kernels(*kind)
    return *kernels, *samples_by_rule.table(architecture, MOMENTS[rule], lanes)


def in_one_sweep(architecture: Architecture) -> bool:
    """Whether plain SGD sample by sample has no `phases`: all kernels but one go in one sweep."""
    with_phases = sample_kernels.make_train_samples(*ready.codes(architecture))
    return _sample_kernel(architecture)[0] is not with_phases


@functools.lru_cache(maxsize=256)
def _block_of_wide_input(architecture: Architecture) -> int:
    """Of how many samples that kernel takes products; 0 if of none."""
    wide = wide_input.pays(ready.layer_table(architecture), architecture.dtype.itemsize)
    return int(wide_input.BLOCK) if wide else 0


#: Its work changes arrays in place.
may_be_left = False
blocks = many_engine
derivatives = derivative_engine
shuffler = orders.shuffler
predictor, single_predictor = forward_engine.predictor, forward_engine.single_predictor
layer_outputs = forward_engine.layer_outputs
each_output, each_loss = forward_engine.each_output, forward_engine.each_loss
evaluator, differentiator = forward_engine.evaluator, forward_engine.differentiator


#: The trainer that was put back last, unless it has much memory: the next fit is often of an equal
#: network by an equal plan, and what a trainer gets ready is a tenth of what a short fit takes.
_idle: list["_Trainer"] = []


def _passes(piece: Piece) -> int:
    """How often samples go through the network: forward, back, and to the gradient."""
    return 3 * len(piece.rates) * (piece.stop - piece.start)


class _Trainer:
    """What all kernels that train are given."""

    kernel: Any
    _layers: np.ndarray
    _workspace: np.ndarray

    def __init__(self, architecture: Architecture, plan: Plan):
        self._architecture = architecture
        self._made_for = plan.but_rate()
        self.options = options_of(architecture, plan)
        self._make_ready(plan)
        self.find_help()

    def find_help(self) -> None:
        """Ask how many threads may help now."""
        self._help = team.Help(self._architecture, self._samples_at_once())

    def _make_ready(self, plan: Plan) -> None:
        """Get the kernel, its table of layers and the workspace."""
        raise NotImplementedError

    def _samples_at_once(self) -> int:
        """How many samples products are of."""
        return 0

    def _codes(self, plan: Plan) -> tuple[Any, ...]:
        """What kernels for all rules are compiled for."""
        architecture = self._architecture
        return (
            *ready.codes(architecture),
            RULES[plan.optimizer.rule],
            has_extras(architecture, plan),
            bool(architecture.l2),
            ready.keeps_slopes(architecture),
            any(architecture.dropout),
        )

    def run(self, state: State, samples: Samples, piece: Piece) -> None:
        """See `fastnn.engines.Trainer`."""
        with self._help.for_rows(_passes(piece)):
            self.kernel(*self._arguments(state, samples, piece))
        state.updates[0] += len(piece.rates) * self._updates(piece)

    def run_recorded(
        self, state: State, samples: Samples, piece: Piece, marks: np.ndarray, records: np.ndarray
    ) -> None:
        """See `fastnn.engines.Trainer`."""
        arguments, updates = self._arguments(state, samples, piece), self._updates(piece)
        with self._help.for_rows(_passes(piece)):
            recorded.run_recorded(self.kernel, arguments, updates, marks, records)
        state.updates[0] += len(piece.rates) * updates

    def is_for(self, architecture: Architecture, plan: Plan) -> bool:
        """Whether it was made for equal ones, but for the rates."""
        return self._architecture == architecture and self._made_for == plan.but_rate()

    def put_back(self) -> None:
        """See `fastnn.engines.Trainer`."""
        if sum(array.nbytes for array in self._memory()) <= LARGE:
            _idle[:] = [self]

    def _memory(self) -> list[np.ndarray]:
        """What it writes to."""
        return [self._workspace]

    def _updates(self, piece: Piece) -> int:
        """How many there are in an epoch, or its part."""
        size: int = self.options.batch_size
        return -(-(piece.stop - piece.start) // size)

    def _arguments(self, state: State, samples: Samples, piece: Piece) -> tuple[Any, ...]:
        return (
            self._layers,
            state.parameters,
            state.moments.reshape(-1),
            int(state.updates[0]),
            ready.data_for(samples, self._architecture, piece.order),
            Span(piece.rates, piece.start, piece.stop, piece.loss_sums, piece.penalty_sums, 0),
            self.options,
            self._workspace,
        )


class _SampleTrainer(_Trainer):
    """Sample by sample.

    *plain*: by plain SGD, with kernels that change the parameters where they are met. *learn* makes
    an update alone, see `one_row.make_learn_one`.
    """

    def _make_ready(self, plan: Plan) -> None:
        architecture, optimizer = self._architecture, plan.optimizer
        self.plain = (
            optimizer.rule == "sgd"
            and not ready.keeps_slopes(architecture)
            and is_bare(architecture, plan)
        )
        if self.plain:
            self.kernel, self._layers, size = _sample_kernel(architecture)
            self.learn = one_row.make_learn_plainly(self.kernel)
        else:
            limits = limits_of(architecture, optimizer)
            made = _sample_kernels_by_rule(architecture, optimizer.rule, limits)
            self.kernel, self.learn, self._layers, size = made
        self._workspace = ready.new_scratch(size, architecture)

    def _samples_at_once(self) -> int:
        return _block_of_wide_input(self._architecture) if self.plain else 0


def _new_gradient(architecture: Architecture) -> np.ndarray:
    return ready.new_scratch(architecture.n_parameters, architecture)


class _SparseTrainer(StopsToRecord, _Trainer):
    """From sparse rows, in batches of any size.

    It is not kept: what it notes of each input is of one training.
    """

    def __init__(self, architecture: Architecture, plan: Plan):
        self._way = sparse_batches.way_of(architecture, plan)
        super().__init__(architecture, plan)

    def _make_ready(self, plan: Plan) -> None:
        self._layers = ready.layer_table(self._architecture)
        self._places = ready.places(self._architecture, True, sparse=True)
        self._workspace = ready.new_scratch(self._places.end, self._architecture)
        self._gradient = _new_gradient(self._architecture)
        self._inputs = sparse_batches.new_inputs(self._architecture, plan, self._way)
        self.kernel = sparse_batches.make_train_sparse(*self._codes(plan), self._way)

    def _arguments(self, state: State, samples: Samples, piece: Piece) -> tuple[Any, ...]:
        layers, *rest = super()._arguments(state, samples, piece)
        return (layers, self._places, *rest, self._gradient, self._inputs)


class _BatchTrainer(_Trainer):
    """In batches."""

    def _make_ready(self, plan: Plan) -> None:
        self._layers = ready.layer_table(self._architecture)
        self._workspace = np.empty(0, self._architecture.dtype)
        self._kept = -1  # samples that the workspace has places for; there is none yet
        self._gradient = _new_gradient(self._architecture)
        *codes, rule, extras, l2, keeps, drops = self._codes(plan)
        gradient = batches.make_batch_gradient(*codes, extras, keeps, drops)
        self.kernel = batches.make_train_batches(gradient, rule, extras, l2)

    def _arguments(self, state: State, samples: Samples, piece: Piece) -> tuple[Any, ...]:
        keep = len(piece.order) == 0 and samples.dense.size + samples.Y.size <= MOST_KEPT
        self._make_room(len(samples) if keep else 0)
        layers, *rest = super()._arguments(state, samples, piece)
        return (layers, self._places, *rest, self._gradient, keep)

    def _memory(self) -> list[np.ndarray]:
        return [self._workspace, self._gradient]

    def _samples_at_once(self) -> int:
        block = int(ready.places(self._architecture, training=True).block)
        size: int = self.options.batch_size
        return min(block, size)

    def _make_room(self, kept: int) -> None:
        """Have a workspace with places for so many samples, beside a block."""
        if kept > self._kept:
            places = ready.places(self._architecture, True, kept)
            workspace = ready.new_scratch(places.end, self._architecture)
            # At once: what is interrupted here may be put back.
            self._kept, self._places, self._workspace = kept, places, workspace


class _SlopedTrainer(StopsToRecord, _Trainer):
    """In batches of any size, of samples whose loss has the error of the Jacobian in it."""

    def _make_ready(self, plan: Plan) -> None:
        architecture, extras = self._architecture, has_extras(self._architecture, plan)
        self._layers = ready.layer_table(architecture)
        self._places = derivative_engine.places_of_training(architecture)
        self._workspace = ready.new_scratch(self._places.end, architecture)
        self._gradient = _new_gradient(architecture)
        gradient = derivative_engine.sloped_gradient(architecture, extras)
        rule, l2 = RULES[plan.optimizer.rule], bool(architecture.l2)
        self.kernel = batches.make_train_batches(gradient, rule, extras, l2)

    def _arguments(self, state: State, samples: Samples, piece: Piece) -> tuple[Any, ...]:
        layers, p, moments, t, data, *rest = super()._arguments(state, samples, piece)
        data = derivative_engine.sloped_data(samples, data)
        return (layers, self._places, p, moments, t, data, *rest, self._gradient, False)


def trainer(architecture: Architecture, plan: Plan) -> Trainer:
    """See `fastnn.engines.Engine`. The kernel is compiled here, so that no piece waits for it."""
    idle = None
    with suppress(IndexError):
        idle = _idle.pop()  # of two threads one gets it
    if idle is not None and idle.is_for(architecture, plan):
        idle.find_help()
        return idle
    made: Trainer
    if plan.sloped:
        made = _SlopedTrainer(architecture, plan)
    elif plan.sparse:
        made = _SparseTrainer(architecture, plan)
    elif plan.batch_size > 1:
        made = _BatchTrainer(architecture, plan)
    else:
        made = _SampleTrainer(architecture, plan)
    _compile_trainer(made, architecture, plan)
    return made


def _compile_trainer(made: Any, architecture: Architecture, plan: Plan) -> None:
    def run_on_nothing(parameters: np.ndarray) -> None:
        nothing = Piece.of_epochs(np.ones((1, 1)), NO_ORDER, 0)
        samples = ready.blank_samples(architecture, plan.weighted, plan.sparse, sloped=plan.sloped)
        made.run(State.new(parameters, plan.optimizer), samples, nothing)

    ready.compile_once(made.kernel, architecture, run_on_nothing)


def learner(architecture: Architecture, plan: Plan, state: State) -> Learner | None:
    """See `fastnn.engines.Engine`. The kernel is compiled here."""
    if plan.sparse or architecture.loss.missing:  # it takes what is not finite for a fault
        return None
    made = _SampleTrainer(architecture, plan)
    before = architecture.n_parameters if made.plain else 0
    widths = architecture.sizes[0], architecture.target_columns
    X, Y = (np.zeros((1, n), architecture.dtype).view() for n in widths)
    X.flags.writeable = Y.flags.writeable = False
    weights = ready.no_weights(architecture.dtype)
    return Learner(
        made.learn,
        architecture,
        state,
        layers=made._layers,
        before=ready.new_scratch(before, architecture),
        data=Data(X, Y, weights, np.empty((0, 1), np.int64)),
        span=Span(np.zeros((1, 1)), 0, 1, np.zeros(1), np.zeros(1), 0),
        options=made.options,
        workspace=made._workspace,
    )


def row_seconds(architecture: Architecture, plan: Plan) -> float:
    """See `fastnn.engines.Engine`."""
    if numba.config.DISABLE_JIT:  # the kernels are Python then
        return 1e-5 + 1e-6 * architecture.n_parameters
    n: float = architecture.n_parameters
    if plan.sparse:
        n = sparse_batches.parameters_met(architecture, plan)
    # Some three times what a Zen 5 takes.
    sgd, rows = plan.optimizer.rule == "sgd", plan.batch_size
    if rows == 1 and sgd:
        rows = max(1, _block_of_wide_input(architecture))
    update = 2e-10 if sgd else 2e-9
    if rows > 1 and not plan.sparse:  # by products, and a share of an update
        n_units = sum(architecture.sizes[1:])
        seconds = 1e-7 + 1e-9 * n_units + (6e-11 + update / rows) * n
    else:
        seconds = 1e-7 + update * n
    return seconds * (1 + 2 * architecture.sizes[0]) if plan.sloped else seconds
