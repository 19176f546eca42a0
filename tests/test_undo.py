"""What ends training before anything is learned leaves the network as it was, whatever it is."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from helpers import random_state
from runs import make, regression

import fastnn
from fastnn.engines import get_engine

X, Y = regression(20)

#: Each door trains with a rule that is not the network's last one.
DOORS = {
    "fit": lambda net, **more: net.fit(X, Y, optimizer="rmsprop", epochs=2, **more),
    "fit by lbfgs": lambda net, **more: net.fit(X, Y, optimizer="lbfgs", epochs=2, **more),
    "fit_stream": lambda net: net.fit_stream([(X, Y)] * 2, optimizer="rmsprop"),
    "partial_fit": lambda net: net.partial_fit(X, Y, optimizer="rmsprop"),
}
ENDINGS = (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError, RuntimeError)


def trained():
    net, rng = make("numpy")
    net.fit(X, Y, epochs=3, batch_size=7, optimizer="adam")
    return net, rng


def everything(net, rng):
    """All that training changes, to compare."""
    state, clock = net._state, net._state.clock
    arrays = (state.parameters, state.moments, state.updates, clock.steps, clock.plateau)
    return (
        [array.tobytes() for array in arrays], random_state(rng), net._optimizer,
        id(net.history), repr(vars(net.history)),
    )  # fmt: skip


def end_while_compiling(monkeypatch, ending):
    """Whatever makes kernels ready raises."""

    def raise_it(*_arguments):
        raise ending

    monkeypatch.setattr(get_engine("numpy"), "trainer", raise_it)
    monkeypatch.setattr(get_engine("numpy"), "differentiator", raise_it)


def end_within_an_update(monkeypatch, ending):
    """The first update is half done when something raises."""
    engine = get_engine("numpy")
    run = engine._Trainer.run

    def run_and_raise(self, state, samples, piece):
        run(self, state, samples, piece)
        raise ending

    def raise_it(*_arguments):
        raise ending

    monkeypatch.setattr(engine._Trainer, "run", run_and_raise)
    monkeypatch.setattr(engine, "_differentiate", raise_it)


@pytest.mark.parametrize("when", [end_while_compiling, end_within_an_update])
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("door", DOORS)
def test_whatever_ends_training_before_anything_is_learned(monkeypatch, door, ending, when):
    net, rng = trained()
    before = everything(net, rng)
    with monkeypatch.context() as patch:
        when(patch, ending)
        with pytest.raises(ending):
            DOORS[door](net)
    assert everything(net, rng) == before
    twin, _ = trained()
    DOORS[door](net)
    DOORS[door](twin)
    assert net.parameters.tobytes() == twin.parameters.tobytes()


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_update_that_is_ended_later_leaves_those_before(monkeypatch, ending):
    """Further calls of `partial_fit` go a shorter way."""
    net, rng = trained()
    rows = X[:2], Y[:2, np.newaxis]
    net.partial_fit(*rows, optimizer="adam")
    before = everything(net, rng)
    with monkeypatch.context() as patch:
        end_within_an_update(patch, ending)
        with pytest.raises(ending):
            net.partial_fit(*rows, optimizer="adam")
    assert everything(net, rng) == before


def test_a_first_fit_that_is_ended_leaves_no_history(monkeypatch):
    net, _ = make("numpy")
    end_while_compiling(monkeypatch, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, epochs=1)
    assert net.history is None


# Training inside training.


class Acting:
    """A callback that does something with the network."""

    def __init__(self, act):
        self._act = act

    def on_epoch_end(self, network, epoch, logs):
        self._act(network)


def in_a_callback(net, act):
    net.fit(X, Y, epochs=3, callbacks=[Acting(act)])


def in_a_callback_of_lbfgs(net, act):
    net.fit(X, Y, epochs=3, optimizer="lbfgs", callbacks=[Acting(act)])


def in_a_metric(net, act):
    def metric(targets, outputs):
        act(net)
        return 0.0

    net.fit(X, Y, epochs=3, metrics=[metric])


def in_chunks(net, act):
    def chunks():
        for _ in range(3):
            yield X, Y
            act(net)

    net.fit_stream(chunks())


OUTER = (in_a_callback, in_a_callback_of_lbfgs, in_a_metric, in_chunks)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("outer", OUTER)
def test_a_network_is_not_trained_inside_its_own_training(outer, door):
    net, _ = make("numpy")
    refusals = []

    def train(network):
        history, state = network.history, network._state
        with pytest.raises(RuntimeError, match="being trained already") as error:
            DOORS[door](network)
        refusals.append(error)
        assert network.history is history
        assert network._state is state

    outer(net, train)
    assert len(refusals) >= 3
    twin, _ = make("numpy")
    outer(twin, lambda network: None)
    assert net.parameters.tobytes() == twin.parameters.tobytes()
    assert net.history.loss == twin.history.loss
    assert net.history.stop_reason == twin.history.stop_reason
    DOORS[door](net)  # afterwards it may


def test_partial_fit_does_not_slip_in_by_its_shorter_way():
    net, _ = make("numpy")
    rows = X[:2], Y[:2, np.newaxis]
    net.partial_fit(*rows)
    with pytest.raises(RuntimeError, match="being trained already"):
        in_a_callback(net, lambda network: network.partial_fit(*rows))


def test_a_network_of_an_older_version_can_be_trained():
    """Its pickle knows nothing of being trained."""
    net, _ = make("numpy")
    state = {k: v for k, v in net.__getstate__().items() if k != "_in_training"}
    twin = fastnn.Network.__new__(fastnn.Network)
    twin.__dict__.update(state)
    assert twin.fit(X, Y, epochs=2).epochs == 2


def train_a_copy(net):
    twin = copy.deepcopy(net)
    twin.fit(X, Y, epochs=1)
    net.set_parameters(twin.parameters)


def save_and_load(net, path):
    net.save(path)
    fastnn.load(path).fit(X, Y, epochs=1)


@pytest.mark.parametrize("outer", OUTER)
def test_all_else_may_be_done_inside_training(outer, tmp_path):
    net, _ = make("numpy")
    for act in (
        train_a_copy,
        lambda network: network.set_parameters(network.parameters * 1.01),
        lambda network: network.evaluate(X, Y),
        lambda network: save_and_load(network, tmp_path / "net"),
    ):
        outer(net, act)
        assert net.history.epochs >= 3
