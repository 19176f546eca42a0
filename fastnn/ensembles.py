"""Networks that learn the same and predict together: `Ensemble`."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fastnn import validation
from fastnn.arrays import numeric
from fastnn.calls import guided
from fastnn.contract import quiet
from fastnn.files import write
from fastnn.history import History
from fastnn.many import fit_many
from fastnn.metrics import Function
from fastnn.names import short
from fastnn.network import Network
from fastnn.persistence import reading
from fastnn.pictures import axes_for
from fastnn.predictions import predict_many
from fastnn.record import joined, parted

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def _log_of_mean(logarithms: np.ndarray) -> np.ndarray:
    """log (Σ_k e^x_k / K) over the first axis, of K."""
    mean: np.ndarray = np.logaddexp.reduce(logarithms, axis=0) - math.log(len(logarithms))
    return mean


def _logit_of_mean(z: np.ndarray) -> np.ndarray:
    """What the mean of sigmoids is the sigmoid of."""
    one, other = (_log_of_mean(-np.logaddexp(0, sign * z)) for sign in (-1, 1))
    logit: np.ndarray = one - other
    return logit


def _logits_of_mean(z: np.ndarray) -> np.ndarray:
    """What the mean of softmaxes is the softmax of: of the logarithms of its own values."""
    return _log_of_mean(z - np.logaddexp.reduce(z, axis=-1, keepdims=True))


#: By output activation: from the networks' weighted sums (K, n, n_out), float64, those that have
#: the mean of their outputs as outputs. By way of logarithms: a probability is 1 to rounding long
#: before the loss of its opposite is infinite.
_SUMS_OF_MEAN: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "identity": lambda sums: sums.mean(axis=0),
    "sigmoid": _logit_of_mean,
    "softmax": _logits_of_mean,
    "exp": _log_of_mean,
}


class Ensemble:
    """Networks of one kind that learn the same from different starts, and predict together.

    Where they agree, the data have said enough; their spread tells where not.

    Parameters
    ----------
    layer_sizes : sequence of int
        Of each network: see `Network`.
    n_networks : int
        How many.
    bootstrap : bool
        Have each network learn from rows of its own: as many as there are, drawn with replacement.
        They depend on *seed*, on the network and on the number of rows, so that a later ``fit``
        with as many goes on with the same.
    seed : int or numpy.random.Generator, optional
        From it each network gets a seed of its own. One seed, and the first ten of twenty
        networks are those of an ensemble of ten.
    **as_in_network
        All other arguments of `Network`.

    Attributes
    ----------
    networks : tuple of Network
        The members. Each can be trained, changed and saved by itself.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what was expected.

    Examples
    --------
    >>> import fastnn
    >>> import numpy as np
    >>> X = np.linspace(-1, 1, 20)[:, None]
    >>> ensemble = fastnn.Ensemble([1, 8, 1], n_networks=20, bootstrap=True, seed=0)
    >>> histories = ensemble.fit(X, X**2, epochs=50, learning_rate=0.1)
    >>> mean, std = ensemble.predict([[0.5], [3.0]], return_std=True)
    >>> mean.shape, bool(std[1, 0] > std[0, 0])
    ((2, 1), True)
    """

    @quiet
    @guided
    def __init__(
        self,
        layer_sizes: Sequence[int],
        n_networks: int = 10,
        bootstrap: bool = False,
        seed: int | np.random.Generator | None = None,
        **as_in_network: Any,
    ):
        n = validation.integer(n_networks, "n_networks", 1)
        self._bootstrap = validation.boolean(bootstrap, "bootstrap")
        self._key = int(validation.generator(seed).integers(1 << 63))
        seeds = np.random.SeedSequence(self._key).spawn(n)
        self._networks = tuple(
            Network(layer_sizes, seed=np.random.default_rng(own), **as_in_network) for own in seeds
        )

    @property
    def networks(self) -> tuple[Network, ...]:
        """The members. Each can be trained, changed and saved by itself."""
        return self._networks

    @guided
    def fit(
        self,
        X: Any,
        y: Any,
        *,
        each: Mapping[str, Sequence[Any]] | None = None,
        n_jobs: int | None = None,
        executor: Executor | None = None,
        progress: bool = False,
        **as_in_fit: Any,
    ) -> list[History]:
        """Train all networks, from their present parameters on, by `fit_many`.

        Parameters
        ----------
        X, y : array-like
            As in `Network.fit`.
        each, n_jobs, executor, progress
            As in `fit_many`.
        **as_in_fit
            Arguments of `Network.fit`. With ``bootstrap=True`` no *validation_split*: a row that
            is drawn twice would be on both sides.

        Returns
        -------
        list of History
            One for each network.

        Raises
        ------
        ValueError, TypeError, TrainingDivergedError, RuntimeError
            As `fit_many` does.
        """
        subsets = None
        if "subsets" in as_in_fit:
            raise TypeError(
                "fastnn.Ensemble.fit has no argument 'subsets': with bootstrap=True it draws them; "
                "for others there is fastnn.fit_many(ensemble.networks, X, y, subsets=...)"
            )
        if self._bootstrap:
            own = each.get("validation_split") if isinstance(each, Mapping) else None
            own = own if isinstance(own, Sequence | np.ndarray) else [own]
            if any(split is not None for split in (as_in_fit.get("validation_split"), *own)):
                raise ValueError(
                    "validation_split was given to an ensemble with bootstrap=True: a row that is "
                    "drawn twice would be on both sides; give validation_data"
                )
            X = self._networks[0]._inputs.features(X)
            n, k = len(X), range(len(self._networks))
            subsets = [np.random.default_rng((self._key, i)).integers(n, size=n) for i in k]
        return fit_many(
            self._networks, X, y, each=each, subsets=subsets, n_jobs=n_jobs, executor=executor,
            progress=progress, **as_in_fit,
        )  # fmt: skip

    def predict_all(self, X: Any) -> np.ndarray:
        """Outputs of each network for each row of *X*: `predict_many`.

        Parameters
        ----------
        X : array-like, shape (n, n_inputs)

        Returns
        -------
        ndarray, shape (n_networks, n, n_outputs)
        """
        return predict_many(self._networks, X)

    @quiet
    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Mean of the networks' outputs for each row of *X*; of probabilities for classes.

        Parameters
        ----------
        X : array-like, shape (n, n_inputs)
        return_std : bool
            Return the spread as well.

        Returns
        -------
        mean : ndarray, shape (n, n_outputs)
            Of what `Network.predict` gives.
        std : ndarray, shape (n, n_outputs)
            With *return_std*: the standard deviation over the networks, with their number as the
            divisor: √(Σ (ŷ - mean)² / n_networks).

        Raises
        ------
        ValueError, TypeError, MemoryError
            As `Network.predict` does.
        """
        with_std = validation.boolean(return_std, "return_std")
        outputs = self.predict_all(X)
        mean = outputs.mean(axis=0, dtype=np.float64).astype(outputs.dtype)
        if not with_std:
            return mean
        return mean, outputs.std(axis=0, dtype=np.float64).astype(outputs.dtype)

    @quiet
    def predict_quantiles(self, X: Any, quantiles: Sequence[float]) -> np.ndarray:
        """Quantiles over the networks of their outputs for each row of *X*.

        Parameters
        ----------
        X : array-like, shape (n, n_inputs)
        quantiles : sequence of float
            From 0 to 1. Between two networks they are interpolated, as by ``numpy.quantile``.

        Returns
        -------
        ndarray, shape (n_quantiles, n, n_outputs)

        Raises
        ------
        ValueError, TypeError, MemoryError
            As `Network.predict` does; also for other *quantiles*.
        """
        levels = numeric(quantiles, "quantiles")
        if levels.ndim != 1 or not levels.size or not ((levels >= 0) & (levels <= 1)).all():
            raise ValueError(
                f"quantiles must be a list of numbers from 0 to 1, got {short(quantiles)}"
            )
        outputs = self.predict_all(X)
        values: np.ndarray = np.quantile(outputs, levels.astype(np.float64), axis=0)
        return values.astype(outputs.dtype, copy=False)

    @quiet
    def evaluate(
        self,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        metrics: Iterable[str | Function] | None = None,
    ) -> dict[str, float]:
        """Loss and metrics of the ensemble: of the mean of its networks' outputs.

        Parameters
        ----------
        X, y, sample_weight, metrics
            As in `Network.evaluate`.

        Returns
        -------
        dict
            As from `Network.evaluate`; the loss is without penalties for weights.

        Raises
        ------
        ValueError, TypeError
            As `Network.evaluate` does.
        """
        activation, sums_of_each = self._before_output(X)
        sums = _SUMS_OF_MEAN[activation](sums_of_each.astype(np.float64))
        if not np.isfinite(sums).all():
            raise validation.too_large("X")
        twin = self._output_layer(activation)
        return twin.evaluate(sums, y, sample_weight=sample_weight, metrics=metrics)

    def _before_output(self, X: Any) -> tuple[str, np.ndarray]:
        """The output activation that belongs to the loss, and what each network gives it."""
        first = self._networks[0]
        if not first._architecture.loss.from_logits:
            return "identity", self.predict_all(X)
        arguments = first._architecture.arguments() | {
            "output_activation": "identity",
            "loss": "squared_error",
            "missing": "raise",
            "label_smoothing": 0.0,
            "quantiles": None,
        }
        bare = Network(**arguments, initializer="zeros", engine=first.engine)
        vectors = np.array([network.parameters for network in self._networks])
        return first._architecture.activations[-1].name, bare.predict_with(vectors, X)

    def _output_layer(self, activation: str) -> Network:
        """A network that does nothing but to activate its inputs."""
        member = self._networks[0]
        arguments = member._architecture.arguments()
        n_out = member.layer_sizes[-1]
        arguments |= {"layer_sizes": [n_out, n_out], "activation": [], "bias": False}
        arguments |= {"l1": 0.0, "l2": 0.0, "max_norm": None, "dropout": 0.0}
        arguments["output_activation"] = activation
        twin = Network(**arguments, initializer="zeros", engine=member.engine)
        twin.set_parameters(np.eye(n_out).ravel())
        return twin

    @quiet
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all networks to one file, from which `Ensemble.load` reads them.

        As `Network.save`, it writes a safetensors file with all that is needed to go on with the
        same bits: as a whole or not at all.

        Parameters
        ----------
        path : str or path-like

        Raises
        ------
        OSError, ValueError
            As `Network.save` does.
        """
        about = {"bootstrap": self._bootstrap, "key": self._key}
        write(path, *joined([network._record() for network in self._networks], about))

    @classmethod
    @quiet
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read an ensemble that `Ensemble.save` wrote.

        Parameters
        ----------
        path : str or path-like

        Returns
        -------
        Ensemble

        Raises
        ------
        OSError, LoadError
            As `fastnn.load` does. A single network's file is not an ensemble's.
        """
        with reading(path) as (texts, tensors):
            records, about = parted(texts, tensors)
            ensemble = cls.__new__(cls)
            ensemble._bootstrap = validation.boolean(about["bootstrap"], "bootstrap")
            ensemble._key = validation.integer(about["key"], "key", 0)
            ensemble._networks = tuple(Network._of_record(record) for record in records)
            return ensemble

    def plot_band(self, X: Any, ax: Axes | None = None, n_std: float = 2.0) -> Axes:
        """Draw the mean over one input, in a band of standard deviations; needs matplotlib.

        Parameters
        ----------
        X : array-like, shape (n, 1)
            Where; in any order.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.
        n_std : float
            How many of the standard deviations of `predict` the band reaches to each side.

        Returns
        -------
        matplotlib.axes.Axes
        """
        n_std = validation.non_negative(n_std, "n_std")
        n_in, n_out = (self._networks[0].layer_sizes[k] for k in (0, -1))
        if n_in != 1:
            raise ValueError(f"plot_band needs networks with one input, got {n_in} inputs")
        ax = axes_for(ax, 6.4, 4.0)
        x = np.sort(self._networks[0]._inputs.array(X), axis=0)
        mean, std = self.predict(x, return_std=True)
        for j in range(n_out):
            label = f"mean of {len(self._networks)} networks"
            [line] = ax.plot(x[:, 0], mean[:, j], label=f"{label}, output {j}" if j else label)
            low, high = mean[:, j] - n_std * std[:, j], mean[:, j] + n_std * std[:, j]
            band = f"± {n_std:g} standard deviations" if j == 0 else None
            ax.fill_between(x[:, 0], low, high, color=line.get_color(), alpha=0.25, label=band)
        ax.set(xlabel="input", ylabel="output")
        ax.legend()
        return ax

    def __repr__(self) -> str:
        alike = repr(self._networks[0]).removeprefix("Network(")
        n, bootstrap = len(self._networks), self._bootstrap
        return f"Ensemble(n_networks={n}, bootstrap={bootstrap}, layer_sizes={alike}"
