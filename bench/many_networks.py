"""Draws the pictures of the README's section "Many networks".

``python bench/many_networks.py`` prints the losses and writes the pictures into ``bench/figures``.
"""

from __future__ import annotations

import time
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

import fastnn

FIGURES = Path(__file__).parent / "figures"
X = np.linspace(-1, 1, 200)[:, np.newaxis]
Y = np.sin(4 * X) + 0.5 * X
RATES = np.geomspace(0.005, 0.5, 10)
STARTS = 20


def sweep() -> np.ndarray:
    """The last losses of 200 networks, (rates, starts)."""
    networks = [fastnn.Network([1, 16, 1], seed=seed) for seed in range(len(RATES) * STARTS)]
    each = {"learning_rate": np.repeat(RATES, STARTS)}
    started = time.perf_counter()
    histories = fastnn.fit_many(networks, X, Y, epochs=200, batch_size=1, each=each)
    updates = len(networks) * 200 * len(X)
    seconds = time.perf_counter() - started
    print(f"{updates:,} updates in {seconds:.2f} s: {1e9 * seconds / updates:.1f} ns each")
    return np.reshape([history.loss[-1] for history in histories], (len(RATES), STARTS))


def table(losses: np.ndarray) -> str:
    """The best and the median of each rate, in Markdown."""
    lines = ["| learning rate | best loss | median loss |", "|---:|---:|---:|"]
    for rate, own in zip(RATES, losses, strict=True):
        lines.append(f"| {rate:.4f} | {own.min():.6f} | {np.median(own):.6f} |")
    return "\n".join(lines)


def draw_sweep(losses: np.ndarray) -> None:
    ax = plt.subplots(figsize=(6.4, 4.0), layout="constrained")[1]
    ax.plot(np.repeat(RATES, STARTS), losses.ravel(), ".", alpha=0.4, label="each network")
    ax.plot(RATES, losses.min(axis=1), label="best of each rate")
    ax.set(xlabel="learning rate", ylabel="loss after 200 epochs", xscale="log", yscale="log")
    ax.legend()
    ax.figure.savefig(FIGURES / "many-sweep.png", dpi=80)


def draw_band() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(-1, -0.2, 40), rng.uniform(0.3, 0.8, 40)])[:, np.newaxis]
    y = np.sin(4 * x) + 0.5 * x + 0.1 * rng.normal(size=x.shape)
    ensemble = fastnn.Ensemble([1, 16, 1], n_networks=50, bootstrap=True, seed=0)
    ensemble.fit(x, y, epochs=3000, batch_size=1, learning_rate=0.1)
    ax = ensemble.plot_band(np.linspace(-1.5, 1.5, 200)[:, np.newaxis])
    ax.plot(x, y, "k.", markersize=3, label="samples")
    ax.legend()
    ax.figure.savefig(FIGURES / "ensemble-band.png", dpi=80)


if __name__ == "__main__":
    mpl.use("Agg")
    losses = sweep()
    print(table(losses))
    draw_sweep(losses)
    draw_band()
