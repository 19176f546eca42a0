"""JAX, everything in one jit: `lax.scan` over the updates, parameters donated."""

import functools
from typing import Any

import numpy as np

from bench.contest import Entry, UnavailableError
from bench.problems import Problem
from bench.vectors import Pair, Values

#: How often the body of the scan is repeated, by hand-written gradients: the best of 1, 2, 4.
_UNROLL = 4


def _jax() -> Any:
    try:
        import jax
    except ImportError:
        raise UnavailableError("JAX is not installed: pip install jax") from None
    jax.config.update("jax_enable_x64", True)
    return jax


def train(problem: Problem, gradient_by: str) -> Entry:
    """A scan over epochs of a scan over batches."""
    jax = _jax()
    jnp = jax.numpy
    rate = np.dtype(problem.dtype).type(problem.rate)
    unroll, turned = 1, False
    if gradient_by == "autodiff":
        value_and_gradient = jax.value_and_grad(functools.partial(_loss, jax, problem))
    else:
        turned = problem.batch is None  # with features first it is twice as fast
        value_and_gradient = _by_hand(jax, problem, turned)
        unroll = _UNROLL
    X, Y = jnp.asarray(problem.X), jnp.asarray(problem.Y)
    if turned:
        X, Y = X.T.copy(), Y.T.copy()
    elif problem.batch not in (1, None):
        X, Y = (a.reshape(-1, problem.batch, a.shape[1]) for a in (X, Y))

    step, memory = _rule(jax, problem, rate)

    def update(state: Any, batch: Any) -> Any:
        loss, gradient = value_and_gradient(state[0], *batch)
        return step(gradient, *state), loss

    def all_at_once(state: Any, X: Any, Y: Any) -> Any:
        return jax.lax.scan(
            lambda state, _: update(state, (X, Y)), state, length=problem.epochs, unroll=unroll
        )

    def in_batches(state: Any, X: Any, Y: Any) -> Any:
        def epoch(state: Any, _: Any) -> Any:
            state, losses = jax.lax.scan(update, state, (X, Y), unroll=unroll)
            return state, losses.mean()

        return jax.lax.scan(epoch, state, length=problem.epochs)

    fit = jax.jit(all_at_once if problem.batch is None else in_batches, donate_argnums=0)
    params = _to_jax(jnp, problem, turned)
    state = [(params, *memory(params))]

    def run() -> None:
        state[0], losses = fit(state[0], X, Y)
        jax.block_until_ready((state[0], losses))

    return Entry(run, lambda: _to_flat(state[0][0], turned), {})


def _rule(jax: Any, problem: Problem, rate: Any) -> tuple[Any, Any]:
    """A step from a gradient, the parameters and what the rule remembers; and what it begins with.

    Steps give parameters and memory back.
    """
    jnp, number = jax.numpy, type(rate)
    each = jax.tree.map

    def sgd(g: Any, p: Any) -> Any:
        return (each(lambda p, g: p - rate * g, p, g),)

    def momentum(g: Any, p: Any, v: Any) -> Any:
        v = each(lambda v, g: number(0.9) * v + g, v, g)
        return each(lambda p, v: p - rate * v, p, v), v

    def adam(g: Any, p: Any, m: Any, v: Any, t: Any) -> Any:
        t = t + number(1)
        m = each(lambda m, g: number(0.9) * m + number(0.1) * g, m, g)
        v = each(lambda v, g: number(0.999) * v + number(0.001) * g * g, v, g)
        left_1, left_2 = 1 - number(0.9) ** t, 1 - number(0.999) ** t

        def new(p: Any, m: Any, v: Any) -> Any:
            return p - rate * (m / left_1) / (jnp.sqrt(v / left_2) + number(1e-8))

        return each(new, p, m, v), m, v, t

    def nothing(params: Any) -> Any:
        return each(jnp.zeros_like, params)

    return {
        "sgd": (sgd, lambda params: ()),
        "momentum": (momentum, lambda params: (nothing(params),)),
        "adam": (adam, lambda params: (nothing(params), nothing(params), number(0))),
    }[problem.optimizer]


def gradient(problem: Problem, gradient_by: str) -> Entry:
    """The gradient, jitted."""
    jax = _jax()
    X, Y = jax.numpy.asarray(problem.X), jax.numpy.asarray(problem.Y)
    params = _to_jax(jax.numpy, problem)
    if gradient_by == "by hand":
        function = jax.jit(_by_hand(jax, problem, turn=False))
    else:
        function = jax.jit(jax.value_and_grad(functools.partial(_loss, jax, problem)))
    return Entry(
        lambda: jax.block_until_ready(function(params, X, Y)),
        lambda: _to_flat(function(params, X, Y)[1]),
        {},
    )


def predict(problem: Problem, _: str) -> Entry:
    """From a NumPy array to a NumPy array, as for everybody else."""
    jax = _jax()
    params, X = _to_jax(jax.numpy, problem), problem.own_X()
    function = jax.jit(lambda params, X: _outputs(jax, problem, params, X)[0])

    def run() -> np.ndarray:
        return np.asarray(function(params, X))

    return Entry(run, lambda: run().ravel(), {})


def dot(pair: Pair, _: str) -> Entry:
    """`jnp.dot`, jitted."""
    jax = _jax()
    a, b = map(jax.numpy.asarray, pair.arrays)
    function = jax.jit(jax.numpy.dot)
    return Entry(lambda: function(a, b).block_until_ready(), lambda: np.array([function(a, b)]), {})


def elementary(values: Values, _: str) -> Entry:
    """The function, jitted."""
    jax = _jax()
    x = jax.numpy.asarray(values.x)
    modules = (jax.nn, jax.numpy)
    function = jax.jit(
        next(getattr(m, values.function) for m in modules if hasattr(m, values.function))
    )
    return Entry(lambda: function(x).block_until_ready(), lambda: np.asarray(function(x)), {})


def _to_jax(jnp: Any, problem: Problem, turned: bool = False) -> Any:
    return tuple(
        tuple(jnp.array(a.T if turned else a) for a in layer)
        for layer in problem.layers(problem.start)
    )


def _to_flat(params: Any, turned: bool = False) -> np.ndarray:
    arrays = [np.asarray(a) for layer in params for a in layer]
    return np.concatenate([(a.T if turned else a).ravel() for a in arrays])


def _activations(jax: Any) -> dict[str, Any]:
    return {
        "identity": lambda z: z,
        "sigmoid": jax.nn.sigmoid,
        "tanh": jax.numpy.tanh,
        "relu": jax.nn.relu,
        "softmax": jax.nn.softmax,
    }


def _outputs(jax: Any, problem: Problem, params: Any, x: Any) -> tuple[Any, Any]:
    """Outputs, and the weighted sums that they come from."""
    table = _activations(jax)
    names = [*[problem.activation] * (len(params) - 1), problem.output]
    z = x
    for name, (W, *b) in zip(names, params, strict=True):
        z = x @ W
        if b:
            z = z + b[0]
        x = table[name](z)
    return x, z


def _loss(jax: Any, problem: Problem, params: Any, x: Any, y: Any) -> Any:
    """The mean over the samples, of which there may be one, without a dimension for it."""
    a, z = _outputs(jax, problem, params, x)
    if problem.loss == "cross_entropy":
        losses = -(y * jax.nn.log_softmax(z)).sum(axis=-1)
    elif problem.loss == "half_squared_error":
        losses = ((a - y) ** 2).sum(axis=-1) / 2
    else:
        losses = ((a - y) ** 2).mean(axis=-1)
    return losses.mean()


def _by_hand(jax: Any, problem: Problem, turn: bool) -> Any:
    """Loss and gradient of one hidden layer, written out; with *turn*, features come first."""
    if len(problem.sizes) != 3 or not problem.bias:
        raise UnavailableError("the gradient is written out for one hidden layer with biases")
    jnp = jax.numpy
    hidden = _activations(jax)[problem.activation]
    slope = {
        "sigmoid": lambda a: a * (1 - a),
        "tanh": lambda a: 1 - a * a,
        "relu": lambda a: (a > 0).astype(a.dtype),
    }[problem.activation]

    def output_and_loss(z: Any, y: Any, axis: int, n: int) -> tuple[Any, Any]:
        """The loss, and its gradient with respect to z."""
        if problem.loss == "cross_entropy":
            log_a = jax.nn.log_softmax(z, axis=axis)
            return -(y * log_a).sum() / n, (jnp.exp(log_a) - y) / n
        error = z - y
        factor = 2 / problem.sizes[-1] if problem.loss == "squared_error" else 1
        return factor * (error * error).sum() / (2 * n), error * (factor / n)

    def one(params: Any, x: Any, y: Any) -> Any:
        (W1, b1), (W2, b2) = params
        a = hidden(x @ W1 + b1)
        loss, d2 = output_and_loss(a @ W2 + b2, y, 0, 1)
        d1 = (W2 @ d2) * slope(a)
        return loss, ((x[:, None] * d1, d1), (a[:, None] * d2, d2))

    def batch(params: Any, x: Any, y: Any) -> Any:
        (W1, b1), (W2, b2) = params
        a = hidden(x @ W1 + b1)
        loss, d2 = output_and_loss(a @ W2 + b2, y, 1, len(x))
        d1 = (d2 @ W2.T) * slope(a)
        return loss, ((x.T @ d1, d1.sum(0)), (a.T @ d2, d2.sum(0)))

    def turned(params: Any, x: Any, y: Any) -> Any:
        (W1, b1), (W2, b2) = params
        a = hidden(W1 @ x + b1[:, None])
        loss, d2 = output_and_loss(W2 @ a + b2[:, None], y, 0, x.shape[1])
        d1 = (W2.T @ d2) * slope(a)
        return loss, ((d1 @ x.T, d1.sum(1)), (d2 @ a.T, d2.sum(1)))

    if problem.batch == 1:
        return one
    return turned if turn else batch
