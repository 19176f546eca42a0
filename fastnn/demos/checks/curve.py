"""The figures of `fastnn.demos.curve`, and the document's tuning table."""

import signal
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from multiprocessing.pool import Pool, ThreadPool

import numpy as np
from rich.progress import Progress

from fastnn import Network, machine
from fastnn.demos import DEMOS
from fastnn.demos import curve as system
from fastnn.demos.curve import X as TEST_X
from fastnn.demos.curve import curve
from fastnn.demos.figures import computed
from fastnn.demos.lesson import Lesson


@dataclass(frozen=True)
class Row:
    """One row of the document's tuning table; *mark* is its author's, 5 the best."""

    hidden: int
    samples: int
    epochs: int
    rate: float
    mark: float = 5

    @property
    def title(self) -> str:
        """The row in words, for pictures."""
        return (
            f"{self.hidden} hidden, {self.samples:,} samples, {self.epochs:,} epochs, "
            f"rate {self.rate:g}"
        )


MAIN = Row(128, 1000, 1000, 0.1)
TABLE = [
    Row(128, 1000, 1000, 0.1, mark=5),
    Row(64, 1000, 2000, 0.1, mark=3),
    Row(96, 1000, 1000, 0.1, mark=2.5),
    Row(256, 1000, 500, 0.1, mark=0),
    Row(128, 500, 1000, 0.1, mark=2),
    Row(128, 1500, 1000, 0.1, mark=5),
    Row(128, 1000, 500, 0.1, mark=2.5),
    Row(128, 1000, 1500, 0.1, mark=5),
    Row(128, 1000, 1000, 0.5, mark=1),
    Row(128, 1000, 1000, 0.05, mark=2),
]

#: Epochs, and the training MSE after them.
FIGURES = [
    (1, "0.04690820488433185"),
    (10, "0.02615977499976343"),
    (100, "0.025636975769421776"),
    (200, "0.024213635255819085"),
    (500, "0.014138365081338812"),
    (1000, "0.0026752044076786266"),
]
TEST_MSE = "0.0028933049727272505"
TEST_R2 = "0.929"


def run(lesson: Lesson) -> None:
    """Run the demo."""
    lesson.title("A curve, 1-128-1, sample by sample", DEMOS["curve"].document)
    seconds_per_update = fit_the_curve(lesson)
    if lesson.table:
        tuning_table(lesson, seconds_per_update)
    else:
        lesson.say("The tuning table, ten such trainings: fastnn demo curve --table")


def samples(count: int) -> np.ndarray:
    """The document's training inputs."""
    return np.random.RandomState(0).random_sample((count, 2))[:, 0]


def new_network(hidden: int, engine: str) -> Network:
    """The network at its start."""
    return system.new_network((hidden,), engine)


def mean_squared_error(net: Network, x: np.ndarray) -> float:
    """Mean of (ŷ - y)², which is twice the network's loss."""
    return 2 * net.evaluate(x, curve(x))["loss"]


def fit_the_curve(lesson: Lesson) -> float:
    """The document's main run, as far as there is time; seconds per update."""
    lesson.part(MAIN.title)
    x = samples(MAIN.samples)
    net = new_network(MAIN.hidden, lesson.engine)
    figures, done, seconds = [], 0, 0.0
    for epochs, given in FIGURES:
        more = epochs - done
        if not lesson.affords(
            f"the epochs after {done:,}",
            numba=3e-4 * more,
            numpy=0.1 * more,
            python=more,
        ):
            break
        history = net.fit(  # goes on from where the last one ended
            x, curve(x), epochs=more, batch_size=1, learning_rate=MAIN.rate, shuffle=False
        )
        done, seconds = epochs, seconds + history.seconds
        figures.append(
            computed(f"epoch {epochs:,}", given, mean_squared_error(net, x), relative=1e-9)
        )
    lesson.check(
        "Mean squared error (MSE) on the training samples after each epoch named (1e-9 of it is "
        "allowed):",
        figures,
    )
    if done == MAIN.epochs:
        check_test_points(lesson, net)
    updates = done * MAIN.samples
    lesson.say(
        f"{updates:,} updates in {seconds:.3g} s: {1e6 * seconds / updates:.3g} µs per update."
    )
    if lesson.plot:
        fitted = Row(MAIN.hidden, MAIN.samples, done, MAIN.rate)
        draw(lesson, "curve-fit", [(fitted.title, net.predict(TEST_X).ravel())])
    return seconds / updates


def check_test_points(lesson: Lesson, net: Network) -> None:
    """How well the trained network does on points that it was not trained on."""
    r2 = net.evaluate(TEST_X, curve(TEST_X))["r2"]
    lesson.check(
        f"On {len(TEST_X)} equally spaced points (1e-9 of the MSE is allowed):",
        [
            computed("test MSE", TEST_MSE, mean_squared_error(net, TEST_X), relative=1e-9),
            computed("test R²", TEST_R2, r2),
        ],
    )


@dataclass(frozen=True)
class Outcome:
    """What training a row of the table led to."""

    row: Row
    test_mse: float
    r2: float
    seconds: float
    fitted: np.ndarray

    @property
    def title(self) -> str:
        """The row and what it led to in words, for pictures."""
        stars = f"author's mark {self.row.mark:g} of 5"
        return f"{self.row.title}\nMSE {self.test_mse:.5f}, R² {self.r2:.3f}, {stars}"


def train_row(row: Row, engine: str) -> Outcome:
    """Train one row of the table."""
    net = new_network(row.hidden, engine)
    history = system.train(net, row.epochs, row.rate, row.samples)
    return Outcome(
        row,
        mean_squared_error(net, TEST_X),
        net.evaluate(TEST_X, curve(TEST_X))["r2"],
        history.seconds,
        net.predict(TEST_X).ravel(),
    )


def tuning_table(lesson: Lesson, seconds_per_update: float) -> None:
    """The ten rows of the document's table, trained on all cores."""
    lesson.part("The tuning table")
    rows = TABLE
    if lesson.quick:
        rows = [replace(row, epochs=row.epochs // 20) for row in TABLE]
        lesson.say("With --quick each row has a twentieth of its epochs, too few to compare.")
    cores = len(machine.cores())
    minutes = seconds_per_update * sum(row.samples * row.epochs for row in rows) / cores / 60
    if minutes > 0.5:
        lesson.say(f"This takes about {minutes:.0f} min on {cores} cores; Ctrl-C ends it.")
    outcomes = train_rows(lesson, rows, cores)
    lesson.show(
        ["hidden", "samples", "epochs", "rate", "test MSE", "test R²", "seconds", "author's mark"],
        [
            (f"{row.hidden}", f"{row.samples:,}", f"{row.epochs:,}", f"{row.rate:g}",
             f"{outcomes[row].test_mse:.6f}", f"{outcomes[row].r2:.3f}",
             f"{outcomes[row].seconds:.2f}", f"{row.mark:g}")
            for row in rows
        ],
    )  # fmt: skip
    lesson.say(
        f"Seconds are each row's own, while up to {cores} were trained at once. The marks are "
        "the document's, 5 the best."
    )
    if lesson.plot:
        draw(lesson, "curve-table", [(outcomes[row].title, outcomes[row].fitted) for row in rows])


def train_rows(lesson: Lesson, rows: list[Row], cores: int) -> dict[Row, Outcome]:
    """Train the rows side by side, behind a progress bar."""
    train = partial(train_row, engine=lesson.engine)
    outcomes = {}
    bar = Progress(console=lesson.console, transient=True, disable=not lesson.console.is_terminal)
    with workers(lesson.engine, cores) as pool, bar:
        for outcome in bar.track(
            pool.imap_unordered(train, rows), len(rows), description=f"{len(rows)} rows"
        ):
            outcomes[outcome.row] = outcome
    return outcomes


def workers(engine: str, cores: int) -> Pool:
    """Threads for numba, whose kernels let go of the GIL; processes for the others.

    Leaving the ``with`` block ends processes that are still at work. Ctrl-C is left to the
    process that started them.
    """
    if engine == "numba":
        return ThreadPool(cores)
    ignore_ctrl_c = (signal.SIGINT, signal.SIG_IGN)
    return get_context("spawn").Pool(cores, initializer=signal.signal, initargs=ignore_ctrl_c)


def draw(lesson: Lesson, name: str, fits: list[tuple[str, np.ndarray]]) -> None:
    """The true points and the fitted line, one panel per row."""
    columns = min(2, len(fits))
    lines = -(-len(fits) // columns)
    picture = lesson.picture(name, 5.6 * columns, 3.6 * lines)
    panels = picture.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    for axes, (title, fitted) in zip(panels.flat, fits, strict=True):
        axes.plot(TEST_X, curve(TEST_X), ".", color="tab:blue", label="true")
        axes.plot(TEST_X, fitted, color="tab:red", label="fitted")
        axes.set_title(title, fontsize="medium")
        axes.grid(alpha=0.3)
        axes.label_outer()
    for axes in panels[-1]:
        axes.set_xlabel("x")
    for axes in panels[:, 0]:
        axes.set_ylabel("y")
    panels[0, 0].legend()
    lesson.save(picture)
