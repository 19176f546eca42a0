"""Many networks trained at once: a block of them by lanes, or one by its own kernel.

`do` trains copies of the states of the networks of a `Work`, and returns `Outcome`s.
"""

from __future__ import annotations

import copy

from fastnn.contract import quiet
from fastnn.errors import TrainingDivergedError
from fastnn.history import History
from fastnn.training import lbfgs, run
from fastnn.training.block import Block, Report
from fastnn.training.interrupts import remember_interrupt
from fastnn.training.members import Member, Outcome, Work, numbers_of


@quiet
def do(work: Work, report: Report | None = None) -> list[Outcome]:
    """Train the networks. Ctrl-C ends that, and all keep what they have learned."""
    drawn = [member for member in work.members if member.job.shuffle]
    randoms = [member.rng.bit_generator.state for member in drawn]
    with remember_interrupt() as interrupted:

        def told(epochs: float) -> bool:
            return interrupted() or (report is not None and report(epochs))

        try:
            if work.lanes:
                return Block(work, told).train()
            return [_train_alone(member, told) for member in work.members]
        except BaseException:
            for member, random in zip(drawn, randoms, strict=True):
                member.rng.bit_generator.state = random
            raise


def _train_alone(member: Member, report: Report) -> Outcome:
    state, history, divergence = copy.deepcopy(member.state), History(), None
    job = member.own_job()
    if report(0):
        history.stop_reason = "interrupted"
        return unchanged(member, history)
    samples = member.samples()
    try:
        if job.lbfgs is not None:
            state.forget()
            lbfgs.train(job, job.lbfgs, samples, state, history)
        else:
            run.train(job, samples, state, member.rng, history)
    except TrainingDivergedError as error:
        divergence = error
    report(job.epochs or 0)
    return Outcome(member.number, numbers_of(state), state.clock, member.rng, history, divergence)


def unchanged(member: Member, history: History) -> Outcome:
    """What becomes of a network that is not trained."""
    state = member.state
    return Outcome(member.number, numbers_of(state), state.clock, member.rng, history)
