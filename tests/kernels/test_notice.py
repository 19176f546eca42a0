"""One line for who waits for the compiler."""

import io
import time
import types

import numba
import pytest

from fastnn.kernels import cache, jit, notice


class Terminal(io.StringIO):
    def isatty(self):
        return True


class NotebookStream(io.StringIO):
    """As ipykernel's: it is none of a terminal."""


NotebookStream.__module__ = "ipykernel.iostream"


class ClosedStream(Terminal):
    def write(self, text):
        raise ValueError("I/O operation on closed file")


@pytest.fixture
def waiting(monkeypatch):
    """Compiles for longer than the patience lasts, in a process that has said nothing yet."""
    monkeypatch.setattr(notice, "PATIENCE_SECONDS", 0.01)
    monkeypatch.delenv("FASTNN_NOTES", raising=False)
    notices = notice._Notice()

    def wait(stream, seconds=0.1):
        monkeypatch.setattr("sys.stderr", stream)
        with notices.compiling("train"):
            time.sleep(seconds)
        return stream.getvalue() if stream else ""

    return wait


@pytest.mark.parametrize("stream", [Terminal, NotebookStream])
def test_a_line_says_what_how_often_and_how_to_do_it_ahead(waiting, stream):
    text = waiting(stream())
    assert text.count("\n") == 1
    for part in ("train", "once", str(next(cache.directories())), "fastnn warmup", "FASTNN_NOTES"):
        assert part in text


def test_it_is_said_once_in_a_process(waiting):
    stream = Terminal()
    assert waiting(stream) == waiting(stream)


def test_short_work_is_not_mentioned_but_counts(waiting, monkeypatch):
    monkeypatch.setattr(notice, "PATIENCE_SECONDS", 0.2)
    stream = Terminal()
    assert waiting(stream, 0.15) == ""
    assert waiting(stream, 0.15) != ""


@pytest.mark.parametrize(
    "stream", [io.StringIO(), None, ClosedStream()], ids=["a file", "none", "closed"]
)
def test_nothing_is_said_where_nobody_looks(waiting, stream):
    assert waiting(stream) == ""


def test_it_can_be_switched_off(waiting, monkeypatch):
    monkeypatch.setenv("FASTNN_NOTES", "0")
    assert waiting(Terminal()) == ""


def test_workers_say_nothing(waiting, monkeypatch):
    worker = types.SimpleNamespace(name="SpawnPoolWorker-1")
    monkeypatch.setattr("multiprocessing.current_process", lambda: worker)
    assert waiting(Terminal()) == ""


def test_without_a_cache_it_is_once_a_process(waiting, monkeypatch):
    monkeypatch.setenv("FASTNN_CACHE", "0")
    assert "once a process." in waiting(Terminal())


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled with the JIT off")
def test_what_is_compiled_and_what_is_loaded_is_on_record(monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "directories", lambda: iter([tmp_path]))

    def three_more(x):
        return x + 3

    compiled, loaded = len(cache.compiled), len(cache.loaded)
    assert jit.kernel(three_more)(1) == jit.kernel(three_more)(1) == 4
    assert cache.compiled[compiled:] == cache.loaded[loaded:] == ["three_more"]
