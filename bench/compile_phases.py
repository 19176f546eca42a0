"""Where the compiler's time goes: ``python -m bench.compile_phases``.

A first fit in batches with Adam and a first predict, all of it compiled: seconds by numba's passes,
taken from its own events, and by function. LLVM's time comes with the pass that lowers a function,
and, for a kernel as a whole, at its end.
"""

import os
import time
from collections import Counter, defaultdict

os.environ["FASTNN_CACHE"] = "0"

import numpy as np
from numba.core import event
from numba.core.codegen import CPUCodeLibrary

import fastnn
from bench import machine

#: Numba's passes under the headings that one thinks in; others are "the rest".
PHASES = {
    "translate_bytecode": "bytecode",
    "ir_processing": "bytecode",
    "reconstruct_ssa": "bytecode",
    "nopython_type_inference": "types",
    "native_lowering": "lowering",
}


class Passes(event.Listener):
    """Adds up how long each pass took, without those of what it compiled meanwhile."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.by_function: defaultdict[str, float] = defaultdict(float)
        self.functions = 0
        self._open: list[tuple[float, float]] = []  # when it began, and what is inside

    def on_start(self, event: event.Event) -> None:
        """A pass begins."""
        self._open.append((time.process_time(), 0.0))

    def on_end(self, event: event.Event) -> None:
        """A pass ends."""
        started, inside = self._open.pop()
        took = time.process_time() - started
        if self._open:
            outer, before = self._open[-1]
            self._open[-1] = outer, before + took
        name = event.data["name"].split(" ")[0]
        self.seconds[name] += took - inside
        self.by_function[event.data["qualname"]] += took - inside
        self.functions += name == "native_lowering"


def count_llvm() -> Counter[str]:
    """Let LLVM's work on modules be counted: optimising, and machine code."""
    seconds: Counter[str] = Counter()
    for name in ("_optimize_functions", "_optimize_final_module", "_finalize_final_module"):
        original = getattr(CPUCodeLibrary, name)

        def counted(*arguments, original=original, name=name):
            started = time.process_time()
            try:
                return original(*arguments)
            finally:
                seconds[name.strip("_").replace("_", " ")] += time.process_time() - started

        setattr(CPUCodeLibrary, name, counted)
    return seconds


def main() -> None:
    """Print the seconds of processor time, by phase and of the longest functions."""
    machine.use_cores([machine.facts.cores()[-1]])
    rng = np.random.default_rng(0)
    X, y = rng.random((100, 4)), np.arange(100) % 3
    net = fastnn.Network([4, 16, 3], loss="cross_entropy", seed=0)
    passes, llvm = Passes(), count_llvm()
    started = time.process_time()
    with event.install_listener("numba:run_pass", passes):
        net.fit(X, y, epochs=2, optimizer="adam")
        net.predict(X)
    whole = time.process_time() - started
    by_phase: Counter[str] = Counter()
    for name, seconds in passes.seconds.items():
        by_phase[PHASES.get(name, "numba's other passes")] += seconds
    in_llvm = sum(llvm.values())
    by_phase["lowering"] -= in_llvm
    by_phase["LLVM"] = in_llvm
    by_phase["outside passes"] = whole - sum(by_phase.values())
    print(f"{whole:.2f} s of processor time, {passes.functions} functions")
    for phase, seconds in by_phase.most_common():
        print(f"  {phase:24}{seconds:6.2f} s")
    for name, seconds in llvm.most_common():
        print(f"  LLVM: {name:18}{seconds:6.2f} s")
    print("the longest functions, without what they call:")
    longest = sorted(passes.by_function.items(), key=lambda item: -item[1])[:12]
    for name, seconds in longest:
        print(f"  {seconds:6.3f} s  {name}")


if __name__ == "__main__":
    main()
