"""Training sample by sample with any rule, penalties, limits, weights of samples and dropout.

As in `fastnn.kernels.samples` the parameters are in the workspace meanwhile, with the optimiser's
moments, and are changed on the way back. Only where the norm of the whole gradient is limited, a
first way back measures it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.kernels import one_hidden, one_hidden_steps
from fastnn.kernels.activations import Codes
from fastnn.kernels.epochs import make_train
from fastnn.kernels.jit import inner, made_once, ordered
from fastnn.kernels.lanes import (
    constant,
    convert,
    load,
    maximum,
    minimum,
    select,
    splat,
    sqrt,
    store,
    width,
)
from fastnn.kernels.lanes import total as sum_of
from fastnn.kernels.layout import N_IN, N_OUT, UNITS
from fastnn.kernels.llvm import lanes_of_register
from fastnn.kernels.padded import (
    ALL_UNITS,
    APART,
    OWN_WEIGHTS,
    ROW,
    STEP,
    TURNED,
    make_copies,
    own_finite,
    padded_table,
)
from fastnn.kernels.rows import make_finish
from fastnn.kernels.rules import KEPT, make_change, make_numbers
from fastnn.kernels.sample_steps import scale, take_row
from fastnn.kernels.samples import make_back, make_forward
from fastnn.kernels.updates import Limits, factor_for_norm

_0, _1 = np.uint64(0), np.uint64(1)


def lanes_at_once(architecture: Architecture) -> int:
    """How many units of one hidden layer `one_hidden_steps` take; 0 where they do not pay."""
    sizes, itemsize = architecture.sizes, architecture.dtype.itemsize
    here = len(sizes) == 3 and not any(architecture.dropout)
    if not here or not one_hidden.pays(sizes, itemsize, by_rule=True):
        return 0
    return one_hidden.lanes_for(sizes, itemsize, by_rule=True)


def table(
    architecture: Architecture, moments: int, lanes: int, turned: Sequence[bool] | None = None
) -> tuple[np.ndarray, int]:
    """See `padded.padded_table`; *lanes* as in `lanes_at_once`, *turned* is for none of them."""
    if lanes > 0:
        return padded_table(architecture, lanes, (False, True), moments)
    lanes = lanes_of_register(architecture.dtype.itemsize)
    return padded_table(architecture, lanes, turned, moments)


@inner
def _hidden_units(layers):
    n = _0
    for l in range(len(layers) - 1):
        n += layers[l, N_OUT]
    return n


@inner
def _limits_of(w, options, share):
    """What the gradients are limited by, for weights and for biases."""
    number, none = w.dtype.type, w.dtype.type(0)
    most = number(options.clip_value) if options.clip_value > 0.0 else number(np.inf)
    l1, l2, share = options.l1, options.l2, number(share)
    return (number(l1), number(l2), l1, 0.5 * l2, share, most), (none, none, 0.0, 0.0, share, most)


@made_once
def _make_limited(limits: Limits) -> Any:
    """Make the gradients with those of the penalty, times the *share*, and limited; penalties."""
    has_l1, has_l2, _, clips, _ = limits

    @ordered
    def limited(p, g, n, numbers):
        l1, l2, of_absolute, of_square, share, most = numbers
        zero, wide, penalty = constant(0, p), convert(p, np.float64), splat(0.0, n)
        if has_l1:
            g = g + select(p > zero, l1, select(p < zero, -l1, zero))
            penalty = abs(wide) * of_absolute
        if has_l2:
            g = g + p * l2
            penalty = penalty + wide * wide * of_square
        g = g * share
        if clips:
            g = minimum(maximum(g, -most), most)
        return g, penalty

    return limited


@made_once
def _make_measure(limits: Limits) -> Any:
    """Make the squares of the gradients."""
    limited = _make_limited(limits)

    @ordered
    def measure(w, at, p, g, n, numbers):
        g, _ = limited(p, g, n, numbers[0])
        wide = convert(g, np.float64)
        return wide * wide

    return measure


@made_once
def _make_act(rule: int, limits: Limits) -> Any:
    """Make the change of parameters, see `sample_steps.make_update_layer`; it returns penalties."""
    change, limit, limited = make_change(rule), _make_limited(limits), any(limits)

    @ordered
    def act(w, at, p, g, n, numbers):
        of_limits, of_rule, apart = numbers
        penalty = splat(0.0, n)
        if limited:
            g, penalty = limit(p, g, n, of_limits)
        change(w, at, p, g, w, at + apart, apart, n, n, of_rule)
        return penalty

    return act


@ordered
def _limit_norms(layers, w, max_norm):
    """Scale the weights into a unit down to *max_norm* where they measure more."""
    for l in range(len(layers)):
        W, row, step, n = layers[l, OWN_WEIGHTS], layers[l, ROW], layers[l, STEP], width(w)
        if layers[l, TURNED] == _1:
            for j in range(layers[l, N_OUT]):
                squares = splat(0.0, n)
                for i in range(_0, row, n):
                    wide = convert(load(w, W + j * step + i, n), np.float64)
                    squares = squares + wide * wide
                norm = np.sqrt(sum_of(squares))
                if norm > max_norm:
                    factor = w.dtype.type(max_norm / norm)
                    for i in range(_0, row, n):
                        at = W + j * step + i
                        store(w, at, load(w, at, n) * factor)
        else:
            for j in range(_0, row, n):
                squares = splat(0.0, n)
                for i in range(layers[l, N_IN]):
                    wide = convert(load(w, W + i * step + j, n), np.float64)
                    squares = squares + wide * wide
                factors = max_norm / maximum(sqrt(squares), max_norm)
                for i in range(layers[l, N_IN]):
                    at = W + i * step + j
                    store(w, at, load(w, at, n) * convert(factors, w.dtype.type))


def _make_update(
    hidden: Codes, output: int, loss: int, bias: bool, rule: int, limits: Limits, keeps: bool,
    drops: bool, lanes: int,
) -> Any:  # fmt: skip
    """Make the update from the sample *row*; it returns the loss and the penalty.

    The codes are as in `make_kernels`; t is the number of updates so far, *weight* the sample's.
    """
    finish, numbers_of = make_finish(output, loss), make_numbers(rule)
    act, limited = _make_act(rule, limits), any(limits)
    measured, bounded = limits.clip_norm, limits.max_norm
    if lanes > 0:
        forward = one_hidden_steps.make_forward(hidden, keeps, lanes)
        back = one_hidden_steps.make_back(hidden, bias, keeps, act, lanes)
        measure = one_hidden_steps.make_back(hidden, bias, keeps, _make_measure(limits), lanes)
    else:
        forward = make_forward(hidden, keeps, drops)
        back = make_back(hidden, bias, keeps, act, 1)
        measure = make_back(hidden, bias, keeps, _make_measure(limits), 1)

    @inner
    def update(layers, t, X, Y, row, weight, rate, options, w):
        take_row(layers, X, row, w)
        top, apart = len(layers) - 1, layers[0, APART]
        counter = np.uint64(t) * _hidden_units(layers) if drops else _0
        forward(layers, w, options, counter)
        z, n_out = layers[top, UNITS], layers[top, N_OUT]
        d = layers[top, ALL_UNITS] + z
        loss_of_one, factor = finish(w, z, d, n_out, Y, row), 1.0
        divides = options.divide_by_weights and weight != 0.0
        of_gradient, share = options.scale * weight, 1.0 / weight if divides else 1.0
        of_both = options.scale if divides else of_gradient
        scale(w, d, n_out, of_gradient if limited else of_both)
        of_weights, of_biases = _limits_of(w, options, share)
        if measured:
            square = measure(layers, w, (of_weights, 0, apart), (of_biases, 0, apart))
            factor = factor_for_norm(square, options.clip_norm)
        numbers = numbers_of(w, options, factor, rate, t + 1)
        penalty = back(layers, w, (of_weights, numbers, apart), (of_biases, numbers, apart))
        if bounded:
            _limit_norms(layers, w, options.max_norm)
        return loss_of_one * w.dtype.type(of_both), penalty * share

    return update


@made_once
def make_kernels(
    hidden: Codes, output: int, loss: int, bias: bool, rule: int, limits: Limits, keeps: bool,
    drops: bool, lanes: int,
) -> tuple[Any, Any]:  # fmt: skip
    """Make the kernel for any plan, see `epochs.make_train`, and the update from a row alone.

    The layers are those of `table`. *limits* is what `updates.limits_of` says, *keeps* and *drops*
    are as in `samples.make_forward`; the lanes are those of `lanes_at_once`. The second is that of
    `one_row.make_learn_one`. It is inlined there: to pass the hundred numbers that there are in the
    arguments would take as long as the update of a small network.
    """
    take, give = make_copies(bias, KEPT[rule])
    update = _make_update(hidden, output, loss, bias, rule, limits, keeps, drops, lanes)

    @inner
    def learn(layers, p, t, data, last, row, rate, options, w, carried):
        weight = float(data.weights[row]) if len(data.weights) > 0 else 1.0
        loss_of_one, penalty = update(layers, t, data.X, data.Y, row, weight, rate, options, w)
        return loss_of_one, penalty, carried

    @inner
    def end(layers, p, moments, data, last, w, carried):
        give(layers, p, moments, w)

    @inner
    def learn_by_rule(row):
        layers, p, moments, data, w = row.layers, row.p, row.moments, row.data, row.workspace
        rate = row.span.rates[0, 0]
        take(layers, p, moments, w)
        loss, penalty = update(layers, row.updates[0], data.X, data.Y, 0, 1.0, rate, row.options, w)
        loss_of_all = np.float64(loss) + penalty
        if not (np.isfinite(loss_of_all) and own_finite(layers, w)):
            return np.nan
        give(layers, p, moments, w)
        return loss_of_all

    return make_train(take, learn, end, wide=True), learn_by_rule
