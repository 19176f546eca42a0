"""Torture for the cache of compiled kernels: processes at once, slow renames, kills, damage.

``python tests/kernels/torture_cache.py --rounds 200 --seed 1`` prints a line for each fault it
found and ends with the number of rounds, loads and kills. A round is eight processes, forked at
once, which run four of eight kernels each, in an own order; before it, entries may be damaged,
and during it the disk may be full, read-only or slow, and processes be killed.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numba

from fastnn.kernels import cache, jit

PROCESSES, KERNELS, KERNELS_EACH = 8, 8, 4
#: Exit codes of a process that is well: it compiled all, or loaded one kernel or more.
COMPILED, LOADED = 0, 100


def make(number):
    @jit.inner
    def scale(x):
        return number * x

    @jit.kernel
    def scaled(x):
        return scale(x) + number

    return scaled


def work(rng):
    """Run kernels and check each number; the exit code."""
    slow, full, read_only = rng.random() < 0.5, rng.random() < 0.1, rng.random() < 0.1
    if slow:
        _slow_down(rng)
    if full:
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (rng.randrange(20_000),) * 2)
    if read_only and os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    loaded = 0
    for number in rng.sample(range(2, 2 + KERNELS), KERNELS_EACH):
        kernel = make(float(number))
        result = kernel(0.5)
        if result != 1.5 * number:
            print(f"WRONG: kernel {number} gave {result} for {1.5 * number}", flush=True)
            return 1
        loaded += sum(kernel.stats.cache_hits.values())
    return LOADED + loaded if loaded else COMPILED


def _slow_down(rng):
    replace = Path.replace

    def slow_replace(path, target):
        time.sleep(rng.random() * 0.1)
        return replace(path, target)

    Path.replace = slow_replace


def damage(rng, folder):
    """Do something bad to some of the entries."""
    entries = sorted(folder.glob(f"*{cache.SUFFIX}"))
    for path in rng.sample(entries, min(len(entries), rng.randrange(4))):
        content = bytearray(path.read_bytes())
        kind = rng.choice(["bit", "truncate", "zero", "swap", "empty", "remove", "foreign", "open"])
        if kind == "bit" and content:
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        elif kind == "truncate":
            del content[rng.randrange(len(content) + 1) :]
        elif kind == "zero":
            content[:] = bytes(len(content))
        elif kind == "swap":
            content[:] = rng.choice([one for one in entries if one.exists()]).read_bytes()
        elif kind == "empty":
            content.clear()
        path.write_bytes(content)
        if kind == "remove":
            path.unlink()
        elif kind == "foreign" and os.geteuid() == 0:
            os.chown(path, 12345, 12345)
        elif kind == "open":
            path.chmod(0o666)


def one_round(rng):
    """Fork the processes, kill some, wait for all: exit codes; negative for the killed."""
    children = {}
    for _ in range(PROCESSES):
        seed = rng.random()
        child = os.fork()
        if child == 0:
            signal.alarm(60)  # the end of one that hangs
            code = 2
            try:
                code = work(random.Random(seed))
            except BaseException as error:
                print(f"EXCEPTION: {type(error).__name__}: {error}", flush=True)
            finally:
                os._exit(code)
        children[child] = None
    victims = rng.sample(list(children), rng.choice([0, 0, 1, 3]))
    for victim in victims:
        time.sleep(rng.random() * 0.1)
        os.kill(victim, signal.SIGKILL)
    for child in children:
        children[child] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    for child, code in children.items():
        if code < 0 and not (child in victims and code == -signal.SIGKILL):
            print(f"CRASH: signal {-code}", flush=True)
    return children.values()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    asked = parser.parse_args()
    rng = random.Random(asked.seed)
    print(f"seed {asked.seed}", flush=True)
    warnings.simplefilter("ignore", RuntimeWarning)  # what is damaged is said
    loads = kills = faults = 0
    with tempfile.TemporaryDirectory() as name:
        numba.config.CACHE_DIR = name
        Path(name).chmod(0o755)
        folder = Path(name) / "fastnn"
        cache.directories = lambda: iter([folder])
        make(1.0)(0.5)  # what numba needs to compile is loaded before the forks
        for number in range(asked.rounds):
            if number % 10 == 0:  # an empty cache again
                for path in folder.iterdir():
                    path.unlink()
            damage(rng, folder)
            for code in one_round(rng):
                loads += max(code - LOADED, 0)
                kills += code == -signal.SIGKILL
                faults += code in (1, 2) or (code < 0 and code != -signal.SIGKILL)
    print(f"{asked.rounds} rounds, {loads} loads, {kills} kills, {faults} faults")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
