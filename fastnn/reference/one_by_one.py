"""What both engines do with many vectors of parameters: one after another."""

from collections.abc import Callable

import numpy as np

from fastnn.architecture import Architecture
from fastnn.engines import EachLoss, EachOutput, Evaluator, Predictor


def losses_one_by_one(
    evaluator: Callable[[Architecture, bool], Evaluator], architecture: Architecture, weighted: bool
) -> EachLoss:
    """`Engine.each_loss` by an engine's *evaluator*."""
    evaluate = evaluator(architecture, weighted)
    return lambda vectors, samples: np.array([evaluate(vector, samples) for vector in vectors])


def outputs_one_by_one(
    predictor: Callable[[Architecture], Predictor], architecture: Architecture
) -> EachOutput:
    """`Engine.each_output` by an engine's *predictor*."""
    predict = predictor(architecture)

    def outputs(vectors: np.ndarray, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values = np.zeros((len(vectors), len(X), architecture.sizes[-1]), architecture.dtype)
        well = np.zeros(len(vectors), bool)
        for k, vector in enumerate(vectors):
            predicted = predict(vector, X)
            if predicted is not None:
                values[k], well[k] = predicted, True
        return values, well

    return outputs
