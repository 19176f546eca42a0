"""The cache of kernels: what is taken from it, what entries depend on, many processes."""

import ast
import importlib.machinery
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest
from processes import SMALL, TRAIN, run_in_new_process

import fastnn
from fastnn.kernels import cache, jit

pytestmark = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT), reason="nothing is compiled with the JIT off"
)
PACKAGE = Path(fastnn.__file__).parent


LOOK_FOR_COMPILER = """
import sys
print("numba.np.arraymath" in sys.modules)
"""
PREDICT = """
print(net.predict([[0.5]]).item())
"""


LANES = """
import numpy as np
from fastnn.kernels import jit
from fastnn.kernels.elementary import exp
from fastnn.kernels.lanes import load, store

@jit.kernel
def exp_of_eight(x):
    store(x, 0, exp(load(x, 0, 8)))

x = np.zeros(8)
exp_of_eight(x)
assert (x == 1).all()
print(sum(exp_of_eight.stats.cache_hits.values()))
"""


@pytest.mark.slow  # the next test has it too
def test_second_process_compiles_nothing(tmp_path):
    assert run_in_new_process(tmp_path) == "0 1"
    assert run_in_new_process(tmp_path) == "1 0"


@pytest.mark.slow
def test_second_process_does_not_load_what_only_compiling_needs(tmp_path):
    assert run_in_new_process(tmp_path, TRAIN + LOOK_FOR_COMPILER) == "0 1\nTrue"
    assert run_in_new_process(tmp_path, TRAIN + LOOK_FOR_COMPILER) == "1 0\nFalse"


@pytest.mark.slow
def test_kernels_on_lanes_are_loaded_without_the_compiler_too(tmp_path):
    assert run_in_new_process(tmp_path, LANES + LOOK_FOR_COMPILER) == "0\nTrue"
    assert run_in_new_process(tmp_path, LANES + LOOK_FOR_COMPILER) == "1\nFalse"


@pytest.mark.slow
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


def modules_imported_by_kernels() -> set[str]:
    imported = set()
    for path in PACKAGE.glob("kernels/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("fastnn"):
                imported.add(node.module)
            assert not (isinstance(node, ast.Import) and node.names[0].name.startswith("fastnn"))
    return {module for module in imported if not module.startswith("fastnn.kernels")}


def test_all_that_kernels_import_is_known():
    assert set(cache.IMPORTED) == modules_imported_by_kernels()


def test_digest_changes_with_any_module_that_kernels_consist_of(monkeypatch):
    content, before = cache._content, cache.source_digest()
    kernels = {f"fastnn.kernels.{path.stem}" for path in PACKAGE.glob("kernels/*.py")}
    for changed in (kernels - {"fastnn.kernels.__init__"}) | modules_imported_by_kernels():
        monkeypatch.setattr(cache, "_content", lambda m, c=changed: content(m) + b" " * (m == c))
        assert cache.source_digest() != before, changed


def make_scaled(factor):
    @jit.inner
    def scale(x):
        return factor * x

    def outer(x):
        return scale(x)

    return outer


def test_closure_key_sees_constants_in_nested_functions():
    assert cache.closure_key(make_scaled(2)) == cache.closure_key(make_scaled(2))
    assert cache.closure_key(make_scaled(2)) != cache.closure_key(make_scaled(3))


class Target:
    """Stands for numba's code generator."""

    def __init__(self, cpu="zen4"):
        self.cpu = cpu

    def magic_tuple(self):
        return ("x86_64", self.cpu, "+avx2")


def key_and_name(kernel_cache):
    """By the settings and versions of this moment; in a process they are looked at once."""
    cache._stamp.cache_clear()
    key = kernel_cache._key((numba.float64,), Target())
    name = kernel_cache._name(key)
    cache._stamp.cache_clear()
    return key, name


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (numba.config, "BOUNDSCHECK"),
        (numba.config, "DEBUGINFO_DEFAULT"),
        (numba.config, "LOOP_VECTORIZE"),
        (numba.config, "OPT"),
        (numba.config, "SLP_VECTORIZE"),
        (numba, "__version__"),
        (cache.llvmlite, "__version__"),
        (cache.np, "__version__"),
        (sys, "version"),
    ],
)
def test_settings_and_versions_make_other_entries(monkeypatch, where, name):
    kernel_cache = cache.KernelCache(make_scaled(2))
    before = key_and_name(kernel_cache)
    with monkeypatch.context() as patch:
        patch.setattr(where, name, "another")
        after = key_and_name(kernel_cache)
    assert all(one != other for one, other in zip(before, after, strict=True))


def test_signature_cpu_and_function_make_other_entries():
    kernel_cache = cache.KernelCache(make_scaled(2))
    keys = {
        kernel_cache._key((numba.float64,), Target()),
        kernel_cache._key((numba.float32,), Target()),
        kernel_cache._key((numba.float64[::1],), Target()),
        kernel_cache._key((numba.float64,), Target("skylake")),
        cache.KernelCache(make_scaled(3))._key((numba.float64,), Target()),
        cache.KernelCache(lambda x: x)._key((numba.float64,), Target()),
        cache.KernelCache(lambda x: -x)._key((numba.float64,), Target()),
    }
    assert len(keys) == 7


def copy_of_package(folder: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__", "demos", "estimators", "profiling")
    return shutil.copytree(PACKAGE, folder / "fastnn", ignore=ignored)


@pytest.fixture
def without_sources(tmp_path):
    """A folder to import the package from, which has bytecode only."""
    package = copy_of_package(tmp_path / "bytecode")
    subprocess.run([sys.executable, "-m", "compileall", "-b", "-q", package], check=True)
    for path in package.rglob("*.py"):
        path.unlink()
    return package.parent


@pytest.fixture
def zipped(tmp_path):
    copy_of_package(tmp_path / "content")
    return shutil.make_archive(str(tmp_path / "package"), "zip", tmp_path / "content")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["without_sources", "zipped"])
def test_a_package_without_source_files_has_a_cache(kind, request, tmp_path):
    place = request.getfixturevalue(kind)
    code = f"import fastnn; assert fastnn.__file__.startswith({str(place)!r})\n{SMALL}"
    for loaded in ("0", "1"):
        printed = run_in_new_process(tmp_path / "cache", code, cwd=tmp_path, PYTHONPATH=str(place))
        assert printed == loaded


def test_a_frozen_program_goes_by_its_file(monkeypatch):
    class FrozenLoader:
        def get_data(self, path):
            raise OSError(f"{path} is not a file")

    spec = importlib.machinery.ModuleSpec("fastnn", FrozenLoader(), origin="in an archive")
    monkeypatch.setattr(cache, "find_spec", lambda _name: spec)
    with pytest.raises(OSError, match="in an archive"):
        cache._content("fastnn")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert str(os.stat(sys.executable).st_size) in cache._content("fastnn").decode()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes at once are forked")
def test_torture():
    script = Path(__file__).with_name("torture_cache.py")
    command = [sys.executable, script, "--rounds", "30"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


SLOW_NETWORK = """
import sys, time, random
from pathlib import Path
import numpy as np
import fastnn

replace = Path.replace
Path.replace = lambda path, target: (time.sleep(random.random()), replace(path, target))
net = fastnn.Network([1, 3, 1], activation=sys.argv[1], seed=0)
net.fit([[0.0], [1.0]], [0.0, 1.0], batch_size=1)
print(net.parameters.tobytes().hex())
"""


@pytest.mark.slow
def test_processes_that_compile_at_once_do_not_mix_up_activations(tmp_path):
    activations = ["relu", "tanh", "sigmoid"]

    def train_at_once(**env):
        environment = {**os.environ, **env}
        processes = [
            subprocess.Popen([sys.executable, "-c", SLOW_NETWORK, activation], env=environment,
                             stdout=subprocess.PIPE)
            for activation in activations
        ]  # fmt: skip
        return [process.communicate()[0] for process in processes]

    alone = train_at_once(FASTNN_CACHE="0")
    assert len(set(alone)) == len(activations)
    for _ in range(2):
        assert train_at_once(NUMBA_CACHE_DIR=str(tmp_path)) == alone
