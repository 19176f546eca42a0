"""The rules of `fastnn.optimizers`: from a parameter, its gradient and its moments to new ones.

Each is written once, for one network and for many: there what is a number here is lanes, of which
each belongs to a network. A rule is two functions:

``numbers(p, options, scale, rate, t)``
    once an update: the numbers that it takes, as those of p. The gradient is still to be multiplied
    by *scale*, and t is the number of this update from 1.
``rule(p, g, m, v, numbers)``
    the new p, m and v, from lanes of each. Moments that it does not keep are anything.

"""

from typing import Any

import numpy as np

from fastnn.kernels.elementary import quotient
from fastnn.kernels.estimates import over_root
from fastnn.kernels.jit import inner, made_once, ordered
from fastnn.kernels.lanes import constant, convert, largest, load, select, sqrt, store
from fastnn.optimizers import MOMENTS, RULES

#: Places of settings. Literals would each have a function compiled for them.
_0, _1, _2, _3, _4 = map(np.int64, range(5))


@inner
def number(value, vector):
    """A float64 as a number of the vector's type."""
    return convert(value, vector.dtype.type)


@inner
def _one_of(settings, k):
    return settings[k]


@made_once
def make_numbers(rule: int, take: Any = _one_of) -> Any:
    """Make the first function of a rule; *take* is what takes one of the settings."""
    return _NUMBERS[rule](take)


@ordered
def _powers(a, b, t):
    """a and b to the power of the whole number t, by squaring: functions of t alone."""
    x, y = constant(1.0, a), constant(1.0, b)
    none, one = constant(0, t), constant(1, t)
    while largest(t) > 0:
        odd = (t & one) != none
        x, y = select(odd, x * a, x), select(odd, y * b, y)  # a processor could foresee no branch
        a, b, t = a * a, b * b, t >> one
    return x, y


def _make_sgd_numbers(take: Any) -> Any:
    @ordered
    def numbers(p, options, scale, rate, t):
        return (number(rate * scale, p),)

    return numbers


@ordered
def _sgd(p, g, m, v, numbers):
    return p - numbers[0] * g, m, v


def _make_momentum_numbers(take: Any) -> Any:
    @ordered
    def numbers(p, options, scale, rate, t):
        settings, one, none = options.settings, constant(1.0, rate), constant(0.0, rate)
        momentum, decay = take(settings, _0), take(settings, _2)
        nesterov, inside = take(settings, _1) > none, take(settings, _3) > none
        before, after = select(inside, rate, one), select(inside, one, rate)
        return (
            number(momentum, p),
            number(before * scale, p),
            number(before * decay, p),
            number(after * select(nesterov, one, none), p),
            number(after * select(nesterov, momentum, one), p),
        )

    return numbers


@ordered
def _momentum(p, g, m, v, numbers):
    momentum, of_loss, of_decay, of_gradient, of_moment = numbers
    g = of_loss * g + of_decay * p
    m = momentum * m + g
    return p - of_gradient * g - of_moment * m, m, v


def _make_rmsprop_numbers(take: Any) -> Any:
    @ordered
    def numbers(p, options, scale, rate, t):
        rho, epsilon = take(options.settings, _0), take(options.settings, _1)
        return (
            number(rho, p),
            number(take(options.rests, _0), p),
            number(epsilon, p),
            number(scale, p),
            number(rate, p),
        )

    return numbers


@ordered
def _rmsprop(p, g, m, v, numbers):
    rho, rest, epsilon, scale, step = numbers
    g = g * scale
    m = rho * m + rest * (g * g)
    return p - quotient(step * g, sqrt(m) + epsilon), m, v


def _make_adagrad_numbers(take: Any) -> Any:
    @ordered
    def numbers(p, options, scale, rate, t):
        return number(take(options.settings, _0), p), number(scale, p), number(rate, p)

    return numbers


@ordered
def _adagrad(p, g, m, v, numbers):
    epsilon, scale, step = numbers
    g = g * scale
    m = m + g * g
    return p - quotient(step * g, sqrt(m) + epsilon), m, v


def _make_adam_numbers(take: Any) -> Any:
    @ordered
    def numbers(p, options, scale, rate, t):
        one, none = constant(1.0, rate), constant(0.0, rate)
        settings, rests = options.settings, options.rests
        beta_1, beta_2, epsilon = take(settings, _0), take(settings, _1), take(settings, _2)
        left_1, left_2 = _powers(beta_1, beta_2, t)
        whole_root = sqrt(one - left_2)
        plain = take(settings, _4) > none
        return (
            number(scale, p),
            number(take(rests, _0), p),
            number(beta_2, p),
            number(take(rests, _1), p),
            number(one - rate * take(settings, _3), p),
            number(rate * whole_root / (one - left_1), p),
            number(select(plain, epsilon, epsilon * whole_root), p),
        )

    return numbers


@ordered
def _adam(p, g, m, v, numbers):
    scale, rest_1, beta_2, rest_2, kept, step, epsilon = numbers
    g = g * scale
    m = m + (g - m) * rest_1
    v = beta_2 * v + rest_2 * (g * g)
    return kept * p - over_root(step * m, v, epsilon), m, v


_NUMBERS = {
    RULES["sgd"]: _make_sgd_numbers,
    RULES["momentum"]: _make_momentum_numbers,
    RULES["rmsprop"]: _make_rmsprop_numbers,
    RULES["adagrad"]: _make_adagrad_numbers,
    RULES["adam"]: _make_adam_numbers,
}
#: The second functions.
UPDATES = {
    RULES["sgd"]: _sgd,
    RULES["momentum"]: _momentum,
    RULES["rmsprop"]: _rmsprop,
    RULES["adagrad"]: _adagrad,
    RULES["adam"]: _adam,
}
#: How many moments of a parameter each keeps.
KEPT = {RULES[name]: kept for name, kept in MOMENTS.items()}


@made_once
def make_change(rule: int) -> Any:
    """Make the update of *count* of n parameters from the place k on.

    They are the lanes *p_k*, and their gradients *g_k*. Their moments are in a vector from the
    place *at* on, and the second ones *apart* behind them.
    """
    update, kept = UPDATES[rule], KEPT[rule]

    @ordered
    def change(p, k, p_k, g_k, moments, at, apart, n, count, numbers):
        m = load(moments, at, n, count) if kept > 0 else g_k
        v = load(moments, at + apart, n, count) if kept > 1 else g_k
        p_k, m, v = update(p_k, g_k, m, v, numbers)
        if kept > 0:
            store(moments, at, m, count)
        if kept > 1:
            store(moments, at + apart, v, count)
        store(p, k, p_k, count)

    return change
