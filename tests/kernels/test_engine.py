"""What the engine keeps from one training to the next: the trainer that was put back last."""

from __future__ import annotations

import signal
import threading

import numba
import numpy as np
import pytest
from problems import few_to_compile

import fastnn
from fastnn.contract import Plan
from fastnn.kernels import engine
from fastnn.schedules import CountedSchedule

X, Y = np.random.default_rng(0).normal(size=(2, 30, 2))
PLANS = [1, 7]


#: A network and a rule for each kind of trainer.
KINDS = {
    "plain, one output": ({"layer_sizes": [1, 4, 1]}, "sgd"),
    "plain, one hidden layer": ({"layer_sizes": [2, 9, 2]}, "sgd"),
    "plain": ({"layer_sizes": [2, 3, 3, 2]}, "sgd"),
    "plain, wide": ({"layer_sizes": [300, 220, 2], "dtype": "float32"}, "sgd"),
    "moments": ({"layer_sizes": [2, 3, 2]}, "adam"),
    "penalties": ({"layer_sizes": [2, 3, 2], "l2": 0.1}, "sgd"),
    "dropout": ({"layer_sizes": [2, 3, 2], "dropout": 0.5}, "sgd"),
}


def network():
    return fastnn.Network([2, 3, 2], seed=0)


def fit(net, batch_size, epochs=3, **options):
    net.fit(X, Y, epochs=epochs, batch_size=batch_size, shuffle=False, **options)
    return net.parameters.tobytes()


def trainer_of(batch_size):
    return engine.trainer(network()._architecture, Plan(batch_size, fastnn.SGD()))


@pytest.mark.parametrize("batch_size", PLANS)
@pytest.mark.parametrize("kind", few_to_compile(["plain"], KINDS))
def test_what_another_network_left_in_a_trainer_changes_nothing(kind, batch_size):
    options, rule = KINDS[kind]
    n_in, *_, n_out = options["layer_sizes"]
    X, Y = (np.random.default_rng(0).normal(size=(30, n)) for n in (n_in, n_out))

    def parameters():
        net = fastnn.Network(**options, seed=0)
        net.fit(X, Y, epochs=3, batch_size=batch_size, optimizer=rule)
        return net.parameters.tobytes()

    expected = parameters()
    [kept] = engine._idle
    for memory in kept._memory():
        memory[:] = np.nan
    assert parameters() == expected
    assert engine._idle == [kept]


def test_a_trainer_takes_more_samples_than_before_and_fewer():
    """More than a block has: these stay in the workspace from one epoch to the next."""
    X, Y = np.random.default_rng(1).normal(size=(2, 600, 2))

    def parameters(n):
        net = network()
        net.fit(X[:n], Y[:n], epochs=2, batch_size=50, shuffle=False)
        return net.parameters.tobytes()

    expected = {}
    for n in (300, 600, 70):
        engine._idle.clear()
        expected[n] = parameters(n)
    [kept] = engine._idle
    assert {n: parameters(n) for n in expected} == expected
    assert engine._idle == [kept]


class Incomparable(CountedSchedule):
    """A schedule of a user's own: two of them cannot be compared."""

    def rate_at(self, t):
        return np.full(t.shape, 0.1)

    def __eq__(self, other):
        raise IndexError

    __hash__ = None


def test_a_trainer_is_for_any_rate():
    for rate in (0.1, 0.2, fastnn.CosineDecay(0.1, decay_steps=9), Incomparable(), Incomparable()):
        fit(network(), 7, learning_rate=rate)
        [kept] = engine._idle
    fit(network(), 7)
    assert engine._idle == [kept]


def test_how_many_threads_may_help_is_asked_for_each_training(monkeypatch):
    trainer_of(7).put_back()
    asked = []
    monkeypatch.setattr(engine.team, "Help", lambda *given: asked.append(given))
    assert trainer_of(7)
    assert len(asked) == 1


def test_fit_stream_keeps_a_trainer_unless_it_is_interrupted():
    chunks = [(X[:14], Y[:14]), (X[14:28], Y[14:28])]
    network().fit_stream(chunks, batch_size=7)
    [kept] = engine._idle
    network().fit_stream(chunks, batch_size=7)
    assert engine._idle == [kept]

    def interrupted():
        yield chunks[0]
        raise KeyboardInterrupt

    net = network()
    net.fit_stream(interrupted, batch_size=7)
    assert net.history.stop_reason == "interrupted"
    assert not engine._idle


@pytest.mark.parametrize("batch_size", PLANS)
def test_training_inside_training_has_a_trainer_of_its_own(batch_size):
    expected = fit(network(), batch_size)
    inner = []

    def train(*_):
        assert not engine._idle  # the outer one is in use
        inner.append(fit(network(), batch_size))
        engine._idle.clear()

    outer = fit(network(), batch_size, callbacks=[fastnn.Call(train)])
    assert [outer, *inner] == 4 * [expected]


@pytest.mark.parametrize("batch_size", PLANS)
def test_threads_have_trainers_of_their_own(batch_size):
    epochs = 3 if numba.config.DISABLE_JIT else 1000  # some milliseconds: threads meet
    expected = fit(network(), batch_size, epochs)
    results = []

    def train():
        results.extend(fit(network(), batch_size, epochs) for _ in range(20))

    threads = [threading.Thread(target=train) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == 80 * [expected]


def test_a_trainer_is_for_equal_networks_and_plans_alone():
    kept, architecture = trainer_of(7), network()._architecture
    other = fastnn.Network([2, 3, 2], l2=0.1)._architecture
    for asked in (
        (other, Plan(7, fastnn.SGD())),
        (architecture, Plan(8, fastnn.SGD())),
        (architecture, Plan(7, fastnn.SGD(clip_norm=1.0))),
        (architecture, Plan(7, fastnn.SGD(), weighted=True)),
        (architecture, Plan(7, fastnn.SGD(), dropout_key=1)),
    ):
        kept.put_back()
        assert engine.trainer(*asked) is not kept
    kept.put_back()
    assert engine.trainer(architecture, Plan(7, fastnn.SGD())) is kept
    assert engine.trainer(architecture, Plan(7, fastnn.SGD())) is not kept


def test_no_trainer_with_much_memory_is_kept(monkeypatch):
    monkeypatch.setattr(engine, "LARGE", 100)
    trainer_of(7).put_back()
    assert not engine._idle


def test_no_trainer_is_kept_that_given_up_work_may_use(default_ctrl_c):
    def press(*_):
        signal.raise_signal(signal.SIGINT)

    net = network()
    fit(net, 7, callbacks=[fastnn.Call(press)])
    assert net.history.stop_reason == "interrupted"
    assert not engine._idle
