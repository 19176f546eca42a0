"""No module needs itself: neither for a type's name, nor by an import within a function."""

from __future__ import annotations

import ast
import functools
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import fastnn

PACKAGE = Path(fastnn.__file__).parent


def module_of(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in PACKAGE.rglob("*.py")}


def imports_of(name):
    """The modules that a module imports anywhere in its file."""
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


@functools.cache
def graph():
    return {
        name: {other for other in imports_of(name) if other in MODULES} - {name, "fastnn"}
        for name in MODULES
        if name != "fastnn"
    }


def test_late_imports_are_found_too():
    needs = graph()
    assert "fastnn.summary" in needs["fastnn.network"], "imported late"
    assert "fastnn.memory" in needs["fastnn.validation"]
    assert len(needs) > 50


def test_no_module_needs_itself():
    try:
        TopologicalSorter(graph()).prepare()
    except CycleError as error:
        raise AssertionError(f"a circle: {' <- '.join(error.args[1])}") from None
