"""What the ``numpy`` engine does between a gradient and the new parameters: flat arrays.

The steps are those of `fastnn.contract.Plan`, the rules those of `fastnn.optimizers`. All work in
place on flat arrays of one dtype: the parameters p, the gradient g, which a rule may overwrite,
and the rows of the moments: v, or m and v.
"""

from collections.abc import Callable
from math import sqrt

import numpy as np

from fastnn.architecture import Architecture
from fastnn.contract import Plan
from fastnn.reference.random import uniforms


def clip_value(g: np.ndarray, limit: float) -> None:
    """Limit every entry of the gradient to ±limit."""
    np.clip(g, -limit, limit, out=g)


def clip_norm(g: np.ndarray, limit: float) -> None:
    """Scale the gradient by limit / (norm + 1e-6) if that is less than 1."""
    norm = sqrt(float(np.square(g, dtype=np.float64).sum()))
    g *= min(1.0, limit / (norm + 1e-6))


def limit_norms(weights: list[np.ndarray], limit: float) -> None:
    """Scale the weights into each unit, the columns of the matrices, down to norm *limit*."""
    for W in weights:
        norms = np.linalg.norm(W.astype(np.float64), axis=0)
        factors = np.divide(limit, norms, out=np.ones_like(norms), where=norms > limit)
        W *= factors.astype(W.dtype)


def dropout_factors(
    architecture: Architecture, plan: Plan, update: int, n_samples: int
) -> list[np.ndarray]:
    """For each hidden layer what its outputs are multiplied by: 0 if dropped, else 1 / (1 - rate).

    Shapes (n_samples, n_l), of the architecture's dtype, for the batch of this update.
    """
    n_units = architecture.sizes[1:-1]
    total = sum(n_units)
    first = np.uint64(update * plan.batch_size * total % 2**64)
    counters = first + np.arange(n_samples * total, dtype=np.uint64)  # modulo 2^64
    numbers = uniforms(plan.dropout_key, counters.reshape(n_samples, total))
    rates = np.repeat(np.array(architecture.dropout), n_units)
    factors = np.where(numbers < rates, 0, 1 / (1 - rates)).astype(architecture.dtype)
    return np.split(factors, np.cumsum(n_units)[:-1], axis=1)


# The optimisers' rules. t is the number of this update, from 1; *settings* are those of the
# optimiser's class, in its order.

Vector = np.ndarray
Matrix = np.ndarray
Settings = tuple[float, ...]


def sgd(p: Vector, g: Vector, moments: Matrix, rate: float, t: int, settings: Settings) -> None:
    """p -= rate g."""
    g *= rate
    p -= g


def momentum(
    p: Vector, g: Vector, moments: Matrix, rate: float, t: int, settings: Settings
) -> None:
    """g += decay p; v = momentum v + g; p -= rate v; variants: see `fastnn.optimizers`."""
    kept, nesterov, decay, rate_inside = settings
    (v,) = moments
    if decay:
        g += decay * p
    if rate_inside:
        g *= rate
    v *= kept
    v += g
    step = g + kept * v if nesterov else v
    p -= step if rate_inside else rate * step


def rmsprop(p: Vector, g: Vector, moments: Matrix, rate: float, t: int, settings: Settings) -> None:
    """v = rho v + (1 - rho) g²; p -= rate g / (√v + epsilon)."""
    rho, epsilon = settings
    (v,) = moments
    v *= rho
    v += (1 - rho) * g * g
    p -= rate * g / (np.sqrt(v) + epsilon)


def adagrad(p: Vector, g: Vector, moments: Matrix, rate: float, t: int, settings: Settings) -> None:
    """v += g²; p -= rate g / (√v + epsilon)."""
    (epsilon,) = settings
    (v,) = moments
    v += g * g
    p -= rate * g / (np.sqrt(v) + epsilon)


def adam(p: Vector, g: Vector, moments: Matrix, rate: float, t: int, settings: Settings) -> None:
    """Steps along the mean of g, divided by the root of the mean of g²: `fastnn.optimizers`."""
    beta_1, beta_2, epsilon, decay, plain_epsilon = settings
    m, v = moments
    root = sqrt(1 - beta_2**t)
    step = rate / (1 - beta_1**t)
    if plain_epsilon:
        step, root = step * root, 1.0
    m *= beta_1
    m += (1 - beta_1) * g
    v *= beta_2
    v += (1 - beta_2) * g * g
    if decay:
        p -= rate * decay * p
    p -= step * m / (np.sqrt(v) / root + epsilon)


Rule = Callable[[Vector, Vector, Matrix, float, int, Settings], None]
RULES: dict[str, Rule] = {rule.__name__: rule for rule in (sgd, momentum, rmsprop, adagrad, adam)}
