"""The file of `Network.save`: what is in it, where it is written, and that it stays whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import slow_but
from saved import OPTIMIZERS, X, Y, bits, network, trained

import fastnn


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


def test_the_file_is_safetensors_with_the_documented_content(path):
    from safetensors import safe_open

    net = trained()
    net.save(path)
    with safe_open(path, "np") as file:
        metadata = file.metadata()
        names = set(file.keys())
        parameters = file.get_tensor("state.parameters")
    assert metadata["format"] == "fastnn"
    assert json.loads(metadata["network"])["layer_sizes"] == [3, 6, 4, 2]
    assert json.loads(metadata["optimizer"])["kind"] == "Adam"
    assert {"state.parameters", "state.moments", "state.updates", "history.loss"} <= names
    assert parameters.tobytes() == net.parameters.tobytes()


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_safetensors_reads_the_same_arrays(path, dtype, optimizer):
    from safetensors.numpy import load_file

    net = network(dtype=dtype)
    net.fit(X, Y, epochs=3, optimizer=OPTIMIZERS[optimizer], metrics=[mean_of_ŷ])
    net.save(path)
    arrays = load_file(path)
    state = net._state
    for name, expected in (vars(state) | vars(state.clock)).items():
        if name == "clock":
            continue
        found = arrays[f"state.{name}"]
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert found.tobytes() == expected.tobytes()
    assert arrays["history.metrics.mean_of_ŷ"].tolist() == net.history.metrics["mean_of_ŷ"]


def mean_of_ŷ(targets, outputs):
    return float(outputs.mean())


LITTLE_MEMORY = """
import resource, sys
import numpy as np
import fastnn
size, most, door, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
if door == "save":
    net = fastnn.Network([size, size], initializer="zeros", engine="numpy")
else:
    small = fastnn.Network([2, 1], initializer="zeros", engine="numpy")
    small.save(path + ".small")
    fastnn.load(path + ".small")  # imports what it needs
pages = int(open("/proc/self/statm", encoding="ascii").read().split()[0])
limit = pages * resource.getpagesize() + most
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    net.save(path) if door == "save" else fastnn.load(path)
except fastnn.LoadError as error:
    print(error)
else:
    print("done")
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux")
@pytest.mark.parametrize(
    ("door", "room", "answer"),
    [
        ("save", 0.2, "done"),
        pytest.param(  # the network's own start parameters are made too
            "load", 3.5, "done", marks=pytest.mark.slow
        ),
        ("load", 0.2, "cannot load a network from '{path}': Unable to allocate"),
    ],
)
def test_little_memory_ends_no_process(path, door, room, answer):
    """In *room* times what the parameters take."""
    size = 2500
    if door == "load":
        fastnn.Network([size, size], initializer="zeros", engine="numpy").save(path)
    most = int(room * 8 * size * size)
    command = [sys.executable, "-c", LITTLE_MEMORY, str(size), str(most), door, os.fspath(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(answer.format(path=path))
    if door == "save":
        assert fastnn.load(path).layer_sizes == (size, size)


def test_the_digest_is_as_documented(path):
    trained().save(path)
    content = path.read_bytes()
    start = content.index(b'"sha256":"') + len(b'"sha256":"')
    without = content[:start] + b"0" * 64 + content[start + 64 :]
    assert content[start : start + 64].decode() == hashlib.sha256(without).hexdigest()


def test_saving_over_a_file_keeps_its_mode_and_leaves_nothing_else(path):
    network().save(path)
    path.chmod(0o640)
    network(seed=6).save(path)
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(path.parent) == [path.name]


def test_saving_through_a_link_keeps_the_link(path, tmp_path):
    network().save(path)
    link = tmp_path / "link"
    link.symlink_to(path)
    net = network(seed=6)
    net.save(link)
    assert link.is_symlink()
    assert bits(fastnn.load(path)) == bits(net)


def test_a_save_that_fails_leaves_the_old_file_and_no_other(path, monkeypatch):
    net = network()
    net.save(path)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        network(seed=6).save(path)
    assert os.listdir(path.parent) == [path.name]
    assert bits(fastnn.load(path)) == bits(net)


def test_bad_places_to_save_to_are_named(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a directory"):
        network().save(tmp_path)
    missing = tmp_path / "missing"
    with pytest.raises(FileNotFoundError) as error:
        network().save(missing / "net")
    assert str(error.value) == (
        f"cannot save to {str(missing / 'net')!r}: the directory {str(missing)!r} does not exist"
    )
    with pytest.raises(TypeError, match="path must be a string or a path, got int: 3"):
        network().save(3)


@pytest.fixture
def closed_directory():
    """A directory that may not be written to, with a file that may not be read.

    Root may do everything, so that it becomes somebody else in the meantime.
    """
    directory = Path(tempfile.mkdtemp())
    network().save(directory / "net")
    (directory / "net").chmod(0)
    directory.chmod(0o555)
    user = os.geteuid()
    os.seteuid(65534 if user == 0 else user)
    yield directory
    os.seteuid(user)
    directory.chmod(0o700)
    shutil.rmtree(directory)


def test_permission_denied_is_an_oserror(closed_directory):
    with pytest.raises(PermissionError, match="other"):
        network().save(closed_directory / "other")
    with pytest.raises(PermissionError, match="net"):
        fastnn.load(closed_directory / "net")
    assert os.listdir(closed_directory) == ["net"]


SAVE_IN_A_LOOP = """
import itertools, sys
import fastnn
nets = [fastnn.Network([40, 60, 40], seed=seed, engine="numpy") for seed in range(3)]
for k in itertools.count():
    nets[k % 3].save(sys.argv[1])
    if k == 0:
        print("saved", flush=True)
"""


@pytest.mark.parametrize("times", slow_but([3], [3, 60]))
def test_killed_while_saving_the_file_stays_whole(path, times):
    rng = np.random.default_rng(times)
    expected = {fastnn.Network([40, 60, 40], seed=s).parameters.tobytes() for s in range(3)}
    for _ in range(times):
        process = subprocess.Popen(
            [sys.executable, "-c", SAVE_IN_A_LOOP, path], stdout=subprocess.PIPE
        )
        with process:
            assert process.stdout.readline() == b"saved\n"
            time.sleep(rng.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
        assert fastnn.load(path).parameters.tobytes() in expected
