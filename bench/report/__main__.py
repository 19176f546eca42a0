"""``python -m bench.report RESULTS.json [MORE.json ...]``."""

import argparse
import importlib.util
from pathlib import Path

from bench.report import figures, tables
from bench.report.results import read

_BENCH = Path(__file__).parents[1]


def main() -> None:
    """Rewrite the tables between the markers of the two READMEs, and the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=main.__doc__)
    parser.add_argument(
        "results",
        nargs="+",
        type=Path,
        help="JSON of `pytest bench`; of rows that are in several the fastest counts",
    )
    results = read(parser.parse_args().results)
    if importlib.util.find_spec("matplotlib") is None:
        parser.error("the figures need matplotlib: pip install 'fastnn-jit[plot]'")
    for path, text, name in (
        (_BENCH.parent / "README.md", tables.telling(results), "bench"),
        (_BENCH / "README.md", tables.times(results), "times"),
        (_BENCH.parent / "README.md", tables.estimators(results), "estimators"),
        (_BENCH / "README.md", tables.goals(results), "bench"),
    ):
        done = tables.insert(path, text, name)
        print(f"{path.name}, {name}: {'written' if done else 'no markers, left as it is'}")
    for path in figures.draw(results, _BENCH / "figures"):
        print(path)


if __name__ == "__main__":
    main()
