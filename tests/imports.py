"""Who imports whom, read from the source: imports within functions and for types count too.

What is looked up by name while the program runs (`fastnn.engines.get_engine`) does not.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable
from pathlib import Path

import fastnn

PACKAGE = Path(fastnn.__file__).parent


def imported_names(source: str) -> set[str]:
    """What a module imports, each by its full name: modules, and what it takes from them."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: write relative imports in full"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def module_of(name: str, modules: Iterable[str]) -> str | None:
    """Of *modules* the one that a full name is, or is in."""
    while name not in modules:
        name, dot, _ = name.rpartition(".")
        if not dot:
            return None
    return name


@functools.cache
def names_in_package() -> dict[str, set[str]]:
    """Every module of the package and what it imports."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        found[name] = imported_names(path.read_text(encoding="utf-8"))
    return found


def modules_in_package() -> dict[str, set[str]]:
    """Every module of the package but its front door, and which of the others it imports."""
    names = {name: of for name, of in names_in_package().items() if name != "fastnn"}
    found = {}
    for module, imported in names.items():
        others = {module_of(name, names) for name in imported}
        found[module] = {other for other in others if other is not None} - {module}
    return found


def reached(start: str, needs: dict[str, set[str]]) -> set[str]:
    """What a module imports, directly or by way of others."""
    seen: set[str] = set()
    left = [start]
    while left:
        new = needs[left.pop()] - seen
        seen |= new
        left += new
    return seen
