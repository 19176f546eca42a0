"""Ctrl-C while something is compiled."""

import signal
import threading

import numba
import numpy as np
import pytest

from fastnn.kernels import cache, inlined
from fastnn.kernels.jit import inner, kernel
from fastnn.signals import uninterrupted
from fastnn.training.interrupts import remember_interrupt

pytestmark = pytest.mark.usefixtures("default_ctrl_c")


def test_it_is_heard_at_the_end_of_the_block():
    reached = []

    def block():
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            reached.append("end")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert reached == ["end"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_of_blocks_inside_one_another_it_is_the_inner_end():
    reached = []

    def blocks():
        with uninterrupted():
            with uninterrupted():
                signal.raise_signal(signal.SIGINT)
                reached.append("inner end")
            reached.append("outer end")

    with pytest.raises(KeyboardInterrupt):
        blocks()
    assert reached == ["inner end"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_gets_each_press():
    heard = []
    signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    with uninterrupted():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert not heard
    assert heard == [signal.SIGINT] * 2


def test_errors_pass_and_other_threads_are_left_alone():
    handlers = []

    def look():
        with uninterrupted():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]
    with pytest.raises(ValueError, match="mine"), uninterrupted():
        raise ValueError("mine")

    def raises():
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            raise ValueError("mine")

    with pytest.raises(KeyboardInterrupt):
        raises()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_another_thread_that_begins_meanwhile_knows_of_it():
    """Of a Ctrl-C that somebody outside listens for."""
    heard = []

    def train():
        with remember_interrupt() as interrupts:
            ready.set()
            go_on.wait(10)
            heard.append(interrupts())

    ready, go_on = threading.Event(), threading.Event()
    thread = threading.Thread(target=train)
    with remember_interrupt():
        with uninterrupted():
            thread.start()
            ready.wait(10)
        signal.raise_signal(signal.SIGINT)
        go_on.set()
        thread.join()
    assert heard == [True]


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled with the JIT off")
def test_a_compilation_ends_with_it_and_can_be_had_again(monkeypatch):
    """After the function that was being compiled, be it an inner one."""
    compiled = []
    compile_it = inlined.compiling

    def pressed_in(name):
        compiled.append(name)
        signal.raise_signal(signal.SIGINT)
        return compile_it(name)

    monkeypatch.setattr(cache, "is_on", lambda: False)

    @inner
    def twice(x):
        return x + x

    @kernel
    def quadruple(x):
        for k in range(len(x)):
            x[k] = twice(twice(x[k]))

    x = np.ones(3)
    with monkeypatch.context() as patch:
        patch.setattr(inlined, "compiling", pressed_in)
        with pytest.raises(KeyboardInterrupt):
            quadruple(x)
    assert compiled[0] == "quadruple"
    assert x.tolist() == [1, 1, 1]
    quadruple(x)
    assert x.tolist() == [4, 4, 4]
