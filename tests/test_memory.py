"""Arrays that begin on a cache line, and what is left to the garbage collector."""

import copy
import gc
import pickle

import numpy as np
import pytest
from crowds import networks

import fastnn
from fastnn.kernels import ready
from fastnn.memory import LINE, MANY_NETWORKS, PAGE, aligned, aligned_copy, older_objects_kept


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


def test_its_memory_is_there():
    """To the last page, and behind the end: else masked vectors wait there, again and again."""
    resource = pytest.importorskip("resource")  # not on Windows
    size, faults = 1 << 18, []
    # More than what others may have given back.
    arrays = [aligned(size, np.dtype(np.float64)) for _ in range(20)]
    for array in arrays:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        array[:] = 1
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    assert max(faults) < array.nbytes / PAGE / 10
    assert len(array.base) * 8 - (array.ctypes.data - array.base.ctypes.data) >= 8 * size + 4 * LINE


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


@pytest.mark.usefixtures("nothing_frozen")
@pytest.mark.parametrize("youngest", [700, 0])
def test_inside_collections_are_fewer_than_what_the_networks_leave_behind(youngest):
    before = gc.get_threshold()
    try:
        gc.set_threshold(youngest, 11, 12)
        with older_objects_kept(MANY_NETWORKS):
            inside, *older = gc.get_threshold()
        assert gc.get_threshold() == (youngest, 11, 12)
    finally:
        gc.set_threshold(*before)
    assert older == [11, 12]
    assert inside > 10 * MANY_NETWORKS if youngest else inside == 0, "0 is: never"


X, Y = np.zeros((20, 3)), np.zeros((20, 2))
SHORT = {"epochs": 2, "batch_size": 4}
TRAINED = {
    "fit": lambda nets: nets[0].fit(X, Y, validation_data=(X, Y), **SHORT),
    "fit_stream": lambda nets: nets[0].fit_stream([(X, Y)]),
    "fit_many": lambda nets: fastnn.fit_many(nets, X, Y, **SHORT),
    "fit_many in threads": lambda nets: fastnn.fit_many(nets, X, Y, n_jobs=2, **SHORT),
    "an estimator": lambda nets: fastnn.MLPRegressor(max_iter=2, tol=9).fit(X, Y[:, 0]),
}


@pytest.mark.usefixtures("numpy_engine_of_estimators")
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("door", TRAINED)
def test_training_leaves_nothing_to_the_garbage_collector(door):
    """What refers to itself takes memory until it comes, seldom while many networks train."""
    nets = networks() if "many" in door else networks(1, engine="numpy")
    TRAINED[door](nets)  # imports and compiles
    gc.collect()
    gc.disable()
    try:
        TRAINED[door](nets)
        assert gc.collect() == 0
    finally:
        gc.enable()
