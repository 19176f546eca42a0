"""A user's own network: what an epoch costs, where the time goes, and what to change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from fastnn.activations import ACTIVATIONS
from fastnn.architecture import Architecture
from fastnn.engines import Samples
from fastnn.memory import MOST_BYTES, aligned_copy
from fastnn.network import Network
from fastnn.profiling.machine import available_memory, facts_as_text, jit_is_on, measuring, size_of
from fastnn.profiling.measuring import Contestant, Timing, duration, estimate, measure, times
from fastnn.profiling.operations import (
    LISTED,
    NUMBER,
    Problem,
    check_agreement,
    epoch_problem,
)
from fastnn.profiling.result import Result, Row, new_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Seconds for everything.
SECONDS, QUICK_SECONDS = 60.0, 20.0
#: A single run may take this part of them; what takes longer is estimated from fewer samples.
LONGEST_RUN = 1 / 50
#: What each epoch, each step and each change is measured for, as a part of all seconds.
_EPOCH, _STEP, _CHANGE = 1 / 12, 1 / 150, 1 / 20
#: A change that gains less than this is not worth the trouble.
WORTHWHILE = 1.15
#: Samples in a block of the compiled engine.
BLOCK = 256
RATE = 1e-4
PHASES = ("forward", "backward", "update")


@dataclass(frozen=True)
class Step:
    """One phase of one layer, for all samples of an epoch, on the compiled engine.

    Attributes
    ----------
    layer : int
        From 1.
    phase : {"forward", "backward", "update"}
    seconds : float
    share : float
        Of all the steps together.
    """

    layer: int
    phase: str
    seconds: float
    share: float


@dataclass(frozen=True)
class Change:
    """What a change of the network or of its training does to an epoch's time.

    Attributes
    ----------
    change, effect : str
        The change, and what else it means.
    seconds : float
        For an epoch, on the compiled engine.
    gain : float
        How many times as fast that is.
    """

    change: str
    effect: str
    seconds: float
    gain: float


@dataclass
class NetworkProfile(Result):
    """What an epoch of a network's training costs, and why.

    Attributes
    ----------
    machine : dict
        CPU, threads, versions, date.
    layers : tuple of int
    activations : list of str
        Of each layer.
    samples, batch_size : int
    rows : list of Row
        An epoch on each engine.
    steps : list of Step
    changes : list of Change
    compile_seconds : float or None
    notes : list of str
    """

    machine: dict[str, Any]
    layers: tuple[int, ...]
    activations: list[str]
    samples: int
    batch_size: int
    rows: list[Row] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    compile_seconds: float | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def epoch_seconds(self) -> dict[str, float]:
        """Median seconds of an epoch by engine."""
        return {row.engine: row.timing.median for row in self.rows}

    def to_dict(self) -> dict[str, Any]:
        """Everything that was measured, of plain types."""
        return {
            "machine": self.machine,
            "layers": list(self.layers),
            "activations": self.activations,
            "samples": self.samples,
            "batch_size": self.batch_size,
            "results": [row.as_dict() for row in self.rows],
            "steps": [asdict(step) for step in self.steps],
            "changes": [asdict(change) for change in self.changes],
            "compile_seconds": self.compile_seconds,
            "advice": self.advice(),
            "notes": self.notes,
        }

    def plot(self) -> Figure:
        """The epoch on each engine, the steps, and the changes; needs matplotlib.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from fastnn.profiling.pictures import draw_network

        return draw_network(self)

    def advice(self) -> list[str]:
        """What to change, the most worthwhile first."""
        said = []
        seconds = self.epoch_seconds
        fastest = min(seconds, key=lambda engine: seconds[engine], default=None)
        others = sorted(
            (engine for engine in seconds if engine != fastest), key=lambda name: seconds[name]
        )
        if fastest is not None and others:
            ratios = " and ".join(
                f"{times(seconds[engine] / seconds[fastest])} times as fast as {engine}"
                for engine in others
            )
            said.append(f"engine={fastest!r} is {ratios}.")
        if self.compile_seconds and {"numpy", "numba"} <= seconds.keys():
            gain = seconds["numpy"] - seconds["numba"]
            if gain > 0:
                epochs = self.compile_seconds / gain
                said.append(
                    f"Compiling takes {duration(self.compile_seconds)}, the first time ever. "
                    + (
                        "The first epoch wins that back against NumPy."
                        if epochs <= 1
                        else f"Against NumPy that is won back after {epochs:,.0f} epochs."
                    )
                )
        said.extend(
            f"{change.change} makes the epoch {times(change.gain)} times as fast. {change.effect}"
            for change in sorted(self.changes, key=lambda change: -change.gain)
            if change.gain >= WORTHWHILE
        )
        small = [change.change for change in self.changes if change.gain < WORTHWHILE]
        if small:
            said.append(f"Not worth it for the time alone: {', '.join(small)}.")
        return said

    def _blocks(self) -> Iterator[RenderableType]:
        layers = "-".join(map(str, self.layers))
        batch = (
            "one update per sample"
            if self.batch_size == 1
            else f"batches of {self.batch_size:,} samples"
        )
        yield Text(f"An epoch of {layers} ({', '.join(self.activations)})", style="bold")
        yield Text(facts_as_text(self.machine))
        yield Text(
            f"{self.samples:,} samples in random order, {batch}, SGD. Times are medians of "
            f"{self.machine['clock']}; ± is half the distance between the quartiles. The engines "
            "are checked to give the same parameters first."
        )
        yield Text()
        numba = self.epoch_seconds.get("numba")
        yield new_table(
            ["engine", "one epoch", "±", "100 epochs", "per sample", "× numba", "timed"],
            [
                [
                    row.engine,
                    duration(row.timing.median),
                    f"{row.timing.spread / 2:.0%}",
                    duration(100 * row.timing.median),
                    duration(row.timing.median / self.samples),
                    times(row.timing.median / numba) if numba else "–",
                    "all samples"
                    if row.estimated_from is None
                    else f"{row.estimated_from:,} samples",
                ]
                for row in self.rows
            ],
            left=(0, 6),
        )
        if self.steps:
            yield from self._step_blocks()
        if self.changes:
            yield Text("\nWhat if? (compiled, measured)", style="bold")
            yield new_table(
                ["change", "one epoch", "times as fast", "what else it means"],
                [
                    [change.change, duration(change.seconds), times(change.gain), change.effect]
                    for change in self.changes
                ],
                left=(0, 3),
            )
        said = self.advice()
        if said:
            yield Text("\nWhat to change", style="bold")
        for line in said:
            yield Text(f"- {line}")
        if self.notes:
            yield Text("\nNotes", style="bold")
        for note in self.notes:
            yield Text(f"- {note}")

    def _step_blocks(self) -> Iterator[RenderableType]:
        total = sum(step.seconds for step in self.steps)
        found = {(step.layer, step.phase): step for step in self.steps}
        yield Text("\nWhere the time goes, compiled", style="bold")
        lines = []
        for k, (n_in, n_out) in enumerate(zip(self.layers, self.layers[1:], strict=False), 1):
            cells = [f"{k}: {n_in}→{n_out}, {self.activations[k - 1]}"]
            for phase in PHASES:
                step = found.get((k, phase))
                cells.append(f"{duration(step.seconds)} {step.share:4.0%}" if step else "–")
            cells.append(f"{sum(s.share for s in self.steps if s.layer == k):.0%}")
            lines.append(cells)
        shares = [sum(s.share for s in self.steps if s.phase == phase) for phase in PHASES]
        lines.append(["all layers", *(f"{share:.0%}" for share in shares), "100%"])
        yield new_table(["layer", *PHASES, "together"], lines, left=(0,))
        epoch = self.epoch_seconds["numba"]
        text = (
            f"Each step timed alone, for all {self.samples:,} samples; together {duration(total)}. "
        )
        if epoch < 0.95 * total:
            text += f"The epoch takes less, {duration(epoch)}, because it merges steps."
        elif total < 0.95 * epoch:
            text += (
                f"The rest of the epoch's {duration(epoch)} goes into fetching samples in random "
                "order, the loss, and going from one step to the next."
            )
        yield Text(text)
        worst = max(self.steps, key=lambda step: step.share)
        yield Text(f"Most goes into layer {worst.layer}, {worst.phase}: {worst.share:.0%}.")


class NetworkAnalysis:
    """One run of the profiler on one network."""

    def __init__(
        self,
        net: Network,
        samples: int,
        batch_size: int | None,
        engines: Sequence[str],
        quick: bool,
        seconds: float | None,
    ):
        self._architecture = net._architecture
        self._start = net.parameters
        self._samples = samples
        self._batch_size = samples if batch_size is None else min(batch_size, samples)
        self._engines = engines
        self._seconds = seconds or (QUICK_SECONDS if quick else SECONDS)
        self._report: Callable[[str, float], object] = lambda what, part: None
        self._started = time.perf_counter()
        self._check_memory()
        self._data = _samples_for(net._architecture, samples)
        self._order = np.random.default_rng(1).permutation(samples)[np.newaxis]

    def run(self, report: Callable[[str, float], object]) -> NetworkProfile:
        """Measure everything on one core and one thread. *report* as for `Comparison`."""
        self._report = report
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
                result.compile_seconds = self._compile_seconds()
            self._measure_epochs(result)
            if compiled:
                result.steps = self._steps()
                result.changes = self._changes(result.epoch_seconds["numba"], result.notes)
            elif "numba" in self._engines:
                result.notes.append("numba's JIT is switched off (NUMBA_DISABLE_JIT).")
        self._say("done", 1.0)
        return result

    def _say(self, what: str, part: float | None = None) -> None:
        behind = (time.perf_counter() - self._started) / self._seconds
        self._report(what, min(behind, 1.0) if part is None else part)

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

    def _compile_seconds(self) -> float | None:
        from fastnn.profiling.cold import compile_seconds_of_network

        self._say("compiling in a fresh process")
        return compile_seconds_of_network(
            self._architecture, self._batch_size, timeout=self._seconds / 2
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
        data = Samples(*(array[:amount] for array in (self._data.X, self._data.Y)))
        if data.X.dtype != architecture.dtype:
            data = Samples(data.X.astype(architecture.dtype), data.Y.astype(architecture.dtype))
        order = self._order[self._order < amount][np.newaxis]
        batch = min(batch_size or self._batch_size, amount)
        if batch == amount and batch > 1:
            order = np.empty((0, amount), np.int64)  # as in fit: a full batch is not shuffled
        start = self._start if start is None else start
        return epoch_problem(architecture, start, data, batch, RATE, order)

    def _measure_epochs(self, result: NetworkProfile) -> None:
        amounts = {}
        limit = self._seconds * LONGEST_RUN
        for engine in self._engines:
            self._say(f"how long an epoch takes on {engine}")
            expected, tried = estimate(
                self._runs(engine), self._samples, compiles=engine == "numba"
            )
            fits = int(self._samples * limit / expected)
            whole_batches = max(fits - fits % self._batch_size, min(tried, self._samples))
            amounts[engine] = self._samples if expected <= limit else whole_batches
        self._say("whether the engines agree")
        check_agreement(self._problem(min(amounts.values())), self._engines, "an epoch")
        for amount in sorted(set(amounts.values())):
            engines = [engine for engine in self._engines if amounts[engine] == amount]
            self._say(f"an epoch on {', '.join(engines)}")
            problem = self._problem(amount)
            contestants = [problem.contestant(engine) for engine in engines]
            timings = measure(contestants, self._seconds * _EPOCH * len(engines))
            for engine, timing in zip(engines, timings, strict=True):
                part = None if amount == self._samples else amount
                scaled = _scaled(timing, self._samples / amount)
                if part is not None:
                    result.notes.append(
                        f"{engine}: an epoch takes about {duration(scaled.median)}, more than "
                        f"the {duration(limit)} allowed for a run; {amount:,} samples were timed."
                    )
                layers = "-".join(map(str, self._architecture.sizes))
                row = Row("epoch", layers, engine, self._samples, scaled, None, part)
                result.rows.append(row)
        result.rows.sort(key=lambda row: self._engines.index(row.engine))

    def _runs(self, engine: str) -> Callable[[int], Callable[[], object]]:
        def prepare(amount: int) -> Callable[[], object]:
            problem = self._problem(amount)
            return lambda: problem.result(engine)

        return prepare

    def _steps(self) -> list[Step]:
        from fastnn.kernels import phases

        found = []
        below = 0  # the inputs count as the identity's
        for k, layer in enumerate(self._architecture.layers):
            for step, phase in enumerate(PHASES):
                if step == phases.BACKWARD and k == 0:
                    continue
                self._say(f"layer {k + 1}, {phase}")
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
            sample_step = phases.make_sample_step(code, below, bias)
            sizes = np.array([layer.n_in, layer.n_out, 0], np.uint64)

            def run() -> object:
                return sample_step(sizes, p, a, d, step, rate, rounds)
        else:
            block_step = phases.make_block_step(code, below, bias)
            signed, scalars = np.array([layer.n_in, layer.n_out]), np.empty(2, dtype)

            def run() -> object:
                return block_step(signed, n, p, a, d, scalars, step, rate, rounds)

        run()
        timing = measure([Contestant(run)], self._seconds * _STEP)[0]
        return timing.median / (rounds * n) * self._samples

    def _changes(self, epoch: float, notes: list[str]) -> list[Change]:
        """Measure what seems worth trying; *notes* take what there was no time for."""
        architecture = self._architecture
        tries: list[tuple[str, str, Architecture, int]] = []
        batch = self._batch_size
        larger = min(32 if batch < 32 else 4 * batch, self._samples)
        if larger > batch:
            effect = f"{larger // batch} times fewer updates: more epochs or larger steps."
            tries.append((f"batch_size={larger}", effect, architecture, larger))
        if architecture.dtype == np.float64:
            single = replace(architecture, dtype=np.dtype(np.float32))
            tries.append(("dtype='float32'", "7 digits instead of 16.", single, batch))
        sizes = architecture.sizes
        if len(sizes) > 2:
            widest = max(range(1, len(sizes) - 1), key=lambda k: sizes[k])
            if sizes[widest] > 1:
                halved = (*sizes[:widest], sizes[widest] // 2, *sizes[widest + 1 :])
                change = f"{sizes[widest] // 2} units in layer {widest}"
                effect = f"Instead of {sizes[widest]}: look whether the loss stays as low."
                tries.append((change, effect, replace(architecture, sizes=halved), batch))
        hidden = {activation.name for activation in architecture.activations[:-1]}
        if hidden & {"sigmoid", "tanh"}:
            relus = [ACTIVATIONS["relu"]] * (len(sizes) - 2)
            with_relu = replace(architecture, activations=(*relus, architecture.activations[-1]))
            tries.append(
                ("activation='relu'", "Another network: it trains differently.", with_relu, batch)
            )
        found = []
        for change, effect, other, batch in tries:
            if time.perf_counter() - self._started > self._seconds:
                notes.append(f"{change} was not tried: the {self._seconds:g} s were over.")
            else:
                found.append(self._change(epoch, change, effect, other, batch))
        return found

    def _change(
        self, epoch: float, change: str, effect: str, architecture: Architecture, batch: int
    ) -> Change:
        self._say(f"what if: {change}")
        amount = min(
            self._samples, max(int(self._samples * self._seconds * LONGEST_RUN / epoch), 1)
        )
        amount = max(amount, min(batch, self._samples))
        random = np.random.default_rng(0)
        start = random.normal(0, 0.1, architecture.n_parameters).astype(architecture.dtype)
        contestants = [
            self._problem(amount).contestant("numba"),
            self._problem(amount, architecture, start, batch).contestant("numba"),
        ]
        now, then = measure(contestants, self._seconds * _CHANGE)
        gain = now.median / then.median
        return Change(change, effect, epoch / gain, gain)


def _scaled(timing: Timing, factor: float) -> Timing:
    return replace(
        timing,
        median=timing.median * factor,
        lower=timing.lower * factor,
        upper=timing.upper * factor,
        best=timing.best * factor,
    )


def _samples_for(architecture: Architecture, samples: int) -> Samples:
    """Random samples that suit the loss."""
    random = np.random.default_rng(0)
    X = random.normal(size=(samples, architecture.sizes[0])).astype(architecture.dtype)
    n_out = architecture.sizes[-1]
    if architecture.loss.targets == "classes":
        Y = np.zeros((samples, n_out))
        Y[np.arange(samples), random.integers(n_out, size=samples)] = 1
    else:
        Y = random.random((samples, n_out))
    return Samples(X, Y.astype(architecture.dtype))
