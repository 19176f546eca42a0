"""What ``fit`` calls after each epoch."""

from __future__ import annotations

import functools
import itertools
import os
import re
import signal
import time

import numpy as np
import pytest
from helpers import NUMBA_SLOW, random_state

import fastnn
from fastnn.training import cuts
from fastnn.training.run import Run


def data(n=20):
    rng = np.random.default_rng([7, n])
    X = rng.uniform(-1, 1, (n, 2))
    return X, np.sin(3 * X[:, 0]) * X[:, 1]


def make(engine="numpy"):
    rng = np.random.default_rng(11)
    return fastnn.Network([2, 4, 1], engine=engine, seed=rng), rng


class Calling:
    """A callback made of a function."""

    def __init__(self, function):
        self.on_epoch_end = function


@pytest.mark.parametrize("engine", NUMBA_SLOW)
def test_a_callback_sees_each_epoch_as_it_ends(engine):
    net, _ = make(engine)
    twin, _ = make(engine)
    seen = []

    def look(network, epoch, logs):
        assert network is net
        assert network.history.epochs == epoch
        assert network.history.stop_reason == "running"
        seen.append((epoch, logs, network.parameters.tobytes()))

    history = net.fit(
        *data(), epochs=4, validation_data=data(9), metrics=["r2"], callbacks=[Calling(look)]
    )
    assert history is net.history
    for k, (epoch, logs, parameters) in enumerate(seen):
        twin.fit(*data(), epochs=1)
        assert epoch == k + 1
        assert parameters == twin.parameters.tobytes()
        assert logs == {
            "loss": history.loss[k],
            "val_loss": history.val_loss[k],
            "val_r2": history.metrics["val_r2"][k],
            "learning_rate": 0.01,
        }
    assert len(seen) == 4


@pytest.mark.parametrize("slicing", [{}, {"GRAIN": 1 << 40}, {"PIECE_SECONDS": 1e-12}])
def test_callbacks_change_no_bit(engine, monkeypatch, slicing):
    plain, plain_rng = make(engine)
    expected = plain.fit(*data(150), epochs=5, batch_size=7)
    for name, value in slicing.items():
        monkeypatch.setattr(cuts, name, value)
    net, rng = make(engine)
    epochs = []
    callback = Calling(lambda network, epoch, logs: epochs.append(epoch))
    history = net.fit(*data(150), epochs=5, batch_size=7, callbacks=(callback,))
    assert epochs == [1, 2, 3, 4, 5]
    assert history.loss == expected.loss
    assert net.parameters.tobytes() == plain.parameters.tobytes()
    assert random_state(rng) == random_state(plain_rng)


@pytest.mark.parametrize("answer", [True, np.True_])
def test_true_stops_after_all_callbacks_were_called(engine, answer):
    net, rng = make(engine)
    called = []
    callbacks = [
        Calling(lambda network, epoch, logs: answer if epoch == 3 else None),
        Calling(lambda network, epoch, logs: called.append(epoch)),
    ]
    history = net.fit(*data(), epochs=9, callbacks=callbacks)
    assert (history.epochs, history.stop_reason) == (3, "callback")
    assert called == [1, 2, 3]
    twin, twin_rng = make(engine)
    twin.fit(*data(), epochs=3)
    assert net.parameters.tobytes() == twin.parameters.tobytes()
    assert random_state(rng) == random_state(twin_rng)


def test_a_callback_that_raises_leaves_network_and_history_whole(engine):
    def fail(network, epoch, logs):
        if epoch == 3:
            raise RuntimeError("full disk")

    net, rng = make(engine)
    with pytest.raises(RuntimeError, match="full disk"):
        net.fit(*data(), epochs=9, callbacks=[Calling(fail)])
    twin, twin_rng = make(engine)
    expected = twin.fit(*data(), epochs=3)
    assert (net.history.epochs, net.history.stop_reason) == (3, "error")
    assert net.history.loss == expected.loss
    assert net.history.seconds > 0
    assert net.parameters.tobytes() == twin.parameters.tobytes()
    assert random_state(rng) == random_state(twin_rng)
    assert net.fit(*data(), epochs=2).loss == twin.fit(*data(), epochs=2).loss


def test_a_callback_can_reset_the_optimiser():
    """Its second fit is then like one that was asked for after a reset."""
    schedule = fastnn.StepDecay(0.1, 2)
    net, _ = make()

    def reset(network, epoch, logs):
        if epoch == 3:
            network.reset_optimizer()

    net.fit(*data(), epochs=6, optimizer="adam", learning_rate=schedule, callbacks=[Calling(reset)])
    other, _ = make()
    for _ in range(2):
        other.reset_optimizer()
        other.fit(*data(), epochs=3, optimizer="adam", learning_rate=schedule)
    assert net.parameters.tobytes() == other.parameters.tobytes()
    assert net._state.updates == other._state.updates == 3


def test_callbacks_see_the_epoch_that_stops_training_early():
    net, _ = make()
    epochs = []
    history = net.fit(
        *data(), epochs=50, learning_rate=0.01, early_stopping=fastnn.EarlyStopping(min_delta=1.0),
        callbacks=[Calling(lambda network, epoch, logs: epochs.append(epoch))],
    )  # fmt: skip
    assert history.stop_reason == "early stopping"
    assert epochs == list(range(1, history.epochs + 1))


def test_a_diverging_epoch_is_not_called_back_and_the_history_tells():
    net, _ = make()
    epochs = []
    callback = Calling(lambda network, epoch, logs: epochs.append(epoch))
    with pytest.raises(fastnn.TrainingDivergedError) as error:
        net.fit(*data(), epochs=500, learning_rate=1e5, callbacks=[callback])
    assert epochs == list(range(1, error.value.epoch))
    assert (net.history.epochs, net.history.stop_reason) == (len(epochs), "diverged")


def test_a_network_has_no_history_before_it_is_trained():
    assert make()[0].history is None


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        (print, r"callbacks must be a list of callbacks, got <built-in"),
        ("abc", r"callbacks must be a list of callbacks, got 'abc'"),
        (np.array(3), r"callbacks must be a list of callbacks, got array"),
        ([print], r"callbacks\[0\] must be an object with a method on_epoch_end"),
        ([Calling(print), Calling], r"callbacks\[1\] must be an object with a method"),
        ([Calling(None)], r"callbacks\[0\] must be an object with a method"),
        ([fastnn.EarlyStopping()], r"got EarlyStopping.*; give it as early_stopping=$"),
        ([fastnn.CosineDecay(0.1, 9)], r"got CosineDecay.*; give it as learning_rate=$"),
        ([fastnn.ReduceOnPlateau(0.1)], r"got ReduceOnPlateau.*; give it as learning_rate=$"),
        (
            [Calling(print), Calling(lambda epoch, logs=None: None)],
            r"callbacks\[1\].on_epoch_end must take \(network, epoch, logs\), "
            r"got Calling.on_epoch_end\(epoch, logs=None\)",
        ),
    ],
)
def test_bad_callbacks(callbacks, message):
    net, rng = make()
    before = net.parameters.tobytes(), random_state(rng)
    with pytest.raises(TypeError, match=message):
        net.fit(*data(), epochs=1, callbacks=callbacks)
    assert (net.parameters.tobytes(), random_state(rng)) == before


class Unsigned:
    """A callable of which nobody can say what it takes."""

    __signature__ = "unknown"

    def __call__(self, *args):
        """Take anything."""


@pytest.mark.parametrize(
    "function",
    [
        lambda *args: None,
        lambda network, epoch, logs, more=None: None,
        functools.partial(lambda a, network, epoch, logs: None, 1),
        Unsigned(),
    ],
)
def test_what_can_be_called_with_three_values_is_a_callback(function):
    net, _ = make()
    assert net.fit(*data(), epochs=2, callbacks=[Calling(function)]).epochs == 2


# Checkpoints.


class Saving:
    """A stand-in for a network that notes where it was saved."""

    def __init__(self):
        self.paths = []

    def save(self, path):
        self.paths.append(str(path))


def saved(checkpoint, courses):
    """For each epoch of the logs, the names of the files written."""
    net = Saving()
    lengths = [0]
    for epoch, values in enumerate(zip(*courses.values(), strict=True), start=1):
        logs = dict(zip(courses, values, strict=True))
        assert checkpoint.on_epoch_end(net, epoch, logs) is None
        lengths.append(len(net.paths))
    return [net.paths[a:b] for a, b in itertools.pairwise(lengths)]


LOSS = {"loss": [3.0, 2.0, 2.5, 2.0, 1.0]}


@pytest.mark.parametrize(
    ("settings", "courses", "epochs"),
    [
        ({}, LOSS, [1, 2, 3, 4, 5]),
        ({"every": 2}, LOSS, [2, 4]),
        ({"best_only": True}, LOSS, [1, 2, 5]),
        ({"best_only": True, "every": 3}, {"loss": [1.0, 1, 3, 1, 1, 2]}, [3, 6]),
        ({"best_only": True}, LOSS | {"val_loss": [3.0, 4, 1, 2, 2]}, [1, 3]),
        ({"best_only": True, "monitor": "loss"}, LOSS | {"val_loss": [3.0, 4, 1, 2, 2]}, [1, 2, 5]),
        ({"best_only": True, "monitor": "val_accuracy"}, {"val_accuracy": [0.5, 0.25, 0.75]},
         [1, 3]),
        ({"best_only": True, "monitor": "accuracy"}, {"val_accuracy": [0.5, 0.25, 0.75]}, [1, 3]),
        ({"best_only": True, "monitor": "gain", "mode": "max"}, {"gain": [0.5, 0.25, 0.75]},
         [1, 3]),
    ],
)  # fmt: skip
def test_when_a_checkpoint_is_written(settings, courses, epochs):
    files = saved(fastnn.Checkpoint("net", **settings), courses)
    assert [epoch for epoch, names in enumerate(files, start=1) if names == ["net"]] == epochs
    assert sum(map(len, files)) == len(epochs)


def test_epoch_and_logs_in_the_path_of_a_checkpoint():
    checkpoint = fastnn.Checkpoint("net-{epoch:03d}-{loss:.1f}.npz", every=5)
    assert saved(checkpoint, LOSS)[4] == ["net-005-1.0.npz"]


def test_a_checkpoint_of_a_real_fit_can_be_gone_on_from(engine, tmp_path):
    net, _ = make(engine)
    path = tmp_path / "net.fastnn"
    net.fit(*data(), epochs=5, callbacks=[fastnn.Checkpoint(path, every=3)])
    twin = fastnn.load(path)
    again = twin.fit(*data(), epochs=2)
    assert twin.parameters.tobytes() == net.parameters.tobytes()
    assert again.loss == net.history.loss[3:]


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"path": 3}, TypeError, r"path must be a string or a path, got int: 3"),
        ({"monitor": 3}, TypeError, r"monitor must be a string"),
        ({"mode": "up"}, ValueError, r"mode='up' is not known"),
        ({"every": 0}, ValueError, r"every must be at least 1, got 0"),
        ({"best_only": 1}, TypeError, r"best_only must be True or False"),
    ],
)
def test_bad_settings_of_a_checkpoint(settings, kind, message):
    with pytest.raises(kind, match=message):
        fastnn.Checkpoint(**{"path": "net"} | settings)


def test_a_value_that_is_no_number_is_never_the_best():
    checkpoint = fastnn.Checkpoint("{epoch}", monitor="loss", best_only=True)
    losses = [np.nan, 3.0, np.nan, 2.0]
    assert saved(checkpoint, {"loss": losses}) == [[], ["2"], [], ["4"]]


def test_the_epoch_in_the_path_is_not_a_metric_of_that_name():
    net = Saving()
    fastnn.Checkpoint("net-{epoch}").on_epoch_end(net, 3, {"loss": 1.0, "epoch": 0.5})
    assert net.paths == ["net-3"]


@pytest.mark.parametrize("path", ["net-{val_loss:.3f}", "net-{epoch:{loss}}"])
def test_a_path_that_cannot_be_filled_in_is_named(path):
    message = f"path='{path}' cannot be filled in with epoch, loss:"
    with pytest.raises(ValueError, match=re.escape(message)):
        fastnn.Checkpoint(path).on_epoch_end(Saving(), 1, {"loss": 1.0})


def test_a_checkpoint_by_what_is_not_computed_is_refused():
    checkpoint = fastnn.Checkpoint("net", monitor="val_los", best_only=True)
    with pytest.raises(
        ValueError, match=r"Checkpoint='val_los' is not known. Did you mean 'val_loss"
    ):
        checkpoint.on_epoch_end(Saving(), 1, {"loss": 1.0, "val_loss": 2.0})


def test_a_checkpoint_by_an_empty_name_is_refused_too():
    checkpoint = fastnn.Checkpoint("net", monitor="", best_only=True)
    with pytest.raises(ValueError, match=r"Checkpoint='' is not known"):
        checkpoint.on_epoch_end(Saving(), 1, {"loss": 1.0})


# Ctrl-C.


@pytest.mark.usefixtures("default_ctrl_c")
def test_ctrl_c_ends_a_callback_that_takes_long(engine):
    """The epoch that the callback was called after stays."""
    net, rng = make(engine)
    slept = []

    def sleep(network, epoch, logs):
        if epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(20)
            slept.append(epoch)

    history = net.fit(*data(), epochs=9, callbacks=[Calling(sleep)])
    assert not slept
    assert (history.epochs, history.stop_reason) == (2, "interrupted")
    twin, twin_rng = make(engine)
    twin.fit(*data(), epochs=2)
    assert net.parameters.tobytes() == twin.parameters.tobytes()
    assert random_state(rng) == random_state(twin_rng)


# Every so many epochs.


@pytest.mark.parametrize("every", [1, 3, 4])
def test_a_callback_with_every_is_called_after_its_multiples(engine, every):
    """What it sees, and what comes of the network, is as if it were called each time."""
    seen, all_seen = [], []
    net, _ = make(engine)

    def noting(into):
        return lambda net, epoch, logs: into.append((epoch, logs, net.parameters.copy()))

    net.fit(*data(), epochs=10, metrics=["r2"], callbacks=[fastnn.Call(noting(seen), every)])
    twin, _ = make(engine)
    twin.fit(*data(), epochs=10, metrics=["r2"], callbacks=[Calling(noting(all_seen))])
    assert [epoch for epoch, _, _ in seen] == list(range(every, 11, every))
    for epoch, logs, parameters in seen:
        assert logs == all_seen[epoch - 1][1]
        assert parameters.tobytes() == all_seen[epoch - 1][2].tobytes()
    assert net.parameters.tobytes() == twin.parameters.tobytes()


def test_several_callbacks_with_every_have_their_own_turn():
    turns = []
    callbacks = [
        fastnn.Call(lambda net, epoch, logs, k=k: turns.append((epoch, k)), every=k) for k in (2, 3)
    ]
    fastnn.Network([2, 3, 1], engine="numpy", seed=0).fit(*data(), epochs=6, callbacks=callbacks)
    assert turns == [(2, 2), (3, 3), (4, 2), (6, 2), (6, 3)]


def test_a_call_that_returns_true_ends_training():
    stop = fastnn.Call(lambda net, epoch, logs: True, every=4)
    net = fastnn.Network([2, 3, 1], engine="numpy", seed=0)
    history = net.fit(*data(), epochs=10, callbacks=[stop])
    assert (history.epochs, history.stop_reason) == (4, "callback")


def test_with_every_the_engine_does_not_come_back_in_between(monkeypatch):
    stretches = []
    run = Run._run
    monkeypatch.setattr(Run, "_run", lambda *a: stretches.append(len(a[1].rates)) or run(*a))
    net = fastnn.Network([2, 3, 1], engine="numpy", seed=0)
    net.fit(*data(), epochs=9, callbacks=[fastnn.Call(lambda *a: None, every=4)])
    assert stretches == [4, 4, 1]


@pytest.mark.parametrize("every", [0, 2.5, "3", None])
def test_every_is_checked_at_the_door(every):
    with pytest.raises((ValueError, TypeError), match=r"^every must be"):
        fastnn.Call(print, every)
    callback = Calling(print)
    callback.every = every
    with pytest.raises((ValueError, TypeError), match=r"^callbacks\[0\].every must be"):
        fastnn.Network([2, 3, 1]).fit(*data(), callbacks=[callback])


def test_a_call_takes_a_function():
    with pytest.raises(TypeError, match=r"function must be a function of \(network, epoch, logs\)"):
        fastnn.Call(3)
    with pytest.raises(TypeError, match=r"callbacks\[0\]"):
        fastnn.Network([2, 3, 1]).fit(*data(), callbacks=[fastnn.Call])


@pytest.mark.parametrize(
    "function", [lambda: None, lambda network, epoch: None, lambda a, b, c, d: None]
)
def test_functions_of_other_arguments_are_refused_before_training(function):
    with pytest.raises(TypeError, match=r"function must be a function of \(network, epoch, logs\)"):
        fastnn.Call(function)


def test_a_bare_function_is_told_of_call():
    net, _ = make()
    with pytest.raises(TypeError, match=r"callbacks\[0\] must .* give it as fastnn.Call"):
        net.fit(*data(), callbacks=[lambda network, epoch, logs: None])
