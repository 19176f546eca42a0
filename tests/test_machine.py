"""The machine's facts, which are asked for in one place."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastnn
from fastnn import machine

PACKAGE = Path(fastnn.__file__).parent
BENCH = Path(__file__).parents[1] / "bench"
MEMORY = "MemTotal: 8000 kB\nMemFree: 1000 kB\nMemAvailable:    6000 kB\nCached: 5500 kB\n"


@pytest.mark.parametrize(
    "question",
    [
        "sched_getaffinity", "cpu_count", "/proc/", "MemAvailable", "SC_AVPHYS_PAGES",
        "platform.processor", "get_host_cpu", "importlib.metadata.version", "OPENBLAS_NUM_THREADS",
    ],
)  # fmt: skip
def test_only_one_module_asks(question):
    sources = {path for folder in (PACKAGE, BENCH) for path in folder.rglob("*.py")}
    asking = [path for path in sources if question in path.read_text(encoding="utf-8")]
    assert asking == [PACKAGE / "machine.py"]


def test_it_can_be_asked_before_numpy_starts_its_threads():
    code = (
        "import runpy, sys; facts = runpy.run_path(sys.argv[1]);"
        "facts['cores'](), facts['processor'](), facts['available_memory']();"
        "print({'fastnn', 'numpy', 'numba', 'threadpoolctl'} & sys.modules.keys())"
    )
    command = [sys.executable, "-c", code, str(PACKAGE / "machine.py")]
    assert subprocess.run(command, capture_output=True, text=True).stdout.strip() == "set()"


def test_the_processor_has_a_name(monkeypatch, tmp_path):
    assert machine.processor()
    monkeypatch.setattr(machine, "_PROCESSOR_FACTS", tmp_path / "cpuinfo")
    assert machine.processor()
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name : A: B 3\n", encoding="ascii")
    assert machine.processor() == "A: B 3"
    (tmp_path / "cpuinfo").write_text("model name\n", encoding="ascii")
    assert machine.processor()


def test_vectors_are_known_by_name():
    assert set(machine.vectors()) <= {"avx", "avx2", "fma", "avx512f", "neon"}
    assert machine.compiled_for()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be chosen")
def test_cores_are_those_that_may_be_used():
    before = machine.cores()
    try:
        os.sched_setaffinity(0, before[:1])
        assert machine.cores() == before[:1]
    finally:
        os.sched_setaffinity(0, before)


def test_without_a_choice_of_cores_all_may_be_used(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert machine.cores() == list(range(os.cpu_count()))


def test_memory_in_the_caches_of_the_system_is_available(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_MEMORY_FACTS", tmp_path / "meminfo")
    (tmp_path / "meminfo").write_text(MEMORY, encoding="ascii")
    assert machine.available_memory() == 6000 * 1024


@pytest.mark.parametrize(
    "facts", [None, "", "MemAvailable:", "MemAvailable: much kB", "\N{EURO SIGN}"]
)
def test_without_facts_the_free_memory_is_what_is_available(monkeypatch, tmp_path, facts):
    monkeypatch.setattr(machine, "_MEMORY_FACTS", tmp_path / "meminfo")
    if facts is not None:
        (tmp_path / "meminfo").write_text(facts, encoding="utf-8")
    assert machine.available_memory() > 0


def test_threads_are_unknown_without_threadpoolctl(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    assert machine.thread_pools() is None


def test_versions_of_what_is_installed():
    found = machine.versions(["numpy", "no-such-package"])
    assert found.keys() == {"python", "fastnn", "numpy"}
    assert found["fastnn"] == fastnn.__version__


def test_levels_are_those_whose_features_the_processor_has(monkeypatch):
    of_v2 = dict.fromkeys(["cx16", "popcnt", "sahf", "sse3", "sse4.1", "sse4.2", "ssse3"], True)
    monkeypatch.setattr("llvmlite.binding.get_host_cpu_features", lambda: of_v2)
    assert list(machine.levels()) == ["generic", "x86-64-v2"]
    of_arm = {"neon": True}
    monkeypatch.setattr("llvmlite.binding.get_host_cpu_features", lambda: of_arm)
    assert machine.levels() == {"generic": ""}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "250000 100000\n"}, 2.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4.0),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "what\n"}, None),
        ({}, None),
    ],
)
def test_what_a_control_group_allows(files, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_GROUP", tmp_path)
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert machine.quota.__wrapped__() == expected
