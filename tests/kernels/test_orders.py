"""Random orders of rows, against NumPy's."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastnn.kernels import orders
from fastnn.reference import random

LEAST = orders.LEAST

#: Epochs, generators and rows, of which the numbers at powers of two are the ends of masks.
SIZES = [
    (70, 1, 1),
    (40, 1, 2),
    *((LEAST // n + 1, 2, n) for n in (3, 4, 5, 7, 8, 9, 31, 32, 33, 64, 65, 127, 128)),
    (3, 2, 1000),
]
KINDS = [
    np.random.PCG64,
    np.random.PCG64DXSM,
    np.random.MT19937,
    np.random.Philox,
    np.random.SFC64,
    np.random.RandomState,
]


@pytest.fixture(scope="module", autouse=True)
def _compiled():
    orders.shuffler(orders.WORTH_COMPILING)


def generator(kind, seed):
    return kind(seed) if kind is np.random.RandomState else np.random.Generator(kind(seed))


def ordered(shape):
    return np.tile(np.arange(shape[-1]), (*shape[:2], 1))


def turned_round(shape):
    return ordered(shape)[..., ::-1].copy()


def shuffled(shuffle, kind, shape, before=0, goes_on=False):
    """The orders, and what is drawn after them, by generators that have drawn some numbers already.

    Half a word that waits is among them: they draw 32 bits.
    """
    rngs = [generator(kind, seed) for seed in range(shape[1])]
    for rng in rngs:
        rng.bytes(4 * before)
    found = turned_round(shape)
    shuffle(rngs, found, goes_on)
    return found, [rng.bytes(12) for rng in rngs]


@pytest.mark.parametrize("goes_on", [False, True])
@pytest.mark.parametrize("before", [0, 1], ids=["whole words", "half a word waits"])
@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_the_kernel_shuffles_as_numpy_does(shape, before, goes_on):
    """And leaves the generators where NumPy leaves them."""
    assert np.prod(shape) >= LEAST * shape[1]
    ours, after = shuffled(orders.shuffle, np.random.PCG64, shape, before, goes_on)
    numpys, after_numpy = shuffled(random.shuffle, np.random.PCG64, shape, before, goes_on)
    np.testing.assert_array_equal(ours, numpys)
    assert after == after_numpy


@pytest.mark.parametrize("kind", KINDS)
def test_all_generators(kind):
    ours, after = shuffled(orders.shuffle, kind, (3, 2, 300), 1)
    numpys, after_numpy = shuffled(random.shuffle, kind, (3, 2, 300), 1)
    np.testing.assert_array_equal(ours, numpys)
    assert after == after_numpy
    assert (np.sort(ours) == np.arange(300)).all()
    assert (ours != ordered(ours.shape)).any(axis=-1).all()


@pytest.mark.parametrize("shuffle", [orders.shuffle, random.shuffle])
def test_where_there_is_no_generator_orders_stay_as_they_are(shuffle):
    shape = (3, 3, 200)
    found, expected = ordered(shape) + 1, ordered(shape) + 1
    shuffle([np.random.default_rng(0), None, np.random.default_rng(2)], found)
    random.shuffle([np.random.default_rng(0)], expected[:, :1])
    random.shuffle([np.random.default_rng(2)], expected[:, 2:])
    np.testing.assert_array_equal(found, expected)


def test_each_epoch_goes_on_from_the_one_before():
    found, _ = shuffled(orders.shuffle, np.random.PCG64, (4, 2, 100), goes_on=True)
    steps, _ = shuffled(orders.shuffle, np.random.PCG64, (4, 2, 100))
    for k in range(2):
        expected = np.arange(100)[::-1]
        for e in range(4):
            expected = expected[steps[e, k]]
            np.testing.assert_array_equal(found[e, k], expected)


@pytest.mark.slow
def test_many_rows():
    shape = (1, 1, 1_000_003)
    ours, numpys = (
        shuffled(s, np.random.PCG64, shape)[0] for s in (orders.shuffle, random.shuffle)
    )
    np.testing.assert_array_equal(ours, numpys)


class Backwards(np.random.RandomState):
    def shuffle(self, x):
        x[:] = x[::-1].copy()


@pytest.mark.parametrize("goes_on", [False, True])
@pytest.mark.parametrize("n", [5, 1000])
def test_a_generator_that_shuffles_otherwise_is_asked(n, goes_on):
    found, rngs = turned_round((2, 2, n)), [Backwards(0), np.random.RandomState(0)]
    orders.shuffle(rngs, found, goes_on)
    up, down = np.arange(n), np.arange(n)[::-1]
    np.testing.assert_array_equal(found[:, 0], [up, down] if goes_on else [down, down])
    expected = turned_round((2, 1, n))
    random.shuffle([np.random.RandomState(0)], expected, goes_on)
    np.testing.assert_array_equal(found[:, 1:], expected)


class Kernel:
    """One that shuffles nothing, and is compiled by its first call."""

    def __init__(self, *signatures):
        self.signatures = list(signatures)

    def __call__(self, generator, orders, k, goes_on):
        assert len(orders) == 0
        self.signatures.append("this one")


@pytest.fixture
def compiled(monkeypatch):
    """Sets the kernel; nobody has asked for it yet."""

    def set_compiled(kernel):
        monkeypatch.setattr(orders, "_shuffle_each", kernel)
        monkeypatch.setattr(orders, "_asked_for", 0)
        return kernel

    return set_compiled


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.RandomState])
@pytest.mark.parametrize("already", [True, False])
def test_few_rows_need_no_kernel(kind, already, compiled):
    """Nor do many, where it is not compiled yet."""
    compiled(Kernel(*["some"] * already))
    shuffle = orders.shuffler(orders.WORTH_COMPILING - 1)
    rows = LEAST - 1 if already else 1 << 16
    found, _ = shuffled(shuffle, kind, (1, 1, rows))
    assert (np.sort(found) == np.arange(rows)).all()


def test_it_is_compiled_for_as_many_rows_in_all(compiled):
    """Many fits of few rows are worth it, too."""
    kernel, counts = compiled(Kernel()), []
    for _ in range(4):
        orders.shuffler(orders.WORTH_COMPILING // 2)
        counts.append(len(kernel.signatures))
    assert counts == [0, 1, 1, 1]


def test_threads_draw_from_one_generator_one_after_another():
    rng = np.random.default_rng(0)
    found = [ordered((1, 1, 50_000)) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda order: orders.shuffle([rng], order), found))
    expected = ordered((4, 1, 50_000))
    random.shuffle([np.random.default_rng(0)], expected)
    assert {order.tobytes() for order in found} == {order.tobytes() for order in expected}
