"""Training sample by sample for any depth and rule: through all layers and back from the last one.

Each layer's update goes straight into its parameters, which are in the workspace meanwhile, see
`fastnn.kernels.padded`, with the optimiser's moments. Only where the norm of the whole gradient is
limited, a first way back measures it.
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.kernels.activations import Codes
from fastnn.kernels.blocks import drop
from fastnn.kernels.jit import inner, kernel, ordered
from fastnn.kernels.lanes import (
    constant,
    convert,
    load,
    maximum,
    minimum,
    prefer_wide_vectors,
    select,
    splat,
    sqrt,
    store,
    width,
)
from fastnn.kernels.lanes import total as sum_of
from fastnn.kernels.layout import ACTIVATION, N_IN, N_OUT, UNITS
from fastnn.kernels.llvm import register_bits
from fastnn.kernels.padded import (
    ALL_UNITS,
    APART,
    OWN_WEIGHTS,
    ROW,
    TURNED,
    make_copies,
    padded_table,
)
from fastnn.kernels.plain import make_train, row_of
from fastnn.kernels.rows import all_finite, load_row, make_finish
from fastnn.kernels.rules import KEPT, OF_ONE, make_change, make_numbers
from fastnn.kernels.sample_steps import (
    make_activate,
    make_times_slope,
    make_update_layer,
    subtract,
    weighted_sums,
)
from fastnn.kernels.updates import factor_for_norm

_0, _1, _3, _4 = (np.uint64(k) for k in (0, 1, 3, 4))


def table(
    architecture: Architecture, moments: int = 0, turned: Sequence[bool] | None = None
) -> tuple[np.ndarray, int]:
    """See `padded.padded_table`."""
    lanes = register_bits() // 8 // architecture.dtype.itemsize
    return padded_table(architecture, lanes, turned, moments)


@functools.cache
def make_forward(hidden: Codes, keeps: bool, drops: bool) -> Any:
    """Make the way of a sample's inputs through all layers.

    With *drops*, which needs *keeps*, units are dropped: *counter* is the number of the first
    hidden unit's random number.
    """
    activate = make_activate(hidden, keeps)

    @inner
    def forward(layers, w, options, counter):
        last = len(layers) - 1
        for l in range(last + 1):
            weighted_sums(layers, l, w)
            if l < last:
                activate(layers[l, ACTIVATION], layers, l, w)
                if drops:
                    a, n = layers[l, UNITS], layers[l, N_OUT]
                    drop(w, a, layers[l, ALL_UNITS] * _3 + a, n, _1, options, l, counter, n)
                    counter += n

    return forward


@functools.cache
def make_train_samples(hidden: Codes, output: int, loss: int, bias: bool) -> Any:
    """Make the kernel of plain SGD, see `plain.make_train`; the layers are those of `table`."""
    take, give = make_copies(bias)
    forward, finish = make_forward(hidden, False, False), make_finish(output, loss)
    update_layer = make_update_layer(bias, subtract, 4)
    times_slope = make_times_slope(hidden, False)

    @inner
    def learn(layers, p, X, Y, last, row, rate, w, carried):
        load_row(X, row, w, _0)
        forward(layers, w, None, None)
        top = len(layers) - 1
        z, n_out = layers[top, UNITS], layers[top, N_OUT]
        loss = finish(w, z, layers[top, ALL_UNITS] + z, n_out, Y, row)
        for l in range(top, -1, -1):
            update_layer(layers, l, w, rate, 0, 0)
            if l > 0:
                times_slope(layers[l - 1, ACTIVATION], layers, l, w)
        return loss, carried

    @inner
    def end(layers, p, X, last, w, carried):
        give(layers, p, p, w)

    return make_train(take, learn, end, wide=False)


@inner
def _extras_of(w, options, weight):
    """What is beside a rule, as numbers of w: of the weights, and of the biases.

    Of a sample's gradient, with its *weight* in it already: the penalty's gradient, and in float64
    the penalty; what both are multiplied by; and the largest entry.
    """
    number, none = w.dtype.type, w.dtype.type(0)
    share, most = number(1), number(np.inf)
    if options.divide_by_weights and weight != 0.0:
        share = number(1.0 / weight)
    if options.clip_value > 0.0:
        most = number(options.clip_value)
    l1, l2 = options.l1, options.l2
    return (number(l1), number(l2), l1, 0.5 * l2, share, most), (none, none, 0.0, 0.0, share, most)


@ordered
def _with_extras(p, g, extras):
    """The gradients, penalised and limited; the penalties."""
    l1, l2, of_absolute, of_square, share, most = extras
    zero, wide = constant(0, p), convert(p, np.float64)
    pull = select(p > zero, l1, select(p < zero, -l1, zero)) + p * l2
    g = minimum(maximum((g + pull) * share, -most), most)
    return g, abs(wide) * of_absolute + wide * wide * of_square


@ordered
def _measure(w, at, p, g, n, numbers):
    """The squares of the gradients."""
    extras, _, _ = numbers
    g, _ = _with_extras(p, g, extras)
    wide = convert(g, np.float64)
    return wide * wide


@functools.cache
def _make_act(rule: int, extras: bool) -> Any:
    """Make the change of parameters, see `sample_steps.make_update_layer`; it returns penalties."""
    change = make_change(rule)

    @ordered
    def act(w, at, p, g, n, numbers):
        beside, of_rule, apart = numbers
        penalty = splat(0.0, n)
        if extras:
            g, penalty = _with_extras(p, g, beside)
        change(w, at, p, g, w, at + apart, apart, n, n, of_rule)
        return penalty

    return act


@ordered
def _limit_norms(layers, w, max_norm):
    """Scale the weights into a unit down to *max_norm* where they measure more."""
    for l in range(len(layers)):
        W, row, n = layers[l, OWN_WEIGHTS], layers[l, ROW], width(w)
        if layers[l, TURNED] == _1:
            for j in range(layers[l, N_OUT]):
                squares = splat(0.0, n)
                for i in range(_0, row, n):
                    wide = convert(load(w, W + j * row + i, n), np.float64)
                    squares = squares + wide * wide
                norm = np.sqrt(sum_of(squares))
                if norm > max_norm:
                    factor = w.dtype.type(max_norm / norm)
                    for i in range(_0, row, n):
                        at = W + j * row + i
                        store(w, at, load(w, at, n) * factor)
        else:
            for j in range(_0, row, n):
                squares = splat(0.0, n)
                for i in range(layers[l, N_IN]):
                    wide = convert(load(w, W + i * row + j, n), np.float64)
                    squares = squares + wide * wide
                norms = sqrt(squares)
                factors = select(norms > max_norm, max_norm / norms, splat(1.0, n))
                for i in range(layers[l, N_IN]):
                    at = W + i * row + j
                    store(w, at, load(w, at, n) * convert(factors, w.dtype.type))


@functools.cache
def _make_update(
    hidden: Codes, output: int, loss: int, bias: bool, rule: int, extras: bool, keeps: bool,
    drops: bool,
) -> Any:  # fmt: skip
    """Make the update from the sample *row*; it returns the loss and the penalty.

    The codes are as in `make_train_samples_by_rule`; t is the number of updates so far, *weight*
    the sample's.
    """
    forward, finish = make_forward(hidden, keeps, drops), make_finish(output, loss)
    times_slope = make_times_slope(hidden, keeps)
    numbers_of, act = make_numbers(rule, *OF_ONE), _make_act(rule, extras)
    update_layer = make_update_layer(bias, act, 1)
    measure_layer = make_update_layer(bias, _measure, 1)

    @inner
    def update(layers, t, X, Y, row, weight, rate, options, w):
        load_row(X, row, w, _0)
        top, one, apart = len(layers) - 1, w.dtype.type(1), layers[0, APART]
        counter = _0
        if drops:
            for l in range(top):
                counter += layers[l, N_OUT]
            counter *= np.uint64(t)
        forward(layers, w, options, counter)
        z, n_out = layers[top, UNITS], layers[top, N_OUT]
        d = layers[top, ALL_UNITS] + z
        loss_of_one, penalty, factor = finish(w, z, d, n_out, Y, row), 0.0, 1.0
        beside, of_biases = _extras_of(w, options, weight)
        if extras:
            scale = w.dtype.type(options.scale * weight)
            loss_of_one *= scale
            for j in range(n_out):
                w[d + j] *= scale
            if options.clip_norm > 0.0:
                square = 0.0
                for l in range(top, -1, -1):
                    square += measure_layer(
                        layers, l, w, one, (beside, 0, apart), (of_biases, 0, apart)
                    )
                    if l > 0:
                        times_slope(layers[l - 1, ACTIVATION], layers, l, w)
                factor = factor_for_norm(square, options.clip_norm)
        numbers = numbers_of(w, options, factor, rate, t + 1)
        for l in range(top, -1, -1):
            penalty += update_layer(
                layers, l, w, one, (beside, numbers, apart), (of_biases, numbers, apart)
            )
            if l > 0:
                times_slope(layers[l - 1, ACTIVATION], layers, l, w)
        if extras:
            if options.max_norm > 0.0:
                _limit_norms(layers, w, options.max_norm)
            if options.divide_by_weights and weight != 0.0:
                loss_of_one /= weight
                penalty /= weight
        return loss_of_one, penalty

    return update


@functools.cache
def make_train_samples_by_rule(
    hidden: Codes, output: int, loss: int, bias: bool, rule: int, extras: bool, keeps: bool,
    drops: bool,
) -> Any:  # fmt: skip
    """Make the kernel for any plan; the layers are those of `table`.

    Without *extras* there are no penalties, limits and weights; *keeps* and *drops* are as in
    `make_forward`. *data* are `contract.Samples` and the order, *span* the rest of `Piece`.
    """
    take, give = make_copies(bias, KEPT[rule])
    update = _make_update(hidden, output, loss, bias, rule, extras, keeps, drops)

    @kernel
    def train_samples_by_rule(layers, p, moments, t, data, span, options, w):
        prefer_wide_vectors()
        take(layers, p, moments, w)
        per_update = 1 if span.rates.shape[1] > 1 else 0
        weight = 1.0
        for epoch in range(len(span.rates)):
            total, penalties = span.loss_sums[epoch], span.penalty_sums[epoch]
            for position in range(span.start, span.stop):
                rate = span.rates[epoch, (position - span.start) * per_update]
                row = row_of(data.order, epoch, position)
                if extras and len(data.weights) > 0:
                    weight = float(data.weights[row])
                loss_of_one, penalty = update(layers, t, data.X, data.Y, row, weight, rate,
                                              options, w)  # fmt: skip
                t += 1
                total += loss_of_one
                penalties += penalty
            span.loss_sums[epoch], span.penalty_sums[epoch] = total, penalties
        give(layers, p, moments, w)

    return train_samples_by_rule


@functools.cache
def make_learn_by_rule(
    hidden: Codes, output: int, loss: int, bias: bool, rule: int, extras: bool, keeps: bool,
    drops: bool,
) -> Any:  # fmt: skip
    """Make one update alone, from the first sample; it returns the loss with the penalty.

    If that or a parameter is no longer finite, it is NaN, and nothing has changed. The codes are as
    in `make_train_samples_by_rule`. It is inlined: to pass the hundred numbers that there are in
    the arguments would take as long as the update of a small network.
    """
    take, give = make_copies(bias, KEPT[rule])
    update = _make_update(hidden, output, loss, bias, rule, extras, keeps, drops)

    @inner
    def learn_by_rule(layers, p, moments, t, X, Y, rate, options, w):
        take(layers, p, moments, w)
        loss, penalty = update(layers, t, X, Y, 0, 1.0, rate, options, w)
        first = layers[0, ALL_UNITS] * _4
        well = all_finite(w[first : first + layers[0, APART]])
        loss_of_all = np.float64(loss) + penalty
        if not (well and np.isfinite(loss_of_all)):
            return np.nan
        give(layers, p, moments, w)
        return loss_of_all

    return learn_by_rule
