"""Arrays that begin on a cache line."""

import copy
import gc
import pickle

import numpy as np
import pytest

import fastnn
from fastnn.kernels import ready
from fastnn.memory import LINE, MANY_NETWORKS, aligned, aligned_copy, older_objects_kept


def begins_on_a_line(array):
    return array.ctypes.data % LINE == 0


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
def test_an_aligned_array(size, dtype):
    array = aligned(size, np.dtype(dtype))
    assert begins_on_a_line(array)
    assert array.shape == (size,)
    assert array.dtype == dtype
    assert array.flags.carray


def test_too_large():
    with pytest.raises((MemoryError, ValueError, OverflowError)):
        aligned(1 << 62, np.dtype(np.float64))


def saved_and_loaded(net, path):
    net.save(path)
    return fastnn.load(path)


WAYS = {
    "new": lambda net, path: net,
    "loaded": saved_and_loaded,
    "pickled": lambda net, path: pickle.loads(pickle.dumps(net)),
    "copied": lambda net, path: copy.deepcopy(net),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_kernels_go_over_is_aligned(way, tmp_path):
    for size in (5, 6, 7, 60):  # not by chance
        net = fastnn.Network([3, size, 2], seed=0, engine="numpy")
        net.fit(np.zeros((9, 3)), np.zeros((9, 2)), optimizer="adam", epochs=1)
        net = WAYS[way](net, tmp_path / "net.safetensors")
        for state in (net._state, copy.deepcopy(net._state)):
            assert begins_on_a_line(state.parameters)
            assert begins_on_a_line(state.moments)
        assert begins_on_a_line(ready.new_scratch(size, net._architecture))


def test_an_aligned_copy_is_in_c_order():
    array = np.arange(12.0).reshape(3, 4).T
    twin = aligned_copy(array)
    assert begins_on_a_line(twin)
    assert twin.flags.c_contiguous
    np.testing.assert_array_equal(twin, array)


@pytest.fixture
def nothing_frozen():
    """Some who run tests freeze what there is."""
    was_frozen = gc.get_freeze_count() > 0
    gc.unfreeze()
    yield
    if was_frozen:
        gc.freeze()


@pytest.mark.usefixtures("nothing_frozen")
def test_collections_look_through_what_is_made_inside_and_later_through_all():
    with older_objects_kept(MANY_NETWORKS):
        frozen = gc.get_freeze_count()
        assert frozen > 0
        with older_objects_kept(MANY_NETWORKS):
            pass
        assert gc.get_freeze_count() == frozen
    assert gc.get_freeze_count() == 0


def test_for_few_networks_nobody_counts_what_is_frozen(monkeypatch):
    """It takes milliseconds where much is."""
    monkeypatch.delattr(gc, "get_freeze_count")
    nets = [fastnn.Network([1, 1], seed=k, engine="numpy") for k in range(2)]
    fastnn.fit_many(nets, [[0.0], [1.0]], [[0.0], [1.0]], epochs=1)
    with pytest.raises(AttributeError), older_objects_kept(MANY_NETWORKS):
        pass


@pytest.mark.usefixtures("nothing_frozen")
def test_what_somebody_else_froze_stays_frozen():
    gc.freeze()
    with older_objects_kept(MANY_NETWORKS):
        pass
    assert gc.get_freeze_count() > 0
