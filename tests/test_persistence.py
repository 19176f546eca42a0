"""Saving, loading and copying networks: the same bits go on, and bad files give clear errors."""

from __future__ import annotations

import copy
import hashlib
import io
import itertools
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import data_for, random_state, slow_but

import fastnn
from fastnn.errors import LoadError
from fastnn.optimizers import OPTIMIZERS as OPTIMIZERS_BY_NAME
from fastnn.schedules import SCHEDULES as SCHEDULES_BY_NAME

OPTIMIZERS = {
    "sgd": fastnn.SGD(0.1),
    "momentum": fastnn.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "rmsprop": fastnn.RMSprop(0.01, rho=0.8, clip_norm=1.0),
    "adagrad": fastnn.Adagrad(0.1),
    "adam": fastnn.Adam(0.02, beta_1=0.8),
    "adamw": fastnn.AdamW(0.02, clip_value=0.5),
}
X, Y = data_for("squared_error", 23, 3, 2)


def network(**options):
    defaults = {"activation": ["tanh", "sigmoid"], "seed": 5, "engine": "numpy"}
    return fastnn.Network([3, 6, 4, 2], **defaults | options)


def trained(epochs=3, optimizer="adam", **options):
    net = network(**options)
    net.fit(X, Y, epochs=epochs, batch_size=4, optimizer=OPTIMIZERS[optimizer])
    return net


def bits(net):
    """All that decides how a network goes on."""
    state = net._state
    return {
        "network": repr(net),
        "parameters": net.parameters.tobytes(),
        "moments": state.moments.tobytes(),
        "updates": state.updates.tolist(),
        "steps": state.clock.steps.tolist(),
        "plateau": state.clock.plateau.tolist(),
        "random": random_state(net._rng),
        "dropout key": net._dropout_key,
        "optimizer": net._optimizer,
        "history": net.history,
        "architecture": net._architecture,
    }


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


# --- the same bits ------------------------------------------------------------------------------

GO_ON = """
import sys
import fastnn
sys.path.insert(0, {tests!r})
from test_persistence import OPTIMIZERS, X, Y
net = fastnn.load({path!r})
net.fit(X, Y, epochs=5, batch_size=4, optimizer=OPTIMIZERS[{optimizer!r}])
net.save({path!r})
"""


@pytest.mark.parametrize(
    ("optimizer", "dropout"),
    slow_but(
        [("momentum", 0.0), ("adam", 0.3)], itertools.product(["momentum", "adam"], [0.0, 0.3])
    ),
)
def test_training_goes_on_in_a_new_process_with_the_same_bits(path, optimizer, dropout):
    trained(5, optimizer, dropout=dropout).save(path)
    script = GO_ON.format(
        tests=os.path.dirname(__file__), path=os.fspath(path), optimizer=optimizer
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=300)
    resumed, straight = bits(fastnn.load(path)), bits(trained(10, optimizer, dropout=dropout))
    del resumed["history"], straight["history"]
    assert resumed == straight


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_loaded_network_is_the_saved_one(path, optimizer):
    net = trained(optimizer=optimizer)
    net.save(path)
    assert bits(fastnn.load(path)) == bits(net)


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": "float32"},
        {"bias": False, "reduction": "sum"},
        {"l1": 0.1, "l2": 0.2, "max_norm": 1.5, "dropout": [0.1, 0.0]},
        {"loss": "cross_entropy", "label_smoothing": 0.1},
        {"output_activation": "tanh"},
        {"engine": "python"},
    ],
    ids=str,
)
def test_every_option_of_a_network_is_saved(path, options):
    net = network(**options)
    net.save(path)
    assert bits(fastnn.load(path)) == bits(net)


def test_a_network_without_hidden_layers_is_saved(path):
    net = fastnn.Network([3, 2], seed=1, engine="numpy")
    net.save(path)
    assert bits(fastnn.load(path)) == bits(net)


@pytest.mark.parametrize("kind", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
def test_every_random_generator_of_numpy_is_saved(path, kind):
    net = network(seed=np.random.Generator(getattr(np.random, kind)(3)))
    net._rng.integers(10, dtype=np.uint32)  # half of a 64-bit number is left over
    net.save(path)
    twin = fastnn.load(path)
    assert random_state(twin._rng) == random_state(net._rng)
    assert twin._rng.integers(2**32, size=5).tolist() == net._rng.integers(2**32, size=5).tolist()


def test_a_generator_of_the_users_own_kind_is_refused(path):
    class Own(np.random.PCG64):
        pass

    with pytest.raises(ValueError, match="Own cannot be saved"):
        network(seed=np.random.Generator(Own(3))).save(path)
    assert not path.exists()


SCHEDULES = [
    fastnn.StepDecay(0.8, step_size=2, factor=0.5),
    fastnn.ExponentialDecay(0.1, 0.5, per="update"),
    fastnn.InverseScaling(0.1),
    fastnn.CosineDecay(0.1, 10),
    fastnn.OneCycle(0.1, 10),
    fastnn.ReduceOnPlateau(0.1, patience=1),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: type(schedule).__name__)
def test_schedules_are_saved(path, schedule):
    net = network()
    net.fit(X, Y, epochs=4, learning_rate=schedule)
    net.save(path)
    assert bits(fastnn.load(path)) == bits(net)


@pytest.mark.parametrize("emptied", ["loss", "learning_rate", "val_loss"])
def test_a_history_that_load_would_refuse_is_not_saved(path, emptied):
    net = fastnn.Network([1, 1], engine="numpy", seed=0)
    net.save(path)
    before = path.read_bytes()
    net.fit([0, 1], [0, 1], epochs=3, validation_data=([0], [1]))
    del getattr(net.history, emptied)[:2]
    with pytest.raises(ValueError, match=r"^network.history has [13] losses, and [13] of "):
        net.save(path)
    assert path.read_bytes() == before
    for values in (net.history.loss, net.history.learning_rate, net.history.val_loss):
        values.clear()
    net.save(path)
    assert fastnn.load(path).parameters.tobytes() == net.parameters.tobytes()


def test_the_history_is_saved_with_its_metrics(path):
    net = network()
    net.history = fastnn.History(
        loss=[2.0, 1.0], val_loss=[3.0, float("nan")], metrics={"r2": [0.5, -float("inf")]},
        seconds=1.5, stop_reason="early stopping", best_epoch=2,
    )  # fmt: skip
    net.save(path)
    loaded, saved = fastnn.load(path).history.__getstate__(), net.history.__getstate__()
    assert repr(sorted(loaded.items())) == repr(sorted(saved.items()))


def test_saving_changes_nothing(path):
    net = trained()
    before = bits(net)
    net.save(path)
    assert bits(net) == before


# --- the file -----------------------------------------------------------------------------------


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


@pytest.mark.parametrize("times", slow_but([3], [3, 200]))
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


# --- files that are not whole -------------------------------------------------------------------


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


# --- copies in memory ---------------------------------------------------------------------------


def through_joblib(net):
    joblib = pytest.importorskip("joblib")
    file = io.BytesIO()
    joblib.dump(net, file)
    file.seek(0)
    return joblib.load(file)


COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda net: pickle.loads(pickle.dumps(net)),
    "joblib": through_joblib,
}


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_trains_what_it_predicts_with(how):
    twin = COPIES[how](trained())
    before = twin.predict(X)
    twin.fit(X, Y, batch_size=4, optimizer=OPTIMIZERS["adam"], epochs=1)
    assert twin.parameters is twin._state.parameters
    assert (twin.predict(X) != before).any()


@pytest.mark.parametrize("how", ["deepcopy", "pickle", "joblib"])
def test_a_copy_goes_on_with_the_same_bits_and_alone(how):
    net = trained(dropout=0.2)
    twin = COPIES[how](net)
    before = net.parameters.tobytes()
    for other in (twin, trained(dropout=0.2)):
        other.fit(X, Y, epochs=2, batch_size=4, optimizer=OPTIMIZERS["adam"])
        if other is twin:
            assert net.parameters.tobytes() == before
    assert twin.parameters.tobytes() == other.parameters.tobytes()
