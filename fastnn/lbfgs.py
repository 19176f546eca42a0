"""Training by L-BFGS: SciPy's minimiser on the loss of all samples and its gradient.

The method is L-BFGS-B without bounds (Byrd, Lu, Nocedal and Zhu: A limited memory algorithm for
bound constrained optimization, SIAM J. Sci. Comput. 16, 1995). What it minimises includes the
penalties, weights and label smoothing. An iteration, which counts as an epoch, evaluates loss and
gradient once or a few times.
"""

import time
from typing import Any

import numpy as np

from fastnn.engines import Samples, State, loss_and_gradient
from fastnn.errors import TrainingDivergedError
from fastnn.history import History
from fastnn.interrupts import Interrupted, Interrupts, remember_interrupt
from fastnn.optimizers import LBFGS
from fastnn.progress import TrainingBar
from fastnn.training import Job, takes_long
from fastnn.watching import Watch


class _Ended(Exception):  # noqa: N818  (no error: the way out of SciPy's minimiser)
    """Training ends with the iteration just taken in."""

    def __init__(self, reason: str):
        self.reason = reason
        super().__init__(reason)


class _Run:
    """One call of ``fit``: changes the state's parameters in place, fills the history."""

    def __init__(self, job: Job, settings: LBFGS, state: State, history: History):
        self.job = job
        self.settings = settings
        self.parameters = state.parameters
        self.history = history
        self._plateau = state.clock.plateau  # no schedule has a say here, but `Watch` asks
        self._samples = job.samples.for_loss(job.architecture)
        names = job.scores.names
        self._names = names
        self._scorer = job.scores.ready() if names else None
        self._watch = Watch(job.early_stopping, 1.0, names)
        self._best = self.parameters.copy()
        self._interrupts = Interrupts(listening=False)
        n = len(self._samples)
        self._long = takes_long(job, n, n)  # an evaluation is done in a thread then

    def train(self) -> None:
        """Run until the iterations are used up, or something ends training."""
        self._compile()
        self._started = time.perf_counter()
        self.history.stop_reason = "running"
        self._bar = TrainingBar(self.job.progress, self.job.epochs, len(self._samples))
        try:
            with remember_interrupt() as self._interrupts, self._bar:
                self.history.stop_reason = self._minimise()
        except TrainingDivergedError:
            self.history.stop_reason = "diverged"
            raise
        except BaseException as error:
            interrupted = isinstance(error, KeyboardInterrupt)
            self.history.stop_reason = "interrupted" if interrupted else "error"
            raise
        finally:
            self.history.seconds = time.perf_counter() - self._started
        rule = self.job.early_stopping
        if rule is not None and rule.restore_best and self.history.best_epoch is not None:
            self.parameters[:] = self._best

    def _compile(self) -> None:
        """Compile what computes the gradient, which is not the training's time."""
        few = self._samples
        if len(few) > 1:
            weights = None if few.weights is None else few.weights[:1]
            few = Samples(few.X[:1], few.Y[:1], weights)
        loss_and_gradient(self.job.engine, self.job.architecture, self.parameters, few)

    def _minimise(self) -> str:
        """Run SciPy's minimiser; why it ended."""
        from scipy.optimize import minimize

        epochs = self.job.epochs
        most = self.settings.max_evaluations
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
        if self.history.epochs >= epochs:
            return "completed"
        return "evaluation limit" if result.status == 1 else "no descent"

    def _loss_and_gradient(self, vector: np.ndarray) -> tuple[float, np.ndarray]:
        """What SciPy minimises, in float64."""
        if self._interrupts():
            raise _Ended("interrupted")
        job = self.job
        arguments = (
            job.engine,
            job.architecture,
            vector.astype(job.architecture.dtype),
            self._samples,
        )
        with self._interrupts.breakable():
            if self._long and self._interrupts.listening:
                loss, gradient = self._interrupts.wait_for(loss_and_gradient, *arguments)
            else:
                loss, gradient = loss_and_gradient(*arguments)
        if not (np.isfinite(loss) and np.isfinite(gradient).all()):
            raise self._divergence()
        return loss, gradient.astype(np.float64)

    def _divergence(self) -> TrainingDivergedError:
        error = TrainingDivergedError(self.history.epochs + 1, 1.0)
        error.add_note("L-BFGS has no learning rate: scale X, or begin with optimizer='adam'.")
        return error

    def _take_in(self, intermediate_result: Any) -> None:
        """Take in an iteration that SciPy has ended; SciPy knows the argument by its name."""
        values = {"loss": float(intermediate_result.fun), "learning_rate": 1.0}
        parameters = intermediate_result.x.astype(self.parameters.dtype)
        if self._scorer is not None:
            scores = self._scorer.values(parameters)
            if scores is None:
                raise self._divergence()
            values |= zip(self._names, scores, strict=True)
            if not np.isfinite(values.get("val_loss", 0.0)):
                raise self._divergence()
        self.parameters[:] = parameters
        course = {name: np.array([value]) for name, value in values.items()}
        verdict = self._watch.look(course, 1, self._plateau)
        self.history.append(course, 1)
        self.history.seconds = time.perf_counter() - self._started
        best = self._watch.best_epoch
        if best == self.history.epochs:
            self.history.best_epoch = best
            self._best[:] = self.parameters
        self._bar.show(self.history.epochs, self.history)
        reason = self._call_back() or verdict.reason or self._reason_from_outside()
        if reason is not None:
            raise _Ended(reason)

    def _call_back(self) -> str | None:
        epoch = self.history.epochs
        with self._interrupts.breakable():
            stops = [callback(epoch, self.history.logs()) for callback in self.job.callbacks]
        return "callback" if any(stops) else None

    def _reason_from_outside(self) -> str | None:
        rule = self.job.early_stopping
        if self._interrupts():
            return "interrupted"
        if rule is not None and rule.max_seconds is not None:
            return "time limit" if self.history.seconds >= rule.max_seconds else None
        return None


def check(job: Job) -> None:
    """Refuse what L-BFGS cannot do."""
    if job.architecture.dropout:
        raise ValueError(
            "optimizer='lbfgs' needs a loss without chance, and this network has dropout="
            f"{list(job.architecture.dropout)}"
        )
    if job.architecture.max_norm:
        raise ValueError(
            "optimizer='lbfgs' cannot keep weights within max_norm="
            f"{job.architecture.max_norm:g}; use l2, or another optimizer"
        )


def train(job: Job, settings: LBFGS, state: State, history: History) -> History:
    """Train the parameters of *state* in place, and fill *history*, one value per iteration.

    The loss of an iteration is the one after it.

    Raises
    ------
    TrainingDivergedError
        If a loss or a gradient is no longer finite; the parameters are those of the last
        iteration.
    """
    _Run(job, settings, state, history).train()
    return history
