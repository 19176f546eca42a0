"""`fit_many` on executors of other libraries: real ones, each with two worker processes.

They give the bits that this process gives, and when a worker is killed the error says which
networks are not trained, and the others are.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import fastnn

X = np.random.default_rng(0).normal(size=(60, 3))
Y = np.c_[np.sin(X[:, 0]), X[:, 1] * X[:, 2]]
KINDS = ["processes", "loky", "dask"]


@contextmanager
def workers(kind):
    """An executor with two worker processes."""
    if kind == "processes":
        with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as executor:
            yield executor
    elif kind == "loky":
        from loky import ProcessPoolExecutor as Loky

        with Loky(2, timeout=60) as executor:
            yield executor
    else:
        from dask.distributed import Client, LocalCluster

        with (
            LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster) as client,
            client.get_executor(retries=0) as executor,
        ):
            yield executor


def networks(n=40):
    return [fastnn.Network([3, 2 + k % 4, 2], seed=k) for k in range(n)]


def state(net):
    own = net._state
    arrays = own.parameters, own.moments, own.updates, own.clock.steps
    return *(array.tobytes() for array in arrays), repr(net._rng.bit_generator.state)


def expected(n=40, **arguments):
    nets = networks(n)
    fastnn.fit_many(nets, X, Y, epochs=3, **arguments)
    return nets


@pytest.mark.filterwarnings("ignore")  # theirs
@pytest.mark.parametrize("kind", KINDS)
def test_the_bits_are_those_of_this_process(kind):
    nets = networks()
    with workers(kind) as executor:
        histories = fastnn.fit_many(nets, X, Y, epochs=3, executor=executor)
    assert [state(net) for net in nets] == [state(net) for net in expected()]
    assert [history.loss for history in histories] == [net.history.loss for net in expected()]


class Kills:
    """A metric that kills its process, if that is a worker."""

    __name__ = "kills"

    def __init__(self):
        self.home = os.getpid()

    def __call__(self, targets, outputs):
        if os.getpid() != self.home:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0.0


def numbers_in(message):
    """Those that a message names."""
    numbers = set()
    for part in re.search(r"numbers ([^.;]*)", message).group(1).split(", "):
        first, _, last = part.partition(" to ")
        numbers |= set(range(int(first), int(last or first) + 1))
    return numbers


@pytest.mark.filterwarnings("ignore")  # theirs
@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_worker_is_told_of_and_the_rest_is_kept(kind):
    """What a pool had not begun is not trained either; Dask gives it to another worker."""
    nets, n = networks(4), 4
    start = [state(net) for net in nets]
    metrics = [[], [], [], [Kills()]]
    with (
        workers(kind) as executor,
        pytest.raises(RuntimeError, match=r"networks are not trained, and unchanged") as error,
    ):
        fastnn.fit_many(nets, X, Y, epochs=3, executor=executor, each={"metrics": metrics})
    failed = numbers_in(str(error.value))
    assert n - 1 in failed
    if kind == "dask":
        assert failed == {n - 1}
    trained = [state(net) for net in expected(n)]
    assert [state(net) for net in nets] == [
        start[k] if k in failed else trained[k] for k in range(n)
    ]


MPI = """
import sys
sys.path.insert(0, {tests!r})
from mpi4py.futures import MPICommExecutor
import fastnn
from test_executors import X, Y, expected, networks, state

with MPICommExecutor() as executor:
    if executor is not None:
        nets = networks()
        fastnn.fit_many(nets, X, Y, epochs=3, executor=executor)
        assert [state(net) for net in nets] == [state(net) for net in expected()]
        print("the same bits", flush=True)
"""


def test_mpi():
    """As it is started on a cluster: mpiexec, and a master that hands out."""
    mpiexec = Path(sys.executable).with_name("mpiexec")
    command = str(mpiexec) if mpiexec.exists() else shutil.which("mpiexec")
    assert command, "openmpi is not installed"
    script = MPI.format(tests=str(Path(__file__).parent))
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    options = ["--oversubscribe", "-n", "3", sys.executable, "-m", "mpi4py", "-c", script]
    done = subprocess.run(
        [command, *options], capture_output=True, text=True, timeout=300, env=os.environ | root,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "the same bits" in done.stdout
