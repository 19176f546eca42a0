"""The figures of `fastnn.demos.logistic`: by hand and by the network; loops against vectors."""

import math
from collections.abc import Callable, Sequence
from timeit import repeat

import numba
import numpy as np

from fastnn import Network, machine
from fastnn.demos import DEMOS, drawing, logistic
from fastnn.demos.figures import computed, elsewhere, printed, several
from fastnn.demos.lesson import Lesson
from fastnn.demos.logistic import B, W
from fastnn.demos.logistic import X as SAMPLES_X
from fastnn.demos.logistic import Y as SAMPLES_Y

ONE_X, ONE_Y = (3, 4), 1

LENGTH = 1_000_000  # of the arrays for loop against vector


def run(lesson: Lesson) -> None:
    """Run the demo."""
    lesson.title("Forward and backward by hand, then vectorised", DEMOS["logistic"].document)
    computation_graph(lesson)
    one_sample(lesson)
    three_samples(lesson)
    one_step(lesson)
    loop_against_vector(lesson)
    digits(lesson)
    if lesson.plot:
        draw(lesson)


def graph(a: float, b: float, c: float) -> float:
    """J = 3 (a + bc), in the steps u = bc, v = a + u."""
    u = b * c
    v = a + u
    return 3 * v


def computation_graph(lesson: Lesson) -> None:
    """The chain rule, from J back to a, b and c, checked by finite differences."""
    a, b, c = 5.0, 3.0, 2.0
    u = b * c
    v = a + u
    J = 3 * v
    dv = 3.0  # J = 3 v
    da, du = dv * 1, dv * 1  # v = a + u
    db, dc = du * c, du * b  # u = b c
    lesson.part(f"A computation graph: u = bc, v = a + u, J = 3v at a, b, c = {a:g}, {b:g}, {c:g}")
    lesson.say(f"Forward: u = {u:g}, v = {v:g}, J = {J:g}.")
    lesson.check(
        "Backward, by the chain rule:",
        [
            printed("dJ/da = 3", "3", da, allowed=0.0),
            printed("dJ/db = 3c", "6", db, allowed=0.0),
            printed("dJ/dc = 3b", "9", dc, allowed=0.0),
        ],
    )
    h = 1e-4
    lesson.check(
        f"The slope of J between two points {2 * h:g} apart (1e-9 of it is allowed):",
        [
            elsewhere("along a", da, slope(lambda d: graph(a + d, b, c), h), relative=1e-9),
            elsewhere("along b", db, slope(lambda d: graph(a, b + d, c), h), relative=1e-9),
            elsewhere("along c", dc, slope(lambda d: graph(a, b, c + d), h), relative=1e-9),
        ],
        beside="chain rule",
    )


def slope(f: Callable[[float], float], h: float) -> float:
    """The slope of *f* at 0, from two points *h* to either side."""
    return (f(h) - f(-h)) / (2 * h)


def neuron(engine: str) -> Network:
    """Two inputs, one sigmoid output, cross-entropy, at the document's weights."""
    net = Network([2, 1], loss="binary_cross_entropy", engine=engine)
    return net.set_parameters([*W, B])


def forward(x: Sequence[float], overwrite: bool) -> tuple[float, float, float]:
    """z, a and L of one sample with y = 1, by a loop; with *overwrite*, the document's."""
    z = 0.0
    for w_i, x_i in zip(W, x, strict=True):
        if overwrite:
            z = w_i * x_i  # the document's line: only the last product is left
        else:
            z += w_i * x_i
    z += B
    a = 1 / (1 + math.exp(-z))
    return z, a, -math.log(a)


def one_sample(lesson: Lesson) -> None:
    """Forward for one sample, as meant and as the document has it."""
    lesson.part("One sample: x = (3, 4), y = 1 with w = (0.01, 0.01), b = 1")
    z, a, loss = forward(ONE_X, overwrite=True)
    lesson.check(
        "As the document computes it: its loop says z = w[i] * x[i] where z += is meant, so "
        "the first product is lost and z = 0.01 · 4 + 1:",
        [
            printed("z", "1.04", z, allowed=1e-15),
            printed("a", "0.7388500060842489", a),
            printed("L", "0.30266034739773895", loss),
        ],
    )
    z, a, loss = forward(ONE_X, overwrite=False)
    net = neuron(lesson.engine)
    lesson.check(
        "As meant, z = 0.01 · 3 + 0.01 · 4 + 1, by hand and by the network:",
        [
            computed("z", "1.07", z, relative=1e-15),
            computed("a", "0.7445969158", a),
            computed("L", "0.2949122596", loss),
            computed("a, network", "0.7445969158", net.predict([ONE_X])[0, 0]),
            computed("L, network", "0.2949122596", net.evaluate([ONE_X], [ONE_Y])["loss"]),
        ],
    )


def three_samples(lesson: Lesson) -> None:
    """Forward and backward for three samples at once."""
    lesson.part("Three samples: (2, 3), (3, 4), (1, 5) → 1, 0, 1, same weights")
    net = neuron(lesson.engine)
    J, gradient = net.loss_and_gradient(SAMPLES_X, SAMPLES_Y)
    lesson.check(
        "J is the mean cross-entropy, dw and db its slopes (1e-13 of J and of db is allowed):",
        [
            *several(
                computed,
                ["a of (2, 3)", "a of (3, 4)", "a of (1, 5)"],
                "0.7407749 0.74459692 0.74269055",
                net.predict(SAMPLES_X),
            ),
            computed("J", "0.6541488512601813", J, relative=1e-13),
            *several(computed, ["dw₁", "dw₂"], "0.48601036 0.3047217", gradient[:2]),
            computed("db", "0.07602078677077188", gradient[2], relative=1e-13),
        ],
    )


def one_step(lesson: Lesson) -> None:
    """One step of gradient descent, as meant and as the document has it."""
    rate = 0.1
    net = neuron(lesson.engine)
    before, gradient = net.loss_and_gradient(SAMPLES_X, SAMPLES_Y)
    net.fit(SAMPLES_X, SAMPLES_Y, epochs=1, batch_size=None, learning_rate=rate)
    after, b_after = net.evaluate(SAMPLES_X, SAMPLES_Y)["loss"], net.biases[0][0]
    # The document's line: b falls by rate · b, whatever the data say.
    net.set_parameters([*(W - rate * gradient[:2]), B - rate * B])
    theirs, b_theirs = net.evaluate(SAMPLES_X, SAMPLES_Y)["loss"], net.biases[0][0]
    lesson.part(f"One step of gradient descent, rate {rate}")
    lesson.show(
        ["", "b", "J"],
        [
            ("before", f"{B:.8f}", f"{before:.8f}"),
            ("after w -= rate · dw, b -= rate · db", f"{b_after:.8f}", f"{after:.8f}"),
            ("after b -= rate · b, as the document has it", f"{b_theirs:.8f}", f"{theirs:.8f}"),
        ],
    )
    lesson.require("one step lowers J", after < before)
    lesson.say(
        "The document subtracts rate · b where it means rate · db. That pulls b to 0 whatever "
        "the data say; here b happens to be too large, so J falls all the same, and the "
        "mistake does not show."
    )


def dot(a: Sequence[float], b: Sequence[float]) -> float:
    """Σ a_i b_i, by a loop. Plain Python runs it, and numba compiles it."""
    total = 0.0
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


def loop_against_vector(lesson: Lesson) -> None:
    """The same dot product three times; the times are for reading, not for checking."""
    random = np.random.default_rng(0)
    a, b = random.random(LENGTH), random.random(LENGTH)
    a_list, b_list = a.tolist(), b.tolist()
    compiled = numba.njit(cache=True)(dot)
    compiled(a[:1], b[:1])  # compile it before the clock runs
    ways: list[tuple[str, Callable[[], float], str]] = [
        ("plain Python loop", lambda: dot(a_list, b_list), "750 ms"),
        ("NumPy, a @ b", lambda: float(a @ b), "15.6 ms"),
        ("same loop, jitted", lambda: compiled(a, b), ""),
    ]
    lesson.part(f"Loop against vector: the dot product of {LENGTH:,} random numbers")
    timed = [(name, min(repeat(way, number=1)), way(), theirs) for name, way, theirs in ways]
    slowest = timed[0][1]
    lesson.show(
        ["", "here", "times as fast", "author's machine"],
        [
            (name, f"{1e3 * seconds:.2f} ms", f"{slowest / seconds:.0f}", theirs)
            for name, seconds, _, theirs in timed
        ],
    )
    lesson.say(
        f"Here: {machine.processor()}, {len(machine.cores())} cores, the best of five. On the "
        "author's machine the vector was 48 times as fast as the loop. Times differ between "
        "machines and are not counted as figures."
    )
    exact = math.fsum(x * y for x, y in zip(a_list, b_list, strict=True))
    lesson.check(
        "The sums; each order of adding rounds in its own way (1e-12 is allowed):",
        [elsewhere(name, exact, total, relative=1e-12) for name, _, total, _ in timed],
        beside="exact sum",
    )


def digits(lesson: Lesson) -> None:
    """What the document is for, classifying images, on scikit-learn's handwritten digits."""
    lesson.part("The application: which digit is on a picture of 8 × 8 pixels?")
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        lesson.say(
            "Left out: the pictures come with scikit-learn, which is not installed.\n"
            "pip install 'fastnn-jit[sklearn]'"
        )
        return
    pictures, answers = load_digits(return_X_y=True)
    X = pictures / 16  # pixels go from 0 to 16
    half = len(X) // 2
    epochs = 5 if lesson.quick else 20 if lesson.engine == "python" else 100
    net = Network([64, 10], loss="cross_entropy", initializer="zeros", seed=0, engine=lesson.engine)
    history = net.fit(X[:half], answers[:half], epochs=epochs, batch_size=32, learning_rate=0.1)
    train = net.evaluate(X[:half], answers[:half])["accuracy"]
    test = net.evaluate(X[half:], answers[half:])["accuracy"]
    lesson.say(
        f"Logistic regression for ten classes: {half} pictures to learn from, {len(X) - half} "
        f"others to be tested on, {epochs} epochs in {history.seconds:.2f} s. Right answers: "
        f"{train:.1%} of those learned from, {test:.1%} of the others. The document gives no "
        "figure for this."
    )


def draw(lesson: Lesson) -> None:
    """The three samples with the boundary that they lead to, and the loss on the way."""
    net = neuron(lesson.engine)
    history = logistic.train(net)
    title = f"Three samples, {history.epochs:,} steps at rate 0.1"
    drawing.draw_fit(lesson, "logistic-boundary", net, (SAMPLES_X, np.array(SAMPLES_Y)), title)
    drawing.draw_losses(lesson, "logistic-loss", history, title, "J, the mean cross-entropy")
