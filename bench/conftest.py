"""Options of the suite, the cores that it stays on, and what goes into its JSON."""

import datetime
import warnings
from typing import Any

import pytest

from bench import machine

_CORES = pytest.StashKey[list[int]]()
#: Seconds per row with --quick; otherwise --benchmark-max-time, set in pytest.ini.
QUICK_SECONDS = "0.1"  # the option is text


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("fastnn benchmarks")
    group.addoption("--quick", action="store_true", help="the small sizes only: under 2 minutes")
    group.addoption(
        "--core",
        type=int,
        metavar="N",
        help="the core to stay on, except in rows for all cores; by default the last",
    )
    group.addoption(
        "--note", default="", help="what else to say of the machine, under tables and figures"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Pin this process before anything that starts threads is imported."""
    cores = machine.facts.cores()
    core = config.getoption("--core")
    config.stash[_CORES] = cores
    machine.use_cores([cores[-1] if core is None else core])
    option = config.option
    if option.quick:
        option.benchmark_max_time = min(option.benchmark_max_time, QUICK_SECONDS, key=float)
        option.benchmark_min_rounds = min(option.benchmark_min_rounds, 3)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --quick, keep what is marked so."""
    if config.option.quick:
        left_out = [item for item in items if item.get_closest_marker("quick") is None]
        items[:] = [item for item in items if item.get_closest_marker("quick")]
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture
def quick(request: pytest.FixtureRequest) -> bool:
    """Whether --quick was asked for."""
    return bool(request.config.option.quick)


@pytest.fixture(scope="session")
def cores(request: pytest.FixtureRequest) -> list[int]:
    """The cores that rows for all cores may use."""
    return request.config.stash[_CORES]


@pytest.fixture
def enter(cores: list[int]) -> Any:
    """Sets a contestant up, here or on all cores; skips it with the reason if it cannot."""
    from bench import all_cores, peers
    from bench.contest import UnavailableError

    remote = []

    def set_up(contestant: str, operation: str, problem: Any) -> Any:
        if contestant not in peers.ENGINES:
            warnings.simplefilter("ignore")  # pytest undoes this after the test
        try:
            if getattr(problem, "all_cores", False):
                entry = all_cores.enter(contestant, operation, problem, cores)
                remote.append(entry)
                return entry
            entry = peers.enter(contestant, operation, problem)
            machine.require_threads(1)
            return entry
        except UnavailableError as reason:
            pytest.skip(f"{contestant}: {reason}")

    yield set_up
    for entry in remote:
        all_cores.leave(entry)


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict) -> None:
    """Say what matters for the times; leave out whose machine it is."""
    cpu = machine_info["cpu"]
    machine_info["cpu"] = {
        key: cpu.get(key) for key in ("brand_raw", "arch", "family", "model", "stepping")
    }
    machine_info["cpu"]["vectors"] = machine.facts.vectors()
    machine_info.pop("node", None)
    machine_info["cores"] = len(config.stash[_CORES])
    machine_info["versions"] = machine.versions()
    machine_info["note"] = config.option.note


def pytest_benchmark_update_json(config: pytest.Config, output_json: dict) -> None:
    """Keep the statistics, not every single time, so that the file can be committed."""
    output_json["quick"] = bool(config.option.quick)
    output_json["datetime"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    for benchmark in output_json["benchmarks"]:
        benchmark["stats"].pop("data", None)
        benchmark["params"] = {"contestant": benchmark["extra_info"]["contestant"]}
        del benchmark["options"]
        for seconds in [key for key, value in benchmark["stats"].items() if type(value) is float]:
            benchmark["stats"][seconds] = float(f"{benchmark['stats'][seconds]:.7g}")
