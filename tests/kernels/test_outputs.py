"""Predictions, losses and gradients of the engine against the NumPy engine."""

import numpy as np
import pytest
from helpers import slow_but
from problems import SMALL, make_problem
from recipes import summed

from fastnn.kernels import engine
from fastnn.reference import vectors

COUNTS = (1, 3, 6) if SMALL else (*range(1, 41), 191, 192, 193, 255, 256, 257, 600)

NETWORKS = {
    "cross-entropy": ([3, 9, 4], "cross_entropy", "relu"),
    "binary": ([2, 4, 3], "binary_cross_entropy", "tanh"),
    "unit by unit": ([1, 9, 1], "half_squared_error", "sigmoid"),
    "deep": ([3, 5, 4, 6, 2], "half_squared_error", "sigmoid"),
    "mixed activations": ([3, 5, 4, 6, 2], "squared_error", ["tanh", "relu", "sigmoid"]),
    "no hidden layer": ([3, 2], "half_squared_error", "tanh"),
    "wide input": ([100, 6, 3], "cross_entropy", "relu"),
}


@pytest.mark.parametrize("network", slow_but(["deep"], NETWORKS))
def test_every_number_of_samples(network):
    for n in COUNTS:
        problem = make_problem(*NETWORKS[network], n=n)
        inputs = (problem.architecture, problem.parameters)
        for got, expected in zip(
            engine.layer_outputs(*inputs, problem.samples.X),
            vectors.layer_outputs(*inputs, problem.samples.X),
            strict=True,
        ):
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)
        predicted = engine.predictor(problem.architecture)(problem.parameters, problem.samples.X)
        np.testing.assert_allclose(predicted, expected, rtol=1e-12, atol=1e-14)
        got, gradient = summed(engine, *inputs, problem.samples)
        expected, expected_gradient = summed(vectors, *inputs, problem.samples)
        assert got == pytest.approx(expected, rel=1e-12)
        evaluate = engine.evaluator(problem.architecture, weighted=False)
        assert evaluate(problem.parameters, problem.samples) == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-11, atol=1e-13)
