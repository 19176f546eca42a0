"""What the machine can do at most, and a dot product to hold against it.

Each kernel does one thing many times: multiply and add in registers, read memory, change memory,
compute an activation. Timed, they give the ceilings of a roofline.
"""

from typing import Any

from fastnn.kernels.activations import VALUES
from fastnn.kernels.jit import kernel, made_once
from fastnn.kernels.lanes import prefer_wide_vectors

#: Multiplications, and as many additions, that `multiply_add` does per number and round.
CHAIN = 8


@kernel
def dot(a, b):
    """Σ a_i b_i, by the loop that one would write in Python."""
    total = 0.0
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@kernel
def multiply_add(values, factor, term, rounds):
    """Eight times v = v * factor + term for every number, in registers, *rounds* times over.

    Four numbers at a time, because a multiply-and-add waits for the one before it.
    """
    prefer_wide_vectors()
    quarter = len(values) // 4
    first, second = values[:quarter], values[quarter : 2 * quarter]
    third, fourth = values[2 * quarter : 3 * quarter], values[3 * quarter :]
    for _ in range(rounds):
        for j in range(quarter):
            a, b, c, d = first[j], second[j], third[j], fourth[j]
            a, b = a * factor + term, b * factor + term
            c, d = c * factor + term, d * factor + term
            a, b = a * factor + term, b * factor + term
            c, d = c * factor + term, d * factor + term
            a, b = a * factor + term, b * factor + term
            c, d = c * factor + term, d * factor + term
            a, b = a * factor + term, b * factor + term
            c, d = c * factor + term, d * factor + term
            a, b = a * factor + term, b * factor + term
            c, d = c * factor + term, d * factor + term
            a, b = a * factor + term, b * factor + term
            c, d = c * factor + term, d * factor + term
            a, b = a * factor + term, b * factor + term
            c, d = c * factor + term, d * factor + term
            a, b = a * factor + term, b * factor + term
            c, d = c * factor + term, d * factor + term
            first[j], second[j], third[j], fourth[j] = a, b, c, d


@kernel
def read(values, rounds):
    """Sum the numbers *rounds* times, in four streams, so that no addition waits for another."""
    prefer_wide_vectors()
    quarter = len(values) // 4
    first, second = values[:quarter], values[quarter : 2 * quarter]
    third, fourth = values[2 * quarter : 3 * quarter], values[3 * quarter :]
    a = b = c = d = 0.0
    for _ in range(rounds):
        for i in range(quarter):
            a += first[i]
            b += second[i]
            c += third[i]
            d += fourth[i]
    return a + b + c + d


@kernel
def update(values, factor, rounds):
    """Multiply every number where it lies: one read and one write each, *rounds* times over."""
    prefer_wide_vectors()
    for _ in range(rounds):
        for i in range(len(values)):
            values[i] *= factor


@made_once
def make_activate_all(code: int) -> Any:
    """Make the kernel that fills *out* with the activation of *values*, *rounds* times."""
    value = VALUES[code]

    @kernel
    def activate_all(values, out, rounds):
        prefer_wide_vectors()
        for _ in range(rounds):
            for j in range(len(values)):
                out[j] = value(values[j])

    return activate_all
