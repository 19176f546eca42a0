"""The epochs of one call of ``fit``: scikit-learn's bookkeeping around an engine.

An engine runs many epochs at once. What scikit-learn does after each of them (count those that
do not improve, print, change the learning rate, stop) is done afterwards, from their losses.
Epochs that are run at once are so few that the first at which training could stop, or its rate
change, is the last of them; so how they are cut changes no bit of the result.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from operator import is_
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastnn import validation
from fastnn.architecture import Architecture
from fastnn.callbacks import bind
from fastnn.contract import Plan, Samples
from fastnn.estimators import solvers
from fastnn.estimators.extras import mean_loss
from fastnn.estimators.model import Model, engine, network_of, objective
from fastnn.estimators.notices import warn
from fastnn.training import cuts
from fastnn.training.interrupts import remember_interrupt


@dataclass(frozen=True)
class Held:
    """The validation data, as scikit-learn scores them; X is None without."""

    X: Any = None
    y: Any = None
    weights: np.ndarray | None = None
    #: Shape (n, n_outputs): y as training takes it.
    targets: Any = None


class Epochs:
    """One call of ``fit`` or ``partial_fit``.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Its attributes change as scikit-learn's do.
    model : Model
        With the estimator's parameters, which training changes in place.
    samples : Samples
    batch_size : int
    held : Held
    incremental : bool
        One epoch for ``partial_fit``.

    Attributes
    ----------
    n_samples : int
    """

    def __init__(
        self,
        estimator: Any,
        model: Model,
        samples: Samples,
        batch_size: int,
        held: Held,
        incremental: bool,
    ):
        self._est = estimator
        self._model = model
        self._samples = samples
        self.n_samples = self._n = len(samples)
        self._batch_size = batch_size
        self._held = held
        self._incremental = incremental
        self._objective = objective(estimator)
        self._optimizer = estimator._optimizer
        self._state = solvers.read_state(self._optimizer, model.architecture, model.parameters)
        architecture = replace(
            model.architecture,
            l2=float(estimator.alpha),
            dropout=validation.dropout(estimator.dropout, len(model.architecture.sizes) - 2),
        )
        plan = self._plan(architecture)
        self._trainer = engine().trainer(architecture, plan)
        pace = cuts.Pace(engine().row_seconds(architecture, plan))
        self._pieces = cuts.Pieces(pace, self._n, batch_size, plan.window)
        self._order = np.arange(self._n, dtype=np.int64)
        self._get_ready_to_shuffle(1 if incremental else estimator.max_iter)
        self._listeners = Listeners(estimator, model)
        self._ended = False
        self._left: tuple[Any, ...] | None = None

    def can_go_on(self, estimator: Any, parameters: tuple[Any, ...]) -> bool:
        """Whether another ``partial_fit`` of as many samples finds everything as the last left it.

        *parameters* are the estimator's, to be the same objects in each call.
        """
        mine = vars(estimator)
        same = self._left is not None and all(map(is_, parameters, self._left))
        return (
            same
            and mine.get("_optimizer") is self._optimizer
            and mine.get("_model") is self._model
            and estimator.t_ == self._seen
            and _remembered(self._optimizer) is self._written
            and self._model.is_of(estimator)
        )

    def leave(self, parameters: tuple[Any, ...]) -> None:
        """Note how a ``partial_fit`` leaves things, for the next one to go on from there."""
        self._left = parameters
        self._seen = self._est.t_
        self._written = _remembered(self._optimizer)

    def go_on(self, samples: Samples) -> None:
        """Another ``partial_fit``, of other samples.

        Raises
        ------
        ValueError
            If a parameter is no longer finite, as in scikit-learn.
        """
        assert self._left is not None
        self._samples, self._ended = samples, False
        self._order[:] = range(self._n)
        self._get_ready_to_shuffle(1)
        self.run()
        self.leave(self._left)
        if not self._state.is_finite():
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large "
                "values and need to be preprocessed."
            )

    def _get_ready_to_shuffle(self, epochs: int) -> None:
        self._shuffle = engine().shuffler(epochs * self._n if self._est.shuffle else 0)

    def _plan(self, architecture: Architecture) -> Plan:
        drops = bool(architecture.dropout)
        return Plan(
            batch_size=self._batch_size,
            optimizer=solvers.settings_of(self._optimizer),
            # Not the same for each call of partial_fit, whose random state may be.
            dropout_key=self._est._random_state.randint(1 << 31) + self._est.t_ if drops else 0,
            scale=self._objective.scale,
            penalty_per_batch=True,
            divide_by_weights=self._samples.weights is not None,
            weighted=self._samples.weights is not None,
            sparse=self._samples.sparse,
        )

    def run(self) -> None:
        """Train until something ends it.

        Raises
        ------
        ZeroDivisionError
            If the weights of a batch sum to zero.
        """
        self._est.n_iter_ = 0
        try:
            # Overflow shows in the losses and the parameters, so it needs no warning.
            with np.errstate(all="ignore"), remember_interrupt() as interrupted:
                while not self._ended:
                    for loss in self._run_epochs(interrupted):
                        self._end_epoch(loss)
                    if interrupted():
                        raise KeyboardInterrupt
        except KeyboardInterrupt:
            warn("Training interrupted by user.")
        finally:
            solvers.write_state(self._state, self._model.architecture, self._optimizer)

    def _run_epochs(self, interrupted: Callable[[], bool]) -> list[float]:
        """Run as many epochs as is sensible, at least one; their losses."""
        while True:
            piece = self._pieces.next_piece(self, self._most_at_once())
            if piece.start == 0:
                self._check_weights(piece.order)
            started = time.perf_counter()
            self._trainer.run(self._state, self._samples, piece)
            self._pieces.took(piece, time.perf_counter() - started)
            if self._pieces.part is None:
                break
            if interrupted():
                raise KeyboardInterrupt
        data = piece.loss_sums / self._objective.reported_divisor
        losses: list[float] = ((data + piece.penalty_sums) / self._n).tolist()
        return losses

    def _most_at_once(self) -> int:
        """How many epochs can be run before the estimator has to look at one of them."""
        est = self._est
        if self._incremental or self._held.X is not None or est.callbacks:
            return 1
        may_end = est.n_iter_no_change + 1 - est._no_improvement_count
        return int(max(1, min(may_end, est.max_iter - est.n_iter_)))

    def rates(self, epochs: int, _updates: int) -> np.ndarray:
        """The learning rates of the next epochs."""
        return solvers.rates(self._optimizer, epochs, self._est.t_, self._n)

    def draw_order(self, epochs: int) -> np.ndarray:
        """The order of the rows in each epoch, for a `fastnn.contract.Piece`.

        Each is the one before, shuffled, as by ``sklearn.utils.shuffle``: that takes the entries at
        shuffled places, which gives the same as to shuffle them where they are.
        """
        if not self._est.shuffle:
            return np.empty((0, self._n), np.int64)
        orders = np.empty((epochs, self._n), np.int64)
        orders[0] = self._order
        self._shuffle([self._est._random_state], orders[:, np.newaxis], goes_on=True)
        self._order[:] = orders[-1]
        # For a full batch the order changes nothing but rounding.
        return orders if self._batch_size < self._n else orders[:0]

    def _check_weights(self, order: np.ndarray) -> None:
        weights = self._samples.weights
        if weights is None or (weights > 0).all():
            return
        in_order = weights[order] if len(order) else weights[np.newaxis]
        starts = np.arange(0, self._n, self._batch_size)
        if (np.add.reduceat(in_order, starts, axis=1) == 0).any():
            raise ZeroDivisionError("Weights sum to zero, can't be normalized")

    def _end_epoch(self, loss: float) -> None:
        """What scikit-learn does after an epoch."""
        est, held = self._est, self._held
        est.n_iter_ += 1
        est.loss_ = loss
        est.t_ += self._n
        est.loss_curve_.append(loss)
        if est.verbose:
            print(f"Iteration {est.n_iter_}, loss = {loss:.8f}")
        if held.X is not None:
            est.validation_loss_curve_.append(self._held_loss())
        stopping = bool(est.early_stopping)
        est._update_no_improvement_count(stopping, held.X, held.y, held.weights)
        self._optimizer.iteration_ends(est.t_)
        stops = est._no_improvement_count > est.n_iter_no_change and self._stop_or_slow_down()
        stops = self._listeners.say_stop(est) or stops
        if not (stops or self._incremental) and est.n_iter_ == est.max_iter:
            warn(
                f"Stochastic Optimizer: Maximum iterations ({est.max_iter}) "
                "reached and the optimization hasn't converged yet.",
                ConvergenceWarning,
            )
        self._ended = stops or self._incremental or est.n_iter_ == est.max_iter

    def _held_loss(self) -> float:
        """The loss on the validation data, as it is reported but without the penalty."""
        architecture, held = self._model.architecture, self._held
        outputs = self._model.outputs_of_any(held.X)
        targets = np.asarray(held.targets, architecture.dtype)
        loss = mean_loss(architecture, outputs, targets, held.weights)
        return loss / self._objective.reported_divisor

    def _stop_or_slow_down(self) -> bool:
        """Whether training stops because nothing improved; otherwise its rate is lower now."""
        est = self._est
        what = "Validation score" if est.early_stopping else "Training loss"
        stops: bool = self._optimizer.trigger_stopping(
            f"{what} did not improve more than tol={est.tol:f} "
            f"for {est.n_iter_no_change} consecutive epochs.",
            est.verbose,
        )
        if not stops:
            est._no_improvement_count = 0
        return stops


def _remembered(optimizer: Any) -> Any:
    """The list of arrays that an optimiser of scikit-learn's keeps."""
    return optimizer.ms if hasattr(optimizer, "ms") else optimizer.velocities


class Listeners:
    """An estimator's callbacks, and the network they are shown."""

    def __init__(self, estimator: Any, model: Model):
        self._model = model
        self._network = network_of(model) if estimator.callbacks else None
        self._callbacks = bind(estimator.callbacks, self._network) if self._network else ()

    def say_stop(self, estimator: Any) -> bool:
        """Call them all at the end of an epoch; True if one of them ends training."""
        if self._network is None:
            return False
        self._network.parameters[:] = self._model.parameters
        logs = {"loss": estimator.loss_}
        if estimator.validation_scores_:
            logs["val_score"] = estimator.validation_scores_[-1]
        if estimator.validation_loss_curve_:
            logs["val_loss"] = estimator.validation_loss_curve_[-1]
        epoch = estimator.n_iter_
        due = [callback for callback in self._callbacks if epoch % callback.every == 0]
        stops = [callback.call(epoch, logs) for callback in due]  # call all
        return any(stops)
