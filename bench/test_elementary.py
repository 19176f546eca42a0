"""exp, sigmoid, tanh, log and softplus of 10,000 numbers: the functions that activations take."""

from bench import contest, machine
from bench.rows import rows, version
from bench.vectors import VALUES


@rows("elementary", "elementary function", VALUES)
def test_elementary(benchmark, enter, problem, contestant):
    contest.measure(
        benchmark,
        enter(contestant, "elementary", problem),
        problem.expected,
        dtype=problem.dtype,
        contestant=contestant,
        operation="elementary",
        size=problem.function,
        units=problem.n,
        threads=machine.threads(),
        version=version(contestant),
    )
