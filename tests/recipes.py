"""Ways to train, as data, and a small driver that runs them on an engine, without ``fit``."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field, replace
from typing import Any

import helpers
import numpy as np
import pytest

import fastnn
from fastnn.activations import ACTIVATIONS
from fastnn.architecture import Architecture
from fastnn.contract import Piece, Plan, Samples, State
from fastnn.engines import get_engine
from fastnn.losses import LOSSES
from fastnn.optimizers import Optimizer
from fastnn.reference.random import uniforms

N = 15
HIDDEN_SIZES = (4, 3, 5)

#: With epsilons against which a gradient of 0 that rounding has made 1e-17 does not count: divided
#: by its own root, the step would be anything.
OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": fastnn.SGD(0.05),
    "decay": fastnn.SGD(0.05, weight_decay=0.1),
    "momentum": fastnn.SGD(0.02, momentum=0.9),
    "nesterov": fastnn.SGD(0.02, momentum=0.8, nesterov=True, weight_decay=0.05),
    "rmsprop": fastnn.RMSprop(0.01, rho=0.95, epsilon=1e-6),
    "adagrad": fastnn.Adagrad(0.05, epsilon=1e-6),
    "adam": fastnn.Adam(0.02, beta_1=0.8, beta_2=0.99, epsilon=1e-6),
    "adamw": fastnn.AdamW(0.02, weight_decay=0.1),
}
ALL = "all"
#: The factors of the grid over which engines are compared with PyTorch.
GRID: dict[str, list[Any]] = {
    "optimizer": list(OPTIMIZERS),
    "loss": list(helpers.LOSSES),
    "activation": [name for name, row in ACTIVATIONS.items() if not row.output_only],
    "depth": [0, 1, 2, 3],
    "batch": [1, 7, ALL],
    "bias": [True, False],
}


@dataclass(frozen=True)
class Outcome:
    """What a training left behind."""

    parameters: np.ndarray
    loss_sums: np.ndarray
    penalty_sums: np.ndarray
    state: State


@dataclass(frozen=True)
class Recipe:
    """A network, data, and how it is trained.

    *network* are more fields of `Architecture`, *plan* more fields of `Plan`, *clip* more fields of
    the optimiser. With *weighted*, samples have weights. With *rate_per_update*, the rate
    changes from update to update.
    """

    optimizer: str = "momentum"
    loss: str = "squared_error"
    activation: str = "tanh"
    depth: int = 2
    batch: int | str = 7
    bias: bool = True
    outputs: int = 2
    reduction: str = "mean"
    dtype: str = "float64"
    network: dict[str, Any] = field(default_factory=dict)
    plan: dict[str, Any] = field(default_factory=dict)
    clip: dict[str, Any] = field(default_factory=dict)
    weighted: bool = False
    rate_per_update: bool = False

    def __str__(self) -> str:
        bias = "bias" if self.bias else "nobias"
        parts = [self.optimizer, self.loss, self.activation, self.depth, self.batch, bias]
        default = Recipe()
        names = ("outputs", "reduction", "dtype", "weighted", "rate_per_update")
        others = {name: getattr(self, name) for name in names}
        changed = {name: v for name, v in others.items() if v != getattr(default, name)}
        extras = changed | self.network | self.plan | self.clip
        parts += [f"{name}={value}".replace(" ", "") for name, value in extras.items()]
        return "-".join(map(str, parts))

    @property
    def architecture(self) -> Architecture:
        hidden = [ACTIVATIONS[self.activation]] * self.depth
        loss = LOSSES[self.loss]
        return Architecture(
            sizes=(2, *HIDDEN_SIZES[: self.depth], self.outputs),
            activations=(*hidden, ACTIVATIONS[loss.output_activation]),
            loss=loss,
            reduction=self.reduction,
            bias=self.bias,
            dtype=np.dtype(self.dtype),
            **self.network,
        )

    @property
    def batch_size(self) -> int:
        return N if self.batch == ALL else int(self.batch)

    @property
    def ready_optimizer(self) -> Optimizer:
        return replace(OPTIMIZERS[self.optimizer], **self.clip)

    @property
    def ready_plan(self) -> Plan:
        return Plan(self.batch_size, self.ready_optimizer, weighted=self.weighted, **self.plan)

    @property
    def start(self) -> np.ndarray:
        """Start parameters, biases too."""
        return _numbers(1, self.architecture.n_parameters, self.dtype, -0.8, 0.8)

    @property
    def samples(self) -> Samples:
        """Data that the loss takes; numbers with few digits, so that float32 has them too."""
        X = _numbers(2, (N, 2), self.dtype, -1.5, 1.5)
        Y = targets(self.loss, N, self.outputs, self.dtype)
        weights = _numbers(3, N, self.dtype, 0, 2) if self.weighted else None
        for array in (X, Y, weights):
            if array is not None:
                array.flags.writeable = False
        return Samples(X, Y, weights)

    @property
    def epochs(self) -> int:
        return {1: 3, ALL: 10}.get(self.batch, 5)

    @property
    def order(self) -> np.ndarray:
        """A random order of the samples for each epoch."""
        return np.argsort(_numbers(4, (self.epochs, N), "float64", 0, 1), axis=1)

    @property
    def rates(self) -> np.ndarray:
        rate = self.ready_optimizer.learning_rate
        updates = -(-N // self.batch_size) if self.rate_per_update else 1
        total = self.epochs * updates
        falling = np.linspace(1, 0.5, total) if self.rate_per_update else np.ones(total)
        return (rate * falling).reshape(self.epochs, updates)

    def train(
        self, engine: str, cuts: tuple[int, ...] = (), samples: Samples | None = None
    ) -> Outcome:
        """Train on the engine; with *cuts*, each epoch in pieces that end at these positions.

        *samples* take the place of the recipe's own.
        """
        samples = samples or self.samples
        state = State.new(self.start, self.ready_optimizer)
        trainer = get_engine(engine).trainer(self.architecture, self.ready_plan)
        whole = Piece.of_epochs(self.rates, self.order, N)
        for piece in _cut(whole, self.batch_size, cuts) if cuts else [whole]:
            trainer.run(state, samples, piece)
        return Outcome(state.parameters, whole.loss_sums, whole.penalty_sums, state)


def summed(
    engine: Any, architecture: Architecture, parameters: np.ndarray, samples: Samples
) -> tuple[float, np.ndarray]:
    """The sums of the samples' losses and gradients, times their weights, without penalties."""
    plan = Plan(len(samples), fastnn.SGD(), weighted=samples.weights is not None)
    alone = replace(architecture, reduction="sum", l1=0.0, l2=0.0)
    loss_sum, penalty_sum, gradient = engine.differentiator(alone, plan)(parameters, samples)
    assert penalty_sum == 0.0
    return loss_sum, gradient


def _cut(whole: Piece, batch_size: int, cuts: tuple[int, ...]) -> list[Piece]:
    pieces = []
    for epoch in range(len(whole.rates)):
        one = slice(epoch, epoch + 1)
        for start, stop in itertools.pairwise((0, *cuts, N)):
            per_update = whole.rates.shape[1] > 1
            updates = slice(start // batch_size, -(-stop // batch_size)) if per_update else slice(1)
            pieces.append(
                Piece(whole.rates[one, updates], whole.order[one], start, stop,
                      whole.loss_sums[one], whole.penalty_sums[one])
            )  # fmt: skip
    return pieces


def _numbers(key: int, shape: Any, dtype: str, low: float, high: float) -> np.ndarray:
    """Numbers that are the same for ever, of 20 bits: NumPy's own generators may change."""
    counters = np.arange(np.prod(shape), dtype=np.uint64).reshape(shape)
    return (low + (high - low) * np.round(uniforms(key, counters) * 2**20) / 2**20).astype(dtype)


def targets(loss: str, n: int, m: int, dtype: str) -> np.ndarray:
    """Targets (n, m) that *loss* takes."""
    kind = LOSSES[loss].targets
    numbers = _numbers(5, (n, m), "float64", 0, 1)
    if kind == "classes":
        Y = np.eye(m)[np.argmax(numbers, axis=1)]
    elif kind == "unit":
        Y = np.round(4 * numbers) / 4
    elif kind == "counts":
        Y = np.floor(4 * numbers)
    elif kind == "signs":
        Y = np.where(numbers < 0.5, -1, 1)
    else:
        Y = 4 * numbers - 2
    return np.ascontiguousarray(Y, dtype)


def every_pair() -> list[Recipe]:
    """A few recipes in which every two values of different factors of `GRID` meet.

    Greedy: each takes a pair that has not met and the best of some random values for the rest.
    Without hidden layers the activation has no say, so that depth 0 does not meet any.
    """
    draw = random.Random(5)
    names = list(GRID)
    left = {
        ((first, one), (second, other))
        for first, second in itertools.combinations(names, 2)
        for one, other in itertools.product(GRID[first], GRID[second])
        if (first, second, other) != ("activation", "depth", 0)
    }

    def met(point: dict[str, Any]) -> set:
        counted = [name for name in names if name != "activation" or point["depth"]]
        return set(itertools.combinations([(name, point[name]) for name in counted], 2))

    recipes = []
    while left:
        pair = min(left, key=repr)
        points = [{name: draw.choice(GRID[name]) for name in names} | dict(pair) for _ in range(60)]
        if "activation" in dict(pair):
            points = [point | {"depth": point["depth"] or 1} for point in points]
        best = max(points, key=lambda point: len(met(point) & left))
        left -= met(best)
        recipes.append(Recipe(**best))
    return recipes


#: What changes a training beside the grid, each alone and some together.
OPTIONS = [
    Recipe(reduction="sum", optimizer="sgd"),
    Recipe(rate_per_update=True, optimizer="adam", batch=1),
    Recipe(rate_per_update=True, batch=7),
    Recipe(outputs=1, loss="huber"),
    Recipe(outputs=3, loss="cross_entropy"),
    *(
        Recipe(reduction=reduction, network=penalty, optimizer=optimizer, batch=batch)
        for reduction in ("mean", "sum")
        for penalty, optimizer, batch in (
            ({"l1": 0.02}, "sgd", 1),
            ({"l2": 0.3}, "sgd", 7),
            ({"l1": 0.01, "l2": 0.1}, "adam", ALL),
        )
    ),
    Recipe(network={"l1": 0.02, "l2": 0.3}, plan={"penalty_per_batch": True}, batch=7),
    Recipe(network={"max_norm": 0.7}, optimizer="sgd"),
    Recipe(network={"max_norm": 0.7}, optimizer="adam", batch=1, bias=False),
    Recipe(clip={"clip_value": 0.05}, optimizer="sgd"),
    Recipe(clip={"clip_norm": 0.1}, optimizer="sgd", batch=1),
    Recipe(clip={"clip_value": 0.05, "clip_norm": 0.1}, optimizer="nesterov"),
    Recipe(weighted=True, optimizer="sgd", batch=1),
    Recipe(weighted=True, optimizer="rmsprop", loss="binary_cross_entropy"),
    Recipe(weighted=True, optimizer="sgd", reduction="sum", batch=ALL),
    Recipe(weighted=True, plan={"divide_by_weights": True}, network={"l2": 0.3}),
    Recipe(
        weighted=True,
        plan={"divide_by_weights": True, "penalty_per_batch": True, "scale": 0.25},
        network={"l2": 0.3},
    ),
    Recipe(plan={"scale": 0.25}, optimizer="sgd", batch=1),
    Recipe(plan={"scale": 3.0}, optimizer="sgd", batch=7, network={"l2": 0.1}),
    Recipe(
        weighted=True,
        network={"l1": 0.02, "l2": 0.3, "max_norm": 0.9},
        plan={"scale": 2.0},
        clip={"clip_value": 0.3, "clip_norm": 0.6},
        optimizer="adamw",
        activation="gelu",
        depth=3,
    ),
]

#: What the golden file holds: every value of every factor and each option, few enough to read.
GOLDEN = [
    *(
        Recipe(
            optimizer=list(OPTIMIZERS)[i % len(OPTIMIZERS)],
            loss=GRID["loss"][(i + i // 8) % len(helpers.LOSSES)],
            activation=GRID["activation"][i % len(GRID["activation"])],
            depth=(1, 2, 3, 1, 0)[i % 5],
            batch=GRID["batch"][i % 3],
            bias=i % 7 != 0,
        )
        for i in range(22)
    ),
    *OPTIONS,
]


def on_engines(
    recipes: list[Recipe],
    engines: tuple[str, ...] = ("numpy", "numba"),
):
    """Run a test with each engine and recipe; slow with numba, which compiles for every recipe."""
    return pytest.mark.parametrize(
        ("engine", "recipe"),
        [
            pytest.param(
                engine,
                recipe,
                id=f"{engine}-{recipe}",
                marks=[pytest.mark.slow] if engine == "numba" else [],
            )
            for engine in engines
            for recipe in recipes
        ],
    )
