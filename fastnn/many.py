"""Many networks trained in one call: `fit_many`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from fastnn import validation
from fastnn.arrays import refuse_sparse_and_masked
from fastnn.by_network import Arguments, identity, one_for_each
from fastnn.calls import guided
from fastnn.contract import Samples, quiet
from fastnn.errors import TrainingDivergedError
from fastnn.history import History
from fastnn.memory import older_objects_kept
from fastnn.names import describe
from fastnn.network import Network
from fastnn.training import lbfgs
from fastnn.training.groups import works
from fastnn.training.interrupts import remember_interrupt
from fastnn.training.job import Job
from fastnn.training.members import Member, Outcome, Work
from fastnn.training.workers import Workers

#: Those that are about the samples.
_OF_SAMPLES = ("sample_weight", "class_weight", "validation_data", "validation_split")


@quiet
@guided
def fit_many(
    networks: Sequence[Network],
    X: Any,
    y: Any,
    *,
    each: Mapping[str, Sequence[Any]] | None = None,
    subsets: Sequence[Any] | None = None,
    n_jobs: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    **as_in_fit: Any,
) -> list[History]:
    """Train many networks at once, each as `Network.fit` would train it alone.

    Networks that are small and alike (the same numbers of layers, inputs and outputs, activations,
    loss, dtype, kind of optimiser, batch size and number of samples) share a kernel, in which each
    has a lane of the processor's vectors: that takes a small part of the time of one after another.
    Widths of hidden layers, rates, settings of optimisers, penalties, dropout, epochs and seeds may
    differ. All others are trained one after another: large ones, those with the engines "numpy" and
    "python", with ``optimizer="lbfgs"``, with callbacks, with metrics that are functions of yours.

    What becomes of a network is the same as if it were trained alone, to rounding, and to the bit
    the same whatever networks are beside it, in whatever order, on however many threads, processes
    or machines.

    Parameters
    ----------
    networks : sequence of Network
        They are trained in place. All have the same numbers of inputs; each stands there once.
    X, y : array-like
        As in `Network.fit`; y must suit each network.
    each : dict of str to sequence, optional
        Arguments of `Network.fit` that differ from network to network, with a value for each:
        ``{"learning_rate": [0.1, 0.01], "sample_weight": [w, None]}``.
    subsets : sequence of array-like, optional
        For each network the numbers of the rows that it learns from, repeated ones too, or a mask:
        bootstraps, folds. Its weights of samples are taken likewise.
    n_jobs : int, optional
        Threads that train blocks of networks at the same time; by default one, -1 for one per core.
    executor : concurrent.futures.Executor, optional
        Trains the blocks in place of threads: one of processes, or of another library's, such as
        ``dask.distributed.Client(...).get_executor()``. What it is given and gives back is
        pickled. Networks with callbacks are trained here all the same.
    progress : bool
        Show a progress bar for all together.
    **as_in_fit
        Arguments of `Network.fit` for all networks.

    Returns
    -------
    list of History
        One for each network, in order. Their seconds are those of the block that a network was in.
        Ctrl-C ends training: all keep what they have learned. Blocks that an executor has begun it
        ends, unless its workers hear the Ctrl-C too; if it is pressed again, nobody waits for them,
        and their networks are as they were.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what was expected, and which network; none is changed.
    TrainingDivergedError
        When all others are done, if the training of some diverged: ``error.networks`` has their
        numbers. Each keeps its last finite parameters.
    RuntimeError
        If some networks could not be trained, because a worker died or raised an exception: it
        names them. They are unchanged, all others are trained. A network with callbacks keeps
        what it had learned until then. Also as in `Network.fit`.

    Examples
    --------
    >>> import fastnn
    >>> import numpy as np
    >>> X = np.linspace(-1, 1, 20)[:, None]
    >>> networks = [fastnn.Network([1, 8, 1], seed=k) for k in range(20)]
    >>> rates = np.geomspace(0.01, 0.5, 20)
    >>> histories = fastnn.fit_many(networks, X, X**2, epochs=50, each={"learning_rate": rates})
    >>> len(histories), histories[0].epochs
    (20, 50)
    """
    networks = _checked_networks(networks)
    arguments = Arguments(len(networks), each, as_in_fit)
    door = _Door(X, y, subsets, arguments)
    workers = Workers(n_jobs, executor, progress)
    with older_objects_kept(len(networks)):
        members = door.members(networks)
        _refuse_shared_generators(networks, members)
        with _in_training(networks), remember_interrupt():  # one Ctrl-C is for all of them
            books = _Books(networks, members)
            for member in members:
                if member.job.callbacks:
                    books.train_here(member)
            elsewhere = [member for member in members if not member.job.callbacks]
            epochs = sum([member.job.epochs or 0 for member in members])
            workers.run(works(elsewhere), books, epochs)
        return books.close()


def _checked_networks(networks: Any) -> list[Network]:
    listed = validation.listed(networks, "networks", "networks")
    if not listed:
        raise ValueError("networks must be at least one, got none")
    expected = None
    for k, network in enumerate(listed):
        if not isinstance(network, Network):
            raise TypeError(f"networks[{k}] must be a fastnn.Network, got {describe(network)}")
        n_in = network._architecture.sizes[0]
        if n_in != expected and k > 0:
            raise ValueError(
                f"networks must have the same number of inputs, got {expected} in networks[0] and "
                f"{n_in} in networks[{k}]"
            )
        expected = n_in
    twice = _first_twice(listed)
    if twice is not None:
        raise ValueError(
            "networks must be different ones, got the same as networks[{}] and networks[{}]; train "
            "a copy of it, net.copy()".format(*twice)
        )
    return listed


def _first_twice(things: Sequence[Any]) -> tuple[int, int] | None:
    """The numbers of the first thing that is there before, and of the one that it is."""
    if len(set(map(id, things))) == len(things):
        return None
    seen: dict[int, int] = {}
    for k, thing in enumerate(things):
        first = seen.setdefault(id(thing), k)
        if first != k:
            return first, k
    return None


def _refuse_numbers_that_are_none(networks: list[Network], first: int) -> None:
    """A product of many vectors with themselves is finite if they are, and may overflow."""
    numbers = np.concatenate([network._state.parameters for network in networks])
    if isfinite(numbers.dot(numbers)):
        return
    for k, network in enumerate(networks, first):
        try:
            validation.finite_parameters(network.parameters)
        except ValueError as error:
            raise _of_network(error, k) from None


#: So many parameters are looked at together, and their networks after that: what is far apart in
#: memory is fetched once.
_AT_ONCE = 1 << 13


class _Asked(NamedTuple):
    """What is asked of a network, of its *data* those rows, with weights; see `Member`."""

    data: Samples
    job: Job
    rows: np.ndarray | None
    weights: np.ndarray | None


class _Door:
    """Makes members of networks: what is the same for several is checked once."""

    def __init__(self, X: Any, y: Any, subsets: Any, arguments: Arguments):
        self._X, self._y, self._arguments = X, y, arguments
        self._subsets = None if subsets is None else one_for_each(subsets, "subsets", arguments.n)
        self._asked: dict[Any, _Asked] = {}
        self._known: dict[Any, Any] = {}
        self._kept: list[Any] = []  # that an id is nobody else's

    def members(self, networks: list[Network]) -> list[Member]:
        """Of all networks; errors say which it is."""
        made: list[Member] = []
        step = max(1, _AT_ONCE // max(network.n_parameters for network in networks))
        for first in range(0, len(networks), step):
            some = networks[first : first + step]
            _refuse_numbers_that_are_none(some, first)
            made += [self._member(k, network) for k, network in enumerate(some, first)]
        return made

    def _member(self, k: int, network: Network) -> Member:
        architecture, engine, dropout_key = network._blueprint
        key = id(architecture), engine, self._arguments.keys[k]
        asked = self._asked.get(key)
        if asked is None:
            # Nothing that is asked depends on more of the architecture than that, but L-BFGS.
            of_kind = (*self._key(network), *key[1:])
            asked = self._asked.get(of_kind) or self._ask(k, network)
            if self._subsets is None and not asked.job.callbacks:  # those are of one network
                self._asked[key] = self._asked[of_kind] = asked
            if asked.job.lbfgs is not None:
                self._of(k, lbfgs.check, architecture)
        data, job, rows, weights = asked
        state = network._next_state(job)
        rng = network._rng
        return Member(k, job, architecture, dropout_key, state, rng, data, rows, weights)

    def _ask(self, k: int, network: Network) -> _Asked:
        data = self._of(k, self._data, network)
        rows = None if self._subsets is None else _rows(self._subsets[k], len(data), k)
        asked: _Asked = self._of(k, self._asked_of, network, data, rows, self._arguments.of(k))
        return asked

    @staticmethod
    def _of(k: int, asks: Callable[..., Any], *arguments: Any) -> Any:
        """What that makes of its arguments; an error says that they are of network k."""
        try:
            return asks(*arguments)
        except (ValueError, TypeError) as error:
            raise _of_network(error, k) from None

    def _data(self, network: Network) -> Samples:
        """X and y as the network takes them."""
        key = self._key(network)
        if key not in self._known:
            self._known[key] = network._inputs.samples(self._X, self._y)
        samples: Samples = self._known[key]
        return samples

    def _key(self, network: Network) -> tuple[Any, ...]:
        architecture = network._architecture
        loss, sizes = architecture.loss, architecture.sizes
        return loss, sizes[0], sizes[-1], architecture.quantiles, architecture.dtype

    def _once(self, name: str, network: Network, value: Any, make: Callable[[], Any]) -> Any:
        """What is made of an argument's value, once for all networks that take the same."""
        key = (name, id(value), *self._key(network))
        if key not in self._known:
            self._known[key] = make()
            self._kept.append(value)
        return self._known[key]

    def _asked_of(
        self, network: Network, data: Samples, rows: Any, given: dict[str, Any]
    ) -> _Asked:
        inputs = network._inputs
        asked = {name: given.get(name) for name in _OF_SAMPLES}
        rest = {name: value for name, value in given.items() if name not in _OF_SAMPLES}
        held_out = self._once(
            "validation_data", network, asked["validation_data"],
            lambda: inputs.held_out(asked["validation_data"]),
        )  # fmt: skip
        weights = self._once(
            "sample_weight", network, asked["sample_weight"],
            lambda: inputs._weights(asked["sample_weight"], len(data), "sample_weight"),
        )  # fmt: skip
        if asked["class_weight"] is not None or asked["validation_split"] is not None:
            own = Samples(data.X, data.Y, weights) if rows is None else _taken(data, weights, rows)
            own, held_out = inputs.split(own, held_out, asked["validation_split"])
            rows = (np.arange(len(data)) if rows is None else rows)[: len(own)]
            weights = inputs.weigh_classes(own, asked["class_weight"]).weights
        elif rows is not None and weights is not None:
            weights = inputs._weights(weights[rows], len(rows), "sample_weight of its subset")
        return _Asked(data, self._job(network, held_out, rest), rows, weights)

    def _job(self, network: Network, held_out: Samples | None, rest: dict[str, Any]) -> Job:
        if rest.get("callbacks") not in (None, [], ()):
            return Job.asked(network, held_out, **rest)  # of this network alone
        loss, engine = network._architecture.loss, network._engine_name
        key = (loss, engine, id(held_out), *map(identity, rest.values()))
        if key not in self._known:
            self._known[key] = Job.asked(network, held_out, **rest)
            self._kept += [held_out, *rest.values()]
        job: Job = self._known[key]
        return job


def _taken(data: Samples, weights: np.ndarray | None, rows: np.ndarray) -> Samples:
    return Samples(data.X[rows], data.Y[rows], None if weights is None else weights[rows])


def _rows(subset: Any, n: int, k: int) -> np.ndarray:
    """The row numbers of network k's subset, or those where its mask is true."""
    name = f"subsets[{k}]"
    refuse_sparse_and_masked(subset, name)
    try:
        rows = np.asarray(subset)
    except ValueError:
        rows = np.empty((), object)  # which has no rows
    if rows.dtype == bool and rows.shape == (n,):
        rows = np.flatnonzero(rows)
    if rows.ndim != 1 or not (np.issubdtype(rows.dtype, np.integer) or rows.size == 0):
        raise TypeError(
            f"{name} must be numbers of rows of X, or a mask of {n}, got {describe(subset)}"
        )
    if not rows.size:
        raise ValueError(f"{name} must have at least one row, got none")
    if rows.min() < 0 or rows.max() >= n:
        wrong = rows[(rows < 0) | (rows >= n)][0]
        raise ValueError(f"{name} must have row numbers from 0 to {n - 1}, got {wrong}")
    return rows.astype(np.int64)


def _of_network(error: Exception, k: int) -> Exception:
    """The same error, which says of which network it is; subclasses may take other arguments."""
    kind = TypeError if isinstance(error, TypeError) else ValueError
    return kind(f"network {k}: {error}")


def _refuse_shared_generators(networks: list[Network], members: list[Member]) -> None:
    """Networks that draw from one generator would depend on who comes first."""

    def draws(member: Member) -> bool:
        job, n = member.job, len(member.data) if member.rows is None else len(member.rows)
        return job.shuffle and job.lbfgs is None and (job.batch_size or n) < n

    if _first_twice([network._rng.bit_generator for network in networks]) is None:
        return
    sharing: dict[int, list[Member]] = {}
    for network, member in zip(networks, members, strict=True):
        sharing.setdefault(id(network._rng.bit_generator), []).append(member)
    for first, *others in sharing.values():
        if others and any(map(draws, (first, *others))):
            raise ValueError(
                f"networks {first.number} and {others[0].number} share a random generator, given "
                "to both as seed; give each a seed of its own, or shuffle=False"
            )


@contextmanager
def _in_training(networks: list[Network]) -> Iterator[None]:
    """None of the networks can be trained by anybody else inside."""
    for k, network in enumerate(networks):
        if network._in_training:
            raise RuntimeError(f"networks[{k}] is being trained already, by its own fit")
    try:
        for network in networks:
            network._begin_training()
        yield
    finally:
        for network in networks:
            network._end_training()


class _Books:
    """Who is trained: takes outcomes in, one after another, and failures."""

    def __init__(self, networks: list[Network], members: list[Member]):
        self._networks, self._members = networks, members
        self._divergences: dict[int, TrainingDivergedError] = {}
        self._failures: dict[int, BaseException] = {}
        self._broken_off: dict[int, BaseException] = {}

    def take(self, outcome: Outcome) -> None:
        """Give a network what has become of it."""
        k, numbers, clock, rng, history, divergence = outcome
        self._networks[k]._take_over(self._members[k].job, numbers, clock, rng, history)
        if divergence is not None:
            self._divergences[k] = divergence

    def failed(self, work: Work, error: BaseException) -> None:
        """Note that a block of networks is as it was."""
        self._failures.update((member.number, error) for member in work.members)

    def train_here(self, member: Member) -> None:
        """Train a network in place, for callbacks that look at it."""
        network = self._networks[member.number]
        network._in_training = False
        try:
            network._train(member.own_job(), member.samples())
        except TrainingDivergedError as error:
            self._divergences[member.number] = error
        except Exception as error:
            self._broken_off[member.number] = error
        finally:
            network._in_training = True

    def close(self) -> list[History]:
        """The histories, or an error that names the networks that have none or diverged."""
        errors = self._failures | self._broken_off
        if errors:
            first = errors[min(errors)]
            text = f"{self._what_became_of_them()}. {type(first).__name__}: {first}"
            raise RuntimeError(text) from first
        if self._divergences:
            raise TrainingDivergedError.of_many(self._divergences, len(self._networks))
        return [network.history for network in self._networks if network.history is not None]

    def _what_became_of_them(self) -> str:
        kinds = (
            (self._failures, "are not trained, and unchanged"),
            (self._broken_off, "are as they were when an exception ended their training"),
            (self._divergences, "diverged, and keep their last finite parameters"),
        )
        n = len(self._networks)
        said = [
            f"{len(some)} of {n} networks {what}: numbers {_listed(sorted(some))}"
            for some, what in kinds
            if some
        ]
        others = n - sum(len(some) for some, _ in kinds)
        return "; ".join([*said, "the others are trained"] if others else said)


def _listed(numbers: list[int]) -> str:
    """Numbers for a message: those in a row as from-to."""
    text: list[str] = []
    k = 0
    while k < len(numbers) and len(text) < 20:
        first = k
        while k + 1 < len(numbers) and numbers[k + 1] == numbers[k] + 1:
            k += 1
        text.append(f"{numbers[first]}" if k == first else f"{numbers[first]} to {numbers[k]}")
        k += 1
    return ", ".join(text) + (", …" if k < len(numbers) else "")
