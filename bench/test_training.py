"""Training: per-sample SGD and other optimisers, full-batch gradient descent, mini-batches."""

from bench.peers import COMPILED
from bench.problems import BY_RULE, FULL_BATCH, LONG, MINI_BATCH, PER_SAMPLE
from bench.rows import rows, run_network


@rows("train", "per-sample SGD", PER_SAMPLE)
def test_per_sample(benchmark, enter, cores, quick, problem, contestant):
    run_network(benchmark, enter, cores, quick, "train", problem, contestant)


@rows("train", "per-sample SGD, 100,000 updates", LONG, COMPILED)
def test_long(benchmark, enter, cores, quick, problem, contestant):
    run_network(benchmark, enter, cores, quick, "train", problem, contestant)


@rows("train", "optimisers, sample by sample", BY_RULE)
def test_by_rule(benchmark, enter, cores, quick, problem, contestant):
    run_network(benchmark, enter, cores, quick, "train", problem, contestant)


@rows("train", "gradient descent", FULL_BATCH)
def test_full_batch(benchmark, enter, cores, quick, problem, contestant):
    run_network(benchmark, enter, cores, quick, "train", problem, contestant)


@rows("train", "mini-batches", MINI_BATCH)
def test_mini_batches(benchmark, enter, cores, quick, problem, contestant):
    run_network(benchmark, enter, cores, quick, "train", problem, contestant)
