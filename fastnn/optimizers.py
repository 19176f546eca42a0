"""The optimisers, as data: their settings, and the rule by which an engine updates with them.

With the gradient g, the rate r and the number t of this update, counted from 1 (formulas as in
torch.optim, PyTorch 2.13):

    sgd       p -= r g
    momentum  g += decay p;  v = momentum v + g;  p -= r v, or with Nesterov r (g + momentum v).
              With *rate inside* instead: v = momentum v + r g;  p -= v, or r g + momentum v
    rmsprop   v = rho v + (1 - rho) g²;  p -= r g / (√v + epsilon)
    adagrad   v += g²;  p -= r g / (√v + epsilon)
    adam      p -= r decay p;  m = beta_1 m + (1 - beta_1) g;  v = beta_2 v + (1 - beta_2) g²
              p -= r / (1 - beta_1ᵗ) m / (√v / √(1 - beta_2ᵗ) + epsilon). With *plain epsilon*
              instead: p -= r √(1 - beta_2ᵗ) / (1 - beta_1ᵗ) m / (√v + epsilon)

An epsilon of 0 is taken for 1e-290, in float32 for 1e-30: a parameter whose gradients
have all been 0 stays where it is, where 0/0 would be no number.

To add one, add a class here and a rule in ``reference/loops_updates.py``,
``reference/vectors_updates.py`` and ``kernels/rules.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache, partial
from numbers import Number
from typing import Annotated, Any, ClassVar

import numpy as np

from fastnn import validation
from fastnn.calls import guided_class
from fastnn.names import describe, find, short
from fastnn.schedules import Schedule
from fastnn.settings import AtLeast1, Flag, Fraction, NonNegative, Positive, Settings

#: The rules' codes for kernels, and how many moments (v, or m and v) each keeps per parameter.
RULES = {"sgd": 0, "momentum": 1, "rmsprop": 2, "adagrad": 3, "adam": 4}
MOMENTS = {"sgd": 0, "momentum": 1, "rmsprop": 1, "adagrad": 1, "adam": 2}
#: Taken for an epsilon below it. It is above the smallest number, since Adam makes it smaller.
LEAST_EPSILON = 1e-290
#: The most steps that L-BFGS may remember: SciPy keeps the square of so many numbers, and more.
MOST_MEMORY = 1000


def _rate(value: object, name: str) -> float | Schedule:
    if isinstance(value, Schedule):
        return value
    return validation.positive(value, name, "a number or a schedule such as fastnn.CosineDecay")


Rate = Annotated[float | Schedule, _rate]
Memory = Annotated[int, partial(validation.integer, minimum=1, maximum=MOST_MEMORY)]


@dataclass(frozen=True)
class Optimizer(Settings):
    """What all optimisers have in common.

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size, above zero, or a schedule such as ``fastnn.CosineDecay``.
    clip_value : float, optional
        Limit every entry of the gradient to ±clip_value.
    clip_norm : float, optional
        Scale the gradient down if its Euclidean norm over all parameters is larger: by
        clip_norm / (norm + 1e-6), as torch.nn.utils.clip_grad_norm_ does.
    """

    learning_rate: Rate = 0.01
    clip_value: Positive | None = field(default=None, kw_only=True)
    clip_norm: Positive | None = field(default=None, kw_only=True)

    name: ClassVar[str]

    def __deepcopy__(self, _memo: dict[int, Any]) -> Optimizer:
        return self

    @property
    def rule(self) -> str:
        """The rule's name, by which engines know it."""
        return self.name

    @property
    def n_moments(self) -> int:
        """Numbers kept for each parameter."""
        return MOMENTS[self.rule]

    def but_rate(self) -> tuple[Any, ...]:
        """All that it is but for its rate, to be compared: users' schedules may refuse that."""
        return type(self), {**vars(self), "learning_rate": None}

    @property
    def settings(self) -> tuple[float, ...]:
        """The rule's numbers, in the order in which its class names them."""
        return ()

    def settings_in(self, dtype: np.dtype[np.floating]) -> tuple[float, ...]:
        """The settings for numbers of *dtype*: what is above 0 stays above it when rounded.

        So far above it that an epsilon stays a normal number when Adam makes it smaller.
        """
        least = 1e-30 if dtype == np.float32 else LEAST_EPSILON
        return tuple(max(value, least) if value > 0.0 else value for value in self.settings)


@guided_class
@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent: ``parameters -= learning_rate * gradient``.

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size, above zero, or a schedule such as ``fastnn.CosineDecay``.
    momentum : float
        At least 0 and below 1: how much of the last step's direction is kept.
    nesterov : bool
        Look ahead along the momentum; needs momentum above 0.
    weight_decay : float
        Added to the gradient: weight_decay times the parameters, biases included.
    clip_value, clip_norm : float, optional
        Limit every entry of the gradient to ±clip_value. Scale the gradient down if its Euclidean
        norm over all parameters is above clip_norm, as torch.nn.utils.clip_grad_norm_ does.
    """

    momentum: Fraction = 0.0
    nesterov: Flag = False
    weight_decay: NonNegative = 0.0

    name: ClassVar[str] = "sgd"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and self.momentum == 0.0:
            raise ValueError("nesterov=True needs a momentum above 0, got momentum=0.0")

    @property
    def rule(self) -> str:
        """Plain "sgd" without momentum and weight decay."""
        return "momentum" if self.momentum or self.weight_decay else "sgd"

    @property
    def settings(self) -> tuple[float, ...]:
        """Momentum, Nesterov (0 or 1), weight decay, rate inside (0 or 1)."""
        return (self.momentum, float(self.nesterov), self.weight_decay, 0.0)


@guided_class
@dataclass(frozen=True)
class RMSprop(Optimizer):
    """Steps divided by a running root mean square of each parameter's gradient.

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size, above zero, or a schedule such as ``fastnn.CosineDecay``.
    rho : float
        How much of the mean square is kept at each update, at least 0 and below 1. The defaults
        are Keras's; PyTorch's are learning_rate=0.01 and rho=0.99.
    epsilon : float
        Added to the root.
    clip_value, clip_norm : float, optional
        Limit every entry of the gradient to ±clip_value. Scale the gradient down if its Euclidean
        norm over all parameters is above clip_norm, as torch.nn.utils.clip_grad_norm_ does.
    """

    learning_rate: Rate = 0.001
    rho: Fraction = 0.9
    epsilon: NonNegative = 1e-8

    name: ClassVar[str] = "rmsprop"

    @property
    def settings(self) -> tuple[float, ...]:
        """Rho, epsilon."""
        return (self.rho, max(self.epsilon, LEAST_EPSILON))


@guided_class
@dataclass(frozen=True)
class Adagrad(Optimizer):
    """Steps divided by the root of the sum of each parameter's squared gradients.

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size, above zero, or a schedule such as ``fastnn.CosineDecay``.
    epsilon : float
        Added to the root.
    clip_value, clip_norm : float, optional
        Limit every entry of the gradient to ±clip_value. Scale the gradient down if its Euclidean
        norm over all parameters is above clip_norm, as torch.nn.utils.clip_grad_norm_ does.
    """

    epsilon: NonNegative = 1e-10

    name: ClassVar[str] = "adagrad"

    @property
    def settings(self) -> tuple[float, ...]:
        """Epsilon."""
        return (max(self.epsilon, LEAST_EPSILON),)


@guided_class
@dataclass(frozen=True)
class Adam(Optimizer):
    """Steps from running means of each parameter's gradient and squared gradient.

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size, above zero, or a schedule such as ``fastnn.CosineDecay``.
    beta_1, beta_2 : float
        How much of the two means is kept at each update, at least 0 and below 1.
    epsilon : float
        Added to the root.
    clip_value, clip_norm : float, optional
        Limit every entry of the gradient to ±clip_value. Scale the gradient down if its Euclidean
        norm over all parameters is above clip_norm, as torch.nn.utils.clip_grad_norm_ does.
    """

    learning_rate: Rate = 0.001
    beta_1: Fraction = 0.9
    beta_2: Fraction = 0.999
    epsilon: NonNegative = 1e-8

    name: ClassVar[str] = "adam"

    @property
    def rule(self) -> str:
        """AdamW shares it."""
        return "adam"

    @property
    def settings(self) -> tuple[float, ...]:
        """Beta 1, beta 2, epsilon, decay, plain epsilon (0 or 1)."""
        return (self.beta_1, self.beta_2, max(self.epsilon, LEAST_EPSILON), 0.0, 0.0)


@guided_class
@dataclass(frozen=True)
class AdamW(Adam):
    """Adam, with weight decay apart from the gradient: p -= learning_rate weight_decay p.

    Parameters
    ----------
    learning_rate : float or Schedule
        Step size, above zero, or a schedule such as ``fastnn.CosineDecay``.
    beta_1, beta_2 : float
        How much of the two means is kept at each update, at least 0 and below 1.
    epsilon : float
        Added to the root.
    weight_decay : float
        Of all parameters, biases included.
    clip_value, clip_norm : float, optional
        Limit every entry of the gradient to ±clip_value. Scale the gradient down if its Euclidean
        norm over all parameters is above clip_norm, as torch.nn.utils.clip_grad_norm_ does.
    """

    weight_decay: NonNegative = 0.01

    name: ClassVar[str] = "adamw"

    @property
    def settings(self) -> tuple[float, ...]:
        """Beta 1, beta 2, epsilon, decay, plain epsilon (0 or 1)."""
        return (*super().settings[:3], self.weight_decay, 0.0)


@guided_class
@dataclass(frozen=True)
class LBFGS(Settings):
    """SciPy's L-BFGS-B on all samples at once; an iteration is an epoch.

    It has no learning rate, takes no batches, does not shuffle, and remembers nothing from one
    ``fit`` to the next.

    Parameters
    ----------
    max_evaluations : int, optional
        The most evaluations of loss and gradient: by default as many as the epochs need.
    memory : int
        How many of the last steps it remembers, two vectors each: at most 1000.
    tolerance : float
        Training ends when no entry of the gradient is further from 0.
    """

    max_evaluations: AtLeast1 | None = None
    memory: Memory = 10
    tolerance: NonNegative = 1e-5

    name: ClassVar[str] = "lbfgs"


OPTIMIZERS = {kind.name: kind for kind in (SGD, RMSprop, Adagrad, Adam, AdamW)}


def get_lbfgs(optimizer: object, learning_rate: object) -> LBFGS | None:
    """The settings of L-BFGS if ``fit`` was asked for it, else None."""
    settings = LBFGS() if isinstance(optimizer, str) and optimizer == LBFGS.name else optimizer
    if not isinstance(settings, LBFGS):
        return None
    if learning_rate is not None:
        raise ValueError(
            f"optimizer='lbfgs' has no learning rate, got learning_rate={short(learning_rate)}"
        )
    return settings


def get_optimizer(optimizer: object, learning_rate: Any) -> Optimizer:
    """The optimiser that ``fit`` was asked for: by name with a rate, or ready made."""
    if isinstance(optimizer, Optimizer):
        if learning_rate is not None:
            raise ValueError(
                f"learning_rate={short(learning_rate)} was given beside an optimizer object that "
                f"has its own ({optimizer.learning_rate!r}); give one of the two"
            )
        return optimizer
    if isinstance(optimizer, LBFGS) or (isinstance(optimizer, str) and optimizer == LBFGS.name):
        raise ValueError("optimizer='lbfgs' needs all samples at once: it is for fit only")
    if not isinstance(optimizer, str):
        raise TypeError(
            "optimizer must be a name or an optimizer such as fastnn.Adam(), "
            f"got {_describe(optimizer)}"
        )
    kind = find(optimizer, OPTIMIZERS, "optimizer", {LBFGS.name: LBFGS.name})
    known = learning_rate is None or type(learning_rate) is float
    return _made(kind, learning_rate) if known else kind(learning_rate)


@lru_cache(maxsize=64)
def _made(kind: type[Optimizer], learning_rate: float | None) -> Optimizer:
    """One for all who ask for the same: it never changes, and its checks take a while."""
    return kind() if learning_rate is None else kind(learning_rate)


def _describe(thing: object) -> str:
    """What came instead of an optimiser; one of another library may print as pages."""
    if isinstance(thing, type) and issubclass(thing, Optimizer | LBFGS):
        return f"the class fastnn.{thing.__name__}: did you forget the parentheses?"
    kind = thing if isinstance(thing, type) else type(thing)
    if thing is None or isinstance(thing, Number):
        return describe(thing)
    return f"{kind.__module__}.{kind.__qualname__}"
