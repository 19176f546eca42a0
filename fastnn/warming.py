"""Compiling kernels before they are needed."""

import time
from collections.abc import Sequence

import numpy as np

from fastnn import validation
from fastnn.engines import Plan, Samples, get_engine
from fastnn.network import Network
from fastnn.optimizers import SGD


def warmup(*networks: Network, batch_sizes: Sequence[int] = (1, 32)) -> float:
    """Compile, or load from the cache, what these networks need to train and to predict.

    Kernels are compiled when they are first used and then kept on disk, so this is for programs
    that cannot wait later. It covers plain SGD, validation losses and predictions: other
    optimisers, momentum, clipping and sample weights have kernels of their own, which the first
    ``fit`` with them compiles. Which kernel is fastest, and so compiled, depends on the
    activations, the loss and the sizes of the layers: give it the networks you will use.

    Parameters
    ----------
    *networks : Network
        By default three of one hidden layer: a sigmoid one for regression, a tanh one for two
        classes and a relu one for several classes, in float64.
    batch_sizes : sequence of int
        1 has a kernel of its own; all other sizes share one.

    Returns
    -------
    float
        Seconds it took.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a network, or a batch size not a whole number of at least 1.

    Examples
    --------
    >>> import fastnn
    >>> net = fastnn.Network([4, 16, 3], loss="cross_entropy")
    >>> seconds = fastnn.warmup(net, batch_sizes=[1])
    """
    started = time.perf_counter()
    sizes = [validation.integer(size, "batch_sizes", 1) for size in batch_sizes]
    for network in networks:
        if not isinstance(network, Network):
            raise TypeError(f"warmup takes networks, got {type(network).__name__}")
    for network in networks or _usual_networks():
        architecture = network._architecture
        engine = get_engine(network.engine)
        n_in, n_out = architecture.sizes[0], architecture.sizes[-1]
        samples = Samples(
            _frozen(np.zeros((2, n_in), architecture.dtype)),
            _frozen(np.full((2, n_out), 1 / n_out, architecture.dtype)),
        )
        for size in sizes:
            engine.trainer(architecture, samples, Plan(min(size, 2), SGD()))
        engine.evaluator(architecture, samples)
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
