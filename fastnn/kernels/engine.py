"""The ``numba`` engine: chooses the kernels for a network and gives them their workspace."""

import contextlib
import functools
from collections.abc import Sequence
from typing import Any

import numba
import numpy as np

from fastnn.architecture import Architecture
from fastnn.contract import Piece, Plan, Samples, State
from fastnn.engines import (
    Differentiator,
    EachLoss,
    EachOutput,
    Evaluator,
    Predictor,
    StopsToRecord,
    Trainer,
    fill_one_by_one,
)
from fastnn.kernels import (
    batches,
    derivative_engine,
    many_engine,
    many_predictions,
    one_hidden,
    one_output,
    outputs,
    recorded,
    sparse_batches,
    wide_input,
)
from fastnn.kernels import samples as sample_kernels
from fastnn.kernels.layout import N_OUT
from fastnn.kernels.learner import Learner, SinglePredictor
from fastnn.kernels.losses import TERMS
from fastnn.kernels.ready import NO_ORDER as _NO_ORDER
from fastnn.kernels.ready import blank_samples as _blank_samples
from fastnn.kernels.ready import codes as _codes
from fastnn.kernels.ready import compile_once as _compile_once
from fastnn.kernels.ready import data_for, inputs_of, new_scratch
from fastnn.kernels.ready import keeps_slopes as _keeps_slopes
from fastnn.kernels.ready import layer_table as _layer_table
from fastnn.kernels.ready import no_weights as _no_weights
from fastnn.kernels.ready import places as _places
from fastnn.kernels.ready import weights_of as _weights
from fastnn.kernels.ready import workspaces as _workspaces
from fastnn.kernels.recorded import Data, Recorder, Span
from fastnn.kernels.sparse import entries_of
from fastnn.kernels.updates import has_extras, options_of
from fastnn.memory import frozen
from fastnn.optimizers import RULES
from fastnn.sparse import AnyRows, SparseRows

#: Numbers in X and Y up to which they are gathered once and stay in the workspace.
MOST_KEPT = 1 << 16
#: With one hidden layer and up to this many inputs and outputs, prediction goes unit by unit.
MOST_BY_UNIT = 8
#: Up to this many samples less one, prediction goes sample by sample.
FEW_ROWS = 8


@functools.lru_cache(maxsize=256)
def _sample_kernel(architecture: Architecture) -> tuple[Any, int]:
    """The kernel for per-sample plain SGD, and how large a workspace it needs."""
    layers = _layer_table(architecture)
    codes = _codes(architecture)
    if wide_input.pays(layers, architecture.dtype.itemsize):
        return wide_input.make_train_wide_input(*codes), wide_input.workspace_size(layers)
    if len(layers) != 2:
        return sample_kernels.make_train_samples(*codes), sample_kernels.workspace_size(layers)
    wide = int(layers[0, N_OUT]) >= one_hidden.WIDE_FROM
    if one_output.pays(layers) and architecture.loss.code in TERMS:
        n_in, units, _ = architecture.sizes
        train = one_output.make_train_one_output(
            *codes, n_in=n_in, units=units if n_in > 1 else 0, wide=wide
        )
        return train, one_output.workspace_size(layers)
    return one_hidden.make_train_one_hidden(*codes, wide), one_hidden.workspace_size(layers)


#: Its work changes arrays in place.
may_be_left = False
blocks = many_engine
derivatives = derivative_engine


class _PlainSampleTrainer(Recorder):
    """Per-sample plain SGD, where each layer's update goes straight into its weights."""

    def __init__(self, architecture: Architecture):
        self._layers = _layer_table(architecture)
        self.kernel, size = _sample_kernel(architecture)
        self._workspace = new_scratch(size, architecture)

    def _arguments(self, state: State, samples: Samples, piece: Piece) -> tuple[Any, ...]:
        return (
            self._layers,
            state.parameters,
            samples.dense,
            samples.Y,
            piece.order,
            piece.rates,
            piece.start,
            piece.stop,
            piece.loss_sums,
            self._workspace,
        )


class _RuleTrainer(Recorder):
    """Any rule, penalties, weights and dropout; this one sample by sample."""

    def __init__(self, architecture: Architecture, plan: Plan):
        self._architecture = architecture
        self._options, self._batch_size = options_of(architecture, plan), plan.batch_size
        self._gradient = new_scratch(architecture.n_parameters, architecture)
        codes = (
            *_codes(architecture),
            RULES[plan.optimizer.rule],
            has_extras(architecture, plan),
            _keeps_slopes(architecture),
            any(architecture.dropout),
        )
        self._make_ready(*codes)

    def _make_ready(self, *codes: Any) -> None:
        sizes = self._architecture.sizes
        self._layers = _layer_table(self._architecture)
        self._workspace = new_scratch(
            sample_kernels.workspace_size(self._layers), self._architecture
        )
        with_one_output = len(sizes) == 3 and sizes[-1] == 1
        with_one_output = with_one_output and not _keeps_slopes(self._architecture)
        self.kernel = sample_kernels.make_train_samples_by_rule(*codes, with_one_output)

    def _arguments(self, state: State, samples: Samples, piece: Piece) -> tuple[Any, ...]:
        return (
            self._layers,
            state.parameters,
            state.moments.reshape(-1),
            int(state.updates[0]),
            data_for(samples, self._architecture, piece.order),
            Span(piece.rates, piece.start, piece.stop, piece.loss_sums, piece.penalty_sums, 0),
            self._options,
            self._workspace,
            self._gradient,
        )


class _SparseTrainer(StopsToRecord, _RuleTrainer):
    """The same from sparse rows, in batches of any size."""

    def __init__(self, architecture: Architecture, plan: Plan):
        self._plan, self._way = plan, sparse_batches.way_of(architecture, plan)
        super().__init__(architecture, plan)

    def _make_ready(self, *codes: Any) -> None:
        self._layers = _layer_table(self._architecture)
        self._places = _places(self._architecture, True, sparse=True)
        self._workspace = new_scratch(self._places.end, self._architecture)
        self._inputs = sparse_batches.new_inputs(self._architecture, self._plan, self._way)
        self.kernel = sparse_batches.make_train_sparse(*codes, self._way)

    def _arguments(self, state: State, samples: Samples, piece: Piece) -> tuple[Any, ...]:
        layers, *rest = super()._arguments(state, samples, piece)
        return (layers, self._places, *rest, self._inputs)


class _BatchTrainer(_RuleTrainer):
    """The same in batches."""

    def _make_ready(self, *codes: Any) -> None:
        self._layers = _layer_table(self._architecture)
        self._kept = -1  # samples that the workspace has places for; there is none yet
        self.kernel = batches.make_train_batches(*codes)

    def _arguments(self, state: State, samples: Samples, piece: Piece) -> tuple[Any, ...]:
        keep = len(piece.order) == 0 and samples.dense.size + samples.Y.size <= MOST_KEPT
        self._make_room(len(samples) if keep else 0)
        layers, *rest = super()._arguments(state, samples, piece)
        return (layers, self._places, *rest, keep)

    def _make_room(self, kept: int) -> None:
        """Have a workspace with places for so many samples, beside a block."""
        if kept > self._kept:
            self._kept = kept
            self._places = _places(self._architecture, True, kept)
            self._workspace = new_scratch(self._places.end, self._architecture)


def trainer(architecture: Architecture, plan: Plan) -> Trainer:
    """See `fastnn.engines.Engine`. The kernel is compiled here, so that no piece waits for it."""
    if not plan.sloped:
        return _compiled_trainer(architecture, plan)
    made = derivative_engine.SlopedTrainer(architecture, plan)
    _compile_trainer(made, architecture, plan)
    return made


def _compiled_trainer(architecture: Architecture, plan: Plan) -> _PlainSampleTrainer | _RuleTrainer:
    made: _PlainSampleTrainer | _RuleTrainer
    if plan.sparse:
        made = _SparseTrainer(architecture, plan)
    elif plan.batch_size > 1:
        made = _BatchTrainer(architecture, plan)
    elif (
        plan.optimizer.rule == "sgd"
        and not _keeps_slopes(architecture)
        and not has_extras(architecture, plan)
    ):
        made = _PlainSampleTrainer(architecture)
    else:
        made = _RuleTrainer(architecture, plan)
    _compile_trainer(made, architecture, plan)
    return made


def _compile_trainer(made: Any, architecture: Architecture, plan: Plan) -> None:
    def run_on_nothing(parameters: np.ndarray) -> None:
        nothing = Piece.of_epochs(np.ones((1, 1)), _NO_ORDER, 0)
        samples = _blank_samples(architecture, plan.weighted, plan.sparse, sloped=plan.sloped)
        made.run(State.new(parameters, plan.optimizer), samples, nothing)

    _compile_once(made.kernel, architecture, run_on_nothing)


def learner(architecture: Architecture, plan: Plan, state: State) -> Learner | None:
    """See `fastnn.engines.Engine`. The kernels are compiled here."""
    if plan.sparse:
        return None
    made = _compiled_trainer(architecture, plan)
    plain = isinstance(made, _PlainSampleTrainer)
    widths = architecture.sizes[0], architecture.target_columns
    X, Y = (np.zeros((1, n), architecture.dtype).view() for n in widths)
    X.flags.writeable = Y.flags.writeable = False
    weights = _no_weights(architecture.dtype)
    return Learner(
        made.kernel,
        plain,
        architecture,
        state,
        layers=made._layers,
        data=Data(X, Y, weights, np.empty((0, 1), np.int64)),
        span=Span(np.zeros((1, 1)), 0, 1, np.zeros(1), np.zeros(1), 0),
        options=options_of(architecture, plan),
        workspace=made._workspace,
        g=new_scratch(0 if plain else architecture.n_parameters, architecture),
    )


def row_seconds(architecture: Architecture, plan: Plan) -> float:
    """See `fastnn.engines.Engine`."""
    if numba.config.DISABLE_JIT:  # the kernels are Python then
        return 1e-5 + 1e-6 * architecture.n_parameters
    n: float = architecture.n_parameters
    if plan.sparse:
        n = sparse_batches.parameters_met(architecture, plan)
    seconds = 1e-6 + (2e-9 if plan.optimizer.rule == "sgd" else 1e-8) * n
    return seconds * (1 + 2 * architecture.sizes[0]) if plan.sloped else seconds


def predictor(architecture: Architecture, sparse: bool = False) -> Predictor:
    """See `fastnn.engines.Engine`. Of few rows it takes hardly longer than the kernel."""
    if sparse:
        return _predictor_of_sparse(architecture, architecture.sizes[-1])
    hidden, output, _, bias = _codes(architecture)
    kernel, layers = outputs.make_outputs_by_row(hidden, output, bias), _layer_table(architecture)
    n_out, dtype, empty = architecture.sizes[-1], architecture.dtype, np.empty
    of_many = _predictor_of_many(architecture, n_out)
    take, put_back = _workspaces(sum(architecture.sizes), architecture)

    def predict(parameters: np.ndarray, X: np.ndarray) -> np.ndarray | None:
        n = len(X)
        if n >= FEW_ROWS:
            return of_many(parameters, X)
        workspace = take()
        if not X.flags.writeable:
            X = _as_writable(X)
        values = empty((n, n_out), dtype)
        well = kernel(layers, parameters, X, values, workspace)
        put_back(workspace)
        return values if well else None

    return predict


def _predictor_of_many(architecture: Architecture, n_units: int) -> Predictor:
    """The outputs of the last so many units, block by block."""
    kernel, layers = _outputs_kernel(architecture, n_units), _layer_table(architecture)
    places = _places(architecture, training=False)
    take, put_back = _workspaces(places.end, architecture)

    def predict(parameters: np.ndarray, X: np.ndarray) -> np.ndarray | None:
        workspace = take()
        X = frozen(X)  # as it is in training
        values = np.empty((len(X), n_units), architecture.dtype)
        well = kernel(layers, places, parameters, X, _NO_ORDER, values, workspace)
        put_back(workspace)
        return values if well else None

    return predict


def _predictor_of_sparse(architecture: Architecture, n_units: int) -> Predictor:
    """The same for sparse rows."""
    hidden, output, _, bias = _codes(architecture)
    kernel = outputs.make_outputs(hidden, output, bias, by_unit=False, sparse=True)
    layers, places = _layer_table(architecture), _places(architecture, False, sparse=True)
    take, put_back = _workspaces(places.end, architecture)

    def predict(parameters: np.ndarray, X: SparseRows) -> np.ndarray | None:
        workspace = take()
        values = np.empty((len(X), n_units), architecture.dtype)
        well = kernel(layers, places, parameters, entries_of(X), _NO_ORDER, values, workspace)
        put_back(workspace)
        return values if well else None

    return predict


def _outputs_kernel(architecture: Architecture, n_units: int) -> Any:
    sizes, (hidden, output, _, bias) = architecture.sizes, _codes(architecture)
    by_unit = len(sizes) == 3 and n_units == sizes[-1] and max(sizes[0], n_units) <= MOST_BY_UNIT
    return outputs.make_outputs(hidden, output, bias, by_unit)


def each_output(architecture: Architecture) -> EachOutput:
    """See `fastnn.engines.Engine`."""
    hidden, output, _, bias = _codes(architecture)
    by_row = outputs.make_outputs_by_row(hidden, output, bias)
    layers, places = _layer_table(architecture), _places(architecture, training=False)
    by_block = _outputs_kernel(architecture, architecture.sizes[-1])
    few = new_scratch(sum(architecture.sizes), architecture)
    many = new_scratch(places.end, architecture)

    def fill(vectors: np.ndarray, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values = np.empty((len(vectors), len(X), architecture.sizes[-1]), architecture.dtype)
        if len(X) < FEW_ROWS:
            return recorded.fill(by_row, (layers,), vectors, (_as_writable(X),), values, few)
        return recorded.fill(by_block, (layers, places), vectors, (X, _NO_ORDER), values, many)

    return fill


def _as_writable(X: np.ndarray) -> np.ndarray:
    """A view that numba takes for an ordinary array, for which the kernel is compiled already.

    What belongs to a read-only owner stays as it is, and has a kernel compiled for its type.
    """
    view = X.view()
    with contextlib.suppress(ValueError):
        view.flags.writeable = True
    return view


def fill_outputs(
    architectures: Sequence[Architecture],
    vectors: Sequence[np.ndarray] | np.ndarray,
    X: AnyRows,
    values: np.ndarray,
) -> bool:
    """See `fastnn.engines.Engine`."""
    alone = functools.partial(fill_one_by_one, predictor)
    if isinstance(X, SparseRows):
        return alone(architectures, vectors, X, values)
    return many_predictions.fill_outputs(architectures, vectors, X, values, alone)


def single_predictor(architecture: Architecture, state: State) -> SinglePredictor:
    """See `fastnn.engines.Engine`. The kernels are compiled here."""
    hidden, output, _, bias = _codes(architecture)
    kernel = outputs.make_outputs_by_row(hidden, output, bias)
    return SinglePredictor(kernel, _layer_table(architecture), architecture, state)


def layer_outputs(
    architecture: Architecture, parameters: np.ndarray, X: AnyRows
) -> list[np.ndarray] | None:
    """See `fastnn.engines.Engine`."""
    sizes = architecture.sizes[1:]
    of_many = _predictor_of_sparse if isinstance(X, SparseRows) else _predictor_of_many
    values = of_many(architecture, sum(sizes))(parameters, X)
    return None if values is None else np.split(values, np.cumsum(sizes)[:-1], axis=1)


def evaluator(architecture: Architecture, weighted: bool, sparse: bool = False) -> Evaluator:
    """See `fastnn.engines.Engine`. The kernel is compiled here."""
    run = outputs.make_loss(*_codes(architecture), weighted, sparse)
    layers, places = _layer_table(architecture), _places(architecture, False, sparse=sparse)
    workspace = new_scratch(places.end, architecture)

    def evaluate(parameters: np.ndarray, samples: Samples) -> float:
        weights = _weights(samples, architecture)
        X, Y = inputs_of(samples.X), samples.Y
        return float(run(layers, places, parameters, X, Y, weights, _NO_ORDER, workspace))

    nothing = _blank_samples(architecture, weighted, sparse)
    _compile_once(run, architecture, lambda parameters: evaluate(parameters, nothing))
    return evaluate


def each_loss(architecture: Architecture, weighted: bool) -> EachLoss:
    """See `fastnn.engines.Engine`."""
    run = outputs.make_loss(*_codes(architecture), weighted)
    layers, places = _layer_table(architecture), _places(architecture, training=False)
    workspace = new_scratch(places.end, architecture)

    def sums(vectors: np.ndarray, samples: Samples) -> np.ndarray:
        X, Y, weights = samples.X, samples.Y, _weights(samples, architecture)
        after = (X, Y, weights, _NO_ORDER, workspace)
        return recorded.sum_losses(run, (layers, places), vectors, after)

    return sums


def differentiator(architecture: Architecture, plan: Plan) -> Differentiator:
    """See `fastnn.engines.Engine`. The kernel is compiled here."""
    extras, keeps = has_extras(architecture, plan), _keeps_slopes(architecture)
    layers = _layer_table(architecture)
    places: Any = _places(architecture, True, sparse=plan.sparse)
    if plan.sloped:
        run = derivative_engine.sloped_kernel(batches.make_gradient_alone, architecture, extras)
        places = derivative_engine.places_of_training(architecture)
    else:
        run = batches.make_gradient(*_codes(architecture), extras, keeps, plan.sparse)
    options = options_of(architecture, plan)
    take, put_back = _workspaces(places.end, architecture)

    def differentiate(parameters: np.ndarray, samples: Samples) -> tuple[float, float, np.ndarray]:
        gradient = new_scratch(architecture.n_parameters, architecture)
        workspace = take()
        data: Any = data_for(samples, architecture, _NO_ORDER)
        if plan.sloped:
            data = derivative_engine.sloped_data(samples, data.weights, _NO_ORDER)
        sums = run(layers, places, parameters, data, options, workspace, gradient)
        put_back(workspace)
        return float(sums[0]), float(sums[1]), gradient

    one = _blank_samples(architecture, plan.weighted, plan.sparse, 1, plan.sloped)
    _compile_once(run, architecture, lambda parameters: differentiate(parameters, one))
    return differentiate
