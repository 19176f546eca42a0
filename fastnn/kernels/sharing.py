"""Work on many rows, or columns, of which idle threads take parts.

There is one board. A kernel that has much to do puts that up, by `share`, and begins; who helps
takes a part, by `take` and `do`, when it comes to it. Nobody waits for a thread that has not begun:
if none comes, the kernel does all itself. So where other programs have the cores, little is lost;
and since a part is the same work whoever does it, so are the results.

If the board is taken, as it is for the parts themselves, there is no help. Who helps, and when, is
in `fastnn.kernels.team`.
"""

import numpy as np

from fastnn.kernels.atomics import (
    give_way,
    make_common,
    observed,
    pause,
    publish,
    replace,
    rounding,
)
from fastnn.kernels.called import run_at
from fastnn.kernels.held import read, write
from fastnn.kernels.jit import inner
from fastnn.kernels.lanes import maximum, minimum
from fastnn.memory import aligned

#: Places on the board. On cache lines of their own: whether it is taken; how many parts nobody has
#: taken, and how many others have done; how many threads help, and how many shall; how long those
#: had to be waited for of late, and how much is to be done alone next.
TAKEN, LEFT, DONE, HELPERS, WANTED, DELAY, ALONE = range(0, 56, 8)
#: What the work is: the address of what is to be called, how many rows there are, how many a part
#: has, bytes of a number, and how numbers are rounded; and where the other arguments are written.
CODE, ROWS, PART, SIZE, ROUNDING, ARGUMENTS = *range(56, 61), 72
#: The address of what shares products of each dtype, from when there are threads to help.
SHARE_SINGLES, SHARE_DOUBLES = 64, 65
#: Looks in vain, some 25 ns each, after which a thread gives way; and those, with what giving way
#: takes, after which one that helps takes naps.
LOOKS, MANY_LOOKS = 4_000, 6_000
#: Waiting for others is counted in looks, and what sharing saves is taken off: beyond so many, they
#: lose their cores in the middle of parts, and so many pieces are done alone. Who had to give way
#: waited for about 250 microseconds: until those got the core, and gave it back.
MOST_DELAY, GAVE_WAY, REST = 40_000, 10_000, 1_000

board_words = aligned(1024, np.dtype(np.float64)).view(np.int64)
board_words[:] = 0
board = make_common("fastnn_board", board_words)


@inner
def count_threads():
    """How many threads are there for a piece of work: those that help, and this one.

    This one alone while `REST` lasts, of which that is one piece less.
    """
    words = board()
    alone = observed(words, ALONE)
    if alone > 0:
        publish(words, ALONE, alone - 1)
        return 1
    return observed(words, HELPERS) + 1


@inner
def part_of(n, parts, grain):
    """How many of n rows each of so many parts has; the last may have fewer."""
    return (n + parts * grain - 1) // (parts * grain) * grain


@inner
def share(code, arguments, itemsize, n, parts, grain, saved):
    """Have what is at an address done for n rows, in at most so many parts; whether it was.

    It is called with the *arguments*, for numbers of *itemsize* bytes, and with the first row of a
    part and the one after it. But for the last, parts have a multiple of *grain* rows. *saved* is
    about what it saves, in looks.
    """
    words, rows = board(), part_of(n, parts, grain)
    parts = (n + rows - 1) // rows
    if parts < 2 or not replace(words, TAKEN, 0, 1):
        return False
    words[ROUNDING] = rounding()
    write(_arguments_of(words), arguments)
    words[CODE], words[ROWS], words[PART], words[SIZE] = code, n, rows, itemsize
    publish(words, DONE, 0)
    publish(words, LEFT, parts)
    part = take(words)
    while part > 0:
        do(words, part, arguments)
        parts -= 1
        part = take(words)
    looks = 0
    while observed(words, DONE) < parts:
        looks += 1
        wait(looks)
    waited = looks if looks < LOOKS else GAVE_WAY
    words[DELAY] = maximum(words[DELAY] + waited - saved, 0)
    if words[DELAY] > MOST_DELAY:
        words[DELAY] = 0
        publish(words, ALONE, REST)
    publish(words, TAKEN, 0)
    return True


@inner
def take(words):
    """Take a part, if one is left: its number, from 1, or 0.

    What it is a part of stays on the board until it is done, and is looked at after this only.
    """
    left = observed(words, LEFT)
    while left > 0 and not replace(words, LEFT, left, left - 1):
        left = observed(words, LEFT)
    return left


@inner
def do(words, part, like):
    """Do a part that was taken; the arguments are of the types *like*."""
    first = (part - 1) * words[PART]
    after = minimum(first + words[PART], words[ROWS])
    arguments = read(_arguments_of(words), like)
    run_at(words[CODE], (*arguments, np.uint64(first), np.uint64(after)))


@inner
def wait(looks):
    """Wait for a moment, after so many looks in vain."""
    if looks < LOOKS:
        pause()
    else:
        give_way()


@inner
def _arguments_of(words):
    return words.ctypes.data + 8 * ARGUMENTS
