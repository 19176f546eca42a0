"""Compiling kernels before they are needed."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import validation
from fastnn.calls import guided
from fastnn.engines import Plan, Samples, get_engine, objective, quiet
from fastnn.network import Network
from fastnn.optimizers import LBFGS, Optimizer, get_lbfgs, get_optimizer


@quiet
@guided
def warmup(
    *networks: Any,
    batch_sizes: Sequence[int] = (1, 32),
    optimizer: str | Optimizer | LBFGS = "sgd",
    n_features: int = 20,
) -> float:
    """Compile, or load from the cache, what these networks need to train and to predict.

    Kernels are compiled when they are first used and then kept on disk, so this is for programs
    that cannot wait later. It covers ``fit`` with this optimiser and these batch sizes, validation
    losses and predictions, with the penalties and the dropout that a network has. What still
    compiles at its first use: ``fit`` with sample or class weights, or with another optimiser
    (Adam and AdamW share kernels; momentum, weight decay and clipping make others of SGD's),
    `Network.layer_outputs` and `Network.loss_and_gradient`. Which kernel is fastest, and so
    compiled, depends on the activations, the loss and the sizes of the layers: give it the networks
    you will use.

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
    float
        Seconds it took.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a network, a batch size not a whole number of at least 1, or the
        optimizer none that ``fit`` takes.

    Examples
    --------
    >>> import fastnn
    >>> net = fastnn.Network([4, 16, 3], loss="cross_entropy")
    >>> seconds = fastnn.warmup(net, batch_sizes=[32], optimizer="adam")
    """
    started = time.perf_counter()
    entries = validation.listed(batch_sizes, "batch_sizes", "whole numbers")
    sizes = [validation.integer(size, "batch_sizes", 1) for size in entries]
    for network in networks:
        if not isinstance(network, Network) and not hasattr(network, "_warm_up"):
            raise TypeError(f"warmup takes networks and estimators, got {type(network).__name__}")
    columns = validation.integer(n_features, "n_features", 1)
    rule = get_optimizer(optimizer, None) if get_lbfgs(optimizer, None) is None else None
    for network in networks or _usual_networks():
        if not isinstance(network, Network):
            network._warm_up(columns)
            continue
        architecture = network._architecture
        engine = get_engine(network.engine)
        n_in, n = architecture.sizes[0], architecture.target_columns
        samples = Samples(
            _frozen(np.zeros((2, n_in), architecture.dtype)),
            _frozen(np.full((2, n), 1 / n, architecture.dtype)),
        )
        if rule is None:
            objective(engine, architecture, samples)
        else:
            for size in sizes:
                engine.trainer(architecture, Plan(min(size, 2), rule))
        engine.evaluator(architecture, weighted=False)
        for rows in (1, 100):
            network.predict(np.zeros((rows, n_in), architecture.dtype))
    return time.perf_counter() - started


def _usual_networks() -> list[Network]:
    return [
        Network([1, 8, 1], activation="sigmoid", loss="half_squared_error"),
        Network([2, 8, 1], activation="tanh", loss="binary_cross_entropy"),
        Network([2, 8, 3], activation="relu", loss="cross_entropy"),
    ]


def _frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array
