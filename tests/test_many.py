"""`fit_many`: each network becomes what it becomes alone, in whatever company."""

from __future__ import annotations

import copy
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from crowds import (
    CLASSES,
    SUBSETS,
    WEIGHTS,
    K,
    N,
    X,
    Y,
    check_same,
    each,
    networks,
    states,
    trained,
)
from helpers import slow_but

import fastnn
from fastnn.training import groups

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
    "all at once": ({}, Y, {"batch_size": None}),
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
    "class weights and a split of unlike networks": (
        {"sizes": (3, lambda k: 2 + k % 5, 3), "loss": "cross_entropy", "l2": lambda k: 0.01 * k,
         "label_smoothing": lambda k: 0.1 * (k % 3), "bias": lambda k: k % 7 > 0,
         "activation": lambda k: ["relu", "tanh"][k % 2],
         "reduction": lambda k: ["mean", "sum"][k % 2]},
        CLASSES, {"learning_rate": 1e-3, "class_weight": "balanced", "validation_split": 0.2},
    ),
    "metrics on subsets": (
        CLASSIFIERS | {"sizes": (3, lambda k: 2 + k % 3, 3)}, CLASSES,
        {"metrics": ["accuracy"], "subsets": [rows[:40] for rows in SUBSETS]},
    ),
    "a metric that is none": (
        CLASSIFIERS, CLASSES,
        {"metrics": ["auc"], "validation_data": (X[:20], np.zeros(20, int))},
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
    "rates and epochs", "subsets", "a mask", "in order", "all at once",
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


def test_each_loss_takes_y_in_its_own_way():
    kinds = {"binary_cross_entropy": [3, 4, 1], "cross_entropy": [3, 4, 2]}
    together = [fastnn.Network(n, loss=loss, engine="numpy") for loss, n in kinds.items()]
    alone = copy.deepcopy(together)
    fastnn.fit_many(together, X, CLASSES % 2, epochs=2)
    for net, twin in zip(together, alone, strict=True):
        twin.fit(X, CLASSES % 2, epochs=2)
        np.testing.assert_array_equal(net.parameters, twin.parameters)


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


#: What networks may have of penalties and limits, and their optimisers.
LIMITS = {
    "penalties": ([{"l1": 0.02}, {"l2": 0.05}, {"l1": 0.01, "l2": 0.03}], [{}, {}, {}]),
    "limits": ([{}, {}, {}], [{"clip_value": 0.01}, {"clip_norm": 0.1},
                              {"clip_value": 0.02, "clip_norm": 0.05}]),
}  # fmt: skip


@pytest.mark.own_kernels
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize("kind", LIMITS)
def test_bits_do_not_depend_on_what_others_are_penalised_or_limited_by(kind, batch_size, dtype):
    """A kernel is made for what any of its networks has."""
    own = LIMITS[kind]

    def trained_together(choices):
        nets = [
            fastnn.Network([3, 5, 2], activation="relu", dtype=dtype, seed=k, **own[0][choice])
            for k, choice in enumerate(choices)
        ]
        optimizers = [fastnn.SGD(0.005, momentum=0.9, **own[1][choice]) for choice in choices]
        fastnn.fit_many(nets, X, Y, epochs=4, batch_size=batch_size, each={"optimizer": optimizers})
        return [(net.parameters.tobytes(), net.history.loss) for net in nets]

    mixed = trained_together([k % 3 for k in range(K)])
    for choice in range(3):
        alike = trained_together([choice] * K)
        assert mixed[choice::3] == alike[choice::3]


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
@pytest.mark.parametrize(
    ("batch_size", "optimizer"),
    [(1, "sgd"), (8, "adam"), (1, "adam"), (1, fastnn.SGD(0.01, momentum=0.9))],
)
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
@pytest.mark.parametrize(("batch_size", "momentum"), [(1, 0.0), (1, 0.9), (8, 0.0)])
def test_bits_do_not_depend_on_how_others_are_limited(batch_size, momentum):
    """Which kernel there is for a network, and what it does, is not for its company to say."""
    kinds = [{}, {"clip_norm": 0.1}, {"clip_value": 0.02}, {"clip_norm": 0.1, "clip_value": 0.02}]
    optimizers = each(lambda k: fastnn.SGD(0.01, momentum=momentum, **kinds[k % 4]))
    limits = {
        "l1": lambda k: 0.01 * (k // 4 % 2), "l2": lambda k: 0.02 * (k // 8 % 2),
        "max_norm": lambda k: 0.5 if k % 3 else None, "dropout": lambda k: 0.2 * (k % 5 == 2),
    }  # fmt: skip
    together, alone = networks(**limits), networks(**limits)
    options = {"epochs": 3, "batch_size": batch_size}
    fastnn.fit_many(together, X, Y, each={"optimizer": optimizers}, **options)
    for net, optimizer in zip(alone, optimizers, strict=True):
        fastnn.fit_many([net], X, Y, optimizer=optimizer, **options)
    assert states(together) == states(alone)


@pytest.mark.slow
def test_penalties_of_weights_whose_squares_are_too_large_for_float32():
    together, alone = (
        fastnn.Network([1, 2, 1], activation="tanh", dtype="float32", seed=1, l2=1.0)
        for _ in range(2)
    )
    for net in (together, alone):
        net.parameters[:2] = 3e19
    arguments = {"epochs": 1, "batch_size": 1, "learning_rate": 0.01, "shuffle": False}
    [history] = fastnn.fit_many([together], X[:, :1], Y[:, :1], **arguments)
    expected = alone.fit(X[:, :1], Y[:, :1], **arguments)
    np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-5)
    assert 1e38 < history.loss[0] < np.inf


def test_batches_are_no_larger_than_the_data():
    """Nor judged so, where it is asked whether lanes pay."""
    job = SimpleNamespace(batch_size=256)
    for rows, expected in ((None, 10), (range(7), 7)):
        member = SimpleNamespace(job=job, data=range(10), rows=rows)
        assert groups._batch_size(member) == expected


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


@pytest.mark.slow
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


def test_single_updates_go_on_with_the_rule_of_the_last_training():
    """What was made ready for updates before, by another rule, is not taken up again."""
    nets, alone = networks(3, engine="numpy"), networks(3, engine="numpy")
    for net in (*nets, *alone):
        net.learn_one(X[0], Y[0])
    fastnn.fit_many(nets, X, Y, epochs=2, batch_size=8, optimizer="adam")
    for net, twin in zip(nets, alone, strict=True):
        twin.fit(X, Y, epochs=2, batch_size=8, optimizer="adam")
        for one in (net, twin):
            one.learn_one(X[1], Y[1])
        check_same(net, twin, 1e-12)
