"""Prediction, called from Python: one sample, and 10,000."""

from bench.problems import PREDICT_MANY, PREDICT_ONE
from bench.rows import rows, run_network


@rows("predict", "predict one sample", PREDICT_ONE)
def test_predict_one(benchmark, enter, cores, quick, problem, contestant):
    run_network(benchmark, enter, cores, quick, "predict", problem, contestant)


@rows("predict", "predict 10,000 samples", PREDICT_MANY)
def test_predict_many(benchmark, enter, cores, quick, problem, contestant):
    run_network(benchmark, enter, cores, quick, "predict", problem, contestant)
