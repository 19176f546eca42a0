"""A document's system with other numbers than the document's."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn import History, Network
from fastnn.demos import Demo, drawing
from fastnn.demos.lesson import Lesson

#: Samples and parameters up to which each is printed, and lines of the course of a training.
MOST_PRINTED, LINES = 12, 10


def run(lesson: Lesson, demo: Demo, numbers: Mapping[str, Any]) -> None:
    """Train *demo*'s system with these *numbers*, and say what came of it."""
    system = importlib.import_module(f"fastnn.demos.{demo.name}")
    asked = {**demo.numbers, **numbers}
    hidden = asked.pop("hidden")
    lesson.heading(f"The system of the demo {demo.name}", demo.document)
    lesson.say(
        f"With {_words(numbers)} in place of {_words({k: demo.numbers[k] for k in numbers})}. The "
        "figures are not compared with the document's: they belong to its own numbers."
    )
    net: Network = system.new_network(hidden=hidden, engine=lesson.engine)
    history: History = system.train(net, **asked)
    lesson.part(f"{net!r}: {history.epochs:,} epochs in {history.seconds:.3g} s")
    _show_course(lesson, history)
    X, Y = np.asarray(system.X), np.asarray(system.Y)
    _show_outcome(lesson, net, X, Y)
    if lesson.plot:
        title = f"{demo.name}: {_words(numbers)}"
        drawing.draw_fit(lesson, f"{demo.name}-own", net, (X, Y), title)
        drawing.draw_losses(lesson, f"{demo.name}-own-loss", history, title, "loss")


def _show_course(lesson: Lesson, history: History) -> None:
    epochs = sorted({1, *np.linspace(1, history.epochs, LINES + 1).astype(int).tolist()})
    rows = [(f"{epoch:,}", f"{history.loss[epoch - 1]:.9g}") for epoch in epochs]
    lesson.show(["epoch", "loss"], rows)


def _show_outcome(lesson: Lesson, net: Network, X: np.ndarray, Y: np.ndarray) -> None:
    scores = net.evaluate(X, Y)
    lesson.say(", ".join(f"{name} {value:.6g}" for name, value in scores.items()) + " at the end.")
    if len(net.parameters) <= MOST_PRINTED:
        for k, W in enumerate(net.weights):
            bias = f", b = {net.biases[k].tolist()}" if net.biases else ""
            lesson.say(f"Layer {k + 1}: W = {W.tolist()}{bias}")
    if len(X) <= MOST_PRINTED:
        answers = zip(X.tolist(), Y.tolist(), net.predict(X)[:, 0].tolist(), strict=True)
        lesson.show(["x", "y", "ŷ"], [(f"{x}", f"{y:g}", f"{ours:.6f}") for x, y, ours in answers])


def _words(numbers: Mapping[str, Any]) -> str:
    """Numbers by name, as the command line has them."""
    return ", ".join(f"{name.replace('_', '-')} {text(value)}" for name, value in numbers.items())


def text(value: Any) -> str:
    """A number, or the sizes of hidden layers."""
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
