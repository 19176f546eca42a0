"""`Network.save` and `fastnn.load`: the same bits, in whatever way a network is copied."""

from __future__ import annotations

import copy
import io
import itertools
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from helpers import random_state, slow_but
from saved import OPTIMIZERS, SCHEDULES, X, Y, bits, network, trained

import fastnn


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


GO_ON = """
import sys
import fastnn
sys.path.insert(0, {tests!r})
from saved import OPTIMIZERS, X, Y
net = fastnn.load({path!r})
net.fit(X, Y, epochs=5, batch_size=4, optimizer=OPTIMIZERS[{optimizer!r}])
net.save({path!r})
"""


@pytest.mark.parametrize(
    ("optimizer", "dropout"),
    slow_but([("adam", 0.3)], itertools.product(["momentum", "adam"], [0.0, 0.3])),
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
