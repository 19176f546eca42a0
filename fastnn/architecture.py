"""What a network is, without its numbers: sizes, activations, loss, and where each weight lies."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from fastnn import validation
from fastnn.activations import Activation, get_hidden_activations, get_output_activation
from fastnn.losses import Loss, get_loss
from fastnn.names import find, short


class Layer(NamedTuple):
    """One layer and its place in the flat parameter vector.

    The weights, shape (n_in, n_out), lie row-major at ``weights``; the bias, shape (n_out,),
    at ``bias``, which is None in a network without biases.
    """

    n_in: int
    n_out: int
    activation: Activation
    weights: slice
    bias: slice | None


@dataclass(frozen=True)
class Architecture:
    """The unchanging description of a network that every engine works from."""

    #: Number of inputs, of units in each hidden layer, and of outputs.
    sizes: tuple[int, ...]
    #: One per layer of weights; the last is the output activation.
    activations: tuple[Activation, ...]
    loss: Loss
    #: "mean" or "sum", over the samples of a batch.
    reduction: str
    bias: bool
    #: float32 or float64.
    dtype: np.dtype[np.floating]
    #: Factors of the penalty Σ l1 |w| + ½ l2 w² over all weights; biases are left out.
    l1: float = 0.0
    l2: float = 0.0
    #: The most that the weights into one unit may measure, √(Σ w²), after an update; 0: no limit.
    max_norm: float = 0.0
    #: For each hidden layer, the fraction of its units dropped in training; empty: none at all.
    dropout: tuple[float, ...] = ()
    #: Engines need not know it: the targets that reach them are those of `for_loss`.
    label_smoothing: float = 0.0
    #: Of the loss "quantile": outputs for the first of them come first. They reach the engines
    #: by `for_loss`, too.
    quantiles: tuple[float, ...] = ()

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Kept, as kernels and their tables are looked up by architectures several times a call."""
        return hash((self.sizes, self.activations, self.loss, self.dtype))

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: all but the hash, which is another one in each process."""
        return {name: value for name, value in self.__dict__.items() if name != "_hash"}

    def __deepcopy__(self, _memo: dict[int, Any]) -> "Architecture":
        """Itself, since it never changes."""
        return self

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers from the input to the output."""
        layers = []
        position = 0
        for (n_in, n_out), activation in zip(pairwise(self.sizes), self.activations, strict=True):
            weights = slice(position, position + n_in * n_out)
            position = weights.stop
            bias = slice(position, position + n_out) if self.bias else None
            position += n_out if self.bias else 0
            layers.append(Layer(n_in, n_out, activation, weights, bias))
        return tuple(layers)

    @cached_property
    def n_parameters(self) -> int:
        """Length of the flat parameter vector."""
        *_, last = self.layers
        size: int = (last.bias or last.weights).stop
        return size

    @property
    def n_targets(self) -> int:
        """How many targets a sample has: columns of y."""
        return self.sizes[-1] // (self.loss.outputs_per_target * max(len(self.quantiles), 1))

    @property
    def target_columns(self) -> int:
        """Columns of what `for_loss` returns."""
        return 2 * self.sizes[-1] if self.quantiles else self.n_targets

    @cached_property
    def is_weight(self) -> np.ndarray:
        """Which of the parameters are weights, not biases: shape (n_parameters,), bool."""
        weights = np.zeros(self.n_parameters, dtype=bool)
        for layer in self.layers:
            weights[layer.weights] = True
        weights.flags.writeable = False
        return weights

    def arguments(self) -> dict[str, Any]:
        """The arguments of `fastnn.Network` that make this architecture again, of plain types."""
        *hidden, output = (activation.name for activation in self.activations)
        return {
            "layer_sizes": list(self.sizes),
            "activation": hidden,
            "output_activation": output,
            "loss": self.loss.name,
            "missing": "ignore" if self.loss.missing else "raise",
            "reduction": self.reduction,
            "bias": self.bias,
            "l1": self.l1,
            "l2": self.l2,
            "max_norm": self.max_norm or None,
            "dropout": list(self.dropout or [0.0] * len(hidden)),
            "label_smoothing": self.label_smoothing,
            "quantiles": list(self.quantiles) or None,
            "dtype": self.dtype.name,
        }

    @property
    def penalised(self) -> bool:
        """Whether l1 or l2 add to the loss."""
        return bool(self.l1 or self.l2)

    def penalty(self, parameters: np.ndarray) -> float:
        """What l1 and l2 add to the loss."""
        if not self.penalised:
            return 0.0
        weights = parameters[self.is_weight].astype(np.float64)
        return float(self.l1 * np.abs(weights).sum() + 0.5 * self.l2 * (weights @ weights))

    def penalty_gradient(self, parameters: np.ndarray) -> np.ndarray:
        """The gradient of `penalty`, shape (n_parameters,); |w| counts as flat where w is 0."""
        gradient = self.l1 * np.sign(parameters) + self.l2 * parameters
        return np.where(self.is_weight, gradient, 0).astype(parameters.dtype)

    def mean_loss(self, loss_sum: float, n_samples: int, parameters: np.ndarray) -> float:
        """The loss of *n_samples* from the sum of their losses: reduced, with the penalty."""
        return loss_sum * self.gradient_scale(n_samples) + self.penalty(parameters)

    def mean_losses(self, sums: np.ndarray, n_samples: int, vectors: np.ndarray) -> np.ndarray:
        """The same of many sums (K,) and vectors of parameters (K, n_parameters)."""
        if not self.penalised:
            return sums * self.gradient_scale(n_samples)
        pairs = zip(sums.tolist(), vectors, strict=True)
        return np.array([self.mean_loss(loss_sum, n_samples, p) for loss_sum, p in pairs])

    def for_loss(self, targets: np.ndarray) -> np.ndarray:
        """What engines compute the loss from, (n, target_columns): mostly the targets themselves.

        With label smoothing others; for quantiles each output's target, then each one's quantile.
        """
        if self.quantiles:
            levels = np.repeat(np.array(self.quantiles, self.dtype), self.n_targets)
            ours = np.tile(targets, 2 * len(self.quantiles))
            ours[:, len(levels) :] = levels
            ours.flags.writeable = False
            return ours
        s = self.label_smoothing
        if not s:
            return targets
        classes = self.sizes[-1] if self.loss.targets == "classes" else 2
        smoothed: np.ndarray = (targets * (1 - s) + s / classes).astype(self.dtype, copy=False)
        smoothed.flags.writeable = False
        return smoothed

    def gradient_scale(self, batch_size: int) -> float:
        """What the summed gradient of a batch is multiplied by."""
        return 1.0 / batch_size if self.reduction == "mean" else 1.0

    def weight_views(self, vector: np.ndarray) -> list[np.ndarray]:
        """Views (n_in, n_out) into a flat vector, one per layer."""
        return [vector[layer.weights].reshape(layer.n_in, layer.n_out) for layer in self.layers]

    def bias_views(self, vector: np.ndarray) -> list[np.ndarray]:
        """Views (n_out,) into a flat vector, one per layer; empty without biases."""
        return [vector[layer.bias] for layer in self.layers if layer.bias is not None]


#: Arguments of other types may be of any size, and need not be equal to themselves.
_PLAIN = frozenset((str, float, int, bool, type(None)))


def architecture_of(sizes: tuple[int, ...], **asked: Any) -> Architecture:
    """What the arguments of `fastnn.Network` ask for, checked; *sizes* are so already.

    What was asked for before is the same object, with all that it has found out about itself.
    """
    kinds = tuple(map(type, asked.values()))  # 1 is equal to True, and not taken for it
    if _PLAIN.issuperset(kinds):
        return _asked_before(sizes, tuple(asked.items()), kinds)
    return _new_architecture(sizes, **asked)


@lru_cache(maxsize=64)
def _asked_before(sizes: tuple[int, ...], asked: Any, _kinds: tuple[type, ...]) -> Architecture:
    return _new_architecture(sizes, **dict(asked))


def _new_architecture(
    sizes: tuple[int, ...], *, activation: Any, output_activation: Any, loss: Any, missing: Any,
    reduction: Any, bias: Any, dtype: Any, l1: Any, l2: Any, max_norm: Any, dropout: Any,
    label_smoothing: Any, quantiles: Any,
) -> Architecture:  # fmt: skip
    function = get_loss(loss, missing)
    made = Architecture(
        sizes=sizes,
        activations=(
            *get_hidden_activations(activation, len(sizes) - 2),
            get_output_activation(output_activation, function),
        ),
        loss=function,
        reduction=find(reduction, {"mean": "mean", "sum": "sum"}, "reduction"),
        bias=validation.boolean(bias, "bias"),
        dtype=validation.float_dtype(dtype),
        l1=validation.non_negative(l1, "l1"),
        l2=validation.non_negative(l2, "l2"),
        max_norm=0.0 if max_norm is None else validation.positive(max_norm, "max_norm"),
        dropout=validation.dropout(dropout, len(sizes) - 2),
        label_smoothing=validation.label_smoothing(label_smoothing, function),
        quantiles=get_quantiles(quantiles, function),
    )
    check_outputs(sizes[-1], function, made.quantiles)
    return _shared(made)


@lru_cache(maxsize=1024)
def _shared(architecture: Architecture) -> Architecture:
    """One for all that are equal: what is known of it is known for all their networks."""
    return architecture


def get_quantiles(value: object, loss: Loss) -> tuple[float, ...]:
    """Those of the loss "quantile", by default the median; for others there are none."""
    if loss.name != "quantile":
        if value is not None:
            raise ValueError(f"quantiles={short(value)} needs loss 'quantile', got {loss.name!r}")
        return ()
    if value is None:
        return (0.5,)
    levels = [validation.real(level, f"quantiles[{k}]") for k, level in enumerate(_numbers(value))]
    if not levels or levels != sorted(set(levels)) or levels[0] <= 0 or levels[-1] >= 1:
        raise ValueError(
            "quantiles must be numbers between 0 and 1, the smaller ones first, such as "
            f"[0.1, 0.5, 0.9]; got {short(value)}"
        )
    return tuple(levels)


def _numbers(value: object) -> list[Any]:
    if isinstance(value, np.ndarray) and value.ndim == 1:
        return list(value)
    return validation.listed(value, "quantiles", "numbers such as [0.1, 0.5, 0.9]")


def check_outputs(n_out: int, loss: Loss, quantiles: tuple[float, ...]) -> None:
    """Refuse numbers of outputs from which no whole number of targets follows."""
    each = loss.outputs_per_target * max(len(quantiles), 1)
    if n_out % each:
        what = f"{len(quantiles)} quantiles" if quantiles else "a mean and a log-variance"
        raise ValueError(
            f"layer_sizes must end with a multiple of {each} for loss {loss.name!r}, {what} for "
            f"each target, got {n_out}"
        )
