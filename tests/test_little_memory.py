"""How much memory work takes: by what is asked for, never by the worst case."""

from __future__ import annotations

import dataclasses
import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
from helpers import slow_but

import fastnn
from fastnn import memory, validation
from fastnn.kernels import blocks, ready
from fastnn.kernels import engine as numba_engine
from fastnn.losses import get_loss
from fastnn.reference import vectors

#: Its doors work, after what they import and compile, in the address space of so many MiB more.
PROGRAM = """
import resource, sys
import numpy as np
import fastnn
sizes, engine, mebibytes = eval(sys.argv[1]), sys.argv[2], int(sys.argv[3])
def work(sizes, rows):
    net = fastnn.Network(sizes, engine=engine, initializer="zeros")
    X, Y = np.zeros((rows, sizes[0])), np.zeros((rows, sizes[-1]))
    net.predict(X)
    net.evaluate(X, Y)
    net.loss_and_gradient(X, Y)
    net.layer_outputs(X)
    net.fit(X, Y, epochs=1, batch_size=1)
    net.fit(X, Y, epochs=1, batch_size=8)
    net.partial_fit(X, Y)
for rows in (1, 20):
    work([min(size, 400) for size in sizes], rows)  # by the same kernels
pages = int(open("/proc/self/statm", encoding="ascii").read().split()[0])
limit = pages * resource.getpagesize() + (mebibytes << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for rows in (1, 20):
    work(sizes, rows)
"""
LINUX = pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux")


WIDE = [[2, 300_000, 2], [2, 3, 300_000], [300_000, 3, 2]]


@LINUX
@pytest.mark.parametrize(
    ("engine", "sizes"),
    slow_but([], itertools.product(["numpy", "numba"], WIDE)),
)
def test_wide_networks_work_in_little_memory(engine, sizes):
    """A layer of them is 2.4 MB a row; 256 rows of all that kernels write were up to 3 GB."""
    command = [sys.executable, "-c", PROGRAM, str(sizes), engine, "700"]
    # What a thread that helps may allocate from is set aside for it, 128 MB, and mostly not used.
    alone = {**os.environ, "NUMBA_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=alone)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("wide", [10**5, 10**6, 10**8])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_workspaces_are_limited_in_bytes(place, wide, dtype):
    sizes = [2, 3, 4]
    sizes[place] = wide
    net = fastnn.Network([2, 3, 4], dtype=dtype)
    architecture = dataclasses.replace(net._architecture, sizes=tuple(sizes))
    row_bytes = 8 * wide * architecture.dtype.itemsize
    kept = numba_engine.MOST_KEPT
    for needed in (
        *(ready.places(architecture, False, kept=n).end for n in (0, blocks.BLOCK)),
        ready.places(architecture, True, kept // sum(sizes)).end,
        numba_engine._sample_kernel(architecture)[-1] - 2 * architecture.n_parameters,
    ):
        assert needed * architecture.dtype.itemsize <= memory.MOST_BYTES + row_bytes


@pytest.mark.parametrize("sizes", [[1, 128, 1], [784, 512, 10], [24, 8, 2], [64, 4096, 2048, 9]])
def test_other_networks_have_whole_blocks(sizes):
    """So that their numbers stay the same to the bit."""
    architecture = fastnn.Network(sizes, initializer="zeros")._architecture
    assert ready.places(architecture, training=False).block == blocks.OUTPUT_BLOCKS[8]
    assert vectors._rows_at_once(architecture, 256) == 256


def outcomes(engine):
    rng = np.random.default_rng(3)
    X, Y = rng.normal(size=(100, 2)), rng.normal(size=(100, 1))
    net = fastnn.Network([2, 40_000, 1], engine=engine, seed=4)
    loss, gradient = net.loss_and_gradient(X, Y)
    yield from (net.predict(X), loss, gradient, net.evaluate(X, Y)["loss"])
    yield net.fit(X, Y, batch_size=None, learning_rate=1e-6, epochs=1).loss
    yield net.parameters


def test_blocks_of_few_rows_give_the_same_numbers(monkeypatch):
    """The kernels take 80 of these rows at a time, and training 64; NumPy here 7."""
    found = list(outcomes("numba"))
    whole = list(outcomes("numpy"))
    monkeypatch.setattr(vectors, "MOST_BYTES", 7 * 4 * 8 * 40_003)
    for a, b, c in zip(found, whole, outcomes("numpy"), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(c, b, rtol=1e-8, atol=1e-12)


# What did not fit is named.

TOO_MANY = np.broadcast_to(np.zeros((1, 2)), (10**12, 2))
HUGE = {
    "predict": lambda net: net.predict(TOO_MANY),
    "layer_outputs": lambda net: net.layer_outputs(TOO_MANY),
    "evaluate": lambda net: net.evaluate(TOO_MANY, [0.0]),
    "loss_and_gradient": lambda net: net.loss_and_gradient(TOO_MANY, [0.0]),
    "fit": lambda net: net.fit(TOO_MANY, [0.0]),
    "partial_fit": lambda net: net.partial_fit(TOO_MANY, [0.0]),
    "fit_stream": lambda net: net.fit_stream([(TOO_MANY, [0.0])]),
}


@pytest.mark.parametrize("door", HUGE)
def test_an_argument_that_memory_does_not_hold_is_named(engine, door):
    net = fastnn.Network([2, 3, 1], engine=engine, seed=1)
    before = net.parameters.tobytes()
    with pytest.raises(MemoryError, match=r"^X.* of shape \(1000000000000, 2\), .* TiB"):
        HUGE[door](net)
    assert net.parameters.tobytes() == before
    assert net.history is None


def test_classes_that_memory_does_not_hold_as_rows_are_named():
    classes = np.zeros(10**6, np.int64)
    with pytest.raises(MemoryError, match=r"^y does not fit .* a column per class: .* TiB"):
        validation.targets(classes, 10**6, get_loss("cross_entropy"), 10**7, np.dtype("float64"))


@pytest.mark.parametrize("door", ["predict", "layer_outputs"])
def test_outputs_that_memory_does_not_hold_are_named(door):
    """Refused before the work begins, and X as it is: nothing is converted."""
    net = fastnn.Network([1, 1, 10**6], initializer="zeros")
    with pytest.raises(MemoryError, match=r"^the outputs for X, of shape \(10000000, 1\), .* TiB"):
        getattr(net, door)(np.zeros((10**7, 1)))
