"""``fastnn convert``: endings, and why some are refused. ONNX files: tests/extras."""

from __future__ import annotations

import subprocess
import sys

import pytest

import fastnn
from fastnn.cli import main


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "net.safetensors"
    fastnn.Network([2, 3, 1], activation="tanh", seed=0, engine="numpy").save(path)
    return path


def refused(capsys, *arguments):
    """The message of a command line that must fail with exit code 2, writing nothing."""
    assert main(["convert", *map(str, arguments)]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("fastnn: ")
    return errors


def test_from_safetensors_to_c_and_safetensors(saved, capsys):
    for name in ("a net.c", "AGAIN.SAFETENSORS"):
        target = saved.with_name(name)
        assert main(["convert", str(saved), str(target)]) == 0
        assert capsys.readouterr().out == f"{saved} -> {target}\n"
    again = fastnn.load(saved.with_name("AGAIN.SAFETENSORS"))
    assert again.parameters.tobytes() == fastnn.load(saved).parameters.tobytes()
    assert "void a_net(const double *input" in saved.with_name("a net.c").read_text()


def test_dtype_is_that_of_what_is_written(saved, capsys):
    target = saved.with_name("net.c")
    assert main(["convert", str(saved), str(target), "--dtype", "float32"]) == 0
    assert "void net(const float *input" in target.read_text()
    capsys.readouterr()
    assert "dtype" in refused(capsys, saved, saved.with_name("x.safetensors"), "--dtype=float32")
    assert "logits" in refused(capsys, saved, target, "--logits")


@pytest.mark.parametrize("name", ["net.pt", "net.pth", "net.pkl", "net.joblib"])
def test_pickles_are_refused_with_the_reason(saved, capsys, name):
    """They are not even opened."""
    message = refused(capsys, saved.with_name(name), saved.with_name("x.c"))
    assert "pickle" in message
    assert "code" in message
    assert not saved.with_name("x.c").exists()


@pytest.mark.parametrize(
    ("source", "target", "named"),
    [
        ("net.keras", "x.c", "from_keras"),
        ("net.c", "x.onnx", "not read"),
        ("net.txt", "x.c", ".safetensors, .onnx"),
        ("net", "x.c", ".safetensors, .onnx"),
        ("net.safetensors", "x.pt", "pickles"),
        ("net.safetensors", "x.txt", ".safetensors, .onnx, .c"),
        ("none.safetensors", "x.c", "none.safetensors"),
        ("net.safetensors", "none/x.c", "does not exist"),
        ("net.safetensors", "int.c", "name"),
        ("net.safetensors", "1.c", "name"),
    ],
)
def test_other_endings_and_files_are_refused(saved, capsys, source, target, named):
    folder = saved.parent
    before = sorted(folder.iterdir())
    assert named in refused(capsys, folder / source, folder / target)
    assert sorted(folder.iterdir()) == before


def test_a_file_that_is_no_network(saved, capsys):
    saved.write_bytes(b"text")
    assert "cannot load a network" in refused(capsys, saved, saved.with_name("x.c"))


def test_without_onnx_the_message_says_what_to_install(saved):
    code = (
        "import sys; sys.modules['onnx'] = None; from fastnn.cli import main;"
        f"sys.exit(main(['convert', {str(saved)!r}, {str(saved.with_name('x.onnx'))!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert "fastnn-jit[onnx]" in done.stderr
    assert not saved.with_name("x.onnx").exists()
