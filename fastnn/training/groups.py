"""Which of many networks are trained together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastnn.contract import Samples
from fastnn.training.job import Job
from fastnn.training.many import Member, Work, looks_at_epochs


def works(members: Sequence[Member], data: Sequence[Samples]) -> list[Work]:
    """The networks in blocks that are trained together, and single ones; *data* is of each."""
    groups: dict[Any, list[Member]] = {}
    shared: dict[Any, Samples] = {}
    made = []
    asked = {id(member.job): _asked(member.job) for member in members}
    for member, samples in zip(members, data, strict=True):
        common = None if samples.sparse else _company(member, asked[id(member.job)])
        if common is None:
            made.append(Work((member,), samples))
        else:
            key = (*common, id(samples))
            groups.setdefault(key, []).append(member)
            shared[key] = samples
    for key, group in groups.items():
        group.sort(key=lambda member: (member.architecture.sizes, member.job.epochs or 0))
        blocks = group[0].job.engine.blocks
        assert blocks is not None
        lanes = blocks.lanes_for(group[-1].architecture, len(group))
        while group:
            made.append(Work(tuple(group[-lanes:]), shared[key], lanes))
            del group[-lanes:]
    return made


def _company(member: Member, asked: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
    """What networks have in common that are trained together, part of it what is *asked*.

    None: it is trained alone. It depends on nothing but the network and what is asked of it.
    """
    job, architecture = member.job, member.architecture
    blocks = job.engine.blocks
    n = None if member.rows is None else len(member.rows)
    if blocks is None or asked is None:
        return None
    if not blocks.pays(architecture, job.batch_size or n or 1 << 30):
        return None
    penalised = bool(architecture.l1 or architecture.l2 or architecture.max_norm)
    # A unit that is not there has a gradient of 0: without an epsilon its step is 0/0.
    sizes = architecture.sizes if getattr(job.optimizer, "epsilon", 1.0) == 0 else ()
    return (
        len(architecture.sizes),
        sizes,
        tuple([activation.code for activation in architecture.activations]),
        architecture.loss.code,
        architecture.reduction,
        architecture.bias,
        architecture.dtype.char,
        architecture.label_smoothing,
        architecture.quantiles,
        any(architecture.dropout),
        penalised,
        member.weights is None,
        n,
        asked,
    )


def _asked(job: Job) -> tuple[Any, ...] | None:
    """The same, of what is asked."""
    alone = job.lbfgs is not None or job.record is not None
    if alone or any(metric.of_user for metric in job.metrics):
        return None
    if job.validation is not None and job.validation.sparse:
        return None
    optimizer = job.optimizer
    return (
        bool(optimizer.clip_value or optimizer.clip_norm),
        optimizer.rule,
        job.batch_size,
        job.shuffle,
        looks_at_epochs(job),
        id(job.validation),
        tuple(metric.name for metric in job.metrics),
    )
