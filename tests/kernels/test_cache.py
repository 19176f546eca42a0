"""Compiled kernels on disk."""

import ast
import errno
import importlib.machinery
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numba
import pytest

import fastnn
from fastnn.kernels import cache, jit

pytestmark = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT), reason="nothing is compiled with the JIT off"
)
PACKAGE = Path(fastnn.__file__).parent
NOBODY = 65534
only_root = pytest.mark.skipif(
    getattr(os, "geteuid", lambda: 1)() != 0, reason="only root can become another user"
)

TRAIN = """
import numpy as np
import fastnn
from fastnn.kernels.one_output import make_train_one_output
net = fastnn.Network([1, 3, 1], seed=0)
net.fit([[0.0], [1.0]], [0.0, 1.0], batch_size=1)
train = make_train_one_output((1,), 0, 0, True, n_in=1, units=0, wide=False)
print(sum(train.stats.cache_hits.values()), sum(train.stats.cache_misses.values()))
"""
LOOK_FOR_COMPILER = """
import sys
print("numba.np.arraymath" in sys.modules)
"""
PREDICT = """
print(net.predict([[0.5]]).item())
"""
#: A kernel that compiles quickly; prints how many were loaded.
SMALL = """
from fastnn.kernels import jit

@jit.kernel
def add_one(x):
    return x + 1

assert add_one(1.5) == 2.5
print(sum(add_one.stats.cache_hits.values()))
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


def run_in_new_process(folder: Path, code: str = TRAIN, cwd: Path | None = None, **env) -> str:
    """What *code* prints, with the cache in *folder*."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder), **env}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow  # the next test has it too
def test_second_process_compiles_nothing(tmp_path):
    assert run_in_new_process(tmp_path) == "0 1"
    assert run_in_new_process(tmp_path) == "1 0"


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


# What entries depend on


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


# Entries that cannot be used


def make_kernel():
    @jit.kernel
    def triple(x):
        return 3.0 * x

    return triple


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An own cache, with nothing said yet."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(cache, "_said", set())
    cache._sweep.cache_clear()
    return tmp_path / "fastnn"


@pytest.fixture
def only_folder(folder, monkeypatch):
    """And no other place for it."""
    monkeypatch.setattr(cache, "directories", lambda: iter([folder]))
    return folder


def entry_of(folder: Path) -> Path:
    make_kernel()(1.0)
    [entry] = folder.glob(f"triple-*{cache.SUFFIX}")
    return entry


def loads() -> bool:
    kernel = make_kernel()
    assert kernel(2.0) == 6.0
    return bool(kernel.stats.cache_hits)


DAMAGE = {
    "empty": lambda whole: b"",
    "truncated": lambda whole: whole[: len(whole) // 2],
    "without its end": lambda whole: whole[:-1],
    "longer": lambda whole: whole + b"\0",
    "zeroed": lambda whole: bytes(len(whole)),
    "half zeroed": lambda whole: whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2),
    "text": lambda whole: b"<html>404 not found</html>",
    "of another kernel": lambda whole: cache._packed(b"another", b"payload"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_is_said_once_and_compiled_again(only_folder, damage):
    entry = entry_of(only_folder)
    whole = entry.read_bytes()
    entry.write_bytes(DAMAGE[damage](whole))
    with pytest.warns(RuntimeWarning, match=str(entry)):
        assert not loads()
    assert loads()  # it has been mended
    entry.write_bytes(DAMAGE[damage](whole))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not loads()


def test_every_flipped_bit_is_noticed():
    key = b"what it depends on"
    whole = cache._packed(key, bytes(range(256)))
    assert cache._unpacked(whole, key) == bytes(range(256))
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match="damaged"):
            cache._unpacked(bytes(damaged), key)


def test_what_another_numba_packed_otherwise_is_compiled_again(only_folder, monkeypatch):
    entry = entry_of(only_folder)
    monkeypatch.setattr(cache.pickle, "loads", lambda data: (1, 2, 3))
    with pytest.warns(RuntimeWarning, match="goes on"):
        assert not loads()
    assert entry.exists()


def failing(error):
    def fail(*_arguments):
        raise error

    return fail


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_where_nothing_can_be_written_it_says_once_that_it_compiles_anew(
    only_folder, monkeypatch, number
):
    error = OSError(number, os.strerror(number))
    monkeypatch.setattr(cache, "_write", failing(error))
    with pytest.warns(RuntimeWarning, match=f"NUMBA_CACHE_DIR.*{error.strerror}"):
        assert not loads()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not loads()


def test_a_warning_that_is_an_error_does_not_stop_the_work_either(only_folder, monkeypatch):
    monkeypatch.setattr(cache, "_write", failing(OSError("no")))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not loads()


def test_a_disk_that_fills_while_writing_leaves_nothing(only_folder, monkeypatch):
    monkeypatch.setattr(Path, "replace", failing(OSError(errno.ENOSPC, "full")))
    with pytest.warns(RuntimeWarning, match="full"):
        assert not loads()
    assert list(only_folder.iterdir()) == []


def test_ctrl_c_while_writing_leaves_nothing(only_folder, monkeypatch):
    monkeypatch.setattr(Path, "replace", failing(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        make_kernel()(1.0)
    assert list(only_folder.iterdir()) == []


def test_private_parts_of_numba_that_are_gone_cost_only_the_cache(only_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "numba.core.serialize", None)
    with pytest.warns(RuntimeWarning, match="goes on"):
        assert not loads()


# Places


def test_it_is_read_where_it_can_be_read_and_written_where_it_can_be_written(
    tmp_path, folder, monkeypatch
):
    image, own = tmp_path / "image", tmp_path / "own"
    monkeypatch.setattr(cache, "directories", lambda: iter([image, own]))
    entry_of(image)
    write = cache._write
    read_only = failing(PermissionError(errno.EACCES, "denied"))
    monkeypatch.setattr(
        cache, "_write", lambda path, content: (read_only if path.parent == image else write)(
            path, content)
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert loads()
        assert not own.exists()
        make_kernel()(1)  # for another type
    assert len(list(own.iterdir())) == 1


def test_cache_can_be_switched_off(monkeypatch, folder):
    monkeypatch.setenv("FASTNN_CACHE", "0")
    assert not loads()
    assert not loads()
    assert not folder.exists()


@pytest.mark.slow
def test_numbas_own_choice_of_places_is_not_followed(tmp_path):
    chosen = {"NUMBA_CACHE_LOCATOR_CLASSES": "IPythonCacheLocator"}
    assert run_in_new_process(tmp_path, SMALL, **chosen) == "0"
    assert run_in_new_process(tmp_path, SMALL, **chosen) == "1"


@only_root
@pytest.mark.parametrize("which", ["its directory", "it"])
@pytest.mark.parametrize("how", ["belongs to another user", "everybody may write"])
def test_nothing_is_run_that_somebody_else_could_have_written(only_folder, which, how):
    entry = entry_of(only_folder)
    target = entry if which == "it" else only_folder
    if how.startswith("belongs"):
        os.chown(target, NOBODY, NOBODY)
    else:
        target.chmod(0o777)
    with pytest.warns(RuntimeWarning, match="NUMBA_CACHE_DIR"):
        assert not loads()


BECOME_NOBODY = f"""
import os
from fastnn.kernels import jit
jit.kernel(lambda x: x)(1)  # all that has to be imported is, from where root only may read
os.setgid({NOBODY})
os.setuid({NOBODY})
"""


@only_root
@pytest.mark.slow
def test_another_user_takes_what_root_has_kept():
    with tempfile.TemporaryDirectory() as name:  # pytest's own are closed to others
        folder = Path(name)
        folder.chmod(0o755)
        assert run_in_new_process(folder, SMALL) == "0"
        assert run_in_new_process(folder, BECOME_NOBODY + SMALL) == "1"


@pytest.mark.skipif(os.name != "posix", reason="Windows has no file modes")
def test_entries_may_be_written_by_their_owner_only(only_folder):
    before = os.umask(0)
    try:
        entry = entry_of(only_folder)
    finally:
        os.umask(before)
    assert entry.stat().st_mode & 0o777 == 0o644
    assert loads()


def test_old_entries_of_other_versions_go_and_so_do_remains(only_folder):
    entry = entry_of(only_folder)
    kept = [entry, only_folder / f"triple-00000000-1{cache.SUFFIX}", only_folder / "notes.txt"]
    gone = [
        only_folder / f"triple-00000000-2{cache.SUFFIX}",
        only_folder / f"{entry.name}.0123.tmp",
    ]
    for path in (*kept[1:], *gone):
        path.touch()
    long_ago = time.time() - 40 * 86_400
    for path in (entry, kept[2], *gone):
        os.utime(path, (long_ago, long_ago))
    cache._sweep.cache_clear()
    make_kernel()(1)  # writes another
    assert [path for path in kept if not path.exists()] == []
    assert [path for path in gone if path.exists()] == []


def test_an_entry_that_is_used_stays_young(only_folder):
    entry = entry_of(only_folder)
    os.utime(entry, (1e9, 1e9))
    assert loads()
    assert time.time() - entry.stat().st_mtime < 3600


# Packages without their files


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


# Many processes


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes at once are forked")
def test_torture():
    script = Path(__file__).with_name("torture_cache.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
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
    for _ in range(3):
        assert train_at_once(NUMBA_CACHE_DIR=str(tmp_path)) == alone
