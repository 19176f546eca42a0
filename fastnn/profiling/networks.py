"""A user's own network: what an epoch costs, where the time goes, and what to change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from fastnn.activations import ACTIVATIONS
from fastnn.architecture import Architecture
from fastnn.engines import Samples
from fastnn.machine import available_memory, jit_is_on
from fastnn.memory import MOST_BYTES, aligned_copy
from fastnn.network import Network
from fastnn.profiling.cold import compile_seconds_of_network
from fastnn.profiling.conditions import measuring
from fastnn.profiling.measuring import Contestant, measure
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
from fastnn.profiling.records import PHASES, Change, Row, Step
from fastnn.profiling.wording import duration, size_of

#: Seconds for everything.
SECONDS, QUICK_SECONDS = 60.0, 20.0
#: A single run may take this part of them; what takes longer is estimated from fewer samples.
LONGEST_RUN = 1 / 50
#: What each epoch, each step and each change is measured for, as a part of all seconds.
_EPOCH, _STEP, _CHANGE = 1 / 12, 1 / 150, 1 / 20
#: Samples in a block of the compiled engine.
BLOCK = 256
RATE = 1e-4


class NetworkAnalysis:
    """One run of the profiler on one network."""

    def __init__(
        self,
        net: Network,
        samples: int,
        batch_size: int | None,
        engines: Sequence[str],
        budget: Budget,
    ):
        self._architecture = net._architecture
        self._start = net.parameters
        self._samples = samples
        self._batch_size = samples if batch_size is None else min(batch_size, samples)
        self._engines = engines
        self._budget = budget
        self._check_memory()
        self._data = samples_for(net._architecture, samples)
        self._order = np.random.default_rng(1).permutation(samples)[np.newaxis]

    def run(self) -> NetworkProfile:
        """Measure everything on one core and one thread."""
        architecture = self._architecture
        with measuring() as machine:
            machine["dtype"] = str(architecture.dtype)
            result = NetworkProfile(
                machine,
                architecture.sizes,
                [activation.name for activation in architecture.activations],
                self._samples,
                self._batch_size,
            )
            compiled = "numba" in self._engines and jit_is_on()
            if compiled:
                self._budget.say("compiling in a fresh process")
                result.compile_seconds = compile_seconds_of_network(
                    architecture, self._batch_size, timeout=self._budget.seconds / 2
                )
            self._measure_epochs(result)
            if compiled:
                result.steps = self._steps()
                result.changes = self._changes(result.epoch_seconds["numba"], result.notes)
            elif "numba" in self._engines:
                result.notes.append("numba's JIT is switched off (NUMBA_DISABLE_JIT).")
        self._budget.say("done", 1.0)
        return result

    def _check_memory(self) -> None:
        architecture = self._architecture
        numbers = self._samples * (architecture.sizes[0] + architecture.sizes[-1] + 1)
        needed = NUMBER * (2 * numbers + 6 * architecture.n_parameters)
        if "python" in self._engines:
            needed += LISTED * architecture.n_parameters
        available = available_memory()
        if available is not None and needed > available / 2:
            raise ValueError(
                f"samples={self._samples} of {list(architecture.sizes)} need about "
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
        X, Y = (array[:amount] for array in (self._data.X, self._data.Y))
        data = Samples(*(array.astype(architecture.dtype, copy=False) for array in (X, Y)))
        order = self._order[self._order < amount][np.newaxis]
        batch = min(batch_size or self._batch_size, amount)
        if batch == amount and batch > 1:
            order = np.empty((0, amount), np.int64)  # as in fit: a full batch is not shuffled
        start = self._start if start is None else start
        return epoch_problem(architecture, start, data, batch, RATE, order)

    def _measure_epochs(self, result: NetworkProfile) -> None:
        amounts = {}
        limit = self._budget.seconds * LONGEST_RUN
        for engine in self._engines:
            self._budget.say(f"how long an epoch takes on {engine}")
            expected, tried = estimate(self._problem, self._samples, engine)
            fits = int(self._samples * limit / expected)
            whole_batches = max(fits - fits % self._batch_size, min(tried, self._samples))
            amounts[engine] = self._samples if expected <= limit else whole_batches
        self._budget.say("whether the engines agree")
        check_agreement(self._problem(min(amounts.values())), self._engines, "an epoch")
        for amount in sorted(set(amounts.values())):
            engines = [engine for engine in self._engines if amounts[engine] == amount]
            self._budget.say(f"an epoch on {', '.join(engines)}")
            problem = self._problem(amount)
            contestants = [problem.contestant(engine) for engine in engines]
            timings = measure(contestants, self._budget.seconds * _EPOCH * len(engines))
            for engine, timing in zip(engines, timings, strict=True):
                part = None if amount == self._samples else amount
                scaled = timing.scaled(self._samples / amount)
                if part is not None:
                    result.notes.append(
                        f"{engine}: an epoch takes about {duration(scaled.median)}, more than "
                        f"the {duration(limit)} allowed for a run; {amount:,} samples were timed."
                    )
                layers = "-".join(map(str, self._architecture.sizes))
                row = Row("epoch", layers, engine, self._samples, scaled, None, part)
                result.rows.append(row)
        result.rows.sort(key=lambda row: self._engines.index(row.engine))

    def _steps(self) -> list[Step]:
        from fastnn.kernels import phases

        found = []
        below = 0  # the inputs count as the identity's
        for k, layer in enumerate(self._architecture.layers):
            for step, phase in enumerate(PHASES):
                if step == phases.BACKWARD and k == 0:
                    continue
                self._budget.say(f"layer {k + 1}, {phase}")
                found.append((k + 1, phase, self._step_seconds(k, below, step)))
            below = layer.activation.code
        total = sum(seconds for _, _, seconds in found)
        return [Step(layer, phase, seconds, seconds / total) for layer, phase, seconds in found]

    def _step_seconds(self, k: int, below: int, step: int) -> float:
        """Seconds of one step of layer k, for all samples."""
        from fastnn.kernels import phases

        layer, bias = self._architecture.layers[k], self._architecture.bias
        # Softmax belongs to the loss, and is not counted as a step.
        code = 0 if layer.activation.output_only else layer.activation.code
        dtype = self._architecture.dtype
        random = np.random.default_rng(k)
        end = (layer.bias or layer.weights).stop
        p = aligned_copy(self._start[layer.weights.start : end])
        row_bytes = 2 * (layer.n_in + layer.n_out) * dtype.itemsize
        n = max(1, min(self._batch_size, BLOCK, MOST_BYTES // row_bytes))
        a = aligned_copy(random.random((layer.n_in + layer.n_out) * n).astype(dtype))
        d = aligned_copy(a - dtype.type(0.5))
        rate = dtype.type(1e-9)
        rounds = max(1, 20_000 // (layer.n_in * layer.n_out * n))
        if n == 1:
            sizes = np.array([layer.n_in, layer.n_out, 0], np.uint64)
            sample_step = phases.make_sample_step(code, below, bias)
            run = partial(sample_step, sizes, p, a, d, step, rate, rounds)
        else:
            sizes, scalars = np.array([layer.n_in, layer.n_out]), np.empty(2, dtype)
            block_step = phases.make_block_step(code, below, bias)
            run = partial(block_step, sizes, n, p, a, d, scalars, step, rate, rounds)
        run()
        timing = measure([Contestant(run)], self._budget.seconds * _STEP)[0]
        return timing.median / (rounds * n) * self._samples

    def _changes(self, epoch: float, notes: list[str]) -> list[Change]:
        """Measure what seems worth trying; *notes* take what there was no time for."""
        found = []
        for change, effect, architecture, batch in self._worth_trying():
            if self._budget.left() == 0.0:
                notes.append(f"{change} was not tried: the {self._budget.seconds:g} s were over.")
            else:
                found.append(self._change(epoch, change, effect, architecture, batch))
        return found

    def _worth_trying(self) -> Iterator[tuple[str, str, Architecture, int]]:
        """Changes, what else they mean, and the architecture and batch size they lead to."""
        now, batch = self._architecture, self._batch_size
        larger = min(32 if batch < 32 else 4 * batch, self._samples)
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
        self._budget.say(f"what if: {change}")
        amount = min(
            self._samples, max(int(self._samples * self._budget.seconds * LONGEST_RUN / epoch), 1)
        )
        amount = max(amount, min(batch, self._samples))
        random = np.random.default_rng(0)
        start = random.normal(0, 0.1, architecture.n_parameters).astype(architecture.dtype)
        contestants = [
            self._problem(amount).contestant("numba"),
            self._problem(amount, architecture, start, batch).contestant("numba"),
        ]
        now, then = measure(contestants, self._budget.seconds * _CHANGE)
        gain = now.median / then.median
        return Change(change, effect, epoch / gain, gain)
