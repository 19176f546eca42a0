"""How many kernels the README's tests take: compiling them is most of what these tests cost."""

from __future__ import annotations

import helpers
import pytest

from fastnn.kernels.cache import KernelCache

#: The present number and two. Each takes about a second from an empty cache: a test that needs one
#: more should rather take an activation, a loss and a rule that others have compiled for (see
#: `helpers.CORE`), or be slow.
MOST_KERNELS = 76


class KernelBudget:
    """Notes which of the package's kernels each worker loads or compiles, and fails if too many."""

    def __init__(self):
        self.used: set[str] = set()
        name_of = KernelCache._name

        def noted(cache, key):
            name = name_of(cache, key)
            if cache._function.__module__.startswith("fastnn."):
                self.used.add(name)
            return name

        KernelCache._name = noted

    def over(self, config) -> bool:
        """Whether this is the README's command, and takes too many."""
        readmes = config.args_source is pytest.Config.ArgsSource.TESTPATHS
        quick = set(helpers.left_out) >= {"slow", "own_kernels"}
        return readmes and quick and len(self.used) > MOST_KERNELS

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node):
        """With several workers: take over what one has used."""
        self.used.update(getattr(node, "workeroutput", {}).get("kernels", ()))

    def pytest_sessionfinish(self, session):
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["kernels"] = sorted(self.used)
        elif self.over(session.config):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter, config):
        line = f"{len(self.used)} kernels, of at most {MOST_KERNELS}"
        if self.over(config):
            terminalreporter.write_line(f"{line}: see tests/budget.py", red=True)
        elif self.used and config.option.verbose > 0:
            terminalreporter.write_line(line)
