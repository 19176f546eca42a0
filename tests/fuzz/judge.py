"""Runs a case, on each engine, and says what is wrong with what came."""

from __future__ import annotations

import contextlib
import re
import tempfile
import warnings
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np

import fastnn

from .doors import (
    Call,
    construct,
    data,
    evaluate,
    fit,
    fit_stream,
    layer_outputs,
    loss_and_gradient,
    partial_fit,
    predict,
    set_parameters,
    talk,
)
from .estimators import PEER, estimator
from .files import FILE_DOORS, LONE_DOORS, odd_path
from .looks import (
    HOUSES,
    all_numbers,
    difference,
    fingerprint,
    frames_of,
    is_own,
    largest_number,
    message_of,
    place_of,
    print_of_arguments,
    surroundings,
    without_addresses,
)
from .odd import odd_value
from .settings import callbacks, metrics, optimizer, profile, schedule, stopping, warmup
from .values import NEVER, SAME, TAKEN

#: Those that are met often stand here more than once.
NETWORK_DOORS = (
    construct, fit, fit, fit, fit_stream, partial_fit, partial_fit, predict, layer_outputs,
    evaluate, loss_and_gradient, set_parameters, talk, optimizer, schedule, stopping,
    callbacks, metrics, warmup, optimizer, optimizer, schedule,
)  # fmt: skip

ENGINES = ("numpy", "python", "numba")
REFUSALS = (ValueError, TypeError, MemoryError)
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
        where = "" if self.error is None else place_of(self.error)
        came = (
            "" if self.error is None else f"{type(self.error).__name__}: {message_of(self.error)}"
        )
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
    given, before = print_of_arguments(call), fingerprint(network)
    history = getattr(network, "history", None)
    with warnings.catch_warnings(), np.errstate(all="raise" if call.strict else "warn"):
        warnings.simplefilter("ignore")
        world = surroundings(call)
        try:
            outcome.result = call.function(**call.arguments)
        except BaseException as error:
            outcome.error = error
        if surroundings(call) != world:
            outcome.blame("changed the world", f"{world} became {surroundings(call)}"[:300])
    if print_of_arguments(call) != given:
        outcome.blame("changed an argument")
    outcome.tame = largest_number(call.arguments.values()) <= TAME
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
    outcome.numbers = list(all_numbers(outcome.result))
    names_auc = "auc" in repr(call.arguments.get("metrics"))
    for numbers in outcome.numbers:
        outcome.tame = outcome.tame and bool((np.abs(numbers) <= TAME).all())
        if np.isnan(numbers).any() and not names_auc and "metric" not in call.door:
            outcome.blame("silent NaN", f"{numbers}"[:200])
    infinite = any(np.isinf(numbers).any() for numbers in outcome.numbers)
    rates = {"learning_rate", "learning_rate_init"} & {*call.names, *call.odd}
    if infinite and largest_number(call.arguments.values()) <= TAME and not rates:
        outcome.blame("silent infinity")


def _is_time(call: Call, name: str) -> bool:
    """Whether dates or durations came for numbers, which scikit-learn may take."""
    array = call.kinds[name] == "array" and (name == "X" or not call.door.endswith("score"))
    number = call.kinds[name] in ("number", "integer")
    return (array or number) and bool(re.search("date|time|duration", call.odd[name].label))


def _look_at_error(outcome: Outcome) -> None:
    error, call = outcome.error, outcome.call
    assert error is not None
    if is_own(error) or isinstance(error, fastnn.TrainingDivergedError):
        return
    if isinstance(error, OSError) and ("path" in call.names or "path" in call.arguments):
        return
    if not isinstance(error, REFUSALS):
        outcome.blame("an error of another type")
        return
    message = message_of(error)
    if len(message) > 3000:
        outcome.blame("a message of pages")
    names = [*call.arguments, *call.names]
    if not any(re.search(rf"(?<!\w){re.escape(name.rstrip('s'))}", message) for name in names):
        outcome.blame("a message without the argument's name")
    elif not any(frames_of(error)[-1].filename.startswith(house) for house in HOUSES):
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
            outcome.blame("changed the network and then refused", difference(before, network))
    elif error is None and not call.trains and fingerprint(network) != before:
        outcome.blame("changed the network", difference(before, network))
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
        if not ("must be smaller" in message_of(after) and _huge(network)):
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
        if without_addresses(ours.error) != without_addresses(theirs.error):
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
