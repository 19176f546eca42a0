"""Which of many networks are trained together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastnn.training.job import Job
from fastnn.training.members import Member, Work


def works(members: Sequence[Member]) -> list[Work]:
    """Networks in blocks that are trained together, and single ones."""
    groups: dict[Any, list[Member]] = {}
    made = []
    companies: dict[Any, Any] = {}
    for member in members:
        rows, weights = member.rows, member.weights
        n = None if rows is None else len(rows)
        seen = id(member.job), id(member.architecture), n, weights is None, id(member.data)
        if seen not in companies:
            companies[seen] = _company(member, n)
        company = companies[seen]
        if company is None:
            made.append(Work((member,)))
        else:
            groups.setdefault(company, []).append(member)
    for group in groups.values():
        group.sort(key=lambda member: (member.architecture.sizes, member.job.epochs or 0))
        blocks, widest = group[0].job.engine.blocks, group[-1].architecture
        assert blocks is not None
        lanes = blocks.lanes_for(widest, _batch_size(group[0]), len(group))
        while group:
            made.append(Work(tuple(group[-lanes:]), lanes))
            del group[-lanes:]
    return made


def _company(member: Member, n: int | None) -> tuple[Any, ...] | None:
    """What networks have in common that are trained together; *n*: how many rows of its own.

    None: it is trained alone. It depends on nothing but the network and what is asked of it.
    """
    job, architecture = member.job, member.architecture
    blocks, asked = job.engine.blocks, _asked(job)
    if blocks is None or asked is None or member.data.sparse:
        return None
    drops, weighted = any(architecture.dropout), member.weights is not None
    penalised, norms_limited = bool(architecture.l1 or architecture.l2), bool(architecture.max_norm)
    clipped = bool(job.optimizer.clip_value or job.optimizer.clip_norm)
    if not blocks.pays(architecture, _batch_size(member)):
        return None
    return (
        len(architecture.sizes),
        tuple([activation.code for activation in architecture.activations]),
        architecture.loss.code,
        architecture.reduction,
        architecture.bias,
        architecture.dtype.char,
        architecture.label_smoothing,
        architecture.quantiles,
        drops,
        weighted,
        penalised,
        norms_limited,
        clipped,
        n,
        id(member.data),
        asked,
    )


def _batch_size(member: Member) -> int:
    """Rows in its batches."""
    everything = len(member.data) if member.rows is None else len(member.rows)
    return min(member.job.batch_size or everything, everything)


def _asked(job: Job) -> tuple[Any, ...] | None:
    """The same, of what is asked."""
    alone = job.lbfgs is not None or job.record is not None
    if alone or any(metric.of_user for metric in job.metrics):
        return None
    if job.validation is not None and job.validation.sparse:
        return None
    return (
        job.optimizer.rule,
        job.batch_size,
        job.shuffle,
        job.looks_at_epochs,
        job.waits_for_plateau,  # then epochs go one by one
        id(job.validation),
        tuple(metric.name for metric in job.metrics),
    )
