"""The contract between the training loop and the engines, on the training loop's side."""

from __future__ import annotations

import fractions

import numpy as np
import pytest
from helpers import ENGINES, SLICINGS, data_for
from imports import modules_in_package, names_in_package, reached
from numba.core.dispatcher import Dispatcher

import fastnn
from fastnn import engines
from fastnn.engines import StopsToRecord, get_engine, losses_one_by_one, outputs_one_by_one
from fastnn.kernels import engine as kernels
from fastnn.reference import loops, vectors
from fastnn.training import cuts


class Watching:
    """The NumPy engine, with an eye on what reaches it."""

    def __init__(self, dtype):
        self.dtype = np.dtype(dtype)
        self.pieces = 0

    def array(self, array, dtype, writeable):
        assert type(array) is np.ndarray
        assert array.dtype == dtype
        assert array.dtype.isnative
        assert array.flags.c_contiguous, array.strides
        assert array.flags.aligned
        assert array.flags.writeable == writeable

    def parameters(self, architecture, parameters):
        self.array(parameters, self.dtype, writeable=True)
        assert parameters.shape == (architecture.n_parameters,)

    def state(self, architecture, state):
        self.parameters(architecture, state.parameters)
        self.array(state.moments, self.dtype, writeable=True)
        self.array(state.updates, np.int64, writeable=True)
        assert state.moments.shape[1:] == state.parameters.shape
        assert state.updates.shape == (1,)

    def samples(self, architecture, samples):
        self.array(samples.X, self.dtype, writeable=False)
        self.array(samples.Y, self.dtype, writeable=False)
        n = len(samples)
        assert samples.X.shape == (n, architecture.sizes[0])
        assert samples.Y.shape == (n, architecture.sizes[-1])

    def piece(self, samples, batch_size, piece):
        self.pieces += 1
        epochs, n = len(piece.rates), len(samples)
        self.array(piece.rates, np.float64, writeable=True)
        self.array(piece.loss_sums, np.float64, writeable=True)
        self.array(piece.penalty_sums, np.float64, writeable=True)
        self.array(piece.order, np.int64, writeable=True)
        updates = -(-(piece.stop - piece.start) // batch_size)
        assert piece.rates.shape in ((epochs, 1), (epochs, updates))
        assert piece.loss_sums.shape == piece.penalty_sums.shape == (epochs,)
        assert piece.order.shape in ((epochs, n), (0, n))
        assert 0 <= piece.start < piece.stop <= n
        assert epochs == 1 or (piece.start, piece.stop) == (0, n)
        assert piece.start % batch_size == 0
        assert piece.stop % batch_size == 0 or piece.stop == n
        for order in piece.order:
            assert sorted(order) == list(range(n))

    may_be_left = False

    def shuffler(self, numbers):
        def shuffle(rngs, orders, goes_on=False):
            self.array(orders, np.int64, writeable=True)
            assert len(rngs) == orders.shape[1]
            vectors.shuffler(numbers)(rngs, orders, goes_on)

        return shuffle

    def row_seconds(self, architecture, plan):
        return vectors.row_seconds(architecture, plan)

    def trainer(self, architecture, plan):
        inner = vectors.trainer(architecture, plan)
        watching = self

        class Trainer(StopsToRecord):
            def run(self, state, samples, piece):
                assert 1 <= plan.batch_size <= len(samples)
                assert plan.weighted == (samples.weights is not None)
                watching.samples(architecture, samples)
                watching.state(architecture, state)
                watching.piece(samples, plan.batch_size, piece)
                inner.run(state, samples, piece)

        return Trainer()

    def evaluator(self, architecture, weighted, sparse=False):
        evaluate = vectors.evaluator(architecture, weighted)

        def evaluate_watched(parameters, samples):
            assert weighted == (samples.weights is not None)
            self.samples(architecture, samples)
            self.parameters(architecture, parameters)
            return evaluate(parameters, samples)

        return evaluate_watched

    def each_loss(self, architecture, weighted):
        return losses_one_by_one(self.evaluator, architecture, weighted)

    def each_output(self, architecture, sparse=False):
        return outputs_one_by_one(self.predictor, architecture, sparse)

    def predictor(self, architecture, sparse=False):
        predict = vectors.predictor(architecture)

        def predict_watched(parameters, X):
            self.parameters(architecture, parameters)
            self.array(X, self.dtype, writeable=False)
            return predict(parameters, X)

        return predict_watched


@pytest.mark.parametrize("slicing", ["as it is", "64 rows a piece", "three epochs a piece"])
@pytest.mark.parametrize(("dtype", "shuffle"), [("float64", True), ("float32", False)])
@pytest.mark.parametrize("per", ["epoch", "update"])
@pytest.mark.parametrize("batch_size", [1, 7, None])
def test_what_reaches_an_engine_is_what_the_contract_says(
    monkeypatch, batch_size, per, shuffle, slicing, dtype
):
    """One array type each, whatever the user's arrays were: kernels are compiled only once."""
    for name, value in SLICINGS[slicing].items():
        monkeypatch.setattr(cuts, name, value)
    engine = Watching(dtype)
    for where in ("fastnn.network", "fastnn.training.job"):
        monkeypatch.setattr(f"{where}.get_engine", lambda name: engine)
    net = fastnn.Network([2, 3, 1], dtype=dtype)
    X, y = data_for("half_squared_error", 150, 2, 1)
    net.fit(
        np.asfortranarray(X.astype(">f4")), y[::-1].tolist(), epochs=5, batch_size=batch_size,
        shuffle=shuffle, validation_data=(X[::3].astype(np.float32), y[::3]),
        optimizer="adam", learning_rate=fastnn.StepDecay(0.01, 2, per=per),
        metrics=["r2"], early_stopping=fastnn.EarlyStopping(patience=2),
    )  # fmt: skip
    assert engine.pieces > 0


@pytest.mark.parametrize("rate", [1, np.float32(0.1), np.int8(1), fractions.Fraction(1, 3)])
def test_rates_reach_an_engine_as_float64(monkeypatch, rate):
    engine = Watching("float64")
    for where in ("fastnn.network", "fastnn.training.job"):
        monkeypatch.setattr(f"{where}.get_engine", lambda name: engine)
    fastnn.Network([1, 1]).fit([1.0], [1.0], optimizer=fastnn.SGD(rate))
    assert engine.pieces > 0


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", [1, 7])
def test_nothing_is_compiled_once_training_has_begun(batch_size, shuffle, monkeypatch):
    """What `trainer` compiled is what every piece runs, so `history.seconds` has no compilation.

    Nor is anything loaded: what one run of the tests compiled too much, the next has on the disk.
    """
    net = fastnn.Network([2, 3, 1], seed=0)
    X, y = data_for("half_squared_error", 40, 2, 1)
    net.fit(X, y, batch_size=batch_size, shuffle=False, validation_data=(X, y), epochs=1)
    compiled, compile_signature = [], Dispatcher.compile

    def note(dispatcher, signature):
        compiled.append((dispatcher.__qualname__, signature))
        return compile_signature(dispatcher, signature)

    with monkeypatch.context() as patch:
        patch.setattr(Dispatcher, "compile", note)
        for epochs in (1, 2, 5):
            net.fit(
                np.asfortranarray(X), y.tolist(), epochs=epochs, batch_size=batch_size,
                shuffle=shuffle, validation_data=(X[::2], y[::2]),
            )  # fmt: skip
    assert compiled == []


def test_the_reference_engines_import_nothing_from_the_kernels():
    """Nor by way of other modules, so that neither can hide the other's mistakes."""
    needs, names = modules_in_package(), names_in_package()
    modules = {name for name in needs if name.startswith("fastnn.reference")}
    assert len(modules) > 9
    imported = modules.union(*(reached(module, needs) for module in modules))
    assert not [name for name in imported if name.startswith("fastnn.kernels")]
    assert not [name for name in imported if any(n.split(".")[0] == "numba" for n in names[name])]


#: By name: other tests hold engines against each other, and would not see one in another's place.
MODULES = {"numba": kernels, "numpy": vectors, "python": loops}


@pytest.mark.parametrize("name", MODULES)
def test_engines_are_found_by_name(name):
    assert get_engine(name) is MODULES[name]


def test_the_tests_run_over_every_engine():
    assert set(ENGINES) == set(MODULES) == set(engines._MODULES)


@pytest.mark.parametrize(("name", "kind"), [("numbe", ValueError), (None, TypeError)])
def test_unknown_engines(name, kind):
    with pytest.raises(kind, match=r"^engine"):
        get_engine(name)
