"""Parameters in rows that fill registers."""

from itertools import pairwise, product

import numpy as np
import pytest
from simd import BASELINE, compiled, on_x86, run

import fastnn
from fastnn.kernels.layout import FEW_PLACES, INPUTS, N_IN, N_OUT, UNITS, layer_table
from fastnn.kernels.llvm import register_bits
from fastnn.kernels.padded import (
    ALL_UNITS,
    APART,
    OWN_BIAS,
    OWN_WEIGHTS,
    ROW,
    STEP,
    TURNED,
    make_copies,
    padded_table,
    registers_of,
)
from fastnn.memory import LINE

#: The last ones' rows are set apart.
SIZES = ([3, 2], [1, 1], [5, 9, 4], [20, 8, 30, 3], [4, 17, 1], [3, 128, 128], [128, 3])


def architecture_of(sizes, bias=True):
    return fastnn.Network(sizes, bias=bias, engine="numpy")._architecture


@pytest.mark.parametrize("lanes", [2, 8, 16])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_every_layer_and_row_begins_where_lanes_do(sizes, lanes):
    table, end = padded_table(architecture_of(sizes), lanes)
    table = table.astype(int)
    assert not (table[:, [INPUTS, UNITS, ROW, OWN_BIAS, ALL_UNITS]] % lanes).any()
    assert not (table[:, [OWN_WEIGHTS, STEP]] % min(lanes, LINE // 8)).any()
    assert end % min(lanes, LINE // 8) == 0
    np.testing.assert_array_equal(table[:, :4], layer_table(architecture_of(sizes))[:, :4])
    for l, (n_in, n_out) in enumerate(pairwise(sizes)):
        row, rows = (n_in, n_out) if table[l, TURNED] else (n_out, n_in)
        assert row <= table[l, ROW] < row + lanes
        after = table[l + 1, OWN_WEIGHTS] if l + 2 < len(sizes) else end
        assert after - table[l, OWN_WEIGHTS] == rows * table[l, STEP]
        apart = 8 * table[l, ROW] % FEW_PLACES == 0
        assert table[l, STEP] == table[l, ROW] + apart * LINE // 8


def test_layers_of_few_units_are_turned():
    turned = [
        padded_table(architecture_of(sizes), 8)[0][:, TURNED].tolist()
        for sizes in ([100, 23, 1], [100, 24, 24], [3, 10, 10])
    ]
    assert turned == [[1, 1], [0, 0], [0, 0]]


def test_registers_of_weights():
    for sizes in SIZES:
        table = padded_table(architecture_of(sizes), 8)[0].astype(int)
        rows = np.where(table[:, TURNED] > 0, table[:, N_OUT], table[:, N_IN])
        assert registers_of(sizes, 8) == (rows * table[:, ROW]).sum() // 8


def copying(bias, moments):
    take, give = make_copies(bias, moments)

    @compiled
    def there_and_back(layers, p, m, w, q, r):
        take(layers, p, m, w)
        give(layers, q, r, w)

    return there_and_back


def vectors_of(w, table):
    """Of a workspace: values, gradients, what is present, slopes, and all that is behind them."""
    units = int(table[0, ALL_UNITS])
    return np.split(w, [units, 2 * units, 3 * units, 4 * units])


def biases_of(p, sizes):
    layers = architecture_of(sizes).layers
    return np.concatenate([p[layer.bias] for layer in layers])


@pytest.mark.parametrize("bias", [True, False])
def test_what_is_taken_is_given_back_and_the_rest_is_zero(bias):
    there_and_back = copying(bias, 0)
    one = register_bits() // 64
    for sizes, lanes in product(SIZES, (one, 4 * one)):
        for turned in (None, [False] * (len(sizes) - 1), [True] * (len(sizes) - 1)):
            architecture = architecture_of(sizes, bias)
            table, end = padded_table(architecture, lanes, turned)
            p = np.arange(1.0, architecture.n_parameters + 1)
            w, q = np.full(end, np.nan), np.zeros_like(p)
            there_and_back(table, p, p, w, q, q)
            np.testing.assert_array_equal(q, p)
            values, gradients, present, slopes, own = vectors_of(w, table)
            assert not values.any()
            assert not gradients.any()
            assert not slopes.any()
            assert present.sum() == sum(sizes[1:])
            np.testing.assert_array_equal(np.sort(own[own != 0]), p)


@pytest.mark.parametrize("moments", [1, 2])
def test_moments_lie_like_the_parameters(moments):
    there_and_back = copying(True, moments)
    for sizes in SIZES:
        architecture = architecture_of(sizes)
        table, end = padded_table(architecture, register_bits() // 64, moments=moments)
        n, apart = architecture.n_parameters, int(table[0, APART])
        p = np.arange(1.0, n + 1)
        m = np.concatenate([10.0**k * p for k in range(1, moments + 1)])
        w, q, r = np.full(end, np.nan), np.zeros_like(p), np.zeros_like(m)
        there_and_back(table, p, m, w, q, r)
        np.testing.assert_array_equal(q, p)
        np.testing.assert_array_equal(r, m)
        own = vectors_of(w, table)[-1]
        assert len(own) == (moments + 1) * apart
        biases = own[: int(table[0, ALL_UNITS])]
        np.testing.assert_array_equal(np.sort(biases[biases != 0]), np.sort(biases_of(p, sizes)))
        for k in range(1, moments + 1):
            here = own[k * apart : (k + 1) * apart]
            used = own[:apart] != 0
            np.testing.assert_array_equal(here[used], 10.0**k * own[:apart][used])
            assert not here[len(biases) :][~used[len(biases) :]].any()


@pytest.mark.slow
@on_x86
def test_with_the_jit_off_rows_are_as_wide_as_lanes_are_then():
    """Whatever machine numba would compile for."""
    code = """
import fastnn, numpy as np
rng = np.random.default_rng(0)
for dtype in ("float64", "float32"):
    for sizes in ([3, 2], [2, 3, 2], [20, 8, 30, 3], [3, 70, 2]):
        X, Y = rng.normal(size=(9, sizes[0])), rng.normal(size=(9, sizes[-1]))
        nets = [fastnn.Network(sizes, seed=0, dtype=dtype, engine=e) for e in ("numba", "numpy")]
        for net in nets:
            net.fit(X, Y, epochs=2, batch_size=1, learning_rate=0.01)
        np.testing.assert_allclose(*(net.parameters for net in nets), rtol=1e-4, atol=1e-5)
print("alike")
"""
    assert "alike" in run("-c", code, **BASELINE, NUMBA_DISABLE_JIT="1")
