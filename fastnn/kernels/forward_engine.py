"""Outputs, losses and gradients on the ``numba`` engine: the kernels and their workspace.

The functions are those of `fastnn.engines.Engine`.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.contract import Plan, Samples, State
from fastnn.engines import (
    Differentiator,
    EachLoss,
    EachOutput,
    Evaluator,
    Predictor,
    outputs_one_by_one,
)
from fastnn.kernels import (
    batches,
    derivative_engine,
    outputs,
    ready,
    recorded,
    row_outputs,
)
from fastnn.kernels.blocks import BLOCK, Places
from fastnn.kernels.epochs import NO_ORDER
from fastnn.kernels.learner import SinglePredictor
from fastnn.kernels.row_outputs import vector_size
from fastnn.kernels.sparse import entries_of
from fastnn.kernels.team import Help
from fastnn.kernels.updates import has_extras, options_of
from fastnn.memory import frozen
from fastnn.sparse import AnyRows, SparseRows

#: Up to this many samples less one, prediction goes sample by sample.
FEW_ROWS = 8
#: In one call for many vectors: some tenths of a second, since only between calls there is Ctrl-C.
MOST_WORK = 1 << 30


def predictor(architecture: Architecture, sparse: bool = False) -> Predictor:
    """See `fastnn.engines.Engine`. Of few rows it takes hardly longer than the kernel."""
    if sparse:
        return _predictor_of_many(architecture, architecture.sizes[-1], sparse=True)
    hidden, output, _, bias = ready.codes(architecture)
    kernel, layers = (
        row_outputs.make_outputs_by_row(hidden, output, bias),
        ready.layer_table(architecture),
    )
    n_out, dtype, empty = architecture.sizes[-1], architecture.dtype, np.empty
    of_many = _predictor_of_many(architecture, n_out)
    take, put_back = ready.workspaces(vector_size(sum(architecture.sizes)), architecture)

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


def _places_by_rows(
    architecture: Architecture, sparse: bool = False
) -> tuple[int, Callable[[int], Places]]:
    """The size of a workspace, and what finds the places in it for n rows.

    One block holds up to `BLOCK` rows: they can stay there from one call to the next.
    """
    few, many = (ready.places(architecture, False, kept, sparse) for kept in (BLOCK, 0))

    def find(n: int) -> Places:
        return few if n <= few.block else many

    return int(max(few.end, many.end)), find


def _predictor_of_many(architecture: Architecture, n_units: int, sparse: bool = False) -> Predictor:
    """The outputs of the last so many units, block by block."""
    kernel = _outputs_kernel(architecture, n_units, sparse)
    layers, (size, find) = ready.layer_table(architecture), _places_by_rows(architecture, sparse)
    take, put_back = ready.workspaces(size, architecture)
    helped = Help(architecture, 0 if sparse else BLOCK)

    def predict(parameters: np.ndarray, X: AnyRows) -> np.ndarray | None:
        workspace, n = take(), len(X)
        inputs = entries_of(X) if isinstance(X, SparseRows) else frozen(X)  # as in training
        values = np.empty((n, n_units), architecture.dtype)
        with helped.for_rows(n):
            well = kernel(layers, find(n), parameters, inputs, values, workspace)
        put_back(workspace)
        return values if well else None

    return predict


def _outputs_kernel(architecture: Architecture, n_units: int, sparse: bool = False) -> Any:
    sizes, (hidden, output, _, bias) = architecture.sizes, ready.codes(architecture)
    by_unit = len(sizes) == 3 and sizes[0] == n_units == 1 and not sparse
    return outputs.make_outputs(hidden, output, bias, by_unit, sparse)


def each_output(architecture: Architecture, sparse: bool = False) -> EachOutput:
    """See `fastnn.engines.Engine`."""
    if sparse:
        one_by_one = outputs_one_by_one(predictor, architecture, sparse)
        return lambda vectors, X, values: one_by_one(_as_writable(vectors), X, values)
    ways: dict[bool, EachOutput] = {}

    def fill(vectors: np.ndarray, X: np.ndarray, values: np.ndarray) -> np.ndarray:
        few, vectors = len(X) < FEW_ROWS, _as_writable(vectors)
        if few not in ways:
            ways[few] = (_each_by_row if few else _each_by_block)(architecture)
        at_once = _vectors_at_once(architecture, len(X))
        starts = range(0, max(1, len(vectors)), at_once)
        some = [slice(start, start + at_once) for start in starts]
        return np.concatenate([ways[few](vectors[k], X, values[k]) for k in some])

    return fill


def _vectors_at_once(architecture: Architecture, n_rows: int) -> int:
    """How many are MOST_WORK: in multiplications, of which a unit's activation counts 32."""
    of_row = architecture.n_parameters + 32 * sum(architecture.sizes[1:])
    return max(1, MOST_WORK // (of_row * n_rows + 512))


def _each_by_row(architecture: Architecture) -> EachOutput:
    """Of few rows."""
    hidden, output, _, bias = ready.codes(architecture)
    kernel = row_outputs.make_outputs_by_row(hidden, output, bias)
    before = (ready.layer_table(architecture),)
    workspace = ready.new_scratch(vector_size(sum(architecture.sizes)), architecture)
    return lambda vectors, X, values: recorded.fill(
        kernel, before, vectors, _as_writable(X), values, workspace, False
    )


def _each_by_block(architecture: Architecture) -> EachOutput:
    """Of more."""
    kernel = _outputs_kernel(architecture, architecture.sizes[-1])
    layers, (size, find) = ready.layer_table(architecture), _places_by_rows(architecture)
    workspace, helped = ready.new_scratch(size, architecture), Help(architecture, BLOCK)

    def fill(vectors: np.ndarray, X: np.ndarray, values: np.ndarray) -> np.ndarray:
        places = find(len(X))
        kept = len(X) <= places.block
        with helped.for_rows(len(X)):
            return recorded.fill(
                kernel, (layers, places), vectors, frozen(X), values, workspace, kept
            )

    return fill


def _as_writable(X: np.ndarray) -> np.ndarray:
    """A view that numba takes for an ordinary array, for which the kernel is compiled already.

    What belongs to a read-only owner stays as it is, and has a kernel compiled for its type.
    """
    view = X.view()
    with contextlib.suppress(ValueError):
        view.flags.writeable = True
    return view


def single_predictor(architecture: Architecture, state: State) -> SinglePredictor:
    """See `fastnn.engines.Engine`. The kernels are compiled here."""
    hidden, output, _, bias = ready.codes(architecture)
    kernel = row_outputs.make_outputs_by_row(hidden, output, bias)
    return SinglePredictor(kernel, ready.layer_table(architecture), architecture, state)


def layer_outputs(
    architecture: Architecture, parameters: np.ndarray, X: AnyRows
) -> list[np.ndarray] | None:
    """See `fastnn.engines.Engine`."""
    sizes = architecture.sizes[1:]
    predict = _predictor_of_many(architecture, sum(sizes), isinstance(X, SparseRows))
    values = predict(parameters, X)
    return None if values is None else np.split(values, np.cumsum(sizes)[:-1], axis=1)


def evaluator(architecture: Architecture, weighted: bool, sparse: bool = False) -> Evaluator:
    """See `fastnn.engines.Engine`. The kernel is compiled here."""
    run = outputs.make_loss(*ready.codes(architecture), weighted, sparse)
    layers, (size, find) = ready.layer_table(architecture), _places_by_rows(architecture, sparse)
    take, put_back = ready.workspaces(size, architecture)
    helped = Help(architecture, 0 if sparse else BLOCK)

    def evaluate(parameters: np.ndarray, samples: Samples) -> float:
        workspace, weights = take(), ready.weights_of(samples, architecture)
        X, Y = ready.inputs_of(samples.X), samples.Y
        with helped.for_rows(len(samples)):
            total = run(layers, find(len(Y)), parameters, X, Y, weights, workspace)
        put_back(workspace)
        return float(total)

    def run_on_nothing(parameters: np.ndarray) -> None:
        evaluate(parameters, ready.blank_samples(architecture, weighted, sparse))

    ready.compile_once(run, architecture, run_on_nothing)
    return evaluate


def each_loss(architecture: Architecture, weighted: bool) -> EachLoss:
    """See `fastnn.engines.Engine`."""
    run = outputs.make_loss(*ready.codes(architecture), weighted)
    layers, (size, find) = ready.layer_table(architecture), _places_by_rows(architecture)
    workspace, helped = ready.new_scratch(size, architecture), Help(architecture, BLOCK)

    def sums(vectors: np.ndarray, samples: Samples) -> np.ndarray:
        X, Y, weights = samples.X, samples.Y, ready.weights_of(samples, architecture)
        after = (X, Y, weights, workspace)
        places = find(len(samples))
        kept = len(samples) <= places.block
        with helped.for_rows(len(samples)):
            return recorded.sum_losses(run, (layers, places), vectors, after, kept)

    return sums


def differentiator(architecture: Architecture, plan: Plan) -> Differentiator:
    """See `fastnn.engines.Engine`. The kernel is compiled here."""
    extras, keeps = has_extras(architecture, plan), ready.keeps_slopes(architecture)
    layers = ready.layer_table(architecture)
    places: Any = ready.places(architecture, True, sparse=plan.sparse)
    if plan.sloped:
        gradient_of = derivative_engine.sloped_gradient(architecture, extras)
        places = derivative_engine.places_of_training(architecture)
    else:
        kind = (*ready.codes(architecture), extras, keeps, False, plan.sparse)
        gradient_of = batches.make_batch_gradient(*kind)
    run = batches.make_gradient(gradient_of, extras, bool(architecture.l2), plan.sparse)
    options = options_of(architecture, plan)
    take, put_back = ready.workspaces(places.end, architecture)
    helped = Help(architecture, 0 if plan.sloped or plan.sparse else int(places.block))

    def differentiate(parameters: np.ndarray, samples: Samples) -> tuple[float, float, np.ndarray]:
        gradient = ready.new_scratch(architecture.n_parameters, architecture)
        workspace = take()
        data: Any = ready.data_for(samples, architecture, NO_ORDER)
        if plan.sloped:
            data = derivative_engine.sloped_data(samples, data)
        with helped.for_rows(2 * len(samples)):  # back as well
            sums = run(layers, places, parameters, data, options, workspace, gradient)
        put_back(workspace)
        return float(sums[0]), float(sums[1]), gradient

    one = ready.blank_samples(architecture, plan.weighted, plan.sparse, 1, plan.sloped)
    ready.compile_once(run, architecture, lambda parameters: differentiate(parameters, one))
    return differentiate
