"""The five documents that this library grew from, each as a program to read and to run; and more.

The demo of a document trains what its document trains, prints the document's figures beside its
own, and counts those that differ. `Demo.run` imports a demo only when it is run.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastnn.demos.lesson import Lesson


@dataclass(frozen=True)
class Demo:
    """One demo: the module ``fastnn.demos.<name>`` and what it shows, in a line."""

    name: str
    line: str

    def run(self, lesson: Lesson) -> None:
        """Run the demo; what it prints and finds goes through *lesson*."""
        importlib.import_module(f"fastnn.demos.{self.name}").run(lesson)


DEMOS = {
    demo.name: demo
    for demo in (
        Demo("neuron", "one neuron, one number in: gradient descent and when to stop it"),
        Demo("gate", "three inputs, what one neuron cannot learn, and a hidden layer that can"),
        Demo("logistic", "forward and backward by hand, then loops against vectors"),
        Demo("celsius", "one linear neuron finds the formula from Celsius to Fahrenheit"),
        Demo("curve", "128 hidden units fit a function, a million updates, one sample each"),
        Demo("cartpole", "a network within a compiled loop balances a pole for a million steps"),
    )
}
