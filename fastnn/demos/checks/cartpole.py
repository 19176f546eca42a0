"""What is wanted of `fastnn.demos.cartpole`, and how long a drive takes."""

import time

import numpy as np

import fastnn
from fastnn.demos import DEMOS
from fastnn.demos.cartpole import CHANGES, DRIVE, GENERATIONS, LAYERS, TRIAL, drive, learn
from fastnn.demos.lesson import Lesson


def run(lesson: Lesson) -> None:
    """Run the demo."""
    lesson.heading("A cart balances a pole, all in one compiled loop", DEMOS["cartpole"].document)
    net = fastnn.Network(LAYERS, activation="tanh", output_activation="tanh", seed=1,
                         engine=lesson.engine)  # fmt: skip
    h = net.compiled()
    lesson.part("Before")
    before = drive(h, 10_000)
    lesson.say(f"In 10,000 steps the pole falls {before} times.")
    lesson.require("the pole falls at least every 100 steps", before > 100)
    lesson.part(f"{GENERATIONS} generations of {CHANGES} changed networks")
    scores = learn(h, np.random.default_rng(0))
    lesson.show(["generation", f"steps lasted, of {TRIAL}"],
                [(f"{k + 1}", f"{scores[k]:.1f}") for k in range(0, GENERATIONS, 3)])  # fmt: skip
    lesson.require(f"it lasts all {TRIAL} steps from each start", scores[-1] == TRIAL)
    steps = DRIVE // 10 if lesson.quick else DRIVE
    lesson.part(f"A drive of {steps:,} steps in one call")
    started = time.perf_counter()
    falls = drive(h, steps)
    seconds = time.perf_counter() - started
    lesson.say(f"{seconds:.3f} s, or {seconds / steps * 1e9:.0f} ns for the physics and a network "
               f"of {'-'.join(map(str, LAYERS))}; the pole falls {falls} times.")  # fmt: skip
    lesson.require("the pole never falls", falls == 0)
