"""The figures of `fastnn.demos.gate`, and what one neuron learns before, and what it cannot.

One neuron without a bias, ŷ = σ(x₁w₁ + x₂w₂ + x₃w₃), learns to answer with its first
input. "Exactly one of the first two" (XOR) it cannot learn, because no weighted sum tells the
two cases apart. A hidden layer of four sigmoid units can.
"""

import math

import numpy as np

from fastnn import History, Network
from fastnn.demos import DEMOS, drawing, gate
from fastnn.demos.figures import computed, printed, several
from fastnn.demos.gate import X as TWO_LAYER_X
from fastnn.demos.gate import Y as TWO_LAYER_Y
from fastnn.demos.lesson import Lesson

ONE_LAYER_X = np.array([[0, 0, 1], [1, 1, 1], [1, 0, 1], [0, 1, 1]])
FIRST_INPUT = [0, 1, 1, 0]
XOR = [0, 0, 1, 1]

EPOCHS = 20_000

NEW = [[1, 0, 0]]  # asked of every network after training

#: What the document prints for the two layers after training, rows of W1 and then W2.
PRINTED_WEIGHTS = (
    "4.4375838 -3.87815184 1.74047905 -5.12726884 "
    "4.43114847 -3.87644617 1.71905492 -5.10688387 "
    "-6.80858063 0.76685389 1.89614363 1.61202043 "
    "-9.21973137 -3.84985864 4.75257888 -6.36994226"
)


def run(lesson: Lesson) -> None:
    """Run the demo."""
    lesson.title("Three inputs, then a hidden layer", DEMOS["gate"].document)
    # The seconds are rough costs per engine: what does not fit the time allowed is left out.
    if lesson.affords("one neuron", numba=0.1, numpy=0.8, python=0.9):
        one_neuron(lesson)
    if lesson.affords("one neuron on XOR", numba=0.1, numpy=0.8, python=0.9):
        one_neuron_on_xor(lesson)
    history = None
    if lesson.affords("the hidden layer", numba=0.1, numpy=8, python=6):
        history = two_layers(lesson)
    if lesson.plot:
        draw_sigmoid(lesson)
        if history:
            title = "3-4-1 on XOR, per-sample SGD, rate 0.1"
            drawing.draw_losses(lesson, "gate-loss", history, title, "half squared error")


def train_one_neuron(y: list[int], engine: str) -> Network:
    """10,000 steps of rate 1 along the summed gradient."""
    net = Network([3, 1], output_activation="sigmoid", bias=False, reduction="sum", engine=engine)
    net.set_parameters(one_neuron_start())
    net.fit(ONE_LAYER_X, y, epochs=10_000, batch_size=None, learning_rate=1.0)
    return net


def one_neuron_start() -> np.ndarray:
    """Weights in [-1, 1), drawn as the document draws them."""
    return 2 * np.random.RandomState(1).random_sample(3) - 1


def one_neuron(lesson: Lesson) -> None:
    """The answer is the first input, which one weight can say."""
    lesson.part("One neuron: inputs 001, 111, 101, 011 → 0, 1, 1, 0")
    net = train_one_neuron(FIRST_INPUT, lesson.engine)
    lesson.check(
        "Half squared error, 10,000 iterations of rate 1, from legacy seed 1:",
        [
            *several(
                printed,
                ["w₁ at the start", "w₂ at the start", "w₃ at the start"],
                "-0.16595599 0.44064899 -0.99977125",
                one_neuron_start(),
            ),
            *several(
                printed,
                ["w₁", "w₂", "w₃"],
                "9.67299303 -0.2078435 -4.62963669",
                net.weights[0],
            ),
            printed("ŷ(1, 0, 0)", "0.99993704", net.predict(NEW)[0, 0]),
        ],
    )
    lesson.say(
        "Input 1 is the answer, so its weight grew. Input 3 is always 1, so it served as the "
        "bias that the neuron does not have."
    )


def one_neuron_on_xor(lesson: Lesson) -> None:
    """No weights do better here than no weights at all."""
    lesson.part("The same neuron on XOR of the first two inputs: it stalls")
    net = train_one_neuron(XOR, lesson.engine)
    outputs = net.predict(ONE_LAYER_X).ravel()
    lesson.check(
        "y = 0, 0, 1, 1 for the same inputs; of the weights only the order is given:",
        [
            printed("mean squared error", "0.25", ((outputs - XOR) ** 2).mean(), allowed=1e-15),
            *several(
                printed,
                ["ŷ(001)", "ŷ(111)", "ŷ(101)", "ŷ(011)"],
                "0.5 0.5 0.5 0.5",
                outputs,
                allowed=1e-15,
            ),
            printed("largest |weight|", "1e-16", np.abs(net.parameters).max(), allowed=9e-16),
        ],
    )
    lesson.say(
        "Every output is one half: the best that a weighted sum can do when the answer is "
        "neither rising nor falling in any input."
    )


def two_layers(lesson: Lesson) -> History:
    """Four hidden units, trained one sample at a time."""
    lesson.part("A hidden layer, 3-4-1: inputs 001, 011, 101, 111 → 0, 1, 1, 0")
    net = gate.new_network(engine=lesson.engine)
    history = gate.train(net, EPOCHS)
    tenth = EPOCHS // 10
    lesson.show(
        ["epoch", "training loss"],
        [(f"{e:,}", f"{history.loss[e - 1]:.8f}") for e in range(tenth, EPOCHS + 1, tenth)],
    )
    names = [f"W1[{i},{j}]" for i in range(3) for j in range(4)] + [f"W2[{i}]" for i in range(4)]
    lesson.check(
        f"{EPOCHS:,} epochs of per-sample SGD, rate 0.1, {history.seconds:.2f} s:",
        [
            *several(printed, names, PRINTED_WEIGHTS, net.parameters),
            printed("ŷ(1, 0, 0)", "0.00557239", net.predict(NEW)[0, 0]),
        ],
    )
    check_outputs(lesson, net)
    return history


def check_outputs(lesson: Lesson, net: Network) -> None:
    """What the trained network answers, and what the document says that it answers."""
    outputs = net.predict(TWO_LAYER_X).ravel()
    mse = ((outputs - TWO_LAYER_Y) ** 2).mean()
    cut = math.floor(mse * 1e5) / 1e5
    cases = ["001", "011", "101", "111"]
    lesson.check(
        "Outputs after training and their mean squared error, MSE (which the document cuts "
        "after five places; 1e-9 of the full one is allowed):",
        [
            printed("MSE, cut", "0.00078", cut, allowed=0.0),
            computed("MSE", "0.0007860197287586499", mse, relative=1e-9),
            *several(
                computed,
                [f"ŷ({case})" for case in cases],
                "0.02151144 0.97049064 0.97054487 0.03070717",
                outputs,
            ),
        ],
    )
    net.set_parameters([float(weight) for weight in PRINTED_WEIGHTS.split()])
    theirs = net.predict(TWO_LAYER_X).ravel()
    lesson.say(
        "The document prints other outputs, which do not follow from the weights that it "
        "prints: they are from another run, and are not counted here."
    )
    lesson.show(
        ["input", "document", "from its weights", "ours"],
        zip(
            cases,
            ["0.0237…", "0.9728…", "0.9746…", "0.0271…"],
            [f"{value:.8f}" for value in theirs],
            [f"{value:.8f}" for value in outputs],
            strict=True,
        ),
    )


def draw_sigmoid(lesson: Lesson) -> None:
    """The sigmoid on [-6, 6) with its tangents: steep in the middle, flat outside."""
    z = np.arange(-6, 6, 0.01)
    picture = lesson.picture("gate-sigmoid")
    axes = picture.subplots()
    axes.plot(z, 1 / (1 + np.exp(-z)), color="black", linewidth=2, label="σ(z) = 1 / (1 + e⁻ᶻ)")
    for at, color in ((2, "tab:orange"), (0, "tab:red"), (-4, "tab:blue")):
        a = 1 / (1 + math.exp(-at))
        slope = a * (1 - a)
        near = np.array([at - 1.5, at + 1.5])
        axes.plot(
            near, a + slope * (near - at), color=color, label=f"tangent at {at}: slope {slope:.3f}"
        )
        axes.plot(at, a, "o", color=color)
    axes.set(xlabel="z", ylabel="σ(z)", xlim=(-6, 6), title="The sigmoid; its slope is σ (1 − σ)")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    lesson.save(picture)
