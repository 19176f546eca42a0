"""Per-sample SGD for one hidden layer: a sample's update and the next one's forward pass at once.

Sample i's update of the first layer and sample i+1's forward pass read the same weights, so one
sweep over the hidden units does both, with half the loads and stores. One sweep serves start,
middle and end: the first one updates with gradients of zero, and what the last one computes beyond
its update is thrown away. So the same machine code treats every sample, and the result does
not depend on where training is cut into pieces.

Meanwhile the parameters are in the workspace, see `fastnn.kernels.padded`, the second layer's
turned, so that the lanes run over the hidden units. With one output and few inputs
`fastnn.kernels.one_output` is faster.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.kernels.activations import SLOPES, VALUES, Codes
from fastnn.kernels.epochs import make_train
from fastnn.kernels.jit import inner, made_once, ordered
from fastnn.kernels.lanes import load, splat, store
from fastnn.kernels.lanes import total as sum_of
from fastnn.kernels.layout import INPUTS, N_IN, N_OUT, UNITS
from fastnn.kernels.llvm import lanes_of_register
from fastnn.kernels.padded import (
    ALL_UNITS,
    OWN_BIAS,
    OWN_WEIGHTS,
    ROW,
    STEP,
    make_copies,
    padded_table,
    registers_of,
)
from fastnn.kernels.rows import make_finish
from fastnn.kernels.sample_steps import scale

#: Inputs up to which a sweep takes four registers of units at once, see `lanes_for`.
FEW_INPUTS = 10
_0, _1, _2 = np.uint64(0), np.uint64(1), np.uint64(2)


def pays(sizes: Sequence[int], itemsize: int, by_rule: bool = False) -> bool:
    """Whether this is faster than `samples`; *by_rule*, `one_hidden_steps` than `samples_by_rule`.

    Lanes are over the hidden units, here. Where they are few, more registers of weights are gone
    through than there, where the lanes of each layer are over its inputs or its units; but by plain
    SGD each of them once a sample, there twice. Compared are these registers and what units and
    outputs cost besides, in the time of a register here. The numbers are fitted to a Zen 5's times,
    with AVX-512 and with AVX2, of 1,872 networks of 2-2-1 to 784-256-512, and 700 by momentum and
    Adam: what is chosen takes 1.01 times as long as the better way, at most 1.5 times.
    """
    n_in, n_hidden, n_out = sizes
    one, lanes = lanes_of_register(itemsize), lanes_for(sizes, itemsize, by_rule)
    registers, there = -(-n_hidden // lanes) * (lanes // one), registers_of(sizes, one)
    if by_rule:
        return registers * (n_in + n_out) + n_out <= there + n_hidden + 20
    return registers * (n_in + 1.5 * n_out) + 2 * n_out <= 1.6 * there + 2 * n_hidden + 40


def lanes_for(sizes: Sequence[int], itemsize: int, by_rule: bool = False) -> int:
    """How many hidden units to take at once: 1, 2 or 4 registers of them.

    Two where one is not enough; four where the units fill these or nearly so, and, in one sweep, a
    unit has few inputs. Measured on a Zen 5, with AVX-512 and AVX2, for 2-4-1 to 60-400-3 and
    30-400-16, relu and tanh, and by momentum: what is chosen takes 1.015 times as long as the best,
    at most 1.3; as many registers as there are units for took 1.085, one always 1.2, two 1.03.
    """
    n_in, n_hidden, _ = sizes
    one = lanes_of_register(itemsize)
    registers = -(-n_hidden // one)
    nearly_full = -(-registers // 4) * 4 <= 1.15 * registers
    if nearly_full and (by_rule or n_in <= FEW_INPUTS):
        return 4 * one
    return 2 * one if registers > 1 else one


def table(architecture: Architecture, lanes: int) -> tuple[np.ndarray, int]:
    """See `padded.padded_table`."""
    return padded_table(architecture, lanes, turned=(False, True))


@made_once
def _make_sweep_some(hidden: Codes, bias: bool, lanes: int) -> Any:
    """Make the sweep over hidden units from unit j on; the arguments are as in `_make_sweep`."""
    value, slope = VALUES[hidden[0]], SLOPES[hidden[0]]

    @ordered
    def learned(X, last, w, at, d, i):
        weights = load(w, at, lanes) - d * X[last, i]
        store(w, at, weights)
        return weights

    @ordered
    def sweep_some(layers, X, last, next, w, j):
        n_in, n_out, step = layers[0, N_IN], layers[1, N_OUT], layers[0, STEP]
        W, b, V = layers[0, OWN_WEIGHTS] + j, layers[0, OWN_BIAS] + j, layers[1, OWN_WEIGHTS] + j
        units, rated = layers[0, UNITS] + j, layers[0, ALL_UNITS] + layers[1, UNITS]
        h, d = load(w, units, lanes), splat(w.dtype.type(0), lanes)
        for o in range(n_out):
            v, g = load(w, V + o * step, lanes), w[rated + o]
            d = d + v * g
            store(w, V + o * step, v - h * g)
        d = d * slope(h, h)
        z = load(w, b, lanes)
        if bias:
            z = z - d
            store(w, b, z)
        rest, even = splat(w.dtype.type(0), lanes), n_in - n_in % _2
        for i in range(_0, even, _2):  # two sums, of which none waits for the other
            z = z + learned(X, last, w, W + i * step, d, i) * X[next, i]
            rest = rest + learned(X, last, w, W + (i + _1) * step, d, i + _1) * X[next, i + _1]
        if even < n_in:
            z = z + learned(X, last, w, W + even * step, d, even) * X[next, even]
        h = value(z + rest) * load(w, layers[0, ALL_UNITS] * _2 + units, lanes)
        store(w, units, h)

    return sweep_some


@made_once
def _make_sweep(hidden: Codes, bias: bool, lanes: int) -> Any:
    """Make the sweep.

    It starts from the values of sample *last* and from its gradients ∂loss/∂z times the rate; it
    leaves the values of sample *next*, and the outputs' sums.
    """
    sweep_some = _make_sweep_some(hidden, bias, lanes)

    @ordered
    def sum_of_output(w, h, v, row):
        total = splat(w.dtype.type(0), lanes)
        for j in range(_0, row, lanes):
            total = total + load(w, h + j, lanes) * load(w, v + j, lanes)
        return sum_of(total)

    @inner
    def sweep(layers, X, last, next, w):
        row, step, h, V, c = (
            layers[1, ROW],
            layers[1, STEP],
            layers[1, INPUTS],
            layers[1, OWN_WEIGHTS],
            layers[1, OWN_BIAS],
        )
        z, all_units = layers[1, UNITS], layers[1, ALL_UNITS]
        for j in range(_0, row, lanes):
            sweep_some(layers, X, last, next, w, j)
        for o in range(layers[1, N_OUT]):
            if bias:
                w[c + o] -= w[all_units + z + o]
            w[z + o] = sum_of_output(w, h, V + o * step, row) + w[c + o]

    return sweep


@made_once
def make_train_one_hidden(hidden: Codes, output: int, loss: int, bias: bool, lanes: int) -> Any:
    """Make the kernel for these codes, and so many *lanes*, see `epochs.make_train`."""
    sweep, finish = _make_sweep(hidden, bias, lanes), make_finish(output, loss)
    take, give = make_copies(bias)

    @inner
    def learn(layers, p, t, data, last, next, rate, options, w, carried):
        z, n_out = layers[1, UNITS], layers[1, N_OUT]
        rated = layers[1, ALL_UNITS] + z
        sweep(layers, data.X, last, next, w)
        loss = finish(w, z, rated, n_out, data.Y, next)
        scale(w, rated, n_out, rate)
        return loss, 0.0, carried

    @inner
    def end(layers, p, moments, data, last, w, carried):
        sweep(layers, data.X, last, last, w)
        give(layers, p, moments, w)

    return make_train(take, learn, end, wide=False)
