"""Streams: `fastnn.river` beside river's own models, in the same run, and what single rows cost.

``python -m bench.streams`` prints the table of ``bench/README.md`` and draws its picture. It needs
the extras ``river`` and ``plot``. All three data sets are in river's package: no downloads.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

import fastnn

PICTURE = Path(__file__).parent / "figures" / "river-progressive.png"
#: Seeds of the networks; the table has the mean over them.
SEEDS = range(1, 6)
ROUNDS = 20


@njit
def nothing(a, b):
    """What a call of a jitted function costs."""
    return 0.0


def contests() -> list[tuple[Any, Callable[[], Any], dict[str, Callable[..., Any]]]]:
    """Data set, metric, and the models by name; those of ours last."""
    from river import datasets, linear_model, metrics, tree
    from river.preprocessing import StandardScaler

    from fastnn.river import MLPClassifier, MLPRegressor

    def classifiers(name: str, linear: Any) -> dict[str, Callable[..., Any]]:
        return {
            name: lambda: StandardScaler() | linear(),
            "HoeffdingTreeClassifier": lambda: StandardScaler() | tree.HoeffdingTreeClassifier(),
            "fastnn": lambda seed=1: MLPClassifier(seed=seed),
        }

    return [
        (datasets.Phishing(), metrics.Accuracy,
         classifiers("LogisticRegression", linear_model.LogisticRegression)),
        (datasets.ImageSegments(), metrics.Accuracy,
         classifiers("SoftmaxRegression", linear_model.SoftmaxRegression)),
        (datasets.TrumpApproval(), metrics.MAE, {
            "LinearRegression": lambda: StandardScaler() | linear_model.LinearRegression(),
            "HoeffdingTreeRegressor": lambda: StandardScaler() | tree.HoeffdingTreeRegressor(),
            "fastnn": lambda seed=1: MLPRegressor(seed=seed),
        }),
    ]  # fmt: skip


def course(dataset: Iterable[Any], model: Any, metric: Any) -> tuple[list[float], float]:
    """The progressive score after each row, and microseconds a row to predict and learn."""
    scores, rows = [], list(dataset)
    started = time.perf_counter()
    for x, y in rows:
        predicted = model.predict_one(x)
        if predicted is not None:
            metric.update(y, predicted)
        model.learn_one(x, y)
        scores.append(metric.get())
    return scores, (time.perf_counter() - started) / len(rows) * 1e6


def compare() -> None:
    """Print the table, and draw the picture."""
    courses: dict[str, dict[str, list[float]]] = {}
    print("| progressive score | model | score | predict and learn |")
    print("|---|---|---:|---:|")
    for dataset, metric, models in contests():
        title = f"{type(dataset).__name__}, {metric.__name__}"
        for name, make in models.items():
            runs = [make(seed) for seed in SEEDS] if name == "fastnn" else [make()]
            results = [course(dataset, model, metric()) for model in runs]
            scores = np.array([scores for scores, _ in results])
            last, micros = scores[:, -1], min(micros for _, micros in results)
            spread = f" ({last.min():.4g} to {last.max():.4g})" if len(last) > 1 else ""
            courses.setdefault(title, {})[name] = scores.mean(axis=0).tolist()
            print(f"| {title} | {name} | {last.mean():.4g}{spread} | {micros:.1f} µs |")
    draw(courses)


def draw(courses: dict[str, dict[str, list[float]]]) -> None:
    """The scores as they go on, one panel for each data set."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    colours = ["#8a8a8a", "#d08c2e", "#1f5fa8"]
    figure, panels = plt.subplots(1, len(courses), figsize=(11, 3.2), layout="constrained")
    for panel, (title, models) in zip(panels, courses.items(), strict=True):
        for colour, (name, scores) in zip(colours, models.items(), strict=True):
            label = f"{name}: {scores[-1]:.3g}"
            panel.plot(range(1, len(scores) + 1), scores, color=colour, lw=1.6, label=label)
        panel.set_title(title, fontsize=10)
        panel.set_xlabel("rows learned", fontsize=9)
        panel.tick_params(labelsize=8)
        late = [value for scores in models.values() for value in scores[len(scores) // 20 :]]
        room = 0.08 * (max(late) - min(late))
        panel.set_ylim(max(0.0, min(late) - room), max(late) + room)
        panel.legend(fontsize=8, frameon=False)
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURE, dpi=110)
    print(f"drawn: {PICTURE.name}", file=sys.stderr)


def best(run: Callable[[list[Any]], None], rows: list[Any]) -> float:
    """Microseconds a row, the least of many rounds."""
    least = np.inf
    for _ in range(ROUNDS):
        started = time.perf_counter()
        run(rows)
        least = min(least, time.perf_counter() - started)
    return float(least / len(rows) * 1e6)


def single_rows() -> None:
    """Print what `learn_one` and `predict_one` cost beside an empty jitted call."""

    def empty_calls(rows: list[Any]) -> None:
        for x, _ in rows:
            nothing(x, x)

    def loop(rows: list[Any]) -> None:
        for _x, _y in rows:
            pass

    rng, n = np.random.default_rng(0), 20_000
    X = rng.normal(size=(n, 10))
    empty_calls([(X[0], 0)])
    overhead = best(loop, [(x, 0) for x in X])
    empty = best(empty_calls, [(x, 0) for x in X]) - overhead
    print(f"an empty jitted call with two arrays: {empty:.3f} µs")
    problems: list[tuple[list[int], dict[str, Any], Any]] = [
        ([1, 128, 1], {"loss": "half_squared_error"}, fastnn.SGD(0.01)),
        ([10, 16, 3], {"loss": "cross_entropy", "activation": "relu"}, fastnn.Adam()),
    ]
    for sizes, options, rule in problems:
        net = fastnn.Network(sizes, seed=0, **options)
        classes = options["loss"] == "cross_entropy"
        rows = [
            (x, int(x[0] > 0) + int(x[1] > 0) if classes else float(x[0]))
            for x in np.ascontiguousarray(X[:, : sizes[0]])
        ]

        def learn(rows: list[Any], net: Any = net, rule: Any = rule) -> None:
            for x, y in rows:
                net.learn_one(x, y, optimizer=rule)

        def predict(rows: list[Any], net: Any = net) -> None:
            for x, _ in rows:
                net.predict_one(x)

        for what, run in (("learn_one", learn), ("predict_one", predict)):
            run(rows[:2])
            micros = best(run, rows) - overhead
            layers = "-".join(map(str, sizes))
            print(f"{layers}, {rule.name}: {what} {micros:.3f} µs, {micros / empty:.2f} calls")


def river_rows() -> None:
    """Print what `learn_one` costs through river's dicts, beside its logistic regression."""
    from river import datasets, linear_model

    from fastnn.river import MLPClassifier

    def learner(model: Any) -> Callable[[list[Any]], None]:
        def learn(rows: list[Any]) -> None:
            for x, y in rows:
                model.learn_one(x, y)

        return learn

    rows = list(datasets.Phishing())
    theirs = best(learner(linear_model.LogisticRegression()), rows)
    ours = best(learner(MLPClassifier(seed=1)), rows)
    print(f"Phishing: LogisticRegression.learn_one {theirs:.2f} µs, MLPClassifier.learn_one "
          f"{ours:.2f} µs, ratio {ours / theirs:.2f}")  # fmt: skip
    rng = np.random.default_rng(0)

    def rows_of(n: int, count: int) -> list[Any]:
        some = [rng.choice(n, 20, replace=False) for _ in range(count)]
        return [
            ({f"f{k}": float(v) for k, v in zip(ks, rng.normal(size=20), strict=True)}, bool(i % 2))
            for i, ks in enumerate(some)
        ]

    few, many = MLPClassifier(seed=1), MLPClassifier(seed=1)
    for k in range(10_000):
        many.learn_one({f"f{k}": 1.0}, bool(k % 2))
    in_order = [(dict(sorted(x.items())), y) for x, y in rows_of(20, 2000)]
    of_20 = best(learner(few), in_order)
    of_10_000 = best(learner(many), rows_of(10_000, 2000))
    print(f"20 features {of_20:.2f} µs, 20 of 10,000 features {of_10_000:.2f} µs, "
          f"ratio {of_10_000 / of_20:.2f}")  # fmt: skip


if __name__ == "__main__":
    single_rows()
    river_rows()
    compare()
