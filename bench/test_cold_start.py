"""Cold start, each time in a new process: import; first fit and predict, cache empty or full.

Every time contains the start of Python itself, which is a row of its own.
"""

import os
import subprocess
import sys

import pytest

from bench import machine
from bench.cold_start import FIRST_WORK, IMPORTS
from bench.peers import ENGINES
from bench.rows import version

ROUNDS, QUICK_ROUNDS = 3, 1


def run(code, folder):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed is there as bytecode
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env=environment)  # fmt: skip
    if "ModuleNotFoundError" in done.stderr:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr


def time_process(benchmark, quick, code, contestant, operation, folder, fresh=False):
    """Time *code* in new processes, with the cache in *folder*, or a *fresh* one each time."""
    info = version(contestant) if contestant in FIRST_WORK else ""
    benchmark.extra_info.update(
        contestant=contestant, operation=operation, size="1-128-1", units=1, dtype="float64",
        threads=machine.threads(), version=info,
    )  # fmt: skip
    if not fresh:
        run(code, folder / "first")
    count = iter(range(100))

    def set_up():
        return (code, folder / (str(next(count)) if fresh else "first")), {}

    benchmark.pedantic(run, setup=set_up, rounds=QUICK_ROUNDS if quick else ROUNDS)


_quick_for_engines = pytest.mark.parametrize(
    "contestant",
    [
        pytest.param(name, marks=[pytest.mark.quick] if name in ENGINES else [])
        for name in FIRST_WORK
    ],
)


@pytest.mark.benchmark(group="cold start: import")
@pytest.mark.parametrize(
    "contestant",
    [
        pytest.param(name, marks=[] if name in ("sklearn", "torch", "jax") else [pytest.mark.quick])
        for name in IMPORTS
    ],
)
def test_import(benchmark, quick, tmp_path, contestant):
    time_process(benchmark, quick, IMPORTS[contestant], contestant, "import", tmp_path)


@pytest.mark.benchmark(group="cold start: first fit and predict, warm cache")
@_quick_for_engines
def test_warm_cache(benchmark, quick, tmp_path, contestant):
    time_process(
        benchmark, quick, FIRST_WORK[contestant], contestant, "first work, warm cache", tmp_path
    )


@pytest.mark.benchmark(group="cold start: first fit and predict, empty cache")
@_quick_for_engines
def test_empty_cache(benchmark, quick, tmp_path, contestant):
    time_process(
        benchmark, quick, FIRST_WORK[contestant], contestant, "first work, empty cache", tmp_path,
        fresh=True,
    )  # fmt: skip
