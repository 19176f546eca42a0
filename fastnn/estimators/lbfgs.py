"""The loss and its gradient that scikit-learn hands to SciPy's L-BFGS."""

import numpy as np

from fastnn.architecture import Architecture
from fastnn.engines import Piece, Plan, Samples, State
from fastnn.estimators.model import Objective, engine
from fastnn.estimators.solvers import GradientOnly
from fastnn.memory import aligned


class LossAndGradient:
    """Loss and gradient on all samples, with the penalty, as a function of one vector.

    In that vector, as scikit-learn packs it, all weights come before all biases.

    Parameters
    ----------
    architecture : Architecture
    samples : Samples
    objective : Objective
    """

    def __init__(self, architecture: Architecture, samples: Samples, objective: Objective):
        n = len(samples)
        optimizer = GradientOnly()
        plan = Plan(
            batch_size=n,
            optimizer=optimizer,
            scale=objective.scale,
            penalty_per_batch=True,
            divide_by_weights=samples.weights is not None,
        )
        self._trainer = engine().trainer(architecture, samples, plan)
        self._state = State.new(aligned(architecture.n_parameters, architecture.dtype), optimizer)
        self._piece = Piece.of_epochs(np.zeros((1, 1)), np.empty((0, n), np.int64), n)
        self._divisor = objective.reported_divisor
        self._n = n
        numbers = np.arange(architecture.n_parameters)
        #: Where in the flat vector of `fastnn.architecture` each entry of the packed one lies.
        self._places = np.concatenate(
            [
                view.ravel()
                for view in architecture.weight_views(numbers) + architecture.bias_views(numbers)
            ]
        )

    def __call__(self, packed: np.ndarray) -> tuple[float, np.ndarray]:
        """The loss, and its gradient in a new vector."""
        state, piece = self._state, self._piece
        state.parameters[self._places] = packed
        state.moments.fill(0)  # an overflow in the last gradient would stay
        piece.loss_sums.fill(0)
        piece.penalty_sums.fill(0)
        with np.errstate(all="ignore"):
            self._trainer.run(state, piece)
        loss = (piece.loss_sums[0] / self._divisor + piece.penalty_sums[0]) / self._n
        return float(loss), state.moments[0][self._places]
