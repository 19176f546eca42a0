"""Entries of the cache that cannot be used, and where they are kept."""

import errno
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numba
import pytest
from processes import SMALL, run_in_new_process

from fastnn.kernels import cache, jit

pytestmark = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT), reason="nothing is compiled with the JIT off"
)


NOBODY = 65534
only_root = pytest.mark.skipif(
    getattr(os, "geteuid", lambda: 1)() != 0, reason="only root can become another user"
)


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
