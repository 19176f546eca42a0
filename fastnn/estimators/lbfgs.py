"""SciPy's L-BFGS as scikit-learn calls it, with a list of the losses."""

from itertools import pairwise
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult, minimize
from sklearn.utils import fixes

from fastnn.architecture import Architecture
from fastnn.contract import Plan, Samples, quiet
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


def packing(estimator: Any) -> tuple[list[Any], list[Any]]:
    """Where weights and biases lie in the packed vector, as scikit-learn keeps it."""
    shapes = [weights.shape for weights in estimator.coefs_]
    ends = np.cumsum([0, *(n_in * n_out for n_in, n_out in shapes)]).tolist()
    weights = [(*ends[l : l + 2], shape) for l, shape in enumerate(shapes)]
    bounds = np.cumsum([ends[-1], *(n_out for _, n_out in shapes)]).tolist()
    return weights, list(pairwise(bounds))


def minimise(
    loss_and_gradient: LossAndGradient, estimator: Any
) -> tuple[OptimizeResult, list[float]]:
    """What SciPy finds from the estimator's parameters on, and the loss after each iteration."""
    losses: list[float] = []

    def note(intermediate_result: OptimizeResult) -> None:
        losses.append(float(intermediate_result.fun))

    # Newer SciPy prints nothing and warns when it is asked to.
    printing = getattr(fixes, "_get_additional_lbfgs_options_dict", lambda key, value: {key: value})
    result = minimize(
        loss_and_gradient,
        np.concatenate([a.ravel() for a in (*estimator.coefs_, *estimator.intercepts_)]),
        method="L-BFGS-B",
        jac=True,
        callback=note,
        options={
            "maxfun": estimator.max_fun,
            "maxiter": estimator.max_iter,
            "gtol": estimator.tol,
            **printing("iprint", 1 if estimator.verbose else -1),
        },
    )
    return result, losses
