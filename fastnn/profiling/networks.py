"""A user's own network: what an epoch costs, where the time goes, and what to change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fastnn.activations import ACTIVATIONS
from fastnn.architecture import Architecture
from fastnn.contract import Samples
from fastnn.machine import available_memory, jit_is_on
from fastnn.network import Network
from fastnn.profiling.cold import compile_seconds_of_network
from fastnn.profiling.conditions import measuring
from fastnn.profiling.measuring import measure
from fastnn.profiling.network_result import NetworkProfile
from fastnn.profiling.operations import (
    LISTED,
    NUMBER,
    Problem,
    check_agreement,
    epoch_problem,
    estimate,
    samples_for,
)
from fastnn.profiling.progress import Budget
from fastnn.profiling.records import Change, Row, Step
from fastnn.profiling.shares import Share, add_up, shares_of
from fastnn.profiling.wording import duration, size_of

#: Seconds for everything.
SECONDS, QUICK_SECONDS = 60.0, 20.0
#: A single run may take this part of them; what takes longer is estimated from fewer samples.
LONGEST_RUN = 1 / 50
#: What each epoch, all phases and each change are measured for, as a part of all seconds.
_EPOCH, _STEPS, _CHANGE = 1 / 12, 1 / 12, 1 / 20
#: The compiled engine runs epochs of fewer rows several at once, as in ``fit``.
ROWS_AT_ONCE = 4096
RATE = 1e-4


@dataclass
class NetworkAnalysis:
    """One run of the profiler on one network."""

    net: Network
    samples: int
    batch_size: int
    engines: Sequence[str]
    budget: Budget

    def __post_init__(self) -> None:
        self._architecture = self.net._architecture
        self._check_memory()
        self._data = samples_for(self._architecture, self.samples)
        self._order = np.random.default_rng(1).permutation(self.samples)[np.newaxis]

    def run(self) -> NetworkProfile:
        """Measure everything on one core and one thread."""
        architecture = self._architecture
        with measuring() as machine:
            machine["dtype"] = str(architecture.dtype)
            result = NetworkProfile(
                machine,
                architecture.sizes,
                [activation.name for activation in architecture.activations],
                self.samples,
                self.batch_size,
            )
            compiled = "numba" in self.engines and jit_is_on()
            if compiled:  # first: on a busy machine the other engines may take all of the time
                changes, shares = self._changes(result.notes), self._shares()
            self._measure_epochs(result)
            if compiled:
                epoch = result.epoch_seconds["numba"]
                result.changes = [replace(one, seconds=epoch / one.gain) for one in changes]
                result.steps = _steps(shares, epoch, result.notes)
                self._measure_compiling(result)
            elif "numba" in self.engines:
                result.notes.append("numba's JIT is switched off (NUMBA_DISABLE_JIT).")
        self.budget.say("done", 1.0)
        return result

    def _check_memory(self) -> None:
        architecture = self._architecture
        numbers = self.samples * (architecture.sizes[0] + architecture.sizes[-1] + 1)
        needed = NUMBER * (2 * numbers + 6 * architecture.n_parameters)
        if "python" in self.engines:
            needed += LISTED * architecture.n_parameters
        available = available_memory()
        if available is not None and needed > available / 2:
            raise ValueError(
                f"samples={self.samples} of {list(architecture.sizes)} need about "
                f"{size_of(needed)} of memory, {size_of(available)} are available: "
                "profile fewer samples"
            )

    def _problem(
        self,
        amount: int,
        architecture: Architecture | None = None,
        start: np.ndarray | None = None,
        batch_size: int | None = None,
    ) -> Problem:
        """An epoch over the first *amount* samples, of this network or of another."""
        architecture = architecture or self._architecture
        X, Y = (
            array[:amount].astype(architecture.dtype, copy=False)
            for array in (self._data.dense, self._data.Y)
        )
        data = Samples(X, Y)
        batch = min(batch_size or self.batch_size, amount)
        order = self._order_of(amount, batch)
        start = self.net.parameters if start is None else start
        at_once = self._at_once(amount)
        return epoch_problem(architecture, start, data, batch, RATE, order, at_once)

    def _order_of(self, amount: int, batch: int) -> np.ndarray:
        """The order of the first *amount* rows; as in ``fit``, a full batch is not shuffled."""
        if batch == amount and batch > 1:
            return np.empty((0, amount), np.int64)
        return self._order[self._order < amount][np.newaxis]

    def _at_once(self, amount: int) -> int:
        """Epochs of *amount* rows that the compiled engine runs in a piece."""
        return max(1, ROWS_AT_ONCE // amount)

    def _measure_epochs(self, result: NetworkProfile) -> None:
        limit = self.budget.seconds * LONGEST_RUN
        amounts = {engine: self._amount(engine, limit) for engine in self.engines}
        self.budget.say("whether the engines agree")
        check_agreement(self._problem(min(amounts.values())), self.engines, "an epoch")
        self.budget.say(f"an epoch on {', '.join(amounts)}")
        contestants = [self._problem(amounts[engine]).contestant(engine) for engine in amounts]
        timings = measure(contestants, self.budget.seconds * _EPOCH * len(contestants))
        layers = "-".join(map(str, self._architecture.sizes))
        for (engine, amount), timing in zip(amounts.items(), timings, strict=True):
            part = None if amount == self.samples else amount
            scaled = timing.scaled(self.samples / amount)
            if part is not None:
                result.notes.append(
                    f"{engine}: an epoch takes about {duration(scaled.median)}, more than "
                    f"the {duration(limit)} allowed for a run; {amount:,} samples were timed."
                )
            result.rows.append(Row("epoch", layers, engine, self.samples, scaled, None, part))

    def _amount(self, engine: str, limit: float) -> int:
        """How many samples an epoch may go over to take at most *limit* seconds, or a few."""
        self.budget.say(f"how long an epoch takes on {engine}")
        expected, tried = estimate(self._problem, self.samples, engine)
        if expected <= limit:
            return self.samples
        fits = int(self.samples * limit / expected)
        return max(fits - fits % self.batch_size, min(tried, self.samples))

    def _measure_compiling(self, result: NetworkProfile) -> None:
        self.budget.say("compiling in a fresh process")
        timeout = max(self.budget.left(), self.budget.seconds / 3)
        result.compile_seconds = compile_seconds_of_network(
            self._architecture, self.batch_size, timeout=timeout
        )

    def _shares(self) -> list[Share]:
        """The phases of an epoch, and the part of it that each takes."""
        self.budget.say("where the time goes")
        problem = self._problem(self.samples)
        batch = min(self.batch_size, self.samples)
        return shares_of(
            self._architecture,
            self.net.parameters,
            self._data,
            self._order_of(self.samples, batch),
            batch,
            problem.contestant("numba"),
            self._at_once(self.samples),
            self.budget.seconds * _STEPS,
        )

    def _changes(self, notes: list[str]) -> list[Change]:
        """Measure what seems worth trying; *notes* take what there was no time for."""
        found = []
        epoch, _ = estimate(self._problem, self.samples, "numba")
        for change, effect, architecture, batch in self._worth_trying():
            if self.budget.left() == 0.0:
                notes.append(f"{change} was not tried: the {self.budget.seconds:g} s were over.")
            else:
                found.append(self._change(epoch, change, effect, architecture, batch))
        return found

    def _worth_trying(self) -> Iterator[tuple[str, str, Architecture, int]]:
        """Changes, what else they mean, and the architecture and batch size they lead to."""
        now, batch = self._architecture, self.batch_size
        larger = min(32 if batch < 32 else 4 * batch, self.samples)
        if larger > batch:
            effect = f"{larger // batch} times fewer updates: more epochs or larger steps."
            yield f"batch_size={larger}", effect, now, larger
        if now.dtype == np.float64:
            single = replace(now, dtype=np.dtype(np.float32))
            yield "dtype='float32'", "7 digits instead of 16.", single, batch
        layer, units = max(enumerate(now.sizes[1:-1], 1), key=lambda n: n[1], default=(0, 1))
        if units > 1:
            halved = (*now.sizes[:layer], units // 2, *now.sizes[layer + 1 :])
            effect = f"Instead of {units}: look whether the loss stays as low."
            yield f"{units // 2} units in layer {layer}", effect, replace(now, sizes=halved), batch
        *hidden, output = now.activations
        if {activation.name for activation in hidden} & {"sigmoid", "tanh"}:
            relus = replace(now, activations=(*[ACTIVATIONS["relu"]] * len(hidden), output))
            yield "activation='relu'", "Another network: it trains differently.", relus, batch

    def _change(
        self, epoch: float, change: str, effect: str, architecture: Architecture, batch: int
    ) -> Change:
        self.budget.say(f"what if: {change}")
        amount = min(
            self.samples, max(int(self.samples * self.budget.seconds * LONGEST_RUN / epoch), 1)
        )
        amount = max(amount, min(batch, self.samples))
        random = np.random.default_rng(0)
        start = random.normal(0, 0.1, architecture.n_parameters).astype(architecture.dtype)
        contestants = [
            self._problem(amount).contestant("numba"),
            self._problem(amount, architecture, start, batch).contestant("numba"),
        ]
        now, then = measure(contestants, self.budget.seconds * _CHANGE)
        gain = now.median / then.median
        return Change(change, effect, epoch / gain, gain)


def _steps(shares: list[Share], epoch: float, notes: list[str]) -> list[Step]:
    """The phases, if together they take as long as the *epoch*; *notes* say if not."""
    if not add_up(shares):
        together = duration(epoch * sum(share for _, _, share in shares))
        notes.append(
            f"The phases timed alone take {together} together and the epoch {duration(epoch)}: "
            "they are not what it does, and not shown."
        )
        return []
    return [Step(layer, phase, share * epoch, share) for layer, phase, share in shares]
