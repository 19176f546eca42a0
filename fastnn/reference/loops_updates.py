"""What the ``python`` engine does between a gradient and the new parameters: lists and floats.

The steps are those of `fastnn.contract.Plan`, the rules those of `fastnn.optimizers`. All work in
place on flat lists: the parameters p, the gradient g, and the moments v, or m and v.
"""

from collections.abc import Callable
from math import sqrt

from fastnn.architecture import Architecture
from fastnn.contract import Plan
from fastnn.reference.loops_functions import Matrix, Vector
from fastnn.reference.random import uniform


def penalty(p: Vector, architecture: Architecture) -> float:
    """Σ l1 |w| + ½ l2 w² over the weights; biases are left out."""
    weights = [p_k for p_k, is_weight in zip(p, architecture.is_weight, strict=True) if is_weight]
    return sum(architecture.l1 * abs(w) + 0.5 * architecture.l2 * w * w for w in weights)


def add_penalty_gradient(g: Vector, p: Vector, architecture: Architecture, factor: float) -> None:
    """Add factor (l1 sign(w) + l2 w), where sign(0) is 0, to the gradient of every weight w."""
    for k, (w, is_weight) in enumerate(zip(p, architecture.is_weight, strict=True)):
        if is_weight:
            sign = (w > 0.0) - (w < 0.0)
            g[k] += factor * (architecture.l1 * sign + architecture.l2 * w)


def clip_value(g: Vector, limit: float) -> None:
    """Limit every entry of the gradient to ±limit."""
    g[:] = [min(max(g_k, -limit), limit) for g_k in g]


def clip_norm(g: Vector, limit: float) -> None:
    """Scale the gradient by limit / (norm + 1e-6) if that is less than 1."""
    norm = sqrt(sum(g_k * g_k for g_k in g))
    factor = min(1.0, limit / (norm + 1e-6))
    g[:] = [factor * g_k for g_k in g]


def limit_norms(p: Vector, architecture: Architecture) -> None:
    """Scale the weights into each unit down to the norm `Architecture.max_norm`."""
    for layer in architecture.layers:
        for j in range(layer.n_out):
            into_j = slice(layer.weights.start + j, layer.weights.stop, layer.n_out)
            norm = sqrt(sum(w * w for w in p[into_j]))
            if norm > architecture.max_norm:
                p[into_j] = [w * (architecture.max_norm / norm) for w in p[into_j]]


def dropout_factors(architecture: Architecture, plan: Plan, update: int, place: int) -> Matrix:
    """For each hidden layer what its outputs are multiplied by: 0 if dropped, else 1 / (1 - rate).

    For the sample at *place* of the batch of this update.
    """
    n_units = architecture.sizes[1:-1]
    counter = (update * plan.batch_size + place) * sum(n_units)
    factors: Matrix = []
    for n, rate in zip(n_units, architecture.dropout, strict=True):
        numbers = [uniform(plan.dropout_key, counter + u) for u in range(n)]
        factors.append([0.0 if number < rate else 1.0 / (1.0 - rate) for number in numbers])
        counter += n
    return factors


# The optimisers' rules. t is the number of this update, from 1; *settings* are those of the
# optimiser's class, in its order.


def sgd(p: Vector, g: Vector, moments: Matrix, rate: float, t: int, settings: Vector) -> None:
    """p -= rate g."""
    for k, g_k in enumerate(g):
        p[k] -= rate * g_k


def momentum(p: Vector, g: Vector, moments: Matrix, rate: float, t: int, settings: Vector) -> None:
    """g += decay p; v = momentum v + g; p -= rate v; variants: see `fastnn.optimizers`."""
    kept, nesterov, decay, rate_inside = settings
    (v,) = moments
    inner, outer = (rate, 1.0) if rate_inside else (1.0, rate)
    for k, g_k in enumerate(g):
        step = inner * (g_k + decay * p[k])
        v[k] = kept * v[k] + step
        p[k] -= outer * (step + kept * v[k] if nesterov else v[k])


def rmsprop(p: Vector, g: Vector, moments: Matrix, rate: float, t: int, settings: Vector) -> None:
    """v = rho v + (1 - rho) g²; p -= rate g / (√v + epsilon)."""
    rho, epsilon = settings
    (v,) = moments
    for k, g_k in enumerate(g):
        v[k] = rho * v[k] + (1.0 - rho) * g_k * g_k
        p[k] -= rate * (g_k / (sqrt(v[k]) + epsilon))


def adagrad(p: Vector, g: Vector, moments: Matrix, rate: float, t: int, settings: Vector) -> None:
    """v += g²; p -= rate g / (√v + epsilon)."""
    (epsilon,) = settings
    (v,) = moments
    for k, g_k in enumerate(g):
        v[k] += g_k * g_k
        p[k] -= rate * (g_k / (sqrt(v[k]) + epsilon))


def adam(p: Vector, g: Vector, moments: Matrix, rate: float, t: int, settings: Vector) -> None:
    """Steps along the mean of g, divided by the root of the mean of g²: `fastnn.optimizers`."""
    beta_1, beta_2, epsilon, decay, plain_epsilon = settings
    m, v = moments
    root = sqrt(1.0 - beta_2**t)
    step = rate / (1.0 - beta_1**t)
    if plain_epsilon:
        step, root = step * root, 1.0
    for k, g_k in enumerate(g):
        m[k] = beta_1 * m[k] + (1.0 - beta_1) * g_k
        v[k] = beta_2 * v[k] + (1.0 - beta_2) * g_k * g_k
        p[k] -= rate * decay * p[k]
        p[k] -= step * (m[k] / (sqrt(v[k]) / root + epsilon))


Rule = Callable[[Vector, Vector, Matrix, float, int, Vector], None]
RULES: dict[str, Rule] = {rule.__name__: rule for rule in (sgd, momentum, rmsprop, adagrad, adam)}
