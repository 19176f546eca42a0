"""What people read comes from the committed results, to the digit."""

import dataclasses
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from bench.peers import CONTESTANTS
from bench.report import tables
from bench.report.results import as_time, read

pytestmark = pytest.mark.quick
BENCH = Path(__file__).parent
RESULTS = read(sorted((BENCH / "results").glob("*.json")))


@pytest.mark.parametrize(
    ("path", "name", "table"),
    [
        (BENCH.parent / "README.md", "bench", tables.telling),
        (BENCH / "README.md", "times", tables.times),
        (BENCH.parent / "README.md", "estimators", tables.estimators),
        (BENCH / "README.md", "bench", tables.goals),
    ],
    ids=["README.md", "all rows", "README.md, estimators", "bench/README.md"],
)
def test_the_tables_are_those_of_the_committed_results(path, name, table):
    """And nothing else is between the markers."""
    text = path.read_text(encoding="utf-8")
    [shown] = re.findall(f"<!-- {name}:begin -->\n(.*?)\n<!-- {name}:end -->", text, re.DOTALL)
    assert shown == table(RESULTS)


def test_the_readme_has_six_rows_and_none_is_lost():
    assert len(tables.TELLING) == 6
    assert set(tables.TELLING) <= {work for work, _, _ in tables.WORK}
    lines = [line for line in tables.telling(RESULTS).splitlines() if line.endswith("` |")]
    assert [line.split("|")[1].strip() for line in lines] == list(tables.TELLING)
    assert [line for line in lines if "**" not in line.split("|")[3]] == []


@pytest.mark.parametrize("work", [w for w, command in tables.TELLING.items() if "-k" in command])
def test_the_command_of_a_row_measures_it(work):
    """Its numba row, at least, and nothing but what is beside it in the table."""
    [group] = [group for name, _, group in tables.WORK if name == work]
    _, path, _, chosen = shlex.split(tables.TELLING[work])
    command = [sys.executable, "-m", "pytest", path, "--collect-only", "-q", "-k", chosen]
    done = subprocess.run(
        [*command, "-o", "addopts="], cwd=BENCH.parent, capture_output=True, text=True, check=True
    )
    found = [line.strip() for line in done.stdout.splitlines() if "numba]" in line]
    words = group.partition(": ")[2].replace(" ", "-").replace(",-", "|")
    assert [name for name in found if name.endswith(f"[{words}|numba]")], (words, done.stdout)


@pytest.mark.parametrize(
    "group", [row[2] for row in tables.WORK] + [row[1] for row in tables.GOALS]
)
def test_no_row_is_lost_because_it_was_not_measured(group):
    assert "numba" in RESULTS.in_group(group)


@pytest.mark.parametrize(
    "contestants", [*tables.COLUMNS.values(), *(row[2] for row in tables.GOALS)]
)
def test_the_tables_know_their_contestants(contestants):
    assert set(contestants) <= set(CONTESTANTS)


def test_a_row_that_we_lose_is_shown_as_lost():
    slower = [
        dataclasses.replace(row, seconds=row.seconds * 1000) if row.contestant == "numba" else row
        for row in RESULTS.rows
    ]
    table = tables.times(dataclasses.replace(RESULTS, rows=slower))
    update = next(line for line in table.splitlines() if line.startswith("| 1-128-1"))
    assert "**" not in update.split("|")[3]
    assert update.count("**") == 2


def test_of_several_runs_the_lower_median_counts(tmp_path):
    document = json.loads(min((BENCH / "results").glob("*.json")).read_text(encoding="utf-8"))
    del document["benchmarks"][1:]
    [row] = document["benchmarks"]
    paths = []
    for median in (2.0, 1.0, 3.0):
        row["stats"]["median"] = median
        paths.append(tmp_path / f"{median}.json")
        paths[-1].write_text(json.dumps(document), encoding="utf-8")
    assert [row.seconds for row in read(paths).rows] == [1.0]


def test_markers_are_needed(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("no markers")
    assert not tables.insert(path, "table")
    path.write_text("a\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nb\n")
    assert tables.insert(path, r"new \1")
    assert path.read_text() == "a\n<!-- bench:begin -->\nnew \\1\n<!-- bench:end -->\nb\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1.234, "1.23 s"), (0.0456, "45.6 ms"), (7.89e-4, "789 µs"), (5e-8, "50.0 ns")],
)
def test_times_have_three_digits(seconds, text):
    assert as_time(seconds) == text
