"""Networks in users' own compiled functions, in SciPy's, and by their address."""

from __future__ import annotations

import ctypes
import gc
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
from helpers import DTYPES
from scipy.integrate import nquad, quad

import fastnn
from fastnn import jit

njit = numba.njit(nogil=True)
#: That threads have to do at once.
ROWS = 3 if numba.config.DISABLE_JIT else 2000
needs_compiler = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT), reason="there is no machine code with the JIT off"
)


def network(sizes, **options):
    return fastnn.Network(sizes, **{"activation": "tanh", "seed": 1, "engine": "numpy"} | options)


@njit
def first_outputs(h, X, values):
    """Fill *values* with the first output for each row."""
    out = np.empty(h.n_outputs, X.dtype)
    for k in range(len(X)):
        jit.forward(h, X[k], out)
        values[k] = out[0]


def predicted(h, X):
    values = np.empty(len(X))
    first_outputs(h, X, values)
    return values


def test_one_compilation_serves_all_architectures(rng):
    cases = [
        ([3, 8, 1], {}),
        ([3, 1], {"bias": False}),
        ([3, 5, 4, 2], {"activation": ["relu", "silu"], "loss": "cross_entropy"}),
    ]
    for sizes, options in cases:
        net, X = network(sizes, **options), rng.normal(size=(10, 3))
        np.testing.assert_allclose(predicted(net.compiled(), X), net.predict(X)[:, 0], rtol=1e-12)
    if not numba.config.DISABLE_JIT:
        assert len(first_outputs.signatures) == 1


def test_the_handle_is_live_and_of_an_importable_class():
    net = network([3, 8, 1])
    h = net.compiled()
    assert h.parameters is net.parameters
    assert type(h) is jit.Compiled
    copy = pickle.loads(pickle.dumps(h))
    assert numba.typeof(copy) == numba.typeof(h)
    assert predicted(copy, np.ones((1, 3))) == pytest.approx(net.predict([[1, 1, 1]])[0, 0])


def test_eight_threads_see_whole_parameters_set_between_calls(rng):
    net, X = network([3, 8, 1]), rng.normal(size=(ROWS, 3))
    h, vectors = net.compiled(), [rng.normal(size=net.parameters.size) for _ in range(20)]
    ready, done, found = threading.Barrier(9), threading.Barrier(9), []

    def call():
        for vector in vectors:
            ready.wait()
            found.append((vector, predicted(h, X)))
            done.wait()

    def change():
        for vector in vectors:
            net.set_parameters(vector)
            ready.wait()
            done.wait()

    with ThreadPoolExecutor(9) as pool:
        for future in [pool.submit(change), *(pool.submit(call) for _ in range(8))]:
            future.result()
    assert len(found) == 160
    for vector, values in found:
        wanted = net.predict_with([vector], X)[0, :, 0]
        np.testing.assert_allclose(values, wanted, rtol=1e-11, atol=1e-12)


@needs_compiler
def test_the_stack_does_not_grow_with_calls():
    """At 33 KB a call, the 512 KB of this thread would not take twenty."""
    net, X = network([1, 2, 1]), np.arange(10_000.0)[:, np.newaxis] % 7
    predicted(net.compiled(), X[:1])  # compiles, on more stack
    before = threading.stack_size(1 << 19)
    try:
        with ThreadPoolExecutor(1) as pool:
            values = pool.submit(predicted, net.compiled(), X).result()
    finally:
        threading.stack_size(before)
    np.testing.assert_allclose(values, net.predict(X)[:, 0], rtol=1e-12)


TWO_LOOPS = """
import numpy as np
from numba import njit
import fastnn

@njit(cache=True)
def mean_output(h, X):
    out, total = np.empty(h.n_outputs), 0.0
    for k in range(len(X)):
        fastnn.jit.forward(h, X[k], out)
        total += out[0]
    return total / len(X)

if __name__ == "__main__":
    X = np.linspace(-1, 1, 12).reshape(6, 2)
    for sizes, activation in (([2, 8, 1], "sigmoid"), ([2, 7, 5, 3], "relu")):
        net = fastnn.Network(sizes, activation=activation, seed=1, engine="numpy")
        assert np.isclose(mean_output(net.compiled(), X), net.predict(X)[:, 0].mean())
    stats = mean_output.stats
    print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


@needs_compiler
@pytest.mark.slow
def test_the_next_process_loads_the_users_function(tmp_path):
    path = tmp_path / "loops.py"
    path.write_text(TWO_LOOPS)
    for expected in ("0 1", "1 0"):
        done = subprocess.run([sys.executable, path], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == expected


@njit
def rows_in_parallel(h, X, values):
    for k in numba.prange(len(X)):
        jit.forward(h, X[k], values[k])


@needs_compiler
@pytest.mark.slow
def test_within_prange(rng):
    net, X = network([3, 8, 2]), rng.normal(size=(1000, 3))
    values = np.empty((1000, 2))
    numba.njit(parallel=True)(rows_in_parallel.py_func)(net.compiled(), X, values)
    np.testing.assert_allclose(values, net.predict(X), rtol=1e-12)


@needs_compiler
def test_what_is_no_handle_is_refused():
    with pytest.raises(numba.core.errors.TypingError, match=r"h must be what net.compiled\(\)"):
        jit.forward((1, 2), np.zeros(3), np.zeros(1))


@needs_compiler
@pytest.mark.slow
def test_scipy_integrates_the_network_with_the_weights_that_it_has():
    net = network([2, 8, 3])
    function, ranges = net.low_level_callable(output=1), [[-1, 2], [0, 1]]
    for _ in range(2):
        wanted = nquad(lambda *x: net.predict([x])[0, 1], ranges)[0]
        assert nquad(function, ranges)[0] == pytest.approx(wanted, rel=1e-10)
        wanted = quad(lambda x: net.predict([[x, 0.3]])[0, 1], -1, 2)[0]
        assert quad(function, -1, 2, args=(0.3,))[0] == pytest.approx(wanted, rel=1e-10)
        net.set_parameters(1.5 * net.parameters + 0.1)


@needs_compiler
@pytest.mark.slow
def test_scipys_function_is_nan_for_another_number_of_inputs():
    function = network([2, 8, 3]).low_level_callable()
    numbers = (ctypes.c_double * 3)(0.1, 0.2, 0.3)
    for n in (0, 1, 3):
        assert np.isnan(function.function(n, numbers, function.user_data))
    assert np.isfinite(function.function(2, numbers, function.user_data))


def test_functions_that_there_cannot_be_are_refused():
    net = network([2, 8, 3])
    for output in (-1, 3):
        with pytest.raises(ValueError, match="output must be at"):
            net.low_level_callable(output)
    if numba.config.DISABLE_JIT:
        for make in (net.low_level_callable, net.cfunc):
            with pytest.raises(RuntimeError, match="NUMBA_DISABLE_JIT is set"):
                make()
    else:
        with pytest.raises(ValueError, match=r"dtype float64, .* got float32"):
            network([2, 3], dtype="float32").low_level_callable()


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
def test_c_functions_compute_the_network_that_nobody_else_holds(dtype):
    net = network([3, 8, 2], dtype=dtype)
    x, y = np.array([0.1, 0.2, -0.3], dtype), np.zeros(2, dtype)
    wanted, number = net.predict([x])[0], np.ctypeslib.as_ctypes_type(x.dtype)
    pointers = [array.ctypes.data_as(ctypes.POINTER(number)) for array in (x, y)]
    functions = [network([3, 4, 2], dtype=dtype).cfunc(), net.cfunc()]
    assert functions[0].address != functions[1].address
    call = functions[1].ctypes
    del functions, net
    gc.collect()
    call(*pointers)
    np.testing.assert_allclose(y, wanted, rtol=1e-6)


@needs_compiler
@pytest.mark.slow
def test_c_functions_see_new_weights():
    net = network([1, 1])
    function, y = net.cfunc(), ctypes.c_double(0)
    for value in (2.0, 3.0):
        net.set_parameters([value, 0.5])
        function.ctypes(ctypes.c_double(10), y)
        assert y.value == 10 * value + 0.5
