"""Bad input of `fit_many` is refused, and changes no network."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from crowds import SUBSETS, WEIGHTS, K, N, X, Y, networks, states

import fastnn


def with_nan(nets):
    nets[4].parameters[2] = np.nan
    return nets


def with_shared_generator(nets):
    rng = np.random.default_rng(1)
    nets[3:5] = [fastnn.Network([3, 4, 2], seed=rng, engine="numpy") for _ in range(2)]
    return nets


def with_shared_bits(nets):
    bits = np.random.PCG64(1)
    seeds = [np.random.Generator(bits) for _ in range(2)]
    nets[3:5] = [fastnn.Network([3, 4, 2], seed=rng, engine="numpy") for rng in seeds]
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
    "two generators on shared bits": (with_shared_bits, {}, ValueError,
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
    "masked": (as_they_are, {"subsets": [*SUBSETS[:-1], np.ma.array([0, 1], mask=[0, 1])]},
               ValueError, r"subsets\[19\] has masked values"),
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


def test_what_can_be_gone_through_once_is_for_all_networks():
    nets = [*networks(2, engine="numpy"), fastnn.Network([3, 2], loss="huber", engine="numpy")]
    calls = []
    callbacks = (fastnn.Call(lambda network, *_: calls.append(network)) for _ in range(2))
    histories = fastnn.fit_many(
        nets, X, Y, epochs=1, metrics=(name for name in ["r2"]), callbacks=callbacks
    )
    assert [list(history.metrics) for history in histories] == [["r2"]] * 3
    assert calls == [nets[0]] * 2 + [nets[1]] * 2 + [nets[2]] * 2


@pytest.mark.parametrize("kind", [tuple, np.array], ids=["tuple", "array"])
@pytest.mark.parametrize("n", [0, 2])
def test_callbacks_in_any_sequence(kind, n):
    calls = []
    callbacks = kind([fastnn.Call(lambda network, *_: calls.append(network))] * n)
    fastnn.fit_many(networks(2, engine="numpy"), X, Y, epochs=1, callbacks=callbacks)
    assert len(calls) == 2 * n


def test_one_that_draws_is_enough_to_refuse_a_shared_generator():
    for sizes in ([5, N], [N, 5]):
        nets = with_shared_generator(networks(engine="numpy"))[3:5]
        with pytest.raises(ValueError, match="networks 0 and 1 share a random generator"):
            fastnn.fit_many(nets, X, Y, epochs=1, each={"batch_size": sizes})


def test_values_by_network_in_any_sequence():
    histories = fastnn.fit_many(
        networks(3, engine="numpy"), X, Y, each={"epochs": range(1, 4)}, subsets=(range(5),) * 3
    )
    assert [history.epochs for history in histories] == [1, 2, 3]


@pytest.mark.parametrize("settings", [{"batch_size": None}, {"optimizer": "lbfgs"}], ids=str)
def test_networks_that_draw_nothing_may_share_a_generator(settings):
    nets = with_shared_generator(networks(engine="numpy"))
    assert len(fastnn.fit_many(nets, X, Y, epochs=1, **settings)) == K
