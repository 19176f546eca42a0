"""The panels of a profile's picture."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastnn.plotting import pyplot
from fastnn.profiling.ceilings import Ceilings, Nearness, on_curve
from fastnn.profiling.records import ONE_SWEEP, Change, Crossover, Row, Step
from fastnn.profiling.wording import duration, round_duration, rounded, size_of, times

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = {"python": "#c2571a", "numpy": "#2b6cb0", "numba": "#2f855a"}
_NAMES = {"python": "Python loop", "numpy": "NumPy vector", "numba": "compiled loop"}
_TITLES = {
    "dot": "dot product",
    "forward": "forward, {:,} samples",
    "backward": "forward and backward, {:,} samples",
    "sgd_epoch": "per-sample SGD, {:,} updates",
    "gd_epoch": "gradient descent, one update\nfrom {:,} samples",
}
_OPERATION_COLORS = ("#6b46c1", "#2f855a", "#d69e2e", "#c53030", "#2b6cb0")
_MARKERS = "osD^v"
_PHASE_COLORS = {
    "forward": "#2b6cb0", "backward": "#d69e2e", "update": "#6b46c1", "other": "#718096"
}  # fmt: skip
_GREY = "#666666"


def new_figure(panels: int, title: str, caption: str) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels, at most three in a row."""
    columns = min(panels, 3) or 1
    rows = math.ceil(panels / columns) or 1
    figure: Figure = pyplot().figure(
        figsize=(max(4.6 * columns, 6.4), 3.9 * rows + 0.7), layout="constrained"
    )
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes[panels:]:
        ax.remove()
    figure.suptitle(title, fontweight="bold")
    figure.supxlabel(caption, fontsize=8, color=_GREY)
    return figure, list(axes[:panels])


def draw_operation(ax: Axes, rows: Sequence[Row], crossovers: Sequence[Crossover]) -> None:
    """Time against size on each engine, of the *rows* of one operation."""
    curves: dict[str, dict[int, float]] = {}
    for engine, color in COLORS.items():
        own = [row for row in rows if row.engine == engine]
        if not own:
            continue
        curves[engine] = {int(row.size): row.timing.median for row in own}
        sizes, medians = list(curves[engine]), list(curves[engine].values())
        lower, upper = ([getattr(row.timing, end) for row in own] for end in ("lower", "upper"))
        ax.fill_between(sizes, lower, upper, color=color, alpha=0.25, linewidth=0)
        ax.plot(sizes, medians, "o-", color=color, markersize=4, label=_NAMES[engine])
    said = [*_mark_crossovers(ax, crossovers, curves), *_speed_ups(curves)]
    ax.text(
        0.98, 0.02, "\n".join(said),
        transform=ax.transAxes, fontsize=8, color=_GREY, ha="right", va="bottom",
    )  # fmt: skip
    name = rows[0].operation
    ax.set(xscale="log", yscale="log", xlabel="length" if name == "dot" else "hidden units")
    low, high = ax.get_ylim()
    ax.set_ylim(low / 12, high * 20)  # room for the words below and above
    ax.set_title(_TITLES[name].format(rows[0].samples), fontsize=10)
    _plain_axis(ax.xaxis)
    _seconds_axis(ax.yaxis)
    ax.grid(alpha=0.25)
    ax.legend(fontsize=8, loc="upper left", frameon=False)


def _mark_crossovers(
    ax: Axes, crossovers: Sequence[Crossover], curves: dict[str, dict[int, float]]
) -> list[str]:
    """A ring where the lead changes; what to say about it."""
    said = []
    for crossover in crossovers:
        if (crossover.slower, crossover.faster) == ("python", "numba"):
            continue
        for size, rises in crossover.changes:
            curve = sorted(curves[crossover.faster].items())
            seconds = on_curve(size, *zip(*curve, strict=True))
            ax.plot([size], [seconds], "o", markersize=9, fillstyle="none", color="black")
            pair = (crossover.slower, crossover.faster)
            loser, winner = pair if rises else pair[::-1]
            said.append(f"○ {winner} overtakes {loser} at ≈ {rounded(size)}")
    return said


def _speed_ups(curves: dict[str, dict[int, float]]) -> list[str]:
    """How fast the compiled loop is, at the largest size that all engines were timed at."""
    others = {engine: curve for engine, curve in curves.items() if engine != "numba"}
    compiled = curves.get("numba", {})
    common = set(compiled).intersection(*others.values())
    if not common or not others:
        return []
    size = max(common)
    ratios = (
        f"{times(curve[size] / compiled[size])} × {engine}" for engine, curve in others.items()
    )
    return [f"speed compiled, at {size:,}: {', '.join(ratios)}"]


def draw_roofline(ax: Axes, rows: Sequence[Row], ceilings: Ceilings) -> None:
    """The operations of the compiled loop under the ceilings of arithmetic and memory."""
    points: dict[str, list[Nearness]] = {}
    for row in rows:
        if row.nearness is not None:
            points.setdefault(row.operation, []).append(row.nearness)
    all_points = [near for own in points.values() for near in own]
    intensities = [near.intensity for near in all_points]
    low = min([0.1, *intensities]) / 100  # room for the words at the lines
    high = max(6 * max(intensities, default=10.0), 3 * ceilings.peak / ceilings.read[-1])
    ax.set(xscale="log", yscale="log", xlabel="operations per byte moved", xlim=(low, high))
    bottom = min([low * ceilings.read[-1], *(near.speed for near in all_points)])
    ax.set(ylim=(bottom / 2, 3 * ceilings.peak), ylabel="billion operations per second")
    _draw_ceilings(ax, ceilings)
    _draw_points(ax, points)
    ax.set_title(
        "roofline: the compiled loop under its ceilings\n"
        "(a point is a size; %: the ringed one, of its own ceiling)",
        fontsize=10,
    )
    _plain_axis(ax.xaxis)
    _plain_axis(ax.yaxis)
    ax.yaxis.set_major_formatter(lambda speed, _place: f"{speed / 1e9:g}")
    ax.grid(alpha=0.25)


def _draw_ceilings(ax: Axes, ceilings: Ceilings) -> None:
    """Lines for the arithmetic and for three sizes of memory, over the whole width."""
    low, high = ax.get_xlim()
    on_white = {"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8}
    for k in (0, len(ceilings.held) // 2, len(ceilings.held) - 1):
        speed = ceilings.read[k]
        knee = ceilings.peak / speed
        ax.plot([low, knee], [low * speed, ceilings.peak], color=_GREY, linewidth=1)
        said = f"{size_of(ceilings.held[k])}: {speed / 1e9:.0f} GB/s"
        _note(ax, said, (low, low * speed), (4, -1), color=_GREY, va="top", bbox=on_white)
    roof = [ceilings.peak / max(ceilings.read), high]
    ax.plot(roof, [ceilings.peak] * 2, color="black", linewidth=1.5)
    said = f"arithmetic: {ceilings.peak / 1e9:.0f} billion/s"
    _note(ax, said, (high, ceilings.peak), (-3, 6), ha="right")


def _draw_points(ax: Axes, points: dict[str, list[Nearness]]) -> None:
    """A curve for each operation, its best point ringed."""
    for (name, own), color, marker in zip(
        points.items(), _OPERATION_COLORS, _MARKERS, strict=False
    ):
        intensities, speeds = [near.intensity for near in own], [near.speed for near in own]
        best = max(own, key=lambda near: near.share)
        ax.plot(
            intensities, speeds, marker + "-", color=color, markersize=4, linewidth=0.7,
            label=f"{name}: {best.share:.0%}",
        )  # fmt: skip
        at = [best.intensity], [best.speed]
        ax.plot(*at, "o", fillstyle="none", color=color, markersize=10)
    if points:
        ax.legend(fontsize=8, loc="lower right", frameon=False)


def _note(
    ax: Axes, text: str, at: tuple[float, float], offset: tuple[int, int], **how: Any
) -> None:
    """Small words beside a point, *offset* points away."""
    ax.annotate(text, at, xytext=offset, textcoords="offset points", fontsize=8, **how)


def draw_epochs(ax: Axes, rows: Sequence[Row]) -> None:
    """An epoch on each engine."""
    rows = rows[::-1]
    medians = [row.timing.median for row in rows]
    colors = [COLORS[row.engine] for row in rows]
    bars = ax.barh([row.engine for row in rows], medians, color=colors)
    labels = [
        duration(row.timing.median) + (" (est.)" if row.estimated_from else "") for row in rows
    ]
    ax.bar_label(bars, labels, padding=3, fontsize=9)
    ax.set(xscale="log")
    _seconds_axis(ax.xaxis)
    ax.set_xlim(right=100 * max(medians))  # room for the last bar's words
    ax.set_title("one epoch", fontsize=10)


def draw_steps(ax: Axes, layers: Sequence[int], steps: Sequence[Step]) -> None:
    """What part of the time goes into each phase of each layer; *layers* are the sizes."""
    ax.set_title("where the time goes, compiled, by layer", fontsize=10)
    if not steps:
        _say_only(ax, "the phases were not measured,\nor are not what the epoch does")
        return
    pairs = itertools.pairwise(layers)
    labels = [f"{k}: {n_in}→{n_out}" for k, (n_in, n_out) in enumerate(pairs, 1)]
    others = [step.phase for step in steps if step.layer == 0]
    labels = others if others == [ONE_SWEEP] else labels + others
    starts = [0.0] * len(labels)
    for phase, color in _PHASE_COLORS.items():
        found = {step.layer: 100 * step.share for step in steps if step.phase == phase}
        alone = {step.phase: 100 * step.share for step in steps if step.layer == 0}
        shares = [
            found.get(k, 0.0) if label not in alone else alone[label] * (phase == "other")
            for k, label in enumerate(labels, 1)
        ]
        bars = ax.barh(labels, shares, left=starts, color=color, label=phase)
        ax.bar_label(
            bars, [f"{share:.0f}" if share >= 4 else "" for share in shares],
            label_type="center", color="white", fontsize=8,
        )  # fmt: skip
        starts = [start + share for start, share in zip(starts, shares, strict=True)]
    ax.invert_yaxis()
    ax.set(xlabel="% of the epoch, each phase timed alone", xlim=(0, max(starts) * 1.05))
    ax.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=4)


def draw_changes(ax: Axes, changes: Sequence[Change]) -> None:
    """How many times as fast the epoch becomes."""
    ax.set_title("what if? (compiled)", fontsize=10)
    if not changes:
        _say_only(ax, "nothing was tried")
        return
    changes = sorted(changes, key=lambda change: change.gain)
    bars = ax.barh(
        [change.change for change in changes], [change.gain for change in changes], color="#2f855a"
    )
    ax.bar_label(bars, [f"× {times(change.gain)}" for change in changes], padding=3, fontsize=9)
    ax.axvline(1, color=_GREY, linewidth=0.8, linestyle=":")
    ax.set_xlim(0, max([1.0, *(change.gain for change in changes)]) * 1.2)
    ax.set_ylim(-0.6, max(len(changes), 3) - 0.4)
    ax.set(xlabel="times as fast as now")


def _say_only(ax: Axes, text: str) -> None:
    """Words in place of a picture."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=_GREY)


def _seconds_axis(axis: Any) -> None:
    """Ticks that read 1 µs, 1 ms, 1 s."""
    axis.set_major_formatter(lambda seconds, _place: round_duration(seconds))
    axis.set_minor_formatter(lambda _seconds, _place: "")


def _plain_axis(axis: Any) -> None:
    """Ticks that read 0.1, 100, 10k, 1M."""
    axis.set_major_formatter(lambda number, _place: _short(number))
    axis.set_minor_formatter(lambda _number, _place: "")


def _short(number: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= 0.9999 * size:
            return f"{number / size:.4g}{letter}"
    return f"{number:.4g}"
