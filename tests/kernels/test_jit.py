"""How kernels are compiled and cached."""

import os
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numba
import numpy as np
import pytest

import fastnn
from fastnn.kernels import jit

pytestmark = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT), reason="nothing is compiled with the JIT off"
)
PACKAGE = Path(fastnn.__file__).parent

TRAIN = """
import numpy as np
import fastnn
from fastnn.kernels.one_output import make_train_one_output
net = fastnn.Network([1, 3, 1], seed=0)
net.fit([[0.0], [1.0]], [0.0, 1.0], batch_size=1)
train = make_train_one_output((1,), 0, 0, True, n_in=1, wide=False)
print(sum(train.stats.cache_hits.values()), sum(train.stats.cache_misses.values()))
"""
LOOK_FOR_COMPILER = """
import sys
print("numba.np.arraymath" in sys.modules)
"""
PREDICT = """
print(net.predict([[0.5]]).item())
"""


def run_in_new_process(cache: Path, code: str = TRAIN) -> str:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_second_process_compiles_nothing(tmp_path):
    assert run_in_new_process(tmp_path) == "0 1"
    assert run_in_new_process(tmp_path) == "1 0"


def test_second_process_does_not_load_what_only_compiling_needs(tmp_path):
    assert run_in_new_process(tmp_path, TRAIN + LOOK_FOR_COMPILER) == "0 1\nTrue"
    assert run_in_new_process(tmp_path, TRAIN + LOOK_FOR_COMPILER) == "1 0\nFalse"


def test_what_is_not_cached_compiles_after_what_is(tmp_path):
    run_in_new_process(tmp_path)
    first = run_in_new_process(tmp_path, TRAIN + PREDICT)
    assert first.startswith("1 0\n")
    assert run_in_new_process(tmp_path, TRAIN + PREDICT) == first


@pytest.mark.slow
def test_matrix_products_from_the_cache(tmp_path):
    code = """
import numpy as np
import fastnn
X = np.linspace(0, 1, 64 * 50).reshape(64, 50)
net = fastnn.Network([50, 40, 3], seed=0)
net.fit(X, X[:, :3], batch_size=32, learning_rate=0.01)
print(net.predict(X).tobytes().hex())
"""
    assert run_in_new_process(tmp_path, code) == run_in_new_process(tmp_path, code)


def test_digest_changes_with_any_kernel_file(tmp_path):
    package = tmp_path / "fastnn"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    before = jit.source_digest.__wrapped__(package)
    assert before == jit.source_digest.__wrapped__(PACKAGE)
    for path in [*package.glob("kernels/*.py"), package / "activations.py"]:
        text = path.read_text()
        path.write_text(text + "\n")
        assert jit.source_digest.__wrapped__(package) != before
        path.write_text(text)


def make_scaled(factor):
    @jit.inner
    def scale(x):
        return factor * x

    def outer(x):
        return scale(x)

    return outer


def test_closure_key_sees_constants_in_nested_functions():
    assert jit.closure_key(make_scaled(2)) == jit.closure_key(make_scaled(2))
    assert jit.closure_key(make_scaled(2)) != jit.closure_key(make_scaled(3))


def test_what_is_inlined_is_machine_code_in_its_kernel_alone(monkeypatch):
    monkeypatch.setattr(jit, "cache_directory", lambda: None)  # from a cache nothing is compiled
    monkeypatch.setenv("FASTNN_CACHE", "0")

    @jit.inner
    def twice(x):
        return x + x

    @jit.kernel
    def four_times(x):
        return twice(twice(x))

    assert four_times(1.5) == 6.0
    [inlined], [whole] = twice.overloads.values(), four_times.overloads.values()
    engine = whole.library.codegen._engine
    assert engine.is_symbol_defined(whole.fndesc.llvm_func_name)
    assert not engine.is_symbol_defined(inlined.fndesc.llvm_func_name)


def test_without_a_cache_directory_it_says_once_that_it_compiles_anew(monkeypatch):
    monkeypatch.setattr(jit, "cache_directory", lambda: None)
    monkeypatch.delenv("FASTNN_CACHE", raising=False)
    jit._warn_no_cache.cache_clear()

    def add_one(x):
        return x + 1

    kernel = jit.kernel(add_one)
    with pytest.warns(RuntimeWarning, match="NUMBA_CACHE_DIR"):
        assert kernel(1) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kernel(1.5) == 2.5
    jit._warn_no_cache.cache_clear()


def test_cache_can_be_switched_off(monkeypatch):
    monkeypatch.setenv("FASTNN_CACHE", "0")
    assert jit.cache_directory.__wrapped__() is None


def test_kernel_that_allocates_does_not_compile():
    @jit.kernel
    def allocate(n):
        return np.empty(n)

    with pytest.raises(numba.core.errors.NumbaError):
        allocate(3)


def test_kernels_release_the_gil():
    @jit.kernel
    def nothing(x):
        return x

    assert nothing.targetoptions["nogil"]


def test_flags_are_set_in_one_place_only():
    flags = re.compile(r"(fastmath|error_model|nogil|parallel|cache) *=|\bn?jit\(")
    for path in (PACKAGE / "kernels").glob("*.py"):
        if path.name != "jit.py":
            assert not flags.search(path.read_text()), path
