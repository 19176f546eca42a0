"""The process that runs cases, and the one that watches it for crashes and hangs."""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from typing import Any

from . import judge

#: Seconds that one case may take, compilation included.
CASE_SECONDS = 120
#: Seconds of one case that count: the rest is compilation.
COUNTED_SECONDS = 2.0
#: Bytes that a process may ask for: an allocation beyond fails, instead of the machine.
MOST_BYTES = 8 << 30
#: What a fault is told apart by: what, at which door, where.
Key = tuple[str, str, str]
Faults = dict[Key, dict[str, Any]]


def child(first: int, minutes: float) -> None:
    """Run cases until the time is up, telling each seed before and each fault after its case."""
    seed, spent = first, 0.0
    with _limits():
        while spent < 60 * minutes:
            _say({"seed": seed, "spent": spent})
            started = time.monotonic()
            for fault in _judged(seed):
                key = (fault.what, fault.door, fault.where)
                _say({"seed": seed, "key": key, "text": str(fault)})
            spent += min(time.monotonic() - started, COUNTED_SECONDS)
            seed += 1
    _say({"done": seed - first, "spent": spent})


def _judged(seed: int) -> list[judge.Fault]:
    faulthandler.dump_traceback_later(CASE_SECONDS, exit=True)
    try:
        return judge.judge(seed)
    except Exception:
        text = traceback.format_exc()
        return [judge.Fault("the fuzz itself failed", "fuzz", text.splitlines()[-1], text, "")]
    finally:
        faulthandler.cancel_dump_traceback_later()


def _say(line: dict[str, Any]) -> None:
    sys.__stdout__.write(json.dumps(line) + "\n")
    sys.__stdout__.flush()


@contextlib.contextmanager
def _limits() -> Iterator[None]:
    """Crashes show where they are, memory has a limit, and nothing is printed."""
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def watch(first: int, minutes: float) -> Faults:
    """Run cases in a process of their own; after a crash go on with the next seed in a new one."""
    faults: Faults = {}
    seed, spent = first, 0.0
    while spent < 60 * minutes:
        last, well, said, took = _watch_child(seed, minutes - spent / 60, faults)
        if not well:
            _add(faults, ("crash or hang", "", _crash_site(said)), last, f"crash or hang: {said}")
        seed, spent = last + 1, spent + took + COUNTED_SECONDS
    print(f"{seed - first} cases, {len(faults)} distinct faults", flush=True)
    return faults


def _watch_child(first: int, minutes: float, faults: Faults) -> tuple[int, bool, str, float]:
    """The last seed of a child, whether it ended well, what it said, the seconds that count."""
    command = [sys.executable, "-W", "ignore", "-m", __package__ or "fuzz", "--child"]
    command += ["--first", str(first), "--minutes", str(minutes)]
    last, well, spent = first, False, 0.0
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
            assert process.stdout is not None
            for text in process.stdout:
                line = json.loads(text)
                well = "done" in line
                last, spent = line.get("seed", last), line.get("spent", spent)
                if "key" in line:
                    _add(faults, tuple(line["key"]), last, line["text"])
        errors.seek(0)
        said = f"exit {process.returncode}\n{errors.read()[-3000:]}"
    return last, well and process.returncode == 0, said, spent


def _crash_site(said: str) -> str:
    """What ended a process, and the innermost place in fastnn."""
    lines = [line.strip() for line in said.splitlines()]
    frames = [line for line in lines if "/fastnn/" in line]
    return " ".join([*lines[:2], *frames[:1]])


def _add(faults: Faults, key: Key, seed: int, text: str) -> None:
    fault = faults.setdefault(key, {"text": text, "seeds": []})
    fault["seeds"].append(seed)
    if len(fault["seeds"]) == 1:
        print(f"seed {seed}: {text}", flush=True)


def report(faults: Faults) -> int:
    """Print each distinct fault with its seeds; the exit code."""
    for fault in sorted(faults.values(), key=lambda fault: fault["text"]):
        print(f"\n{len(fault['seeds'])} times, seeds {fault['seeds'][:5]}: {fault['text']}")
    return 1 if faults else 0


def replay(seed: int) -> int:
    """Run one case and print all about it."""
    with _limits():
        for engine in judge.engines(seed):
            outcome = judge.attempt(seed, engine)
            print(f"{engine}: {outcome.call.title}", file=sys.stderr)
            if outcome.error is not None:
                traceback.print_exception(outcome.error)
            else:
                print(f"    result {outcome.result!r}"[:500], file=sys.stderr)
        faults = judge.judge(seed)
    for fault in faults:
        print(fault)
    return 1 if faults else 0
