"""The tables: who takes how long, a few rows for the README; all, and goals, for the notebook."""

import re
from collections.abc import Iterator
from pathlib import Path

from bench.report.results import Results, as_time

#: Columns of the tables: in each the fastest of these contestants.
COLUMNS = {
    "fastnn": ("numba",),
    "C": ("c", "c-512"),
    "JAX": ("jax", "jax-by-hand"),
    "onnxruntime": ("onnxruntime",),
    "PyTorch": ("torch", "torch-compile"),
    "scikit-learn": ("sklearn",),
    "NumPy": ("numpy", "numpy-by-hand"),
    "Python": ("python", "python-by-hand"),
}

_UPDATE, _STEP = "one update", "one step"
#: Rows of the table: the work in words, what one unit of it is, and the group.
WORK = [
    ("1-128-1, sample by sample", _UPDATE, "per-sample SGD: 1-128-1, float64, per sample"),
    ("the same, float32", _UPDATE, "per-sample SGD: 1-128-1, float32, per sample"),
    ("1-128-1, sample by sample, momentum", _UPDATE,
     "optimisers, sample by sample: 1-128-1, float64, per sample, momentum"),
    ("1-128-1, sample by sample, Adam", _UPDATE,
     "optimisers, sample by sample: 1-128-1, float64, per sample, adam"),
    ("3-4-1, sample by sample", _UPDATE, "per-sample SGD: 3-4-1, float64, per sample"),
    ("784-128-10, sample by sample, float32", _UPDATE,
     "per-sample SGD: 784-128-10, float32, per sample"),
    ("784-512-10, the same", _UPDATE, "per-sample SGD: 784-512-10, float32, per sample"),
    ("784-512-10, the same, all cores", _UPDATE,
     "per-sample SGD: 784-512-10, float32, per sample, all cores"),
    ("24-8-2, batches of 20, float32", _STEP, "mini-batches: 24-8-2, float32, batch 20"),
    ("784-128-10, batches of 32, float32", _STEP, "mini-batches: 784-128-10, float32, batch 32"),
    ("784-128-10, batches of 128, float32", _STEP, "mini-batches: 784-128-10, float32, batch 128"),
    ("the same, all cores", _STEP, "mini-batches: 784-128-10, float32, batch 128, all cores"),
    ("24-8-2, all 200 samples, float32", _STEP,
     "gradient descent: 24-8-2, float32, all 200 samples"),
    ("1-1, all 100 samples", _STEP, "gradient descent: 1-1, float64, all 100 samples"),
    ("forward and backward, 784-128-10, 256 samples, float32", "one call",
     "forward and backward: 784-128-10, float32, all 256 samples"),
    ("predict 1 sample, 1-128-1, float32", "one call",
     "predict one sample: 1-128-1, float32, per sample"),
    ("predict 10,000 samples, 1-128-1, float32", "one call",
     "predict 10,000 samples: 1-128-1, float32, all 10,000 samples"),
    ("dot product, 1,000,000 numbers", "one call", "dot product: 1,000,000 numbers, float64"),
    ("sigmoid of 10,000 numbers", "one number",
     "elementary function: sigmoid, 10,000 numbers, float64"),
    ("the document `curve`, a million updates", "in all", "document: curve, whole"),
    ("the document `neuron`", "in all", "document: neuron, whole"),
    ("import, first fit and predict, warm cache", "in all",
     "cold start: first fit and predict, warm cache"),
    ("the same, empty cache", "in all", "cold start: first fit and predict, empty cache"),
]  # fmt: skip

#: The README's rows and columns, and the command that measures a row.
TELLING = {
    "1-128-1, sample by sample": 'pytest bench -k "test_per_sample and 1-128-1 and float64"',
    "784-128-10, sample by sample, float32": 'pytest bench -k "test_per_sample and 784-128-10"',
    "24-8-2, batches of 20, float32": 'pytest bench -k "test_mini_batches and 24-8-2"',
    "784-128-10, batches of 128, float32":
        'pytest bench -k "test_mini_batches and batch-128 and not all-cores"',
    "predict 1 sample, 1-128-1, float32": 'pytest bench -k "test_predict_one and 1-128-1"',
    "the document `curve`, a million updates": "fastnn demo curve",
}  # fmt: skip
TELLING_COLUMNS = ("fastnn", "C", "JAX", "PyTorch", "scikit-learn", "NumPy")

#: The goals set for the kernels: work, group, ours, theirs, and the largest ratio.
_OURS, _FIT = ("numba-kernel",), ("numba",)
_JAX = ("jax", "jax-by-hand")
_LONG = "per-sample SGD, 100,000 updates"
GOALS = [
    ("1-128-1 per sample, float64, against C -O3 -march=native -ffast-math",
     f"{_LONG}: 1-128-1, float64, per sample", ("c",), 0.85),
    ("the same against C with 512-bit vectors as well",
     f"{_LONG}: 1-128-1, float64, per sample", ("c-512",), None),
    ("1-128-1 per sample, float32, against C with 512-bit vectors",
     f"{_LONG}: 1-128-1, float32, per sample", ("c-512",), 0.80),
    ("the same in a short `fit`, 20,000 updates",
     "per-sample SGD: 1-128-1, float32, per sample", ("c-512",), None),
    ("3-4-1 per sample, no bias, against C with constant sizes",
     f"{_LONG}: 3-4-1, float64, per sample", ("c",), 1.10),
    ("the same in a short `fit`, 20,000 updates",
     "per-sample SGD: 3-4-1, float64, per sample", ("c",), None),
    ("784-128-10 per sample, float32, against JAX",
     "per-sample SGD: 784-128-10, float32, per sample", _JAX, 0.65),
    ("784-512-10, the same", "per-sample SGD: 784-512-10, float32, per sample", _JAX, 0.35),
    ("784-512-10, the same, both on all cores",
     "per-sample SGD: 784-512-10, float32, per sample, all cores", _JAX, 0.20),
    ("784-128-10, batch 32, float32, against JAX",
     "mini-batches: 784-128-10, float32, batch 32", _JAX, 0.90),
    ("784-128-10, batch 128, float32, against JAX, both on all cores",
     "mini-batches: 784-128-10, float32, batch 128, all cores", _JAX, 0.90),
    ("24-8-2 tanh, full batch of 200, float32, against JAX's `value_and_grad`",
     "gradient descent: 24-8-2, float32, all 200 samples", ("jax",), 0.45),
    ("the same against JAX with the gradient by hand, features first, unrolled",
     "gradient descent: 24-8-2, float32, all 200 samples", ("jax-by-hand",), 0.45),
    ("predict one sample, 1-128-1, float32, against onnxruntime",
     "predict one sample: 1-128-1, float32, per sample", ("onnxruntime",), 0.20),
    ("predict 10,000 samples, 1-128-1, float32, against onnxruntime",
     "predict 10,000 samples: 1-128-1, float32, all 10,000 samples", ("onnxruntime",), 0.50),
    ("1-128-1 per sample, against NumPy by hand",
     "per-sample SGD: 1-128-1, float64, per sample", ("numpy-by-hand",), 1 / 60),
    ("1-128-1 per sample, against Python by hand",
     "per-sample SGD: 1-128-1, float64, per sample", ("python-by-hand",), 1 / 200),
]  # fmt: skip


def times(results: Results) -> str:
    """Who takes how long: a Markdown table, the fastest in bold, and a statement below."""
    lines = [
        f"| work (float64 unless it says float32) | time for | {' | '.join(COLUMNS)} |",
        f"|---|---|{'---:|' * len(COLUMNS)}",
        *(f"| {work} | {unit} | {cells} |" for work, unit, cells in _rows(results, COLUMNS)),
    ]
    return "\n".join([*lines, "", f"Medians. {results.statement()}"])


def telling(results: Results) -> str:
    """A few of these rows and columns, each with the command that measures it."""
    columns = {name: COLUMNS[name] for name in TELLING_COLUMNS}
    names = " | ".join(columns)
    lines = [
        f"| work (float64 unless it says float32) | time for | {names} | measured by |",
        f"|---|---|{'---:|' * len(columns)}---|",
        *(
            f"| {work} | {unit} | {cells} | `{TELLING[work]}` |"
            for work, unit, cells in _rows(results, columns)
            if work in TELLING
        ),
    ]
    return "\n".join([*lines, "", f"Medians. {results.statement()}"])


def _rows(results: Results, columns: dict[str, tuple[str, ...]]) -> Iterator[tuple[str, str, str]]:
    """The work, the unit and the cells of each row that was measured, the fastest in bold."""
    for work, unit, group in WORK:
        if not results.in_group(group):
            continue
        cells = [results.per_unit(group, contestants) for contestants in columns.values()]
        best = min(time for time in cells if time is not None)
        shown = [
            "–" if time is None else f"**{as_time(time)}**" if time == best else as_time(time)
            for time in cells
        ]
        yield work, unit, " | ".join(shown)


def goals(results: Results) -> str:
    """Our time as a part of theirs, beside the goal: a Markdown table."""
    lines = [
        "| work | theirs | ours | ratio | of the kernel alone | goal |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for work, group, against, goal in GOALS:
        theirs, ours, kernel = (results.per_unit(group, c) for c in (against, _FIT, _OURS))
        if theirs is None or ours is None:
            lines.append(f"| {work} | not measured | | | | {_ratio(goal)} |")
            continue
        alone = "" if kernel is None else _ratio(kernel / theirs)
        lines.append(
            f"| {work} | {as_time(theirs)} | {as_time(ours)} | {_ratio(ours / theirs)} "
            f"| {alone} | {_ratio(goal)} |"
        )
    return "\n".join([*lines, "", f"Medians. {results.statement()}"])


def estimators(results: Results) -> str:
    """The estimators beside scikit-learn's: a Markdown table."""
    prefix = "estimators, "
    groups = dict.fromkeys(row.group for row in results.rows if row.group.startswith(prefix))
    lines = [
        "| work (standardised data, one thread) | scikit-learn | fastnn | times as fast |",
        "|---|---:|---:|---:|",
    ]
    for group in groups:
        theirs, ours = (results.per_unit(group, (name,)) for name in ("sklearn", "numba"))
        if theirs is not None and ours is not None:
            work = group.removeprefix(prefix)
            lines.append(f"| {work} | {as_time(theirs)} | {as_time(ours)} | {theirs / ours:.1f} |")
    return "\n".join(lines)


def _ratio(ratio: float | None) -> str:
    if ratio is None:
        return "none"
    return f"{ratio:.2f}" if ratio >= 0.095 else f"1/{1 / ratio:.0f}"


def insert(path: Path, text: str, name: str = "bench") -> bool:
    """Put *text* between the markers called *name* of a file; False if it has none."""
    before = path.read_text(encoding="utf-8")
    pattern = re.compile(f"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)", re.DOTALL)
    after, count = pattern.subn(lambda found: f"{found[1]}{text}\n{found[2]}", before)
    if count:
        path.write_text(after, encoding="utf-8")
    return bool(count)
