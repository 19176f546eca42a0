"""Pictures that several demos draw: data with what was fitted to them, and the loss."""

from typing import Any

import numpy as np

from fastnn import History, Network
from fastnn.demos.lesson import Lesson


def draw_fit(
    lesson: Lesson, name: str, net: Network, data: tuple[np.ndarray, np.ndarray], title: str
) -> None:
    """The samples X and y and the network's outputs: a curve, or a boundary between two inputs.

    With more inputs, its weights.
    """
    X, y = data
    picture = lesson.picture(name)
    if net.layer_sizes[0] > 2:
        net.plot_weights(picture.subplots(1, len(net.weights)))
        picture.suptitle(title)
    elif net.layer_sizes[0] == 2:
        net.plot_boundary(X, y, picture.subplots()).set_title(title)
    else:
        axes = picture.subplots()
        margin = 0.05 * (X.max() - X.min())
        line = np.linspace(X.min() - margin, X.max() + margin, 400)
        axes.plot(line, net.predict(line)[:, 0], color="tab:red", label="the network")
        axes.plot(X, y, "o", color="tab:blue", markersize=8 if len(X) < 30 else 3, label="data")
        axes.set(xlabel="x", ylabel="y", title=title)
        axes.grid(alpha=0.3)
        axes.legend()
    lesson.save(picture)


def draw_losses(
    lesson: Lesson, name: str, history: History, title: str, loss: str, **options: Any
) -> None:
    """The *loss* of every epoch; the *options* are of matplotlib's ``Axes.set``."""
    picture = lesson.picture(name)
    axes = history.plot(picture.subplots())
    axes.set(title=title, ylabel=loss, **options)
    lesson.save(picture)
