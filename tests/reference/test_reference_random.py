"""SplitMix64 as numbers of a key and a counter."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn.reference.random import uniform, uniforms

KEYS = [0, 1234567, 2**63, 2**64 - 1]


def test_the_bits_are_those_of_splitmix64():
    """The first outputs of the reference program (Vigna, splitmix64.c) from the seed 1234567."""
    outputs = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert [uniform(1234567, k) for k in range(4)] == [(x >> 11) / 2**53 for x in outputs]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("first", [0, 2**40, 2**64 - 3])
def test_arrays_have_the_same_numbers(key, first):
    counters = np.uint64(first) + np.arange(6, dtype=np.uint64).reshape(2, 3)
    expected = [[uniform(key, int(c)) for c in row] for row in counters]
    assert uniforms(key, counters).tolist() == expected


def test_numbers_are_uniform():
    numbers = uniforms(7, np.arange(200_000, dtype=np.uint64))
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts, _ = np.histogram(numbers, bins=20, range=(0, 1))
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 55  # χ² of 19 degrees; 1 in 100,000 is above


def test_neighbours_and_keys_are_not_correlated():
    counters = np.arange(100_000, dtype=np.uint64)
    numbers = uniforms(3, counters)
    for other in (uniforms(3, counters + np.uint64(1)), uniforms(4, counters)):
        assert abs(np.corrcoef(numbers, other)[0, 1]) < 5 / np.sqrt(len(numbers))
