"""Files that are not whole, or made to mislead: each gives a clear error."""

from __future__ import annotations

import hashlib
import json
import os
import pickle

import numpy as np
import pytest
from saved import SCHEDULES, X, Y, bits, network, trained

import fastnn
from fastnn.errors import LoadError
from fastnn.optimizers import OPTIMIZERS as OPTIMIZERS_BY_NAME
from fastnn.schedules import SCHEDULES as SCHEDULES_BY_NAME


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


def mutants(content, rng, count):
    """Changed copies: cut short, longer, bits turned, bytes changed, pieces moved."""
    for k in range(count):
        data = bytearray(content)
        at, other = rng.integers(len(data), size=2)
        match k % 6:
            case 0:
                del data[at:]
            case 1:
                data[at] ^= 1 << rng.integers(8)
            case 2:
                data[at : at + 8] = rng.bytes(8)
            case 3:
                data += rng.bytes(1 + at % 20)
            case 4:
                del data[at : at + 1 + other % 50]
            case 5:
                data[rng.integers(8)] ^= 1 << rng.integers(8)
        if data != content:
            yield bytes(data)


@pytest.mark.parametrize("n", [300, pytest.param(2100, marks=pytest.mark.slow)])
def test_changed_files_give_a_clear_error_each(path, rng, n):
    trained().save(path)
    content = path.read_bytes()
    count = 0
    for mutant in mutants(content, rng, n):
        path.write_bytes(mutant)
        with pytest.raises(LoadError, match=r"cannot load a network from '.*net\.safetensors': "):
            fastnn.load(path)
        count += 1
    assert count > 0.95 * n


def signed(content, **changes):
    """The file with other metadata or tensors (name: array), and the right SHA-256 for them."""
    from safetensors.numpy import load, save

    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    tensors = load(bytes(content))
    for name, value in changes.items():
        (metadata if isinstance(value, str) else tensors)[name] = value
    metadata["sha256"] = "0" * 64
    blank = save(tensors, metadata)
    digest = hashlib.sha256(blank).hexdigest()
    return blank.replace(b'"sha256":"' + b"0" * 64, b'"sha256":"' + digest.encode(), 1)


def changed(text, **entries):
    return json.dumps(json.loads(text) | entries)


def metadata_of(content):
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length])["__metadata__"]


FORGERIES = {
    "a newer version": (lambda m: {"format_version": "2"}, "newer fastnn"),
    "another format": (lambda m: {"format": "pt"}, "not of fastnn"),
    "no random state": (lambda m: {"random": "5"}, "no JSON object"),
    "no dropout key": (lambda m: {"random": "{}"}, "lacks 'dropout_key'"),
    "no JSON": (lambda m: {"optimizer": "SGD"}, "Expecting value"),
    "a list of optimisers": (lambda m: {"optimizer": '{"kind": []}'}, "."),
    "a number for a history": (lambda m: {"history": "5"}, "."),
    "a list for a history": (lambda m: {"history": "[]"}, "."),
    "no network": (lambda m: {"network": "[]"}, "not described"),
    "nested JSON": (lambda m: {"network": "[" * 100_000}, "."),
    "huge layers": (
        lambda m: {"network": changed(m["network"], layer_sizes=[10**12, 10**12])},
        "parameters",
    ),
    "an unknown argument": (lambda m: {"network": changed(m["network"], hook="os")}, "hook"),
    "an unknown loss": (lambda m: {"network": changed(m["network"], loss="x")}, "not known"),
    "an unknown engine": (lambda m: {"network": changed(m["network"], engine="os")}, "not known"),
    "an unknown optimiser": (lambda m: {"optimizer": '{"kind": "Popen"}'}, "no optimizer"),
    "an unknown schedule": (
        lambda m: {"optimizer": changed(m["optimizer"], learning_rate={"kind": "Popen"})},
        "no schedule",
    ),
    "a rate below 0": (
        lambda m: {"optimizer": changed(m["optimizer"], learning_rate=-1)},
        "learning_rate must be above 0",
    ),
    "another optimiser": (
        lambda m: {"optimizer": '{"kind": "SGD", "learning_rate": 0.1}'},
        "moments must be",
    ),
    "no generator": (lambda m: {"random": '{"dropout_key": 1}'}, "bit generator"),
    "a generator out of bounds": (
        lambda m: {
            "random": json.dumps(
                {
                    "bit_generator": "MT19937", "dropout_key": 1,
                    "state": {"key": [1] * 624, "pos": 10**9},
                }
            )
        },
        "up to 624",
    ),
    "a key too large": (lambda m: {"random": changed(m["random"], dropout_key=2**64)}, "64 bits"),
    "strange seconds": (
        lambda m: {"history": changed(m["history"], seconds=[])}, "history.seconds must be",
    ),
    "a strange reason": (
        lambda m: {"history": changed(m["history"], stop_reason=0)}, "history.stop_reason must be",
    ),
    "a best epoch and a half": (
        lambda m: {"history": changed(m["history"], best_epoch=1.5)}, "best_epoch must be a whole",
    ),
    "too few moments": (lambda m: {"state.moments": np.zeros((1, 68))}, "moments must be"),
    "one more tensor": (lambda m: {"state.extra": np.zeros(3)}, "unexpected tensors"),
    "a strange tensor": (lambda m: {"state.extra": np.zeros(3, np.int8)}, "unexpected type"),
    "updates below 0": (lambda m: {"state.updates": np.array([-1])}, "updates must be at least 0"),
    "steps below 0": (lambda m: {"state.steps": np.array([3, -1])}, "steps must be at least 0"),
    "a plateau of NaN": (lambda m: {"state.plateau": np.array([1, np.nan, 0])}, "plateau"),
    "a rate that grew": (lambda m: {"state.plateau": np.array([2.0, 1, 0])}, "plateau"),
    "waited for ever": (lambda m: {"state.plateau": np.array([1, 1, np.nan])}, "plateau"),
    "more rates than losses": (lambda m: {"history.learning_rate": np.ones(9)}, "9 of learning_r"),
    "more metrics": (lambda m: {"history.metrics.r2": np.ones(2)}, "3 losses, and 2 of r2"),
    "a best epoch to come": (
        lambda m: {"history": changed(m["history"], best_epoch=4)}, "best_epoch=4 of 3",
    ),
    "two-dimensional losses": (lambda m: {"history.loss": np.zeros((2, 2))}, "not a list"),
}  # fmt: skip


#: Names that mean something in fastnn, but not what stands in that place of a file.
NOT_THERE = {
    "optimizer": ("Optimizer", "LBFGS", "Schedule", "StepDecay", "sgd", "partial", ""),
    "schedule": ("Schedule", "CountedSchedule", "SGD", "EarlyStopping", "np", ""),
    "activation": ("softmax", "clipped", "Activation", ""),
    "output_activation": ("softmax", "exp2", ""),
    "loss": ("clipped_cross_entropy", "clipped_binary_cross_entropy", "Loss", ""),
    "reduction": ("none", "batch", ""),
    "dtype": ("float16", "int64", "complex128", "object", ""),
    "engine": ("kernels", "fastnn.kernels.engine", "loops", ""),
}


@pytest.mark.parametrize(
    ("where", "name"), [(where, name) for where, names in NOT_THERE.items() for name in names]
)
def test_names_of_what_is_not_concrete_and_public_are_refused(path, where, name):
    network().save(path)
    content = path.read_bytes()
    metadata = metadata_of(content)
    change = {"optimizer": json.dumps({"kind": name})}
    if where == "schedule":
        change = {"optimizer": changed(metadata["optimizer"], learning_rate={"kind": name})}
    elif where != "optimizer":
        change = {"network": changed(metadata["network"], **{where: name})}
    path.write_bytes(signed(content, **change))
    said = rf"names no {where} that this|{where}='?{name}'? |dtype must be .* got .*'{name}'"
    with pytest.raises(LoadError, match=said):
        fastnn.load(path)


@pytest.mark.parametrize("kind", OPTIMIZERS_BY_NAME.values(), ids=OPTIMIZERS_BY_NAME)
@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: type(schedule).__name__)
def test_a_file_that_loads_works(path, kind, schedule):
    assert {type(schedule).__name__ for schedule in SCHEDULES} == set(SCHEDULES_BY_NAME)
    net = network()
    net.fit(X, Y, optimizer=kind(schedule), epochs=1)
    net.save(path)
    twin = fastnn.load(path)
    assert twin.partial_fit(X, Y) == net.partial_fit(X, Y)
    assert bits(twin) == bits(net)


@pytest.mark.parametrize("forgery", FORGERIES)
def test_files_made_to_mislead_give_a_clear_error(path, forgery):
    trained().save(path)
    content = path.read_bytes()
    change, message = FORGERIES[forgery]
    path.write_bytes(signed(content, **change(metadata_of(content))))
    with pytest.raises(LoadError, match=message):
        fastnn.load(path)


def test_a_signed_copy_loads(path):
    """Written by the safetensors library, as older files were."""
    net = trained()
    net.save(path)
    path.write_bytes(signed(path.read_bytes()))
    assert bits(fastnn.load(path)) == bits(net)


def test_other_things_than_files_give_a_clear_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        fastnn.load(tmp_path / "missing")
    with pytest.raises(LoadError, match="not a regular file"):
        fastnn.load(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LoadError, match="not a regular file"):
        fastnn.load(tmp_path / "pipe")


@pytest.mark.parametrize("content", [b"", b"\0" * 7, b"\xff" * 64, b"\0" * 64, b"{}" * 50])
def test_short_and_strange_files_give_a_clear_error(path, content):
    path.write_bytes(content)
    with pytest.raises(LoadError, match="safetensors"):
        fastnn.load(path)


def test_a_pickle_is_not_executed(path):
    class Trap:
        def __reduce__(self):
            return (open, (os.fspath(path) + ".sprung", "w"))

    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(LoadError):
        fastnn.load(path)
    assert not os.path.exists(os.fspath(path) + ".sprung")


def test_a_load_error_names_path_and_reason_and_can_be_pickled():
    twin = pickle.loads(pickle.dumps(LoadError("a", "b")))
    assert (twin.path, twin.reason) == ("a", "b")
    assert str(twin) == "cannot load a network from 'a': b"
