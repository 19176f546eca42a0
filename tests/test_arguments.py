"""Arguments beyond what the next step takes: numbers, file names, functions, lists.

Each test is over all members of a kind; what single arguments say is in test_bad_input.py.
"""

from __future__ import annotations

import dataclasses
import functools
import os

import numpy as np
import pandas as pd
import pytest
from helpers import in_turn, slow_but, unchanged

import fastnn

X, Y = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0.0, 1.0, 0.5])


def network(**options):
    return fastnn.Network([2, 3, 1], **{"seed": 0, "engine": "numpy"} | options)


def fit(**options):
    return network().fit(X, Y, **options)


#: Where a whole number is wanted: the name in the message, what takes the number.
WHOLE = {
    "epochs": lambda k: fit(epochs=k),
    "epochs of lbfgs": lambda k: fit(epochs=k, optimizer="lbfgs"),
    "epochs of a stream": lambda k: network().fit_stream([(X, Y)], epochs=k),
    "batch_size": lambda k: fit(batch_size=k),
    "batch_size of a stream": lambda k: network().fit_stream([(X, Y)], batch_size=k),
    "layer_sizes[0]": lambda k: fastnn.Network([k, 1], engine="numpy"),
    "layer_sizes[1]": lambda k: fastnn.Network([2, k, 1], engine="numpy"),
    "seed": lambda k: network(seed=k),
    "patience": lambda k: fit(early_stopping=fastnn.EarlyStopping(patience=k)),
    "start_from_epoch": lambda k: fit(early_stopping=fastnn.EarlyStopping(start_from_epoch=k)),
    "patience of a rate": lambda k: fit(learning_rate=fastnn.ReduceOnPlateau(0.1, patience=k)),
    "step_size": lambda k: fit(learning_rate=fastnn.StepDecay(0.1, k)),
    "decay_steps": lambda k: fit(learning_rate=fastnn.ExponentialDecay(0.1, 0.5, k)),
    "decay_steps of a cosine": lambda k: fit(learning_rate=fastnn.CosineDecay(0.1, k)),
    "warmup_steps": lambda k: fit(
        learning_rate=fastnn.CosineDecay(0.1, 3, warmup_target=0.2, warmup_steps=k)
    ),
    "total_steps": lambda k: fit(learning_rate=fastnn.OneCycle(0.1, k)),
    "first": lambda k: fastnn.StepDecay(0.1, 3).rates(k, 2),
    "count": lambda k: fastnn.StepDecay(0.1, 3).rates(0, k),
    "memory": lambda k: fit(optimizer=fastnn.LBFGS(memory=k)),
    "max_evaluations": lambda k: fit(optimizer=fastnn.LBFGS(max_evaluations=k)),
    "every": lambda k: fastnn.Checkpoint("net", every=k),
    "samples": lambda k: fastnn.profile([2, 1], samples=k),
    "sizes": lambda k: fastnn.profile(sizes=k, ops="dot"),
    "batch_sizes": lambda k: fastnn.warmup(network(), batch_sizes=[k]),
}
#: Of these any number will do: `batch_size` is at most all samples.
UNLIMITED = ("batch_size", "batch_size of a stream", "seed", "batch_sizes")


def is_about(error: pytest.ExceptionInfo, name: str) -> bool:
    """Whether a message begins with the argument's name, and can be read."""
    text = str(error.value)
    return text.startswith(name.split(" of ")[0]) and len(text) < 400 and "e+" not in text


@in_turn("power", [19, 30, 400, 5000])
@pytest.mark.parametrize("name", [name for name in WHOLE if name not in UNLIMITED])
def test_a_whole_number_too_large_is_refused_by_name(name, power):
    with pytest.raises(ValueError, match="must be at most") as error:
        WHOLE[name](10**power)
    assert is_about(error, name)


@pytest.mark.parametrize("name", [name for name in UNLIMITED if name != "batch_sizes"])
def test_some_whole_numbers_have_no_limit(name):
    for value in (2**63, 10**400, 10**5000):
        WHOLE[name](value)


@in_turn("power", [0, 400, 5000])
@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_number_below_0_is_refused_by_name(name, power):
    with pytest.raises(ValueError, match="must be at least") as error:
        WHOLE[name](-(10**power))
    assert is_about(error, name)


NUMBERS = {
    "learning_rate": lambda a: fit(learning_rate=a),
    "l1": lambda a: network(l1=a),
    "l2": lambda a: network(l2=a),
    "max_norm": lambda a: network(max_norm=a),
    "dropout": lambda a: network(dropout=a),
    "dropout[0]": lambda a: network(dropout=[a]),
    "label_smoothing": lambda a: network(label_smoothing=a),
    "validation_split": lambda a: fit(validation_split=a),
    "class_weight[0]": lambda a: network(loss="binary_cross_entropy").fit(
        X, [0, 1, 1], class_weight={0: a}
    ),
    "min_delta": lambda a: fastnn.EarlyStopping(min_delta=a),
    "target": lambda a: fastnn.EarlyStopping(target=a),
    "max_seconds": lambda a: fastnn.EarlyStopping(max_seconds=a),
    "factor": lambda a: fastnn.StepDecay(0.1, 3, factor=a),
    "tolerance": lambda a: fastnn.LBFGS(tolerance=a),
    **{
        f"{name} of {kind.__name__}": functools.partial(
            lambda kind, name, a: kind(**{name: a}), kind, name
        )
        for kind in (fastnn.SGD, fastnn.RMSprop, fastnn.Adagrad, fastnn.Adam, fastnn.AdamW)
        for name in (field.name for field in dataclasses.fields(kind))
        if name != "nesterov"
    },
}
NO_NUMBERS = [
    np.timedelta64(3, "s"), np.datetime64("2020"), True, np.True_, "3", b"3",
    np.array([1.0, 2.0]), np.array(1.0), pd.Series([0.1]), [0.1], 1j, object(), print,
]  # fmt: skip


@in_turn("value", NO_NUMBERS)
@pytest.mark.parametrize("name", [*NUMBERS, *WHOLE])
def test_what_is_no_number_is_refused_by_name(name, value):
    if name == "dropout" and isinstance(value, list | np.ndarray):
        return  # a rate for each layer
    with pytest.raises((TypeError, ValueError)) as error:
        ({**NUMBERS, **WHOLE})[name](value)
    assert is_about(error, name)


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_no_float_holds_is_refused_by_name(name):
    for value in (10**400, 10**5000, np.longdouble("1e400"), float("inf"), float("nan")):
        with pytest.raises(ValueError, match="must be finite") as error:
            NUMBERS[name](value)
        assert is_about(error, name)


# What is compared with what was given before.
BEFORE = {"learning_rate": 1, "optimizer": "sgd"}
SAME_BUT_BAD = {
    "learning_rate": [True, np.True_, np.array(1), np.array([1, 1]), pd.Series([1]), [1], "1",
                      np.timedelta64(1, "s")],
    "optimizer": [np.array("sgd"), np.array(["sgd", "sgd"]), pd.Series(["sgd"]), ["sgd"], b"sgd"],
}  # fmt: skip


class EqualToAll:
    """Says that it is equal to whatever it is compared with."""

    __hash__ = None

    def __eq__(self, other):
        return True


class NotComparable:
    __hash__ = None

    def __eq__(self, other):
        raise RuntimeError("not to be compared")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(name, value, id=f"{name}-{k}")
        for name, values in SAME_BUT_BAD.items()
        for k, value in enumerate([*values, EqualToAll(), NotComparable()])
    ],
)
def test_an_argument_is_checked_however_it_compares_with_the_last_one(name, value):
    source = np.random.default_rng(0)
    net = network(seed=source)
    net.partial_fit(X, Y, **{name: BEFORE[name]})
    with unchanged(net, source), pytest.raises(TypeError, match=f"^{name} must be "):
        net.partial_fit(X, Y, **{name: value})


@dataclasses.dataclass(frozen=True)
class Table(fastnn.schedules.CountedSchedule):
    """A schedule of a user's own: two of them cannot be compared."""

    table: np.ndarray

    def rate_at(self, t):
        return self.table[t.astype(int) % len(self.table)]


def test_schedules_that_cannot_be_compared_are_different_ones():
    net = network()
    for _ in range(2):
        net.fit(X, Y, epochs=2, learning_rate=Table(np.array([0.1, 0.2, 0.3])))
        assert net.history.learning_rate == [0.1, 0.2]
    rate = Table(np.array([0.1, 0.2, 0.3]))
    for expected in ([0.1, 0.2], [0.3, 0.1]):
        net.fit(X, Y, epochs=2, learning_rate=rate)
        assert net.history.learning_rate == expected
    for _ in range(2):
        net.partial_fit(X, Y, learning_rate=Table(np.array([0.1])))


# File names.
FILES = {
    "save": lambda path: network().save(path),
    "load": fastnn.load,
    "Checkpoint": lambda path: fastnn.Checkpoint(path),
    "a Checkpoint's epoch": lambda path: fit(callbacks=[fastnn.Checkpoint(path)]),
}
BAD_FILES = {
    "NUL": ("a\0b", ValueError),
    "NUL in bytes": (b"a\0b", ValueError),
    "half a character": ("a\ud800b", ValueError),
    "empty": ("", ValueError),
    "None": (None, TypeError),
    "number": (3, TypeError),
    "list": (["net"], TypeError),
    "open file": (os.devnull.__iter__(), TypeError),
}


@pytest.mark.parametrize("what", BAD_FILES)
@pytest.mark.parametrize("door", FILES)
def test_what_is_no_name_of_a_file_is_refused(door, what):
    path, kind = BAD_FILES[what]
    with pytest.raises(kind, match=r"^path (must be|has a character)"):
        FILES[door](path)


@pytest.mark.parametrize("door", slow_but(["save"], ["save", "a Checkpoint's epoch"]))
@pytest.mark.parametrize("name", ["n" * 245, "n" * 255, "é" * 127, "💾" * 63])
def test_every_name_that_the_file_system_takes_is_taken(door, name, tmp_path):
    for path in (tmp_path / name, str(tmp_path / name), os.fsencode(tmp_path / name)):
        FILES[door](path)
        assert fastnn.load(path).layer_sizes == (2, 3, 1)
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("door", ["save", "load", "a Checkpoint's epoch"])
@pytest.mark.parametrize("name", ["n" * 256, "é" * 128])
def test_a_name_that_is_too_long_is_named(door, name, tmp_path):
    with pytest.raises(OSError, match="too long") as error:
        FILES[door](tmp_path / name)
    assert error.value.filename == str(tmp_path / name)
    assert os.listdir(tmp_path) == []


TEMPLATES = ["{epoch.foo}", "{epoch.__class__}", "{loss[0]}", "{epoch[foo]}", "{}", "{0}", "{:3}",
             "{epoch", "a}{epoch}", "{epoch:z}", "{epoch:.3d}", "{loss:d}", "{epoch!x}",
             "{epoch:%Y}", "{epoch:1000}", "{loss:.99999f}", "{epoch:99999999999}"]  # fmt: skip


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_that_no_value_can_fill_is_refused_before_training(template):
    with pytest.raises(ValueError, match=r"^path='net.*' cannot be filled in") as error:
        fastnn.Checkpoint(f"net-{template}")
    assert template in str(error.value)


@pytest.mark.parametrize(
    "template", ["{epoch}", "{epoch:04d}-{loss:.3f}", "{epoch!r:>5}", "{loss:{epoch}.2f}",
                 "{{{epoch}}}", "{loss:e}", "{epoch:+,}"]
)  # fmt: skip
def test_templates_that_can_be_filled_are_taken(template):
    fastnn.Checkpoint(template)


# Functions, and what can be gone through.
class NoLength:
    def __iter__(self):
        return iter([(X, Y)])

    def __len__(self):
        raise TypeError("object of type 'IterableDataset' has no len()")


class EndlessLength(NoLength):
    def __len__(self):
        return 10**30


@pytest.mark.parametrize("chunks", [NoLength(), EndlessLength(), NoLength, [[X, Y]], ((X, Y),)])
@pytest.mark.parametrize("progress", [False, True])
def test_chunks_need_no_length(chunks, progress):
    history = network().fit_stream(chunks, progress=progress)
    assert history.epochs == 1


@pytest.mark.parametrize(
    "chunks",
    [None, 3, 3.0, object(), np.array(3.0), "abc", b"abc", X, {"X": X, "y": Y}, [None], [1], [X],
     [{1, 2}], [(X,)], [(X, Y, Y, Y)], [iter((X, Y))], (X, Y), lambda: None, lambda: 3,
     lambda epoch: [(X, Y)], print, int, pd.DataFrame({"a": [1.0]}), np.timedelta64(1, "s")],
)  # fmt: skip
def test_what_are_no_chunks_is_refused(chunks):
    source = np.random.default_rng(0)
    net = network(seed=source)
    with unchanged(net, source), pytest.raises((TypeError, ValueError), match="chunks"):
        net.fit_stream(chunks)
    assert net.history is None


def arity(n):
    return [lambda: 0.0, lambda a: 0.0, lambda a, b: 0.0, lambda a, b, c: 0.0][n]


@pytest.mark.parametrize(
    "metric", [arity(0), arity(1), arity(3), lambda a, b, *, c: 0.0, functools.partial(arity(1)),
               len, float, NoLength]
)  # fmt: skip
def test_a_metric_of_the_wrong_arity_is_refused_before_training(metric):
    source = np.random.default_rng(0)
    net = network(seed=source)
    message = r"^metrics\[1\] must be a function of \(targets, outputs\), got "
    with unchanged(net, source), pytest.raises(TypeError, match=message):
        net.fit(X, Y, metrics=["r2", metric])
    with pytest.raises(TypeError, match=message):
        net.evaluate(X, Y, metrics=["r2", metric])


@pytest.mark.parametrize(
    "metric", [arity(2), lambda *a: 0.0, lambda a, b, c=1: 0.0, functools.partial(arity(3), c=0)]
)
def test_what_takes_two_arrays_is_a_metric(metric):
    assert 0.0 in network().evaluate(X, Y, metrics=[metric]).values()


@pytest.mark.parametrize(
    "answer",
    [None, "a", b"a", [1.0, 2.0], np.zeros(2), 1j, 10**400, object(), {}, pd.Series([1, 2])],
)
def test_what_a_metric_returns_must_be_a_number(answer):
    with pytest.raises(TypeError, match=r"^metric 'user' must return one number, got "):
        network().evaluate(X, Y, metrics=[named("user", lambda targets, outputs: answer)])


def named(name, function):
    function.__name__ = name
    return function


class Nameless:
    __name__ = 3

    def __call__(self, targets, outputs):
        return 0.5


def test_a_function_whose_name_is_no_text_goes_by_its_type():
    assert network().evaluate(X, Y, metrics=[Nameless()])["Nameless"] == 0.5


@pytest.mark.parametrize("answer", [np.zeros(2), pd.Series([1, 2]), NoLength()])
def test_what_a_callback_returns_must_be_true_or_false(answer):
    class Callback:
        def on_epoch_end(self, network, epoch, logs):
            return answer

    with pytest.raises(TypeError, match=r"^callbacks\[0\]\.on_epoch_end must return True"):
        fit(callbacks=[Callback()])


@pytest.mark.parametrize("value", [3, None, 2.0, object()])
def test_batch_sizes_that_are_no_list_are_refused(value):
    with pytest.raises(TypeError, match=r"^batch_sizes must be a list of whole numbers, got "):
        fastnn.warmup(network(), batch_sizes=value)
