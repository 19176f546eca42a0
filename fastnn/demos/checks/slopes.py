"""What is wanted of `fastnn.demos.slopes`."""

import numpy as np

from fastnn import Network
from fastnn.demos import DEMOS
from fastnn.demos.figures import elsewhere
from fastnn.demos.lesson import Lesson
from fastnn.demos.slopes import FEW, MANY, SEEDS, curve, error, new_network, places, slope, train

#: Samples, with slopes or without, and the name.
FITS = [
    (MANY, False, f"{MANY} values"),
    (FEW, False, f"{FEW} values"),
    (FEW, True, f"{FEW} values with their slopes"),
]


def run(lesson: Lesson) -> None:
    """Run the demo."""
    lesson.title("A curve from values and slopes", DEMOS["slopes"].document)
    what_is_learned(lesson)
    if not lesson.affords("the fits", numba=1.8, numpy=5, python=64):
        return
    middle, rows, errors = [], [], []
    for n, with_slopes, name in FITS:
        networks = [new_network(lesson.engine, seed) for seed in SEEDS]
        seconds = sum(train(net, n, with_slopes).seconds for net in networks)
        networks.sort(key=error)
        middle.append(networks[len(networks) // 2])
        errors.append(error(middle[-1]))
        rows.append((name, f"{errors[-1]:.4f}", f"{error(networks[-1]):.4f}", f"{seconds:.2f} s"))
    lesson.part(f"{MANY} values, {FEW} values, and {FEW} values with their slopes")
    lesson.say(f"The root mean square error of {len(SEEDS)} networks each:")
    lesson.show(["learned from", "median", "worst", "time"], rows)
    _, few, both = errors
    lesson.require(f"{FEW} with slopes are at least twice as good as alone", 2 * both <= few)
    if lesson.plot:
        draw(lesson, middle)


def what_is_learned(lesson: Lesson) -> None:
    """The loss of a first iteration, put together by hand."""
    net, x = new_network(lesson.engine), places(FEW)
    history = train(net, FEW, True, iterations=1)
    of_values = np.mean((net.predict(x) - curve(x)) ** 2)
    of_slopes = np.mean((net.jacobian(x)[:, :, 0] - slope(x)) ** 2)
    lesson.part("The loss")
    lesson.check(
        "Both mean squared errors after an iteration (1e-9 is allowed):",
        [elsewhere("loss", of_values + of_slopes, history.loss[0], relative=1e-9)],
        beside="sum",
    )


def draw(lesson: Lesson, networks: list[Network]) -> None:
    """The curve, and what the networks in the middle make of it."""
    picture = lesson.picture("slopes-fit", width=9.6, height=3.6)
    line = places(301)
    for axes, net, (n, with_slopes, name) in zip(
        picture.subplots(1, 3, sharey=True), networks, FITS, strict=True
    ):
        axes.plot(line, curve(line), color="tab:blue", linewidth=5, alpha=0.4, label="the curve")
        axes.plot(line, net.predict(line), color="tab:red", linestyle="--", label="the network")
        x, step = places(n)[:, 0], 0.1 if with_slopes else 0.0
        ends = np.array([x - step, x + step])
        tangents = curve(x) + np.array([[-step], [step]]) * slope(x)
        axes.plot(ends, tangents, color="black")
        axes.plot(x, curve(x), "o", color="black", markersize=4, label="samples")
        axes.set(title=name, xlabel="x", xlim=(-1.7, 1.7), ylim=(-2.2, 2.2))
        axes.grid(alpha=0.3)
    axes.legend(loc="upper right", fontsize="small")
    lesson.save(picture)
