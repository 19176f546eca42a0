"""Training on sparse inputs: the course is that of the same numbers in a dense array."""

from __future__ import annotations

import copy
import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
from helpers import ENGINES, NUMBA_SLOW, SLICINGS, in_turn, slow_but, unchanged
from runs import use
from sparse_inputs import DENSE, WEIGHTS, N, X, Y, awkward, close, network

import fastnn
from fastnn import contract
from fastnn.engines import get_engine
from fastnn.kernels import sparse_batches
from fastnn.sparse import SparseRows

PENALTIES = {"none": {}, "l2": {"l2": 0.01}, "l1": {"l1": 0.01}, "norm": {"max_norm": 0.9}}
RULES = {
    "sgd": fastnn.SGD(0.1),
    "momentum": fastnn.SGD(0.05, momentum=0.9),
    "nesterov": fastnn.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    "clipped": fastnn.SGD(0.1, clip_value=0.02, clip_norm=0.05),
    "clipped momentum": fastnn.SGD(0.1, momentum=0.5, clip_norm=0.05, weight_decay=0.1),
    "rmsprop": fastnn.RMSprop(0.01),
    "adagrad": fastnn.Adagrad(0.05),
    "adam": fastnn.Adam(0.01),
    "adamw": fastnn.AdamW(0.01),
}
#: What becomes of weights whose input does not occur, by rule and penalty.
WAYS = {
    ("sgd", "none"): sparse_batches.STILL,
    ("clipped", "none"): sparse_batches.STILL,
    ("adagrad", "none"): sparse_batches.STILL,
    ("sgd", "l2"): sparse_batches.DRIFTING,
    ("momentum", "none"): sparse_batches.DRIFTING,
    ("momentum", "l2"): sparse_batches.DRIFTING,
    ("nesterov", "none"): sparse_batches.DRIFTING,
    ("nesterov", "l2"): sparse_batches.DRIFTING,
    ("clipped momentum", "none"): sparse_batches.DRIFTING,
    ("rmsprop", "none"): sparse_batches.DRIFTING,
}
#: The kernel of the quicker pass; the others take the machine some seconds each to compile.
QUICKLY_COMPILED = ("numba", "sgd", "none")
#: With penalties that each rule would take a kernel for: one of each way.
WITH_PENALTIES = {
    ("sgd", "l2"), ("momentum", "l2"), ("adagrad", "l1"), ("rmsprop", "norm"), ("adam", "l2")
}  # fmt: skip


def courses():
    """Engine, rule and penalty: slow but with NumPy, and where kernels are compiled anyway."""
    for engine, rule, penalty in itertools.product(ENGINES, RULES, PENALTIES):
        if engine == "numba" and penalty != "none" and (rule, penalty) not in WITH_PENALTIES:
            continue
        fast = (engine, rule, penalty) == QUICKLY_COMPILED
        fast |= engine == "numpy" and penalty in ("none", "l2")
        yield pytest.param(engine, rule, penalty, marks=[] if fast else pytest.mark.slow)


@in_turn("way", [(rule, penalty) for rule in RULES for penalty in PENALTIES])
def test_what_becomes_of_weights_whose_input_does_not_occur(way):
    architecture = network("numpy", **PENALTIES[way[1]])._architecture
    plan = contract.Plan(7, RULES[way[0]], sparse=True)
    assert sparse_batches.way_of(architecture, plan) == WAYS.get(way, sparse_batches.DENSE)


@pytest.mark.parametrize(("engine", "rule", "penalty"), list(courses()))
def test_training_is_that_with_dense_inputs(engine, rule, penalty, monkeypatch):
    """Windows end within epochs and with them; drifting weights are looked at late."""
    monkeypatch.setattr(contract, "WINDOWS", (4, 4))
    batch_sizes = (7,) if engine == "python" else (1, 7, None)
    for batch_size in batch_sizes:
        check_course(engine, batch_size, RULES[rule], **PENALTIES[penalty])
    if engine != "numba":
        check_course(engine, 7, RULES[rule], dropout=0.3, **PENALTIES[penalty])


def check_course(engine, batch_size, rule, sample_weight=None, **options):
    nets = [network(name, **options) for name in (engine, "numpy")]
    sparse, dense = (
        net.fit(data, Y, epochs=5, batch_size=batch_size, optimizer=rule,
                sample_weight=sample_weight)
        for net, data in zip(nets, (X, DENSE), strict=True)
    )  # fmt: skip
    np.testing.assert_allclose(sparse.loss, dense.loss, rtol=1e-9)
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(
        nets[0]._state.moments, nets[1]._state.moments, rtol=1e-9, atol=1e-11
    )


@in_turn("rule", ["sgd", "nesterov", "rmsprop", "adam"])
@pytest.mark.parametrize("engine", NUMBA_SLOW)
def test_weights_of_samples(engine, rule):
    check_course(engine, 7, RULES[rule], sample_weight=WEIGHTS, l2=0.01)


OTHERS = [{"dtype": "float32"}, {"bias": False}, {"activation": "gelu"}, {"dropout": 0.3}]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "options"),
    [  # every second of all, in a pattern of squares
        (rule, options)
        for (i, rule), (k, options) in itertools.product(enumerate(RULES), enumerate(OTHERS))
        if (i + k) % 2 == 0
    ],
)
def test_kernels_of_other_networks(rule, options):
    numba, numpy = network("numba", (17,), **options), network("numpy", (17,), **options)
    curves = [
        net.fit(X, Y, epochs=3, batch_size=7, optimizer=RULES[rule]).loss for net in (numba, numpy)
    ]
    close(*curves, numba.dtype)
    close(numba.parameters, numpy.parameters, numba.dtype)


@pytest.mark.parametrize("slicing", ["64 rows a piece", "one epoch a piece", "all in one piece"])
@pytest.mark.parametrize("rule", slow_but(["sgd"], ["sgd", "nesterov", "rmsprop"]))
def test_how_epochs_are_cut_changes_no_bit(slicing, rule, monkeypatch):
    monkeypatch.setattr(contract, "WINDOWS", (4, 4))
    rows, targets = awkward(150), np.arange(150) % 3
    parameters = []
    for way in (slicing, "as it is"):
        with monkeypatch.context() as patch:
            use(patch, way)
            net = network("numba", l2=0.01 if rule == "nesterov" else 0.0)
            net.fit(rows, targets, epochs=3, batch_size=7, optimizer=RULES[rule])
        parameters.append(net.parameters.tobytes())
    assert parameters[0] == parameters[1]
    assert slicing in SLICINGS


@pytest.mark.parametrize("engine", NUMBA_SLOW)
def test_what_goes_with_training(engine):
    nets = [network(engine) for _ in range(2)]
    logs = [
        net.fit(data, Y, epochs=6, batch_size=8, class_weight="balanced", metrics=["accuracy"],
                validation_split=0.2, early_stopping=fastnn.EarlyStopping("val_loss", patience=1,
                restore_best=True))
        for net, data in zip(nets, (X, DENSE), strict=True)
    ]  # fmt: skip
    assert logs[0].epochs == logs[1].epochs
    close(logs[0].val_loss, logs[1].val_loss)
    close(nets[0].parameters, nets[1].parameters)


@pytest.mark.parametrize("engine", NUMBA_SLOW)
def test_minimising_by_lbfgs(engine):
    nets = [network(engine, l2=0.01) for _ in range(2)]
    curves = [
        net.fit(data, Y, epochs=8, optimizer="lbfgs").loss
        for net, data in zip(nets, (X, DENSE), strict=True)
    ]
    np.testing.assert_allclose(*curves, rtol=1e-9)


def parts(data):
    return [(data[k : k + 10], Y[k : k + 10]) for k in range(0, N, 10)]


def test_streams_take_sparse_chunks_and_dense_ones_in_turn(engine):
    nets = [network(engine) for _ in range(2)]
    mixed = [part for pair in zip(parts(X), parts(DENSE), strict=True) for part in pair]
    twice = [part for part in parts(DENSE) for _ in range(2)]
    curves = [
        net.fit_stream(chunks, batch_size=5).loss
        for net, chunks in zip(nets, (mixed, twice), strict=True)
    ]
    close(*curves)


@pytest.mark.parametrize("engine", NUMBA_SLOW)
@pytest.mark.parametrize("rule", ["sgd", "nesterov", "adam"])
def test_single_updates(engine, rule):
    nets = [network(engine) for _ in range(2)]
    losses = [
        [net.partial_fit(rows, y, optimizer=RULES[rule])
         for rows, y in [*parts(data), *parts(data)[:2], (data[:3], Y[:3])]]
        for net, data in zip(nets, (X, DENSE), strict=True)
    ]  # fmt: skip
    close(*losses)
    close(nets[0].parameters, nets[1].parameters)
    for net in nets:  # from one kind to the other
        net.partial_fit(DENSE[:1], Y[:1])
        net.partial_fit(X[:1], Y[:1])
    close(nets[0].parameters, nets[1].parameters)


def test_an_update_that_diverges_changes_nothing(engine):
    net = network(engine)
    net.partial_fit(X, Y)
    with unchanged(net, net._rng), pytest.raises(fastnn.TrainingDivergedError):
        net.partial_fit(1e300 * X, Y, learning_rate=1e300)


def test_fit_many_trains_each_network_as_alone(engine):
    together = [network(engine, seed=seed) for seed in (1, 2)]
    alone = copy.deepcopy(together)
    rows = np.arange(0, N, 2)
    fastnn.fit_many(together, X, Y, epochs=2, batch_size=7, subsets=[rows, rows[::-1]])
    for net, subset in zip(alone, (rows, rows[::-1]), strict=True):
        net.fit(DENSE[subset], Y[subset], epochs=2, batch_size=7)
    for mine, other in zip(together, alone, strict=True):
        close(mine.parameters, other.parameters)


def test_engines_agree_on_what_is_sparse():
    samples = network("numpy")._inputs.samples(X, Y)
    assert isinstance(samples.X, SparseRows)
    outputs = [
        get_engine(name).predictor(network(name)._architecture, sparse=True)(
            network(name).parameters, samples.X
        )
        for name in ENGINES
    ]
    close(outputs[0], outputs[1])
    close(outputs[0], outputs[2])


# Memory

#: Fits and predicts in a process of its own; prints by how many MiB memory grew at most.
PROGRAM = """
import resource, sys
import numpy as np, scipy.sparse
import fastnn
rng, n_in = np.random.default_rng(0), 1 << 20
def data(n):
    columns = rng.integers(n_in, size=20 * n)
    starts = np.arange(0, 20 * n + 1, 20)
    X = scipy.sparse.csr_array((np.ones(20 * n), columns, starts), shape=(n, n_in))
    return X, np.arange(n) % 2
def fit(X, y):
    if sys.argv[1] == "network":
        net = fastnn.Network([X.shape[1], 4, 2], loss="cross_entropy", activation="relu", seed=0)
        net.fit(X, y, batch_size=200, optimizer=sys.argv[2], epochs=2)
        net.evaluate(X, y)
    else:
        net = fastnn.MLPClassifier((4,), solver=sys.argv[2], max_iter=2, n_iter_no_change=9)
        net.fit(X, y)
    net.predict(X)
X, y = data(2000)
fit(X[:, :50], y)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
fit(X, y)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("door", "solver", "n_moments"),
    [("network", "sgd", 0), ("network", "adam", 2),
     ("estimator", "sgd", 1), ("estimator", "adam", 2), ("estimator", "lbfgs", 0)],
)  # fmt: skip
def test_memory_is_that_of_the_parameters_however_wide_the_rows(door, solver, n_moments):
    """2,000 rows of 2^20 columns would be 16 GiB."""
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, door, solver]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    parameters = (8 * 4 << 20) >> 20
    assert int(done.stdout) < 1000 + (1 + n_moments) * parameters
