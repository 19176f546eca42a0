"""Sample by sample, many networks at once: a weight is changed where its gradient is made.

A sample goes forward through all layers, and back from the last to the first. There, one sweep over
a layer's weights has both uses of each: the gradient for the layer below is made with the weight as
it was, and then the weight is changed. With plain SGD what goes back is a delta times the rate.
"""

import functools
from collections import namedtuple
from typing import Any

import numpy as np

from fastnn.kernels.activations import SLOPES, VALUES, Codes
from fastnn.kernels.jit import kernel, ordered
from fastnn.kernels.lanes import load, splat, store
from fastnn.kernels.layout import ACTIVATION, BIAS, INPUTS, N_IN, N_OUT, UNITS, WEIGHTS
from fastnn.kernels.many import add_sum, make_finish_many
from fastnn.kernels.many_rows import ROWS, find, take
from fastnn.kernels.many_updates import make_numbers_of_many
from fastnn.kernels.rows import by_code
from fastnn.kernels.rules import make_change
from fastnn.optimizers import RULES

_SGD = RULES["sgd"]
#: What an update changes, by its numbers, see `fastnn.kernels.rules`.
Own = namedtuple("Own", "p moments numbers")


@functools.cache
def _make_weighted_sums(bias: bool, lanes: int) -> tuple[Any, Any]:
    """Make z_j = b_j + Σ_i x_i W_ij of unit j of a sample, and of four units from j on.

    Four share each x_i that is loaded. The inputs are at the place x.
    """

    @ordered
    def one_sum(p, W, b, n_in, n_out, scratch, x, j):
        z = load(p, (b + j) * lanes, lanes) if bias else load(scratch.zero, 0, lanes)
        for i in range(n_in):
            w = load(p, (W + i * n_out + j) * lanes, lanes)
            z = z + load(scratch.values, (x + i) * lanes, lanes) * w
        return z

    @ordered
    def four_sums(p, W, b, n_in, n_out, scratch, x, j):
        z0 = z1 = z2 = z3 = load(scratch.zero, 0, lanes)
        if bias:
            z0, z1 = load(p, (b + j) * lanes, lanes), load(p, (b + j + 1) * lanes, lanes)
            z2, z3 = load(p, (b + j + 2) * lanes, lanes), load(p, (b + j + 3) * lanes, lanes)
        for i in range(n_in):
            x_i, row = load(scratch.values, (x + i) * lanes, lanes), W + i * n_out + j
            z0 = z0 + x_i * load(p, row * lanes, lanes)
            z1 = z1 + x_i * load(p, (row + 1) * lanes, lanes)
            z2 = z2 + x_i * load(p, (row + 2) * lanes, lanes)
            z3 = z3 + x_i * load(p, (row + 3) * lanes, lanes)
        return z0, z1, z2, z3

    return one_sum, four_sums


@functools.cache
def _make_hidden_layer(hidden: Codes, bias: bool, keeps: bool, lanes: int) -> Any:
    """Make a hidden layer's values from its inputs', and slopes if they are kept."""
    one_sum, four_sums = _make_weighted_sums(bias, lanes)

    def for_code(code: int) -> Any:
        value, slope = VALUES[code], SLOPES[code]

        @ordered
        def put(scratch, place, unit, z):
            a = value(z)
            store(scratch.values, place * lanes, a * load(scratch.present, unit * lanes, lanes))
            if keeps:  # of a unit that is not present too: the weights that lead on from it are 0
                store(scratch.slopes, place * lanes, slope(z, a))

        @ordered
        def hidden_layer(code, p, W, b, n_in, n_out, scratch, x, units, unit):
            for j in range(0, n_out - 3, 4):
                z0, z1, z2, z3 = four_sums(p, W, b, n_in, n_out, scratch, x, j)
                put(scratch, units + j, unit + j, z0)
                put(scratch, units + j + 1, unit + j + 1, z1)
                put(scratch, units + j + 2, unit + j + 2, z2)
                put(scratch, units + j + 3, unit + j + 3, z3)
            for j in range(n_out - n_out % 4, n_out):
                z = one_sum(p, W, b, n_in, n_out, scratch, x, j)
                put(scratch, units + j, unit + j, z)

        return hidden_layer

    return by_code(for_code, hidden)


def _make_act(rule: int, lanes: int) -> Any:
    """Make the change of a parameter w at a place, from its gradient."""
    change = make_change(rule)

    @ordered
    def act_plainly(own, place, w, g):
        store(own.p, place, w - g)

    @ordered
    def act(own, place, w, g):
        n = len(own.p)
        change(own.p, place, w, g, own.moments, place, n, lanes, lanes, own.numbers)

    return act_plainly if rule == _SGD else act


@functools.cache
def _make_updates(rule: int, lanes: int) -> tuple[Any, Any]:
    """Make the change of all W_ij of input i, and of the two from i on, which share each d_j.

    They return Σ_j d_j W_ij of the weights before. Plain SGD takes two where it can. The arithmetic
    of another rule may come out with other last bits by two, see `fastnn.kernels.jit`, and how many
    inputs a layer has is the block's: so it goes by one alone.
    """
    act = _make_act(rule, lanes)

    @ordered
    def update_one(own, W, n_out, scratch, x, d, i):
        x_i, total = load(scratch.values, (x + i) * lanes, lanes), load(scratch.zero, 0, lanes)
        for j in range(n_out):
            place = (W + i * n_out + j) * lanes
            w, d_j = load(own.p, place, lanes), load(scratch.deltas, (d + j) * lanes, lanes)
            total = total + d_j * w
            act(own, place, w, x_i * d_j)
        return total

    @ordered
    def update_two(own, W, n_out, scratch, x, d, i):
        total_0 = total_1 = load(scratch.zero, 0, lanes)
        x_0 = load(scratch.values, (x + i) * lanes, lanes)
        x_1 = load(scratch.values, (x + i + 1) * lanes, lanes)
        for j in range(n_out):
            place = (W + i * n_out + j) * lanes
            below, d_j = place + n_out * lanes, load(scratch.deltas, (d + j) * lanes, lanes)
            w_0, w_1 = load(own.p, place, lanes), load(own.p, below, lanes)
            total_0, total_1 = total_0 + d_j * w_0, total_1 + d_j * w_1
            act(own, place, w_0, x_0 * d_j)
            act(own, below, w_1, x_1 * d_j)
        return total_0, total_1

    return update_one, update_two


@functools.cache
def _make_back(hidden: Codes, bias: bool, rule: int, keeps: bool, lanes: int) -> Any:
    """Make the update of a layer's weights, and the deltas of the hidden units that it comes from.

    Their biases, at the place b, get these at once.
    """
    act, (update_one, update_two) = _make_act(rule, lanes), _make_updates(rule, lanes)
    plain = rule == _SGD

    def for_code(code: int) -> Any:
        slope = SLOPES[code]

        @ordered
        def put(own, b, scratch, at, total):
            place, a = at * lanes, load(scratch.values, at * lanes, lanes)
            d = total * (load(scratch.slopes, place, lanes) if keeps else slope(a, a))
            store(scratch.deltas, place, d)
            if bias:
                act(own, b * lanes, load(own.p, b * lanes, lanes), d)

        @ordered
        def back(code, own, W, b, n_in, n_out, scratch, x, d):
            if plain:
                for i in range(0, n_in - 1, 2):
                    total_0, total_1 = update_two(own, W, n_out, scratch, x, d, i)
                    put(own, b + i, scratch, x + i, total_0)
                    put(own, b + i + 1, scratch, x + i + 1, total_1)
            for i in range(n_in - n_in % 2 if plain else 0, n_in):
                total = update_one(own, W, n_out, scratch, x, d, i)
                put(own, b + i, scratch, x + i, total)

        return back

    return by_code(for_code, hidden)


@functools.cache
def _make_learn(
    hidden: Codes, output: int, loss: int, bias: bool, rule: int, keeps: bool, lanes: int
) -> Any:
    """Make the update from the sample whose inputs and targets are in the scratch.

    It returns *total* and the loss.
    """
    one_sum, _ = _make_weighted_sums(bias, lanes)
    hidden_layer = _make_hidden_layer(hidden, bias, keeps, lanes)
    back = _make_back(hidden, bias, rule, keeps, lanes)
    act, (update_one, update_two) = _make_act(rule, lanes), _make_updates(rule, lanes)
    plain = rule == _SGD
    finish = make_finish_many(output, loss, lanes)

    @ordered
    def forward(layers, p, scratch):
        last = len(layers) - 1
        for l in range(last + 1):
            n_in, n_out, units = layers[l, N_IN], layers[l, N_OUT], layers[l, UNITS]
            W, b, x = layers[l, WEIGHTS], layers[l, BIAS], layers[l, INPUTS]
            if l < last:
                unit, code = units - layers[0, N_IN], layers[l, ACTIVATION]
                hidden_layer(code, p, W, b, n_in, n_out, scratch, x, units, unit)
            else:
                for j in range(n_out):
                    z = one_sum(p, W, b, n_in, n_out, scratch, x, j)
                    store(scratch.values, (units + j) * lanes, z)

    @ordered
    def backward(layers, own, scratch):
        for l in range(len(layers) - 1, -1, -1):
            W, n_in, n_out = layers[l, WEIGHTS], layers[l, N_IN], layers[l, N_OUT]
            x, d = layers[l, INPUTS], layers[l, UNITS]
            if l > 0:
                code, b = layers[l - 1, ACTIVATION], layers[l - 1, BIAS]
                back(code, own, W, b, n_in, n_out, scratch, x, d)
            else:
                if plain:
                    for i in range(0, n_in - 1, 2):
                        update_two(own, W, n_out, scratch, x, d, i)
                for i in range(n_in - n_in % 2 if plain else 0, n_in):
                    update_one(own, W, n_out, scratch, x, d, i)

    @ordered
    def learn(layers, own, scratch, total):
        forward(layers, own.p, scratch)
        last = len(layers) - 1
        b, n_out, outputs = layers[last, BIAS], layers[last, N_OUT], layers[last, UNITS]
        lost = finish(scratch, outputs, 1, 0, n_out)
        for j in range(n_out):
            d_j = load(scratch.deltas, (outputs + j) * lanes, lanes)
            if plain:
                d_j = d_j * own.numbers[0]
                store(scratch.deltas, (outputs + j) * lanes, d_j)
            if bias:
                place = (b + j) * lanes
                act(own, place, load(own.p, place, lanes), d_j)
        backward(layers, own, scratch)
        return total + lost

    return learn


@functools.cache
def make_train_samples_of_many(
    hidden: Codes, output: int, loss: int, bias: bool, rule: int, keeps: bool, lanes: int
) -> Any:
    """Make the kernel; its arguments are those of `many_batches.make_train_many`'s."""
    learn = _make_learn(hidden, output, loss, bias, rule, keeps, lanes)
    # Adam's numbers are others in each update; those of the others as long as the rate is the same.
    numbers_of, counts = make_numbers_of_many(rule, lanes), rule == RULES["adam"]

    @kernel
    def train_samples_of_many(layers, p, moments, t, data, span, options, scratch, g):
        per_update, one = span.rates.shape[1] > 1, splat(1.0, lanes)
        update = load(t, 0, lanes)
        for epoch in range(len(span.rates)):
            rate = load(span.rates, (epoch, 0, 0), lanes)
            numbers = numbers_of(p, options, one, rate, update)
            for first in range(span.start, span.stop, ROWS):
                total, n = load(scratch.zero, 0, lanes), min(ROWS, span.stop - first)
                find(data, epoch, first, n, scratch, False, lanes)
                for s in range(n):
                    update = update + np.uint64(1)
                    if per_update:
                        rate = load(span.rates, (epoch, first + s - span.start, 0), lanes)
                    if per_update or counts:
                        numbers = numbers_of(p, options, one, rate, update)
                    take(data, s, 1, 0, 1, scratch, lanes)
                    total = learn(layers, Own(p, moments, numbers), scratch, total)
                add_sum(span.loss_sums, epoch, total, lanes)
        store(t, 0, update)

    return train_samples_of_many
