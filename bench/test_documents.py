"""The five documents: a short part of each, and each whole.

Before a document is timed, its short part must end in the document's figures; the whole one is
checked after its run.
"""

import time

import pytest

from bench import contest, machine
from bench.documents import SHORT, WHOLE
from bench.peers import ENGINES
from bench.rows import version

#: Seconds that a whole document may take: more than others, as these are the real jobs.
PATIENCE = 90.0
SHORT_OF = {job.document: job for job in SHORT}


def _engines(jobs):
    return pytest.mark.parametrize(
        ("job", "engine"),
        [
            pytest.param(
                job,
                engine,
                id=f"{job.document}|{engine}",
                marks=[
                    pytest.mark.benchmark(group=f"document: {job.label}"),
                    *([pytest.mark.quick] if job.quick else []),
                ],
            )
            for job in jobs
            for engine in ENGINES
        ],
    )


@_engines(SHORT)
def test_short(benchmark, job, engine):
    started = time.perf_counter()
    apart = job.check(job.do(engine))
    seconds = None if engine == "numba" else time.perf_counter() - started
    contest.time_run(
        benchmark, lambda: job.do(engine), seconds=seconds, **_info(job, engine, apart)
    )


@_engines(WHOLE)
def test_whole(benchmark, job, engine):
    seconds = job.seconds.get(engine, 0)
    if seconds > PATIENCE:
        pytest.skip(f"left out: {job.document} on engine {engine} takes about {seconds:.0f} s")
    short = SHORT_OF[job.document]
    ends = []
    contest.time_run(
        benchmark,
        lambda: ends.append(job.do(engine)),
        warm_up=seconds == 0,
        **_info(job, engine, short.check(short.do(engine))),
    )
    for end in ends:
        job.check(end)


def _info(job, engine, apart):
    return {
        "contestant": engine,
        "operation": "document",
        "size": job.label,
        "dtype": "float64",
        "units": 1,
        "threads": machine.threads(),
        "version": version(engine),
        "disagreement": apart,
    }
