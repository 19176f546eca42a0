"""Work that threads take parts of."""

import os
import platform
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from processes import run_in_new_process
from simd import only_compiled

import fastnn
from fastnn.kernels import atomics, products, sharing, team
from fastnn.kernels.called import address_of
from fastnn.kernels.jit import kernel
from fastnn.kernels.sharing import board_words as words

_0 = np.uint64(0)
#: Of which products are shared by columns; by rows, for want of them, or as they would be uneven,
#: with B copied first, for which a part has too few; and with B turned.
SHAPES = [(96, 60, 250), (300, 70, 31), (96, 180, 100), (260, 130, 47)]


@kernel
def note_part(scale, A, B, keep, K, C, sizes, in_columns, first, after):
    """Stands for a product: notes what part it was called for."""
    for row in range(first, after):
        C.vector[row] += scale


@kernel
def leave_the_rest(scale, A, B, keep, K, C, sizes, in_columns, first, after):
    """Stands for one of which another thread takes the other part."""
    sharing.board()[sharing.LEFT] = 0


@kernel
def share_noting(code, numbers, n, parts, grain):
    """What `products` does, for one number a row."""
    scale, M, _, keep, _, _, sizes, in_columns = products.nothing(numbers)
    arguments = (scale + numbers.dtype.type(1), M, M, keep, M, M, sizes, in_columns)
    return sharing.share(code, arguments, numbers.itemsize, n, parts, grain, 0)


@kernel
def multiply(A, B, C, sizes, turned, across):
    """Twice: onto a row for all of C, or with *across* a column, and onto what that gives."""
    one = C.dtype.type(1)
    left = products.Matrix(A, _0, sizes[1], False)
    right = products.Matrix(B, _0, sizes[1] if turned else sizes[2], turned)
    out = products.Matrix(C, _0, sizes[2], False)
    products.multiply(one, left, right, one, products.Matrix(A, _0, _0, across), out, sizes)
    products.multiply(one, left, right, one, out, out, sizes)


def address_for(numbers, function=note_part):
    zero, M = numbers.dtype.type(0), products.Matrix(numbers, _0, _0, False)
    return address_of(function, (zero, M, M, zero, M, M, (_0, _0, _0), False, _0, _0))


@pytest.fixture
def two_threads(monkeypatch):
    """As if there were two cores, on a machine with one too."""
    if team.numba.config.BOUNDSCHECK:
        pytest.skip("with bounds checks nobody helps")
    monkeypatch.setattr(team, "cores", lambda: [0, 1])
    monkeypatch.setattr(team, "quota", lambda: None)
    monkeypatch.setattr(team.numba.config, "NUMBA_NUM_THREADS", 2)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    wait_for(lambda: words[sharing.HELPERS] == 0)
    yield
    wait_for(lambda: words[sharing.HELPERS] == 0)


def wait_for(what, seconds=20.0):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.001)


class Wide:
    """As much of a network's architecture as matters here."""

    sizes, n_parameters, dtype = (1000, 1000), 1, np.dtype(np.float64)


class WideSingles(Wide):
    dtype = np.dtype(np.float32)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("n", "parts", "grain"), [(37, 4, 8), (64, 2, 8), (5, 9, 1)])
def test_every_row_is_done_once(dtype, n, parts, grain):
    numbers = np.zeros(n, dtype)
    assert share_noting(address_for(numbers), numbers, n, parts, grain)
    np.testing.assert_array_equal(numbers, 1)
    assert words[sharing.LEFT] == words[sharing.TAKEN] == 0


def test_what_makes_one_part_is_not_shared():
    numbers = np.zeros(8)
    assert not share_noting(address_for(numbers), numbers, 8, 3, 8)
    assert not numbers.any()


def test_what_is_taken_is_not_shared():
    numbers = np.zeros(8)
    words[sharing.TAKEN] = 1
    try:
        assert not share_noting(address_for(numbers), numbers, 8, 2, 1)
    finally:
        words[sharing.TAKEN] = 0
    assert not numbers.any()


@only_compiled
def test_products_are_the_same_with_help(two_threads):
    """The dtypes in turn: who helps must not take what one has for the other's."""
    rng, work = np.random.default_rng(0), []
    for dtype in ("float64", "float32"):
        for (rows, depth, columns), turned in zip(SHAPES, (False, False, False, True), strict=True):
            A, B, C = (
                rng.normal(size=n).astype(dtype)
                for n in (rows * depth, depth * columns, rows * columns)
            )
            sizes = tuple(map(np.uint64, (rows, depth, columns)))
            assert np.prod(sizes) >= products.SHARED_FROM
            expected = C.copy()
            for across in (False, True):
                multiply(A, B, expected, sizes, turned, across)
                work.append((A, B, C, sizes, turned, across, expected.copy()))
    with team.Help(WideSingles, 1000), team.Help(Wide, 1000):
        pass
    with team.Help(Wide, 1000):
        wait_for(lambda: words[sharing.HELPERS] == 1)
        helped, end = dict.fromkeys(("float64", "float32"), 0), time.monotonic() + 20
        while min(helped.values()) < 100 and time.monotonic() < end:
            for A, B, C, sizes, turned, across, expected in work:
                result = C.copy()
                words[sharing.ALONE] = words[sharing.ROWS] = 0
                multiply(A, B, result, sizes, turned, across)
                np.testing.assert_array_equal(result, expected)
                assert words[sharing.ROWS] in (sizes[0], sizes[2])
                assert words[sharing.PART] < words[sharing.ROWS]
                helped[str(C.dtype)] += words[sharing.DONE]
        assert min(helped.values()) > 0


FLUSH = 0x8040  # of x86: results and operands that are too small for all digits count as zero


@kernel
def multiply_flushing(A, B, C, sizes):
    before = atomics.rounding()
    atomics.set_rounding(before | FLUSH)
    multiply(A, B, C, sizes, False, False)
    atomics.set_rounding(before)


@only_compiled
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="for x86 processors")
def test_who_helps_takes_the_same_numbers_for_zero(two_threads):
    rows, depth, columns = SHAPES[0]
    A, B, C = (np.ones(n, "f") for n in (rows * depth, depth * columns, rows * columns))
    A *= np.float32(1e-40)
    sizes, helped, end = tuple(map(np.uint64, SHAPES[0])), 0, time.monotonic() + 20
    multiply(A, B, C, sizes, False, False)
    with team.Help(WideSingles, 1000):
        while helped == 0 and time.monotonic() < end:
            words[sharing.ALONE] = words[sharing.DONE] = 0
            C[:] = 0
            multiply_flushing(A, B, C, sizes)
            helped += words[sharing.DONE]
            assert not C.any()
    assert helped > 0


@only_compiled
def test_who_waits_too_often_works_alone(two_threads):
    """As when the others are without a core in the middle of a part."""
    numbers, rounds = np.zeros(8), 0
    code, all_done = address_for(numbers, leave_the_rest), threading.Event()

    def do_the_rest_late():
        while not all_done.is_set():
            if words[sharing.TAKEN] == 1 and words[sharing.LEFT] == words[sharing.DONE] == 0:
                time.sleep(0.01)
                words[sharing.DONE] = 1
            time.sleep(0)

    thread = threading.Thread(target=do_the_rest_late)
    thread.start()
    words[sharing.DELAY] = words[sharing.ALONE] = 0
    try:
        while words[sharing.ALONE] == 0 and rounds < 100:
            assert share_noting(code, numbers, 8, 2, 1)
            rounds += 1
    finally:
        all_done.set()
        thread.join()
    assert words[sharing.ALONE] == sharing.REST
    assert rounds > sharing.MOST_DELAY // sharing.GAVE_WAY
    words[sharing.ALONE] = 0


def results(n_threads, monkeypatch):
    """Of training by several kernels, and of all that goes through samples; who was helped."""
    monkeypatch.setattr(team, "cores", lambda: list(range(n_threads)))
    rng, helped = np.random.default_rng(0), []
    X, y = rng.normal(size=(9000, 40)), rng.normal(size=9000)

    def after(result):
        helped.append(words[sharing.ROWS] > 0)
        words[sharing.ALONE] = words[sharing.ROWS] = 0
        return result

    found = []
    words[sharing.ALONE] = words[sharing.ROWS] = 0
    for settings in ({"batch_size": 128}, {"batch_size": 300, "optimizer": "adam"}):
        net = fastnn.Network([40, 120, 1], seed=0)
        found.append(after(net.fit(X, y, epochs=2, learning_rate=0.001, **settings).loss))
        found.append(net.parameters.copy())
        found.append(after(net.predict(X)))
        found.append(after(net.loss_and_gradient(X, y))[1])
        found.append(list(after(net.evaluate(X, y)).values()))
    return found, helped


@only_compiled
def test_networks_are_the_same_with_help(two_threads, monkeypatch):
    alone, nobody = results(1, monkeypatch)
    shared, helped = alone, [False]
    end = time.monotonic() + 20
    while not all(helped) and time.monotonic() < end:  # a helper may come late
        shared, helped = results(2, monkeypatch)
        for one, two in zip(alone, shared, strict=True):
            np.testing.assert_array_equal(one, two)
    assert not any(nobody)
    assert all(helped)


@only_compiled
def test_several_are_helped_at_once(two_threads, monkeypatch):
    """They and two helpers share one board."""
    monkeypatch.setattr(team.numba.config, "NUMBA_NUM_THREADS", 4)
    monkeypatch.setattr(team, "cores", lambda: [0, 1, 2, 3])
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(256, 40)), rng.normal(size=256)

    def parameters(_number=0):
        net = fastnn.Network([40, 120, 1], seed=0)
        net.fit(X, y, epochs=40, batch_size=128, learning_rate=0.001, shuffle=False)
        return net.parameters

    expected = parameters()
    with ThreadPoolExecutor(2) as threads:
        for found in threads.map(parameters, range(6)):
            np.testing.assert_array_equal(found, expected)


@only_compiled
def test_nobody_helps_once_joining_was_interrupted(two_threads, monkeypatch):
    call = team._Team._call

    def interrupted(one_team):
        monkeypatch.setattr(team._Team, "_call", call)
        raise KeyboardInterrupt

    monkeypatch.setattr(team._Team, "_call", interrupted)
    with pytest.raises(KeyboardInterrupt):
        team.Help(Wide, 1000).__enter__()
    assert words[sharing.WANTED] == 0
    assert team._team._useful == {}


@only_compiled
@pytest.mark.slow
def test_wide_inputs_sample_by_sample_are_the_same_with_help(two_threads, monkeypatch):
    rng, found = np.random.default_rng(0), []
    X, y = rng.normal(size=(200, 300)).astype("f"), rng.normal(size=(200, 2)).astype("f")
    for n_threads in (1, 2):
        monkeypatch.setattr(team, "cores", lambda n=n_threads: list(range(n)))
        net = fastnn.Network([300, 200, 2], activation="relu", seed=0, dtype="float32")
        net.fit(X, y, epochs=5, batch_size=1, learning_rate=0.001)
        found.append(net.parameters)
    np.testing.assert_array_equal(*found)


@only_compiled
def test_no_more_threads_than_allowed(two_threads, monkeypatch):
    monkeypatch.setattr(team, "cores", lambda: [0, 1, 2])
    monkeypatch.setattr(team.numba.config, "NUMBA_NUM_THREADS", 3)
    wanted, ends = [], [threading.Event() for _ in range(4)]

    def be_helped(end):
        with team.Help(Wide, 1000):
            end.wait()

    threads = [threading.Thread(target=be_helped, args=(end,)) for end in ends]
    for k, thread in enumerate(threads):
        thread.start()
        wait_for(lambda n=k + 1: len(team._team._useful) == n)
        wanted.append(int(words[sharing.WANTED]))
        wait_for(lambda: words[sharing.HELPERS] == wanted[-1])
    for end, thread in zip(ends, threads, strict=True):
        end.set()
        thread.join()
        wanted.append(int(words[sharing.WANTED]))
    assert wanted == [2, 1, 0, 0, 0, 1, 2, 0]


def test_how_many_are_allowed(monkeypatch):
    monkeypatch.setattr(team.numba.config, "DISABLE_JIT", 0)
    monkeypatch.setattr(team.numba.config, "BOUNDSCHECK", None)
    monkeypatch.setattr(team, "cores", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(team, "quota", lambda: None)
    monkeypatch.setattr(team.numba.config, "NUMBA_NUM_THREADS", 3)
    for setting, allowed in {"": 3, "2": 2, "8": 3, "0": 3, "2,1": 3, "many": 3}.items():
        monkeypatch.setenv("OMP_NUM_THREADS", setting)
        assert team.allowed() == allowed
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert team.allowed() == 3
    for limit, allowed in {None: 3, 2.5: 2, 0.5: 1, 8.0: 3}.items():
        monkeypatch.setattr(team, "quota", lambda limit=limit: limit)
        assert team.allowed() == allowed
    monkeypatch.setattr(team, "cores", lambda: list(range(64)))
    monkeypatch.setattr(team.numba.config, "NUMBA_NUM_THREADS", 64)
    assert team.allowed() == 8
    monkeypatch.setattr(team, "quota", lambda: None)
    assert team.allowed() == team.MOST_THREADS
    monkeypatch.setattr(team, "cores", lambda: [5])
    assert team.allowed() == 1
    monkeypatch.setattr(team, "cores", lambda: [0, 1])
    for setting in ("BOUNDSCHECK", "DISABLE_JIT"):
        monkeypatch.setattr(team.numba.config, setting, 1)
        assert team.allowed() == 1
        monkeypatch.setattr(team.numba.config, setting, 0)


def test_little_work_is_not_helped(two_threads):
    class Narrow:
        sizes, n_parameters, dtype = (10, 10), 110, np.dtype(np.float64)

    for rows in (0, 100):
        with team.Help(Narrow, rows):
            assert words[sharing.WANTED] == 0


@only_compiled
def test_short_calls_are_not_helped(two_threads):
    for n, wanted in ((team.LEAST_MULTIPLICATIONS, 0), (team.LEAST_MULTIPLICATIONS + 1, 1)):
        with team.Help(Wide, 1000).for_rows(n):
            assert words[sharing.WANTED] == wanted


@only_compiled
def test_where_no_thread_can_be_started(two_threads, monkeypatch):
    monkeypatch.setattr(team, "_team", team._Team())
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with team.Help(Wide, 1000):
        assert words[sharing.WANTED] == 1
        assert team._team._threads == []


def refuse(_thread):
    raise RuntimeError("can't start new thread")


FORKED = """
import os, sys, warnings
import numpy as np
warnings.simplefilter("ignore")  # newer Pythons warn of forks where there are threads
from fastnn.kernels import team
team.cores = lambda: [0, 1]
team.numba.config.NUMBA_NUM_THREADS = 2
import fastnn
rng = np.random.default_rng(0)
X, y = rng.normal(size=(256, 40)), rng.normal(size=256)

def fit():
    net = fastnn.Network([40, 120, 1], activation="relu", seed=0)
    net.fit(X, y, epochs=50, batch_size=256, learning_rate=0.001)
    return net.parameters

expected = fit()
child = os.fork()
same = np.array_equal(fit(), expected)
if child == 0:
    os._exit(0 if same else 1)
print(same, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@only_compiled
@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_in_a_process_that_is_forked(tmp_path):
    assert run_in_new_process(tmp_path, FORKED, OMP_NUM_THREADS="") == "True 0"
