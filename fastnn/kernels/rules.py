"""The rules of `fastnn.optimizers`: from a parameter, its gradient and its moments to new ones.

Each is written once, for one network and for many: there what is a number here is lanes, of which
each belongs to a network. A rule is two functions:

``numbers(p, options, scale, rate, t)``
    once an update: the numbers that it takes, as those of p. The gradient is still to be multiplied
    by *scale*, and t is the number of this update from 1.
``rule(p, g, m, v, numbers)``
    the new p, m and v, from lanes of each. Moments that it does not keep are anything.

"""

import functools
from typing import Any

from fastnn.kernels.elementary import quotient
from fastnn.kernels.estimates import newton_steps, root
from fastnn.kernels.jit import inner, ordered
from fastnn.kernels.lanes import constant, load, select, sqrt, store
from fastnn.optimizers import MOMENTS, RULES


@inner
def setting(options, k):
    """A number of the rule's settings, of one network."""
    return options.settings[k]


@inner
def rest(options, k):
    """1 - setting."""
    return options.rests[k]


@inner
def number(value, p):
    """A float64 as a number of the vector's type."""
    return p.dtype.type(value)


@inner
def powers(a, b, t):
    """a and b to the power of the whole number t, by squaring: functions of t alone."""
    x, y = 1.0, 1.0
    while t > 0:
        odd = t & 1 == 1
        x *= select(odd, a, 1.0)  # no branch, which a processor could not foresee
        y *= select(odd, b, 1.0)
        a *= a
        b *= b
        t >>= 1
    return x, y


#: What `make_numbers` takes to make those of one network.
OF_ONE = setting, rest, number, powers


@functools.cache
def make_numbers(rule: int, setting: Any, rest: Any, number: Any, powers: Any) -> Any:
    """Make the first function of a rule, of what takes a setting, and makes numbers of p's type."""
    return _NUMBERS[rule](setting, rest, number, powers)


def _make_sgd_numbers(setting: Any, rest: Any, number: Any, powers: Any) -> Any:
    @ordered
    def numbers(p, options, scale, rate, t):
        return (number(rate * scale, p),)

    return numbers


@ordered
def _sgd(p, g, m, v, numbers):
    return p - numbers[0] * g, m, v


def _make_momentum_numbers(setting: Any, rest: Any, number: Any, powers: Any) -> Any:
    @ordered
    def numbers(p, options, scale, rate, t):
        one, none = constant(1.0, rate), constant(0.0, rate)
        momentum, decay = setting(options, 0), setting(options, 2)
        nesterov, inside = setting(options, 1) > none, setting(options, 3) > none
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


def _make_rmsprop_numbers(setting: Any, rest: Any, number: Any, powers: Any) -> Any:
    @ordered
    def numbers(p, options, scale, rate, t):
        rho, epsilon = setting(options, 0), setting(options, 1)
        return (
            number(rho, p),
            number(rest(options, 0), p),
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


def _make_adagrad_numbers(setting: Any, rest: Any, number: Any, powers: Any) -> Any:
    @ordered
    def numbers(p, options, scale, rate, t):
        return number(setting(options, 0), p), number(scale, p), number(rate, p)

    return numbers


@ordered
def _adagrad(p, g, m, v, numbers):
    epsilon, scale, step = numbers
    g = g * scale
    m = m + g * g
    return p - quotient(step * g, sqrt(m) + epsilon), m, v


def _make_adam_numbers(setting: Any, rest: Any, number: Any, powers: Any) -> Any:
    @ordered
    def numbers(p, options, scale, rate, t):
        one, none = constant(1.0, rate), constant(0.0, rate)
        beta_1, beta_2, epsilon = setting(options, 0), setting(options, 1), setting(options, 2)
        left_1, left_2 = powers(beta_1, beta_2, t)
        whole_root = sqrt(one - left_2)
        plain = setting(options, 4) > none
        return (
            number(scale, p),
            number(rest(options, 0), p),
            number(beta_2, p),
            number(rest(options, 1), p),
            number(one - rate * setting(options, 3), p),
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
    return kept * p - _over_root(step * m, v, epsilon), m, v


@ordered
def _over_root(a, square, epsilon):
    """a/(√square + epsilon), of which the divider does one part and multiplications the other."""
    if newton_steps(square) > 1:  # a root takes the divider longer than a quotient
        return a / (root(square) + epsilon)
    return quotient(a, sqrt(square) + epsilon)


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


@functools.cache
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
