"""Training in batches of sparse rows, in proportion to the entries that are there.

A batch has a gradient for the weights out of those inputs that occur in it. All others have a
gradient of 0, and what a rule does to them is one of three things, which a kernel is made for:

still       nothing: plain SGD and Adagrad without penalties
drifting    something linear in a weight w and its moment m, the same for all of them:

                w' = a w + b m        m' = c w + d m

            momentum, weight decay, an L2 penalty of SGD's, and RMSprop, whose mean of squares
            decays
dense       anything else: Adam, L1, the largest norm of a unit's weights, an L2 penalty with
            another rule than SGD or with clipping. All weights are gone through, as for dense rows.

Drifting weights are brought up to date when their input occurs, and all at the end of a window of
`Plan.window` updates. For that there is a map (a, b, c, d) for each update since when a weight may
not have been looked at: the product of all since then. Windows begin with an epoch, and epochs are
cut at their ends: so how they are cut changes no bit.

With an L2 penalty, the penalty of all weights is a part of each batch's loss. The sums Σ w², Σ w m
and Σ m² over all weights that drift are another linear map's, so they are followed without
looking at the weights; what occurs in a batch is taken out of them before and put back after it.
"""

from collections import namedtuple
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.contract import Plan
from fastnn.kernels.activations import Codes
from fastnn.kernels.batches import (
    batch_at,
    begin_first_layer,
    make_afresh,
    make_batch_gradient,
    make_weigh,
    straight,
)
from fastnn.kernels.epochs import row_of
from fastnn.kernels.jit import inner, kernel, made_once, shared
from fastnn.kernels.lanes import prefer_wide_vectors
from fastnn.kernels.layout import N_IN, N_OUT, UNITS
from fastnn.kernels.sparse import span_of
from fastnn.kernels.updates import (
    decay_of,
    factor_for_norm,
    make_penalise,
    make_step,
    make_update,
    scale_and_limit,
    scale_of,
)
from fastnn.optimizers import RULES

#: What becomes of weights whose gradient is 0.
STILL, DRIFTING, DENSE = range(3)
#: About as many entries has a row, before any was seen.
USUAL_ENTRIES = 128

#: What is known of the inputs. *seen* is the update in which each occurred last, by the count in
#: *count*, which is never set back; *touched* are the numbers of those in this batch. *maps* has a
#: map for each update since the window began, and *sums* are Σ w², Σ w m and Σ m².
Inputs = namedtuple("Inputs", "seen count touched maps sums")

_SGD, _MOMENTUM = RULES["sgd"], RULES["momentum"]


def way_of(architecture: Architecture, plan: Plan) -> int:
    """What becomes, by this plan, of weights whose gradient is 0."""
    optimizer = plan.optimizer
    rule, clips = optimizer.rule, optimizer.clip_value or optimizer.clip_norm
    if architecture.l1 or architecture.max_norm or (architecture.l2 and clips):
        return DENSE
    if rule == "momentum":
        return DRIFTING
    if rule == "sgd":
        return DRIFTING if architecture.l2 else STILL
    if rule == "adam" or architecture.l2:
        return DENSE
    return STILL if rule == "adagrad" else DRIFTING


def parameters_met(architecture: Architecture, plan: Plan) -> float:
    """About how many parameters a row has to do with."""
    sizes, n = architecture.sizes, architecture.n_parameters
    above = n - sizes[0] * sizes[1]
    whole = n / plan.batch_size if way_of(architecture, plan) == DENSE else 0.0
    return min(n, above + USUAL_ENTRIES * sizes[1]) + whole


def new_inputs(architecture: Architecture, plan: Plan, way: int) -> Inputs:
    """Memory for the kernel."""
    n_in = architecture.sizes[0] if way != DENSE else 0
    return Inputs(
        np.full(n_in, -1, np.int64),
        np.zeros(1, np.int64),
        np.empty(n_in, np.int64),
        np.empty((plan.window + 1 if way == DRIFTING else 0, 4)),
        np.zeros(3),
    )


@made_once
def _make_map(rule: int) -> Any:
    """Make what an update does to weights of gradient 0; *decay* is the penalty's part."""

    @inner
    def map_of(rate, decay, options):
        if rule == _SGD:
            return 1.0 - rate * decay, 0.0, 0.0, 1.0
        if rule == _MOMENTUM:
            momentum, nesterov = options.settings[0], options.settings[1] > 0.0
            inside, outside = 1.0, rate
            if options.settings[3] > 0.0:
                inside, outside = rate, 1.0
            c = (decay + options.settings[2]) * inside
            if nesterov:
                return 1.0 - outside * (c + momentum * c), -outside * momentum**2, c, momentum
            return 1.0 - outside * c, -outside * momentum, c, momentum
        return 1.0, 0.0, 0.0, options.settings[0]  # RMSprop's rho

    return map_of


@made_once
def _make_catch_up(rule: int) -> Any:
    """Make the way of an input's weights, from *at* on, to the present, from when *first* was."""

    @inner
    def catch_up(p, moments, at, n_out, maps, first):
        number = p.dtype.type
        a, b = number(maps[first, 0]), number(maps[first, 1])
        c, d = number(maps[first, 2]), number(maps[first, 3])
        for k in range(at, at + n_out):
            if rule == _SGD:
                p[k] *= a
            elif rule == _MOMENTUM:
                w, m = p[k], moments[k]
                p[k] = a * w + b * m
                moments[k] = c * w + d * m
            else:
                moments[k] *= d

    return catch_up


@made_once
def _make_add_squares(rule: int) -> Any:
    """Make the sum of an input's Σ w², Σ w m and Σ m², to *sums*."""

    @inner
    def add_squares(p, moments, at, n_out, sums):
        ww, wm, mm = 0.0, 0.0, 0.0
        for k in range(at, at + n_out):
            w = np.float64(p[k])
            ww += w * w
            if rule == _MOMENTUM:
                m = np.float64(moments[k])
                wm += w * m
                mm += m * m
        sums[0] += ww
        sums[1] += wm
        sums[2] += mm

    return add_squares


@made_once
def _make_begin_window(rule: int) -> Any:
    """Make the start of a window at the present count, where all weights are up to date."""
    add_squares = _make_add_squares(rule)

    @shared
    def begin_window(layers, p, moments, inputs, options):
        inputs.maps[0, 0] = inputs.maps[0, 3] = 1.0
        inputs.maps[0, 1] = inputs.maps[0, 2] = 0.0
        if options.l2 > 0.0:
            inputs.sums[:] = 0.0
            n = layers[0, N_IN] * layers[0, N_OUT]
            add_squares(p, moments, n - n, n, inputs.sums)

    return begin_window


@made_once
def _make_end_window(rule: int) -> Any:
    """Make the end of a window, which began at *base*: all weights are brought up to date."""
    catch_up = _make_catch_up(rule)

    @shared
    def end_window(layers, p, moments, inputs, base):
        n_out, now = layers[0, N_OUT], inputs.count[0]
        for i in range(len(inputs.seen)):
            if inputs.seen[i] < now:
                first = max(inputs.seen[i] - base, 0)
                catch_up(p, moments, np.uint64(i) * n_out, n_out, inputs.maps, first)

    return end_window


@inner
def _drift(inputs, base, update):
    """Take an update's map into those of the window, as the update with the present count."""
    a, b, c, d = update
    maps, last = inputs.maps, inputs.count[0] - base
    for s in range(last):
        a_s, b_s, c_s, d_s = maps[s, 0], maps[s, 1], maps[s, 2], maps[s, 3]
        maps[s, 0], maps[s, 1] = a * a_s + b * c_s, a * b_s + b * d_s
        maps[s, 2], maps[s, 3] = c * a_s + d * c_s, c * b_s + d * d_s
    maps[last, 0] = maps[last, 3] = 1.0
    maps[last, 1] = maps[last, 2] = 0.0
    ww, wm, mm = inputs.sums[0], inputs.sums[1], inputs.sums[2]
    inputs.sums[0] = a * a * ww + 2.0 * a * b * wm + b * b * mm
    inputs.sums[1] = a * c * ww + (a * d + b * c) * wm + b * d * mm
    inputs.sums[2] = c * c * ww + 2.0 * c * d * wm + d * d * mm


@made_once
def _make_arrive(rule: int) -> Any:
    """Make what is done to an input's weights, from *at* on, when it occurs in a batch, in one go.

    They come to the present from when *first* was, their gradient begins as that of the penalty,
    decay * w, and their squares are taken out of *sums*.
    """

    @inner
    def arrive(p, moments, g, at, n_out, maps, first, decay, sums):
        number = p.dtype.type
        a, b = number(maps[first, 0]), number(maps[first, 1])
        c, d = number(maps[first, 2]), number(maps[first, 3])
        factor, ww, wm, mm = number(decay), 0.0, 0.0, 0.0
        for k in range(at, at + n_out):
            w = p[k]
            if rule == _SGD:
                w = a * w
                p[k] = w
            elif rule == _MOMENTUM:
                m = moments[k]
                w, m = a * w + b * m, c * w + d * m
                p[k], moments[k] = w, m
                wm += np.float64(w) * m
                mm += np.float64(m) * m
            else:
                moments[k] *= d
            g[k] = factor * w
            ww += np.float64(w) * w
        sums[0] -= ww
        sums[1] -= wm
        sums[2] -= mm

    return arrive


@made_once
def _make_meet(rule: int, way: int) -> Any:
    """Make the start of a batch: the inputs that occur are noted, and brought up to date.

    Their gradients in g begin with those of the penalty. The window began at *base*. Returns how
    many there are.
    """
    arrive, drifts = _make_arrive(rule), way == DRIFTING

    @shared
    def meet(layers, p, moments, data, epoch, first, after, inputs, base, decay, g):
        n_out, n = layers[0, N_OUT], 0
        inputs.count[0] += 1
        now = inputs.count[0]
        for position in range(first, after):
            start, end = span_of(data.X, row_of(data.order, epoch, position))
            for k in range(start, end):
                i = data.X.columns[k]
                if inputs.seen[i] == now:
                    continue
                at = np.uint64(i) * n_out
                if drifts:
                    since = max(inputs.seen[i] - base, 0)
                    arrive(p, moments, g, at, n_out, inputs.maps, since, decay, inputs.sums)
                else:
                    for j in range(at, at + n_out):
                        g[j] = 0
                inputs.seen[i] = now
                inputs.touched[n] = i
                n += 1
        return n

    return meet


@inner
def _limit(g, rest, touched, n, n_out, scale, options):
    """Scale and limit the gradients that there are; what they are still to be multiplied by."""
    square = scale_and_limit(g[rest:], scale, options.clip_value, 0.0)
    for k in range(n):
        at = np.uint64(touched[k]) * n_out
        square += scale_and_limit(g[at : at + n_out], scale, options.clip_value, 0.0)
    return factor_for_norm(square, options.clip_norm)


@made_once
def _make_step_of_some(rule: int, extras: bool, l2: bool, way: int) -> Any:
    """Make the step of the n inputs' weights that occur, and of all that is above them.

    Returns the penalty; *squares* is Σ w² of the first layer before. The rest is as in `make_step`.
    """
    update, map_of, add_squares = make_update(rule), _make_map(rule), _make_add_squares(rule)
    penalise, drifts = make_penalise(False, l2), way == DRIFTING

    @inner
    def step(layers, p, g, moments, t, size, weight, rate, options, inputs, base, n, squares):
        n_out = layers[0, N_OUT]
        rest = layers[0, N_IN] * n_out
        decay, scale = decay_of(size, options), scale_of(size, weight, options)
        penalty = penalise(layers[1:], p, g, size, options) + 0.5 * decay * squares
        decay *= scale
        if extras and (options.clip_value > 0.0 or options.clip_norm > 0.0):
            scale = _limit(g, rest, inputs.touched, n, n_out, scale, options)
        update(p[rest:], g[rest:], moments[rest:], scale, rate, t, options)
        if drifts:
            _drift(inputs, base, map_of(rate, decay, options))
        for k in range(n):
            at = np.uint64(inputs.touched[k]) * n_out
            after = at + n_out
            update(p[at:after], g[at:after], moments[at:after], scale, rate, t, options)
            if drifts and options.l2 > 0.0:
                add_squares(p, moments, at, n_out, inputs.sums)
        return penalty

    return step


@made_once
def make_train_sparse(
    hidden: Codes, output: int, loss: int, bias: bool, rule: int, extras: bool, l2: bool,
    keeps: bool, drops: bool, way: int,
) -> Any:  # fmt: skip
    """Make the training kernel; all but *way* and *inputs* is as in `batches`."""
    batch_gradient = make_batch_gradient(hidden, output, loss, bias, extras, keeps, drops, True)
    dense_step, step = make_step(rule, extras, l2), _make_step_of_some(rule, extras, l2, way)
    begin_window, end_window = _make_begin_window(rule), _make_end_window(rule)
    meet, weigh, afresh = _make_meet(rule, way), make_weigh(extras), make_afresh(l2)
    dense, drifts = way == DENSE, way == DRIFTING
    plain = rule == _SGD and not (extras or l2)

    @kernel
    def train_sparse(layers, places, p, moments, t, data, span, options, w, g, inputs):
        prefer_wide_vectors()
        n_hidden = layers[len(layers) - 1, UNITS] - layers[0, N_IN]
        window = len(inputs.maps) - 1
        base = inputs.count[0]
        for epoch in range(len(span.rates)):
            for first in range(span.start, span.stop, options.batch_size):
                after, rate, counter = batch_at(span, options, epoch, first, t, n_hidden)
                n, some, squares = after - first, 0, 0.0
                t += 1
                direct, to = False, afresh(g, p, n, options)
                if plain and np.uint64(n) <= places.block:
                    direct, to = True, straight(p, rate, n, options)
                if drifts and inputs.count[0] == base:
                    begin_window(layers, p, moments, inputs, options)
                if dense:
                    begin_first_layer(layers, to)
                elif not direct:
                    squares = inputs.sums[0]
                    decay = decay_of(n, options)
                    some = meet(
                        layers, p, moments, data, epoch, first, after, inputs, base, decay, g
                    )
                loss_of_batch = batch_gradient(
                    layers, places, p, data, epoch, first, after, options, counter, w,
                    False, False, to)  # fmt: skip
                if direct:
                    span.loss_sums[epoch] += loss_of_batch
                    continue
                weight, share = weigh(data, epoch, first, after, options)
                if dense:
                    penalty = dense_step(layers, p, g, moments, t, n, weight, rate, options)
                else:
                    penalty = step(layers, p, g, moments, t, n, weight, rate, options,
                                   inputs, base, some, squares)  # fmt: skip
                span.loss_sums[epoch] += loss_of_batch * share
                span.penalty_sums[epoch] += penalty * share
                if drifts and (inputs.count[0] - base == window or after == span.stop):
                    end_window(layers, p, moments, inputs, base)
                    base = inputs.count[0]

    return train_sparse
