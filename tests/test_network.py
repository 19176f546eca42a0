"""What a `Network` is: sizes, parameters, activations; its text and copies."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from helpers import (
    data_for,
)

import fastnn


def make(sizes=(2, 3, 1), **options):
    return fastnn.Network(list(sizes), **{"seed": 1, "engine": "numpy"} | options)


@pytest.mark.parametrize(
    ("sizes", "with_bias", "without"),
    [((1, 128, 1), 385, 256), ((3, 2), 8, 6), ((1, 1), 2, 1), ((2, 3, 4, 5), 9 + 16 + 25, 38)],
)
def test_number_of_parameters(sizes, with_bias, without):
    assert make(sizes).parameters.shape == (with_bias,)
    assert make(sizes, bias=False).parameters.shape == (without,)


def test_properties(engine):
    net = make((2, 3, 1), engine=engine, dtype="float32")
    assert net.layer_sizes == (2, 3, 1)
    assert net.dtype == np.float32
    assert net.engine == engine


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_parameters_are_one_flat_vector_of_the_dtype(dtype):
    net = make(dtype=dtype)
    assert net.parameters.dtype == dtype
    assert net.parameters.ndim == 1
    assert net.parameters.flags.c_contiguous
    assert net.parameters.flags.writeable


def test_the_flat_vector_holds_each_layers_weights_and_then_its_bias():
    net = make((2, 3, 1))
    net.set_parameters(np.arange(13))
    assert [W.tolist() for W in net.weights] == [[[0, 1, 2], [3, 4, 5]], [[9], [10], [11]]]
    assert [b.tolist() for b in net.biases] == [[6, 7, 8], [12]]


def test_the_flat_vector_without_biases():
    net = make((2, 3, 1), bias=False)
    net.set_parameters(np.arange(9))
    assert [W.tolist() for W in net.weights] == [[[0, 1, 2], [3, 4, 5]], [[6], [7], [8]]]
    assert len(net.biases) == 0


def test_weights_and_biases_are_live_views_to_write_through():
    net = make((1, 1, 1))
    net.weights[1][0, 0] = 7.0
    net.biases[0][0] = -3.0
    assert net.parameters[1] == -3.0
    assert net.parameters[2] == 7.0


def test_views_taken_before_training_show_the_trained_numbers(engine):
    net = make((1, 2, 1), engine=engine)
    vector, W, b = net.parameters, net.weights[0], net.biases[1]
    before = vector.copy()
    net.fit([0, 1], [1, 0], epochs=3, learning_rate=0.5)
    assert vector is net.parameters
    assert not np.array_equal(vector, before)
    assert np.array_equal(W, net.weights[0])
    assert np.array_equal(b, net.biases[1])
    assert b[0] != before[-1]


def test_what_is_written_to_the_parameters_is_what_predicts(engine):
    net = make((1, 1), engine=engine)
    net.parameters[:] = [2.0, 1.0]
    assert net.predict([3.0]).tolist() == [[7.0]]
    net.weights[0][:] = 10.0
    assert net.predict([3.0]).tolist() == [[31.0]]


def test_set_parameters_copies_and_hands_back_the_network():
    net = make((1, 1))
    vector = np.array([2.0, 1.0])
    assert net.set_parameters(vector) is net
    vector[0] = 99.0
    assert net.parameters.tolist() == [2.0, 1.0]


def test_set_parameters_keeps_the_vector_where_it_is():
    net = make((1, 1))
    vector = net.parameters
    net.set_parameters([2, 1])
    assert net.parameters is vector


def test_set_parameters_from_a_view_of_themselves():
    net = make((1, 1)).set_parameters([2.0, 1.0])
    assert net.set_parameters(net.parameters[::-1]).parameters.tolist() == [1.0, 2.0]


def activations_of(net):
    return [layer.activation.name for layer in net._architecture.layers]


@pytest.mark.parametrize(
    ("loss", "output"),
    [("half_squared_error", "identity"), ("squared_error", "identity"),
     ("binary_cross_entropy", "sigmoid"), ("cross_entropy", "softmax")],
)  # fmt: skip
def test_the_default_output_activation_is_the_one_the_loss_is_made_for(loss, output):
    assert activations_of(make(loss=loss)) == ["sigmoid", output]


def test_activations_may_differ_by_layer():
    net = make((1, 2, 3, 4, 1), activation=["relu", "tanh", "identity"])
    assert activations_of(net) == ["relu", "tanh", "identity", "identity"]


def test_aliases():
    assert activations_of(make(activation="logistic", output_activation="linear")) == [
        "sigmoid", "identity",
    ]  # fmt: skip


def test_a_network_without_hidden_layers_needs_no_activations():
    assert activations_of(make((2, 1), activation=[])) == ["identity"]


def test_summary_shows_layers_parameters_and_bytes():
    text = make((1, 128, 1), activation="tanh", loss="binary_cross_entropy").summary()
    lines = text.splitlines()
    for label, cells in {
        "input": ["(n, 1)"],
        "hidden 1": ["tanh", "(n, 128)", "128", "256"],
        "output": ["sigmoid", "(n, 1)", "128", "1", "129"],
    }.items():
        (line,) = [line for line in lines if label in line and "(n, " in line]
        assert {cell.strip() for cell in line.split("│")} >= set(cells)
    assert "385" in text
    assert f"{385 * 8:,} bytes" in text
    assert "binary_cross_entropy" in text


def test_summary_without_biases_in_float32():
    text = make((3, 4, 2), bias=False, dtype="float32").summary()
    assert "20 (80 bytes, float32)" in text
    assert max(map(len, text.splitlines())) <= 100


def test_repr_tells_what_the_network_is():
    text = repr(make((1, 128, 1), activation="tanh", reduction="sum", dtype="float32", bias=False))
    for part in ("Network([1, 128, 1]", "['tanh', 'identity']", "'half_squared_error'", "'sum'",
                 "bias=False", "'float32'", "'numpy'"):  # fmt: skip
        assert part in text


COPIES = {
    "pickle": lambda net: pickle.loads(pickle.dumps(net)),
    "deepcopy": copy.deepcopy,
    "pickle, oldest protocol": lambda net: pickle.loads(pickle.dumps(net, protocol=2)),
}


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_is_the_same_network_and_trains_to_the_same_bits(engine, how):
    X, y = data_for("squared_error", 20, 2, 1)
    net = make((2, 3, 1), engine=engine)
    net.fit(X, y, epochs=2, batch_size=3)
    twin = COPIES[how](net)
    assert repr(twin) == repr(net)
    assert twin.predict(X).tobytes() == net.predict(X).tobytes()
    for each in (net, twin):
        each.fit(X, y, epochs=3, batch_size=3)
    assert twin.parameters.tobytes() == net.parameters.tobytes()


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_predicts_in_the_short_way_too(how, monkeypatch):
    twin = COPIES[how](make((2, 3, 1)))
    monkeypatch.setattr(twin._inputs, "features", None)  # the long way
    assert twin.predict(np.zeros((1, 2))).shape == (1, 1)


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_lives_its_own_life(how):
    net = make()
    twin = COPIES[how](net)
    before = net.parameters.tobytes()
    twin.fit([[0.0, 1.0]], [5.0], epochs=3)
    twin.weights[0][:] = 9.0
    assert twin.parameters[0] == 9.0
    assert net.parameters.tobytes() == before
