"""``fastnn.warmup``."""

import numba
import pytest
from numba.core.dispatcher import Dispatcher

import fastnn
from fastnn.kernels import batches, one_hidden, one_output, outputs, samples

MAKERS = (
    batches.make_gradient,
    batches.make_train_batches,
    one_hidden.make_train_one_hidden,
    one_output.make_train_one_output,
    outputs.make_loss,
    outputs.make_outputs,
    outputs.make_outputs_by_row,
    samples.make_train_samples_by_rule,
)
X, Y = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0.0, 1.0, 1.0]


@pytest.fixture
def made_ready(monkeypatch):
    """The kernels that are compiled or loaded from the disk, of which none is in memory yet."""
    if numba.config.DISABLE_JIT:
        pytest.skip("nothing is compiled with the JIT off")
    for make in MAKERS:
        make.cache_clear()
    names = []
    compile_signature = Dispatcher.compile

    def note(dispatcher, signature):
        names.append(dispatcher.__qualname__)
        return compile_signature(dispatcher, signature)

    monkeypatch.setattr(Dispatcher, "compile", note)
    return names


@pytest.mark.parametrize(
    ("optimizer", "settings"),
    [
        ("sgd", {}),
        pytest.param("adam", {}, marks=pytest.mark.slow),
        pytest.param(fastnn.SGD(momentum=0.9, clip_norm=1.0), {}, marks=pytest.mark.slow),
        pytest.param("sgd", {"l2": 0.01, "dropout": 0.5}, marks=pytest.mark.slow),
    ],
    ids=["sgd", "adam", "momentum and clipping", "penalty and dropout"],
)
def test_afterwards_training_compiles_nothing(made_ready, optimizer, settings):
    net = fastnn.Network([2, 3, 1], seed=0, **settings)
    assert fastnn.warmup(net, optimizer=optimizer) >= 0
    assert made_ready
    made_ready.clear()
    net.fit(X, Y, batch_size=1, validation_data=(X, Y), optimizer=optimizer)
    net.fit(X, Y, batch_size=2, optimizer=optimizer)
    net.partial_fit(X, Y)
    net.predict(X)
    net.evaluate(X, Y)
    assert made_ready == []


def test_afterwards_lbfgs_compiles_nothing(made_ready):
    net = fastnn.Network([2, 3, 1], seed=0)
    fastnn.warmup(net, optimizer="lbfgs")
    assert any("make_gradient" in name for name in made_ready)
    assert not any("make_train" in name for name in made_ready)
    made_ready.clear()
    net.fit(X, Y, epochs=3, validation_data=(X, Y), optimizer="lbfgs")
    assert made_ready == []


@pytest.mark.slow
def test_another_optimiser_is_compiled_later(made_ready):
    net = fastnn.Network([2, 3, 1], seed=0)
    fastnn.warmup(net, batch_sizes=[2])
    made_ready.clear()
    net.fit(X, Y, batch_size=2, optimizer="adam")
    assert len(made_ready) > 0


def test_it_changes_no_parameter():
    net = fastnn.Network([2, 3, 1], seed=0)
    before = net.parameters.tobytes()
    fastnn.warmup(net)
    assert net.parameters.tobytes() == before


@pytest.mark.parametrize(
    ("networks", "options", "error", "named"),
    [
        (("net",), {}, TypeError, "got str"),
        ((), {"batch_sizes": [0]}, ValueError, "batch_sizes"),
        ((), {"batch_sizes": ["1"]}, TypeError, "batch_sizes"),
        ((), {"optimizer": "adamm"}, ValueError, "optimizer"),
        ((), {"optimizer": None}, TypeError, "optimizer"),
    ],
)
def test_bad_arguments_are_named(networks, options, error, named):
    with pytest.raises(error, match=named):
        fastnn.warmup(*networks, **options)
