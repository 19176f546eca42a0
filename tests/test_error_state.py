"""What a user does with NumPy's floating point errors changes nothing in fastnn."""

from __future__ import annotations

import copy
import inspect
import itertools

import numpy as np
import pytest
from helpers import DTYPES, slow_but
from matplotlib.figure import Figure

import fastnn

#: Too small for float32, or for any normal number; large enough to saturate every activation.
X = np.array([[1e-40, 0.5], [1e-310, -0.5], [300.0, -300.0], [0.1, 1e-42], [-1e3, 1e3]])
Y = np.array([[0.0], [1.0], [1e-41], [0.25], [1.0]])
WEIGHTS = np.array([1e-40, 1.0, 1e-310, 0.5, 0.1])
#: Falls to 0 in the third step.
SCHEDULE = fastnn.ExponentialDecay(0.1, 1e-200, per="update")


class Looking:
    """A callback that evaluates."""

    def __init__(self):
        self.seen = []

    def on_epoch_end(self, network, epoch, logs):
        self.seen.append((logs, network.evaluate(X, Y), network.predict(X).tobytes()))


def fit(net, tmp_path, **options):
    looking = Looking()
    history = net.fit(
        X, Y, epochs=4, sample_weight=WEIGHTS, validation_data=(X, Y), callbacks=[looking],
        early_stopping=fastnn.EarlyStopping(patience=9, restore_best=True), **options,
    )  # fmt: skip
    return history.loss, history.val_loss, history.learning_rate, looking.seen


@np.errstate(all="ignore")
def narrowed(array, dtype):
    return array.astype(dtype)


def predict_as_it_is(net, tmp_path):
    return net.predict(narrowed(X, net.dtype))


def save_and_load(net, tmp_path):
    net.save(tmp_path / "net")
    return fastnn.load(tmp_path / "net").parameters


def partial_fit(net, tmp_path):
    return [
        net.partial_fit(X, Y, learning_rate=SCHEDULE),
        net.partial_fit(X, Y, learning_rate=SCHEDULE),
        net.partial_fit(narrowed(X, net.dtype), narrowed(Y, net.dtype), learning_rate=SCHEDULE),
        net.partial_fit(X, Y, learning_rate=SCHEDULE, sample_weight=WEIGHTS),
    ]


def single_rows(net, tmp_path):
    """Each row learned and predicted by itself."""
    rows = zip(narrowed(X, net.dtype), Y[:, 0].tolist(), strict=True)
    return [(net.learn_one(x, y), net.predict_one(x).tobytes()) for x, y in rows]


def c_source(net, tmp_path):
    net.to_c(tmp_path / "net.c")
    return (tmp_path / "net.c").read_text()


#: The squares of these overflow, in float32 too.
HUGE = np.array([[1e30, -1e30], [3e38, 3e38]])


def huge(net):
    twin = fastnn.Network([2, 4, 1], activation="relu", engine=net.engine, dtype=net.dtype, seed=1)
    twin.parameters[:] *= 1e30
    return twin


def or_refusal(door, *arguments, **options):
    """What comes, or that it is refused: some engines meet NaN where others do not."""
    try:
        return door(*arguments, **options)
    except ValueError as refusal:
        return str(refusal)


def pictures(net, path):
    boundary = net.plot_boundary(X, Y, Figure().subplots())
    weights = net.plot_weights(Figure().subplots(1, 2))
    return [boundary.get_xlim(), *(ax.get_images()[0].get_array() for ax in weights)]


DOORS = {
    "Network": lambda net, path: fastnn.Network([3, 4, 2], dtype=net.dtype, seed=3).parameters,
    "set_parameters": lambda net, path: (
        net.set_parameters(1e-42 * np.arange(len(net.parameters))).parameters
    ),
    "predict": lambda net, path: net.predict(X),
    "predict as it is": predict_as_it_is,
    "predict a list": lambda net, path: net.predict(X.tolist()),
    "predict_with": lambda net, path: net.predict_with([net.parameters, -net.parameters], X),
    "predict_one learn_one": single_rows,
    "to_c": c_source,
    "compiled": lambda net, path: net.compiled()[3:],
    "layer_outputs": lambda net, path: net.layer_outputs(X),
    "evaluate": lambda net, path: net.evaluate(
        X, Y, sample_weight=WEIGHTS, metrics=["auc", "accuracy", "mean_absolute_error"]
    ),
    "loss_and_gradient": lambda net, path: net.loss_and_gradient(X, Y),
    "jacobian vjp jvp pullback": lambda net, path: [
        net.jacobian(X),
        net.vjp(X, Y),
        net.jvp(X, X),
        net.pullback(X, Y),
    ],
    "hessian hvp": lambda net, path: [net.hessian(X), net.hvp(X, X, Y)],
    "fit": fit,
    "fit sample by sample": lambda net, path: fit(net, path, batch_size=1),
    "fit by adam": lambda net, path: fit(
        net, path, optimizer=fastnn.Adam(SCHEDULE, epsilon=1e-40), batch_size=2
    ),
    "fit by lbfgs": lambda net, path: fit(net, path, optimizer="lbfgs"),
    "fit_stream": lambda net, path: net.fit_stream([(X, Y), (X, Y, WEIGHTS)]).loss,
    "partial_fit": partial_fit,
    "save and load": save_and_load,
    "what overflows": lambda net, path: [
        or_refusal(huge(net).evaluate, HUGE, HUGE[:, 0], metrics=["r2", "mean_squared_error"]),
        or_refusal(huge(net).loss_and_gradient, HUGE, HUGE[:, 0]),
        or_refusal(huge(net).layer_outputs, HUGE),
        or_refusal(huge(net).predict, HUGE.tolist()),
    ],
    "plot_boundary and plot_weights": pictures,
    "summary": lambda net, path: net.summary(),
    "warmup": lambda net, path: fastnn.warmup(net, optimizer="adam").seconds > 0,
    "copy": lambda net, path: copy.deepcopy(net).parameters,
    "reset_optimizer": lambda net, path: (
        partial_fit(net, path),
        net.reset_optimizer().partial_fit(X, Y),
    ),
}


#: These need packages that these tests do without.
WITH_EXTRAS = {"to_onnx", "to_torch", "to_torch_optimizer", "plot_boundary", "plot_weights"}


#: These are machine code, which NumPy's settings do not concern.
COMPILED = {"low_level_callable", "cfunc"}


def test_every_method_is_a_door():
    methods = {name for name, _ in inspect.getmembers(fastnn.Network, inspect.isfunction)}
    words = {word for door in DOORS for word in door.split()}
    assert {name for name in methods if not name.startswith("_")} - WITH_EXTRAS - COMPILED <= words


def outcome(engine, dtype, door, tmp_path):
    net = fastnn.Network(
        [2, 4, 1], activation="tanh", loss="binary_cross_entropy", seed=2, dtype=dtype,
        engine=engine,
    )  # fmt: skip
    net.parameters[:] *= 1e-3
    return repr(DOORS[door](net, tmp_path)), net.parameters.tobytes()


#: Kernels know of no error state, and are not compiled for each dtype.
IN_PYTHON = [("python", "float64"), *(("numpy", dtype) for dtype in DTYPES)]
PICTURES = [door for door in DOORS if "plot" in door]  # these take tenths of a second


def doors():
    """Slow where a picture is drawn or a kernel compiled; of kernels what comes most often."""
    for kind, door in itertools.product([*IN_PYTHON, ("numba", "float64")], DOORS):
        compiles = kind not in IN_PYTHON
        if not compiles or door.split()[0] in ("predict", "fit", "what"):
            slow = [pytest.mark.slow] if compiles or door in PICTURES else []
            yield pytest.param(*kind, door, marks=slow)


@pytest.mark.parametrize(("engine", "dtype", "door"), list(doors()))
def test_no_door_minds_the_error_state(engine, dtype, door, tmp_path):
    expected = outcome(engine, dtype, door, tmp_path)
    with np.errstate(all="raise"):
        state = np.geterr()
        assert outcome(engine, dtype, door, tmp_path) == expected
        assert np.geterr() == state


SETTINGS = {"hidden_layer_sizes": (4,), "max_iter": 5, "tol": 0.0, "random_state": 1}


def as_classifier(**options):
    return fastnn.MLPClassifier(**SETTINGS, **options)


def as_regressor(**options):
    return fastnn.MLPRegressor(**SETTINGS, **options)


CLASSES = np.array([0, 1, 0, 1, 1])


def classify(dtype, **options):
    model = as_classifier(**options).fit(narrowed(X, dtype), CLASSES, sample_weight=WEIGHTS)
    return model.predict_proba(X), model.predict(X), model.score(X, CLASSES), model.loss_


def classify_in_parts(dtype):
    model = as_classifier().partial_fit(narrowed(X, dtype), CLASSES, classes=[0, 1])
    return model.partial_fit(X, CLASSES).predict_proba(narrowed(X, dtype))


def regress(dtype, **options):
    model = as_regressor(**options).fit(narrowed(X, dtype), Y.ravel())
    return model.predict(X), model.score(X, Y.ravel()), model.loss_


ESTIMATORS = {
    "classifier": classify,
    "classifier by sgd": lambda dtype: classify(dtype, solver="sgd"),
    "classifier in parts": classify_in_parts,
    "regressor": regress,
    "regressor by lbfgs": lambda dtype: regress(dtype, solver="lbfgs"),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.usefixtures("engine_of_estimators")
@pytest.mark.parametrize("dtype", slow_but(["float64"], DTYPES))
@pytest.mark.parametrize("door", ESTIMATORS)
def test_no_estimator_minds_the_error_state(door, dtype):
    expected = repr(ESTIMATORS[door](dtype))
    with np.errstate(all="raise"):
        assert repr(ESTIMATORS[door](dtype)) == expected


@pytest.mark.parametrize("first", [0, 5, 10**9, 2**62])
@pytest.mark.parametrize(
    "schedule",
    [
        fastnn.StepDecay(0.5, 1, 1e-3), fastnn.StepDecay(1e300, 1, 1e10),
        fastnn.ExponentialDecay(0.5, 0.5), fastnn.ExponentialDecay(0.5, 1e10),
        fastnn.InverseScaling(0.5, 100.0), fastnn.InverseScaling(1e-320, 1.0),
        fastnn.CosineDecay(1e-320, 3, alpha=0.1),
        fastnn.CosineDecay(1e300, 3, warmup_target=1.7e308, warmup_steps=2),
        fastnn.OneCycle(1e300, 10, div_factor=1e-300),
        fastnn.OneCycle(1e-300, 10, div_factor=1e300),
    ],
    ids=repr,
)  # fmt: skip
def test_rates_do_not_mind_the_error_state(schedule, first):
    with np.errstate(all="ignore"):
        expected = schedule.rates(first, 6)
    with np.errstate(all="raise"):
        assert schedule.rates(first, 6).tobytes() == expected.tobytes()
