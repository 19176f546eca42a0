"""Rows of named features, against a network that has all of them."""

import numpy as np
import pytest
from helpers import slow_but

import fastnn
from fastnn.features import FeatureNetwork

NAMES = ("a", "b", "c")
RULES = {"sgd": fastnn.SGD(0.1), "adam": fastnn.Adam(0.05)}


def made(rule, loss, n_out, scale=False):
    network = fastnn.Network([1, 5, 1], activation="silu", loss=loss, seed=0)
    features = FeatureNetwork(network, rule, scale, entropy=3, n_out=n_out)
    features.add_features(NAMES)
    return features


def twin(features, loss):
    """A network of the NumPy engine with the same parameters."""
    sizes = [3, 5, features.n_out]
    net = fastnn.Network(sizes, activation="silu", loss=loss, seed=0, engine="numpy")
    net.set_parameters(np.concatenate([features._weights[:3].ravel(), features._rest]))
    return net


@pytest.mark.own_kernels
@pytest.mark.parametrize(
    "loss", slow_but(["half_squared_error"], ["cross_entropy", "half_squared_error"])
)
@pytest.mark.parametrize("kind", slow_but(["adam"], RULES))
def test_whole_rows_are_those_of_a_network(loss, kind):
    rule = RULES[kind]
    of_class = loss == "cross_entropy"
    features = made(rule, loss, 3 if of_class else 1)
    net = twin(features, loss)
    for x in np.random.default_rng(1).normal(size=(20, 3)):
        y = int(x[0] > 0) + int(x[1] > 0) if of_class else x[0]
        outputs, well = features.predict(NAMES, x, 1)
        assert well
        np.testing.assert_allclose(outputs, net.predict_one(x), rtol=1e-9)
        assert features.learn(NAMES, x, np.array([y], float)) is None
        net.learn_one(x, y, optimizer=rule)
    assert features.updates == 20


@pytest.mark.own_kernels
def test_scaled_rows_stop_where_one_cannot_be_learned():
    features = made(RULES["adam"], "half_squared_error", 1, scale=True)
    rows = np.array([[1.0, np.nan, 2.0], [2.0, 1.0, 5.0], [np.inf, 1.0, 0.0], [1.0, 1.0, 1.0]])
    stop = features.learn(NAMES, rows.ravel(), np.arange(4.0))
    assert (stop.diverged, stop.left, features.updates) == (False, 2, 2)
    outputs, well = features.predict((*NAMES, "unknown"), np.append(rows[1], 7.0), 1)
    assert well
    assert np.isfinite(outputs).all()
    assert not features.predict(NAMES, rows[2], 1)[1]


@pytest.mark.own_kernels
def test_what_diverges_does_not_go_back_and_growing_keeps_the_rest():
    features = made(fastnn.SGD(fastnn.StepDecay(0.1, 3, 0.5, per="update")), "cross_entropy", 1)
    features.add_output()
    features.add_features([f"f{k}" for k in range(20)])
    for k in range(600):
        assert features.learn(NAMES, np.ones(3), np.array([k % 2.0])) is None
    features._weights[:] = 1e300
    before = features._rest.copy()
    stop = features.learn(NAMES, np.full(3, 1e300), np.zeros(1))
    assert stop.diverged
    assert features._rest.tolist() == before.tolist()
    features.forget()
    assert features.updates == 0
