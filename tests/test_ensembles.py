"""An ensemble is its networks: how they start, what they learn from, and what they say together."""

from __future__ import annotations

import copy
import json
import pickle

import matplotlib as mpl
import numpy as np
import pytest
from helpers import NUMBA_SLOW, data_for, random_state

import fastnn
from fastnn.errors import LoadError
from fastnn.files import read, write

mpl.use("Agg")
X, Y = data_for("half_squared_error", 30, 3, 2)


def ensemble(n_networks=5, **options):
    return fastnn.Ensemble([3, 4, 2], n_networks, **{"seed": 3, "engine": "numpy"} | options)


def bits(ensemble):
    """All that decides how it goes on."""
    return [
        (net.parameters.tobytes(), random_state(net._rng), repr(net), net.history, net._dropout_key)
        for net in ensemble.networks
    ]


def trained(bootstrap=True, **options):
    own = ensemble(bootstrap=bootstrap, **options)
    own.fit(X, Y, epochs=3, optimizer="adam")
    return own


# --- members ------------------------------------------------------------------------------------


def test_the_seed_decides_how_networks_start_and_they_differ():
    assert bits(ensemble()) == bits(ensemble())
    starts = {
        net.parameters.tobytes() for net in (*ensemble().networks, *ensemble(seed=4).networks)
    }
    assert len(starts) == 10
    assert bits(ensemble(8))[:5] == bits(ensemble())
    unseeded = {net.parameters.tobytes() for k in range(2) for net in ensemble(seed=None).networks}
    assert len(unseeded) == 10


def test_a_generator_as_seed_is_drawn_from():
    rng = np.random.default_rng(3)
    first, second = ensemble(seed=rng), ensemble(seed=rng)
    assert bits(first) != bits(second)
    assert bits(first) == bits(ensemble(seed=np.random.default_rng(3)))


@pytest.mark.parametrize("engine", NUMBA_SLOW)
def test_each_network_learns_as_alone(engine):
    own = ensemble(40, engine=engine)
    alone = copy.deepcopy(own)
    rates = np.linspace(0.01, 0.2, 40)
    histories = own.fit(X, Y, each={"learning_rate": rates}, epochs=3, n_jobs=2)
    for net, rate, history, together in zip(
        alone.networks, rates, histories, own.networks, strict=True
    ):
        expected = net.fit(X, Y, epochs=3, learning_rate=rate)
        np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-12)
        np.testing.assert_allclose(together.parameters, net.parameters, rtol=1e-11, atol=1e-13)
        assert together.history is history


def test_a_bootstrap_is_drawn_with_replacement_by_network_and_the_same_again():
    taken = []

    def noted(targets, outputs):
        taken.append(targets[:, 0].tolist())
        return 0.0

    own = ensemble(bootstrap=True)
    own.fit(X, Y, metrics=[noted], epochs=1)
    own.fit(X, Y, metrics=[noted], epochs=1)
    assert taken[:5] == taken[5:]
    for rows in taken:
        assert len(rows) == len(X)
        assert 10 < len(set(rows)) < 27  # 19 are expected
        assert set(rows) <= set(Y[:, 0])
    assert len({tuple(rows) for rows in taken}) == 5


# --- predictions --------------------------------------------------------------------------------


def test_mean_spread_and_quantiles_are_those_over_the_networks():
    own = trained()
    each = np.array([net.predict(X) for net in own.networks])
    mean, std = own.predict(X, return_std=True)
    np.testing.assert_allclose(own.predict_all(X), each, rtol=1e-13)
    np.testing.assert_allclose(mean, sum(each) / 5, rtol=1e-13)
    np.testing.assert_allclose(std, np.sqrt(sum((each - mean) ** 2) / 5), rtol=1e-11)
    assert np.array_equal(own.predict(X), mean)
    low, median, high = own.predict_quantiles(X, [0, 0.5, 1])
    np.testing.assert_array_equal(low, own.predict_all(X).min(axis=0))
    np.testing.assert_array_equal(median, np.sort(own.predict_all(X), axis=0)[2])
    np.testing.assert_array_equal(high, own.predict_all(X).max(axis=0))


def test_outputs_have_the_dtype_of_the_networks():
    own = ensemble(dtype="float32")
    values = (*own.predict(X, return_std=True), own.predict_quantiles(X, [0.5]))
    assert {value.dtype for value in values} == {np.dtype(np.float32)}


LOSSES = {
    "cross_entropy": (lambda p, y: -np.sum(y * np.log(p), axis=1), "accuracy"),
    "binary_cross_entropy": (
        lambda p, y: -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p), axis=1), "accuracy",
    ),
    "squared_error": (lambda a, y: np.mean((a - y) ** 2, axis=1), "r2"),
    "poisson": (
        lambda a, y: np.mean(a - y * np.log(a) + y * np.log(np.maximum(y, 1)) - y, axis=1), "r2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("loss", LOSSES)
def test_evaluate_is_of_the_mean_outputs(loss):
    inputs, targets = data_for(loss, 30, 3, 2)
    own = ensemble(loss=loss, l2=0.1)
    formula, metric = LOSSES[loss]
    expected = formula(own.predict(inputs), targets).mean()
    scores = own.evaluate(inputs, targets)
    assert list(scores) == ["loss", metric]
    assert scores["loss"] == pytest.approx(expected, rel=1e-12)
    weights = np.arange(30.0)
    weighted = own.evaluate(inputs, targets, sample_weight=weights, metrics=["r2"])
    losses = formula(own.predict(inputs), targets)
    assert weighted["loss"] == pytest.approx((weights * losses).mean(), rel=1e-12)


def test_evaluate_of_sigmoid_outputs_with_another_loss():
    own = ensemble(output_activation="sigmoid")
    loss = (0.5 * (own.predict(X) - Y) ** 2).sum(axis=1).mean()
    assert own.evaluate(X, Y)["loss"] == pytest.approx(loss, rel=1e-13)


#: A loss, parameters of a network [1, n] with W = 0, a target, and the loss, of which the outputs
#: say no longer what it is.
STEEP = [
    ("binary_cross_entropy", [0, 30.0], 0, 30.0),
    ("cross_entropy", [0, 0, 0, 1000.0], 0, 1000.0),
    ("poisson", [0, -1000.0], 3, 2997.0 + 3 * np.log(3)),
    ("poisson", [0, 1000.0], 3, np.inf),
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("loss", "parameters", "y", "expected"), STEEP)
def test_networks_that_are_the_same_have_the_ensembles_loss(loss, parameters, y, expected, dtype):
    own = fastnn.Ensemble(
        [1, len(parameters) // 2], 3, loss=loss, dtype=dtype, engine="numpy", seed=0
    )
    for net in own.networks:
        net.set_parameters(parameters)
    losses = [one.evaluate([[0.0]], [y])["loss"] for one in (own, own.networks[0])]
    assert losses == pytest.approx([expected] * 2, rel=1e-6)


def test_a_bootstrap_takes_no_split_as_the_argument_that_it_is_by_default():
    histories = ensemble(bootstrap=True).fit(X, Y, epochs=1, validation_split=None)
    assert len(histories) == 5


def test_the_band_is_mean_and_deviations_in_order_of_x():
    own = fastnn.Ensemble([1, 4, 1], 4, seed=1, engine="numpy")
    x = np.array([[2.0], [-1.0], [0.5]])
    ax = own.plot_band(x, n_std=3)
    mean, std = own.predict(np.sort(x, axis=0), return_std=True)
    [line], [band] = ax.lines, ax.collections
    np.testing.assert_array_equal(line.get_xdata(), [-1.0, 0.5, 2.0])
    np.testing.assert_array_equal(line.get_ydata(), mean[:, 0])
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.max() == pytest.approx((mean + 3 * std).max())
    assert heights.min() == pytest.approx((mean - 3 * std).min())
    assert own.plot_band(x, ax) is ax
    mpl.pyplot.close(ax.figure)


# --- files and copies ---------------------------------------------------------------------------


def through_file(own, tmp_path):
    own.save(tmp_path / "ensemble.safetensors")
    return fastnn.Ensemble.load(tmp_path / "ensemble.safetensors")


COPIES = {
    "file": through_file,
    "pickle": lambda own, _: pickle.loads(pickle.dumps(own)),
    "deepcopy": lambda own, _: copy.deepcopy(own),
}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("bootstrap", [False, True])
def test_a_copy_goes_on_with_the_same_bits(way, bootstrap, tmp_path):
    own = trained(bootstrap, dropout=0.1)
    twin = COPIES[way](own, tmp_path)
    assert repr(twin) == repr(own)
    assert bits(twin) == bits(own)
    for one in (own, twin):
        one.fit(X, Y, epochs=2, optimizer="adam")
    assert [net.history.loss for net in twin.networks] == [net.history.loss for net in own.networks]
    assert np.array_equal(twin.predict(X), own.predict(X))


def changed(texts, tensors, change):
    about = json.loads(texts["ensemble"])
    change(texts, tensors, about)
    texts["ensemble"] = json.dumps(about)
    return {n: t for n, t in texts.items() if n not in METADATA}, tensors


METADATA = ("format", "format_version", "fastnn_version", "sha256")
DAMAGED = {
    "fewer than there are": (lambda _, __, a: a.update(n_networks=4), "it lacks '4'"),
    "more than there are": (lambda _, __, a: a.update(n_networks=6), "it lacks"),
    "far too many": (lambda _, __, a: a.update(n_networks=10**9), "n_networks must be at most"),
    "none": (lambda _, __, a: a.update(n_networks=0), "n_networks must be at least 1"),
    "no number": (lambda _, __, a: a.update(n_networks="5"), "n_networks must be a whole number"),
    "no key": (lambda _, __, a: a.pop("key"), "it lacks 'key'"),
    "a key below 0": (lambda _, __, a: a.update(key=-1), "key must be at least 0"),
    "bootstrap": (lambda _, __, a: a.update(bootstrap=2), "bootstrap must be True or False"),
    "no network": (lambda texts, _, __: texts.pop("network"), "it lacks 'network'"),
    "no optimiser": (lambda texts, _, __: texts.pop("2.optimizer"), "it lacks 'optimizer'"),
    "no parameters": (lambda _, t, __: t.pop("1.state.parameters"), "lacks 'state.parameters'"),
    "a strange tensor": (lambda _, t, __: t.update({"0.a": np.zeros(1)}), "unexpected tensors: a"),
    "one without number": (lambda _, t, __: t.update({"a": np.zeros(1)}), "it lacks 'a'"),
    "a strange network": (lambda _, t, __: t.update({"01.a": np.zeros(1)}), "it lacks '01'"),
    "a wrong size": (
        lambda _, t, __: t.update({"3.state.parameters": np.zeros(25)}), "ask for 26 parameters",
    ),
    "another dtype": (
        lambda _, t, __: t.update({"3.state.parameters": np.zeros(26, np.float32)}),
        "state.parameters must be float64",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED)
def test_a_file_that_does_not_fit_together_is_refused(case, tmp_path):
    path = tmp_path / "ensemble.safetensors"
    trained().save(path)
    change, message = DAMAGED[case]
    write(path, *changed(*read(str(path)), change))
    with pytest.raises(LoadError, match=message):
        fastnn.Ensemble.load(path)


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "ensemble.safetensors"
    ensemble().save(path)
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(LoadError, match="does not match its SHA-256"):
        fastnn.Ensemble.load(path)


def test_files_of_networks_and_of_ensembles_are_told_apart(tmp_path):
    own, path = ensemble(), tmp_path / "file"
    own.save(path)
    with pytest.raises(LoadError, match=r"it holds an ensemble: read it by fastnn.Ensemble.load"):
        fastnn.load(path)
    own.networks[0].save(path)
    with pytest.raises(LoadError, match=r"it holds no ensemble; fastnn.load reads networks"):
        fastnn.Ensemble.load(path)


# --- bad input ----------------------------------------------------------------------------------

BAD = {
    "no networks": (lambda: ensemble(0), ValueError, "n_networks must be at least 1, got 0"),
    "2.5 networks": (lambda: ensemble(2.5), TypeError, "n_networks must be a whole number"),
    "bootstrap": (lambda: ensemble(bootstrap=1), TypeError, "bootstrap must be True or False"),
    "seed": (lambda: ensemble(seed="a"), TypeError, "seed must be"),
    "layers": (lambda: fastnn.Ensemble([3]), ValueError, "layer_sizes"),
    "a loss": (lambda: ensemble(loss="mse"), ValueError, "Did you mean 'squared_error'"),
    "unknown": (lambda: ensemble(los="huber"), TypeError, "no argument 'los'. Did you mean 'loss'"),
    "split": (
        lambda: ensemble(bootstrap=True).fit(X, Y, validation_split=0.2),
        ValueError, "validation_split was given to an ensemble with bootstrap=True",
    ),
    "split in each": (
        lambda: ensemble(bootstrap=True).fit(X, Y, each={"validation_split": [0.2] * 5}),
        ValueError, "validation_split was given to an ensemble with bootstrap=True",
    ),
    "each no dict": (
        lambda: ensemble(bootstrap=True).fit(X, Y, each=[1]), TypeError, "each must be a dict",
    ),
    "each": (
        lambda: ensemble().fit(X, Y, each={"epochs": [1, 2]}), ValueError, "each of the 5 networks",
    ),
    "an argument": (lambda: ensemble().fit(X, Y, epoch=3), TypeError, "Did you mean 'epochs'"),
    "return_std": (lambda: ensemble().predict(X, return_std=1), TypeError, "return_std must be"),
    "X": (lambda: ensemble().predict(X[:, :2]), ValueError, "X must have shape"),
    "quantiles": (
        lambda: ensemble().predict_quantiles(X, [0.5, 1.5]),
        ValueError, r"quantiles must be a list of numbers from 0 to 1, got \[0.5, 1.5\]",
    ),
    "a quantile": (
        lambda: ensemble().predict_quantiles(X, 0.5), ValueError, "quantiles must be a list",
    ),
    "nan": (
        lambda: ensemble().predict_quantiles(X, [np.nan]), ValueError, "quantiles must be a list",
    ),
    "no quantiles": (lambda: ensemble().predict_quantiles(X, []), ValueError, "quantiles"),
    "words": (lambda: ensemble().predict_quantiles(X, ["a"]), (TypeError, ValueError), "quantiles"),
    "a band of three": (lambda: ensemble().plot_band(X), ValueError, "one input, got 3 inputs"),
    "n_std": (lambda: ensemble().plot_band(X, n_std=-1), ValueError, "n_std must be at least 0"),
    "y": (lambda: ensemble().evaluate(X, Y[:, :1]), ValueError, "y must have shape"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_are_refused(case):
    make, error, message = BAD[case]
    with pytest.raises(error, match=message):
        make()


def test_the_text_says_what_it_is():
    assert repr(ensemble(bootstrap=True)).startswith(
        "Ensemble(n_networks=5, bootstrap=True, layer_sizes=[3, 4, 2], activations="
    )


def test_subsets_are_not_an_ensembles():
    ensemble = fastnn.Ensemble([1, 2, 1], n_networks=2, seed=0)
    with pytest.raises(TypeError, match=r"Ensemble.fit has no argument 'subsets'.*fit_many"):
        ensemble.fit([[0.0]], [0.0], subsets=[[0], [0]])
