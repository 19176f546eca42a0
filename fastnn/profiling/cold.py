"""How long compilation takes: measured in a fresh process that keeps nothing on disk.

``python -m fastnn.profiling.cold WHAT`` prints the seconds of the first run on a tiny problem with
the engine numba, less those of the second. WHAT is the name of an operation, or the arguments of
a `Network` and the batch size, as JSON. In the process that profiles, kernels may have been
compiled before, or loaded from the disk.
"""

import json
import os
import subprocess
import sys

from fastnn.architecture import Architecture

#: These are compiled from one and the same kernel.
SAME_KERNEL = {"gd_epoch": "backward"}


def compile_seconds(what: str, timeout: float) -> float | None:
    """Seconds that numba compiles before the first run; None if it cannot be told."""
    command = [sys.executable, "-m", "fastnn.profiling.cold", what]
    environment = {**os.environ, "FASTNN_CACHE": "0"}
    try:
        output = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=timeout, check=True
        ).stdout
        return float(output)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def compile_seconds_of_network(
    architecture: Architecture, batch_size: int, timeout: float
) -> float | None:
    """The same for training a network."""
    what = [architecture.arguments(), min(batch_size, 4)]
    return compile_seconds(json.dumps(what), timeout)


def _main(what: str) -> None:
    import fastnn.kernels.ceilings
    import fastnn.kernels.engine  # noqa: F401  imported before the clock runs
    from fastnn.network import Network
    from fastnn.profiling.measuring import time_once
    from fastnn.profiling.operations import OPERATIONS, epoch_problem, samples_for

    if what in OPERATIONS:
        problem = OPERATIONS[what].problem(4, 4)
    else:
        arguments, batch_size = json.loads(what)
        net = Network(**arguments)
        data = samples_for(net._architecture, 4)
        problem = epoch_problem(net._architecture, net.parameters, data, batch_size, 1e-4)
    first = time_once(lambda: problem.result("numba"))
    print(max(first - time_once(lambda: problem.result("numba")), 0.0))


if __name__ == "__main__":
    _main(sys.argv[1])
