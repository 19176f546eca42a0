"""Mini-batch and full-batch training, and the gradient alone."""

from typing import Any

import numpy as np

from fastnn.kernels import sparse as sparse_rows
from fastnn.kernels.activations import Codes
from fastnn.kernels.block_ends import make_finish
from fastnn.kernels.blocks import (
    WIDE_INPUT,
    Into,
    gather,
    lie_ready,
    make_backward,
    make_forward,
    more,
)
from fastnn.kernels.epochs import row_of
from fastnn.kernels.jit import inner, kernel, made_once
from fastnn.kernels.lanes import minimum, prefer_wide_vectors
from fastnn.kernels.layout import N_IN, N_OUT, UNITS, WEIGHTS
from fastnn.kernels.llvm import flat
from fastnn.kernels.updates import (
    decay_of,
    make_penalise,
    make_step,
    scale_and_limit,
    scale_of,
)
from fastnn.optimizers import RULES


@made_once
def make_batch_gradient(
    hidden: Codes, output: int, loss: int, bias: bool, extras: bool, keeps: bool, drops: bool,
    sparse: bool = False,
) -> Any:  # fmt: skip
    """Make the sum of the losses of a batch, with its gradient `blocks.Into` a vector.

    The batch is at the positions *first* to *after* of the epoch. *kept* says that the samples,
    taken in order, stay in the workspace, and *there* that they are in it already. The codes are as
    in `make_forward` and `make_step`. With *sparse* X is, and nothing is overwritten where the
    weights of the first layer lie.
    """
    first_sums = sparse_rows.make_sums(bias) if sparse else None
    first_gradient = sparse_rows.make_gradient(bias) if sparse else None
    forward = make_forward(hidden, bias, keeps, drops, first_sums)
    backward = make_backward(hidden, bias, keeps, first_gradient)
    finish = make_finish(output, loss, extras)

    @inner
    def batch_gradient(layers, places, p, data, epoch, first, after, options, counter, w,
                       kept, there, to):  # fmt: skip
        last = len(layers) - 1
        n_in, n_out = layers[0, N_IN], layers[last, N_OUT]
        n_hidden = layers[last, UNITS] - n_in
        z, turned = places.units + n_hidden * places.block, n_in < WIDE_INPUT
        block, total = np.int64(places.block), 0.0
        for position in range(first, after, block):
            n, before = np.uint64(minimum(block, after - position)), np.uint64(position)
            x, y = places.x, places.y
            if kept:
                x, y = x + before * n_in, y + before * np.uint64(data.Y.shape[1])
            lies = lie_ready(data.order, turned)
            if not there:
                if not sparse and not lies:
                    gather(data.X, data.order, epoch, position, n, turned, w, x)
                gather(data.Y, data.order, epoch, position, n, n > 0, w, y)
            if extras:
                gather_weights(data, epoch, position, n, options.scale, w, places.weights)
            rows: Any
            if sparse:
                rows = sparse_rows.Block(data.X, data.order, epoch, position)
            else:
                rows = (flat(data.X), before * n_in) if lies else (w, x)
            if drops:
                at = counter + (before - np.uint64(first)) * n_hidden
                forward(layers, p, w, places, rows, n, options, at)
            else:
                forward(layers, p, w, places, rows, n, None, None)
            total += finish(w, z, y, places.d, n_out, n, places.weights)
            backward(layers, p, w, places, rows, n, to)
            to = more(to)
        return total

    return batch_gradient


@inner
def gather_weights(data, epoch, position, n, scale, w, into):
    """The weights of n samples from a position of the epoch on, times *scale*."""
    for s in range(n):
        w[into + s] = scale
    if len(data.weights) > 0:
        for s in range(n):
            w[into + s] *= data.weights[row_of(data.order, epoch, position + np.int64(s))]


@inner
def sum_of_weights(data, epoch, first, after):
    """The weights of the samples at some positions of an epoch."""
    total = 0.0
    for at in range(first, after):
        total += data.weights[row_of(data.order, epoch, at)]
    return total


@inner
def batch_at(span, options, epoch, first, t, n_hidden):
    """Of the batch from a position on: where it ends, its rate, the number of its first dropout."""
    after = minimum(first + options.batch_size, span.stop)
    update = (first - span.start) // options.batch_size if span.rates.shape[1] > 1 else 0
    counter = np.uint64(t) * np.uint64(options.batch_size) * n_hidden
    return after, span.rates[epoch, update], counter


@made_once
def make_afresh(l2: bool) -> Any:
    """Make what says that a batch of n samples has its gradient in g, with an L2 penalty's."""

    @inner
    def afresh(g, p, n, options):
        zero, one = p.dtype.type(0), p.dtype.type(1)
        decay = zero
        if l2:
            decay = p.dtype.type(decay_of(n, options))
        return Into(g, one, p, decay, zero)

    return afresh


@inner
def straight(p, rate, n, options):
    """A batch of n samples has its gradient straight in p, times minus the rate of plain SGD."""
    one = p.dtype.type(1)
    return Into(p, p.dtype.type(-rate / n if options.mean else -rate), p, one, one)


@inner
def begin_first_layer(layers, to):
    """Begin the gradient of the first layer's weights, where no product does, as `Into` says."""
    W, n = layers[0, WEIGHTS], layers[0, N_IN] * layers[0, N_OUT]
    for k in range(W, W + n):
        to.vector[k] = to.keep * to.old[k] if to.keep != 0 else to.keep


@made_once
def make_weigh(extras: bool) -> Any:
    """Make the weight of a batch, and what its losses are multiplied by if it divides them."""

    @inner
    def weigh(data, epoch, first, after, options):
        weight, share = 0.0, 1.0
        if extras and options.divide_by_weights:
            weight = sum_of_weights(data, epoch, first, after)
            share = (after - first) / weight if weight != 0.0 else 1.0
        return weight, share

    return weigh


@made_once
def make_train_batches(batch_gradient: Any, rule: int, extras: bool, l2: bool) -> Any:
    """Make the training kernel of what `make_batch_gradient` made, or the like.

    *data*, *span* and *t* are as in `epochs`; *g* is scratch as long as p. With *keep* the samples,
    taken in order, are gathered once and stay in the workspace. The batches of plain SGD that fit a
    block are not summed in g, unless there is a penalty: their products go straight into p.
    """
    step, weigh, afresh = make_step(rule, extras, l2), make_weigh(extras), make_afresh(l2)
    plain = rule == RULES["sgd"] and not (extras or l2)

    @kernel
    def train_batches(layers, places, p, moments, t, data, span, options, w, g, keep):
        prefer_wide_vectors()
        n_hidden = layers[len(layers) - 1, UNITS] - layers[0, N_IN]
        for epoch in range(len(span.rates)):
            there = keep and span.done + epoch > 0
            for first in range(span.start, span.stop, options.batch_size):
                after, rate, counter = batch_at(span, options, epoch, first, t, n_hidden)
                n = after - first
                t += 1
                direct, to = False, afresh(g, p, n, options)
                if plain and np.uint64(n) <= places.block:
                    direct, to = True, straight(p, rate, n, options)
                loss_of_batch = batch_gradient(
                    layers, places, p, data, epoch, first, after, options, counter, w,
                    keep, there, to)  # fmt: skip
                if direct:
                    span.loss_sums[epoch] += loss_of_batch
                    continue
                weight, share = weigh(data, epoch, first, after, options)
                penalty = step(layers, p, g, moments, t, n, weight, rate, options)
                span.loss_sums[epoch] += loss_of_batch * share
                span.penalty_sums[epoch] += penalty * share

    return train_batches


@made_once
def make_gradient(batch_gradient: Any, extras: bool, l2: bool, sparse: bool = False) -> Any:
    """Make the kernel that takes the first three steps of a plan, with all samples as one batch.

    It is made as `make_train_batches` is. It writes the gradient to g, a vector of the type of p,
    and returns what that one adds to the sums.
    """
    weigh, penalise, afresh = make_weigh(extras), make_penalise(extras, l2), make_afresh(l2)

    @kernel
    def gradient(layers, places, p, data, options, w, g):
        prefer_wide_vectors()
        n = len(data.Y)
        to = afresh(g, p, n, options)
        if sparse:
            begin_first_layer(layers, to)
        total = batch_gradient(layers, places, p, data, 0, 0, n, options, np.uint64(0), w,
                               False, False, to)  # fmt: skip
        weight, share = weigh(data, 0, 0, n, options)
        penalty = penalise(layers, p, g, n, options)
        scale_and_limit(g, scale_of(n, weight, options), 0.0, 0.0)
        return total * share, penalty * share

    return gradient
