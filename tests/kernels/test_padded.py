"""Parameters in rows that fill registers."""

from itertools import pairwise

import numpy as np
import pytest
from simd import BASELINE, compiled, on_x86, run

import fastnn
from fastnn.kernels.layout import INPUTS, UNITS, layer_table
from fastnn.kernels.padded import (
    ALL_UNITS,
    OWN_BIAS,
    OWN_WEIGHTS,
    ROW,
    TURNED,
    make_copies,
    padded_table,
)

SIZES = ([3, 2], [1, 1], [5, 9, 4], [20, 8, 30, 3], [4, 17, 1])


def architecture_of(sizes, bias=True):
    return fastnn.Network(sizes, bias=bias, engine="numpy")._architecture


@pytest.mark.parametrize("lanes", [2, 8, 16])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_every_layer_and_row_begins_where_lanes_do(sizes, lanes):
    table, end = padded_table(architecture_of(sizes), lanes)
    table = table.astype(int)
    places = table[:, [INPUTS, UNITS, ROW, OWN_WEIGHTS, OWN_BIAS, ALL_UNITS]]
    assert not (places % lanes).any()
    assert end % lanes == 0
    np.testing.assert_array_equal(table[:, :4], layer_table(architecture_of(sizes))[:, :4])
    for l, (n_in, n_out) in enumerate(pairwise(sizes)):
        row, rows = (n_in, n_out) if table[l, TURNED] else (n_out, n_in)
        assert row <= table[l, ROW] < row + lanes
        after = table[l + 1, OWN_WEIGHTS] if l + 2 < len(sizes) else end
        assert after - table[l, OWN_WEIGHTS] == rows * table[l, ROW]


def test_layers_of_few_units_are_turned():
    turned = [
        padded_table(architecture_of(sizes), 8)[0][:, TURNED].tolist()
        for sizes in ([100, 23, 1], [100, 24, 24], [3, 10, 10])
    ]
    assert turned == [[1, 1], [0, 0], [0, 0]]


@pytest.mark.parametrize("bias", [True, False])
def test_what_is_taken_is_given_back_and_the_rest_is_zero(bias):
    take, give = make_copies(bias)

    @compiled
    def there_and_back(layers, p, w, q):
        take(layers, p, w)
        give(layers, w, q)

    for sizes in SIZES:
        for turned in (None, [False] * (len(sizes) - 1), [True] * (len(sizes) - 1)):
            architecture = architecture_of(sizes, bias)
            table, end = padded_table(architecture, 8, turned)
            p = np.arange(1.0, architecture.n_parameters + 1)
            w, q = np.full(end, np.nan), np.zeros_like(p)
            there_and_back(table, p, w, q)
            np.testing.assert_array_equal(q, p)
            units = int(table[0, ALL_UNITS])
            values, gradients, present, own = np.split(w, [units, 2 * units, 3 * units])
            assert not values.any()
            assert not gradients.any()
            assert present.sum() == sum(sizes[1:])
            np.testing.assert_array_equal(np.sort(own[own != 0]), p)


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
