"""`fit_many` does to each network what `fit` does alone, and says clearly what it cannot do."""

from __future__ import annotations

import copy
import multiprocessing
import os
import re
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from helpers import random_state, slow_but
from runs import use

import fastnn
from fastnn.training import many
from fastnn.training.workers import Workers

K, N = 20, 60
_rng = np.random.default_rng(0)
X = _rng.normal(size=(N, 3))
Y = np.c_[np.sin(X[:, 0]), X[:, 1] * X[:, 2]]
CLASSES = _rng.integers(0, 3, N)
SUBSETS = [_rng.integers(0, N, N) for _ in range(K)]
WEIGHTS = _rng.uniform(0, 2, N)


def networks(n=K, sizes=(3, 4, 2), **options):
    """Each option may be a function of the network's number."""
    return [
        fastnn.Network(
            *[[size(k) if callable(size) else size for size in sizes]],
            **{"seed": k} | {a: v(k) if callable(v) else v for a, v in options.items()},
        )
        for k in range(n)
    ]


def each(value):
    return [value(k) for k in range(K)]


def state(net):
    """All that decides how it goes on."""
    own = net._state
    arrays = own.parameters, own.moments, own.updates, own.clock.steps, own.clock.plateau
    return *(array.tobytes() for array in arrays), random_state(net._rng), net._optimizer


def states(nets):
    return [state(net) for net in nets]


CLASSIFIERS = {"sizes": (3, 4, 3), "loss": "cross_entropy"}
#: Options of the networks, targets, and arguments of `fit_many`.
CASES = {
    "sample by sample, of several widths": (
        {"sizes": (3, lambda k: 2 + k % 5, 2)}, Y, {"batch_size": 1, "learning_rate": 0.05},
    ),
    "rates and epochs": (
        {}, Y,
        {"batch_size": 7, "each": {"learning_rate": np.linspace(0.01, 0.1, K),
                                   "epochs": each(lambda k: 3 + k % 4)}},
    ),
    "subsets": ({}, Y, {"batch_size": 7, "subsets": SUBSETS}),
    "a mask": ({}, Y, {"batch_size": 8, "subsets": each(lambda k: np.arange(N) % 20 != k)}),
    "in order": ({}, Y, {"batch_size": None, "shuffle": False}),
    "early stopping": (
        {}, Y,
        {"batch_size": 8, "epochs": 60, "learning_rate": 0.05,
         "each": {"early_stopping": each(lambda k: fastnn.EarlyStopping(
             patience=k % 3, min_delta=1e-3, restore_best=bool(k % 2)))}},
    ),
    "schedules": (
        {}, Y,
        {"epochs": 12, "batch_size": 8,
         "each": {"optimizer": each(lambda k: fastnn.SGD(
             fastnn.CosineDecay(0.1, decay_steps=10 + k, per="update")))}},
    ),
    "plateaus": (
        {}, Y,
        {"batch_size": 8, "epochs": 40, "each": {
            "learning_rate": each(lambda k: fastnn.ReduceOnPlateau(0.3, patience=k % 3))}},
    ),
    "validation": (
        {}, Y,
        {"batch_size": 8, "epochs": 10, "learning_rate": 0.05,
         "validation_data": (X[:20], Y[:20]), "metrics": ["r2", "mean_absolute_error"],
         "each": {"early_stopping": each(lambda k: fastnn.EarlyStopping(
             "val_r2", patience=k % 3, restore_best=bool(k % 2)))}},
    ),
    "adam, of several widths": (
        {"sizes": (3, lambda k: 2 + k % 5, 2), "activation": "tanh"}, Y, {"optimizer": "adam"},
    ),
    "rmsprop with clipping": ({}, Y, {"optimizer": fastnn.RMSprop(0.01, clip_norm=0.1)}),
    "adagrad, deep": ({"sizes": (3, 4, 5, 2), "activation": ["relu", "tanh"]}, Y,
                      {"optimizer": "adagrad"}),
    "momentum, settings by network": (
        {"activation": "silu"}, Y,
        {"each": {"optimizer": each(
            lambda k: fastnn.SGD(0.01, momentum=0.5 + 0.02 * k, nesterov=True))}},
    ),
    "penalties and dropout by network": (
        {"l1": lambda k: 1e-4 * k, "l2": 0.01, "max_norm": 1.5, "dropout": lambda k: 0.02 * k},
        Y, {"optimizer": "adamw"},
    ),
    "weights by network": (
        {}, Y, {"each": {"sample_weight": each(lambda k: WEIGHTS if k % 3 else None)}},
    ),
    "class weights of subsets": (
        CLASSIFIERS, CLASSES, {"batch_size": 7, "subsets": SUBSETS, "class_weight": "balanced"},
    ),
    "a split, label smoothing": (
        CLASSIFIERS | {"l2": 0.01, "label_smoothing": 0.1}, CLASSES,
        {"metrics": ["accuracy"], "validation_split": 0.2},
    ),
    "metrics on subsets": (
        CLASSIFIERS | {"sizes": (3, lambda k: 2 + k % 3, 3)}, CLASSES,
        {"metrics": ["accuracy"], "subsets": [rows[:40] for rows in SUBSETS]},
    ),
    "float32": ({"dtype": "float32"}, Y, {"optimizer": "adam"}),
    "no hidden layer, no biases": ({"sizes": (3, 2), "bias": False}, Y, {}),
    "sums": ({"reduction": "sum"}, Y, {"learning_rate": 1e-3}),
    "lbfgs": ({}, Y, {"optimizer": "lbfgs", "epochs": 10}),
    "another engine": ({"engine": "numpy"}, Y, {"optimizer": "adam"}),
    "all kinds": (
        {"activation": lambda k: ["relu", "tanh", "sigmoid"][k % 3],
         "loss": lambda k: ["huber", "squared_error"][k % 2],
         "engine": lambda k: ["numba", "numpy"][k // 10]},
        Y, {"batch_size": 8},
    ),
}  # fmt: skip
FAST = {
    "sample by sample, of several widths", "rates and epochs", "subsets", "a mask", "in order",
    "early stopping", "schedules", "plateaus", "another engine",
}  # fmt: skip


def of_network(k, y, arguments):
    """What network k is to be given, alone."""
    own = {name: value for name, value in arguments.items() if name not in ("each", "subsets")}
    own |= {name: values[k] for name, values in arguments.get("each", {}).items()}
    rows = arguments["subsets"][k] if "subsets" in arguments else slice(None)
    if own.get("sample_weight") is not None:
        own["sample_weight"] = own["sample_weight"][rows]
    return (X[rows], y[rows]), own


@pytest.mark.parametrize("case", slow_but(FAST, CASES))
def test_each_network_becomes_what_it_becomes_alone(case):
    options, y, arguments = CASES[case]
    arguments = (
        {"epochs": 5} | arguments if "epochs" not in arguments.get("each", {}) else arguments
    )
    together = networks(**options)
    alone = copy.deepcopy(together)
    histories = fastnn.fit_many(together, X, y, **arguments)
    rounding = 1e-5 if options.get("dtype") == "float32" else 1e-11
    for k, (net, twin, history) in enumerate(zip(together, alone, histories, strict=True)):
        data, own = of_network(k, y, arguments)
        expected = twin.fit(*data, **own)
        assert net.history is history
        assert history.epochs == expected.epochs
        assert history.stop_reason == expected.stop_reason
        assert history.best_epoch == expected.best_epoch
        assert list(history.metrics) == list(expected.metrics)
        for name in expected.names():
            np.testing.assert_allclose(
                history._course(name), expected._course(name), rtol=100 * rounding, atol=rounding
            )
        check_same(net, twin, rounding)
        net.fit(*data, **own)
        twin.fit(*data, **own)
        check_same(net, twin, 1000 * rounding)


def check_same(net, twin, rounding):
    scale = max(1, abs(twin.parameters).max())
    np.testing.assert_allclose(net.parameters, twin.parameters, rtol=0, atol=rounding * scale)
    ours, theirs = net._state, twin._state
    assert ours.updates == theirs.updates
    assert ours.clock.steps.tolist() == theirs.clock.steps.tolist()
    assert random_state(net._rng) == random_state(twin._rng)
    assert net._optimizer == twin._optimizer


def trained(**arguments):
    nets = networks(sizes=(3, lambda k: 2 + k % 4, 2))
    fastnn.fit_many(nets, X, Y, epochs=5, batch_size=8, **arguments)
    return nets


def test_bits_do_not_depend_on_order_or_threads():
    expected = states(trained())
    order = np.random.default_rng(1).permutation(K)
    nets = networks(sizes=(3, lambda k: 2 + k % 4, 2))
    fastnn.fit_many([nets[k] for k in order], X, Y, epochs=5, batch_size=8)
    assert states(nets) == expected
    assert states(trained(n_jobs=2)) == expected
    assert states(trained(n_jobs=-1)) == expected
    with ThreadPoolExecutor(2) as executor:
        assert states(trained(executor=executor)) == expected


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("batch_size", [1, 8])
def test_bits_do_not_depend_on_the_company(batch_size, optimizer):
    """Alone, a few, of other widths, among a hundred: with other numbers of lanes."""
    arguments = {"epochs": 5, "batch_size": batch_size, "optimizer": optimizer}
    together = networks(100, sizes=(3, lambda k: 2 + k % 4, 2))
    fastnn.fit_many(together, X, Y, **arguments)
    for some in ([3], [0, 1, 2], [5, 9, 13, 17], range(20, 31), range(40, 70)):
        nets = networks(100, sizes=(3, lambda k: 2 + k % 4, 2))
        fastnn.fit_many([nets[k] for k in some], X, Y, **arguments)
        assert states([nets[k] for k in some]) == states([together[k] for k in some])


@pytest.mark.slow
def test_processes_give_the_same_bits_and_histories():
    context = multiprocessing.get_context("spawn")
    expected = trained()
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        nets = trained(executor=executor)
    assert states(nets) == states(expected)
    assert [net.history.loss for net in nets] == [net.history.loss for net in expected]


def test_the_histories_say_how_long_it_took():
    nets = networks()
    [*histories] = fastnn.fit_many(nets, X, Y, epochs=3)
    assert all(history.seconds > 0 for history in histories)
    assert {history.stop_reason for history in histories} == {"completed"}


# --- divergence, callbacks, Ctrl-C --------------------------------------------------------------

RATES = [0.01 if k % 4 else 5.0 + k for k in range(K)]
DIVERGING = [0, 4, 8, 12, 16]


@pytest.mark.parametrize(
    ("batch_size", "epochs"), slow_but([(8, 300)], [(8, 300), (1, 100), (None, 600)])
)
def test_those_that_diverge_stop_alone_with_their_last_finite_parameters(batch_size, epochs):
    options = {"epochs": epochs, "batch_size": batch_size}
    nets = networks(sizes=(3, 2), loss="half_squared_error")
    alone = copy.deepcopy(nets)
    with pytest.raises(fastnn.TrainingDivergedError, match=r"of 20 networks 5 diverged") as error:
        fastnn.fit_many(nets, X, Y, each={"learning_rate": RATES}, **options)
    assert error.value.networks == tuple(DIVERGING)
    for k, (net, twin) in enumerate(zip(nets, alone, strict=True)):
        try:
            twin.fit(X, Y, learning_rate=RATES[k], **options)
        except fastnn.TrainingDivergedError:
            assert k in DIVERGING
        assert net.history.epochs == twin.history.epochs
        assert net.history.stop_reason == twin.history.stop_reason
        assert np.isfinite(net.parameters).all()
        check_same(net, twin, 1e-6)


def test_callbacks_see_their_network_while_it_is_trained():
    nets = networks(engine="numpy")
    alone = copy.deepcopy(nets)
    seen = []

    class Callback:
        def on_epoch_end(self, network, epoch, logs):
            seen.append((nets.index(network), epoch, len(network.history.loss)))
            return epoch == 2

    callbacks = each(lambda k: [Callback()] if k in (3, 5) else [])
    histories = fastnn.fit_many(nets, X, Y, epochs=4, each={"callbacks": callbacks})
    assert seen == [(3, 1, 1), (3, 2, 2), (5, 1, 1), (5, 2, 2)]
    assert [history.epochs for history in histories] == each(lambda k: 2 if k in (3, 5) else 4)
    for net, twin, history in zip(nets, alone, histories, strict=True):
        twin.fit(X, Y, epochs=history.epochs)
        assert state(net) == state(twin)


def press_at_epoch(epoch, monkeypatch):
    """Have Ctrl-C pressed when a block of networks has come so far."""
    pressed = threading.Event()
    take_in = many._Block._take_in

    def taking_in(block, piece):
        take_in(block, piece)
        if block._epochs >= epoch and not pressed.is_set():
            pressed.set()
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(many._Block, "_take_in", taking_in)


@pytest.mark.usefixtures("default_ctrl_c")
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_ctrl_c_ends_training_and_all_keep_what_they_learned(n_jobs, monkeypatch):
    nets = networks(2 * K)
    start = states(nets)
    use(monkeypatch, "64 rows a piece")
    press_at_epoch(3, monkeypatch)
    histories = fastnn.fit_many(nets, X, Y, epochs=10**9, batch_size=8, n_jobs=n_jobs)
    assert {history.stop_reason for history in histories} == {"interrupted"}
    assert max(history.epochs for history in histories) >= 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    for k, (net, history) in enumerate(zip(nets, histories, strict=True)):
        assert len(history.loss) == history.epochs < 10**9
        assert (state(net) == start[k]) == (history.epochs == 0)
        twin = fastnn.Network([3, 4, 2], seed=k)
        fastnn.fit_many([twin, *networks(9)], X, Y, epochs=max(history.epochs, 1), batch_size=8)
        assert history.epochs == 0 or np.array_equal(twin.parameters, net.parameters)
        assert not net._in_training


@pytest.mark.usefixtures("default_ctrl_c")
def test_ctrl_c_in_a_callback_ends_the_training_of_all():
    class Presses:
        def on_epoch_end(self, network, epoch, logs):
            if epoch == 2:
                signal.raise_signal(signal.SIGINT)

    nets = networks(4, engine="numpy")
    callbacks = [[Presses()], [Presses()], [], []]
    histories = fastnn.fit_many(nets, X, Y, epochs=50, each={"callbacks": callbacks})
    assert [history.stop_reason for history in histories] == ["interrupted"] * 4
    assert histories[0].epochs == 2
    assert histories[3].epochs == 0


# --- bad input ----------------------------------------------------------------------------------


def with_nan(nets):
    nets[4].parameters[2] = np.nan
    return nets


def with_shared_generator(nets):
    rng = np.random.default_rng(1)
    nets[3:5] = [fastnn.Network([3, 4, 2], seed=rng, engine="numpy") for _ in range(2)]
    return nets


def with_dropout(nets):
    nets[6] = fastnn.Network([3, 4, 2], dropout=0.3, seed=6)
    return nets


def other_inputs(nets):
    nets[7] = fastnn.Network([4, 2])
    return nets


def the_same(nets):
    nets[7] = nets[2]
    return nets


def as_they_are(nets):
    return nets


#: What is made of the networks, arguments, the error, and what it says.
BAD = {
    "no list": (lambda _: 3, {}, TypeError, "networks must be a list of networks"),
    "none": (lambda _: [], {}, ValueError, "networks must be at least one, got none"),
    "no network": (lambda nets: [*nets, "a"], {}, TypeError,
                   r"networks\[20\] must be a fastnn.Network, got str"),
    "the same": (the_same, {}, ValueError,
                 r"got the same as networks\[2\] and networks\[7\]; train a copy of it"),
    "other inputs": (other_inputs, {}, ValueError,
                     r"number of inputs, got 3 in networks\[0\] and 4 in networks\[7\]"),
    "nan": (with_nan, {}, ValueError, r"network 4: .*parameters\[2\] = nan"),
    "dropout by lbfgs": (with_dropout, {"optimizer": "lbfgs"}, ValueError,
                         "network 6: optimizer='lbfgs' needs a loss without chance"),
    "a shared generator": (with_shared_generator, {}, ValueError,
                           "networks 3 and 4 share a random generator"),
    "X": (as_they_are, {"X": X[:, :2]}, ValueError, r"network 0: X must have shape \(n_samples, 3"),
    "y": (as_they_are, {"y": Y[:, 0]}, ValueError, r"network 0: y must have shape \(60, 2\)"),
    "each no dict": (as_they_are, {"each": [0.1]}, TypeError, "each must be a dict"),
    "each of no argument": (as_they_are, {"each": {"rates": [1] * K}}, TypeError,
                            "fit_many has no argument 'rates'"),
    "each of progress": (as_they_are, {"each": {"progress": [True] * K}}, TypeError,
                         "fit_many has no argument 'progress'"),
    "each too short": (as_they_are, {"each": {"epochs": [1, 2]}}, ValueError,
                       r"each\['epochs'\] must have a value for each of the 20 networks, got 2"),
    "each no list": (as_they_are, {"each": {"epochs": 3}}, TypeError,
                     r"each\['epochs'\] must be a list with a value for each network, got int: 3"),
    "twice": (as_they_are, {"each": {"epochs": [1] * K}, "epochs": 2}, ValueError,
              "epochs was given for all networks and in each"),
    "unknown": (as_they_are, {"epoch": 3}, TypeError,
                "fit_many has no argument 'epoch'. Did you mean 'epochs'"),
    "a bad value": (as_they_are, {"each": {"epochs": [1] * 19 + [0]}}, ValueError,
                    "network 19: epochs must be at least 1, got 0"),
    "a bad optimiser": (as_they_are, {"optimizer": "adem"}, ValueError, "Did you mean 'adam'"),
    "subsets too few": (as_they_are, {"subsets": SUBSETS[:3]}, ValueError,
                        "subsets must have a value for each of the 20 networks, got 3"),
    "subsets no list": (as_they_are, {"subsets": 3}, TypeError, "subsets must be a list"),
    "out of range": (as_they_are, {"subsets": [*SUBSETS[:-1], [0, 60]]}, ValueError,
                     r"subsets\[19\] must have row numbers from 0 to 59, got 60"),
    "below 0": (as_they_are, {"subsets": [[-1], *SUBSETS[1:]]}, ValueError,
                r"subsets\[0\] must have row numbers from 0 to 59, got -1"),
    "empty": (as_they_are, {"subsets": [*SUBSETS[:-1], []]}, ValueError,
              r"subsets\[19\] must have at least one row, got none"),
    "an empty mask": (as_they_are, {"subsets": [*SUBSETS[:-1], np.zeros(N, bool)]}, ValueError,
                      r"subsets\[19\] must have at least one row, got none"),
    "floats": (as_they_are, {"subsets": [*SUBSETS[:-1], [0.0, 1.0]]}, TypeError,
               r"subsets\[19\] must be numbers of rows of X, or a mask of 60, got list"),
    "a short mask": (as_they_are, {"subsets": [*SUBSETS[:-1], [True] * 9]}, TypeError,
                     r"subsets\[19\] must be numbers of rows of X, or a mask of 60"),
    "no rows": (as_they_are, {"subsets": [*SUBSETS[:-1], 3]}, TypeError, r"subsets\[19\]"),
    "ragged": (as_they_are, {"subsets": [*SUBSETS[:-1], [[0], [1, 2]]]}, TypeError,
               r"subsets\[19\] must be numbers of rows"),
    "weights": (as_they_are, {"each": {"sample_weight": [None] * 19 + [WEIGHTS[:9]]}}, ValueError,
                r"network 19: sample_weight must have shape \(60,\), got shape \(9,\)"),
    "an executor": (as_they_are, {"executor": 2}, TypeError,
                    "executor must be a concurrent.futures.Executor, .* got int: 2"),
    "n_jobs": (as_they_are, {"n_jobs": 0}, ValueError, "n_jobs must be"),
    "n_jobs 1.5": (as_they_are, {"n_jobs": 1.5}, TypeError, "n_jobs must be"),
    "both": (as_they_are, {"n_jobs": 2, "executor": ThreadPoolExecutor()}, ValueError,
             "n_jobs=2 was given beside an executor; give one of the two"),
    "progress": (as_they_are, {"progress": 1}, TypeError, "progress must be True or False"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_and_changes_no_network(case):
    make, arguments, error, message = BAD[case]
    nets = networks(engine="numpy")
    given = make(nets)
    before = states(nets)
    with pytest.raises(error, match=message):
        fastnn.fit_many(given, **{"X": X, "y": Y} | arguments)
    assert states(nets) == before
    assert all(net.history is None for net in nets)


def test_a_network_in_training_is_refused():
    nets = networks(3, engine="numpy")
    refused = []

    class Trains:
        def on_epoch_end(self, network, epoch, logs):
            with pytest.raises(RuntimeError, match=r"networks\[1\] is being trained already"):
                fastnn.fit_many([fastnn.Network([3, 2]), network], X, Y)
            with pytest.raises(RuntimeError, match="this network is being trained already"):
                nets[2].fit(X, Y)
            refused.append(epoch)

    callbacks = [[Trains()], [], []]
    fastnn.fit_many(nets, X, Y, epochs=2, each={"callbacks": callbacks})
    assert refused == [1, 2]
    assert not any(net._in_training for net in nets)


# --- workers that fail --------------------------------------------------------------------------


class Fails:
    """An executor that does the works in turn, but for some."""

    def __init__(self, *failing, error=None):
        self._left = -1
        self._failing, self._error = failing, error or OSError("no disk")

    def submit(self, function, *arguments):
        self._left += 1
        future = Future()
        if self._left in self._failing:
            future.set_exception(self._error)
        else:
            future.set_result(function(*arguments))
        return future


class GivesBack(Fails):
    """An executor that makes something else of what the work returned."""

    def __init__(self, change):
        super().__init__()
        self._change = change

    def submit(self, function, *arguments):
        return super().submit(lambda: self._change(function(*arguments)))


def numbers_in(message):
    """Those that a message names."""
    text = re.search(r"numbers ([^.;]*)", message).group(1)
    numbers = set()
    for part in text.split(", "):
        first, _, last = part.partition(" to ")
        numbers |= set(range(int(first), int(last or first) + 1))
    return numbers


def check_the_rest(nets, alone, error):
    """Those that the error names are as they were, all others are trained."""
    failed = numbers_in(str(error.value))
    assert 0 < len(failed) < len(nets)
    assert f"{len(failed)} of {len(nets)} networks are not trained, and unchanged" in str(
        error.value
    )
    assert "the others are trained" in str(error.value)
    before = states(alone)
    fastnn.fit_many(alone, X, Y, epochs=2)
    after = states(alone)
    assert states(nets) == [before[k] if k in failed else after[k] for k in range(len(nets))]
    assert {k for k, net in enumerate(nets) if net.history is None} == failed


def test_a_block_that_fails_is_named_and_the_others_are_trained():
    nets = networks(2 * K)
    alone = copy.deepcopy(nets)
    with pytest.raises(RuntimeError, match="OSError: no disk") as error:
        fastnn.fit_many(nets, X, Y, epochs=2, executor=Fails(1))
    check_the_rest(nets, alone, error)
    assert isinstance(error.value.__cause__, OSError)


@pytest.mark.parametrize(
    "change",
    [lambda _: None, lambda _: "done", lambda _: [], lambda came: came[:-1], lambda came: 2 * came],
)
def test_an_executor_that_gives_back_something_else_leaves_all_unchanged(change):
    nets = networks(2 * K)
    before = [net.parameters.copy() for net in nets]
    with pytest.raises(RuntimeError, match=r"are not trained, and unchanged: .*gave back"):
        fastnn.fit_many(nets, X, Y, executor=GivesBack(change), epochs=1)
    assert all(map(np.array_equal, before, [net.parameters for net in nets]))
    assert not any(net._in_training or net.history for net in nets)


def test_ctrl_c_in_a_worker_is_ctrl_c():
    nets = networks(2 * K)
    alone = copy.deepcopy(nets)
    executor = Fails(1, error=KeyboardInterrupt())
    reasons = [h.stop_reason for h in fastnn.fit_many(nets, X, Y, epochs=2, executor=executor)]
    assert set(reasons) == {"completed", "interrupted"}
    before = states(alone)
    fastnn.fit_many(alone, X, Y, epochs=2)
    after = states(alone)
    trained = [reason == "completed" for reason in reasons]
    assert states(nets) == [(after if trained[k] else before)[k] for k in range(len(nets))]


def test_a_class_is_no_executor():
    with pytest.raises(TypeError, match=r"executor must be a concurrent.futures.Executor"):
        fastnn.fit_many(networks(2), X, Y, executor=ThreadPoolExecutor)


def test_an_executor_that_takes_nothing_leaves_all_unchanged():
    nets = networks(engine="numpy")
    before = states(nets)
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(RuntimeError, match=r"20 of 20 networks are not trained, and unchanged: "
                       r"numbers 0 to 19\. RuntimeError: cannot schedule"):  # fmt: skip
        fastnn.fit_many(nets, X, Y, executor=pool, epochs=1)
    assert states(nets) == before


def test_a_metric_that_raises_in_one_network_leaves_the_others_trained():
    nets = networks(4, engine="numpy")

    def broken(targets, outputs):
        raise ArithmeticError("no metric")

    metrics = [[], [broken], [], []]
    with pytest.raises(RuntimeError, match=r"numbers 1; the others are trained\. ArithmeticError"):
        fastnn.fit_many(nets, X, Y, each={"metrics": metrics})
    assert [net.history is None for net in nets] == [False, True, False, False]


def die(targets, outputs):
    """A metric that ends its process, if that is not the one that asked for it."""
    if multiprocessing.parent_process() is not None:
        os._exit(1)
    return 0.0


@pytest.mark.slow
def test_a_worker_that_dies_is_told_of_and_what_came_back_is_kept():
    """One process, so that it is known what was done before it died: all that came earlier."""
    nets = networks(3, engine="numpy")
    alone = copy.deepcopy(nets)
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(1, mp_context=context) as executor,
        pytest.raises(RuntimeError, match=r"numbers .*BrokenProcessPool") as error,
    ):
        fastnn.fit_many(nets, X, Y, epochs=2, executor=executor, each={"metrics": [[], [], [die]]})
    failed = numbers_in(str(error.value))
    assert 2 in failed
    before = states(alone)
    fastnn.fit_many(alone, X, Y, epochs=2)
    after = states(alone)
    assert states(nets) == [before[k] if k in failed else after[k] for k in range(3)]


def test_the_bar_is_of_all_networks(capsys):
    fastnn.fit_many(networks(3, engine="numpy"), X, Y, epochs=2, progress=True)
    assert "6/6" in capsys.readouterr().out


def test_workers_know_what_an_executor_is():
    for executor in (Fails(), ThreadPoolExecutor(1), None):
        Workers(1, executor, False)


def test_metrics_of_networks_together_are_weighted_as_alone():
    weights, held_out = np.arange(1.0, N + 1), (X[:5], Y[:5], np.arange(1.0, 6.0))
    for given in ({"sample_weight": weights}, {"validation_data": held_out}):
        nets, alone = networks(), networks()
        given = given | {"epochs": 2, "metrics": ["mean_squared_error"], "shuffle": False}
        for history, net in zip(fastnn.fit_many(nets, X, Y, **given), alone, strict=True):
            expected = net.fit(X, Y, **given).metrics
            assert history.metrics.keys() == expected.keys()
            for name, values in history.metrics.items():
                assert values == pytest.approx(expected[name])
