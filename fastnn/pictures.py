"""What a history and a network draw, and what scientific Python's own displays need to draw one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.architecture import Architecture
from fastnn.contract import quiet
from fastnn.inputs import Inputs
from fastnn.metrics import of_targets
from fastnn.names import describe
from fastnn.plotting import pyplot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

#: Points of the grid along each input, and how far it reaches beyond the data.
GRID, MARGIN = 200, 0.08
#: Between ticks, times a power of ten.
STEPS = (1, 2, 5, 10)
#: Weights up to which each is written into its square.
MOST_WRITTEN = 48


class Pictured:
    """The part of `fastnn.Network` that draws it."""

    _architecture: Architecture
    _inputs: Inputs

    @property
    def parameters(self) -> np.ndarray:
        """See `fastnn.Network.parameters`."""
        raise NotImplementedError

    def predict(self, X: Any) -> np.ndarray:
        """See `fastnn.Network.predict`."""
        raise NotImplementedError

    @quiet
    def plot_boundary(self, X: Any, y: Any, ax: Axes | None = None) -> Axes:
        """Draw samples with two inputs, and what the network says around them; needs matplotlib.

        For classes their regions, with the line between two of them; for regression the output.
        Samples without a target, where these may be missing, are not drawn.

        Parameters
        ----------
        X, y : array-like
            As in `fit`.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ValueError
            For a network without two inputs, or with several targets that are no classes.
        """
        n_in = self._architecture.sizes[0]
        if n_in != 2:
            raise ValueError(f"plot_boundary needs a network with two inputs, got {n_in}")
        n_targets, classes = self._architecture.n_targets, _classes(self._architecture)
        if n_targets > 1 and not classes:
            raise ValueError(f"plot_boundary draws one target, or classes; got {n_targets} targets")
        rows = self._inputs.array(X)
        samples = self._inputs.samples(rows, y)
        ax = axes_for(ax, 6.0, 4.8)
        x1, x2, grid = _grid(rows)
        values = of_targets(self.predict(grid), n_targets)
        if classes > 2 or n_targets > 1:
            values, targets = values.argmax(axis=1), samples.Y.argmax(axis=1)
            _draw_regions(ax, x1, x2, values.reshape(x1.shape), classes)
        else:
            values, targets = values[:, 0], samples.Y[:, 0]
            given = ~np.isnan(targets)
            rows, targets = rows[given], targets[given]
            drawn = _draw_values(ax, x1, x2, values.reshape(x1.shape), targets, self._architecture)
        if classes:
            _draw_classes(ax, rows, targets, classes)
        else:
            ax.scatter(
                rows[:, 0], rows[:, 1], c=targets, s=26, edgecolors="white",
                cmap=drawn.cmap, norm=drawn.norm, zorder=3,
            )  # fmt: skip
        ax.set(xlabel="input 1", ylabel="input 2")
        return ax

    @quiet
    def plot_weights(self, axes: Sequence[Axes] | None = None) -> list[Axes]:
        """Draw each layer's weights as a map of colours, the biases below; needs matplotlib.

        A row for each input of a layer, a column for each unit; blue is negative, red positive.

        Parameters
        ----------
        axes : sequence of matplotlib.axes.Axes, optional
            Where to draw, one for each layer; a new figure by default.

        Returns
        -------
        list of matplotlib.axes.Axes
        """
        layers = self._architecture.layers
        if axes is None:
            width = 1.2 + 3.6 * len(layers)
            figure = pyplot().figure(figsize=(width, 3.6), layout="constrained")
            axes = list(figure.subplots(1, len(layers), squeeze=False)[0])
        axes = list(np.ravel(np.array(axes, dtype=object)))
        if len(axes) != len(layers):
            raise ValueError(f"axes must be one for each of {len(layers)} layers, got {len(axes)}")
        axes = [_checked_axes(ax, f"axes[{k}]") for k, ax in enumerate(axes)]
        weights = self._architecture.weight_views(self.parameters)
        biases = self._architecture.bias_views(self.parameters)
        for k, (ax, layer) in enumerate(zip(axes, layers, strict=True)):
            bias = biases[k][np.newaxis] if biases else np.empty((0, layer.n_out))
            title = f"layer {k + 1}: {layer.n_in} → {layer.n_out}, {layer.activation.name}"
            _draw_weights(ax, weights[k], bias)
            ax.set(title=title, xlabel="unit", ylabel="input")
        return axes

    # What scikit-learn's DecisionBoundaryDisplay asks of an estimator.

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, Tags, TargetTags

        if not _classes(self._architecture):
            # Of regressors it draws what `predict` returns, and only in one dimension. Others of
            # which it draws a `decision_function` are called so.
            return Tags("outlier_detector", TargetTags(required=True), requires_fit=False)
        target, classifier = TargetTags(required=True), ClassifierTags()
        return Tags("classifier", target, classifier_tags=classifier, requires_fit=False)

    @property
    def classes_(self) -> np.ndarray:
        """The numbers of the classes, for scikit-learn; regression has none."""
        if not _classes(self._architecture):
            raise AttributeError("classes_ are only of networks for classification")
        return np.arange(_classes(self._architecture))

    @property
    def predict_proba(self) -> Any:
        """A function of X: probabilities of the classes, (n, n_classes), for scikit-learn."""
        if not _classes(self._architecture) or self._architecture.loss.targets == "signs":
            raise AttributeError("predict_proba is only of networks with probabilities of classes")

        def predict_proba(X: Any) -> np.ndarray:
            outputs = self.predict(X)
            return outputs if outputs.shape[1] > 1 else np.hstack([1 - outputs, outputs])

        return predict_proba

    @property
    def decision_function(self) -> Any:
        """A function of X: the single output (n,), for scikit-learn; not for probabilities."""
        probabilities = _classes(self._architecture) and self._architecture.loss.targets != "signs"
        if self._architecture.n_targets > 1 or probabilities:
            raise AttributeError("decision_function is only of networks with one target")

        def decision_function(X: Any) -> np.ndarray:
            return of_targets(self.predict(X), 1)[:, 0]

        return decision_function


def _classes(architecture: Architecture) -> int:
    """How many classes a network tells apart; 0: it is for regression, or for several answers."""
    if architecture.loss.targets == "classes":
        return architecture.sizes[-1]
    return (
        2 if architecture.loss.targets in ("unit", "signs") and architecture.sizes[-1] == 1 else 0
    )


def axes_for(ax: Axes | None, width: float, height: float) -> Axes:
    """Where to draw: *ax*, or those of a new figure of this size."""
    if ax is not None:
        return _checked_axes(ax, "ax")
    new: Axes = pyplot().subplots(figsize=(width, height), layout="constrained")[1]
    return new


def _checked_axes(ax: Any, name: str) -> Axes:
    """What can be drawn on."""
    if isinstance(ax, type) or not hasattr(ax, "plot"):
        raise TypeError(f"{name} must be a matplotlib.axes.Axes, got {describe(ax)}")
    axes: Axes = ax
    return axes


def _grid(X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both inputs at the points of a grid around the samples, and the points (n, 2)."""
    low, high = X.min(axis=0).astype(np.float64), X.max(axis=0).astype(np.float64)
    margin = MARGIN * np.where(high > low, high - low, 1.0)
    sides = [np.linspace(a, b, GRID) for a, b in zip(low - margin, high + margin, strict=True)]
    x1, x2 = np.meshgrid(*sides)
    return x1, x2, np.column_stack([x1.ravel(), x2.ravel()])


def _draw_regions(ax: Axes, x1: np.ndarray, x2: np.ndarray, values: np.ndarray, n: int) -> None:
    colors = [f"C{k % 10}" for k in range(n)]
    levels = np.arange(n + 1) - 0.5
    ax.contourf(x1, x2, values, levels=levels, colors=colors, alpha=0.3)
    _draw_lines(ax, (x1, x2, values), levels[1:-1], color="white", linewidth=1)


def _draw_values(
    ax: Axes, x1: np.ndarray, x2: np.ndarray, values: np.ndarray, targets: np.ndarray,
    architecture: Architecture,
) -> Any:  # fmt: skip
    """One output as colours, of two classes with the line between them; what has the colours."""
    limits = {"unit": (0.0, 1.0), "signs": (-2.0, 2.0)}.get(architecture.loss.targets)
    colors = "viridis" if limits is None else "RdBu_r"
    if limits is None or not _classes(architecture):
        both = np.concatenate([values.ravel(), targets])
        limits = float(both.min()), float(both.max())
    drawn = ax.pcolormesh(
        x1, x2, values, cmap=colors, vmin=limits[0], vmax=limits[1], alpha=0.6, rasterized=True
    )
    ax.figure.colorbar(drawn, ax=ax, label="output")
    if _classes(architecture):
        middle = 0.5 if architecture.loss.targets == "unit" else 0.0
        if values.min() < middle < values.max():
            _draw_lines(ax, (x1, x2, values), [middle], color="black", linewidth=1.5)
    return drawn


def _draw_lines(ax: Axes, grid: tuple[np.ndarray, ...], levels: Any, **style: Any) -> None:
    """Where values on a grid have these levels: as lines, which a legend keeps clear of."""
    found = ax.contour(*grid, levels=levels)
    found.remove()
    for segments in found.allsegs:
        for points in segments:
            ax.plot(points[:, 0], points[:, 1], **style)


def _draw_classes(ax: Axes, X: np.ndarray, targets: np.ndarray, classes: int) -> None:
    """The samples, each in the colour of its class; of two classes blue and red."""
    numbers = (targets > 0.5).astype(int) if classes == 2 else targets.astype(int)
    for k in np.unique(numbers):
        of_class = X[numbers == k]
        color = f"C{k % 10}" if classes > 2 else ("tab:blue", "tab:red")[k]
        ax.scatter(
            of_class[:, 0], of_class[:, 1], s=26, color=color, edgecolors="white",
            label=f"class {k}", zorder=3,
        )  # fmt: skip
    if len(numbers):
        ax.legend(loc="best", framealpha=0.9)


def _draw_weights(ax: Axes, weights: np.ndarray, bias: np.ndarray) -> None:
    numbers = np.vstack([weights, bias])
    most = float(np.abs(numbers[np.isfinite(numbers)]).max(initial=0.0)) or 1.0
    drawn = ax.imshow(numbers, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")
    ax.figure.colorbar(drawn, ax=ax)
    n_in, n_out = weights.shape
    units, inputs = (range(0, n, -(-n // 8)) for n in (n_out, n_in))
    ax.set_xticks(units, [f"{unit:,}" for unit in units])
    names = [*map(str, inputs), *["bias"] * len(bias)]
    ax.set_yticks([*inputs, *range(n_in, n_in + len(bias))], names)
    if len(bias):
        ax.axhline(n_in - 0.5, color="white", linewidth=3)
    if numbers.size <= MOST_WRITTEN and n_out <= 8:
        for (i, j), number in np.ndenumerate(numbers):
            color = "white" if abs(number) > 0.6 * most else "black"
            ax.text(j, i, f"{number:.2g}", ha="center", va="center", color=color, fontsize="small")


def draw_course(
    losses: dict[str, list[float]], metrics: dict[str, list[float]], ax: Axes | None
) -> Axes:
    """Draw losses, the first of which may be empty, and metrics by name: `fastnn.History.plot`."""
    ax = axes_for(ax, 6.4, 4.0)
    lines = []
    for k, (label, values) in enumerate(losses.items()):
        if k == 0 or values:
            epochs = range(1, len(values) + 1)
            lines += ax.plot(epochs, values, color=f"C{k}", label=label)
    ax.set(xlabel="epoch", ylabel="loss")
    _scale(ax, np.concatenate([np.array(values, float) for values in losses.values()]))
    _whole_numbers(ax.xaxis)
    ax.grid(alpha=0.3)
    if metrics:
        right = ax.twinx()
        for k, (name, values) in enumerate(metrics.items(), start=2):
            epochs = range(1, len(values) + 1)
            lines += right.plot(epochs, values, linestyle="--", color=f"C{k % 10}", label=name)
        right.set_ylabel("metrics" if len(metrics) > 1 else next(iter(metrics)))
        _legend_below(ax, lines)
    elif len(lines) > 1:
        ax.legend()
    return ax


def _legend_below(ax: Axes, lines: list[Any]) -> None:
    """A legend under the label of the epochs.

    Within it would look at the lines of one of the scales only; above is the place of a title.
    """
    from matplotlib.transforms import ScaledTranslation

    under = ax.transAxes + ScaledTranslation(0, -32 / 72, ax.figure.dpi_scale_trans)
    columns = 2 if ax.bbox.width > 4 * ax.figure.dpi else 1  # inches
    ax.legend(
        handles=lines, loc="upper left", bbox_to_anchor=(0, 0), bbox_transform=under,
        ncols=columns, frameon=False,
    )  # fmt: skip


def _whole_numbers(axis: Any) -> None:
    """Few ticks at whole numbers, with commas for thousands."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(6, integer=True, steps=STEPS))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))


def _scale(ax: Axes, values: np.ndarray) -> None:
    """A logarithmic scale, if there are no negative values, whose ticks can be read."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    if (values < 0).any():
        return
    ax.set_yscale("log")
    positive = values[(values > 0) & np.isfinite(values)]
    decades = np.log10(positive.max() / positive.min()) if len(positive) else 0.0
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,g}"))
    if decades < 0.5:
        ax.yaxis.set_major_locator(MaxNLocator(6, steps=STEPS))
    else:
        subs = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0) if decades < 1 else (1.0, 2.0, 5.0)
        ax.yaxis.set_major_locator(LogLocator(subs=subs if decades < 3 else (1.0,), numticks=12))
    ax.yaxis.set_minor_locator(NullLocator())
