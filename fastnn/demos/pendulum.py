"""A pendulum whose law of motion a network has learned, integrated with the network's Jacobian.

It is the damped pendulum of any textbook of mechanics: the state is the angle and its speed, and
its change (speed, -9.81 sin(angle) - 0.3 speed). The network sees states at random, each with its
change, and then stands in for the law in ``scipy.integrate.solve_ivp``. Implicit methods such as
Radau solve equations in each step, for which they need the law's Jacobian: `Network.jacobian` is
exact, and costs about as much as a prediction. Its eigenvalues at rest say how the pendulum swings:
by how much it slows down, and how often it goes to and fro.
"""

from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from fastnn import History, Network

SAMPLES, ITERATIONS = 500, 800
#: Where it starts, and for how many seconds it swings.
START, SECONDS = (2.0, 0.0), 6.0


def change(state: np.ndarray) -> np.ndarray:
    """The law: how states (..., 2) change."""
    angle, speed = state[..., 0], state[..., 1]
    return np.stack([speed, -9.81 * np.sin(angle) - 0.3 * speed], axis=-1)


def new_network(engine: str) -> Network:
    """Not trained yet."""
    return Network([2, 24, 2], activation="tanh", loss="squared_error", seed=1, engine=engine)


def train(net: Network) -> History:
    """Learn the law from states at random."""
    states = np.random.default_rng(0).uniform([-2.5, -7.0], [2.5, 7.0], (SAMPLES, 2))
    return net.fit(states, change(states), epochs=ITERATIONS, optimizer="lbfgs")


def swing(law: Any, jacobian: Any = None) -> Any:
    """What `scipy.integrate.solve_ivp` makes of a law of states (n, 2), and of its Jacobian."""
    return solve_ivp(
        lambda _, state: law(state[np.newaxis])[0],
        (0.0, SECONDS),
        START,
        method="Radau",
        jac=None if jacobian is None else lambda _, state: jacobian(state[np.newaxis])[0],
        t_eval=np.linspace(0.0, SECONDS, 241),
        rtol=1e-6,
        atol=1e-8,
    )
