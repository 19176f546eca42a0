"""Updates and predictions of single rows, against the trainer's and the predictor's."""

import numpy as np
import pytest
from processes import run_in_new_process
from simd import only_compiled

import fastnn

pytestmark = pytest.mark.own_kernels

ADAM, SGD = fastnn.Adam(), fastnn.SGD(0.1)
PROBLEMS = [
    ("half_squared_error", [3, 9, 4], SGD, [0.5, -1.0, 2.0, 0.0]),
    ("half_squared_error", [3, 9, 1], ADAM, 0.5),
    ("cross_entropy", [3, 9, 4], ADAM, 2),
]


def network(loss, sizes, **options):
    activation = "silu" if loss == "cross_entropy" else "sigmoid"
    return fastnn.Network(sizes, loss=loss, activation=activation, seed=1, **options)


@pytest.mark.parametrize(("loss", "sizes", "rule", "target"), PROBLEMS)
def test_updates_are_those_of_the_numpy_engine(loss, sizes, rule, target):
    nets = [network(loss, sizes, engine=engine) for engine in ("numba", "numpy")]
    y = np.array(target) if isinstance(target, list) else target
    for x in np.random.default_rng(0).normal(size=(20, 3)):
        ours, theirs = (net.learn_one(x, y, optimizer=rule) for net in nets)
        assert ours == pytest.approx(theirs, rel=1e-10)
        assert nets[0].predict_one(x) == pytest.approx(nets[1].predict_one(x), rel=1e-10)
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-10)


@pytest.mark.parametrize(("loss", "sizes", "rule", "target"), PROBLEMS)
def test_what_cannot_be_learned_changes_nothing(loss, sizes, rule, target):
    net = network(loss, sizes)
    x = np.ones(3)
    net.learn_one(x, target, optimizer=rule)
    learner = net._updater.learner
    before = net.parameters.tobytes(), net._state.moments.tobytes()
    bad = [(np.array([1, np.nan, 1]), 0.0), (np.ones(4), 0.0), (x, np.nan), (x, np.inf)]
    for row, y in bad:
        assert np.isnan(learner.learn(row, y, learner.address))
        assert not learner.tried
    learner.put_target(np.full(sizes[-1], np.nan))
    assert np.isnan(learner.learn(x, 0.0, learner.address_of_target))
    assert not learner.tried
    assert (net.parameters.tobytes(), net._state.moments.tobytes()) == before
    net.parameters[:] = np.nan
    before = net.parameters.tobytes(), net._state.moments.tobytes()
    learner.put_target(np.zeros(sizes[-1]))
    assert np.isnan(learner.learn(x, 0.0, learner.address_of_target))
    assert learner.tried
    assert (net.parameters.tobytes(), net._state.moments.tobytes()) == before
    assert net._state.updates.tolist() == [1]


FIRST_IN_THREADS = """
import threading
from concurrent.futures import ThreadPoolExecutor
import numpy as np
import fastnn

together = threading.Barrier(4)

def outputs(seed):
    net, x = fastnn.Network([3, 5, 1], seed=seed), np.ones(3)
    together.wait()
    return net.predict_one(x)[0] == net.predict([x])[0, 0]

with ThreadPoolExecutor(4) as threads:
    print(all(threads.map(outputs, range(4))))
"""


@only_compiled
@pytest.mark.slow
def test_several_threads_may_be_the_first(tmp_path):
    """The kernel takes nothing else from when it is compiled: for whom waited it must be there."""
    assert run_in_new_process(tmp_path, FIRST_IN_THREADS) == "True"


@only_compiled
def test_what_the_kernels_take_as_it_is():
    """And what not, of which they say so at once: numba would look what could be converted."""
    net = network(*PROBLEMS[1][:2])
    x, outputs = np.ones(3), np.empty(1)
    net.learn_one(x, 0.5, optimizer=ADAM)
    net.predict_one(x)
    learner, predictor = net._updater.learner, net._quick_prediction[-1]
    for y in (1.0, 1, True, np.float64(1), np.float32(1), np.int32(1), np.int64(1), np.bool_(1)):
        assert np.isfinite(learner.learn(x, y, learner.address))
    assert predictor.predict(x, outputs, predictor.address)
    read_only = x.copy()
    read_only.flags.writeable = False
    for row in (np.ones(6)[::2], read_only, np.ones(3, np.float32), np.ones((1, 3)), [1, 1, 1]):
        with pytest.raises(TypeError, match="compiled for other types"):
            learner.learn(row, 1.0, learner.address)
        with pytest.raises(TypeError, match="compiled for other types"):
            predictor.predict(row, outputs, predictor.address)
    for y in (np.ones(1), [1.0], 1j, "one", None):
        with pytest.raises(TypeError, match="compiled for other types"):
            learner.learn(x, y, learner.address)


@pytest.mark.parametrize(
    ("loss", "smoothing", "y", "fits"),
    [
        ("binary_cross_entropy", 0.0, 0.25, True),
        ("binary_cross_entropy", 0.0, 1.5, False),
        ("binary_cross_entropy", 0.2, 1, True),
        ("binary_cross_entropy", 0.2, 0.25, True),
        ("hinge", 0.0, 0, True),
        ("hinge", 0.0, -1, True),
        ("hinge", 0.0, 0.5, False),
        ("poisson", 0.0, 3, True),
        ("poisson", 0.0, -3, False),
    ],
)
def test_targets_are_checked_as_for_many(loss, smoothing, y, fits):
    engine = "numba" if loss == "hinge" else "numpy"  # whose kernels compile fast
    one, many = (
        fastnn.Network([3, 1], loss=loss, label_smoothing=smoothing, seed=1, engine=engine)
        for _ in range(2)
    )
    for net, learn in ((one, one.learn_one), (many, lambda x, y: many.partial_fit([x], [y]))):
        for target in (0.0, y, y) if fits else (0.0,):
            learn(np.ones(3), target)
        if not fits:
            with pytest.raises(ValueError, match="y must"):
                learn(np.ones(3), y)
        assert net._state.updates[0] == (3 if fits else 1)
    assert one.parameters.tobytes() == many.parameters.tobytes()
