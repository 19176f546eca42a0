"""What fastnn prints, and returns to be printed, on terminals that know few characters."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys

import pytest
from helpers import slow_but

from fastnn.printing import PLAINLY

#: No encoding but that of the locale, which Python otherwise changes to UTF-8.
LOCALE = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
TERMINALS = {
    "ascii": LOCALE | {"PYTHONIOENCODING": "ascii"},
    "cp1252": LOCALE | {"PYTHONIOENCODING": "cp1252"},
    "latin-1": LOCALE | {"PYTHONIOENCODING": "latin-1"},
    "cp437": LOCALE | {"PYTHONIOENCODING": "cp437"},
    "the locale C": LOCALE,
    "utf-8": {"PYTHONIOENCODING": "utf-8"},
}

SETUP = """
import fastnn
net = fastnn.Network([1, 3, 2], engine="numpy", seed=1)
fit = dict(X=[[0.0], [1.0]], y=[[0.0, 1.0], [1.0, 0.0]], epochs=5)
"""
PROGRAMS = {
    "summary": SETUP + "print(net.summary())",
    "repr": SETUP + "print(net, net.fit(**fit), fastnn.Adam(), fastnn.CosineDecay(0.1, 9))",
    "bar": SETUP + "net.fit(**fit, progress=True)",
    "profile": """
import fastnn
print(fastnn.profile(ops="dot", sizes=[10, 1000], engines=["python", "numpy"], seconds=1))
print(fastnn.profile([2, 3, 1], samples=10, engines=["python", "numpy"], seconds=1))
""",
}
COMMANDS = {
    "demo": ["demo", "neuron", "--quick", "--engine", "numpy"],
    "demos": ["demo"],
    "command profile": ["profile", "--ops", "dot", "--sizes", "10,1000", "--engines",
                        "python,numpy", "--seconds", "5"],
    "command info": ["info"],
    "help": ["profile", "--help"],
}  # fmt: skip


#: These are processes of a second.
FAST = [("summary", "ascii"), ("demo", "cp1252")]


@pytest.mark.parametrize(
    ("what", "terminal"),
    slow_but(
        FAST,
        [*itertools.product(PROGRAMS, TERMINALS),
         *itertools.product(COMMANDS, ("ascii",)), ("demo", "cp1252")],
    ),
)  # fmt: skip
def test_what_is_printed_can_be_shown(what, terminal):
    program = ["-c", PROGRAMS[what]] if what in PROGRAMS else ["-m", "fastnn", *COMMANDS[what]]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LC_")}
    for name in ("PYTHONIOENCODING", "PYTHONUTF8"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, *program], capture_output=True, env=environment | TERMINALS[terminal]
    )
    assert done.returncode == 0, done.stderr.decode("latin-1")
    assert done.stderr == b""
    encoding = TERMINALS[terminal].get("PYTHONIOENCODING", "ascii")
    text = done.stdout.decode(encoding)
    assert text.strip()
    if encoding == "ascii":
        assert "?" not in text.replace("5/?", "")


def test_signs_are_said_plainly():
    said = "12 µs ±3% 20→64 R² w₁ ŷ σ(z) 8 × 8 ● 0.02… ☃"
    assert said.encode("ascii", PLAINLY) == b"12 us +-3% 20->64 R2 w1 y sigma(z) 8 x 8 * 0.02... ?"
    assert said.encode("cp1252", PLAINLY).decode("cp1252").startswith("12 µs ±3% 20->64 R² w1 y")


def test_what_cannot_be_read_is_still_an_error():
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", PLAINLY)
