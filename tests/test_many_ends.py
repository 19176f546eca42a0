"""How the training of many ends: divergence, callbacks, Ctrl-C, workers that fail."""

from __future__ import annotations

import copy
import multiprocessing
import os
import re
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest
from crowds import K, X, Y, check_same, each, networks, state, states
from helpers import slow_but
from runs import use

import fastnn
from fastnn.training import block
from fastnn.training.job import AT_FIRST
from fastnn.training.workers import Workers

RATES = [0.01 if k % 4 else 5.0 + k for k in range(K)]
DIVERGING = [0, 4, 8, 12, 16]


WATCHED = {
    "validation_data": (X[:20], Y[:20]),
    "metrics": ["r2"],
    "early_stopping": fastnn.EarlyStopping("val_loss", patience=10**6, restore_best=True),
}


@pytest.mark.parametrize(
    ("batch_size", "epochs", "more"),
    slow_but([], [(8, 300, {}), (1, 100, {}), (None, 600, {}), (8, 300, WATCHED)]),
)
def test_those_that_diverge_stop_alone_with_their_last_finite_parameters(batch_size, epochs, more):
    options = {"epochs": epochs, "batch_size": batch_size, **more}
    nets = networks(sizes=(3, 2), loss="half_squared_error")
    alone = copy.deepcopy(nets)
    with pytest.raises(fastnn.TrainingDivergedError, match=r"of 20 networks 5 diverged") as error:
        fastnn.fit_many(nets, X, Y, each={"learning_rate": RATES}, **options)
    assert error.value.networks == tuple(DIVERGING)
    for k, (net, twin) in enumerate(zip(nets, alone, strict=True)):
        try:
            twin.fit(X, Y, learning_rate=RATES[k], **options)
        except fastnn.TrainingDivergedError:
            assert k in DIVERGING
        assert net.history.epochs == twin.history.epochs
        assert net.history.stop_reason == twin.history.stop_reason
        assert net.history.best_epoch == twin.history.best_epoch
        assert np.isfinite(net.parameters).all()
        check_same(net, twin, 1e-6)


@pytest.mark.parametrize("cutting", ["one epoch at once", "64 rows a piece"])
def test_how_epochs_that_are_looked_at_are_cut_changes_no_bit(cutting, monkeypatch):
    """They end at many epochs, in the midst of a piece: by a rule, or by a divergence."""
    rows, targets = np.tile(X, (3, 1))[:150], np.tile(Y, (3, 1))[:150]
    patience = each(lambda k: None if k % 4 == 0 else k % 8)
    different = {
        "early_stopping": each(lambda k: fastnn.EarlyStopping(
            patience=patience[k], restore_best=k % 3 == 0, min_delta=0.003, max_seconds=1e6)),
        "learning_rate": each(lambda k: RATES[k] if k % 4 != 1 else fastnn.CosineDecay(
            0.01, decay_steps=500 + k, per="update")),
    }  # fmt: skip
    options = {"epochs": 20, "batch_size": 8}
    whole, cut, alone = networks(), networks(), networks()
    with suppress(fastnn.TrainingDivergedError):
        fastnn.fit_many(whole, rows, targets, each=different, **options)
    if cutting == "one epoch at once":
        monkeypatch.setattr(block, "MOST_KEPT", 1)
    else:
        use(monkeypatch, cutting)
    with suppress(fastnn.TrainingDivergedError):
        fastnn.fit_many(cut, rows, targets, each=different, **options)
    assert states(whole) == states(cut)
    for k, (net, other, twin) in enumerate(zip(whole, cut, alone, strict=True)):
        assert course_of(net) == course_of(other)
        with suppress(fastnn.TrainingDivergedError):
            twin.fit(rows, targets, **{name: v[k] for name, v in different.items()}, **options)
        assert course_of(net)[1:] == course_of(twin)[1:]
        check_same(net, twin, 1e-6)
    assert len({net.history.epochs for net in whole}) > 5
    assert len({net.history.stop_reason for net in whole}) == 3


def course_of(net):
    history = net.history
    return history.loss, history.epochs, history.stop_reason, history.best_epoch


@pytest.mark.parametrize("more", [{}, {"early_stopping": fastnn.EarlyStopping(patience=5)}])
def test_parameters_that_are_not_finite_after_a_finite_loss_are_a_divergence(more):
    nets, rates = networks(), each(lambda k: 1e308 if k == 7 else 1e-9)
    start = states(nets)
    with pytest.raises(fastnn.TrainingDivergedError) as error:
        fastnn.fit_many(nets, X, 1e3 * Y, epochs=1, batch_size=None, **more,
                        each={"learning_rate": rates})  # fmt: skip
    assert error.value.networks == (7,)
    assert [net.history.epochs for net in nets] == each(lambda k: int(k != 7))
    assert nets[7].parameters.tobytes() == start[7][0]


def counted(monkeypatch):
    """Of each block a list that receives how many epochs its pieces have."""
    epochs, run = {}, block.Block._run

    def counting(networks, piece):
        epochs.setdefault(networks, []).append(len(piece.rates))
        return run(networks, piece)

    monkeypatch.setattr(block.Block, "_run", counting)
    return epochs


def test_few_epochs_of_a_block_are_run_in_vain(monkeypatch):
    ran = counted(monkeypatch)
    rule = fastnn.EarlyStopping(patience=20, min_delta=10.0)
    nets = networks()
    fastnn.fit_many(nets, X, Y, epochs=10**6, batch_size=8, early_stopping=rule)
    assert {net.history.epochs for net in nets} == {22}
    assert all(sum(epochs) <= max(4 * 22, AT_FIRST) for epochs in ran.values())


@pytest.mark.slow
def test_epochs_whose_scores_take_long_are_run_one_by_one(monkeypatch):
    """The clock, and Ctrl-C, are looked at in between."""
    ran = counted(monkeypatch)
    monkeypatch.setattr(block, "MOST_KEPT", 32 * 200)
    rule = fastnn.EarlyStopping(patience=None, max_seconds=1e6)
    options = {"epochs": 9, "batch_size": 8, "early_stopping": rule}
    fastnn.fit_many(networks(), X, Y, **options)
    assert all(max(epochs) > 1 for epochs in ran.values())
    ran.clear()
    held_out = np.tile(X, (20, 1)), np.tile(Y, (20, 1))
    fastnn.fit_many(networks(), X, Y, validation_data=held_out, **options)
    assert ran
    assert all(set(epochs) == {1} for epochs in ran.values())


def test_callbacks_see_their_network_while_it_is_trained():
    nets = networks(engine="numpy")
    alone = copy.deepcopy(nets)
    seen = []

    class Callback:
        def on_epoch_end(self, network, epoch, logs):
            seen.append((nets.index(network), epoch, len(network.history.loss)))
            return epoch == 2

    callbacks = each(lambda k: [Callback()] if k in (3, 5) else [])
    histories = fastnn.fit_many(nets, X, Y, epochs=4, each={"callbacks": callbacks})
    assert seen == [(3, 1, 1), (3, 2, 2), (5, 1, 1), (5, 2, 2)]
    assert [history.epochs for history in histories] == each(lambda k: 2 if k in (3, 5) else 4)
    for net, twin, history in zip(nets, alone, histories, strict=True):
        twin.fit(X, Y, epochs=history.epochs)
        assert state(net) == state(twin)


def press_at_epoch(epoch, monkeypatch):
    """Have Ctrl-C pressed when a block of networks has come so far."""
    pressed = threading.Event()
    run = block.Block._run

    def running(networks, piece):
        if networks._epochs >= epoch and not pressed.is_set():
            pressed.set()
            os.kill(os.getpid(), signal.SIGINT)
        return run(networks, piece)

    monkeypatch.setattr(block.Block, "_run", running)


@pytest.mark.usefixtures("default_ctrl_c")
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_ctrl_c_ends_training_and_all_keep_what_they_learned(n_jobs, monkeypatch):
    nets = networks(2 * K)
    start = states(nets)
    use(monkeypatch, "64 rows a piece")
    press_at_epoch(3, monkeypatch)
    histories = fastnn.fit_many(nets, X, Y, epochs=10**9, batch_size=8, n_jobs=n_jobs)
    assert {history.stop_reason for history in histories} == {"interrupted"}
    assert max(history.epochs for history in histories) >= 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    for k, (net, history) in enumerate(zip(nets, histories, strict=True)):
        assert len(history.loss) == history.epochs < 10**9
        assert (state(net) == start[k]) == (history.epochs == 0)
        twin = fastnn.Network([3, 4, 2], seed=k)
        fastnn.fit_many([twin, *networks()], X, Y, epochs=max(history.epochs, 1), batch_size=8)
        assert history.epochs == 0 or np.array_equal(twin.parameters, net.parameters)
        assert not net._in_training


@pytest.mark.usefixtures("default_ctrl_c")
def test_ctrl_c_leaves_the_best_of_networks_that_are_watched(monkeypatch):
    nets = networks()
    press_at_epoch(3, monkeypatch)
    rule = fastnn.EarlyStopping(patience=None, max_seconds=1e6, restore_best=True)
    rates = each(lambda k: 0.01 if k % 2 else 1.0)
    options = {"batch_size": 8, "each": {"learning_rate": rates}}
    histories = fastnn.fit_many(nets, X, Y, epochs=10**9, early_stopping=rule, **options)
    assert {history.stop_reason for history in histories} == {"interrupted"}
    begun = [k for k, history in enumerate(histories) if history.epochs]  # those of one block
    assert any(histories[k].best_epoch < histories[k].epochs for k in begun)
    for k in begun:
        twins = networks()
        fastnn.fit_many(twins, X, Y, epochs=histories[k].best_epoch, **options)
        assert twins[k].parameters.tobytes() == nets[k].parameters.tobytes()


@pytest.mark.usefixtures("default_ctrl_c")
def test_ctrl_c_in_a_callback_ends_the_training_of_all():
    class Presses:
        def on_epoch_end(self, network, epoch, logs):
            if epoch == 2:
                signal.raise_signal(signal.SIGINT)

    nets = networks(4, engine="numpy")
    callbacks = [[Presses()], [Presses()], [], []]
    histories = fastnn.fit_many(nets, X, Y, epochs=50, each={"callbacks": callbacks})
    assert [history.stop_reason for history in histories] == ["interrupted"] * 4
    assert histories[0].epochs == 2
    assert histories[3].epochs == 0


class Fails:
    """An executor that does the works in turn, but for some."""

    def __init__(self, *failing, error=None):
        self._left = -1
        self._failing, self._error = failing, error or OSError("no disk")

    def submit(self, function, *arguments):
        self._left += 1
        future = Future()
        if self._left in self._failing:
            future.set_exception(self._error)
        else:
            future.set_result(function(*arguments))
        return future


class GivesBack(Fails):
    """An executor that makes something else of what the work returned."""

    def __init__(self, change):
        super().__init__()
        self._change = change

    def submit(self, function, *arguments):
        return super().submit(lambda: self._change(function(*arguments)))


def numbers_in(message):
    """Those that a message names."""
    text = re.search(r"numbers ([^.;]*)", message).group(1)
    numbers = set()
    for part in text.split(", "):
        first, _, last = part.partition(" to ")
        numbers |= set(range(int(first), int(last or first) + 1))
    return numbers


def check_the_rest(nets, alone, error):
    """Those that the error names are as they were, all others are trained."""
    failed = numbers_in(str(error.value))
    assert 0 < len(failed) < len(nets)
    assert f"{len(failed)} of {len(nets)} networks are not trained, and unchanged" in str(
        error.value
    )
    assert "the others are trained" in str(error.value)
    before = states(alone)
    fastnn.fit_many(alone, X, Y, epochs=2)
    after = states(alone)
    assert states(nets) == [before[k] if k in failed else after[k] for k in range(len(nets))]
    assert {k for k, net in enumerate(nets) if net.history is None} == failed


def test_a_block_that_fails_is_named_and_the_others_are_trained():
    nets = networks(2 * K)
    alone = copy.deepcopy(nets)
    with pytest.raises(RuntimeError, match="OSError: no disk") as error:
        fastnn.fit_many(nets, X, Y, epochs=2, executor=Fails(1))
    check_the_rest(nets, alone, error)
    assert isinstance(error.value.__cause__, OSError)


@pytest.mark.parametrize(
    "change",
    [lambda _: None, lambda _: "done", lambda _: [], lambda came: came[:-1], lambda came: 2 * came],
)
def test_an_executor_that_gives_back_something_else_leaves_all_unchanged(change):
    nets = networks(2 * K)
    before = [net.parameters.copy() for net in nets]
    with pytest.raises(RuntimeError, match=r"are not trained, and unchanged: .*gave back"):
        fastnn.fit_many(nets, X, Y, executor=GivesBack(change), epochs=1)
    assert all(map(np.array_equal, before, [net.parameters for net in nets]))
    assert not any(net._in_training or net.history for net in nets)


def test_ctrl_c_in_a_worker_is_ctrl_c():
    nets = networks(2 * K)
    alone = copy.deepcopy(nets)
    executor = Fails(1, error=KeyboardInterrupt())
    reasons = [h.stop_reason for h in fastnn.fit_many(nets, X, Y, epochs=2, executor=executor)]
    assert set(reasons) == {"completed", "interrupted"}
    before = states(alone)
    fastnn.fit_many(alone, X, Y, epochs=2)
    after = states(alone)
    trained = [reason == "completed" for reason in reasons]
    assert states(nets) == [(after if trained[k] else before)[k] for k in range(len(nets))]


class Begins:
    """An executor that begins all works and ends none, as far away as a cluster's workers."""

    def __init__(self):
        self.futures = []

    def submit(self, function, *arguments):
        self.futures.append(Future())
        self.futures[-1].set_running_or_notify_cancel()
        return self.futures[-1]

    def fail(self):
        for future in self.futures:
            future.set_exception(OSError("nobody waited so long"))


@pytest.mark.usefixtures("default_ctrl_c")
def test_a_second_ctrl_c_waits_for_no_executor():
    nets = networks(engine="numpy")
    before = states(nets)
    executor = Begins()
    presses = [threading.Timer(s, os.kill, (os.getpid(), signal.SIGINT)) for s in (0.2, 0.5)]
    end = threading.Timer(20, executor.fail)
    for timer in (*presses, end):
        timer.start()
    histories = fastnn.fit_many(nets, X, Y, epochs=1, executor=executor)
    end.cancel()
    assert not presses[1].is_alive()  # one Ctrl-C is not enough: something may come back
    assert {history.stop_reason for history in histories} == {"interrupted"}
    assert [own[:-1] for own in states(nets)] == [own[:-1] for own in before]  # but the optimiser


class Broken:
    """A callback that raises after the first epoch."""

    def on_epoch_end(self, network, epoch, logs):
        raise KeyError("mine")


def test_an_exception_in_a_callback_is_of_its_network_alone():
    nets = networks(4, engine="numpy")
    alone = copy.deepcopy(nets)
    with pytest.raises(RuntimeError) as error:
        fastnn.fit_many(nets, X, Y, epochs=2, each={"callbacks": [[], [Broken()], [], []]})
    assert str(error.value) == (
        "1 of 4 networks are as they were when an exception ended their training: numbers 1; the "
        "others are trained. KeyError: 'mine'"
    )
    assert isinstance(error.value.__cause__, KeyError)
    assert [net.history.epochs for net in nets] == [2, 1, 2, 2]
    for net, twin in zip(nets, alone, strict=True):
        twin.fit(X, Y, epochs=net.history.epochs)
        assert np.array_equal(net.parameters, twin.parameters)


def test_an_error_names_those_that_diverged_too():
    def broken(targets, outputs):
        raise ArithmeticError("no")

    nets = networks(4, sizes=(3, 2), loss="half_squared_error", engine="numpy")
    different = {"metrics": [[], [broken], [], []], "learning_rate": [0.01, 0.01, 50.0, 0.01]}
    with pytest.raises(RuntimeError, match=r"numbers 1; 1 of 4 networks diverged, and keep their "
                       r"last finite parameters: numbers 2; the others are trained"):  # fmt: skip
        fastnn.fit_many(nets, X, Y, epochs=400, each=different)


def test_a_class_is_no_executor():
    with pytest.raises(TypeError, match=r"executor must be a concurrent.futures.Executor"):
        fastnn.fit_many(networks(2), X, Y, executor=ThreadPoolExecutor)


def test_an_executor_that_takes_nothing_leaves_all_unchanged():
    nets = networks(engine="numpy")
    before = states(nets)
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(RuntimeError, match=r"20 of 20 networks are not trained, and unchanged: "
                       r"numbers 0 to 19\. RuntimeError: cannot schedule"):  # fmt: skip
        fastnn.fit_many(nets, X, Y, executor=pool, epochs=1)
    assert states(nets) == before


def test_a_metric_that_raises_in_one_network_leaves_the_others_trained():
    nets = networks(4, engine="numpy")

    def broken(targets, outputs):
        raise ArithmeticError("no metric")

    metrics = [[], [broken], [], []]
    with pytest.raises(RuntimeError, match=r"numbers 1; the others are trained\. ArithmeticError"):
        fastnn.fit_many(nets, X, Y, each={"metrics": metrics})
    assert [net.history is None for net in nets] == [False, True, False, False]


def die(targets, outputs):
    """A metric that ends its process, if that is not the one that asked for it."""
    if multiprocessing.parent_process() is not None:
        os._exit(1)
    return 0.0


@pytest.mark.slow
def test_a_worker_that_dies_is_told_of_and_what_came_back_is_kept():
    """One process, so that it is known what was done before it died: all that came earlier."""
    nets = networks(3, engine="numpy")
    alone = copy.deepcopy(nets)
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(1, mp_context=context) as executor,
        pytest.raises(RuntimeError, match=r"numbers .*BrokenProcessPool") as error,
    ):
        fastnn.fit_many(nets, X, Y, epochs=2, executor=executor, each={"metrics": [[], [], [die]]})
    failed = numbers_in(str(error.value))
    assert 2 in failed
    before = states(alone)
    fastnn.fit_many(alone, X, Y, epochs=2)
    after = states(alone)
    assert states(nets) == [before[k] if k in failed else after[k] for k in range(3)]


def test_the_bar_is_of_all_networks(capsys):
    fastnn.fit_many(networks(3, engine="numpy"), X, Y, epochs=2, progress=True)
    assert "6/6" in capsys.readouterr().out


def test_workers_know_what_an_executor_is():
    for executor in (Fails(), ThreadPoolExecutor(1), None):
        Workers(1, executor, False)
