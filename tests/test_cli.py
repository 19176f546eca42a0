"""The command line: what it prints, where, and its exit codes."""

import os
import signal
import subprocess
import sys

import pytest

import fastnn
from fastnn import cli
from fastnn.cli import main
from fastnn.demos import DEMOS, Demo


def run(*arguments):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, encoding="utf-8"
    )


def test_as_a_module():
    result = run("-m", "fastnn", "--version")
    assert (result.returncode, result.stdout.strip()) == (0, f"fastnn {fastnn.__version__}")


def test_version_in_process(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["--version"])
    assert exit_.value.code == 0
    assert fastnn.__version__ in capsys.readouterr().out


def test_without_a_command_help_is_printed(capsys):
    assert main([]) == 0
    assert "demo" in capsys.readouterr().out


def test_help_and_the_list_import_nothing_heavy():
    code = (
        "import sys; from fastnn.cli import main; main([]); main(['demo']);"
        "print(*({'numba', 'scipy', 'rich', 'matplotlib', 'sklearn'} & set(sys.modules)))"
    )
    result = run("-c", code)
    assert result.stdout.splitlines()[-1] == ""


def test_demo_alone_lists_the_demos(capsys):
    assert main(["demo"]) == 0
    output = capsys.readouterr().out
    for demo in DEMOS.values():
        assert f"{demo.name:10}{demo.line}" in output


def fails_with(arguments, capsys):
    """The message of a command that must fail with exit code 2."""
    assert main(arguments) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("fastnn: ")
    assert errors.count("\n") == 1
    return errors


def test_an_unknown_demo(capsys):
    message = fails_with(["demo", "gat"], capsys)
    assert "Did you mean 'gate'?" in message
    assert "celsius, curve, gate, logistic, neuron" in message


def test_an_unknown_engine(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["demo", "gate", "--engine", "nunba"])
    assert exit_.value.code == 2
    assert "'numba'" in capsys.readouterr().err.replace("numba,", "'numba'")


def test_the_table_belongs_to_curve(capsys):
    assert "curve" in fails_with(["demo", "gate", "--table"], capsys)


def test_plot_into_a_file(tmp_path, capsys):
    path = tmp_path / "taken"
    path.write_text("")
    assert str(path) in fails_with(["demo", "gate", "--plot", str(path)], capsys)
    assert str(path) in fails_with(["demo", "gate", "--plot", str(path / "below")], capsys)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_plot_where_one_may_not_write(tmp_path, capsys):
    tmp_path.chmod(0o500)
    assert "ermission" in fails_with(["demo", "gate", "--plot", str(tmp_path)], capsys)


def test_plot_where_writing_fails(tmp_path, capsys, monkeypatch):
    def refuse(**_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cli.tempfile, "TemporaryFile", refuse)
    message = fails_with(["demo", "gate", "--plot", str(tmp_path)], capsys)
    assert message == f"fastnn: cannot write pictures to {tmp_path}: Permission denied\n"


def test_plot_without_matplotlib(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    message = fails_with(["demo", "gate", "--plot", str(tmp_path)], capsys)
    assert "pip install 'fastnn-jit[plot]'" in message


def test_ctrl_c_ends_the_command_and_not_only_one_training(capsys, monkeypatch):
    def train_interrupted(_self, lesson):
        net = fastnn.Network([1, 1], engine=lesson.engine)
        os.kill(os.getpid(), signal.SIGINT)
        net.fit([1.0], [1.0])
        pytest.fail("went on after Ctrl-C")

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(Demo, "run", train_interrupted)
    assert main(["demo", "gate", "--engine", "numpy"]) == 130
    assert capsys.readouterr().err == "fastnn: interrupted\n"
    assert signal.getsignal(signal.SIGINT) is before


def test_a_terminal_without_the_characters():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    result = subprocess.run(
        [sys.executable, "-m", "fastnn", "demo", "celsius", "--quick", "--engine", "numpy"],
        capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert result.returncode == 0
    assert result.stderr == ""
    assert "all 6 match" in result.stdout


def test_info_prints_a_line_for_each_fact(capsys):
    assert main(["info"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("kernel cache: ") for line in lines)
