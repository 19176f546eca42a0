"""Runs a case, on each engine, and says what is wrong with what came."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import pathlib
import re
import signal
import tempfile
import traceback
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np
import sklearn
from sklearn.utils import check_random_state

import fastnn

from .doors import NETWORK_DOORS, Call, data, profile
from .estimators import PEER, estimator
from .files import FILE_DOORS, LONE_DOORS, odd_path
from .odd import odd_value
from .values import NEVER, SAME, TAKEN, Hostile

ENGINES = ("numpy", "python", "numba")
REFUSALS = (ValueError, TypeError, MemoryError)
#: Where refusals may be raised: not in the depths of NumPy or numba, that is.
HOUSES = tuple(os.path.dirname(module.__file__) + os.sep for module in (fastnn, sklearn))
#: The rooms of the fuzz whose functions stand for the user's code.
OWN = ("values.py", "odd.py", "doors.py", "files.py")
#: Numbers below it do not overflow, and rounding does not grow much.
TAME = 100.0


@dataclass(frozen=True)
class Fault:
    """What is wrong, with what, and where it came from: equal ones are one fault."""

    what: str
    door: str
    where: str
    story: str = field(compare=False)
    title: str = field(compare=False)

    def __str__(self) -> str:
        return f"{self.what}, {self.title}, {self.where}\n    {self.story}"


@dataclass
class Outcome:
    """What came of a call."""

    call: Call
    result: Any = None
    error: BaseException | None = None
    faults: list[Fault] = field(default_factory=list)
    numbers: list[np.ndarray] = field(default_factory=list)
    #: Whether all numbers that went in and came out are small.
    tame: bool = True

    def blame(self, what: str, story: str = "") -> None:
        """Note a fault."""
        where = "" if self.error is None else _place(self.error)
        came = "" if self.error is None else f"{type(self.error).__name__}: {_message(self.error)}"
        story = story or came
        door = self.call.door.split("(")[0].split(":")[0]
        self.faults.append(Fault(what, door, where, story[:400], self.call.title))


def draw(seed: int, engine: str, plain: bool = False) -> Call:
    """The case of *seed*; *plain*: with what the odd arguments are disguises of."""
    r = Random(seed)
    door = r.choice((*NETWORK_DOORS, *FILE_DOORS, *LONE_DOORS, profile, *6 * [estimator]))
    call = door(r, engine)
    call.strict = r.random() < 0.1 and not call.has_peer
    names = [name for name in call.kinds if name in call.arguments]
    for name in r.sample(names, min(len(names), r.choice((0, 1, 1, 1, 1, 2)))):
        base = call.arguments[name]
        kind = call.kinds[name]
        it = odd_path(r) if kind == "path" else odd_value(kind, base, r)
        if call.has_peer and "10**12" in it.label:  # scikit-learn would look at every row
            continue
        call.odd[name] = it
        call.arguments[name] = it.twin if plain and it.verdict in (SAME, TAKEN) else it.value
    return call


def judge(seed: int) -> list[Fault]:
    """All that is wrong with the case of *seed*."""
    outcomes = [attempt(seed, ENGINES[0])]
    first = outcomes[0].call
    if first.has_peer:
        _compare_with_peer(outcomes[0], attempt(seed, PEER))
        return outcomes[0].faults
    if first.network is not None or first.door == "Network":
        outcomes += [attempt(seed, engine) for engine in ENGINES[1:]]
        for other in outcomes[1:]:
            _compare(outcomes[0], other, "engines disagree")
    if first.odd and all(it.verdict in (SAME, TAKEN) for it in first.odd.values()):
        plain = attempt(seed, ENGINES[0], plain=True)
        if outcomes[0].error is None:
            _compare(plain, outcomes[0], "other results for the same numbers in another form")
    return list(dict.fromkeys(fault for one in outcomes for fault in one.faults))


def engines(seed: int) -> tuple[str, ...]:
    """Who is asked in the case of *seed*."""
    first = attempt(seed, ENGINES[0]).call
    return (ENGINES[0], PEER) if first.has_peer else ENGINES


def attempt(seed: int, engine: str, plain: bool = False) -> Outcome:
    """Draw a case and run it, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        return run(draw(seed, engine, plain))


def run(call: Call) -> Outcome:
    """Make the call, and look at everything that must hold after it."""
    outcome = Outcome(call)
    network = call.network
    given, before = _given(call), fingerprint(network)
    history = getattr(network, "history", None)
    with warnings.catch_warnings(), np.errstate(all="raise" if call.strict else "warn"):
        warnings.simplefilter("ignore")
        world = _world(call)
        try:
            outcome.result = call.function(**call.arguments)
        except BaseException as error:
            outcome.error = error
        if _world(call) != world:
            outcome.blame("changed the world", f"{world} became {_world(call)}"[:300])
    if _given(call) != given:
        outcome.blame("changed an argument")
    outcome.tame = _largest(call.arguments.values()) <= TAME
    if outcome.error is None:
        _look_at_result(outcome)
    elif not call.has_peer:
        _look_at_error(outcome)
    if network is not None:
        _look_at_network(outcome, network, before, history)
    return outcome


def _look_at_result(outcome: Outcome) -> None:
    call = outcome.call
    refused = [
        name
        for name, it in call.odd.items()
        if it.verdict == NEVER and (not call.has_peer or _is_time(call, name))
    ]
    if refused:
        outcome.blame("took what it must refuse", ", ".join(refused))
        return
    wrong = call.check(outcome.result)
    if wrong:
        outcome.blame("wrong result", wrong)
    outcome.numbers = list(_numbers(outcome.result))
    names_auc = "auc" in repr(call.arguments.get("metrics"))
    for numbers in outcome.numbers:
        outcome.tame = outcome.tame and bool((np.abs(numbers) <= TAME).all())
        if np.isnan(numbers).any() and not names_auc and "metric" not in call.door:
            outcome.blame("silent NaN", f"{numbers}"[:200])
    infinite = any(np.isinf(numbers).any() for numbers in outcome.numbers)
    rates = {"learning_rate", "learning_rate_init"} & {*call.names, *call.odd}
    if infinite and _largest(call.arguments.values()) <= TAME and not rates:
        outcome.blame("silent infinity")


def _is_time(call: Call, name: str) -> bool:
    """Whether dates or durations came for numbers, which scikit-learn may take."""
    array = call.kinds[name] == "array" and (name == "X" or not call.door.endswith("score"))
    number = call.kinds[name] in ("number", "integer")
    return (array or number) and bool(re.search("date|time|duration", call.odd[name].label))


def _look_at_error(outcome: Outcome) -> None:
    error, call = outcome.error, outcome.call
    assert error is not None
    if _is_own(error) or isinstance(error, fastnn.TrainingDivergedError):
        return
    if isinstance(error, OSError) and ("path" in call.names or "path" in call.arguments):
        return
    if not isinstance(error, REFUSALS):
        outcome.blame("an error of another type")
        return
    message = _message(error)
    if len(message) > 3000:
        outcome.blame("a message of pages")
    names = [*call.arguments, *call.names]
    if not any(re.search(rf"(?<!\w){re.escape(name.rstrip('s'))}", message) for name in names):
        outcome.blame("a message without the argument's name")
    elif not any(_frames(error)[-1].filename.startswith(house) for house in HOUSES):
        outcome.blame("an error from inside a library")
    elif call.kinds and all(it.verdict == TAKEN for it in call.odd.values()):
        outcome.blame("refused a valid call")


def _look_at_network(outcome: Outcome, network: Any, before: Any, history: Any) -> None:
    """Unchanged after a refusal, finite and fit for work in any case."""
    call, error = outcome.call, outcome.error
    diverged = isinstance(error, fastnn.TrainingDivergedError)
    learned = network.history is not history and network.history and network.history.epochs > 0
    if error is not None and not diverged and not (learned and _runs_users_code(call)):
        if fingerprint(network) != before:
            outcome.blame("changed the network and then refused", _difference(before, network))
    elif error is None and not call.trains and fingerprint(network) != before:
        outcome.blame("changed the network", _difference(before, network))
    if "spoils" in call.door:
        return
    if not np.isfinite(network.parameters).all():
        outcome.blame("parameters that are not finite")
        return
    _go_on(outcome, network)
    outcome.tame = outcome.tame and bool(np.abs(network.parameters).max() <= TAME)
    outcome.numbers.append(network.parameters.astype(float))


def _go_on(outcome: Outcome, network: Any) -> None:
    """Whatever was asked before, a valid call works afterwards."""
    X, y = data(network, 4, Random(1))
    error, outcome.error = outcome.error, None
    try:
        outputs = network.predict(X)
        network.partial_fit(X, y)
        network.fit(X, y, epochs=1, batch_size=3)
        if not np.isfinite(outputs).all() and outcome.tame:
            outcome.blame("predicts no finite numbers afterwards")
    except fastnn.TrainingDivergedError:
        outcome.tame = False
    except Exception as after:
        outcome.error = after
        if not ("must be smaller" in _message(after) and _huge(network)):
            outcome.blame("does not work afterwards")
    outcome.error = error


def _huge(network: Any) -> bool:
    """Whether the parameters are such as only rates and numbers beyond all reason lead to."""
    return bool(np.abs(network.parameters).max() > np.sqrt(np.finfo(network.dtype).max) / 100)


def _runs_users_code(call: Call) -> bool:
    """Whether training may end with an error of the user's own, or a late one about it."""
    return bool({"callbacks", "metrics", "chunks", "path"} & {*call.arguments, *call.names})


def _compare(one: Outcome, other: Outcome, what: str) -> None:
    """Note on *other* what differs from *one* by more than rounding."""
    errors = (one.error, other.error)
    if any(isinstance(error, fastnn.TrainingDivergedError) for error in errors):
        return
    if (errors[0] is None) != (errors[1] is None) or type(errors[0]) is not type(errors[1]):
        if (one.tame and other.tame) or None not in errors:
            other.blame(what, f"{errors[0]!r} and {errors[1]!r}"[:300])
        return
    seeds = {"seed": 0, "random_state": 0} | other.call.arguments
    unseeded = seeds["seed"] is None or seeds["random_state"] is None
    by_chance = unseeded or any(_is_timed(outcome.result) for outcome in (one, other))
    if not (one.tame and other.tame) or by_chance or one.faults or other.faults:
        return
    float32 = any(numbers.dtype == np.float32 for numbers in one.numbers) or (
        one.call.network is not None and one.call.network.dtype == np.float32
    )
    tolerance = 2e-3 if float32 else 1e-7
    for mine, theirs in zip(_before_chaos(one), _before_chaos(other), strict=False):
        if mine.shape != theirs.shape or not np.allclose(
            mine, theirs, rtol=tolerance, atol=tolerance, equal_nan=True
        ):
            other.blame(what, f"{mine} and {theirs}"[:300])
            return


def _before_chaos(outcome: Outcome) -> list[np.ndarray]:
    """The numbers; of the hundred epochs of a `fit`, in which rounding may grow, the first ten."""
    epochs = getattr(outcome.result, "epochs", 0)
    if epochs <= 20:
        return list(outcome.numbers)
    return [numbers[:10] for numbers in outcome.numbers if numbers.shape[:1] == (epochs,)]


def _compare_with_peer(ours: Outcome, theirs: Outcome) -> None:
    """Note on *ours* what scikit-learn's estimator does better."""
    if ours.error is not None:
        if _without_addresses(ours.error) != _without_addresses(theirs.error):
            _look_at_error(ours)
    elif theirs.error is not None:
        by_chance = isinstance(theirs.error, np.linalg.LinAlgError)  # a ValueError, of its loops
        if isinstance(theirs.error, REFUSALS) and not by_chance:
            ours.blame("takes what scikit-learn refuses", repr(theirs.error))
    else:
        if {"class_weight", "dropout"} & {*ours.call.arguments}:
            return
        if any("NaN" in fault.what for fault in theirs.faults):
            ours.faults = [fault for fault in ours.faults if "silent" not in fault.what]
        theirs.faults = []
        if _of_one_class(ours):  # a column for it, where scikit-learn has two
            ours.numbers, theirs.numbers = ours.numbers[1:], theirs.numbers[1:]
        _compare(theirs, ours, "other results than scikit-learn's")


def _of_one_class(outcome: Outcome) -> bool:
    """Whether the probabilities, which come first, are those of a single class."""
    first = next(iter(outcome.numbers), np.zeros(1))
    return (
        "Classifier" in outcome.call.door and first.shape[1:] == (1,) and bool((first == 1).all())
    )


def _is_timed(result: Any) -> bool:
    """Whether the clock ended training."""
    parts = result if isinstance(result, list) else [result]
    return any(getattr(part, "stop_reason", None) == "time limit" for part in parts)


# Looking into things


def _given(call: Call) -> Any:
    """What must not change of the arguments; a generator that is given as seed is drawn from."""
    return fingerprint({name: it for name, it in call.arguments.items() if name != "seed"})


def fingerprint(thing: Any, depth: int = 0) -> Any:
    """Something that differs if *thing* has changed by a bit."""
    if depth > 8:
        return id(thing)
    if isinstance(thing, np.ma.MaskedArray):
        return fingerprint([thing.data.view(np.ndarray), np.ma.getmaskarray(thing)], depth + 1)
    if isinstance(thing, np.ndarray):
        content: Any = thing.strides
        if thing.dtype.hasobject:
            content = [fingerprint(entry, depth + 1) for entry in thing.ravel()]
        elif thing.nbytes < 1 << 24:
            content = thing.strides, thing.tobytes()
        return thing.dtype.str, thing.shape, thing.flags.writeable, content
    if isinstance(thing, np.random.Generator):
        return repr(thing.bit_generator.state)
    if isinstance(thing, list | tuple):
        return [fingerprint(entry, depth + 1) for entry in thing]
    if isinstance(thing, dict):
        return [(repr(key), fingerprint(entry, depth + 1)) for key, entry in thing.items()]
    if isinstance(thing, fastnn.Network | fastnn.History):  # all that is saved and copied
        state = {**thing.__getstate__()}
        state.pop("_asked", None)
        default = vars(type(thing)).get  # to hold what the class says is no change
        shown = [(name, it) for name, it in state.items() if it is not default(name, thing)]
        return id(thing), [(name, fingerprint(entry, depth + 1)) for name, entry in sorted(shown)]
    if dataclasses.is_dataclass(thing):
        held = getattr(thing, "__dict__", {})  # not all of it: a property may be kept there
        names = [field.name for field in dataclasses.fields(thing) if field.name in held]
        return id(thing), [(name, fingerprint(held[name], depth + 1)) for name in names]
    if isinstance(thing, str | bytes | int | float | complex | None):
        return type(thing), repr(thing)
    if type(thing).__module__.split(".")[0] in ("pandas", "polars"):
        return repr(thing)
    return id(thing)


def _difference(before: Any, network: Any) -> str:
    """Which attributes of the network have changed."""
    pairs = zip(before[1], fingerprint(network)[1], strict=False)
    return ", ".join(mine[0] for mine, now in pairs if mine != now)


def _world(call: Call) -> Any:
    """What a library must leave as it is; scikit-learn draws from NumPy's numbers if asked to."""
    random = None if call.has_peer else repr(check_random_state(None).get_state())
    return np.geterr(), random, signal.getsignal(signal.SIGINT), os.getcwd()


def _numbers(result: Any) -> Iterator[np.ndarray]:
    """All numbers in a result."""
    if isinstance(result, np.ndarray):
        if result.dtype.kind in "fiub":
            yield result
    elif isinstance(result, float | np.floating):
        yield np.array([result])
    elif isinstance(result, fastnn.History):
        for values in (result.loss, result.val_loss, *result.metrics.values()):
            yield np.array(values, float)
    elif isinstance(result, Mapping):
        yield from _numbers([value for name, value in result.items()])
    elif isinstance(result, list | tuple):
        for entry in result:
            yield from _numbers(entry)


def _largest(values: Any, depth: int = 0) -> float:
    """The largest absolute number in arguments; infinity for what cannot be said."""
    largest = 0.0
    for value in values:
        if isinstance(value, np.ndarray) and value.size > 1 << 20:
            return math.inf
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list | tuple) and depth < 5:
            largest = max(largest, _largest(value, depth + 1))
        elif not callable(value) and not isinstance(value, str | bytes | None):
            largest = max(largest, _size_of(value))
    return largest


def _size_of(value: Any) -> float:
    """The largest absolute number in an array or an object that becomes one."""
    if isinstance(value, fastnn.EarlyStopping | Hostile):
        return 0.0
    if isinstance(value, fastnn.optimizers.Optimizer | fastnn.schedules.Schedule):
        return _largest([it for it in vars(value).values() if isinstance(it, float | int)])
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            numbers = np.abs(np.asarray(value, float))
            return math.inf if np.isnan(numbers).any() else float(numbers.max(initial=0.0))
    except Exception:
        return 0.0


def _frames(error: BaseException) -> traceback.StackSummary:
    return traceback.extract_tb(error.__traceback__)


def _is_own(error: BaseException) -> bool:
    """Whether it comes from the fuzz's own objects, which stand for the user's code."""
    if isinstance(error.__cause__, StopIteration):  # a generator's; Python says it this way
        error = error.__cause__
    last = pathlib.Path(_frames(error)[-1].filename)
    return last.parent == pathlib.Path(__file__).parent and last.name in OWN


def _place(error: BaseException) -> str:
    """The last function of fastnn that the error came through."""
    frames = [f for f in _frames(error) if f.filename.startswith(HOUSES[0])]
    last = _frames(error)[-1]
    place = f"{os.path.relpath(frames[-1].filename, HOUSES[0])}:{frames[-1].name}" if frames else ""
    tail = "" if frames and last is frames[-1] else f" via {last.name}"
    return f"{type(error).__name__} in {place}{tail}"


def _without_addresses(error: BaseException | None) -> str:
    """The type and message of an error, in which objects are where they are."""
    return re.sub("0x[0-9a-f]+", "0x", f"{type(error)} {error and _message(error)}")


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as own:
        return f"no message: {own!r}"
