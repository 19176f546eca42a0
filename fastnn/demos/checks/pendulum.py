"""What is wanted of `fastnn.demos.pendulum`."""

from typing import Any

import numpy as np

from fastnn.demos import DEMOS
from fastnn.demos.figures import elsewhere
from fastnn.demos.lesson import Lesson
from fastnn.demos.pendulum import ITERATIONS, SAMPLES, change, new_network, swing, train


def run(lesson: Lesson) -> None:
    """Run the demo."""
    lesson.title("A pendulum by a law that is learned", DEMOS["pendulum"].document)
    net = new_network(lesson.engine)
    lesson.part("The Jacobian of a network with random weights")
    state, step = np.array([[0.5, -1.0]]), 1e-5 * np.eye(2)
    ours = net.jacobian(state)[0]
    differences = (net.predict(state + step) - net.predict(state - step)).T / 2e-5
    pairs = zip(differences.ravel(), ours.ravel(), strict=True)
    lesson.check(
        "It is that of differences of predictions (a millionth of each is allowed):",
        [elsewhere(f"number {k}", *pair, relative=1e-6) for k, pair in enumerate(pairs, 1)],
        beside="differences",
    )
    if not lesson.affords(f"{ITERATIONS} iterations", numba=1.5, numpy=10, python=60):
        return
    history = train(net)
    lesson.part(f"The law from {SAMPLES} states, {history.seconds:.2f} s")
    true, alone = swing(change), swing(net.predict)
    learned = swing(net.predict, net.jacobian)
    error = float(abs(learned.y[0] - true.y[0]).max())
    lesson.say(
        f"In {true.t[-1]:g} s the angle is at most {error:.3f} off that of the true law. Of the "
        f"network solve_ivp took {learned.nfev} predictions and {learned.njev} Jacobians; without "
        f"them {alone.nfev} predictions, {2 * alone.njev} of them for differences."
    )
    lesson.require("the angle is at most 0.2 off", error < 0.2)
    lesson.require("with differences it is the same", abs(learned.y - alone.y).max() < 1e-4)
    at_rest = np.linalg.eigvals(net.jacobian([[0.0, 0.0]])[0])
    pulse = complex(at_rest[np.argmax(at_rest.imag)])
    lesson.say(f"At rest it slows down by {-pulse.real:.3f} a second, and swings with a pulse of "
               f"{pulse.imag:.3f}; by the law with 0.150 and 3.129.")  # fmt: skip
    lesson.require("both are at most 0.1 off", abs(pulse - (-0.15 + 3.1285j)) < 0.1)
    if lesson.plot:
        draw(lesson, true, learned)


def draw(lesson: Lesson, true: Any, learned: Any) -> None:
    """The angles over time."""
    picture = lesson.picture("pendulum-angle")
    axes = picture.subplots()
    axes.plot(true.t, true.y[0], color="tab:blue", linewidth=5, alpha=0.4, label="the law")
    axes.plot(learned.t, learned.y[0], color="tab:red", linestyle="--", label="the network")
    axes.set(xlabel="seconds", ylabel="angle in radians",
             title="A pendulum, by its law and by a network that has learned it")  # fmt: skip
    axes.grid(alpha=0.3)
    axes.legend()
    lesson.save(picture)
