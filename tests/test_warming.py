"""``fastnn.warmup``, and what it is made of."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numba
import pytest
from numba.core.dispatcher import Dispatcher

import fastnn
from fastnn import machine
from fastnn.kernels import (
    batches,
    engine,
    one_hidden,
    one_output,
    outputs,
    row_outputs,
    samples_by_rule,
)
from fastnn.warming import Warmup, steps

MAKERS = (
    batches.make_gradient,
    batches.make_train_batches,
    one_hidden.make_train_one_hidden,
    one_output.make_train_one_output,
    outputs.make_loss,
    outputs.make_outputs,
    row_outputs.make_outputs_by_row,
    samples_by_rule.make_kernels,
)
X, Y = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0.0, 1.0, 1.0]


@pytest.fixture
def made_ready(monkeypatch):
    """The kernels that are compiled or loaded from the disk, of which none is in memory yet."""
    if numba.config.DISABLE_JIT:
        pytest.skip("nothing is compiled with the JIT off")
    for make in MAKERS:
        for made in (make, make.__wrapped__.__wrapped__):  # as given, and as it is understood
            made.cache_clear()
    for chosen in (engine._sample_kernel, engine._sample_kernels_by_rule):
        chosen.cache_clear()
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
    done = fastnn.warmup(net, optimizer=optimizer)
    assert len(done.compiled) + len(done.loaded) >= 5  # two trainers, loss, few and many outputs
    assert made_ready
    made_ready.clear()
    net.fit(X, Y, batch_size=1, validation_data=(X, Y), optimizer=optimizer, epochs=1)
    net.fit(X, Y, batch_size=2, optimizer=optimizer, epochs=1)
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
    net.fit(X, Y, batch_size=2, optimizer="adam", epochs=1)
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


def test_it_says_what_it_did():
    done = Warmup(2.51, ("train_batches", "outputs"), ("total_loss",))
    assert str(done) == "2 kernels compiled and 1 taken from the disk in 2.5 s"


def test_the_steps_are_each_optimiser_and_kind_of_batch_then_losses_and_predictions():
    net = fastnn.Network([2, 3, 1], activation="tanh", dtype="float32")
    what = "2-3-1 (tanh, identity; half_squared_error; float32): "
    assert [str(step) for step in steps([net], [1, 8, 32], ["adam", "lbfgs"])] == [
        f"{what}fit sample by sample, adam",
        f"{what}fit in batches, adam",
        f"{what}fit, lbfgs",
        f"{what}predict a few rows",
        f"{what}predict many rows",
    ]


WARM_UP_AS_ROOT = """
import sys
from fastnn.cli import main
sys.exit(main("warmup --layers 2,3,1 --optimizer adam --jobs 2".split() + sys.argv[1:]))
"""
USE_AS_NOBODY = """
import os
import fastnn
from fastnn.kernels import cache, engine, jit

def use(net):
    X, y = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]] * 5, [0.0, 1.0, 1.0] * 5
    for size in (1, 8):
        net.fit(X, y, batch_size=size, optimizer="adam", validation_data=(X, y))
    net.predict(X), net.predict(X[:1])

jit.kernel(lambda x: x)(1)  # all that has to be imported is, from where root only may read
use(fastnn.Network([2, 3, 1], engine="numpy"))
before = len(cache.compiled)
os.setgid(65534)
os.setuid(65534)
use(fastnn.Network([2, 3, 1]))
print(len(cache.compiled) - before, len(cache.loaded))
"""


@pytest.mark.slow
@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled with the JIT off")
@pytest.mark.skipif(
    getattr(os, "geteuid", lambda: 1)() != 0, reason="only root can become another user"
)
@pytest.mark.parametrize("level", [None, "x86-64-v2"])
def test_in_an_image_that_is_read_only_another_user_compiles_nothing(level):
    if level is not None and level not in machine.levels():
        pytest.skip(f"this machine has no level {level}")
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to others
        os.chmod(folder, 0o755)
        options = [] if level is None else ["--cpu", level]
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        run_python(environment, WARM_UP_AS_ROOT, *options)
        for path in Path(folder).rglob("*"):
            path.chmod(0o555)
        if level is not None:
            environment |= {
                "NUMBA_CPU_NAME": level, "NUMBA_CPU_FEATURES": machine.levels()[level]
            }  # fmt: skip
        compiled, loaded = map(int, run_python(environment, USE_AS_NOBODY).split())
        assert compiled == 0
        assert loaded > 0


def run_python(environment, code, *arguments):
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
