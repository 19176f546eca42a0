"""The figures of `fastnn.demos.neuron`: each version of its cost, and the one in Keras."""

import numpy as np

from fastnn import EarlyStopping, History, Network
from fastnn.demos import DEMOS, drawing
from fastnn.demos.figures import Figure, computed, printed, several
from fastnn.demos.lesson import Lesson
from fastnn.demos.neuron import X
from fastnn.demos.neuron import Y as LAST_ONLY

LATER_HALF = [0, 0, 0, 1, 1, 1]

ITERATIONS = 50_000
RATE = 0.01  # of the gradient summed over the samples

#: From iteration 25,001 on, stop when the cost after the update fell by no more than 1e-6.
STOP_RULE = EarlyStopping(monitor="val_loss", min_delta=1e-6, start_from_epoch=25_001)

# The Keras version has its own data, rate and start.
KERAS_X = np.arange(1.0, 7.0)
KERAS_Y = [0, 0, 0, 0, 1, 1]
KERAS_W = 1.374991  # the weight it ends with
HALVINGS = 20  # of the interval for the weight it starts with


def run(lesson: Lesson) -> None:
    """Run the demo."""
    lesson.title("One neuron, one number in", DEMOS["neuron"].document)
    # The seconds are rough costs per engine: what does not fit the time allowed is left out.
    if lesson.affords("the summed cost", numba=1.5, numpy=9, python=11):
        summed_cost(lesson)
    if lesson.affords("the mean cost", numba=0.9, numpy=6, python=7):
        mean_cost(lesson)
    if lesson.affords("the second labelling", numba=2.2, numpy=14, python=16):
        second_labelling(lesson)
    if lesson.affords("the Keras version", numba=0.3, numpy=2, python=2):
        keras_version(lesson)


def train(y: list[int], cost: str, engine: str) -> tuple[Network, History]:
    """Descend from w = b = 0 along the *summed* gradient; *cost* is "sum" or "mean"."""
    net = Network(
        [1, 1],
        loss="binary_cross_entropy",
        reduction=cost,
        initializer="zeros",
        engine=engine,
    )
    history = net.fit(
        X,
        y,
        epochs=ITERATIONS,
        batch_size=None,  # all samples in one step, so that an epoch is an iteration
        # A mean cost has a mean gradient: the rate takes the division by six back.
        learning_rate=RATE * len(X) if cost == "mean" else RATE,
        validation_data=(X, y),  # the same data: the cost after each update
        early_stopping=STOP_RULE,
    )
    return net, history


def summed_cost(lesson: Lesson) -> None:
    """The document's plain-Python version: its cost is a sum, and the rule never stops it."""
    lesson.part("Plain-Python version: the cost is the sum over the samples")
    net, history = train(LAST_ONLY, "sum", lesson.engine)
    show_progress(lesson, history)
    if lesson.plot:
        title = f"One neuron, {history.epochs:,} iterations at rate {RATE}"
        drawing.draw_fit(lesson, "neuron-fit", net, (X, np.array(LAST_ONLY)), title)
        drawing.draw_losses(lesson, "neuron-cost", history, title, "sum of the cross-entropies")
    probabilities = net.predict(X).ravel()
    lesson.check(
        f"x = 0 … 5, y = {LAST_ONLY}, {history.seconds:.2f} s:",
        [
            printed("iterations", "50000", history.epochs, allowed=0.0),
            printed("w", "5.056985", net.weights[0][0, 0]),
            printed("b", "-22.644516", net.biases[0][0]),
            *several(
                printed,
                [f"ŷ({x:.0f})" for x in X],
                "0.000000 0.000000 0.000004 0.000568 0.081917 0.933417",
                probabilities,
            ),
            *several(
                printed,
                [f"class of {x:.0f}" for x in X],
                "0 0 0 0 0 1",
                probabilities > 0.5,
                allowed=0.0,
            ),
        ],
    )


def mean_cost(lesson: Lesson) -> None:
    """The NumPy version: the same steps, but a cost six times smaller, so the rule fires."""
    lesson.part("NumPy version: the cost is the mean, its gradient still the sum")
    net, history = train(LAST_ONLY, "mean", lesson.engine)
    show_progress(lesson, history)
    lesson.say(
        "The steps are the same, but a mean falls six times more slowly than a sum. So the "
        "same rule, a fall of no more than 1e-6, stops the one and not the other."
    )
    lesson.check(
        f"x = 0 … 5, y = {LAST_ONLY}, {history.seconds:.2f} s:",
        outcome(net, history, "30007", "4.196520600", "-18.772350851"),
    )


def second_labelling(lesson: Lesson) -> None:
    """The second labelling, with either cost."""
    lesson.part("The second labelling, with either cost")
    net, history = train(LATER_HALF, "sum", lesson.engine)
    lesson.check(
        f"Sum: y = {LATER_HALF}, {history.seconds:.2f} s:",
        outcome(net, history, "50000", "7.132147", "-17.650942"),
    )
    net, history = train(LATER_HALF, "mean", lesson.engine)
    lesson.check(
        f"Mean: y = {LATER_HALF}, {history.seconds:.2f} s:",
        outcome(net, history, "25001", "5.832583711", "-14.396635468"),
    )


def outcome(net: Network, history: History, iterations: str, w: str, b: str) -> list[Figure]:
    """How long training took and where it ended, beside the document's figures."""
    return [
        computed("iterations", iterations, history.epochs, relative=0.0),
        computed("w", w, net.weights[0][0, 0]),
        computed("b", b, net.biases[0][0]),
    ]


def show_progress(lesson: Lesson, history: History) -> None:
    """A line for every tenth of the iterations, and one for the last."""
    costs = history.val_loss
    tenth = ITERATIONS // 10
    shown = sorted({*range(tenth, len(costs) + 1, tenth), len(costs)})
    lesson.show(
        ["iteration", "cost", "last cost", "reduction"],
        [
            (f"{i:,}", f"{costs[i - 1]:.9f}", f"{costs[i - 2]:.9f}",
             f"{costs[i - 2] - costs[i - 1]:.3e}")
            for i in shown
        ],
    )  # fmt: skip


def keras_version(lesson: Lesson) -> None:
    """The Keras version, whose start weight the document does not print."""
    lesson.part("Keras version: one sigmoid unit, SGD at rate 0.1, 1,000 epochs, mean cost")
    start = find_start_weight(lesson.engine)
    net = train_as_keras(start, lesson.engine)
    lesson.say(net.summary())
    lesson.say(
        "The document prints where training ends but not where it starts. The weight at the "
        "end grows with the weight at the start, so halving the interval (-0.6, 0) "
        f"{HALVINGS} times finds the start: w = {start:.6f}, b = 0. Everything else must then "
        "follow. Keras computes in float32, with about seven digits, so its figures are that "
        "uncertain: 1.2e-7 is allowed, times the figure where that is above 1."
    )
    scores = net.evaluate(KERAS_X, KERAS_Y)
    lesson.check(
        f"x = 1 … 6, y = {KERAS_Y}:",
        [
            printed("w", "1.374991", net.weights[0][0, 0], single=True),
            printed("b", "-5.9958787", net.biases[0][0], single=True),
            printed("loss", "0.1856", scores["loss"]),
            printed("accuracy", "1.0", scores["accuracy"], allowed=0.0),
            *several(
                printed,
                [f"ŷ({x:.0f})" for x in KERAS_X],
                "0.00974809 0.03747462 0.13343701 0.37850127 0.7066308 0.90500087",
                net.predict(KERAS_X),
                single=True,
            ),
        ],
    )


def train_as_keras(start: float, engine: str) -> Network:
    """1,000 epochs from the weight *start* and bias 0."""
    net = Network([1, 1], loss="binary_cross_entropy", engine=engine)
    net.set_parameters([start, 0.0])
    net.fit(KERAS_X, KERAS_Y, epochs=1000, batch_size=None, learning_rate=0.1)
    return net


def find_start_weight(engine: str) -> float:
    """The start weight that leads to `KERAS_W`, by bisection."""
    low, high = -0.6, 0.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        end = train_as_keras(middle, engine).weights[0][0, 0]
        low, high = (middle, high) if end < KERAS_W else (low, middle)
    return (low + high) / 2
