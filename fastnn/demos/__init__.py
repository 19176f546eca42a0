"""The five documents that this library grew from, each as a program to read and to run; and more.

A demo is a module here, ``fastnn/demos/neuron.py``: its document's system on a page, to read, copy
and run. The module of that name in ``checks`` prints the document's figures beside ours, and counts
those that differ; `own` runs the system with other numbers. `Demo` imports them only when it runs.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastnn.demos.lesson import Lesson


@dataclass(frozen=True)
class Demo:
    """One demo: the module ``fastnn.demos.<name>``, what it shows, in a line, and after whom.

    Attributes
    ----------
    name, line : str
    document : str
        The title of the document that it follows, and where it is known from.
    numbers : dict
        Those of the document that a user may change: the defaults of the module's functions.
    """

    name: str
    line: str
    document: str
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def run(self, lesson: Lesson) -> None:
        """Run the demo; what it prints and finds goes through *lesson*."""
        importlib.import_module(f"fastnn.demos.checks.{self.name}").run(lesson)

    def run_with(self, lesson: Lesson, numbers: Mapping[str, Any]) -> None:
        """Run its system with other numbers."""
        importlib.import_module("fastnn.demos.own").run(lesson, self, numbers)


DEMOS = {
    demo.name: demo
    for demo in (
        Demo(
            "neuron",
            "one neuron, one number in: gradient descent and when to stop it",
            "a minimal neural network in 99 lines (orczhou.com; code: github.com/orczhou/ssnn)",
            {"epochs": 50_000, "learning_rate": 0.01, "hidden": ()},
        ),
        Demo(
            "gate",
            "three inputs, what one neuron cannot learn, and a hidden layer that can",
            "簡單搭建自己的神經網絡, building a simple neural network of one's own (code after "
            "github.com/llSourcell/Make_a_neural_network)",
            {"epochs": 20_000, "learning_rate": 0.1, "hidden": (4,)},
        ),
        Demo(
            "logistic",
            "forward and backward by hand, then loops against vectors",
            "神经网络基础：计算方法及其 Python 实现, basics of neural networks, how to compute "
            "them and how in Python (third note of a series on telling pictures of cats)",
            {"epochs": 1_000, "learning_rate": 0.1, "hidden": ()},
        ),
        Demo(
            "celsius",
            "one linear neuron finds the formula from Celsius to Fahrenheit",
            "Python 上的单神经元神经网络——具有数学直觉, a one-neuron network in Python, with "
            "mathematical intuition (2021-06-21)",
            {"epochs": 10_000, "learning_rate": 0.001, "hidden": ()},
        ),
        Demo(
            "curve",
            "128 hidden units fit a function, a million updates, one sample each",
            "单入单出的两层神经网络能做什么, what a two-layer network with one input and one "
            "output can do",
            {"epochs": 1_000, "learning_rate": 0.1, "hidden": (128,), "samples": 1_000},
        ),
        Demo(
            "cartpole",
            "a network within a compiled loop balances a pole for a million steps",
            "Barto, Sutton and Anderson, Neuronlike adaptive elements that can solve difficult "
            "learning control problems (IEEE Transactions on Systems, Man, and Cybernetics, 1983)",
        ),
        Demo(
            "pendulum",
            "a law of motion that a network has learned, integrated with its Jacobian",
            "the damped pendulum of any textbook of mechanics",
        ),
        Demo(
            "slopes",
            "a curve from values and slopes, with half the samples",
            "Czarnecki and others, Sobolev training for neural networks (NeurIPS 2017)",
        ),
    )
}
