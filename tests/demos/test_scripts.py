"""The demos' own modules: programs on a page; and the command that runs them with other numbers."""

from __future__ import annotations

import importlib
import inspect
import itertools
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import slow_but

from fastnn.cli import main
from fastnn.demos import DEMOS, own
from fastnn.demos.lesson import Lesson

MODULES = {name: importlib.import_module(f"fastnn.demos.{name}") for name in DEMOS}

each_demo = pytest.mark.parametrize("name", DEMOS)
#: The others are no document's: nothing is a number that could be another.
DOCUMENTS = [name for name in DEMOS if DEMOS[name].numbers]
each_document = pytest.mark.parametrize("name", DOCUMENTS)


def code_lines(module):
    """Lines without docstrings, comments and blank lines."""
    text = re.sub(r'"""(?s:.*?)"""', "", Path(module.__file__).read_text(encoding="utf-8"))
    return [line for line in text.splitlines() if line.strip() and line.strip()[0] != "#"]


@each_document
def test_a_demo_is_a_program_on_a_page(name):
    assert len(code_lines(MODULES[name])) <= 35
    imported = re.findall(r"^(?:from|import) (\S+)", inspect.getsource(MODULES[name]), re.MULTILINE)
    assert set(imported) <= {"fastnn", "numpy", "itertools"}


#: What each prints when it is run, of its document's figures.
ENDS = {
    "gate": "0.0055723854002",
    "celsius": "°F = 1.800000 °C + 32.000000",
    "neuron": "w = 5.056985, b = -22.644516",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*ENDS, "logistic"])
def test_run_as_a_script_it_prints_what_it_found(name, capsys):
    runpy.run_path(MODULES[name].__file__, run_name="__main__")
    assert ENDS.get(name, "J 0.654149") in capsys.readouterr().out


@each_demo
def test_each_names_its_document(name, capsys):
    """In its own text, in its help and where it runs."""
    document = DEMOS[name].document
    title = re.split(r", | \(", document)[0]
    said = " ".join((MODULES[name].__doc__ or "").split())
    known_from = re.findall(r"\(([^()]*)\)", document)
    assert all(part in said for part in (title, *known_from))
    assert main(["demo", name, "--help"]) == 0
    shown = re.sub(r"\s", "", capsys.readouterr().out)
    assert re.sub(r"\s", "", document) in shown


@each_document
def test_the_numbers_in_the_help_are_those_of_the_program(name, capsys):
    system = MODULES[name]
    parameters = {**inspect.signature(system.train).parameters}
    parameters |= inspect.signature(system.new_network).parameters
    defaults = {k: p.default for k, p in parameters.items() if k not in ("net", "engine")}
    assert defaults == dict(DEMOS[name].numbers)
    assert main(["demo", name, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"(the document's: {defaults['epochs']:g})" in shown
    assert ("--samples" in shown) == ("--table" in shown) == (name == "curve")


@pytest.mark.parametrize("name", [name for name, demo in DEMOS.items() if not demo.numbers])
def test_the_help_of_a_demo_without_numbers_says_nothing_of_them(name, capsys):
    assert main(["demo", name, "--help"]) == 0
    assert "numbers" not in capsys.readouterr().out.split("options:")[1]


def test_the_help_of_all(capsys):
    assert main(["demo", "--help"]) == 0
    assert "--learning-rate RATE" in capsys.readouterr().out


# Other numbers.

HIDDEN = {"none": (), "3": (3,), "3,2": (3, 2)}
FEW = ["--epochs", "3", "--learning-rate", "0.0005", "--engine", "numpy"]


@pytest.mark.parametrize(
    ("name", "hidden"),
    slow_but([("gate", "3,2"), ("curve", "none")], itertools.product(DOCUMENTS, [None, *HIDDEN])),
)
def test_with_other_numbers_the_same_system_runs(name, hidden, tmp_path, capsys):
    more = [] if hidden is None else ["--hidden", hidden]
    assert main(["demo", name, *FEW, *more, "--plot", str(tmp_path)]) == 0
    output, errors = capsys.readouterr()
    assert errors == ""
    assert "figures are not compared" in " ".join(output.split())
    assert "Figures: not compared." in output
    rows = re.findall(r"^(\d) +(\S+)$", output, re.MULTILINE)
    assert [epoch for epoch, _ in rows] == ["1", "2", "3"]
    sizes = HIDDEN.get(hidden, DEMOS[name].numbers["hidden"])
    system = MODULES[name]
    net = system.new_network(hidden=sizes, engine="numpy")
    losses = system.train(net, epochs=3, learning_rate=0.0005).loss
    assert [float(loss) for _, loss in rows] == pytest.approx(losses, rel=1e-8)
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}-own.png", f"{name}-own-loss.png"}


def test_the_curve_takes_other_numbers_of_samples(capsys):
    assert main(["demo", "curve", *FEW, "--samples", "7", "--hidden", "2"]) == 0
    assert "samples 7" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", "0"], "epochs must be at least 1, got 0"),
        (["--epochs", "many"], "--epochs takes whole numbers, got 'many'"),
        (["--learning-rate", "-1"], "learning_rate must be"),
        (["--hidden", "4,x"], "--hidden takes whole numbers, got 'x'"),
        (["--hidden", "0"], "layer_sizes"),
        (["--samples", "3"], "--samples belongs to curve, not to celsius"),
        (["--epochs", "3", "--quick"], "--epochs goes with none of"),
        (["--full", "--quick"], "give one of them"),
        (["--learning-rate", "1", "--engine", "numpy"], "training diverged"),
    ],
)
def test_numbers_that_cannot_be_are_refused(options, message, capsys):
    assert main(["demo", "celsius", *options]) == 2
    assert message in capsys.readouterr().err


def test_a_system_of_few_parameters_shows_them(capsys):
    own.run(Lesson("numpy"), DEMOS["celsius"], {"epochs": 2})
    assert re.search(r"Layer 1: W = \[\[\S+\]\], b = \[\S+\]", capsys.readouterr().out)


# Everything.


def test_the_python_engine_can_be_made_to_run_it_all():
    lesson = Lesson("python", full=True)
    assert lesson.affords("the main job", numba=0, numpy=0, python=1e6)
    assert lesson.left_out == []


def test_full_reaches_the_lesson(monkeypatch, capsys):
    seen = []
    module = importlib.import_module("fastnn.demos.checks.gate")
    monkeypatch.setattr(module, "run", seen.append)
    assert main(["demo", "gate", "--full", "--engine", "python"]) == 0
    assert (seen[0].full, seen[0].engine) == (True, "python")


# Pictures.


def test_panels_of_the_tuning_table_say_what_came_of_each_row():
    curve = importlib.import_module("fastnn.demos.checks.curve")
    row = curve.Row(64, 1000, 2000, 0.1, mark=3)
    outcome = curve.Outcome(row, 0.012345, 0.9876, 1.0, np.zeros(100))
    assert outcome.title.splitlines() == [
        "64 hidden, 1,000 samples, 2,000 epochs, rate 0.1",
        "MSE 0.01235, R² 0.988, author's mark 3 of 5",
    ]


def test_without_matplotlib_other_numbers_run_without_pictures(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    assert main(["demo", "celsius", *FEW]) == 0
