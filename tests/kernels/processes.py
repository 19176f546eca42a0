"""Kernels that new processes compile or load."""

import os
import subprocess
import sys
from pathlib import Path

TRAIN = """
import numpy as np
import fastnn
from fastnn.kernels.one_output import make_train_one_output
net = fastnn.Network([1, 3, 1], seed=0)
net.fit([[0.0], [1.0]], [0.0, 1.0], batch_size=1)
train = make_train_one_output((1,), 0, 0, True, n_in=1, units=0, wide=False)
print(sum(train.stats.cache_hits.values()), sum(train.stats.cache_misses.values()))
"""


#: A kernel that compiles quickly; prints how many were loaded.
SMALL = """
from fastnn.kernels import jit

@jit.kernel
def add_one(x):
    return x + 1

assert add_one(1.5) == 2.5
print(sum(add_one.stats.cache_hits.values()))
"""


def run_in_new_process(folder: Path, code: str = TRAIN, cwd: Path | None = None, **env) -> str:
    """What *code* prints, with the cache in *folder*."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder), **env}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
