"""The figures of `fastnn.demos.celsius`, and how large its rate may be."""

import numpy as np

from fastnn import History
from fastnn.demos import DEMOS, drawing
from fastnn.demos.celsius import X as CELSIUS
from fastnn.demos.celsius import Y as FAHRENHEIT
from fastnn.demos.celsius import new_network, train
from fastnn.demos.figures import computed, elsewhere, printed
from fastnn.demos.lesson import Lesson

ITERATIONS = 10_000
RATE = 0.001


def run(lesson: Lesson) -> None:
    """Run the demo."""
    lesson.title("One linear neuron: Celsius to Fahrenheit", DEMOS["celsius"].document)
    # The seconds are rough costs per engine: what does not fit the time allowed is left out.
    if lesson.affords(f"{ITERATIONS:,} iterations", numba=0.1, numpy=1, python=15):
        learn_the_formula(lesson)
    too_large_a_rate(lesson)
    loops_and_vectors(lesson, 100 if lesson.quick or lesson.engine == "python" else 1000)


def learn_the_formula(lesson: Lesson) -> None:
    """The document's run."""
    net = new_network(engine=lesson.engine)
    w, b = net.weights[0][0, 0], net.biases[0][0]
    before = net.predict(CELSIUS)
    history = train(net, ITERATIONS)
    after = net.predict(CELSIUS)
    lesson.part(f"100 samples, {ITERATIONS:,} iterations, rate {RATE}, {history.seconds:.2f} s")
    shown = [1, 10, 100, 1000, ITERATIONS]
    lesson.show(["iteration", "cost"], [(f"{i:,}", f"{history.loss[i - 1]:.3e}") for i in shown])
    lesson.check(
        f"From w = {w:.6f}, b = {b:g} to the formula (1e-6 is allowed):",
        [
            printed("w", "1.8", net.weights[0][0, 0], allowed=1e-6),
            printed("b", "32", net.biases[0][0], allowed=1e-6),
        ],
    )
    lesson.say(
        "w is nearly right within a few steps, b takes thousands: the cost curves 800 times more "
        "sharply along w than along b, and one rate has to do for both."
    )
    if lesson.plot:
        draw_lines(lesson, before, after)
        draw_losses(lesson, history)


def too_large_a_rate(lesson: Lesson) -> None:
    """Why the rate, which the document does not print, cannot have been much larger."""
    curvature = 2 * (CELSIUS**2).mean()
    lesson.part("How large may the rate be?")
    lesson.say(
        "Along w the cost curves with 2 · mean(c²). Each step multiplies the error of w by "
        "1 - curvature · rate, so from rate 2 / curvature = "
        f"{2 / curvature:.5f} on, every step makes it larger. The first 300 iterations:"
    )
    rows, falls = [], []
    for rate in (0.001, 0.0012, 0.0015):
        costs = train(new_network(engine=lesson.engine), 300, rate).loss
        rows.append((f"{rate}", *(f"{costs[i - 1]:.2e}" for i in (1, 100, 300))))
        falls.append(costs[299] < costs[99])
    lesson.show(["rate", "cost at 1", "at 100", "at 300"], rows)
    lesson.require(
        "the cost falls at rate 0.001 and no longer from 0.0012 on", falls == [True, False, False]
    )
    lesson.check("The document's curvature:", [computed("2 · mean(c²)", "1667", curvature)])


def loops_and_vectors(lesson: Lesson, iterations: int) -> None:
    """The document's loop version and its vector version end at the same numbers."""
    engines = list(dict.fromkeys(["python", "numpy", lesson.engine]))
    rows, ends = [], []
    for engine in engines:
        net = new_network(engine=engine)
        history = train(net, iterations)
        ends.append(net.parameters)
        rows.append((engine, *map(repr, net.parameters.tolist()), f"{history.seconds:.4f} s"))
    lesson.part(f"Loop and vector versions, {iterations:,} iterations each")
    lesson.show(["engine", "w", "b", "time"], rows)
    lesson.check(
        "The loop version is engine python (1e-12 is allowed):",
        [
            elsewhere(f"{name}, {engine}", loop, ours, relative=1e-12)
            for engine, end in zip(engines[1:], ends[1:], strict=True)
            for name, loop, ours in zip(["w", "b"], ends[0], end, strict=True)
        ],
        beside="loop",
    )


def draw_lines(lesson: Lesson, before: np.ndarray, after: np.ndarray) -> None:
    """The truth in blue, the prediction before training in red, after it in green."""
    picture = lesson.picture("celsius-lines")
    axes = picture.subplots()
    axes.plot(CELSIUS, FAHRENHEIT, color="blue", linewidth=5, alpha=0.4, label="true")
    axes.plot(CELSIUS, before, color="red", label="prediction before training")
    axes.plot(CELSIUS, after, color="green", linestyle="--", label="prediction after training")
    axes.set(
        xlabel="temperature in °C",
        ylabel="temperature in °F",
        title="Celsius to Fahrenheit by one linear neuron",
    )
    axes.grid(alpha=0.3)
    axes.legend()
    lesson.save(picture)


def draw_losses(lesson: Lesson, history: History) -> None:
    """The cost of every iteration: w is learned in the first ones, b in the last thousands."""
    title = f"{ITERATIONS:,} iterations at rate {RATE}"
    drawing.draw_losses(lesson, "celsius-loss", history, title, "mean squared error", xscale="log")
