"""What can be profiled: for each operation, the same work for every engine."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from fastnn.architecture import Architecture
from fastnn.contract import Piece, Plan, Samples, State
from fastnn.engines import get_engine
from fastnn.memory import aligned_copy
from fastnn.network import Network
from fastnn.optimizers import SGD
from fastnn.profiling.measuring import Contestant, time_once

ENGINES = ("python", "numpy", "numba")
#: Bytes of a number in an array, and in a list of floats.
NUMBER, LISTED = 8, 32
#: A smaller piece of the work that lasts this long is enough to tell how long all of it takes.
PILOT_SECONDS = 0.02


@dataclass(frozen=True)
class Work:
    """What has to be done at least, however it is programmed."""

    #: Additions and multiplications.
    arithmetic: int
    #: Values of the sigmoid.
    activations: int
    #: Bytes that go in or out: each input, parameter and result once, or once per update.
    moved: int
    #: Of these, the bytes of what is read and written back.
    changed: int
    #: Bytes of all arrays that the work goes over again and again.
    held: int


@dataclass(frozen=True)
class Problem:
    """One operation at one size."""

    #: Takes the name of an engine; returns what is timed.
    contestant: Callable[[str], Contestant]
    #: Takes the name of an engine, does the work once, and returns its numbers for comparison.
    result: Callable[[str], np.ndarray]


@dataclass(frozen=True)
class Operation:
    """An operation that can be profiled."""

    name: str
    #: What it does and what its size is; ``{samples}`` stands for the number of samples.
    line: str
    #: How each engine does it.
    contestants: dict[str, str]
    #: (size, samples) -> Problem
    problem: Callable[[int, int], Problem]
    #: (size, samples) -> Work
    work: Callable[[int, int], Work]
    #: Those measured by default.
    sizes: tuple[int, ...] = (1, 4, 16, 64, 128, 256, 1024)
    quick_sizes: tuple[int, ...] = (1, 8, 32, 128, 512)
    #: Whether the work is proportional to the number of samples, rather than to the size.
    per_sample: bool = True

    def part(self, size: int, samples: int, amount: int) -> Problem:
        """A smaller problem: *amount* of the samples, or of the size."""
        return self.problem(size, amount) if self.per_sample else self.problem(amount, samples)

    def amount(self, size: int, samples: int) -> int:
        """What `part` gives a part of."""
        return samples if self.per_sample else size

    def memory(self, size: int, samples: int, engine: str) -> int:
        """About how many bytes the problem needs on an engine."""
        numbers = self.work(size, samples).held // NUMBER
        return numbers * (LISTED + NUMBER if engine == "python" else 3 * NUMBER)


def _dot_problem(size: int, _samples: int) -> Problem:
    from fastnn.kernels.ceilings import dot

    random = np.random.default_rng(size)
    a, b = aligned_copy(random.random(size)), aligned_copy(random.random(size))
    lists = cache(lambda: (a.tolist(), b.tolist()))
    loop = getattr(dot, "py_func", dot)  # it is no dispatcher with NUMBA_DISABLE_JIT=1

    def run(engine: str) -> Callable[[], float]:
        if engine == "python":
            a_list, b_list = lists()
            return lambda: loop(a_list, b_list)
        return (lambda: a @ b) if engine == "numpy" else (lambda: dot(a, b))

    return Problem(lambda engine: Contestant(run(engine)), lambda engine: np.array(run(engine)()))


def _curve(size: int, samples: int) -> tuple[Architecture, np.ndarray, Samples]:
    """A 1-size-1 network, its start weights, and samples of a curve."""
    net = Network([1, size, 1], seed=2)
    X = np.random.default_rng(0).random((samples, 1))
    return net._architecture, net.parameters, Samples(X, np.sin(6 * X))


def _forward_problem(size: int, samples: int) -> Problem:
    X = _curve(size, samples)[2].X

    def run(engine: str) -> Callable[[], np.ndarray]:
        net = Network([1, size, 1], seed=2, engine=engine)
        return lambda: net.predict(X)

    return Problem(lambda engine: Contestant(run(engine)), lambda engine: run(engine)())


def _backward_problem(size: int, samples: int) -> Problem:
    architecture, parameters, data = _curve(size, samples)

    def run(engine: str) -> Callable[[], tuple[float, float, np.ndarray]]:
        differentiate = get_engine(engine).differentiator(architecture, Plan(len(data), SGD()))
        return lambda: differentiate(parameters, data)

    return Problem(lambda engine: Contestant(run(engine)), lambda engine: np.hstack(run(engine)()))


def _epoch_problem(size: int, samples: int, batch_size: int | None = None) -> Problem:
    rate = 0.1 / (size + 10)
    return epoch_problem(*_curve(size, samples), batch_size or samples, rate)


def epoch_problem(
    architecture: Architecture,
    start: np.ndarray,
    data: Samples,
    batch_size: int,
    rate: float,
    order: np.ndarray | None = None,
    at_once: int = 1,
) -> Problem:
    """One epoch of training from the parameters *start*; the rows as they lie or in *order*.

    The compiled engine is timed on so many epochs *at_once*, as ``fit`` runs them.
    """
    if order is None:
        order = np.empty((0, len(data)), np.int64)

    def prepared(engine: str, epochs: int) -> tuple[Callable[[], None], np.ndarray]:
        parameters = aligned_copy(start)
        plan = Plan(batch_size, SGD(rate))
        trainer = get_engine(engine).trainer(architecture, plan)
        orders = np.repeat(order, epochs, axis=0)
        piece = Piece.of_epochs(np.full((epochs, 1), rate), orders, len(data))
        state = State.new(parameters, plan.optimizer)
        return partial(trainer.run, state, data, piece), parameters

    def contestant(engine: str) -> Contestant:
        epochs = at_once if engine == "numba" else 1
        run, parameters = prepared(engine, epochs)
        return Contestant(run, partial(np.copyto, parameters, start), epochs)

    def result(engine: str) -> np.ndarray:
        run, parameters = prepared(engine, 1)
        run()
        return parameters

    return Problem(contestant, result)


def samples_for(architecture: Architecture, samples: int) -> Samples:
    """Random samples that suit the loss."""
    random = np.random.default_rng(0)
    X = random.normal(size=(samples, architecture.sizes[0])).astype(architecture.dtype)
    n_out = architecture.sizes[-1]
    if architecture.loss.targets == "classes":
        Y = np.zeros((samples, n_out))
        Y[np.arange(samples), random.integers(n_out, size=samples)] = 1
    else:
        Y = architecture.for_loss(random.random((samples, architecture.n_targets)))
    return Samples(X, Y.astype(architecture.dtype))


def network_work(
    sizes: Sequence[int], samples: int, *, passes: int, updates: int, result: int = 0
) -> Work:
    """The work of a network with biases and sigmoid hidden units.

    *passes* is 1 for forward alone and 2 for forward and backward; *updates* is how often the
    parameters change; *result* is how many numbers come out.
    """
    pairs = list(itertools.pairwise(sizes))
    weights = sum(n_in * n_out for n_in, n_out in pairs)
    parameters = weights + sum(sizes[1:])
    hidden = sum(sizes[1:-1])
    arithmetic = 2 * weights * samples
    if passes == 2:  # the gradients of all weights, ∂loss/∂a of the hidden units, a (1 - a)
        arithmetic += 2 * weights * samples + sum(sizes[1:]) * samples
        arithmetic += 2 * (weights - sizes[0] * sizes[1]) * samples + 3 * hidden * samples
    arithmetic += 2 * parameters * updates if updates < samples else 0
    changed = 2 * parameters * updates
    data = (sizes[0] + (sizes[-1] if passes == 2 else 0)) * samples
    moved = data + result + (changed or parameters)
    return Work(
        arithmetic,
        hidden * samples,
        NUMBER * moved,
        NUMBER * changed,
        NUMBER * (parameters + data + result),
    )


OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation(
            "dot",
            "Dot product Σ a_i b_i of two vectors. size: their length",
            {
                "python": "for i in range(n): total += a[i] * b[i], over two lists",
                "numpy": "a @ b",
                "numba": "the python loop, compiled, over two arrays",
            },
            _dot_problem,
            lambda size, _: Work(
                2 * size, 0, moved=2 * NUMBER * size, changed=0, held=2 * NUMBER * size
            ),
            (1, 3, 10, 30, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000),
            (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000),
            per_sample=False,
        ),
        Operation(
            "forward",
            "Outputs of a 1-size-1 network (sigmoid, biases) for {samples} samples. "
            "size: hidden units",
            {
                "python": "sample by sample, in lists",
                "numpy": "all samples in one matrix",
                "numba": "compiled, in blocks of at most 256 samples",
            },
            _forward_problem,
            lambda size, samples: network_work(
                (1, size, 1), samples, passes=1, updates=0, result=samples
            ),
        ),
        Operation(
            "backward",
            "Loss and gradient of a 1-size-1 network over {samples} samples: a forward and a "
            "backward pass. size: hidden units",
            {
                "python": "sample by sample, in lists",
                "numpy": "in blocks of 1024 samples",
                "numba": "compiled, in blocks of at most 256 samples",
            },
            _backward_problem,
            lambda size, samples: network_work(
                (1, size, 1), samples, passes=2, updates=0, result=3 * size + 1
            ),
        ),
        Operation(
            "sgd_epoch",
            "One epoch of per-sample SGD: {samples} updates of a 1-size-1 network, one for each "
            "sample, in the order given. size: hidden units",
            {
                "python": "sample by sample, in lists",
                "numpy": "sample by sample, in arrays of one row",
                "numba": "sample by sample, compiled",
            },
            partial(_epoch_problem, batch_size=1),
            lambda size, samples: network_work((1, size, 1), samples, passes=2, updates=samples),
        ),
        Operation(
            "gd_epoch",
            "One epoch of gradient descent: one update of a 1-size-1 network from all {samples} "
            "samples. size: hidden units",
            {
                "python": "sample by sample, in lists; then one update",
                "numpy": "all samples in one matrix; then one update",
                "numba": "compiled, in blocks of at most 256 samples; then one update",
            },
            _epoch_problem,
            lambda size, samples: network_work((1, size, 1), samples, passes=2, updates=1),
        ),
    )
}


class DisagreementError(ArithmeticError):
    """Contestants that should give the same numbers do not, so timing them means nothing."""


def check_agreement(problem: Problem, engines: Sequence[str], what: str) -> None:
    """Let each engine do the work once; DisagreementError unless all give the same numbers.

    They may differ by the root of the dtype's precision: rounding adds up over an epoch.
    """
    if not engines:
        return
    first = problem.result(engines[0])
    for engine in engines[1:]:
        other = problem.result(engine)
        allowed = np.finfo(first.dtype).eps ** 0.5 * (np.abs(first).max() + 1e-300)
        if first.shape != other.shape or not (np.abs(other - first) <= allowed).all():
            raise DisagreementError(
                f"{what}: the engines {engines[0]} and {engine} do not give the same numbers, "
                "so they are not timed"
            )


def estimate(part: Callable[[int], Problem], amount: int, engine: str) -> tuple[float, int]:
    """About how many seconds *amount* of the work takes, and the amount that was tried.

    *part* makes a problem of some of the work. Ever more is tried until it lasts long enough to
    tell.
    """
    compiles = engine == "numba"
    tried = min(4 if compiles else 1, amount)
    while True:
        problem = part(tried)
        if compiles:
            problem.result(engine)
        took = time_once(partial(problem.result, engine))
        if took >= PILOT_SECONDS or tried >= amount:
            return took * amount / tried, tried
        tried = min(amount, 8 * tried)
