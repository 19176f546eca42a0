"""What a study pays thousands of times beside the arithmetic: ``python -m bench.fixed_costs``.

Microseconds of processor time of one call on one core, the quickest of 25 rounds; the network is
3-4-1 and learns XOR's four samples. The empty jitted call of two arrays says how fast the machine
is. ``chrt -f 50`` before it, where the system grants it, makes the rounds quieter.
"""

import copy
import time
from collections.abc import Callable

import numba
import numpy as np

import fastnn
from bench import machine

ROUNDS, CALLS = 25, 200


def microseconds(call: Callable[[], object]) -> float:
    """Of one call."""
    call()
    rounds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(CALLS):
            call()
        rounds.append((time.process_time() - started) / CALLS)
    return 1e6 * min(rounds)


def main() -> None:
    """Print a line for each call, with what we want of it at most."""
    machine.use_cores([machine.facts.cores()[-1]])
    X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], float)
    y = np.array([[0.0], [1.0], [1.0], [0.0]])
    net = fastnn.Network([3, 4, 1], seed=0)
    history = net.fit(X, y)
    nothing = numba.njit(lambda a, b: 0.0)
    calls: dict[str, tuple[Callable[[], object], float | None]] = {
        "an empty jitted call": (lambda: nothing(X, y), None),
        "Network([3, 4, 1])": (lambda: fastnn.Network([3, 4, 1], seed=0), 35.0),
        "fit, an epoch sample by sample": (lambda: net.fit(X, y, epochs=1, batch_size=1), 90.0),
        "fit, an epoch in one batch": (lambda: net.fit(X, y, epochs=1), None),
        "loss_and_gradient": (lambda: net.loss_and_gradient(X, y), 15.0),
        "evaluate": (lambda: net.evaluate(X, y), 42.0),
        "predict": (lambda: net.predict(X), None),
        "copy.deepcopy": (lambda: copy.deepcopy(net), 69.0),
        "history.loss": (lambda: copy.copy(history).loss, None),
    }
    for name, (call, goal) in calls.items():
        wanted = "" if goal is None else f"   at most {goal:.0f}"
        print(f"{name:32}{microseconds(call):8.2f} us{wanted}")


if __name__ == "__main__":
    main()
