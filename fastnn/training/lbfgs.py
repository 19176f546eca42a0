"""Training by L-BFGS: SciPy's minimiser on the loss of all samples and its gradient.

The method is L-BFGS-B without bounds (Byrd, Lu, Nocedal and Zhu: A limited memory algorithm for
bound constrained optimization, SIAM J. Sci. Comput. 16, 1995). What it minimises includes the
penalties, weights and label smoothing. An iteration, which counts as an epoch, evaluates loss and
gradient once or a few times.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.contract import Samples, State
from fastnn.engines import objective
from fastnn.errors import TrainingDivergedError
from fastnn.history import History
from fastnn.optimizers import LBFGS
from fastnn.training.interrupts import Interrupted
from fastnn.training.job import Job
from fastnn.training.scoring import Scorer
from fastnn.training.session import Session
from fastnn.training.watching import Watch


class _Ended(Exception):  # noqa: N818  (no error: the way out of SciPy's minimiser)
    """Training ends with the iteration just taken in."""

    def __init__(self, reason: str):
        self.reason = reason
        super().__init__(reason)


class _Run:
    """One call of ``fit``: changes the state's parameters in place, fills the history."""

    def __init__(self, job: Job, settings: LBFGS, samples: Samples, state: State):
        self.job = job
        self.settings = settings
        self.parameters = state.parameters
        self._plateau = state.clock.plateau  # schedules have no say here, but `Watch` asks for it
        self._raw = samples
        self._samples = samples.for_loss(job.architecture)
        self._objective = objective(
            job.engine,
            job.architecture,
            len(samples),
            weighted=samples.weights is not None,
            sparse=samples.sparse,
            sloped=samples.dydx is not None,
        )
        self._names = job.scores.names
        self._scorer = Scorer(job.scores) if self._names else None
        self._watch = Watch(job.early_stopping, 1.0, self._names)
        self._best = self.parameters.copy()
        n = len(samples)
        plan = replace(job.plan(samples), batch_size=n)
        self._long = job.takes_long(plan, n)  # an evaluation is in a thread then

    def train(self, session: Session) -> str:
        """Run SciPy's minimiser; why it ended."""
        from scipy.optimize import minimize

        self._session = session
        epochs, most = self.job.epochs or 0, self.settings.max_evaluations
        try:
            result = minimize(
                self._loss_and_gradient,
                self.parameters.astype(np.float64),
                method="L-BFGS-B",
                jac=True,
                callback=self._take_in,
                options={
                    "maxiter": epochs,
                    "maxfun": np.iinfo(np.int32).max if most is None else most,
                    "maxcor": self.settings.memory,
                    "gtol": self.settings.tolerance,
                },
            )
        except _Ended as ended:
            return ended.reason
        except Interrupted:
            return "interrupted"
        if result.success:
            return "converged"
        if session.history.epochs >= epochs:
            return "completed"
        return "evaluation limit" if result.status == 1 else "no descent"

    def _loss_and_gradient(self, vector: np.ndarray) -> tuple[float, np.ndarray]:
        """What SciPy minimises, in float64."""
        interrupts = self._session.interrupts
        if interrupts():
            raise _Ended("interrupted")
        parameters = vector.astype(self.parameters.dtype)
        with interrupts.breakable():
            if self._long and interrupts.listening:
                loss, gradient = interrupts.wait_for(self._objective, parameters, self._samples)
            else:
                loss, gradient = self._objective(parameters, self._samples)
        if not (np.isfinite(loss) and np.isfinite(gradient).all()):
            raise self._divergence()
        return loss, gradient.astype(np.float64)

    def _divergence(self) -> TrainingDivergedError:
        return TrainingDivergedError(self._session.history.epochs + 1, None)

    def _take_in(self, intermediate_result: Any) -> None:
        """Take in an iteration that SciPy has ended; SciPy knows the argument by its name."""
        session, history = self._session, self._session.history
        parameters = intermediate_result.x.astype(self.parameters.dtype)
        values = {"loss": float(intermediate_result.fun), "learning_rate": 1.0}
        if self._scorer is not None:
            scores = self._scorer.values(parameters, self._raw)
            if scores is None:
                raise self._divergence()
            values |= zip(self._names, scores, strict=True)
            if not np.isfinite(values.get("val_loss", 0.0)):
                raise self._divergence()
        self.parameters[:] = parameters
        course = {name: np.array([value]) for name, value in values.items()}
        verdict = self._watch.look(course, 1, self._plateau)
        history.append(course, 1)
        if self.job.recorded_among(history.epochs, history.epochs + 1):
            history.keep([history.epochs], parameters[np.newaxis])
        session.note_time()
        if self._watch.best_epoch == history.epochs:
            history.best_epoch = history.epochs
            self._best[:] = self.parameters
        session.show()
        reason = session.call_back() or verdict.reason or session.reason_from_outside()
        if reason is not None:
            raise _Ended(reason)

    def restore_best(self) -> None:
        """Go back to the best iteration, if that is asked for."""
        rule = self.job.early_stopping
        if rule is not None and rule.restore_best and self._session.history.best_epoch is not None:
            self.parameters[:] = self._best


def check(architecture: Architecture) -> None:
    """Refuse what L-BFGS cannot do."""
    if architecture.dropout:
        raise ValueError(
            "optimizer='lbfgs' needs a loss without chance, and this network has dropout="
            f"{list(architecture.dropout)}"
        )
    if architecture.max_norm:
        raise ValueError(
            "optimizer='lbfgs' cannot keep weights within max_norm="
            f"{architecture.max_norm:g}; use l2, or another optimizer"
        )


def train(job: Job, settings: LBFGS, samples: Samples, state: State, history: History) -> History:
    """Train the parameters of *state* in place, and fill *history*, one value per iteration.

    The loss of an iteration is the one after it.

    Raises
    ------
    TrainingDivergedError
        If a loss or a gradient is no longer finite; the parameters are those of the last
        iteration.
    """
    run = _Run(job, settings, samples, state)
    with Session.open(job, history, len(samples)) as session:
        history.stop_reason = run.train(session)
    run.restore_best()
    return history
