"""Records: a network gives one and is made from one; a file's parts are one, whatever is in it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from test_persistence import OPTIMIZERS, SCHEDULES, X, Y, bits, network, trained

import fastnn
from fastnn.record import Record


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_network_is_made_from_its_record(optimizer):
    net = trained(optimizer=optimizer, dropout=0.2)
    assert bits(fastnn.Network._of_record(net._record())) == bits(net)


#: What a network makes again: the first two from the record's arguments.
MADE_AGAIN = {
    "_architecture", "_inputs", "_engine_name", "_predictor", "_updater", "_asked", "_in_training",
    "_quick_update", "_quick_prediction",
}  # fmt: skip


def test_a_record_leaves_nothing_out():
    net = trained()
    net.partial_fit(X, Y)
    held = {id(value) for name, value in vars(net).items() if name not in MADE_AGAIN}
    kept = {id(value) for name, value in vars(net._record()).items() if name != "arguments"}
    assert held == kept


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: type(schedule).__name__)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_record_is_made_from_its_parts(optimizer, schedule):
    net = network()
    rule = dataclasses.replace(OPTIMIZERS[optimizer], learning_rate=schedule)
    net.fit(X, Y, epochs=3, batch_size=4, optimizer=rule, metrics=["r2"])
    texts, tensors = net._record().parts()
    assert bits(fastnn.Network._of_record(Record.of_parts(texts, tensors))) == bits(net)
    assert not tensors, "all are taken"


@pytest.mark.parametrize("name", ["network", "optimizer", "random", "history"])
def test_a_part_that_is_missing_is_named(name):
    texts, tensors = trained()._record().parts()
    del texts[name]
    with pytest.raises(KeyError, match=name):
        Record.of_parts(texts, tensors)


TENSORS = sorted(trained()._record().parts()[1])


@pytest.mark.parametrize("name", TENSORS)
def test_a_tensor_that_is_missing_is_named(name):
    texts, tensors = trained()._record().parts()
    del tensors[name]
    with pytest.raises(KeyError, match=name):
        Record.of_parts(texts, tensors)


@pytest.mark.parametrize("wrong", [np.float32, np.atleast_2d], ids=["type", "shape"])
@pytest.mark.parametrize("name", [name for name in TENSORS if name != "state.moments"])
def test_a_tensor_of_another_kind_is_refused(name, wrong):
    texts, tensors = trained()._record().parts()
    tensors[name] = wrong(tensors[name])
    with pytest.raises(ValueError, match=f"{name} (must be|is not)|it has shape"):
        Record.of_parts(texts, tensors)
