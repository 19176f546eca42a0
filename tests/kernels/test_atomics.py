"""Whole numbers that threads share."""

import threading
from pathlib import Path

import numba
import numpy as np
import pytest
from simd import arm_code, on_x86, only_compiled

from fastnn.kernels import atomics
from fastnn.kernels.jit import kernel


@kernel
def all_of_them(vector):
    """Everything once; what each returned."""
    atomics.publish(vector, 0, 5)
    before = atomics.add(vector, 0, 3)
    refused = atomics.replace(vector, 0, 5, 1)
    done = atomics.replace(vector, 0, 8, 2)
    atomics.pause()
    atomics.give_way()
    atomics.nap()
    return before, refused, done, atomics.observed(vector, 0)


@kernel
def count(vector, n):
    """Add one so many times, in two ways."""
    for _ in range(n):
        atomics.add(vector, 0, 1)
        number = atomics.observed(vector, 1)
        while not atomics.replace(vector, 1, number, number + 1):
            number = atomics.observed(vector, 1)


def test_what_they_do():
    vector = np.zeros(2, np.int64)
    assert all_of_them(vector) == (5, False, True, 2)
    assert list(vector) == [2, 0]


@only_compiled
def test_nothing_is_lost_between_threads():
    vector = np.zeros(2, np.int64)
    count(vector, 0)
    threads = [threading.Thread(target=count, args=(vector, 50_000)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(vector) == [150_000, 150_000]


@only_compiled
@pytest.mark.parametrize("wrong", [np.zeros(2), np.zeros(2, np.int32), np.zeros((2, 2), np.int64)])
def test_only_vectors_of_64_bit_whole_numbers(wrong):
    with pytest.raises(numba.TypingError):
        count(wrong, 1)


KERNEL = Path(__file__).read_text().split("@kernel", 1)[1].split("\n\n\n", 1)[0]
ON_ARM = f"""
from fastnn.kernels import atomics
from fastnn.kernels.jit import kernel
atomics.target_machine = lambda: ("",)  # there is no pause that both have
@kernel{KERNEL}
"""


@pytest.mark.slow
@on_x86
def test_code_for_arm():
    """Arm orders nothing that it is not told to."""
    for body in arm_code(ON_ARM, "all_of_them", "all_of_them(np.zeros(2, np.int64))"):
        for instruction in ("stlr", "ldar", "ldaxr", "stlxr"):
            assert f"\t{instruction}" in body, instruction
