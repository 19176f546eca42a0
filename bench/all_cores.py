"""A contestant in a process of its own, where it may use every core.

How many threads a library starts is settled when it is imported, so the process of the suite,
which stays on one core, cannot lend a contestant more. The suite asks over a pipe for one run at a
time and waits for the answer; asking costs about 0.1 ms, which is part of the times.
"""

import atexit
import os
import pickle
import subprocess
import sys
from typing import Any, BinaryIO

from bench import machine
from bench.contest import Entry, UnavailableError
from bench.problems import Problem


def enter(contestant: str, operation: str, problem: Problem, cores: list[int]) -> Entry:
    """Set *contestant* up in a new process on *cores*; raises `UnavailableError`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.all_cores", *map(str, cores)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    atexit.register(process.kill)

    def ask(question: Any) -> Any:
        _send(process.stdin, question)
        kind, answer = pickle.load(process.stdout)
        if kind == "unavailable":
            raise UnavailableError(answer)
        return answer

    info, compiles = ask((contestant, operation, problem))
    return Entry(lambda: ask("run"), lambda: ask("result"), {**info, "process": process}, compiles)


def leave(entry: Entry) -> None:
    """End the process of *entry*."""
    process = entry.info.pop("process")
    process.stdin.close()
    process.wait()


def _send(pipe: BinaryIO, message: Any) -> None:
    pickle.dump(message, pipe)
    pipe.flush()


def _serve(questions: BinaryIO, answers: BinaryIO) -> None:
    from bench import peers

    contestant, operation, problem = pickle.load(questions)
    try:
        entry = peers.enter(contestant, operation, problem)
    except UnavailableError as error:
        _send(answers, ("unavailable", str(error)))
        return
    _send(answers, ("ready", (entry.info, entry.compiles)))
    while True:
        try:
            question = pickle.load(questions)
        except EOFError:
            return
        if question == "run":
            entry.run()
            _send(answers, ("done", None))
        else:
            _send(answers, ("result", entry.result()))


if __name__ == "__main__":
    machine.use_cores([int(core) for core in sys.argv[1:]])
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a contestant prints must not be taken for an answer
    _serve(sys.stdin.buffer, answers)
