"""The contract between the training loop and whatever does the arithmetic.

An engine is a module with the functions of `Engine`: ``reference/loops.py`` (lists and floats),
``reference/vectors.py`` (NumPy) and ``kernels/engine.py`` (jitted). Given the same
architecture, parameters, data and plan, all give the same numbers up to rounding. What reaches
an engine has been validated: arrays are C-contiguous, finite, of the architecture's dtype
and read-only, except for the `State`, which `Trainer.run` changes in place.
"""

import functools
import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol, cast

import numpy as np

from fastnn.architecture import Architecture
from fastnn.contract import Numbers, Piece, Plan, Samples, State, Together
from fastnn.names import find
from fastnn.optimizers import SGD
from fastnn.sparse import AnyRows


class Trainer(Protocol):
    """An engine set up for one architecture and one plan."""

    def run(self, state: State, samples: Samples, piece: Piece) -> None:
        """Run *piece* on *samples*, updating *state* in place and adding to the piece's sums."""

    def run_recorded(
        self, state: State, samples: Samples, piece: Piece, marks: np.ndarray, records: np.ndarray
    ) -> None:
        """Do the same, to the bit, and copy the parameters after some epochs.

        *marks*, shape (k,), int64, are numbers of epochs of *piece*, from 1 on, in ascending order;
        the parameters after so many go into the rows of *records*, shape (k, P).
        """

    def put_back(self) -> None:
        """Nobody uses it any longer: `Engine.trainer` may return it for equal arguments."""


class StopsToRecord:
    """The rest of a `Trainer` for engines to which coming back to Python is nothing."""

    run: Callable[[State, Samples, Piece], None]

    def put_back(self) -> None:
        """See `Trainer`: it is not kept."""

    def run_recorded(
        self, state: State, samples: Samples, piece: Piece, marks: np.ndarray, records: np.ndarray
    ) -> None:
        """See `Trainer`."""
        done = 0
        for mark, record in zip(marks, records, strict=True):
            self.run(state, samples, piece.stretch(done, mark))
            record[:] = state.parameters
            done = mark
        if done < len(piece.rates):
            self.run(state, samples, piece.stretch(done, len(piece.rates)))


class Learner(Protocol):
    """An engine set up to make updates of one state, by one plan, from a single row each.

    What it does is to the bit what a trainer does with the row as its only sample.

    Attributes
    ----------
    learn : callable
        ``learn(x, y, address)`` makes an update from a row, a C-contiguous array (n_in,) of the
        network's dtype, and its target as a number: the output's, or the number of its class. It
        returns the loss before the update. NaN: the state is as before, since something was not
        what it must be, or the update was `tried` and diverged. What is of no type that it knows is
        a TypeError.
    address : float
        To be given to ``learn``, while somebody holds the learner.
    address_of_target : float
        The same where the target is the one last put into place by `put_target`.
    """

    learn: Callable[[Any, Any, float], float]
    address: float
    address_of_target: float

    @property
    def tried(self) -> bool:
        """Whether the last call of ``learn`` had all it needed."""

    def put_target(self, y: np.ndarray) -> None:
        """Put a target, (n_out,), into place, as it is but for a check that it is finite."""

    def set_rates(self, rates: np.ndarray, first: int) -> None:
        """Take the rates, at most 512, of the clock's steps from *first* on.

        A *first* below 0: the one rate of all steps.
        """


#: Takes the parameters and samples, and returns the sum of their losses, times their weights.
Evaluator = Callable[[np.ndarray, Samples], float]


#: Takes the parameters and samples, and returns the sums that training would add to
#: `Piece.loss_sums` and ``penalty_sums``, and a new vector: the gradient, shape (P,).
Differentiator = Callable[[np.ndarray, Samples], tuple[float, float, np.ndarray]]


#: Takes the parameters and X, which alone, if it is dense, need not have been checked for finite
#: values, and returns the outputs (n, n_out), or None if X is not finite, or sums overflow so that
#: an output is NaN.
Predictor = Callable[[np.ndarray, Any], np.ndarray | None]


#: Takes vectors of parameters (K, P) and samples: the losses as an `Evaluator` sums them, (K,).
EachLoss = Callable[[np.ndarray, Samples], np.ndarray]


#: Takes vectors of parameters (K, P), X, and values (K, n, n_out), which it fills with what a
#: `Predictor` returns; it returns whether that was anything, shape (K,).
EachOutput = Callable[[np.ndarray, Any, np.ndarray], np.ndarray]


#: NumPy's generators, new and old.
AnyGenerator = np.random.Generator | np.random.RandomState


class Shuffle(Protocol):
    """Shuffles orders of rows."""

    def __call__(
        self, rngs: Sequence[AnyGenerator | None], orders: np.ndarray, goes_on: bool = False
    ) -> None:
        """Fill orders (epochs, k, n), int64, with random ones of n rows, by k generators.

        Each is ``np.arange(n)`` as the generator's ``shuffle`` leaves it. If it *goes_on*, each is
        that of the epoch before, shuffled; that of the first epoch is shuffled where it is. Where
        there is no generator, orders stay as they are.
        """


class BlockTrainer(Protocol):
    """Networks that are trained together, one in each lane, all by equal plans.

    What may differ: the widths of hidden layers, factors of penalties and dropout, and the numbers
    of plans and pieces: rates, settings, limits, keys.

    Attributes
    ----------
    lanes : int
        At least as many as there are networks.
    """

    lanes: int

    def put(self, numbers: Sequence[Numbers]) -> None:
        """Have the networks' numbers in the lanes, from the first on."""

    def get(self, lanes: Sequence[int], copy: Any = None) -> list[Numbers]:
        """Copies of the numbers of some lanes, by default the present ones."""

    def copy(self) -> Any:
        """A copy of all lanes to come back to."""

    def restore(self, copy: Any) -> None:
        """Go back to it."""

    def vectors(self, copies: Sequence[Any]) -> np.ndarray:
        """The parameters of copies, shape (k, numbers), as the following take them."""

    def parameters_in(self, vectors: np.ndarray, lane: int) -> np.ndarray:
        """Those of the network in a lane, shape (k, P)."""

    def finite(self, vectors: np.ndarray | None = None) -> np.ndarray:
        """Whether all parameters are, by default the present ones, of each lane: (k, lanes)."""

    def run(self, samples: Together, piece: Piece) -> None:
        """Run *piece*: its rates and sums have a last axis of lanes, its order a second one."""

    def outputs(self, vectors: np.ndarray, X: np.ndarray) -> np.ndarray:
        """The outputs, shape (k, lanes, n, n_out)."""

    def losses(self, vectors: np.ndarray, samples: Samples) -> np.ndarray:
        """The sums of losses, shape (k, lanes)."""


class Blocks(Protocol):
    """What an engine offers that trains many networks at once."""

    def pays(self, architecture: Architecture, batch_size: int) -> bool:
        """Whether such networks are better trained together than each alone."""

    def lanes_for(self, architecture: Architecture, batch_size: int, n_networks: int) -> int:
        """How many such networks to train together, where there are *n_networks*."""

    def block(self, members: Sequence[tuple[Architecture, Plan]], lanes: int) -> BlockTrainer:
        """Get ready to train networks together, at most one a lane."""


class Derivatives(Protocol):
    """Derivatives of the outputs (n, n_out) for rows X (n, n_in), by the parameters (P,).

    The arrays are of the network's dtype, and what is not a number stays one. *U* is (n, n_in), a
    direction of the inputs for each row, *V* (n, n_out) factors of the outputs.
    """

    def jacobian(
        self, architecture: Architecture, parameters: np.ndarray, X: np.ndarray
    ) -> np.ndarray:
        """∂output/∂input, (n, n_out, n_in)."""

    def vjp(
        self,
        architecture: Architecture,
        parameters: np.ndarray,
        X: np.ndarray,
        V: np.ndarray,
        into: np.ndarray | None = None,
    ) -> np.ndarray:
        """The gradient of Σ V·outputs with respect to X, (n, n_in).

        That with respect to the parameters is added to *into*, shape (P,).
        """

    def jvp(
        self, architecture: Architecture, parameters: np.ndarray, X: np.ndarray, U: np.ndarray
    ) -> np.ndarray:
        """The derivatives of the outputs in the directions U, (n, n_out)."""

    def hessian(
        self, architecture: Architecture, parameters: np.ndarray, X: np.ndarray
    ) -> np.ndarray:
        """∂²output/∂input², (n, n_out, n_in, n_in)."""

    def hvp(
        self,
        architecture: Architecture,
        parameters: np.ndarray,
        X: np.ndarray,
        U: np.ndarray,
        V: np.ndarray,
    ) -> np.ndarray:
        """The derivative of `vjp` by V in the directions U, (n, n_in)."""


class SinglePredictor(Protocol):
    """An engine set up to predict single rows by one state's parameters.

    Attributes
    ----------
    predict : callable
        ``predict(x, values, address)`` writes the outputs for a row to *values*, both C-contiguous
        and of the network's dtype. False: the row is not what it must be, or an output is NaN. What
        is of no type that it knows is a TypeError.
    address : float
        To be given to ``predict``, while somebody holds this.
    """

    predict: Callable[[Any, np.ndarray, float], bool]
    address: float


class Engine(Protocol):
    """What every engine module offers."""

    #: None: it trains networks one after another.
    blocks: Blocks | None
    #: Whether an exception may end its work anywhere, as Ctrl-C raises one, and do no harm.
    may_be_left: bool
    derivatives: Derivatives

    def shuffler(self, numbers: int) -> Shuffle:
        """Get ready to draw orders of about so many numbers in all."""

    def trainer(self, architecture: Architecture, plan: Plan) -> Trainer:
        """Get ready to train: compile, size the workspace."""

    def learner(self, architecture: Architecture, plan: Plan, state: State) -> Learner | None:
        """Get ready for single rows; None if there is no faster way than a trainer's."""

    def single_predictor(self, architecture: Architecture, state: State) -> SinglePredictor | None:
        """Get ready to predict single rows; None if there is no faster way than a predictor's."""

    def row_seconds(self, architecture: Architecture, plan: Plan) -> float:
        """About what a row takes in training, on a slow machine: before anything was measured."""

    def predictor(self, architecture: Architecture, sparse: bool = False) -> Predictor:
        """Get ready to predict, for arrays or for sparse rows."""

    def layer_outputs(
        self, architecture: Architecture, parameters: np.ndarray, X: AnyRows
    ) -> list[np.ndarray] | None:
        """Outputs of every layer, shapes (n, n_l); None if not all are numbers."""

    def evaluator(
        self, architecture: Architecture, weighted: bool, sparse: bool = False
    ) -> Evaluator:
        """Get ready to compute losses of samples: with weights or not, sparse or not."""

    def each_loss(self, architecture: Architecture, weighted: bool) -> EachLoss:
        """Get ready to do what an evaluator of arrays does, to the bit, for many parameters."""

    def each_output(self, architecture: Architecture, sparse: bool = False) -> EachOutput:
        """Get ready to do what a predictor does, to the bit, for many parameters."""

    def differentiator(self, architecture: Architecture, plan: Plan) -> Differentiator:
        """Get ready for the first three steps of *plan*, all samples as one batch, no dropout."""


def losses_one_by_one(
    evaluator: Callable[[Architecture, bool], Evaluator], architecture: Architecture, weighted: bool
) -> EachLoss:
    """`Engine.each_loss` by an engine's *evaluator*."""
    evaluate = evaluator(architecture, weighted)
    return lambda vectors, samples: np.array([evaluate(vector, samples) for vector in vectors])


def outputs_one_by_one(
    predictor: Callable[[Architecture, bool], Predictor],
    architecture: Architecture,
    sparse: bool = False,
) -> EachOutput:
    """`Engine.each_output` by an engine's *predictor*."""
    predict = predictor(architecture, sparse)

    def fill(vectors: np.ndarray, X: Any, values: np.ndarray) -> np.ndarray:
        well = np.zeros(len(vectors), bool)
        for k, vector in enumerate(vectors):
            predicted = predict(vector, X)
            if predicted is not None:
                values[k], well[k] = predicted, True
        return well

    return fill


_MODULES = {
    "numba": "fastnn.kernels.engine",
    "numpy": "fastnn.reference.vectors",
    "python": "fastnn.reference.loops",
}


#: For plans that nobody trains by.
_NO_RULE = SGD()


def get_engine(name: str) -> Engine:
    """Import the engine called *name*; ValueError or TypeError when there is none."""
    return _imported(find(name, _MODULES, "engine"))


@functools.cache
def _imported(module: str) -> Engine:
    return cast(Engine, importlib.import_module(module))


#: Takes the parameters and samples, and returns what training lowers and its gradient, (P,), both
#: with the penalties.
Objective = Callable[[np.ndarray, Samples], tuple[float, np.ndarray]]


def objective(
    engine: Engine,
    architecture: Architecture,
    n: int,
    weighted: bool,
    sparse: bool = False,
    sloped: bool = False,
) -> Objective:
    """The objective on n samples: `Plan` says what the last three mean."""
    penalised = architecture.l1 or architecture.l2
    alone = replace(architecture, l1=0.0, l2=0.0) if penalised else architecture
    plan = Plan(n, _NO_RULE, weighted=weighted, sparse=sparse, sloped=sloped)
    differentiate = engine.differentiator(alone, plan)

    def loss_and_gradient(parameters: np.ndarray, samples: Samples) -> tuple[float, np.ndarray]:
        loss_sum, _, gradient = differentiate(parameters, samples)
        if penalised:
            gradient += architecture.penalty_gradient(parameters)
        return architecture.mean_loss(loss_sum, n, parameters), gradient

    return loss_and_gradient
