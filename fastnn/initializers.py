"""Start weights. Biases always start at zero.

Sources: glorot, Glorot and Bengio 2010, "Understanding the difficulty of training deep
feedforward neural networks"; he, He et al. 2015, "Delving Deep into Rectifiers"; uniform is
the range of PyTorch's ``nn.Linear``.
"""

import math
from collections.abc import Callable

import numpy as np

from fastnn.architecture import Architecture
from fastnn.memory import aligned
from fastnn.names import find

Draw = Callable[[np.random.Generator, int, int], np.ndarray]


def _uniform(limit: Callable[[int, int], float]) -> Draw:
    def draw(rng: np.random.Generator, n_in: int, n_out: int) -> np.ndarray:
        bound = limit(n_in, n_out)
        return rng.uniform(-bound, bound, size=(n_in, n_out))

    return draw


def _normal(deviation: Callable[[int, int], float]) -> Draw:
    def draw(rng: np.random.Generator, n_in: int, n_out: int) -> np.ndarray:
        return rng.normal(0.0, deviation(n_in, n_out), size=(n_in, n_out))

    return draw


#: Each draws one layer's (n_in, n_out) weights in float64.
INITIALIZERS: dict[str, Draw] = {
    "glorot_uniform": _uniform(lambda n_in, n_out: math.sqrt(6.0 / (n_in + n_out))),
    "glorot_normal": _normal(lambda n_in, n_out: math.sqrt(2.0 / (n_in + n_out))),
    "he_uniform": _uniform(lambda n_in, n_out: math.sqrt(6.0 / n_in)),
    "he_normal": _normal(lambda n_in, n_out: math.sqrt(2.0 / n_in)),
    "uniform": _uniform(lambda n_in, n_out: 1.0 / math.sqrt(n_in)),
    "zeros": lambda rng, n_in, n_out: np.zeros((n_in, n_out)),
}


def start_parameters(
    architecture: Architecture, initializer: str, rng: np.random.Generator
) -> np.ndarray:
    """A flat parameter vector, the weights drawn layer by layer from the input on."""
    draw = find(initializer, INITIALIZERS, "initializer")
    try:
        parameters = aligned(architecture.n_parameters, architecture.dtype)
        _draw_all(parameters, architecture, draw, rng)
    except (MemoryError, OverflowError, ValueError):
        raise MemoryError(
            f"layer_sizes={list(architecture.sizes)} ask for {architecture.n_parameters:,} "
            "parameters, more than memory holds"
        ) from None
    return parameters


def _draw_all(
    parameters: np.ndarray, architecture: Architecture, draw: Draw, rng: np.random.Generator
) -> None:
    parameters[:] = 0
    for weights in architecture.weight_views(parameters):
        weights[...] = draw(rng, *weights.shape)
