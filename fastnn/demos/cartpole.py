"""A cart that balances a pole, steered by a network that is called from compiled code.

A cart of 1 kg on a track carries a pole of 1 m and 0.1 kg, which falls unless the cart goes after
it. Every 0.02 s the network sees where the cart and the pole are and how fast they move, and says
how hard to push: its output from -1 to 1 times 10 N. The whole loop, physics and network, is one
function that numba compiles, in which ``fastnn.jit.forward`` is a call like any other. (The numbers
are those of Barto, Sutton and Anderson, Neuronlike adaptive elements that can solve difficult
learning control problems (IEEE Transactions on Systems, Man, and Cybernetics, 1983), by Euler's
method.)

Nobody says what a good push is, so there is nothing for ``fit``: of many small changes of the
parameters the best are kept.
"""

import numba
import numpy as np

import fastnn
from fastnn.jit import Compiled

LAYERS = [4, 16, 16, 1]
#: Steps of a trial, and of the last drive.
TRIAL, DRIVE = 500, 1_000_000
#: Of the search: how many changes are tried at once, of how many the mean is taken; how often.
CHANGES, KEPT, GENERATIONS = 48, 8, 16


@numba.njit
def step(state: np.ndarray, push: float) -> None:
    """Where cart and pole are 0.02 s later: position, speed, angle, and its speed."""
    x, v, angle, spin = state[0], state[1], state[2], state[3]
    sine, cosine = np.sin(angle), np.cos(angle)
    force = (10.0 * push + 0.05 * spin * spin * sine) / 1.1
    bend = (9.8 * sine - cosine * force) / (0.5 * (4.0 / 3.0 - 0.1 * cosine * cosine / 1.1))
    state[0] = x + 0.02 * v
    state[1] = v + 0.02 * (force - 0.05 * bend * cosine / 1.1)
    state[2] = angle + 0.02 * spin
    state[3] = spin + 0.02 * bend


@numba.njit
def has_fallen(state: np.ndarray) -> bool:
    """More than 12 degrees aslant, or 2.4 m off the middle."""
    return bool(abs(state[0]) > 2.4 or abs(state[2]) > 0.2095)


@numba.njit
def drive(h: Compiled, steps: int) -> int:
    """Drive for some steps from places near the middle, a new one after each fall; count falls."""
    state, push = np.zeros(4), np.zeros(1)
    falls, draw = 0, 1
    for k in range(steps):
        if k == 0 or has_fallen(state):
            falls += k > 0
            for i in range(4):
                draw = (draw * 16807) % 2147483647
                state[i] = 0.1 * (draw / 2147483647 - 0.5)
        fastnn.jit.forward(h, state, push)
        step(state, push[0])
    return falls


@numba.njit
def lasted(h: Compiled, starts: np.ndarray, most: int) -> float:
    """For how many steps, at most *most*, the pole stood from each start, in the mean."""
    state, push, total = np.zeros(4), np.zeros(1), 0
    for start in range(len(starts)):
        state[:] = starts[start]
        for _ in range(most):
            fastnn.jit.forward(h, state, push)
            step(state, push[0])
            if has_fallen(state):
                break
            total += 1
    return total / len(starts)


def learn(h: Compiled, rng: np.random.Generator) -> np.ndarray:
    """Search for good parameters, from those that there are: the steps lasted in each generation.

    ``h._replace`` is the same network with other parameters: nothing is compiled for it.
    """
    starts = rng.uniform(-0.1, 0.1, (12, 4))
    scores = []
    for generation in range(GENERATIONS):
        spread = 0.3 * (1 - generation / GENERATIONS)
        vectors = h.parameters + spread * rng.normal(size=(CHANGES, len(h.parameters)))
        each = np.array([lasted(h._replace(parameters=row), starts, TRIAL) for row in vectors])
        h.parameters[:] = vectors[np.argsort(each)[-KEPT:]].mean(axis=0)
        scores.append(lasted(h, starts, TRIAL))
    return np.array(scores)
