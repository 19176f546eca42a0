"""Every demo, on the quick setting; the full setting is marked slow."""

import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import slow_but

from fastnn.cli import main
from fastnn.demos import DEMOS
from fastnn.demos import celsius as celsius_system
from fastnn.demos import gate as gate_system
from fastnn.demos.checks import curve, gate, logistic, neuron
from fastnn.demos.figures import printed
from fastnn.demos.lesson import Lesson

PICTURES = {
    "neuron": ["neuron-cost.png", "neuron-fit.png"],
    "gate": ["gate-loss.png", "gate-sigmoid.png"],
    "logistic": ["logistic-boundary.png", "logistic-loss.png"],
    "celsius": ["celsius-lines.png", "celsius-loss.png"],
    "curve": ["curve-fit.png"],
    "cartpole": [],
    "pendulum": ["pendulum-angle.png"],
    "slopes": ["slopes-fit.png"],
}
#: How many figures each demo checks; a check that is dropped by accident must not go unseen.
ALL_FIGURES = {"neuron": 34, "gate": 36, "logistic": 25, "celsius": 8, "curve": 8,
               "cartpole": 3, "pendulum": 7, "slopes": 2}  # fmt: skip
QUICK_FIGURES = {
    "numba": {**ALL_FIGURES, "neuron": 25},
    "numpy": {
        "neuron": 10,
        "gate": 13,
        "logistic": 25,
        "celsius": 6,
        "curve": 2,
        "cartpole": 3,
        "pendulum": 4,
        "slopes": 1,
    },
}


def figures_checked(output):
    return int(re.search(r"Figures: all (\d+) match", output)[1])


def test_every_demo_has_a_test_here():
    assert list(DEMOS) == list(PICTURES) == list(ALL_FIGURES)


@pytest.mark.parametrize(
    "name",
    slow_but([], DEMOS),  # the others compile for their own networks
)
def test_quick_run_matches_and_draws(name, tmp_path, capsys):
    code = main(["demo", name, "--quick", "--plot", str(tmp_path / "new")])
    output, errors = capsys.readouterr()
    assert code == 0, output
    assert errors == ""
    assert figures_checked(output) == QUICK_FIGURES["numba"][name]
    written = sorted((tmp_path / "new").iterdir())
    assert [path.name for path in written] == PICTURES[name]
    for path in written:
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.name in output


@pytest.mark.parametrize("name", slow_but({"gate", "celsius"}, DEMOS))
def test_quick_run_on_numpy_matches(name, capsys):
    code = main(["demo", name, "--quick", "--engine", "numpy"])
    output, errors = capsys.readouterr()
    assert code == 0, output
    assert errors == ""
    assert figures_checked(output) == QUICK_FIGURES["numpy"][name]


@pytest.mark.slow
@pytest.mark.parametrize("name", DEMOS)
def test_full_run_matches(name, capsys):
    assert main(["demo", name]) == 0
    output = capsys.readouterr().out
    assert figures_checked(output) == ALL_FIGURES[name]
    assert "Left out" not in output


@pytest.mark.slow
@pytest.mark.parametrize("name", DEMOS)
def test_python_engine_matches(name, capsys):
    assert main(["demo", name, "--engine", "python", "--quick"]) == 0
    assert figures_checked(capsys.readouterr().out) >= 1


BREAKS = {
    "gate, a digit": (
        gate,
        "PRINTED_WEIGHTS",
        gate.PRINTED_WEIGHTS.replace("4.4375838", "4.4375839"),
    ),
    "gate, start": (gate_system, "start", lambda sizes: np.full(16, 0.1)),
    "gate, data": (gate, "FIRST_INPUT", [0, 1, 1, 1]),
    "logistic, bias": (logistic, "B", 1.0001),
    "logistic, dot": (logistic, "dot", lambda a, b: 250031.5),
    "celsius, data": (celsius_system, "Y", celsius_system.Y + 1),
    "curve, a digit": (curve, "TEST_R2", "0.928"),
    "curve, function": (curve, "curve", lambda x: 0.4 * x**2),
}


#: Breaks that NumPy's runs are long enough to show.
SHOWN = [("numpy", name) for name in BREAKS if name not in
         ("gate, a digit", "gate, start", "curve, a digit")]  # fmt: skip
FAST = [("numpy", "gate, data")]


@pytest.mark.parametrize(
    ("engine", "break_"), slow_but(FAST, [*SHOWN, *(("numba", name) for name in BREAKS)])
)
def test_a_wrong_figure_is_named_and_the_exit_code_is_1(break_, engine, monkeypatch, capsys):
    module, attribute, value = BREAKS[break_]
    monkeypatch.setattr(module, attribute, value)
    if attribute == "dot":
        # In this module only: kernels that are made meanwhile need the true one.
        as_it_is = SimpleNamespace(njit=lambda **options: lambda function: function)
        monkeypatch.setattr(logistic, "numba", as_it_is)
    name = module.__name__.rpartition(".")[2]
    assert main(["demo", name, "--quick", "--engine", engine]) == 1
    output = capsys.readouterr().out
    assert re.search(r"^MISSED: .+: expected .+, got ", output, re.MULTILINE)
    assert re.search(r"Figures: \d+ of \d+ missed", output)


@pytest.mark.parametrize("engine", slow_but(["numpy"], ["numpy", "numba"]))
def test_the_start_weight_that_keras_does_not_print(engine):
    start = neuron.find_start_weight(engine)
    assert start == pytest.approx(-0.414475, abs=1e-6)
    end = neuron.train_as_keras(start, engine).weights[0][0, 0]
    assert end == pytest.approx(neuron.KERAS_W, abs=1e-8)


def test_without_scikit_learn_the_digits_are_left_out(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    lesson = Lesson("numpy", quick=True)
    logistic.digits(lesson)
    assert "pip install 'fastnn-jit[sklearn]'" in capsys.readouterr().out
    assert lesson.finish()


@pytest.mark.slow
def test_the_tuning_table(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(curve, "FIGURES", curve.FIGURES[:2])
    assert main(["demo", "curve", "--quick", "--table", "--plot", str(tmp_path)]) == 0
    output = capsys.readouterr().out
    rows = re.findall(r"^(\d+) +([\d,]+) +\d+ +0\.\d+ +0\.\d{6} ", output, re.MULTILINE)
    expected = [(str(row.hidden), f"{row.samples:,}") for row in curve.TABLE]
    assert rows == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curve-fit.png", "curve-table.png"]


def test_a_part_too_long_for_the_engine_is_left_out_and_named(capsys):
    lesson = Lesson("python")
    assert lesson.affords("the first", numba=0, numpy=0, python=15)
    assert not lesson.affords("the second", numba=0, numpy=0, python=6)
    assert lesson.affords("the third", numba=0, numpy=0, python=5)
    assert lesson.finish()
    assert "Left out on engine python: the second (about 6 s)." in capsys.readouterr().out


def test_a_statement_that_does_not_hold_is_a_miss(capsys):
    lesson = Lesson()
    lesson.require("pigs fly", False)
    lesson.check("true:", [printed("one", "1.0", 1.0)])
    assert not lesson.finish()
    output = capsys.readouterr().out
    assert "MISSED: pigs fly" in output
    assert "1 of 2 missed" in output
