"""Which modules of the package import which: no circles in the profiler."""

import ast
import graphlib
from pathlib import Path

import fastnn

PACKAGE = Path(fastnn.__file__).parent
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}


def imported(module):
    """The package's modules that this one imports: at once, late, or for type names only."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            inside = {f"{node.module}.{alias.name}" for alias in node.names} & MODULES.keys()
            found |= inside or {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & MODULES.keys() - {module}


def test_no_circles_in_the_profiler():
    names = [name for name in MODULES if name.startswith("fastnn.profiling")]
    graph = {name: imported(name) & set(names) for name in names}
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(names) > 10
