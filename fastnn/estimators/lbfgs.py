"""The loss and its gradient that scikit-learn hands to SciPy's L-BFGS."""

import numpy as np

from fastnn.architecture import Architecture
from fastnn.engines import Plan, Samples, quiet
from fastnn.estimators.model import Objective, engine
from fastnn.memory import aligned
from fastnn.optimizers import SGD


class LossAndGradient:
    """Loss and gradient on all samples, with the penalty, as a function of one vector.

    In that vector, as scikit-learn packs it, all weights come before all biases.
    """

    def __init__(self, architecture: Architecture, samples: Samples, objective: Objective):
        weighted = samples.weights is not None
        plan = Plan(
            batch_size=len(samples),
            optimizer=SGD(),
            scale=objective.scale,
            penalty_per_batch=True,
            divide_by_weights=weighted,
            weighted=weighted,
            sparse=samples.sparse,
        )
        self._differentiate = engine().differentiator(architecture, plan)
        self._samples = samples
        self._parameters = aligned(architecture.n_parameters, architecture.dtype)
        self._divisor = objective.reported_divisor
        numbers = np.arange(architecture.n_parameters)
        #: Where in the flat vector of `fastnn.architecture` each entry of the packed one lies.
        self._places = np.concatenate(
            [
                view.ravel()
                for view in architecture.weight_views(numbers) + architecture.bias_views(numbers)
            ]
        )

    @quiet
    def __call__(self, packed: np.ndarray) -> tuple[float, np.ndarray]:
        """The loss, and its gradient in a new vector."""
        self._parameters[self._places] = packed
        loss_sum, penalty_sum, gradient = self._differentiate(self._parameters, self._samples)
        loss = (loss_sum / self._divisor + penalty_sum) / len(self._samples)
        return loss, gradient[self._places]
