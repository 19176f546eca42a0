"""The third document's dot product: a Python loop, a vector, the same loop compiled."""

from bench import contest, machine
from bench.rows import rows, version
from bench.vectors import PAIRS


@rows("dot", "dot product", PAIRS)
def test_dot(benchmark, enter, problem, contestant):
    contest.measure(
        benchmark,
        enter(contestant, "dot", problem),
        problem.expected,
        dtype=problem.dtype,
        contestant=contestant,
        operation="dot",
        size=problem.n,
        units=1,
        threads=machine.threads(),
        version=version(contestant),
    )
