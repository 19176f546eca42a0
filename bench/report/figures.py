"""The figures: time per update by contestant, speed-up by size, growth of the cost."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.report.results import Results, Row, as_time

NAMES = {
    "numba": "fastnn",
    "numba-kernel": "fastnn, without fit()",
    "numpy": "fastnn's NumPy engine",
    "python": "fastnn's Python engine",
    "numpy-by-hand": "NumPy by hand",
    "python-by-hand": "Python by hand",
    "c": "C, gcc -O3 -ffast-math",
    "c-512": "C, and 512-bit vectors",
    "jax": "JAX scan, autodiff",
    "jax-by-hand": "JAX scan, by hand",
    "torch": "PyTorch, eager",
    "torch-compile": "PyTorch, torch.compile",
    "sklearn": "scikit-learn",
    "onnxruntime": "onnxruntime",
}
_OURS, _THEIRS = "tab:red", "tab:gray"
_COLORS = dict(
    zip(
        (name for name in NAMES if name not in ("numba", "numba-kernel")),
        ("tab:blue", "tab:green", "tab:cyan", "tab:olive", "black", "dimgray", "tab:orange",
         "gold", "tab:purple", "violet", "tab:brown", "tab:pink"),
        strict=True,
    )
)  # fmt: skip
_COLORS["numba"] = _OURS


def draw(results: Results, folder: Path) -> list[Path]:
    """Draw every figure whose rows are there; needs matplotlib."""
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, size, fill in (
        ("time-per-update", (11, 5.4), _time_per_update),
        ("speed-up-by-size", (11, 6), _speed_up),
        ("cost-growth", (10, 8), _growth),
    ):
        figure = Figure(figsize=size, layout="constrained")
        if fill(results, figure):
            statement = textwrap.fill(results.statement(), int(size[0] * 19))
            figure.supxlabel(statement, fontsize=7, color="dimgray", x=0.01, ha="left")
            written.append(folder / f"{name}.png")
            figure.savefig(written[-1], dpi=110, metadata={"Software": None})
    return written


def _time_per_update(results: Results, figure: Any) -> bool:
    groups = {
        "1-128-1, sample by sample, float64": "per-sample SGD: 1-128-1, float64, per sample",
        "784-128-10, sample by sample, float32": "per-sample SGD: 784-128-10, float32, per sample",
    }
    found = {title: results.in_group(group) for title, group in groups.items()}
    found = {title: rows for title, rows in found.items() if rows}
    if not found:
        return False
    all_axes = figure.subplots(1, len(found), squeeze=False)[0]
    for axes, (title, rows) in zip(all_axes, found.items(), strict=True):
        ordered = sorted(rows.values(), key=lambda row: -row.per_unit)
        microseconds = [row.per_unit * 1e6 for row in ordered]
        colors = [_OURS if row.contestant.startswith("numba") else _THEIRS for row in ordered]
        bars = axes.barh([NAMES[row.contestant] for row in ordered], microseconds, color=colors)
        axes.bar_label(bars, [as_time(row.per_unit) for row in ordered], padding=3, fontsize=8)
        axes.set(xscale="log", title=title, xlabel="microseconds per update (logarithmic)")
        axes.set_xlim(min(microseconds) / 2, max(microseconds) * 6)
        axes.tick_params(axis="y", labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return True


def _speed_up(results: Results, figure: Any) -> bool:
    """How many times as long as fastnn everybody takes, against the number of weights."""
    lines: dict[str, list[tuple[int, float]]] = {}
    ours = _per_sample(results, "numba")
    for name in NAMES:
        if name.startswith("numba"):
            continue
        points = {
            key: row.per_unit / ours[key].per_unit
            for key, row in _per_sample(results, name).items()
            if key in ours
        }
        if points:
            lines[name] = sorted(points.items())
    if not lines:
        return False
    axes = figure.subplots()
    for name, points in lines.items():
        sizes, factors = zip(*((key[0], factor) for key, factor in points), strict=True)
        axes.plot(sizes, factors, "o-", markersize=4, color=_COLORS[name], label=NAMES[name])
    axes.axhline(1, color=_OURS, linewidth=2)
    axes.text(0.99, 1, "fastnn", color=_OURS, va="bottom", ha="right",
              transform=axes.get_yaxis_transform())  # fmt: skip
    axes.set(
        xscale="log", yscale="log", xlabel="weights and biases of the network",
        ylabel="times as long as fastnn (below 1: faster)",
        title="Per-sample SGD: time per update as a multiple of fastnn's\n"
        "(float32 from 784-128-10 on, float64 before)",
    )  # fmt: skip
    axes.grid(alpha=0.3)
    figure.legend(fontsize=8, loc="outside right upper")
    return True


def _per_sample(results: Results, contestant: str) -> dict[tuple[int, str], Row]:
    """Rows of per-sample SGD on one core by (number of weights, size and dtype).

    In float64 up to a thousand weights, as in the documents, and in float32 above.
    """
    found = {}
    for row in results.rows:
        info = row.info
        if row.contestant != contestant or row.group.endswith("all cores"):
            continue
        of_width = row.group == "growth with width" and info["size"] != "1-128-1"
        if row.group.startswith("per-sample SGD:") or of_width:
            if info["size"] == "1-128-1" and info["dtype"] == "float32":
                continue
            found[info["n_parameters"], f"{info['size']} {info['dtype']}"] = row
    return found


def _growth(results: Results, figure: Any) -> bool:
    whats = {
        "samples": "1-128-1, one epoch",
        "epochs": "1-128-1, 1,000 samples",
        "depth": "8-32-…-32-1, 1,000 samples, 2 epochs",
        "width": "1-n-1, 1,000 samples, 5 epochs",
    }
    labels = {"depth": "hidden layers of 32 units", "width": "hidden units"}
    found = {what: [r for r in results.rows if r.group == f"growth with {what}"] for what in whats}
    if not all(any(r.contestant == "numba" for r in rows) for rows in found.values()):
        return False
    for axes, (what, rows) in zip(figure.subplots(2, 2).flat, found.items(), strict=True):
        for engine in ("python", "numpy", "numba"):
            points = sorted((r.info["amount"], r.seconds) for r in rows if r.contestant == engine)
            if not points:
                continue
            amounts, seconds = zip(*points, strict=True)
            label = NAMES[engine]
            if engine == "numba" and len(points) > 1:
                label += f": in the upper half a doubling costs ×{_per_doubling(points):.2f}"
                start = points[len(points) // 2]
                straight = [start[1] * amount / start[0] for amount in amounts]
                axes.plot(amounts, straight, ":", color="black", label="proportional")
            axes.plot(amounts, seconds, "o-", markersize=4, color=_COLORS[engine], label=label)
        axes.set(xscale="log", yscale="log", xlabel=labels.get(what, what), ylabel="seconds",
                 title=f"Cost by {what} ({whats[what]})")  # fmt: skip
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    return True


def _per_doubling(points: Sequence[tuple[float, float]]) -> float:
    """By what the time grows when the amount doubles, from the middle point to the last."""
    (a, first), (b, second) = points[(len(points) - 1) // 2], points[-1]
    return (second / first) ** (1 / math.log2(b / a))
