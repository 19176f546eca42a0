"""Compiling kernels before they are needed."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np

from fastnn import validation
from fastnn.calls import guided
from fastnn.contract import Samples, State, quiet
from fastnn.engines import objective
from fastnn.kernels import cache
from fastnn.memory import frozen
from fastnn.network import Network
from fastnn.optimizers import LBFGS, Optimizer, get_lbfgs, get_optimizer
from fastnn.training.job import Job
from fastnn.training.run import Run


@dataclass(frozen=True)
class Warmup:
    """What `warmup` did; as a text it says so in a line.

    Attributes
    ----------
    seconds : float
    compiled, loaded : tuple of str
        The names of the kernels that were compiled, and of those that came from the disk. What
        this process had in memory already is in neither.
    """

    seconds: float
    compiled: tuple[str, ...]
    loaded: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{len(self.compiled)} kernels compiled and {len(self.loaded)} taken from the disk in "
            f"{self.seconds:.1f} s"
        )


@quiet
@guided
def warmup(
    *networks: Any,
    batch_sizes: Sequence[int] = (1, 32),
    optimizer: str | Optimizer | LBFGS = "sgd",
    n_features: int = 20,
) -> Warmup:
    """Compile, or load from the cache, what these networks need to train and to predict.

    Kernels are compiled when they are first used and then kept on disk, so this is for programs
    that cannot wait later. ``fastnn warmup`` on the command line does it in several processes.

    It covers ``fit`` with this optimiser and these batch sizes, validation losses and predictions,
    with the penalties and the dropout that a network has. What still compiles at its first use:
    ``fit`` with sample or class weights, or with another optimiser (Adam and AdamW share kernels;
    momentum, weight decay and clipping make others of SGD's), `Network.layer_outputs` and
    `Network.loss_and_gradient`. Which kernel is fastest, and so compiled, depends on the
    activations, the loss and the sizes of the layers: give it the networks you will use.

    Parameters
    ----------
    *networks : Network, MLPClassifier or MLPRegressor
        By default three of one hidden layer: a sigmoid one for regression, a tanh one for two
        classes and a relu one for several classes, in float64. For estimators it is what their
        parameters ask for: before a search with ``n_jobs``, where all processes would compile at
        once. One that is fitted is taken to have the same features and classes again.
    batch_sizes : sequence of int
        1 has a kernel of its own; all other sizes share one. L-BFGS has no batches.
    optimizer : str or object
        The one that ``fit`` will be given. Estimators have their own, and batch sizes too.
    n_features : int
        Columns of X for estimators that are not fitted.

    Returns
    -------
    Warmup
        With ``seconds``, and the names of kernels in ``compiled`` and ``loaded``.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a network, a batch size not a whole number of at least 1, or the
        optimizer none that ``fit`` takes.

    Notes
    -----
    Kernels are kept in ``NUMBA_CACHE_DIR``, or else beside the package, or else in the user's cache
    directory, whichever can be written; only files of the user's or root's are read. ``fastnn
    info`` shows the folder, ``fastnn cache clear`` empties it. ``FASTNN_CACHE=0`` in the
    environment switches it off, ``FASTNN_NOTES=0`` silences the line that says that something
    compiles.

    Examples
    --------
    >>> import fastnn
    >>> net = fastnn.Network([4, 16, 3], loss="cross_entropy")
    >>> seconds = fastnn.warmup(net, batch_sizes=[32], optimizer="adam").seconds
    """
    started = time.perf_counter()
    compiled, loaded = list[str](), list[str]()
    for step in steps(networks, batch_sizes, [optimizer], n_features):
        more_compiled, more_loaded = _run(step)
        compiled += more_compiled
        loaded += more_loaded
    return Warmup(time.perf_counter() - started, tuple(compiled), tuple(loaded))


@dataclass(frozen=True)
class Step:
    """Something that a network is to be ready for: its name, and what makes it ready."""

    #: Or an estimator.
    network: Any
    name: str
    ready: Callable[[Any], object]

    def __str__(self) -> str:
        if not isinstance(self.network, Network):
            return f"{self.network!r}: {self.name}"
        of = self.network._architecture
        sizes = "-".join(map(str, of.sizes))
        activations = ", ".join(activation.name for activation in of.activations)
        return f"{sizes} ({activations}; {of.loss.name}; {of.dtype}): {self.name}"


def steps(
    networks: Sequence[Any],
    batch_sizes: Iterable[int],
    optimizers: Iterable[str | Optimizer | LBFGS],
    n_features: int = 20,
) -> list[Step]:
    """All that `warmup` has to do."""
    entries = validation.listed(batch_sizes, "batch_sizes", "whole numbers")
    sizes = [validation.integer(size, "batch_sizes", 1) for size in entries]
    for network in networks:
        if not isinstance(network, Network) and not hasattr(network, "_warm_up"):
            raise TypeError(f"warmup takes networks and estimators, got {type(network).__name__}")
    tasks: dict[str, Callable[[Network], object]] = {}
    for optimizer in optimizers:
        minimises = get_lbfgs(optimizer, None) is not None
        if not minimises:
            get_optimizer(optimizer, None)  # refuses what is none
        name = optimizer if isinstance(optimizer, str) else type(optimizer).__name__
        for size in [2] if minimises else sizes:
            how = "" if minimises else " sample by sample" if size == 1 else " in batches"
            tasks[f"fit{how}, {name}"] = functools.partial(_make_fit, size, optimizer)
    tasks["predict a few rows"] = functools.partial(_predict, 1)
    tasks["predict many rows"] = functools.partial(_predict, 100)
    columns = validation.integer(n_features, "n_features", 1)
    of_estimator = {"fit and predict": functools.partial(_fit_estimator, columns)}
    return [
        Step(network, name, ready)
        for network in networks or _usual_networks()
        for name, ready in (tasks if isinstance(network, Network) else of_estimator).items()
    ]


def in_processes(work: Sequence[Step], n_jobs: int) -> Warmup:
    """Run steps in so many processes, with a bar in a terminal."""
    from fastnn.progress import StepsBar

    started = time.perf_counter()
    compiled, loaded = list[str](), list[str]()
    pool = ProcessPoolExecutor(n_jobs, mp_context=get_context("spawn"))
    try:
        with StepsBar(len(work)) as bar:
            for future in as_completed([pool.submit(_run, step) for step in work]):
                for names, more in zip((compiled, loaded), future.result(), strict=True):
                    names += more
                bar.step()
    finally:
        pool.shutdown(cancel_futures=True)
    return Warmup(time.perf_counter() - started, tuple(compiled), tuple(loaded))


def _run(step: Step) -> tuple[list[str], list[str]]:
    """The kernels that were compiled and loaded for a step."""
    compiled, loaded = len(cache.compiled), len(cache.loaded)
    quiet(step.ready)(step.network)
    return cache.compiled[compiled:], cache.loaded[loaded:]


def _make_fit(size: int, optimizer: str | Optimizer | LBFGS, network: Network) -> None:
    """Make all ready that ``fit`` does before its first epoch, with validation data."""
    architecture = network._architecture
    n, dtype = architecture.n_targets, architecture.dtype
    samples = Samples(
        frozen(np.zeros((2, architecture.sizes[0]), dtype)), frozen(np.full((2, n), 1 / n, dtype))
    )
    job = Job.asked(network, samples, epochs=2, batch_size=size, optimizer=optimizer)
    if job.lbfgs is None:
        state = State.new(np.zeros(architecture.n_parameters, dtype), job.optimizer)
        Run(job, state, np.random.default_rng(0)).take(samples)
        job.engine.shuffler(sys.maxsize)
        return
    objective(job.engine, architecture, len(samples), weighted=False)
    job.engine.evaluator(architecture, weighted=False)


def _fit_estimator(n_features: int, estimator: Any) -> None:
    estimator._warm_up(n_features)


def _predict(rows: int, network: Network) -> None:
    network.predict(np.zeros((rows, network.layer_sizes[0]), network.dtype))


def _usual_networks() -> list[Network]:
    return [
        Network([1, 8, 1], activation="sigmoid", loss="half_squared_error"),
        Network([2, 8, 1], activation="tanh", loss="binary_cross_entropy"),
        Network([2, 8, 3], activation="relu", loss="cross_entropy"),
    ]
