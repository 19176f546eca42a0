"""What the engine keeps from one training to the next: the trainer that was put back last."""

from __future__ import annotations

import signal
import threading

import numba
import numpy as np
import pytest

import fastnn
from fastnn.contract import Plan
from fastnn.kernels import engine

X, Y = np.random.default_rng(0).normal(size=(2, 30, 2))
PLANS = [1, 7]


@pytest.fixture(autouse=True)
def nothing_kept():
    engine._idle.clear()


def network():
    return fastnn.Network([2, 3, 2], seed=0)


def fit(net, batch_size, epochs=3, **options):
    net.fit(X, Y, epochs=epochs, batch_size=batch_size, shuffle=False, **options)
    return net.parameters.tobytes()


def trainer_of(batch_size):
    return engine.trainer(network()._architecture, Plan(batch_size, fastnn.SGD()))


@pytest.mark.parametrize("batch_size", PLANS)
def test_what_another_network_left_in_a_trainer_changes_nothing(batch_size):
    expected = fit(network(), batch_size)
    [kept] = engine._idle
    for memory in kept._memory():
        memory[:] = np.nan
    assert fit(network(), batch_size) == expected
    assert engine._idle == [kept]


@pytest.mark.parametrize("batch_size", PLANS)
def test_training_inside_training_has_a_trainer_of_its_own(batch_size):
    expected = fit(network(), batch_size)
    inner = []
    outer = fit(
        network(),
        batch_size,
        callbacks=[fastnn.Call(lambda *_: inner.append(fit(network(), batch_size)))],
    )
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


def test_no_trainer_is_kept_that_given_up_work_may_use():
    def press(*_):
        signal.raise_signal(signal.SIGINT)

    net = network()
    fit(net, 7, callbacks=[fastnn.Call(press)])
    assert net.history.stop_reason == "interrupted"
    assert not engine._idle
