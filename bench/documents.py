"""The five documents as jobs: all that is trained and computed in each, whole, and a short part.

A job ends in the figures that its document gives; a run that ends elsewhere fails.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np

from fastnn.demos.checks import celsius, curve, gate, logistic, neuron


@dataclass(frozen=True)
class Job:
    """Part of a document, or all of it.

    Attributes
    ----------
    do : callable
        Takes the name of an engine; returns the figures.
    figures : list of float
        The document's.
    allowed : float
        How far each may be off, as a part of it.
    seconds : dict
        About how long each engine takes, where that is more than a few seconds.
    """

    document: str
    what: str
    do: Callable[[str], np.ndarray]
    figures: list[float]
    allowed: float
    seconds: dict[str, float]
    quick: bool = False

    @property
    def label(self) -> str:
        """Document and part in words."""
        return f"{self.document}, {self.what}"

    def check(self, figures: np.ndarray) -> float:
        """The largest relative difference from the document's figures; AssertionError if large."""
        expected = np.array(self.figures)
        apart = float(np.abs((figures - expected) / expected).max())
        assert apart <= self.allowed, f"{self.label}: figures are off by {apart:.1e}"
        return apart


def neuron_keras(engine: str) -> np.ndarray:
    """21 trainings of 1,000 epochs, to find where the document's began."""
    net = neuron.train_as_keras(neuron.find_start_weight(engine), engine)
    return net.parameters


def neuron_whole(engine: str) -> np.ndarray:
    """Four trainings of up to 50,000 iterations, and the Keras version."""
    ends = [
        neuron.train(labels, cost, engine)[0].parameters
        for labels in (neuron.LAST_ONLY, neuron.LATER_HALF)
        for cost in ("sum", "mean")
    ]
    return np.concatenate([*ends, neuron_keras(engine)])


def gate_one_neuron(engine: str) -> np.ndarray:
    """10,000 full-batch iterations, for what one neuron can learn and for what it cannot."""
    gate.train_one_neuron(gate.XOR, engine)
    return gate.train_one_neuron(gate.FIRST_INPUT, engine).parameters


def gate_whole(engine: str) -> np.ndarray:
    """The same and 20,000 epochs of per-sample SGD with a hidden layer."""
    one = gate_one_neuron(engine)
    net = gate.gate.new_network(engine=engine)
    net.fit(gate.TWO_LAYER_X, gate.TWO_LAYER_Y, epochs=gate.EPOCHS, batch_size=1,
            learning_rate=0.1, shuffle=False)  # fmt: skip
    return np.concatenate([one, net.parameters])


_random = np.random.default_rng(0)
_A, _B = _random.random(logistic.LENGTH), _random.random(logistic.LENGTH)
_LISTS = _A.tolist(), _B.tolist()
_jitted_dot = numba.njit(logistic.dot)


def logistic_by_hand(engine: str) -> np.ndarray:
    """Forward, backward and a step for three samples."""
    net = logistic.neuron(engine)
    outputs = net.predict(logistic.SAMPLES_X).ravel()
    J, slopes = net.loss_and_gradient(logistic.SAMPLES_X, logistic.SAMPLES_Y)
    net.fit(logistic.SAMPLES_X, logistic.SAMPLES_Y, epochs=1, batch_size=None, learning_rate=0.1)
    return np.array([*outputs, J, *slopes])


def logistic_whole(engine: str) -> np.ndarray:
    """The same and the dot product of a million numbers, by loop, vector or compiled loop.

    Its application, the digits, is left out: the pictures come with scikit-learn.
    """
    if engine == "python":
        total = logistic.dot(*_LISTS)
    else:
        total = (_jitted_dot if engine == "numba" else np.dot)(_A, _B)
    return np.array([*logistic_by_hand(engine), total])


def celsius_to(iterations: int) -> Callable[[str], np.ndarray]:
    """Full-batch iterations from the seeded start."""

    def train(engine: str) -> np.ndarray:
        net = celsius.new_network(engine=engine)
        celsius.train(net, iterations)
        return net.parameters

    return train


def curve_to(epochs: int) -> Callable[[str], np.ndarray]:
    """Per-sample SGD; the mean squared error on the training samples."""

    def train(engine: str) -> np.ndarray:
        x = curve.samples(curve.MAIN.samples)
        net = curve.new_network(curve.MAIN.hidden, engine)
        net.fit(x, curve.curve(x), epochs=epochs, batch_size=1, learning_rate=curve.MAIN.rate,
                shuffle=False)  # fmt: skip
        return np.array([curve.mean_squared_error(net, x)])

    return train


_KERAS = [1.374991, -5.9958787]
_NEURON = [5.056985, -22.644516, 4.196520600, -18.772350851, 7.132147, -17.650942,
           5.832583711, -14.396635468]  # fmt: skip
_ONE_NEURON = [9.67299303, -0.2078435, -4.62963669]
_LOGISTIC = [0.7407749, 0.74459692, 0.74269055, 0.6541488512601813, 0.48601036, 0.3047217,
             0.07602078677077188]  # fmt: skip
_CURVE = {epochs: float(figure) for epochs, figure in curve.FIGURES}
_CELSIUS = [
    1.784266330253924,
    5.803430423134463,
]  # after 100 iterations; not in the document: the same steps in 40 digits

SHORT = [
    Job("neuron", "the Keras version", neuron_keras, _KERAS, 1e-6, {}, quick=True),
    Job("gate", "one neuron", gate_one_neuron, _ONE_NEURON, 1e-6, {}, quick=True),
    Job("logistic", "three samples", logistic_by_hand, _LOGISTIC, 1e-7, {}, quick=True),
    Job("celsius", "100 iterations", celsius_to(100), _CELSIUS, 1e-12, {}, quick=True),
    Job("curve", "1 epoch", curve_to(1), [_CURVE[1]], 1e-9, {}, quick=True),
]
WHOLE = [
    Job("neuron", "whole", neuron_whole, [*_NEURON, *_KERAS], 1e-6, {"python": 60, "numpy": 40}),
    Job("gate", "whole", gate_whole,
        [*_ONE_NEURON, *map(float, gate.PRINTED_WEIGHTS.split())], 1e-6, {}),
    Job("logistic", "whole", logistic_whole, [*_LOGISTIC, float(_A @ _B)], 1e-7, {}),
    Job("celsius", "whole", celsius_to(celsius.ITERATIONS), [1.8, 32.0], 1e-6, {"python": 20}),
    Job("curve", "whole", curve_to(curve.MAIN.epochs), [_CURVE[1000]], 1e-9,
        {"python": 500, "numpy": 65}),
]  # fmt: skip
