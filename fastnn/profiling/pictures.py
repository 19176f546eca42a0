"""The pictures of a profile."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from fastnn.plotting import pyplot
from fastnn.profiling.machine import Ceilings, facts_as_text, size_of
from fastnn.profiling.measuring import duration, times

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fastnn.profiling.networks import NetworkProfile
    from fastnn.profiling.result import Profile

COLORS = {"python": "#c2571a", "numpy": "#2b6cb0", "numba": "#2f855a"}
_NAMES = {"python": "Python loop", "numpy": "NumPy vector", "numba": "compiled loop"}
_TITLES = {
    "dot": "dot product",
    "forward": "forward, {} samples",
    "backward": "forward and backward, {} samples",
    "sgd_epoch": "per-sample SGD, {} updates",
    "gd_epoch": "gradient descent, one update\nfrom {} samples",
}
_OPERATION_COLORS = ("#6b46c1", "#2f855a", "#d69e2e", "#c53030", "#2b6cb0")
_MARKERS = "osD^v"
_GREY = "#666666"


def draw_profile(profile: Profile) -> Figure:
    """One panel per operation, time against size, and one for the roofline."""
    plt = pyplot()
    panels = len(profile.operations) + (profile.ceilings is not None)
    columns = min(panels, 3) or 1
    rows = math.ceil(panels / columns) or 1
    figure: Figure = plt.figure(
        figsize=(max(4.6 * columns, 6.4), 3.9 * rows + 0.7), layout="constrained"
    )
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, name in zip(axes, profile.operations, strict=False):
        _draw_operation(ax, profile, name)
    if profile.ceilings is not None:
        _draw_roofline(axes[panels - 1], profile, profile.ceilings)
    for ax in axes[panels:]:
        ax.remove()
    figure.suptitle("Loop against vector against compiled", fontweight="bold")
    figure.supxlabel(facts_as_text(profile.machine), fontsize=8, color=_GREY)
    return figure


def _draw_operation(ax: Axes, profile: Profile, name: str) -> None:
    for engine, color in COLORS.items():
        rows = [row for row in profile.rows if (row.operation, row.engine) == (name, engine)]
        if not rows:
            continue
        sizes = [int(row.size) for row in rows]
        medians = [row.timing.median for row in rows]
        ax.fill_between(
            sizes,
            [row.timing.lower for row in rows],
            [row.timing.upper for row in rows],
            color=color,
            alpha=0.25,
            linewidth=0,
        )
        ax.plot(sizes, medians, "o-", color=color, markersize=4, label=_NAMES[engine])
    said = _mark_crossovers(ax, profile, name)
    said += _speed_ups(profile, name)
    ax.text(
        0.98,
        0.02,
        "\n".join(said),
        transform=ax.transAxes,
        fontsize=8,
        color=_GREY,
        ha="right",
        va="bottom",
    )
    title = _TITLES[name].format(f"{profile.samples:,}")
    unit = "length" if name == "dot" else "hidden units"
    ax.set(xscale="log", yscale="log", xlabel=unit)
    low, high = ax.get_ylim()
    ax.set_ylim(low / 12, high * 20)  # room for the words below and above
    ax.set_title(title, fontsize=10)
    _plain_axis(ax.xaxis)
    _seconds_axis(ax.yaxis)
    ax.grid(alpha=0.25)
    ax.legend(fontsize=8, loc="upper left", frameon=False)


def _mark_crossovers(ax: Axes, profile: Profile, name: str) -> list[str]:
    """A ring where the lead changes; what to say about it."""
    said = []
    for crossover in profile.crossovers(name):
        if (crossover.slower, crossover.faster) == ("python", "numba"):
            continue
        curve = profile.seconds(name, crossover.faster)
        for size, rises in crossover.changes:
            seconds = _on_curve(curve, size)
            ax.plot([size], [seconds], "o", markersize=9, fillstyle="none", color="black")
            winner, loser = crossover.faster, crossover.slower
            if not rises:
                winner, loser = loser, winner
            said.append(f"○ {winner} overtakes {loser} at ≈ {float(f'{size:.2g}'):,.0f}")
    return said


def _on_curve(curve: dict[int, float], size: float) -> float:
    """The seconds at a size between those measured, on logarithmic scales."""
    sizes = sorted(curve)
    logs = [math.log(curve[known]) for known in sizes]
    below = max(k for k, known in enumerate(sizes) if known <= size)
    above = min(below + 1, len(sizes) - 1)
    if above == below:
        return curve[sizes[below]]
    part = math.log(size / sizes[below]) / math.log(sizes[above] / sizes[below])
    return math.exp(logs[below] + part * (logs[above] - logs[below]))


def _speed_ups(profile: Profile, name: str) -> list[str]:
    """How fast the compiled loop is, at the largest size that all engines were timed at."""
    seconds = {engine: found for engine in COLORS if (found := profile.seconds(name, engine))}
    compiled = seconds.pop("numba", {})
    common = set(compiled).intersection(*seconds.values())
    if not common or not seconds:
        return []
    size = max(common)
    ratios = (
        f"{times(found[size] / compiled[size])} × {engine}" for engine, found in seconds.items()
    )
    return [f"speed compiled, at {size:,}: {', '.join(ratios)}"]


def _draw_roofline(ax: Axes, profile: Profile, ceilings: Ceilings) -> None:
    points = [(row, row.nearness) for row in profile.rows if row.nearness is not None]
    low = min([0.1, *(near.intensity for _, near in points)]) / 30
    high = max((near.intensity for _, near in points), default=10.0) * 6
    high = max(high, 3 * ceilings.peak / ceilings.read[-1])
    shown = (0, len(ceilings.held) // 2, len(ceilings.held) - 1)
    for k in shown:
        speed = ceilings.read[k]
        knee = ceilings.peak / speed
        ax.plot([low, knee], [low * speed, ceilings.peak], color=_GREY, linewidth=1)
        ax.annotate(
            f"{size_of(ceilings.held[k])}: {speed / 1e9:.0f} GB/s",
            (low, low * speed),
            xytext=(4, -1),
            textcoords="offset points",
            fontsize=8,
            color=_GREY,
            va="top",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8},
        )
    ax.plot(
        [ceilings.peak / max(ceilings.read), high],
        [ceilings.peak] * 2,
        color="black",
        linewidth=1.5,
    )
    ax.annotate(
        f"arithmetic: {ceilings.peak / 1e9:.0f} billion/s",
        (high, ceilings.peak),
        xytext=(-3, 4),
        textcoords="offset points",
        ha="right",
        fontsize=8,
    )
    for name, color, marker in zip(profile.operations, _OPERATION_COLORS, _MARKERS, strict=False):
        own = [(row, near) for row, near in points if row.operation == name]
        if not own:
            continue
        ax.plot(
            [near.intensity for _, near in own],
            [near.speed for _, near in own],
            marker + "-",
            color=color,
            markersize=4,
            linewidth=0.7,
            label=name,
        )
        _, near = max(own, key=lambda entry: entry[1].share)
        ax.annotate(
            f"{near.share:.0%}",
            (near.intensity, near.speed),
            xytext=(5, -9),
            textcoords="offset points",
            fontsize=8,
            color=color,
        )
    ax.set(xscale="log", yscale="log", xlabel="operations per byte moved", xlim=(low, high))
    ax.set_ylabel("billion operations per second")
    ax.set_title(
        "roofline: the compiled loop under its ceilings\n"
        "(a point is a size; %: the best one, of its own ceiling)",
        fontsize=10,
    )
    ax.yaxis.set_major_formatter(lambda speed, _place: f"{speed / 1e9:g}")
    _plain_axis(ax.xaxis)
    ax.yaxis.set_minor_formatter(lambda _speed, _place: "")
    bottom = min([low * ceilings.read[-1], *(near.speed for _, near in points)])
    ax.set_ylim(bottom / 2, 3 * ceilings.peak)
    ax.grid(alpha=0.25)
    ax.legend(fontsize=8, loc="lower right", frameon=False)


def draw_network(profile: NetworkProfile) -> Figure:
    """An epoch on each engine; the steps; what changes would bring."""
    plt = pyplot()
    figure: Figure = plt.figure(figsize=(12.5, 4.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    rows = profile.rows[::-1]
    bars = left.barh(
        [row.engine for row in rows],
        [row.timing.median for row in rows],
        color=[COLORS[row.engine] for row in rows],
    )
    left.bar_label(
        bars,
        [duration(row.timing.median) + (" (est.)" if row.estimated_from else "") for row in rows],
        padding=3,
        fontsize=9,
    )
    left.set(xscale="log")
    _seconds_axis(left.xaxis)
    left.set_xlim(right=20 * max(row.timing.median for row in rows))
    left.set_title("one epoch", fontsize=10)
    _draw_steps(middle, profile)
    _draw_changes(right, profile)
    batch = "per-sample" if profile.batch_size == 1 else f"batch size {profile.batch_size:,}"
    layers = "-".join(map(str, profile.layers))
    figure.suptitle(f"{layers}, {profile.samples:,} samples, {batch}", fontweight="bold")
    figure.supxlabel(facts_as_text(profile.machine), fontsize=8, color=_GREY)
    return figure


def _draw_steps(ax: Axes, profile: NetworkProfile) -> None:
    colors = {"forward": "#2b6cb0", "backward": "#d69e2e", "update": "#6b46c1"}
    labels = [
        f"{k}: {n_in}→{n_out}"
        for k, (n_in, n_out) in enumerate(zip(profile.layers, profile.layers[1:], strict=False), 1)
    ]
    starts = [0.0] * len(labels)
    for phase, color in colors.items():
        shares = [0.0] * len(labels)
        for step in profile.steps:
            if step.phase == phase:
                shares[step.layer - 1] = 100 * step.share
        bars = ax.barh(labels, shares, left=starts, color=color, label=phase)
        ax.bar_label(
            bars, [f"{share:.0f}" if share >= 4 else "" for share in shares],
            label_type="center", color="white", fontsize=8,
        )  # fmt: skip
        starts = [start + share for start, share in zip(starts, shares, strict=True)]
    ax.invert_yaxis()
    ax.set(xlabel="% of all steps, each timed alone", xlim=(0, max([*starts, 1]) * 1.05))
    ax.set_title("where the time goes, compiled, by layer", fontsize=10)
    if profile.steps:
        ax.legend(fontsize=8, frameon=False, loc="best")


def _draw_changes(ax: Axes, profile: NetworkProfile) -> None:
    changes = sorted(profile.changes, key=lambda change: change.gain)
    bars = ax.barh(
        [change.change for change in changes], [change.gain for change in changes], color="#2f855a"
    )
    ax.bar_label(bars, [f"× {times(change.gain)}" for change in changes], padding=3, fontsize=9)
    ax.axvline(1, color=_GREY, linewidth=0.8, linestyle=":")
    ax.set_xlim(0, max([1.0, *(change.gain for change in changes)]) * 1.2)
    ax.set(xlabel="times as fast as now")
    ax.set_title("what if? (compiled)", fontsize=10)


def _seconds_axis(axis: Any) -> None:
    """Ticks that read 1 µs, 1 ms, 1 s."""
    axis.set_major_formatter(lambda seconds, _place: _round_duration(seconds))
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


def _round_duration(seconds: float) -> str:
    for size, unit in ((1e-6, "ns"), (1e-3, "µs"), (1.0, "ms")):
        if seconds < 0.9999 * size:
            return f"{seconds / size * 1e3:.4g} {unit}"
    return f"{seconds:,.4g} s"
