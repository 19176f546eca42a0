"""``fit(record=k)``: what a history keeps of the parameters."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from helpers import ENGINES, SLICINGS, data_for

import fastnn
from fastnn.snapshots import Snapshots
from fastnn.training import cuts

EACH = {"numba": 12, "numpy": 12, "python": 6}


class Notes:
    """A callback that keeps copies of the parameters."""

    def __init__(self):
        self.vectors = []

    def on_epoch_end(self, network, epoch, logs):
        self.vectors.append(network.parameters.copy())


def fitted(engine="numpy", sizes=(1, 3, 1), n=150, **arguments):
    net = fastnn.Network(sizes, activation="sigmoid", seed=1, engine=engine)
    X, y = data_for("half_squared_error", n, sizes[0], sizes[-1])
    asked = {"epochs": EACH[engine], "learning_rate": 0.05, **arguments}
    try:
        net.fit(X, y, **asked)
    except fastnn.TrainingDivergedError:
        assert net.history.stop_reason == "diverged"
    return net


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("batch_size", [1, 7, None])
def test_the_parameters_after_every_kth_epoch_are_those_a_callback_sees(engine, batch_size):
    notes = Notes()
    watched = fitted(engine, batch_size=batch_size, callbacks=[notes])
    plain = fitted(engine, batch_size=batch_size)
    for k in (1, 2, 5):
        net = fitted(engine, batch_size=batch_size, record=k)
        epochs = list(range(k, EACH[engine] + 1, k))
        assert net.history.recorded_epochs.tolist() == epochs
        expected = [notes.vectors[epoch - 1] for epoch in epochs]
        np.testing.assert_array_equal(net.history.parameters, expected)
        assert net.parameters.tobytes() == plain.parameters.tobytes()
        assert net.history.loss == plain.history.loss == watched.history.loss


@pytest.mark.parametrize("slicing", SLICINGS)
@pytest.mark.parametrize("more", [{}, {"metrics": ["r2"]}], ids=["alone", "metrics"])
def test_how_epochs_are_cut_changes_no_record(slicing, more, monkeypatch):
    expected = fitted("numba", batch_size=7, record=3, **more).history
    for name, value in SLICINGS[slicing].items():
        monkeypatch.setattr(cuts, name, value)
    history = fitted("numba", batch_size=7, record=3, **more).history
    assert history.recorded_epochs.tolist() == [3, 6, 9, 12]
    assert history.parameters.tobytes() == expected.parameters.tobytes()
    assert history.metrics == expected.metrics


def test_layers_are_views_of_the_parameters():
    history = fitted(record=4).history
    net = fitted()
    assert history.parameters.shape == (3, 10)
    for layer in (0, 1, -1):
        weights, biases = history.weights(layer), history.biases(layer)
        assert weights.shape == (3, *net.weights[layer].shape)
        np.testing.assert_array_equal(weights[-1], net.weights[layer])
        np.testing.assert_array_equal(biases[-1], net.biases[layer])
        assert np.shares_memory(weights, history.parameters)
        assert np.shares_memory(biases, history.parameters)


@pytest.mark.parametrize("layer", [2, -3, 0.5])
def test_only_layers_that_there_are(layer):
    history = fitted(record=4).history
    with pytest.raises((ValueError, TypeError), match=r"^layer must be (a whole number|at)"):
        history.weights(layer)


def test_without_biases_there_are_none():
    snapshots = Snapshots((2, 1), False, np.dtype("float64"))
    snapshots.append([1], np.array([[1.0, 2.0]]))
    assert snapshots.weights(0).tolist() == [[[1.0], [2.0]]]
    with pytest.raises(ValueError, match="bias=False"):
        snapshots.biases(0)


def test_fewer_epochs_than_k_leave_no_record():
    history = fitted(record=1000).history
    assert history.parameters.shape == (0, 10)
    assert history.weights(0).shape == (0, 1, 3)


@pytest.mark.parametrize("name", ["parameters", "recorded_epochs"])
def test_without_record_there_are_no_parameters(name):
    with pytest.raises(AttributeError, match=r"fit\(..., record=k\) keeps"):
        getattr(fitted().history, name)


@pytest.mark.parametrize("record", [0, -1, 1.5, True, "10", [10]])
def test_record_is_checked_at_the_door(record):
    net = fastnn.Network([1, 1], seed=0)
    before = net.parameters.copy()
    with pytest.raises(
        (ValueError, TypeError), match=r"^record must be (a whole number|at least 1)"
    ):
        net.fit([0.0, 1.0], [0.0, 1.0], epochs=2, record=record)
    assert net.history is None
    np.testing.assert_array_equal(net.parameters, before)


@pytest.mark.parametrize("engine", ENGINES)
def test_records_end_where_a_rule_ends_training(engine):
    whole = fitted(engine, record=1, learning_rate=0.02).history
    rule = fastnn.EarlyStopping(target=whole.loss[3], patience=None)
    stopped = fitted(engine, record=1, early_stopping=rule, learning_rate=0.02)
    n = stopped.history.epochs
    assert 1 < n <= 4
    np.testing.assert_array_equal(stopped.history.parameters, whole.parameters[:n])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("metrics", [[], ["r2"]], ids=["alone", "metrics"])
def test_records_of_a_divergence_are_those_before_it(engine, metrics):
    rate = 50.0
    net = fitted(engine, record=1, learning_rate=rate, batch_size=None, epochs=600, metrics=metrics)
    history = net.history
    assert history.stop_reason == "diverged"
    assert len(history.parameters) == history.epochs > 2
    assert np.isfinite(history.parameters).all()
    np.testing.assert_array_equal(history.parameters[-1], net.parameters)


def test_the_best_epoch_comes_back_and_the_records_stay():
    rule = fastnn.EarlyStopping(patience=20, restore_best=True)
    net = fitted(record=1, early_stopping=rule, shuffle=False)
    best = net.history.best_epoch
    assert len(net.history.parameters) == net.history.epochs
    np.testing.assert_array_equal(net.history.parameters[best - 1], net.parameters)


def test_lbfgs_records_its_iterations():
    notes = Notes()
    net = fitted(optimizer="lbfgs", learning_rate=None, record=2, callbacks=[notes], epochs=6)
    np.testing.assert_array_equal(net.history.parameters, notes.vectors[1::2])


def test_a_stream_records_after_chunks():
    X, y = data_for("half_squared_error", 30, 2, 1)
    net, notes = fastnn.Network([2, 3, 1], seed=1, engine="numpy"), Notes()
    history = net.fit_stream([(X, y)] * 5, epochs=1, record=2, callbacks=[notes])
    assert history.recorded_epochs.tolist() == [2, 4]
    np.testing.assert_array_equal(history.parameters, notes.vectors[1::2])


def test_many_networks_record_as_each_alone():
    X, y = data_for("half_squared_error", 30, 2, 1)

    def networks():
        return [fastnn.Network([2, 3, 1], seed=k) for k in range(60)]

    each = {"record": [2, None, 3] * 20}
    histories = fastnn.fit_many(networks(), X, y, epochs=6, batch_size=7, each=each)
    for net, history, k in zip(networks(), histories, each["record"], strict=True):
        alone = net.fit(X, y, epochs=6, batch_size=7, record=k)
        if k is None:
            assert history.snapshots is None
        else:
            np.testing.assert_array_equal(history.parameters, alone.parameters)


def test_an_ensemble_records():
    X, y = data_for("half_squared_error", 30, 2, 1)
    ensemble = fastnn.Ensemble([2, 3, 1], n_networks=2, seed=0, engine="numpy")
    histories = ensemble.fit(X, y, epochs=4, record=2)
    for net, history in zip(ensemble.networks, histories, strict=True):
        np.testing.assert_array_equal(history.parameters[-1], net.parameters)


def test_copies_pickles_and_files_keep_the_records(tmp_path):
    net = fitted(record=5)
    history = net.history
    net.save(tmp_path / "net.safetensors")
    twins = [copy.copy(history), copy.deepcopy(history), pickle.loads(pickle.dumps(history))]
    twins.append(fastnn.load(tmp_path / "net.safetensors").history)
    for twin in twins:
        assert twin.recorded_epochs.tolist() == [5, 10]
        np.testing.assert_array_equal(twin.parameters, history.parameters)
        np.testing.assert_array_equal(twin.weights(0), history.weights(0))


def test_a_copy_does_not_grow_with_its_original():
    history = fitted(record=5).history
    twin = copy.copy(history)
    history.keep([15], np.zeros((1, 10)))
    assert len(twin.parameters) == 2 < len(history.parameters)


def test_the_table_of_a_history_is_the_same_with_records():
    pytest.importorskip("pandas")
    table = fitted(record=5).history.to_pandas()
    assert table.equals(fitted().history.to_pandas())


def test_records_without_their_epochs_are_not_saved(tmp_path):
    net = fitted(record=5)
    del net.history.loss[:], net.history.learning_rate[:]
    with pytest.raises(ValueError, match="recorded_epochs that are not among 0 epochs"):
        net.save(tmp_path / "net.safetensors")
