"""What a network is, as attributes; and what the package shows of itself."""

from __future__ import annotations

import importlib.util
import pickle

import numpy as np
import pytest

import fastnn

X, Y = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0.0, 1.0, 1.0])


def test_a_network_says_what_it_is():
    net = fastnn.Network(
        [2, 5, 4, 3], activation=["relu", "logistic"], loss="cross_entropy",
        initializer="he_normal", engine="numpy",
    )  # fmt: skip
    assert net.activation == ("relu", "sigmoid")
    assert net.output_activation == "softmax"
    assert net.loss == "cross_entropy"
    assert net.initializer == "he_normal"
    assert net.n_layers == 3
    assert net.n_parameters == len(net.parameters) == 15 + 24 + 15


@pytest.mark.parametrize(("sizes", "activation"), [([2, 3, 3, 1], "tanh"), ([2, 1], ())])
def test_one_name_stands_for_all_hidden_layers(sizes, activation):
    net = fastnn.Network(sizes, activation="tanh", engine="numpy")
    assert net.activation == activation
    assert fastnn.Network(sizes, activation=net.activation or "relu", engine="numpy").n_layers


def test_a_file_keeps_the_initializer(tmp_path):
    fastnn.Network([2, 1], initializer="he_normal", engine="numpy").save(tmp_path / "net")
    assert fastnn.load(tmp_path / "net").initializer == "he_normal"


def test_a_network_that_came_with_its_parameters_has_no_initializer(monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.setattr("fastnn.estimators.model.ENGINE", "numpy")
    fitted = fastnn.MLPRegressor(hidden_layer_sizes=(2,), solver="lbfgs").fit(X, Y)
    assert fitted.network_.initializer is None


def test_a_copy_goes_on_as_the_network_would_and_is_another():
    net = fastnn.Network([2, 3, 1], seed=0, engine="numpy")
    net.fit(X, Y, epochs=3, optimizer="adam", batch_size=2)
    twin = net.copy()
    before = net.parameters.copy()
    for one in (twin, net):
        one.fit(X, Y, epochs=3, optimizer="adam", batch_size=2)
        if one is twin:
            np.testing.assert_array_equal(net.parameters, before)
    np.testing.assert_array_equal(twin.parameters, net.parameters)
    assert twin.history.loss == net.history.loss


def test_what_is_done_in_place_is_let_be():
    net = fastnn.Network([2, 3, 1], seed=0, engine="numpy")
    expected = net.parameters * 4
    net.parameters *= 2
    for k in range(2):
        net.weights[k] *= 2
        net.biases[k] *= 2
    np.testing.assert_array_equal(net.parameters, expected)


def test_views_are_a_tuple_and_can_be_pickled():
    weights = fastnn.Network([2, 3, 1], engine="numpy").weights
    assert isinstance(weights, tuple)
    again = pickle.loads(pickle.dumps(weights))
    assert all(np.array_equal(a, b) for a, b in zip(again, weights, strict=True))


def test_a_fit_that_is_told_nothing_learns_something():
    x = np.linspace(-1, 1, 200)[:, np.newaxis]
    history = fastnn.Network([1, 32, 1], engine="numpy", seed=0).fit(x, np.sin(4 * x) + 0.5 * x)
    assert history.loss[-1] < 0.6 * history.loss[0]


def test_dir_shows_the_public_names_only():
    names = set(dir(fastnn))
    with_sklearn = importlib.util.find_spec("sklearn") is not None
    assert names >= set(fastnn.__all__)
    assert ("MLPClassifier" in names) == with_sklearn
    assert not {"importlib", "Any", "TYPE_CHECKING", "network", "engines"} & names
    for name in names:
        getattr(fastnn, name)
