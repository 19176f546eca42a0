"""Letting go of the pages of memory-mapped arrays."""

import mmap
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn.mapped import release_pages, rows_between_releases

SHAPE = (16_384, 256)  # 32 MB of float64


@pytest.fixture
def mapped(tmp_path):
    """A file of ones, mapped in a given mode."""
    path = tmp_path / "ones"
    np.ones(SHAPE).tofile(path)
    return lambda mode: np.memmap(path, np.float64, mode, shape=SHAPE)


def resident_file_pages() -> int:
    """Bytes of mapped files in memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssFile:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no RssFile")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_pages_of_a_map_are_let_go(mapped):
    array = mapped("r")
    assert np.asarray(array).sum() == array.size
    before = resident_file_pages()
    release_pages(np.asarray(array)[1:])
    assert resident_file_pages() < before - array.nbytes / 2
    assert np.asarray(array).sum() == array.size


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_training_lets_go(mapped):
    array = mapped("r")
    net = fastnn.Network([SHAPE[1], 1], engine="numpy", seed=0)
    before = resident_file_pages()
    net.fit(
        array, np.ones(len(array)), batch_size=4096, learning_rate=1e-4, shuffle=False, epochs=1
    )
    assert resident_file_pages() < before + array.nbytes / 2


def test_changes_of_a_private_map_are_kept(mapped):
    array = mapped("c")
    array[0, 0] = 5.0
    release_pages(array)
    assert array[0, 0] == 5.0


@pytest.mark.skipif(not hasattr(mmap, "MAP_PRIVATE"), reason="maps are made otherwise here")
def test_numbers_in_a_map_that_is_no_memmap_are_kept():
    memory = mmap.mmap(-1, 800, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    array = np.ndarray((100, 1), np.float64, buffer=memory)
    array[:] = 5.0
    fastnn.Network([1, 1], engine="numpy", seed=0).fit(array, np.ones(100))
    assert (array == 5.0).all()


def test_changes_of_a_shared_map_are_kept(mapped):
    array = mapped("r+")
    array[0, 0] = 5.0
    release_pages(array)
    assert array[0, 0] == 5.0


def test_an_ordinary_array_is_left_alone():
    array = np.ones(3)
    release_pages(array)
    assert array.sum() == 3


def test_rows_in_random_order_are_let_go_after_a_limited_number(mapped):
    assert rows_between_releases(mapped("r"), shuffled=True) * (2 << 20) <= 128 << 20
    assert rows_between_releases(mapped("r"), shuffled=False) is None
    assert rows_between_releases(np.ones(SHAPE), shuffled=True) is None
