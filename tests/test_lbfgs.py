"""Training by L-BFGS."""

from __future__ import annotations

import signal

import numpy as np
import pytest
from helpers import data_for
from scipy.optimize import minimize

import fastnn
from fastnn.training import job

X, Y = data_for("half_squared_error", 20, 3, 1)


def network(engine="numpy", **options):
    return fastnn.Network([3, 5, 1], seed=2, engine=engine, **options)


def test_it_is_scipys_minimum_of_the_loss(engine):
    net, twin = network(engine, l2=0.01, l1=0.001), network(l2=0.01, l1=0.001)

    def loss_and_gradient(vector):
        return twin.set_parameters(vector).loss_and_gradient(X, Y)

    expected = minimize(
        loss_and_gradient, net.parameters.copy(), jac=True, method="L-BFGS-B",
        options={"maxiter": 15, "gtol": 1e-5},
    )  # fmt: skip
    history = net.fit(X, Y, epochs=15, optimizer="lbfgs")
    np.testing.assert_allclose(net.parameters, expected.x, rtol=1e-6)
    assert history.loss[-1] == pytest.approx(expected.fun, rel=1e-9)
    assert history.epochs == expected.nit == 15
    assert history.stop_reason == "completed"


def test_a_linear_network_reaches_the_least_squares():
    net = fastnn.Network([3, 1], seed=1, engine="numpy")
    history = net.fit(X, Y, epochs=200, optimizer=fastnn.LBFGS(tolerance=1e-9, memory=5))
    best = np.linalg.lstsq(np.hstack([X, np.ones((20, 1))]), Y, rcond=None)[0]
    np.testing.assert_allclose(net.parameters, best.ravel(), atol=1e-6)
    assert history.stop_reason == "converged"
    assert history.epochs < 50


def test_each_iterations_loss_is_the_one_after_it():
    net = network()
    history = net.fit(X, Y, epochs=3, optimizer="lbfgs", validation_data=(X, Y), metrics=["r2"])
    assert history.loss == history.val_loss
    assert history.loss[-1] == net.evaluate(X, Y)["loss"]
    assert history.loss == sorted(history.loss, reverse=True)
    assert len(history.metrics["val_r2"]) == 3


def test_float32_descends():
    net = network(dtype="float32")
    before = net.evaluate(X, Y)["loss"]
    history = net.fit(X, Y, epochs=10, optimizer="lbfgs")
    assert net.parameters.dtype == np.float32
    assert history.loss[-1] == pytest.approx(net.evaluate(X, Y)["loss"], rel=1e-6)
    assert history.loss[-1] < 0.8 * before


def test_weights_count():
    weighted, alone = network(reduction="sum"), network(reduction="sum")
    weighted.fit(X, Y, epochs=5, optimizer="lbfgs", sample_weight=np.repeat([1, 0], 10))
    alone.fit(X[:10], Y[:10], epochs=5, optimizer="lbfgs")
    np.testing.assert_allclose(weighted.parameters, alone.parameters, rtol=1e-6)


def test_the_evaluation_limit_ends_training():
    history = network().fit(X, Y, epochs=1000, optimizer=fastnn.LBFGS(max_evaluations=7))
    assert history.stop_reason == "evaluation limit"
    assert 0 < history.epochs <= 7


def test_early_stopping_restores_the_best_epoch():
    rng = np.random.default_rng(1)
    net = network()
    rule = fastnn.EarlyStopping("val_loss", patience=3, restore_best=True)
    history = net.fit(
        X, Y, epochs=500, optimizer="lbfgs", early_stopping=rule,
        validation_data=(rng.normal(size=(9, 3)), rng.normal(size=(9, 1))),
    )  # fmt: skip
    assert history.stop_reason == "early stopping"
    assert history.val_loss[history.best_epoch - 1] == min(history.val_loss)
    rng = np.random.default_rng(1)
    loss = net.evaluate(rng.normal(size=(9, 3)), rng.normal(size=(9, 1)))["loss"]
    assert loss == min(history.val_loss)


class StopAt:
    def __init__(self, epoch):
        self.epoch = epoch
        self.losses = []

    def on_epoch_end(self, network, epoch, logs):
        self.losses.append((network.evaluate(X, Y)["loss"], logs["loss"]))
        return epoch == self.epoch


def test_callbacks_see_each_iteration_and_can_end_training():
    callback = StopAt(4)
    history = network().fit(X, Y, epochs=50, optimizer="lbfgs", callbacks=[callback])
    assert history.stop_reason == "callback"
    assert history.epochs == 4
    assert all(seen == logged for seen, logged in callback.losses)


def test_a_callback_that_raises_leaves_network_and_history_whole():
    class Raises:
        def on_epoch_end(self, network, epoch, logs):
            if epoch == 3:
                raise RuntimeError("no more")

    net = network()
    with pytest.raises(RuntimeError, match="no more"):
        net.fit(X, Y, epochs=50, optimizer="lbfgs", callbacks=[Raises()])
    assert net.history.epochs == 3
    assert net.history.stop_reason == "error"
    assert net.evaluate(X, Y)["loss"] == net.history.loss[-1]


def test_a_loss_that_is_not_finite_is_divergence():
    net = fastnn.Network([1, 1], seed=1, engine="numpy")
    before = net.parameters.tobytes()
    with pytest.raises(
        fastnn.TrainingDivergedError, match=r"epoch 1: .* optimizer='adam', or "
    ) as error:
        net.fit([[1e200]], [[-1e200]], optimizer="lbfgs")
    assert "learning_rate" not in str(error.value)
    assert net.parameters.tobytes() == before
    assert net.history.stop_reason == "diverged"


class PressesCtrlC:
    def on_epoch_end(self, network, epoch, logs):
        if epoch == 2:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("long_seconds", [0.0, 1e9])
def test_ctrl_c_ends_training_and_keeps_the_parameters(default_ctrl_c, monkeypatch, long_seconds):
    monkeypatch.setattr(job, "LONG_SECONDS", long_seconds)
    net = network()
    history = net.fit(X, Y, epochs=500, optimizer="lbfgs", callbacks=[PressesCtrlC()])
    assert (history.stop_reason, history.epochs) == ("interrupted", 2)
    assert net.evaluate(X, Y)["loss"] == history.loss[-1]


def test_the_optimiser_before_is_forgotten():
    net = network()
    net.fit(X, Y, optimizer="adam", epochs=3)
    net.fit(X, Y, optimizer="lbfgs", epochs=3)
    assert not net._state.moments.any()


@pytest.mark.parametrize(
    ("options", "arguments", "message"),
    [
        ({"dropout": 0.5}, {}, "loss without chance"),
        ({"max_norm": 1.0}, {}, "max_norm=1"),
        ({}, {"learning_rate": 0.1}, "has no learning rate"),
    ],
)
def test_what_it_cannot_do_is_refused(options, arguments, message):
    net = network(**options)
    before = net.parameters.tobytes()
    with pytest.raises(ValueError, match=message):
        net.fit(X, Y, optimizer="lbfgs", **arguments)
    assert net.parameters.tobytes() == before


def test_small_integers_are_integers():
    assert fastnn.LBFGS(memory=np.int8(10), max_evaluations=np.int8(5)) == fastnn.LBFGS(5)
    assert type(fastnn.LBFGS(memory=np.int8(10)).memory) is int


@pytest.mark.parametrize("bad", [{"max_evaluations": 0}, {"memory": 0}, {"tolerance": -1.0}])
def test_bad_settings_are_named(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        fastnn.LBFGS(**bad)
