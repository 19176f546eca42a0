"""``python -m tests.fuzz``: run the fuzz, or replay one case by its seed."""

import argparse
import secrets
import sys

from .driver import child, replay, report, watch

parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
parser.add_argument("--seed", type=int, help="replay this case")
parser.add_argument("--first", type=int, help="the first seed; by default a random one")
parser.add_argument("--minutes", type=float, default=1.0, help="how long (default: 1)")
parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
options = parser.parse_args()

first = secrets.randbelow(10**9) if options.first is None else options.first
if options.seed is not None:
    sys.exit(replay(options.seed))
if options.child:
    child(first, options.minutes)
else:
    print(f"seeds from {first} on, for {options.minutes:g} minutes", flush=True)
    sys.exit(report(watch(first, options.minutes)))
