"""Single rows: `Network.learn_one` is `partial_fit` of one row, and an update of `fit`."""

from __future__ import annotations

import copy
import itertools
import pickle
import tracemalloc

import numpy as np
import pytest
from helpers import CORE, LOSSES, NUMBA_SLOW, Case, data_for, random_state, slow_but, unchanged

import fastnn

RULES = {
    "sgd": fastnn.SGD(0.05),
    "momentum": fastnn.SGD(0.05, momentum=0.9),
    "adam": fastnn.Adam(0.02),
    "clipped": fastnn.RMSprop(0.02, clip_norm=0.5),
}
#: With numba by default the kernels that `fit` of these is tested with.
CASES = [
    *(("numpy", Case(loss, "tanh", 2, 1, True, "float32"), rule) for loss in LOSSES
      for rule in ("sgd", "clipped")),
    ("python", CORE[0], "adam"),
    *(("numba", case, "sgd") for case in CORE),
    ("numba", CORE[2], "adam"),
    *(("numba", Case(loss, "tanh", 2, 1, True, "float64"), list(RULES)[k % len(RULES)])
      for k, loss in enumerate(LOSSES)),
]  # fmt: skip
FAST = [case for case in CASES if case[0] != "numba"]
on_cases = pytest.mark.parametrize(("engine", "case", "rule"), slow_but(FAST, CASES))


def bits(net):
    state = net._state
    return [
        state.parameters.tobytes(), state.moments.tobytes(), state.updates.tolist(),
        state.clock.steps.tolist(), random_state(net._rng),
    ]  # fmt: skip


def rows(case, n=40):
    X, Y = case.data(n)
    dtype = np.dtype(case.dtype)
    return X.astype(dtype), Y.astype(dtype)


# --- learn_one ----------------------------------------------------------------------------------


@on_cases
def test_learn_one_is_partial_fit_of_one_row_and_an_update_of_fit(engine, case, rule):
    X, Y = rows(case)
    one, part, whole = (case.network(engine, l2=0.01) for _ in range(3))
    losses = [one.learn_one(x, y, optimizer=RULES[rule]) for x, y in zip(X, Y, strict=True)]
    others = [
        part.partial_fit(X[k : k + 1], Y[k : k + 1], optimizer=RULES[rule]) for k in range(len(X))
    ]
    whole.fit(X, Y, epochs=1, batch_size=1, shuffle=False, optimizer=RULES[rule])
    assert losses == others
    assert bits(one) == bits(part)
    assert one.parameters.tobytes() == whole.parameters.tobytes()


@pytest.mark.parametrize("case", slow_but(CORE[2:], CORE), ids=str)
def test_plain_updates_are_those_of_fit(case):
    X, Y = rows(case)
    one, whole = case.network("numba"), case.network("numba")
    for x, y in zip(X, Y, strict=True):
        one.learn_one(x, y)
    whole.fit(X, Y, epochs=1, batch_size=1, shuffle=False)
    assert one.parameters.tobytes() == whole.parameters.tobytes()


@pytest.mark.parametrize("engine", slow_but(["numpy"], ["numpy", "numba"]))
def test_classes_may_be_numbers_of_any_kind_or_rows(engine):
    X, Y = rows(CORE[2])
    nets = [CORE[2].network(engine) for _ in range(6)]
    for x, y in zip(X, Y, strict=True):
        k = int(y.argmax())
        forms = [k, float(k), np.int64(k), np.array(k), y.tolist(), y]
        for net, form in zip(nets, forms, strict=True):
            net.learn_one(x, form)
    assert len({net.parameters.tobytes() for net in nets}) == 1


@pytest.mark.parametrize(
    "form",
    [
        lambda x: x.tolist(),
        lambda x: np.repeat(x, 2)[::2],
        lambda x: x[::-1].copy()[::-1],
        lambda x: x.astype(np.float32),
        lambda x: np.lib.stride_tricks.as_strided(x, writeable=False),
    ],
)
@pytest.mark.parametrize("y", [[0.5, -1], np.array([0.5, -1.0]), np.array([0.5, -1], np.float32)])
@pytest.mark.parametrize("engine", NUMBA_SLOW)
def test_what_has_to_be_converted_gives_the_same(engine, form, y):
    case = CORE[0]
    net, twin = case.network(engine), case.network(engine)
    for x in rows(case)[0][:4]:
        assert net.learn_one(form(x), y) == twin.learn_one(x, np.array([0.5, -1.0]))
        assert net.predict_one(form(x)).tolist() == twin.predict_one(x).tolist()
    assert bits(net) == bits(twin)


@pytest.mark.parametrize("engine", slow_but(["numpy"], ["numpy", "numba"]))
@pytest.mark.parametrize("per", ["update", "epoch"])
def test_schedules_go_on_beyond_the_rates_made_ready(engine, per):
    case = CORE[2]
    X, Y = (np.tile(part, (30, 1)) for part in rows(case))
    schedule = fastnn.InverseScaling(0.5, 0.3, per=per)
    one, whole = case.network(engine), case.network(engine)
    for x, y in zip(X, Y, strict=True):
        one.learn_one(x, y, learning_rate=schedule)
    whole.fit(X, Y, epochs=1, batch_size=1, shuffle=False, learning_rate=schedule)
    assert one.parameters.tobytes() == whole.parameters.tobytes()
    assert one._state.clock.steps.tolist() == [len(X), 0]


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_a_schedule_begins_again_when_the_optimiser_is_reset(engine):
    case, schedule = CORE[2], fastnn.ExponentialDecay(0.5, 0.9, per="update")
    X, Y = rows(case)
    net, twin = case.network(engine), case.network(engine)
    for each in (net, twin):
        for _ in range(3):
            each.learn_one(X[0], Y[0], learning_rate=schedule)
        each.reset_optimizer()
    net.learn_one(X[1], Y[1], learning_rate=schedule)
    twin.fit(X[1:2], Y[1:2], epochs=1, batch_size=1, learning_rate=schedule)
    assert net.parameters.tobytes() == twin.parameters.tobytes()


@pytest.mark.parametrize(
    ("engine", "rule"),
    slow_but(
        [("numpy", "sgd"), ("numpy", "adam"), ("numba", "sgd")],
        itertools.product(["numpy", "numba"], ["sgd", "adam"]),
    ),
)
def test_a_rate_that_changes_is_followed(engine, rule):
    case = CORE[2]
    X, Y = rows(case)
    net, twin = case.network(engine), case.network(engine)
    for k, (x, y) in enumerate(zip(X, Y, strict=True)):
        net.learn_one(x, y, learning_rate=0.1 / (k + 1), optimizer=rule)
        twin.fit([x], [y], epochs=1, batch_size=1, learning_rate=0.1 / (k + 1), optimizer=rule)
    assert net.parameters.tobytes() == twin.parameters.tobytes()
    assert net._state.moments.tobytes() == twin._state.moments.tobytes()


@pytest.mark.parametrize("engine", NUMBA_SLOW)
@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_an_update_that_diverges_is_taken_back(engine, rule):
    case = CORE[0] if rule == "sgd" else CORE[2]
    X, Y = rows(case)
    net, twin = case.network(engine), case.network(engine)
    for each in (net, twin):
        each.learn_one(X[0], Y[0], optimizer=rule)
    net.weights[-1][:] *= 1e200
    net.weights[0][:] *= 1e200
    before = bits(net)
    for _ in range(2):
        with pytest.raises(fastnn.TrainingDivergedError, match="epoch 2") as caught:
            net.learn_one(X[1], -Y[1] if rule == "sgd" else int(Y[1].argmin()), optimizer=rule)
        assert bits(net) == before
    assert caught.value.epoch == 2
    net.parameters[:] = twin.parameters
    assert net.learn_one(X[2], Y[2], optimizer=rule) == twin.learn_one(X[2], Y[2], optimizer=rule)
    assert bits(net) == bits(twin)


#: Of the network `CORE[case]`, a row that is not one.
BAD_ROWS = [
    (0, [1, np.nan], [1, 1], ValueError, r"x must be finite, got x\[1\] = nan"),
    (0, [1, 2, 3], [1, 1], ValueError, r"x must have shape \(2,\), got shape \(3,\)"),
    (0, [[1, 2]], [1, 1], ValueError, "x must have shape"),
    (0, ["a", 2], [1, 1], TypeError, r"x\[0\] = 'a'"),
    (0, None, [1, 1], TypeError, "x must hold real numbers"),
    (0, [1, 2], 1.0, ValueError, r"y must be of shape \(2,\), got shape \(\)"),
    (0, [1, 2], [1, np.inf], ValueError, "y must be finite"),
    (0, [1, 2], [1], ValueError, r"y must be of shape \(2,\)"),
    (2, [1, 2], 3, ValueError, "class numbers from 0 to 2"),
    (2, [1, 2], -1, ValueError, "class numbers from 0 to 2"),
    (2, [1, 2], 0.5, ValueError, "class numbers from 0 to 2"),
    (2, [1, 2], np.nan, ValueError, "class numbers from 0 to 2"),
    (2, [1, 2], [0.5, 0, 0], ValueError, "sum to 1"),
    (2, [1, 2], "b", TypeError, "y must hold real numbers"),
    (2, [1, 2], 2**70, (TypeError, ValueError), "y"),
    (2, [1, 2], [0, 1], ValueError, "y must be the number of a class or of shape"),
]


@pytest.mark.parametrize(
    ("engine", "case", "x", "y", "error", "message"),
    [
        pytest.param(engine, *bad, marks=[pytest.mark.slow] * (engine == "numba" and bad[0] == 0))
        for engine in ("numpy", "numba")
        for bad in BAD_ROWS
    ],
)
def test_bad_rows_are_named_and_change_nothing(engine, case, x, y, error, message):
    case = CORE[case]
    X, Y = rows(case)
    net, twin = case.network(engine), case.network(engine)
    for first in (X[0], X[1]):  # before the first update, and where one has been made ready
        for bad_x in [x, np.array(x, float)] if x and not isinstance(x[0], str) else [x]:
            with unchanged(net, net._rng), pytest.raises(error, match=message):
                net.learn_one(bad_x, y)
        for each in (net, twin):
            each.learn_one(first, Y[0])
    assert bits(net) == bits(twin)


def test_masked_rows_are_refused_where_an_update_has_been_made_ready():
    case = CORE[2]
    X, Y = rows(case)
    net = case.network("numba")
    masked = np.ma.masked_array(X[0], [True, False])
    for _ in range(2):
        net.learn_one(X[0], Y[0])
        net.predict_one(X[0])
        for call in (lambda: net.learn_one(masked, Y[0]), lambda: net.predict_one(masked)):
            with unchanged(net, net._rng), pytest.raises(ValueError, match="x has masked values"):
                call()


def test_a_bad_argument_leaves_rate_and_optimiser_as_they_were():
    case = CORE[2]
    X, Y = rows(case)
    net, twin = case.network("numba"), case.network("numba")
    for each in (net, twin):
        each.learn_one(X[0], Y[0], learning_rate=0.1)
    for options in ({"learning_rate": 0.3}, {"learning_rate": -1}, {"learning_rate": True},
                    {"optimizer": "adam"}, {"optimizer": "none"}):  # fmt: skip
        with pytest.raises((TypeError, ValueError)):
            net.learn_one(X[0], Y[0] * np.nan, **options)
    for each in (net, twin):
        each.learn_one(X[1], Y[1])
    assert bits(net) == bits(twin)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_go_on_by_themselves(copied):
    case = CORE[2]
    X, Y = rows(case)
    net = case.network("numba")
    net.learn_one(X[0], Y[0], learning_rate=0.1)
    net.predict_one(X[0])
    twin = copied(net)
    assert twin.predict_one(X[0]).tolist() == net.predict_one(X[0]).tolist()
    net.learn_one(X[1], Y[1])
    assert twin.parameters.tobytes() != net.parameters.tobytes()
    twin.learn_one(X[1], Y[1])
    assert bits(twin) == bits(net)
    del net
    assert np.isfinite(twin.learn_one(X[2], Y[2]))


@pytest.mark.slow
def test_it_goes_on_after_fit_set_parameters_and_another_optimiser():
    case = CORE[2]
    X, Y = rows(case)
    net, twin = case.network("numba"), case.network("numba")
    for each, single in ((net, True), (twin, False)):
        learn = each.learn_one if single else lambda x, y, n=twin, **k: n.partial_fit([x], [y], **k)
        learn(X[0], Y[0], learning_rate=0.1)
        each.fit(X, Y, epochs=1, batch_size=1, optimizer="adam", shuffle=False)
        learn(X[1], Y[1])
        each.set_parameters(each.parameters * 0.5)
        learn(X[2], Y[2])
        learn(X[3], Y[3], optimizer="sgd")
        learn(X[4], Y[4], optimizer="adam")
        each.parameters[0] = 0.25
        learn(X[5], Y[5], optimizer="adam")
    assert bits(net) == bits(twin)
    assert net.predict_one(X[0]).tolist() == net.predict(X[:1])[0].tolist()


def test_a_network_in_training_is_not_trained_by_its_callbacks():
    case = CORE[2]
    X, Y = rows(case)
    net = case.network("numba")
    net.learn_one(X[0], Y[0])

    class Meddler:
        def on_epoch_end(self, network, epoch, logs):
            network.learn_one(X[0], Y[0])

    with pytest.raises(RuntimeError, match="being trained already"):
        net.fit(X, Y, epochs=1, batch_size=1, callbacks=[Meddler()])


def test_parameters_that_somebody_set_to_nan_are_named():
    case = CORE[2]
    X, Y = rows(case)
    net = case.network("numba")
    net.learn_one(X[0], Y[0])
    net.parameters[0] = np.nan
    with pytest.raises((ValueError, fastnn.TrainingDivergedError)):
        net.learn_one(X[0], Y[0])
    with pytest.raises(ValueError, match="parameters must be finite"):
        net.predict_one(X[0])


def test_calls_leave_no_memory_behind():
    case = CORE[2]
    X, Y = rows(case)
    net = case.network("numba")

    def run(n):
        for _ in range(n):
            for x, y in zip(X, Y, strict=True):
                net.learn_one(x, y, learning_rate=1e-6)
                net.predict_one(x)

    tracemalloc.start()
    run(50)  # until Python's and NumPy's own stores of small blocks are filled
    before = tracemalloc.get_traced_memory()[0]
    run(200)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 4 * 200 * len(X)  # an object a call is some 50 bytes


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["sgd", "adam"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_rows_of_another_dtype_where_networks_of_both_are_made_ready(dtype, rule):
    """A kernel takes what lies at an address to be of the dtype of the row."""
    other = {"float64": "float32", "float32": "float64"}[dtype]

    def ready(dtype):
        net = fastnn.Network([3, 4, 1], dtype=dtype, seed=0)
        x = np.full(3, 0.5, dtype)
        for _ in range(2):
            net.learn_one(x, 0.25, optimizer=rule)
            net.partial_fit(x[np.newaxis], np.full(1, 0.25), optimizer=rule)
            net.predict_one(x)
            net.predict(x[np.newaxis])
        return net

    ready(other)
    net, twin = ready(dtype), ready(dtype)
    for x in np.random.default_rng(0).normal(size=(6, 3)).astype("f4"):
        for own, row in ((twin, x.astype(dtype)), (net, x.astype(other))):
            own.learn_one(row, 0.5, optimizer=rule)
            own.partial_fit(row[np.newaxis], np.full(1, -0.5), optimizer=rule)
        assert net.parameters.tobytes() == twin.parameters.tobytes()
        expected = twin.predict_one(x.astype(dtype)).tobytes()
        assert net.predict_one(x.astype(other)).tobytes() == expected
        assert net.predict(x.astype(other)[np.newaxis]).tobytes() == expected


# --- partial_fit takes the short way for batches too --------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
def test_ready_arrays_and_lists_are_the_same_batches(loss):
    X, Y = data_for(loss, 24, 3, 2)
    ready, listed = (fastnn.Network([3, 4, 2], loss=loss, seed=1, engine="numpy") for _ in "ab")
    for k in range(0, 24, 8):
        ready.partial_fit(X[k : k + 8], Y[k : k + 8])
        listed.partial_fit(X[k : k + 8].tolist(), Y[k : k + 8].tolist())
    assert bits(ready) == bits(listed)


@pytest.mark.parametrize("y", [np.array([0, 2, 1, 3]), np.array([0, -1, 1, 1])])
def test_batches_of_bad_classes_are_refused_the_short_way_too(y):
    net = fastnn.Network([3, 4, 3], loss="cross_entropy", seed=1, engine="numpy")
    X = np.ones((4, 3))
    net.partial_fit(X, np.array([0, 1, 2, 0]))
    with unchanged(net, net._rng), pytest.raises(ValueError, match="class numbers from 0 to 2"):
        net.partial_fit(X, y)
