"""The network that a user holds: checks input, keeps the parameters, hands work to an engine."""

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy import empty, ndarray

from fastnn import validation
from fastnn.architecture import Architecture, architecture_of
from fastnn.arrays import is_ready
from fastnn.callbacks import Callback
from fastnn.calls import guided
from fastnn.clock import Clock
from fastnn.contract import Numbers, Plan, Samples, State, quiet
from fastnn.derivatives import Differentiable
from fastnn.engines import Objective, Predictor, get_engine, objective
from fastnn.errors import TrainingDivergedError
from fastnn.files import write
from fastnn.history import History
from fastnn.initializers import start_parameters
from fastnn.inputs import Inputs
from fastnn.memory import frozen, memory_for
from fastnn.metrics import Function, get_metrics, usual_metric
from fastnn.optimizers import LBFGS, SGD, Optimizer, get_optimizer
from fastnn.pictures import Pictured
from fastnn.random_state import dropout_key
from fastnn.record import Record
from fastnn.schedules import Schedule, same
from fastnn.sparse import AnyRows, SparseRows
from fastnn.stopping import EarlyStopping
from fastnn.training import lbfgs, run, streams
from fastnn.training.job import Job
from fastnn.training.scoring import Measure
from fastnn.training.streams import Chunks
from fastnn.training.updates import (
    NO_NUMBER,
    NO_PREDICTION,
    NO_UPDATE,
    AnyUpdater,
    QuickPrediction,
    QuickUpdate,
    new_updater,
)
from fastnn.views import Views

#: What a network was made with stays.
_MADE_WITH = "it is what the network was made with; make another with fastnn.Network(...)"
#: Attributes that nobody may replace, and what to do instead.
_HOW_TO_CHANGE = {
    "parameters": "write into it, net.parameters[:] = vector, or net.set_parameters(vector)",
    "weights": "write into a layer's view, net.weights[0][:] = W",
    "biases": "write into a layer's view, net.biases[0][:] = b",
    **dict.fromkeys(
        ("layer_sizes", "activation", "output_activation", "loss", "initializer", "n_parameters",
         "n_layers", "dtype", "engine"),
        _MADE_WITH,
    ),
}  # fmt: skip

if TYPE_CHECKING:
    from fastnn.jit import CFunction
    from fastnn.kernels.compiled import Compiled

#: The rule of networks that nobody has trained yet.
_PLAIN = SGD()
#: Parameters of a network up to which `predict` of a row keeps the GIL: for some microseconds.
MOST_WITH_GIL = 20_000
#: Where a schedule begins; read only.
_BEGINNING = Clock()


class Network(Differentiable, Pictured):
    """A fully connected network for small problems.

    Parameters
    ----------
    layer_sizes : sequence of int
        Number of inputs, units of each hidden layer, outputs: ``[1, 128, 1]``. Two numbers make a
        network without hidden layers.
    activation : str or sequence of str
        Of the hidden layers: one name for all or one per hidden layer. ``"identity"`` (or
        ``"linear"``), ``"sigmoid"`` (or ``"logistic"``), ``"tanh"``, ``"relu"``,
        ``"leaky_relu"`` (slope 0.01), ``"elu"``, ``"selu"``, ``"softplus"``, ``"silu"`` (or
        ``"swish"``), ``"gelu"`` (with the error function), ``"hard_tanh"`` (or ``"hardtanh"``).
    output_activation : str, optional
        One of these, ``"softmax"`` or ``"exp"``. By default the one the loss is made for:
        ``"sigmoid"`` for binary cross-entropy, ``"softmax"`` for cross-entropy, ``"exp"`` for
        poisson, else ``"identity"``. These three losses take no other, and softmax needs
        cross-entropy.
    loss : str
        Of one sample with m outputs ŷ and targets y, d = ŷ - y:

        * ``"half_squared_error"``: ½ Σ d²
        * ``"squared_error"``: (1/m) Σ d²
        * ``"absolute_error"``: (1/m) Σ |d|
        * ``"huber"``: (1/m) Σ (½ d² if |d| < 1 else |d| - ½)
        * ``"binary_cross_entropy"``: (1/m) Σ -y log ŷ - (1 - y) log(1 - ŷ); y from 0 to 1
        * ``"cross_entropy"``: -Σ y log ŷ; class numbers from 0, or rows that sum to 1
        * ``"poisson"``: (1/m) Σ ŷ - y log ŷ + y log y - y; y at least 0
        * ``"hinge"``: (1/m) Σ max(0, 1 - y ŷ); y of -1 and 1, or of 0 and 1
        * ``"gaussian_nll"``, for m targets and 2m outputs, the means μ and then the logarithms s
          of the variances: (1/m) Σ ½ (s + (y - μ)² / exp(s)); the constant ½ log 2π is left out
        * ``"quantile"``: (1/m) Σ max(q (y - ŷ), (q - 1) (y - ŷ)); see *quantiles*

        The cross-entropies and poisson are computed from the weighted sums, so they never take
        the logarithm of an output that is 0.
    missing : {"raise", "ignore"}
        What becomes of targets that are NaN. With "ignore" there is no target for that output of
        that sample: its part of the loss is 0, and so is the gradient; m and the number of samples
        count it all the same. Metrics with names leave such targets out, and are the mean over
        outputs. Not with ``"cross_entropy"``, ``"gaussian_nll"`` and ``"quantile"``.
    reduction : {"mean", "sum"}
        Over the samples of a batch, for the loss and its gradient alike.
    bias : bool
        Whether the layers have biases.
    initializer : str
        Start weights: ``"glorot_uniform"``, ``"glorot_normal"``, ``"he_uniform"``,
        ``"he_normal"``, ``"uniform"`` (±1/√n_in), ``"zeros"``. Biases start at zero.
    l1, l2 : float
        Penalty Σ l1 |w| + ½ l2 w² over all weights, not biases: a part of the loss wherever the
        loss is given, and of its gradient.
    max_norm : float, optional
        The most that the weights into one unit may measure, √(Σ w²), after an update.
    dropout : float or sequence of float
        The fraction of hidden units dropped in training, at least 0 and below 1: one rate for
        all hidden layers or one each. The others' outputs are divided by 1 - rate.
    label_smoothing : float
        For the cross-entropies, at least 0 and below 1: the loss everywhere is that of the targets
        (1 - s) y + s / n_outputs with cross-entropy, (1 - s) y + s / 2 with binary cross-entropy.
        Metrics take the targets as they are.
    quantiles : sequence of float, optional
        For the loss ``"quantile"``, by default [0.5], the median: numbers q between 0 and 1, the
        smaller ones first. There is an output for each quantile of each target: those of
        the first quantile for all targets, then of the second, and so on.
    seed : int or numpy.random.Generator, optional
        For the start weights, for the shuffling in ``fit`` and for dropout.
    dtype : {"float64", "float32"}
    engine : {"numba", "numpy", "python"}
        Who does the arithmetic. All give the same numbers up to rounding.

    Attributes
    ----------
    parameters : ndarray, shape (n_parameters,)
        All weights and biases in one vector. Writing to it changes the network.
    weights, biases : tuple of ndarray
        Views into *parameters*, one for each layer, of shapes (n_in, n_out) and (n_out,). Write
        into one to change its layer: ``net.weights[0][:] = W``. With ``bias=False``, *biases* is
        empty.
    history : History or None
        Of the last ``fit`` or ``fit_stream``, also while it runs; None before the first. After a
        `TrainingDivergedError`, too, it has the curve up to the last good epoch.
    layer_sizes : tuple of int
    activation : str or tuple of str
        One name if all hidden layers have the same, else one per hidden layer.
    output_activation, loss, engine : str
    dtype : numpy.dtype
        As they were given, with the defaults filled in.
    initializer : str or None
        How the start weights were drawn; None for a network of another system.
    n_parameters : int
        Length of *parameters*.
    n_layers : int
        Layers with weights: the hidden ones and the output layer.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what was expected.

    Examples
    --------
    >>> import fastnn
    >>> net = fastnn.Network([2, 8, 1], activation="tanh", loss="binary_cross_entropy", seed=1)
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> history = net.fit(X, y, epochs=2000, batch_size=1, learning_rate=0.2)
    >>> net.predict(X)[:, 0].round()
    array([0., 1., 1., 0.])
    """

    #: The history of the last ``fit``, also while it runs; None before the first.
    history: History | None = None
    #: Of the class, so that constructors do not set them, and for what was pickled by versions that
    #: did not know them.
    _in_training = False
    _predictor: Predictor | None = None
    #: Of the last `partial_fit` or `learn_one`, which asked for:
    _updater: AnyUpdater | None = None
    _asked: tuple[Any, Any] = (None, None)
    _initializer: str | None = None
    #: For how many samples, and the objective on so many.
    _objective: tuple[int, Objective] | None = None
    #: What `evaluate` asks.
    _measure: Measure | None = None
    _quick_update: QuickUpdate = NO_UPDATE
    _quick_prediction: QuickPrediction = NO_PREDICTION

    @quiet
    @guided
    def __init__(
        self,
        layer_sizes: Sequence[int],
        *,
        activation: str | Sequence[str] = "sigmoid",
        output_activation: str | None = None,
        loss: str = "half_squared_error",
        missing: str = "raise",
        reduction: str = "mean",
        bias: bool = True,
        initializer: str = "glorot_uniform",
        l1: float = 0.0,
        l2: float = 0.0,
        max_norm: float | None = None,
        dropout: float | Sequence[float] = 0.0,
        label_smoothing: float = 0.0,
        quantiles: Sequence[float] | None = None,
        seed: int | np.random.Generator | None = None,
        dtype: Any = "float64",
        engine: str = "numba",
    ):
        sizes = validation.layer_sizes(layer_sizes)
        self._architecture = architecture_of(
            sizes,
            activation=activation,
            output_activation=output_activation,
            loss=loss,
            missing=missing,
            reduction=reduction,
            bias=bias,
            dtype=dtype,
            l1=l1,
            l2=l2,
            max_norm=max_norm,
            dropout=dropout,
            label_smoothing=label_smoothing,
            quantiles=quantiles,
        )
        self._inputs = Inputs(self._architecture)
        get_engine(engine)
        self._engine_name = engine
        self._initializer: str | None = initializer
        self._rng = validation.generator(seed)
        self._dropout_key = dropout_key(self._rng) if self._architecture.dropout else 0
        parameters = start_parameters(self._architecture, initializer, self._rng)
        self._optimizer: Optimizer = _PLAIN
        self._state = State.new(parameters, self._optimizer)

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled and copied: everything but what is made ready."""
        state = {**self.__dict__, "_predictor": None, "_updater": None, "_in_training": False}
        for name in ("_objective", "_measure", "_quick_update", "_quick_prediction"):
            state.pop(name, None)
        return state

    def __setattr__(self, name: str, value: Any) -> None:
        """Set what may be set; ``net.parameters *= 2`` is done already when it comes here."""
        if name not in _HOW_TO_CHANGE:
            object.__setattr__(self, name, value)
        elif value is not getattr(self, name):
            raise AttributeError(f"net.{name} cannot be replaced: {_HOW_TO_CHANGE[name]}")

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Number of inputs, of units in each hidden layer, and of outputs."""
        return self._architecture.sizes

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """dtype of the parameters and of all that is computed."""
        return self._architecture.dtype

    @property
    def engine(self) -> str:
        """The name of the engine."""
        return self._engine_name

    @property
    def activation(self) -> str | tuple[str, ...]:
        """Of the hidden layers: one name if all have the same, else one each."""
        hidden = tuple(activation.name for activation in self._architecture.activations[:-1])
        return hidden[0] if len(set(hidden)) == 1 else hidden

    @property
    def output_activation(self) -> str:
        """The name of the last layer's activation."""
        return self._architecture.activations[-1].name

    @property
    def loss(self) -> str:
        """The name of the loss."""
        return self._architecture.loss.name

    @property
    def initializer(self) -> str | None:
        """How the start weights were drawn; None for a network of another system."""
        return self._initializer

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases."""
        return self._architecture.n_parameters

    @property
    def n_layers(self) -> int:
        """Number of layers with weights: the hidden ones and the output layer."""
        return len(self._architecture.sizes) - 1

    @property
    def _blueprint(self) -> tuple[Architecture, str, int]:
        """The architecture, the engine's name, and the key of dropout's random numbers."""
        return self._architecture, self._engine_name, self._dropout_key

    @property
    def parameters(self) -> np.ndarray:
        """The flat parameter vector itself: writing to it changes the network."""
        return self._state.parameters

    @property
    def weights(self) -> tuple[np.ndarray, ...]:
        """Views (n_in, n_out) of the weights into the parameter vector, one per layer.

        To change a layer, write into its view: ``net.weights[0][:] = W``.
        """
        return Views(self._architecture.weight_views(self.parameters))

    @property
    def biases(self) -> tuple[np.ndarray, ...]:
        """Views (n_out,) of the biases into the parameter vector; empty with ``bias=False``."""
        return Views(self._architecture.bias_views(self.parameters))

    @quiet
    def set_parameters(self, vector: Any) -> Self:
        """Copy *vector*, shape (n_parameters,), into the network's parameters.

        Raises
        ------
        ValueError, TypeError
            If its length is wrong or a number in it is not finite; nothing is changed then.
        """
        architecture = self._architecture
        self.parameters[:] = validation.parameter_vector(
            vector, architecture.n_parameters, architecture.dtype
        )
        return self

    @quiet
    @guided
    def fit(
        self,
        X: Any,
        y: Any,
        *,
        epochs: int = 100,
        batch_size: int | None = 32,
        learning_rate: float | Schedule | None = None,
        optimizer: str | Optimizer | LBFGS = "sgd",
        shuffle: bool = True,
        validation_data: tuple[Any, ...] | None = None,
        validation_split: float | None = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | str | None = None,
        dydx: Any = None,
        dydx_weight: float = 1.0,
        metrics: Iterable[str | Function] = (),
        early_stopping: EarlyStopping | None = None,
        callbacks: Iterable[Callback] = (),
        progress: bool = False,
        record: int | None = None,
    ) -> History:
        """Train from the present parameters on.

        Parameters
        ----------
        X : array-like, shape (n, n_inputs)
            Anything NumPy can read as numbers. Arrays of the network's dtype in C order,
            memory-mapped ones among them, are not copied. SciPy's sparse matrices and arrays are
            never made dense, see the notes; all methods but those for derivatives take them.
        y : array-like, shape (n, n_outputs), or (n,)
            One-dimensional for one output; what `predict` returns has two dimensions even then.
            With ``"gaussian_nll"`` and ``"quantile"`` it is (n, n_targets).
            With ``"cross_entropy"`` also class numbers from 0 to n_outputs - 1; encode text labels
            first. What else a loss asks for: see `Network`.
        epochs : int
            How often to go through all samples. Few are enough for many samples, small problems
            take thousands.
        batch_size : int, optional
            Samples per update; 1 is per-sample SGD, None one update per epoch from all samples.
        learning_rate : float or Schedule, optional
            By default the optimiser's own: 0.01 for SGD. A schedule such as
            ``fastnn.CosineDecay(0.1, decay_steps=100)`` begins with the first ``fit`` that is given
            it, and goes on in the next one that is given an equal one. One that has run out
            stays at its last rate: `reset_optimizer` begins it again.
        optimizer : {"sgd", "rmsprop", "adagrad", "adam", "adamw", "lbfgs"} or object
            A name, or an object such as ``fastnn.Adam(beta_1=0.8)``. A ``fit`` that names none
            uses plain SGD, whatever the last one used. What an optimiser remembers is kept for
            the next ``fit`` with the same rule (Adam and AdamW share one; SGD with and without
            momentum do not); any other, L-BFGS included, begins anew. "lbfgs" or a
            ``fastnn.LBFGS`` takes all samples at once, whatever *batch_size* and *shuffle* say;
            an epoch is then an iteration, and its loss the one after it.
        shuffle : bool
            Take the samples in a new random order in each epoch.
        validation_data : tuple (X, y) or (X, y, sample_weight), optional
            Its loss after each epoch goes into ``history.val_loss``.
        validation_split : float, optional
            Between 0 and 1: instead of *validation_data*, that part of the samples, taken from
            the end before any shuffling, as Keras does. Samples sorted by class must be
            shuffled before: there is a warning.
        sample_weight : array-like, shape (n,), optional
            At least 0, and not all 0: each sample's loss and gradient are multiplied by its weight.
            With reduction "mean", sums over a batch are still divided by the number of its
            samples, as in Keras.
        class_weight : dict or "balanced", optional
            For cross-entropy and for binary cross-entropy with one output: a weight for each
            class number, 1 for classes left out. "balanced" gives all classes that occur the same
            total weight: n / (number of classes · samples of the class). Multiplies
            *sample_weight*.
        dydx : array-like, shape (n, n_outputs, n_inputs), optional
            Derivatives of the targets with respect to the inputs, to learn from as well: the loss
            is then that of the outputs plus *dydx_weight* times the mean squared error of
            ``jacobian(X)``, over all its numbers. (Each sample's own is in its loss: with reduction
            "sum" these are summed over the samples, and weights are for both.) For networks
            without dropout of the activations identity, sigmoid, tanh, elu, softplus, silu and
            gelu, and losses with one output for each target. The losses in the history have
            it in them, those of validation data have not.
        dydx_weight : float
            Above 0.
        metrics : list of str or function
            ``"accuracy"``, ``"r2"``, ``"mean_absolute_error"``, ``"mean_squared_error"``,
            ``"auc"``, or functions f(targets, outputs) -> float of arrays of shape
            (n, n_outputs); class numbers have become one-hot rows. With ``"gaussian_nll"`` the
            names are of the means, with ``"quantile"`` of the middle quantile; functions get all
            outputs. After each epoch they are
            computed on the validation data and go into ``history.metrics["val_accuracy"]``;
            without validation data on all the training data, into
            ``history.metrics["accuracy"]``. Names are computed for many epochs at once; functions
            take time as callbacks do.
        early_stopping : EarlyStopping, optional
        callbacks : list of objects
            Each object's ``on_epoch_end(network, epoch, logs)`` is called after each epoch; True
            ends training. See `fastnn.Checkpoint`. An exception in one ends ``fit``; the
            network and its ``history`` are those of that epoch. The engine comes back to Python
            for them, which on a few samples takes longer than an epoch: one with an attribute
            ``every = k`` is called after every k-th epoch only. ``fastnn.Call(function, every=k)``
            makes one of a function.
        progress : bool
            Show a progress bar.
        record : int, optional
            Keep the parameters after every so many epochs in ``history.parameters``, and in
            ``history.weights(layer)``: an array, to draw how a network learns. It takes hardly
            any time; a callback would take much, and ``net.weights`` are views that change.

        Returns
        -------
        History
            Losses per epoch, seconds, and why training ended. Ctrl-C ends training, keeps the
            parameters reached, and gives ``history.stop_reason == "interrupted"``.

        Raises
        ------
        ValueError, TypeError
            Naming the argument, what came and what was expected; the network is unchanged.
        TrainingDivergedError
            If the loss or a parameter is no longer finite. The network keeps the last finite
            parameters.
        RuntimeError
            If the network is being trained already: in a callback of its own ``fit``, train a copy.

        Notes
        -----
        Any exception before the first epoch is complete, by Ctrl-C while something compiles for
        one, leaves the network as it was.

        What a kernel works in, with copies of some samples, is kept for the next ``fit``, if it is
        at most 4 MB.

        Sparse X: CSR of the network's dtype is taken as it is, but for column numbers of 64 bits;
        other formats are converted once. Duplicates, unsorted columns and explicit zeros do not
        matter. The result is that of dense X, to rounding. What an update costs depends on what
        it does to weights out of inputs that do not occur in the batch, whose gradient is 0:

        * nothing, with plain SGD and Adagrad without penalties: they are not looked at;
        * what is linear in them, with momentum, RMSprop, *weight_decay* of SGD and *l2* with SGD:
          they are caught up with when they occur, and at the end;
        * anything else, with Adam and AdamW, *l1*, *max_norm*, *l2* beside clipping or with another
          rule than SGD: each update goes through all weights, as for dense X.
        """
        samples, held_out = self._inputs.split(
            self._inputs.with_dydx(self._inputs.samples(X, y, sample_weight), dydx, dydx_weight),
            self._inputs.held_out(validation_data),
            validation_split,
        )
        samples = self._inputs.weigh_classes(samples, class_weight)
        job = Job.asked(
            self,
            held_out,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            optimizer=optimizer,
            shuffle=shuffle,
            metrics=metrics,
            early_stopping=early_stopping,
            callbacks=callbacks,
            progress=progress,
            record=record,
        )
        validation.finite_parameters(self.parameters)
        return self._train(job, samples)

    def _train(self, job: Job, samples: Samples) -> History:
        with self._training():
            if job.lbfgs is not None:
                return self._minimise(job, job.lbfgs, samples)
            self.history = History()
            state = self._state_for(job.optimizer)
            return run.train(job, samples, state, self._rng, self.history)

    @quiet
    @guided
    def fit_stream(
        self,
        chunks: Chunks,
        *,
        epochs: int = 1,
        batch_size: int | None = 32,
        learning_rate: float | Schedule | None = None,
        optimizer: str | Optimizer = "sgd",
        shuffle: bool = True,
        validation_data: tuple[Any, ...] | None = None,
        class_weight: Mapping[int, float] | None = None,
        metrics: Iterable[str | Function] = (),
        early_stopping: EarlyStopping | None = None,
        callbacks: Iterable[Callback] = (),
        progress: bool = False,
        record: int | None = None,
    ) -> History:
        """Train on chunks of samples as they come, in the memory of one chunk.

        Each chunk counts as an epoch: for the history, for schedules, for the order of its
        samples. With ``shuffle=False`` and chunks that are whole batches, with ``batch_size=1`` of
        a multiple of 64 samples, the parameters are those of one epoch of `fit` on all the
        samples, to the bit; to rounding, where weights are caught up with for sparse X.

        Parameters
        ----------
        chunks : iterable of (X, y) or (X, y, sample_weight), or function that returns one
            May be endless: Ctrl-C ends training. Each part is as in `fit`.
        epochs : int
            How often to go through the chunks. For more than once they must be a list or the like,
            or a function that returns a new iterator each time.
        batch_size : int, optional
            Samples per update, within a chunk; None for one update per chunk.
        learning_rate, optimizer
            As in `fit`, except for L-BFGS.
        shuffle : bool
            Take the samples of each chunk in a random order.
        validation_data : tuple (X, y) or (X, y, sample_weight), optional
            As in `fit`; its loss is computed after each chunk.
        class_weight : dict, optional
            As in `fit`; "balanced" would need all samples.
        metrics : list of str or function
            As in `fit`: on the validation data, or without them on each chunk.
        early_stopping, callbacks
            As in `fit`, after each chunk.
        progress : bool
            Show a progress bar, with samples per second.
        record : int, optional
            As in `fit`: after every so many chunks.

        Returns
        -------
        History
            With one entry for each chunk, as for an epoch of `fit`.

        Raises
        ------
        ValueError, TypeError
            Naming the argument or the number of the chunk, counted from 1. What was learned from
            the chunks before stays.
        TrainingDivergedError
            As in `fit`, with the number of the chunk as its epoch; the network is that of
            before the chunk.
        RuntimeError
            As in `fit`.
        """
        job = Job.asked(
            self,
            self._inputs.held_out(validation_data),
            epochs=epochs,
            batch_size=batch_size,
            optimizer=get_optimizer(optimizer, learning_rate),  # which refuses L-BFGS
            shuffle=shuffle,
            metrics=metrics,
            early_stopping=early_stopping,
            callbacks=callbacks,
            progress=progress,
            record=record,
        )
        n_chunks = streams.count(chunks)
        class_weight = self._inputs.class_weight_for_chunks(class_weight)
        job = replace(job, epochs=None if n_chunks is None else epochs * n_chunks)
        every_chunk = streams.passes(chunks, epochs)
        validation.finite_parameters(self.parameters)
        with self._training():
            self.history = History()
            return streams.train(
                job,
                self._inputs.chunks(every_chunk, class_weight),
                self._state_for(job.optimizer),
                self._rng,
                self.history,
            )

    @quiet
    @guided
    def partial_fit(
        self,
        X: Any,
        y: Any,
        *,
        learning_rate: float | Schedule | None = None,
        optimizer: str | Optimizer | None = None,
        sample_weight: Any = None,
    ) -> float:
        """Make one update from all the given samples: often a single one, of a stream.

        Parameters
        ----------
        X, y : array-like
            As in `fit`; a single sample is ``X`` of shape (1, n_inputs). Fastest are arrays of the
            network's dtype, with y of shape (n, n_outputs), and as many samples in each call.
        learning_rate, optimizer
            As in `fit`, except for L-BFGS. By default the optimiser of the last update goes on,
            with its learning rate; a new network has SGD. A call is an update, and no epoch: for
            a rate that falls with each call, give every call the same schedule with
            ``per="update"``. Another number in each call works too, and takes a little longer.
        sample_weight : array-like, shape (n,), optional
            As in `fit`.

        Returns
        -------
        float
            The loss on the samples before the update.

        Raises
        ------
        ValueError, TypeError
            Naming the argument, what came and what was expected; the network is unchanged.
        TrainingDivergedError
            If the loss or a parameter is no longer finite, with the number of the update as its
            epoch; the network is that of before the update.
        RuntimeError
            If the network is being trained already, by its own ``fit`` or in another thread.

        Examples
        --------
        >>> import fastnn
        >>> import numpy as np
        >>> net = fastnn.Network([1, 1], seed=0)
        >>> for x in 100 * [0.0, 1.0]:
        ...     X, y = np.array([[x]]), np.array([[3 * x + 1]])
        ...     loss = net.partial_fit(X, y, learning_rate=0.5)
        >>> net.predict([[0], [1]]).round(3).ravel()
        array([1., 4.])
        """
        updater = self._same_updater(optimizer, learning_rate)
        if updater is not None and sample_weight is None:
            loss = updater.quick(X, y)
            if loss == loss:
                return loss
        samples = self._inputs.samples(X, y, sample_weight)
        return self._update(updater, samples, optimizer, learning_rate)

    def learn_one(
        self,
        x: Any,
        y: Any,
        learning_rate: float | Schedule | None = None,
        optimizer: str | Optimizer | None = None,
    ) -> float:
        """Make one update from a single sample: ``partial_fit([x], [y])``, to the bit.

        It takes about a microsecond for a small network if x is an array of the network's dtype, y
        a number, and the other arguments are those of the call before.

        Parameters
        ----------
        x : array-like, shape (n_inputs,)
        y : number, or array-like of shape (n_outputs,)
            A number for one output, or the number of a class.
        learning_rate, optimizer
            As in `partial_fit`.

        Returns
        -------
        float
            The loss on the sample before the update.

        Raises
        ------
        ValueError, TypeError
            Naming the argument, what came and what was expected; the network is unchanged.
        TrainingDivergedError, RuntimeError
            As in `partial_fit`.

        Examples
        --------
        >>> import fastnn
        >>> import numpy as np
        >>> net = fastnn.Network([1, 1], seed=0)
        >>> for x in 100 * [0.0, 1.0]:
        ...     loss = net.learn_one(np.array([x]), 3 * x + 1, learning_rate=0.5)
        >>> net.predict_one(np.array([1.0])).round(3)
        array([4.])
        """
        learn, address, rate, rule, dtype, _held = self._quick_update
        # numba would take a masked array for a plain one.
        well = learning_rate is rate and optimizer is rule and type(x) is ndarray
        if well and x.dtype == dtype:
            try:
                loss: float = learn(x, y, address)
                if loss == loss:  # no NaN
                    return loss
            except NO_NUMBER:
                pass  # of a type that it does not know
        return self._learn_one(x, y, optimizer, learning_rate)

    @quiet
    def _learn_one(self, x: Any, y: Any, optimizer: Any, learning_rate: Any) -> float:
        """`learn_one` with all checks."""
        updater = self._same_updater(optimizer, learning_rate)
        if updater is not None:
            loss = updater.learn(x, y)
            if loss == loss:
                return loss
        return self._update(updater, self._inputs.sample(x, y), optimizer, learning_rate)

    def _same_updater(self, optimizer: Any, learning_rate: Any) -> AnyUpdater | None:
        """The updater of the call before, if these are its arguments."""
        rule, rate = self._asked
        return self._updater if same(optimizer, rule) and same(learning_rate, rate) else None

    def _update(
        self, updater: AnyUpdater | None, samples: Samples, optimizer: Any, learning_rate: Any
    ) -> float:
        """Make one update from checked *samples*, by an *updater* that has a place for them."""
        samples = samples.for_loss(self._architecture)
        if updater is not None and updater.has_place_for(samples):
            return updater.update(samples)
        last = self._updater
        with self._training():
            updater = self._updater_for(samples, last, optimizer, learning_rate)
            loss = updater.update(samples)
            self._updater, self._asked = updater, (optimizer, learning_rate)
            self._quick_update = updater.quick_way(learning_rate, optimizer)
            return loss

    def _updater_for(
        self, samples: Samples, last: AnyUpdater | None, optimizer: Any, learning_rate: Any
    ) -> AnyUpdater:
        """An updater with a place for *samples*: the *last* one, where only the rate differs."""
        if optimizer is not None:
            rule = get_optimizer(optimizer, learning_rate)
        elif learning_rate is not None:
            rule = replace(self._optimizer, learning_rate=learning_rate)
        else:
            rule = self._optimizer
        validation.finite_parameters(self.parameters)
        state = self._state_for(rule)
        if last is not None and last.can_go_on(samples, rule, state):
            last.change_rate(rule)
            return last
        plan = Plan(
            len(samples),
            rule,
            self._dropout_key,
            weighted=samples.weights is not None,
            sparse=samples.sparse,
        )
        engine = get_engine(self._engine_name)
        return new_updater(self._architecture, engine, samples, plan, state)

    def predict(self, X: Any) -> np.ndarray:
        """Outputs of the network for each row of *X*.

        Parameters
        ----------
        X : array-like, shape (n, n_inputs)

        Returns
        -------
        ndarray, shape (n, n_outputs)
            Of the network's dtype. Probabilities for the cross-entropies: the class is
            ``net.predict(X).argmax(axis=1)``, with one output ``net.predict(X)[:, 0] > 0.5``.
            Expected counts for poisson; for hinge the sign of ``net.predict(X)[:, 0]`` is the
            class. There are always two dimensions, also with one output: to compare with a y of
            shape (n,), take column 0 as here, or NumPy compares every row with every y.

        Raises
        ------
        ValueError, TypeError
            If X is not a finite numeric array of that shape, or so large that an output is not a
            number (NaN). An output too large for the dtype is infinite.
        MemoryError
            If a copy of X, where one is needed, or the outputs do not fit into memory.
        """
        predict, address, n_outputs, dtype, _held = self._quick_prediction
        if type(X) is ndarray and X.dtype == dtype and X.ndim == 2 and len(X) == 1:
            values = empty((1, n_outputs), dtype)
            if X.flags.carray and predict(X[0], values[0], address):
                return values
        parameters, architecture = self._state.parameters, self._architecture
        ready = is_ready(X, architecture.sizes[0], architecture.dtype)
        inputs = X if ready else self._inputs.features(X)
        predictor = self._predictor_for(not ready and isinstance(inputs, SparseRows))
        try:
            outputs = predictor(parameters, inputs)
        except MemoryError as error:
            raise MemoryError(f"{_outputs_for(inputs)}: {error}") from None
        if outputs is None and ready:  # something to complain about
            outputs = predictor(parameters, self._inputs.features(X))
        if outputs is None:
            raise self._overflow("X")
        small = architecture.n_parameters <= MOST_WITH_GIL
        if small and ready and len(X) == 1 and self._quick_prediction is NO_PREDICTION:
            self._make_quick_prediction()
        return outputs

    def _predictor_for(self, sparse: bool) -> Predictor:
        """What predicts for arrays, which is kept, or for sparse rows."""
        if sparse:
            return get_engine(self._engine_name).predictor(self._architecture, sparse)
        if self._predictor is None:
            self._predictor = get_engine(self._engine_name).predictor(self._architecture)
        return self._predictor

    def predict_one(self, x: Any) -> np.ndarray:
        """Outputs of the network for one sample: ``predict([x])[0]``, to the bit.

        Fastest for an array of the network's dtype: half a microsecond for a small network.

        Parameters
        ----------
        x : array-like, shape (n_inputs,)

        Returns
        -------
        ndarray, shape (n_outputs,)
            As in `predict`.

        Raises
        ------
        ValueError, TypeError
            As in `predict`.
        """
        predict, address, n_outputs, dtype, _held = self._quick_prediction
        if type(x) is ndarray and x.dtype == dtype:
            outputs = empty(n_outputs, dtype)
            try:
                if predict(x, outputs, address):
                    return outputs
            except NO_NUMBER:  # of a type that it does not know: a copy lies side by side
                if x.ndim == 1 and predict(x.copy(), outputs, address):
                    return outputs
        return self._predict_one(x)

    def _predict_one(self, x: Any) -> np.ndarray:
        """`predict_one` with all checks; makes the short way ready."""
        row = self._inputs.row(x)
        outputs: np.ndarray = self.predict(row[np.newaxis])[0]
        if self._quick_prediction is NO_PREDICTION:
            self._make_quick_prediction()
        return outputs

    def _make_quick_prediction(self) -> None:
        """Make the short way for single rows ready, if the engine has one."""
        architecture = self._architecture
        one = get_engine(self._engine_name).single_predictor(architecture, self._state)
        if one is not None:
            n_outputs, dtype = architecture.sizes[-1], architecture.dtype
            self._quick_prediction = (one.predict, one.address, n_outputs, dtype, one)

    @quiet
    @guided
    def predict_with(self, parameters: Any, X: Any) -> np.ndarray:
        """Outputs for each row of *X* with each of many vectors in place of the parameters.

        For populations and samples of parameters: of a small network, on up to 100 rows, 4 to 15
        times as fast as a loop of `set_parameters` and `predict`. The network is not changed.

        Parameters
        ----------
        parameters : array-like, shape (n_vectors, n_parameters)
            Each row as in `Network.parameters`.
        X : array-like, shape (n, n_inputs)

        Returns
        -------
        ndarray, shape (n_vectors, n, n_outputs)
            As `predict` with each vector.

        Raises
        ------
        ValueError, TypeError
            If one is not a finite numeric array of that shape, or an output is not a number (NaN).
        MemoryError
            If the outputs do not fit into memory.

        Examples
        --------
        >>> import fastnn
        >>> import numpy as np
        >>> net = fastnn.Network([4, 16, 2], seed=1)
        >>> noise = np.random.default_rng(1).normal(size=(100, len(net.parameters)))
        >>> net.predict_with(net.parameters + 0.1 * noise, [[0, 1, 2, 3]]).shape
        (100, 1, 2)
        """
        architecture = self._architecture
        size, dtype = architecture.n_parameters, architecture.dtype
        vectors = validation.parameter_vectors(parameters, size, dtype)
        inputs = self._inputs.features(X)
        shape = (len(vectors), len(inputs), architecture.sizes[-1])
        with memory_for("the outputs, of shape {}, do not fit into memory", shape):
            values = np.empty(shape, dtype)
        sparse = isinstance(inputs, SparseRows)
        fill = get_engine(self._engine_name).each_output(architecture, sparse)
        if not fill(vectors, inputs, values).all():
            raise validation.too_large("parameters and X")
        return values

    @quiet
    def layer_outputs(self, X: Any) -> list[np.ndarray]:
        """Outputs of every layer, from the first hidden one on: shapes (n, n_l).

        The arguments and errors are those of `predict`, which gives the last of them.
        """
        inputs = self._inputs.features(X)
        engine = get_engine(self._engine_name)
        with memory_for(_outputs_for(inputs)):
            layers = engine.layer_outputs(self._architecture, self.parameters, inputs)
        if layers is None:
            raise self._overflow("X")
        return layers

    @quiet
    @guided
    def evaluate(
        self,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        metrics: Iterable[str | Function] | None = None,
    ) -> dict[str, float]:
        """Loss, and metrics: by default accuracy for classification, r2 for regression.

        Parameters
        ----------
        X, y : array-like
            As in `fit`.
        sample_weight : array-like, shape (n,), optional
            As in `fit`: for the loss, and for the metrics with names.
        metrics : list of str or function, optional
            As in `fit`.

        Returns
        -------
        dict
            ``{"loss": ..., "accuracy": ...}`` or ``{"loss": ..., "r2": ...}``, or the *metrics*
            beside the loss. With several outputs, binary accuracy counts each output, and r2 and
            auc are the mean over outputs. A loss too large for a float is infinite.

        Raises
        ------
        ValueError, TypeError
            Naming the argument, what came and what was expected. Also for X and y so large that the
            loss or an output is not a number (NaN), or an output infinite that a function in
            *metrics* is to look at.
        """
        samples = self._inputs.samples(X, y, sample_weight)
        architecture = self._architecture
        loss = architecture.loss
        chosen = (usual_metric(loss),) if metrics is None else get_metrics(metrics, loss)
        if self._measure is None:
            self._measure = Measure(architecture, get_engine(self._engine_name))
        value = self._measure.loss(self.parameters, samples.for_loss(architecture))
        values = self._measure.metrics(chosen, self.parameters, samples, strictly=True)
        if values is None or math.isnan(value):
            raise self._overflow("X and y")
        return {"loss": value} | {m.name: v for m, v in zip(chosen, values, strict=True)}

    @quiet
    def loss_and_gradient(self, X: Any, y: Any) -> tuple[float, np.ndarray]:
        """The loss on (X, y) and its gradient with respect to the flat parameter vector.

        Parameters
        ----------
        X, y : array-like
            As in `fit`.

        Returns
        -------
        loss : float
        gradient : ndarray, shape (n_parameters,)
            Of exactly the loss returned: with the penalties, without dropout.

        Raises
        ------
        ValueError, TypeError
            As `evaluate` does.
        """
        if self._inputs.are_ready(X, y):
            samples = Samples(frozen(X), frozen(y)).for_loss(self._architecture)
            loss, gradient = self._objective_for(len(X))(self.parameters, samples)
            if math.isfinite(loss) and math.isfinite(gradient.dot(gradient)):
                return loss, gradient
        samples = self._inputs.samples(X, y).for_loss(self._architecture)
        loss, gradient = self._objective_for(len(samples), samples.sparse)(self.parameters, samples)
        if np.isnan(loss) or np.isnan(gradient).any():
            raise self._overflow("X and y")
        return loss, gradient

    def _objective_for(self, n: int, sparse: bool = False) -> Objective:
        """The objective on n samples: that of the last call, if it had as many of the kind."""
        if sparse:
            n = -n
        if self._objective is None or self._objective[0] != n:
            engine = get_engine(self._engine_name)
            made = objective(engine, self._architecture, abs(n), False, sparse)
            self._objective = n, made
        return self._objective[1]

    def _overflow(self, names: str) -> ValueError:
        """The error for finite *names* that made something that is not a number."""
        validation.finite_parameters(self.parameters)  # or were they those?
        return validation.too_large(names)

    def compiled(self) -> "Compiled":
        """Make of the network what goes into functions that you compile with numba.

        In these, ``fastnn.jit.forward(h, x, out)`` writes the outputs for a row x,
        ``fastnn.jit.jacobian(h, x, J)`` their derivatives with respect to x, and
        ``fastnn.jit.learn(h, x, y, rate)`` makes an update from a row. They take nothing from the
        heap, may be called by several threads at once, `learn` excepted, and within ``prange``; x
        is not checked for finite values. For example::

            @njit
            def returns(h, states, values):
                out = np.empty(h.n_outputs)
                for k in range(len(states)):
                    fastnn.jit.forward(h, states[k], out)
                    values[k] = out[0]

            returns(net.compiled(), states, values)

        Give it to your function as an argument: a global variable numba would copy; and several
        for ``prange`` as a ``numba.typed.List``, since numba takes no tuples of tuples there. It
        looks at the network's own parameters, so that it is made once and knows what the network
        learns later. A call takes 97 KB of the thread's stack in float64, 49 KB in float32.
        One compilation serves all networks of a dtype. With ``@njit(cache=True)`` the next process
        loads your function from numba's cache, this package's part included: so after an upgrade of
        fastnn have it compiled again, which numba does not notice by itself. Change your file, or
        delete the ``*.nbi`` files in its ``__pycache__`` or in ``NUMBA_CACHE_DIR``.

        Returns
        -------
        fastnn.jit.Compiled
            A NamedTuple of arrays and numbers.

        Raises
        ------
        ValueError
            If the network has more than about 4,000 inputs and units in all, for which there is no
            room on the stack.
        """
        from fastnn.kernels.compiled import compiled

        return compiled(self._architecture, self.parameters)

    def low_level_callable(self, output: int = 0) -> Any:
        """Make a ``scipy.LowLevelCallable`` of one output, for ``quad`` and ``nquad``.

        ``double (int n, double *x, void *)``: of as many arguments as the network has inputs; NaN
        of another number. It looks at the network's own parameters and keeps them alive. So
        ``scipy.integrate.quad(net.low_level_callable(), -1, 1)`` does not come back to Python.

        Parameters
        ----------
        output : int
            Which one, from 0 on.

        Returns
        -------
        scipy.LowLevelCallable

        Raises
        ------
        ValueError, TypeError
            For an output that there is not, a network of float32, and as `compiled` does.
        RuntimeError
            With numba's compiler switched off (``NUMBA_DISABLE_JIT=1``).
        """
        from fastnn.jit import integrand

        last = self.layer_sizes[-1] - 1
        return integrand(self.compiled(), validation.integer(output, "output", 0, last))

    def cfunc(self) -> "CFunction":
        """Make a C function of the network: ``void f(const T *inputs, T *outputs)`` for one row.

        T is double, or float with float32. Its ``address`` goes to programs in C, Fortran (by
        ``bind(C)``) or jitted code that call functions by their address, from any thread. It looks
        at the network's own parameters and keeps them alive, as long as the object returned is.
        For a program without Python, see `to_c`.

        Returns
        -------
        fastnn.jit.CFunction
            With ``address``, a number, and ``ctypes``, the same as a function of ctypes.

        Raises
        ------
        ValueError, RuntimeError
            As in `low_level_callable`.
        """
        from fastnn.jit import CFunction

        return CFunction(self.compiled())

    @quiet
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a file, from which `fastnn.load` reads it; see there.

        All that it needs to go on with the same bits is saved: architecture, parameters,
        optimiser and what it remembers, random state, history. The file is a safetensors file,
        described in ``help("fastnn.persistence")``. It is written as a whole or not at all: a
        file that is there already stays whole until the new one takes its place.

        Parameters
        ----------
        path : str or path-like

        Raises
        ------
        OSError
            If the directory does not exist or may not be written to, or if the disk is full.
        ValueError
            If the network's generator, optimiser or schedule is not of a kind that can be saved, or
            if somebody has emptied some of its history's lists and not others.
        """
        write(path, *self._record().parts())

    def _record(self) -> Record:
        return Record(
            self._architecture.arguments() | {"engine": self._engine_name},
            self._optimizer,
            self._state,
            self._rng,
            self._dropout_key,
            self.history,
            self._initializer,
        )

    @classmethod
    def _of_record(cls, record: Record) -> Self:
        net = cls(**record.arguments, initializer="zeros", seed=record.rng)
        net._initializer = record.initializer
        net._dropout_key = record.dropout_key
        net._optimizer, net._state = record.optimizer, record.state
        net.history = record.history
        return net

    @quiet
    def to_onnx(
        self,
        path: str | os.PathLike[str],
        *,
        dtype: Any = None,
        opset: int = 20,
        input_name: str = "input",
        output_name: str = "output",
        logits: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Write the network to an ONNX file: what `predict` computes, for any number of rows.

        A Gemm for each layer and its activation, which onnxruntime runs in either dtype. What is
        special about training is kept in the file's metadata, and `fastnn.from_onnx` reads it;
        the optimiser and the history are not. The file is written as a whole or not at all.

        Parameters
        ----------
        path : str or path-like
        dtype : {"float64", "float32"}, optional
            By default the network's.
        opset : int
            ONNX's operator set, from 13 on. Older programs may need an older one.
        input_name, output_name : str
            Of the graph's input (n, n_inputs) and output (n, n_outputs).
        logits : bool
            Leave out the output activation: the outputs are the last layer's weighted sums.
        metadata : dict of str, optional
            Texts by name to write into the file.

        Raises
        ------
        OSError
            As `save` does.
        ValueError, TypeError
            Naming the argument, what came and what was expected. Also for parameters that are not
            finite, in the file's dtype.
        ImportError
            Without the package onnx: ``pip install "fastnn-jit[onnx]"``.
        """
        from fastnn.exchange import onnx

        onnx.write(
            path,
            *(self._architecture, self.parameters),
            dtype=dtype,
            names=(input_name, output_name),
            opset=opset,
            logits=logits,
            metadata=metadata,
        )

    def to_torch(self, *, logits: bool = False) -> Any:
        """Make a ``torch.nn.Sequential`` of the network: Linear, activations, and Dropout.

        Its parameters are copies, of the network's dtype. In training mode, as it is made, it drops
        units if the network does; after ``module.eval()`` it gives what `predict` gives.

        Parameters
        ----------
        logits : bool
            Leave out the output activation, for PyTorch's losses that take logits.

        Returns
        -------
        torch.nn.Sequential

        Raises
        ------
        ValueError
            For the output activation exp, of which PyTorch has no module, without *logits*.
        """
        from fastnn.exchange import torch

        return torch.write(self._architecture, self.parameters, logits=logits)

    def to_torch_optimizer(self, module: Any) -> Any:
        """Make the optimiser of torch.optim that goes on with a module where the last update ended.

        Parameters
        ----------
        module : torch.nn.Sequential
            What `to_torch` returned.

        Returns
        -------
        torch.optim.Optimizer
            SGD, RMSprop, Adagrad, Adam or AdamW, with what the network's remembers.

        Raises
        ------
        ValueError
            For a learning-rate schedule or clipping, which are not a part of PyTorch's optimisers,
            and for a module of other shapes.
        """
        from fastnn.exchange import torch

        return torch.write_optimizer(module, self._architecture, self._optimizer, self._state)

    @quiet
    def to_c(
        self,
        path: str | os.PathLike[str],
        *,
        name: str = "net",
        dtype: Any = None,
        jacobian: bool = False,
        self_test: bool = False,
    ) -> None:
        """Write the network as C: ``static void name(const T *input, T *output)`` for one row.

        One file of C99, which is C++ too, without allocation and without any library. It can be
        compiled alone or included as a header, in several files as well. The weights read back
        exactly. It is written as a whole or not at all.

        Parameters
        ----------
        path : str or path-like
        name : str
            Of the function, and what all other names in the file begin with.
        dtype : {"float64", "float32"}, optional
            T is double or float: by default the network's.
        jacobian : bool
            Write ``static void name_jacobian(const T *input, T *jacobian)`` too: the derivatives
            of the outputs with respect to the inputs, (n_outputs, n_inputs) row by row.
        self_test : bool
            Write a ``main`` too, which compares outputs with those of `predict`, prints the largest
            difference and returns 0 if it is none but rounding.

        Raises
        ------
        OSError
            As `save` does.
        ValueError, TypeError
            Naming the argument, what came and what was expected. Also for parameters that are not
            finite, in the file's dtype.
        """
        from fastnn.exchange import c

        c.write(
            path,
            *(self._architecture, self.parameters),
            dtype=dtype,
            name=name,
            jacobian=jacobian,
            self_test=self_test,
        )

    def summary(self) -> str:
        """Text: the layers with their output shapes and parameter counts, and the bytes."""
        from fastnn.summary import describe

        return describe(self._architecture)

    def __repr__(self) -> str:
        architecture = self._architecture
        names = [activation.name for activation in architecture.activations]
        return (
            f"Network({list(architecture.sizes)}, activations={names}, "
            f"loss={architecture.loss.name!r}, reduction={architecture.reduction!r}, "
            f"bias={architecture.bias}, dtype='{architecture.dtype}', "
            f"engine={self._engine_name!r})"
        )

    def copy(self) -> Self:
        """A network of its own with the same parameters, optimiser, random state and history."""
        return deepcopy(self)

    def reset_optimizer(self) -> Self:
        """Forget what the optimiser remembers and the number of updates; parameters stay.

        The learning-rate schedule begins again.
        """
        self._forget_updater()
        self._state.forget()
        return self

    def _forget_updater(self) -> None:
        self._updater, self._quick_update = None, NO_UPDATE

    def _minimise(self, job: Job, settings: LBFGS, samples: Samples) -> History:
        lbfgs.check(self._architecture)
        self.reset_optimizer()
        self.history = History()
        return lbfgs.train(job, settings, samples, self._state, self.history)

    @contextmanager
    def _training(self) -> Iterator[None]:
        """Train inside: nobody else meanwhile, and all or nothing until an epoch is complete.

        Whatever ends training before, Ctrl-C included, leaves the network as it was; only a history
        that tells of a divergence stays.
        """
        if self._in_training:
            raise RuntimeError(
                "this network is being trained already: fit, fit_stream and partial_fit cannot "
                "train it from inside its own fit (in a callback, a metric or chunks) or from "
                "another thread; train a net.copy(), or train it afterwards"
            )
        optimizer, state, history = self._optimizer, self._state, self.history
        before, random = state.copy(), self._rng.bit_generator.state
        try:
            self._in_training = True
            self._forget_updater()  # so that `partial_fit` comes by here
            yield
        except BaseException as error:
            if self.history is None or self.history is history or self.history.epochs == 0:
                state.restore(before)
                self._optimizer, self._state = optimizer, state
                self._rng.bit_generator.state = random
                if not isinstance(error, TrainingDivergedError):
                    self.history = history
            raise
        finally:
            self._in_training = False

    def _state_for(self, optimizer: Optimizer) -> State:
        """The state to go on from: a new one if the last optimiser had another rule."""
        if optimizer is self._optimizer:
            return self._state
        if optimizer.rule != self._optimizer.rule:
            self._state = State.new(self.parameters, optimizer)
        elif not same(optimizer.learning_rate, self._optimizer.learning_rate):
            self._state.clock.restart()
        self._optimizer = optimizer
        return self._state

    def _next_state(self, job: Job) -> State:
        """What `_state_for` would return, to be read: nothing changes."""
        mine, optimizer = self._state, job.optimizer
        if job.lbfgs is not None or optimizer is self._optimizer:
            return mine
        if optimizer.rule != self._optimizer.rule:
            return State.new(self.parameters, optimizer)
        if same(optimizer.learning_rate, self._optimizer.learning_rate):
            return mine
        return State(mine.parameters, mine.moments, mine.updates, _BEGINNING)

    def _begin_training(self) -> None:
        """Nobody else may train from here to `_end_training`."""
        object.__setattr__(self, "_in_training", True)
        if self._updater is not None:
            self._forget_updater()

    def _end_training(self) -> None:
        object.__setattr__(self, "_in_training", False)

    def _take_over(
        self, job: Job, numbers: Numbers, clock: Clock, rng: np.random.Generator, history: History
    ) -> None:
        """Be as a copy that was trained for *job* is now."""
        mine = self._state if job.lbfgs is not None else self._state_for(job.optimizer)
        mine.parameters[:], mine.moments[:], mine.updates[0] = numbers
        mine.clock.restore(clock)
        if rng is not self._rng:  # it comes from another process
            self._rng.bit_generator.state = rng.bit_generator.state
        object.__setattr__(self, "history", history)


def _outputs_for(X: AnyRows) -> str:
    return f"the outputs for X, of shape {X.shape}, do not fit into memory"
