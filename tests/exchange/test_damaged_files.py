"""Damaged safetensors files: a clear error each, and no memory that the file does not explain."""

from __future__ import annotations

import numpy as np
import pytest
from damage import SLACK, check_memory, damaged, memory_of
from helpers import slow_but

import fastnn
from fastnn.errors import LoadError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


@pytest.mark.parametrize("count", slow_but([80], [80, 2000]))
def test_every_damage_is_a_clear_error(path, count):
    """There is a digest over every byte, so nothing that is damaged is taken for a network."""
    net = fastnn.Network([60, 100, 10], seed=0, engine="numpy")
    net.fit(np.eye(60), np.zeros((60, 10)), optimizer="adam", epochs=1)
    net.save(path)
    whole = path.read_bytes()

    def refused():
        with pytest.raises(LoadError, match=r"cannot load a network from .*net\.safetensors"):
            fastnn.load(path)

    for what, content in damaged(whole, count):
        path.write_bytes(content)
        check_memory(what, path, refused)
    path.write_bytes(whole)
    assert fastnn.load(path).parameters.tobytes() == net.parameters.tobytes()


def test_memory_is_counted():
    """The check can fail: what takes 60 MB is seen."""
    assert memory_of(lambda: np.ones(60_000_000 // 8).sum()) > 50_000_000 > 10 * SLACK
