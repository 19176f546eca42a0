"""Forward, and forward and backward, with all samples at once and from the same weights."""

from bench.problems import BATCHES
from bench.rows import rows, run_network


@rows("predict", "forward", BATCHES)
def test_forward(benchmark, enter, cores, quick, problem, contestant):
    run_network(benchmark, enter, cores, quick, "predict", problem, contestant)


@rows("gradient", "forward and backward", BATCHES)
def test_backward(benchmark, enter, cores, quick, problem, contestant):
    run_network(benchmark, enter, cores, quick, "gradient", problem, contestant)
