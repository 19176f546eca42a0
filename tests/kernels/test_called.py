"""Kernels called by their address: what they return, what they raise, and for which types."""

import numba
import numpy as np
import pytest

from fastnn.kernels.called import address_of, number_at, run_at, truth_at
from fastnn.kernels.jit import OPTIONS

#: As a kernel is, but not kept on disk: nothing there would notice a change in this file.
compiled = numba.njit(nogil=True, **OPTIONS)
JIT = not numba.config.DISABLE_JIT


@compiled
def add_to(x, pair, n):
    x[0] += pair[0][0] * n
    if n < 0:
        raise ValueError("n")


@compiled
def total(x):
    return x.sum()


@compiled
def is_positive(x):
    return x[0] > 0


@compiled
def all_three(adding, summing, judging, x, pair, n):
    run_at(adding, (x, pair, n))
    return number_at(summing, (x,)), truth_at(judging, (x,))


def call(x, pair, n):
    addresses = (
        address_of(add_to, (x, pair, n)),
        address_of(total, (x,)),
        address_of(is_positive, (x,)),
    )
    return all_three(*addresses, x, pair, n)


def test_arguments_arrive_and_results_come_back():
    x = np.array([1.0, 2.0])
    assert call(x, (np.array([10.0]), 0.5), 3) == (33.0, True)
    assert x.tolist() == [31.0, 2.0]
    assert call(-x, (np.array([0.0]), 0.5), 3) == (-33.0, False)


def test_errors_come_through():
    with pytest.raises(ValueError, match="n"):
        call(np.zeros(2), (np.ones(1), 0.5), -1)


@pytest.mark.own_kernels
@pytest.mark.skipif(not JIT, reason="nothing is compiled with the JIT off")
def test_each_type_has_an_address_of_its_own():
    x = np.zeros(2)
    frozen = x.view()
    frozen.flags.writeable = False
    others = [x.astype(np.float32), x[np.newaxis], x[::-1], frozen, (x,)]
    addresses = {address_of(total, (other,)) for other in (x, *others[:-1])}
    assert len(addresses) == 5
    assert address_of(total, (x.copy(),)) == address_of(total, (x,))
