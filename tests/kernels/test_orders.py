"""Random orders of rows, against NumPy's."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from fastnn.kernels import orders
from fastnn.reference import random

#: Epochs, generators and rows, of which the numbers at powers of two are the ends of masks.
SIZES = [
    (600, 1, 1),
    (300, 1, 2),
    *((orders.LEAST // n + 1, 2, n) for n in (3, 4, 5, 7, 8, 9, 31, 32, 33, 64, 65, 127, 128)),
    (3, 2, 1000),
]


@pytest.fixture(scope="module", autouse=True)
def _compiled():
    orders.permuter(orders.WORTH_COMPILING)


def drawn(permute, kind, shape, before):
    """The orders, and the states after them, of generators that have drawn some numbers already."""
    rngs = [np.random.Generator(kind(seed)) for seed in range(shape[1])]
    for rng in rngs:
        rng.integers(2**32, size=before, dtype=np.uint32)
    found = np.empty(shape, np.int64)
    permute(rngs, found)
    return found, [rng.bit_generator.state for rng in rngs]


@pytest.mark.parametrize("before", [0, 1], ids=["whole words", "half a word waits"])
@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_the_kernel_draws_what_numpy_draws(shape, before):
    """And leaves the generators where NumPy leaves them."""
    assert np.prod(shape) >= orders.LEAST
    ours = drawn(orders.permute, np.random.PCG64, shape, before)
    numpys = drawn(random.permute, np.random.PCG64, shape, before)
    np.testing.assert_array_equal(ours[0], numpys[0])
    assert ours[1] == numpys[1]


@pytest.mark.slow
def test_many_rows():
    shape = (1, 1, 1_000_003)
    ours, numpys = (
        drawn(p, np.random.PCG64, shape, 0)[0] for p in (orders.permute, random.permute)
    )
    np.testing.assert_array_equal(ours, numpys)


@pytest.mark.parametrize("kind", [np.random.PCG64DXSM, np.random.MT19937, np.random.Philox])
def test_other_generators_draw_what_they_draw(kind):
    shape = (2, 2, 300)
    ours, numpys = (drawn(p, kind, shape, 1)[0] for p in (orders.permute, random.permute))
    np.testing.assert_array_equal(ours, numpys)
    assert (np.sort(ours) == np.arange(300)).all()


@pytest.mark.parametrize(("signatures", "rows"), [([1], orders.LEAST - 1), ([], 1 << 16)])
def test_few_rows_need_no_kernel(signatures, rows, monkeypatch):
    """Nor do many, where it is not compiled yet."""
    monkeypatch.setattr(orders, "_permute", SimpleNamespace(signatures=signatures))
    permute = orders.permuter(orders.WORTH_COMPILING - 1)
    found, _ = drawn(permute, np.random.PCG64, (1, 1, rows), 0)
    assert (np.sort(found) == np.arange(rows)).all()


def test_threads_draw_from_one_generator_one_after_another():
    rng = np.random.default_rng(0)
    found = [np.empty((1, 1, 50_000), np.int64) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda order: orders.permute([rng], order), found))
    expected = np.empty((4, 1, 50_000), np.int64)
    random.permute([np.random.default_rng(0)], expected)
    assert {order.tobytes() for order in found} == {order.tobytes() for order in expected}
