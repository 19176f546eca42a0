"""The command line: what it prints, where, and its exit codes."""

import json
import os
import signal
import subprocess
import sys

import pytest

import fastnn
from fastnn import options
from fastnn.cli import NOBODY_READS, main
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


@pytest.mark.parametrize(
    "option", [["--epochs", "3"], ["--learning-rate", "0.1"], ["--plot", "here"], ["--quick"]]
)
def test_options_of_no_demo(option, capsys):
    assert f"{option[0]} needs the name of a demo" in fails_with(["demo", *option], capsys)


@pytest.mark.parametrize(
    "command",
    [
        ["demo", "neuron", "--epochs", "1", "--hidden", "99999999999"],
        ["demo", "curve", "--epochs", "1", "--samples", "99999999999999"],
        ["profile", "--layers", "99999999,99999999,1"],
        ["warmup", "--list", "--layers", "99999999,99999999,1"],
    ],
)
def test_sizes_that_no_memory_holds(command, capsys):
    assert main(command) == 2
    message = capsys.readouterr().err
    assert message.startswith("fastnn: ")
    assert "99999999" in message.replace(",", "")


@pytest.mark.parametrize("option", ["--optimizer", "--batch-size"])
@pytest.mark.parametrize("none", ["", ","])
def test_warmup_of_none(option, none, capsys):
    message = fails_with(["warmup", "--list", option, none], capsys)
    assert f"{option} must name at least one, got none" in message


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

    monkeypatch.setattr(options.tempfile, "TemporaryFile", refuse)
    message = fails_with(["demo", "gate", "--plot", str(tmp_path)], capsys)
    assert message == f"fastnn: cannot write pictures to {tmp_path}: Permission denied\n"


def test_plot_without_matplotlib(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    message = fails_with(["demo", "gate", "--plot", str(tmp_path)], capsys)
    assert "pip install 'fastnn-jit[plot]'" in message


@pytest.fixture
def quick_profile(monkeypatch):
    """Without the parts of the profiler that take seconds."""
    from fastnn.profiling import comparing

    monkeypatch.setattr(comparing, "compile_seconds", lambda what, timeout: 1.5)
    monkeypatch.setattr(comparing, "measure_ceilings", lambda seconds: None)
    monkeypatch.setattr(comparing, "POINT_SECONDS", 0.001)


def test_profile_prints_and_writes(tmp_path, capsys, quick_profile):
    results, picture = tmp_path / "p.json", tmp_path / "p.png"
    command = ["profile", "--ops", "dot", "--sizes", "2,16", "--engines", "numpy,python"]
    assert main([*command, "--json", str(results), "--plot", str(picture)]) == 0
    output = capsys.readouterr().out
    assert "dot: Dot product" in output
    assert str(results) in output
    saved = json.loads(results.read_text(encoding="utf-8"))
    points = [(row["operation"], row["size"], row["engine"]) for row in saved["results"]]
    assert points == [("dot", n, engine) for n in (2, 16) for engine in ("python", "numpy")]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_profile_of_a_network(capsys):
    command = ["profile", "--layers", "2,3,1", "--samples", "20", "--batch-size", "all"]
    assert main([*command, "--engines", "numpy,python", "--seconds", "1"]) == 0
    output = capsys.readouterr().out
    assert "An epoch of 2-3-1" in output
    assert "engine='numpy' is" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ops", "dott"], "Did you mean 'dot'?"),
        (["--ops", ""], "ops must name at least one"),
        (["--engines", "nunba"], "Did you mean 'numba'?"),
        (["--sizes", "10,0"], "sizes[1] must be at least 1, got 0"),
        (["--sizes", "ten"], "--sizes takes whole numbers, got 'ten'"),
        (["--seconds", "soon"], "--seconds takes a number, got 'soon'"),
        (["--layers", "3"], "layer_sizes"),
        (["--layers", "3,1", "--ops", "dot"], "without a network"),
        (["--batch-size", "3"], "--batch-size belongs to --layers"),
        (["--plot", "p.xyz"], ".png, .svg or .pdf"),
        (
            ["--ops", "sgd_epoch", "--sizes", "64", "--samples", "1000000", "--engines", "python",
             "--seconds", "1"],
            "nothing was measured. sgd_epoch at size 64 on python: one run would take about",
        ),
    ],
)  # fmt: skip
def test_bad_requests_to_profile(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert message in fails_with(["profile", *arguments], capsys)
    assert list(tmp_path.iterdir()) == []


def test_profile_into_a_folder(tmp_path, capsys):
    message = fails_with(["profile", "--json", str(tmp_path)], capsys)
    assert message.startswith(f"fastnn: cannot write {tmp_path}: ")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_profile_where_one_may_not_write(tmp_path, capsys):
    tmp_path.chmod(0o500)
    assert "ermission" in fails_with(["profile", "--json", str(tmp_path / "p.json")], capsys)


def test_profile_where_writing_fails(capsys, monkeypatch):
    def refuse(*_arguments, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(options.Path, "open", refuse)
    message = fails_with(["profile", "--json", "p.json"], capsys)
    assert message == "fastnn: cannot write p.json: Permission denied\n"


def test_profile_of_engines_that_disagree(capsys, monkeypatch, quick_profile):
    from fastnn.kernels import ceilings

    monkeypatch.setattr(ceilings, "dot", lambda a, b: 0.0)
    assert main(["profile", "--ops", "dot", "--sizes", "8", "--engines", "python,numpy"]) == 1
    assert "do not give the same numbers" in capsys.readouterr().err


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


@pytest.mark.slow  # tests/test_printing.py has another demo on another such terminal
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


FILE_OPTIONS = [("profile", "--json"), ("profile", "--plot"), ("demo", "--plot")]


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b", ""])
@pytest.mark.parametrize(("command", "option"), FILE_OPTIONS)
def test_what_is_no_name_of_a_file_is_refused_by_its_option(command, option, name, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([command, option, name])
    assert exit_.value.code == 2
    assert f"argument {option}: it " in capsys.readouterr().err


@pytest.mark.parametrize("command", [("profile", "--json"), ("demo", "gate", "--plot")])
@pytest.mark.parametrize("name", ["n" * 256, "file/inside", "file"])
def test_files_that_cannot_be_written_are_named(command, name, capsys, tmp_path):
    (tmp_path / "file").touch()
    path = str(tmp_path / name)
    if name == "file" and command[0] == "profile":
        return  # it is written over
    message = fails_with([*command, path], capsys)
    assert message.startswith("fastnn: cannot write ")
    assert path in message


@pytest.mark.parametrize("digits", ["9" * 400, "9" * 5000])
@pytest.mark.parametrize("option", ["--sizes", "--samples", "--batch-size", "--layers"])
def test_numbers_of_many_digits_are_refused_in_one_line(option, digits, capsys):
    layers = () if option in ("--sizes", "--layers") else ("--layers", "2,1")
    message = fails_with(["profile", *layers, option, digits], capsys)
    assert len(message) < 200


# Warming up, and the cache.


def test_warmup_lists_what_it_would_compile(capsys):
    described = ["--layers", "2,3,1", "--activation", "tanh", "--dtype", "float32"]
    assert main(["warmup", "--list", "--optimizer", "adam", *described]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2-3-1 (tanh, identity; half_squared_error; float32): fit sample")
    assert len(lines) == 4


def test_warmup_takes_saved_networks(capsys, tmp_path):
    file = tmp_path / "net.safetensors"
    fastnn.Network([7, 1]).save(file)
    assert main(["warmup", "--list", str(file)]) == 0
    assert capsys.readouterr().out.startswith("7-1 (identity; ")


def test_warmup_says_what_it_did(capsys, tmp_path):
    file = tmp_path / "net.safetensors"
    fastnn.Network([7, 1], engine="numpy").save(file)  # for which there is nothing to compile
    assert main(["warmup", str(file), "--jobs", "1", "--optimizer", "adam"]) == 0
    assert capsys.readouterr().out.startswith("0 kernels compiled and 0 taken from the disk in ")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("--cpu x86-64-v9", "--cpu='x86-64-v9'"),
        ("--jobs 0", "--jobs must be at least 1"),
        ("--layers 3", "layer_sizes"),
        ("--layers 2,a", "--layers takes whole numbers"),
        ("--activation tanh", "--activation belongs to --layers"),
        ("--layers 2,1 --loss squarederror", "Did you mean 'squared_error'?"),
        ("--optimizer adams", "Did you mean 'adam'?"),
        ("--batch-size 0", "batch_sizes must be at least 1"),
        ("no-such-file", "no-such-file"),
    ],
)
def test_warmup_names_what_it_cannot_take(arguments, named, capsys):
    assert named in fails_with(["warmup", *arguments.split()], capsys)


def test_cache_clear_removes_the_kernels_and_nothing_else(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("fastnn.kernels.cache.directories", lambda: iter([tmp_path]))
    for name in ("one.kernel", "two.kernel", "three.txt"):
        (tmp_path / name).touch()
    assert main(["cache", "clear"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}: 2 kernels removed\n"
    assert [path.name for path in tmp_path.iterdir()] == ["three.txt"]
    assert main(["cache", "clear"]) == 0
    assert capsys.readouterr().out == "there are none\n"


def test_cache_clear_says_which_kernels_stay(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("fastnn.kernels.cache.directories", lambda: iter([tmp_path]))
    (tmp_path / "one.kernel").mkdir()  # which cannot be unlinked
    assert main(["cache", "clear"]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors == f"fastnn: {tmp_path}: 1 kernels cannot be removed\n"


@pytest.mark.skipif(os.name != "posix", reason="a pipe of POSIX")
def test_when_nobody_reads_any_longer_it_ends_without_a_word():
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "fastnn", "warmup", "--list"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (NOBODY_READS, "")
