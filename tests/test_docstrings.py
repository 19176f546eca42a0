"""Docstrings: examples give what they say, parameters are the signature's, maps are whole."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from helpers import ENGINES, in_turn, slow_but

import fastnn
import fastnn.kernels
from fastnn.activations import ACTIVATIONS
from fastnn.initializers import INITIALIZERS
from fastnn.losses import LOSSES
from fastnn.optimizers import OPTIMIZERS
from fastnn.schedules import SCHEDULES

MODULES = [
    module.name
    for module in pkgutil.walk_packages(fastnn.__path__, "fastnn.")
    if not module.name.endswith("__main__")
    and (module.name != "fastnn.river" or importlib.util.find_spec("river"))
]


def examples(name):
    module = importlib.import_module(name)
    found = doctest.DocTestFinder(exclude_empty=True).find(module)
    return [test for test in found if test.examples]


WITH_EXAMPLES = [name for name in MODULES if examples(name)]


def test_there_are_examples():
    assert "fastnn.network" in WITH_EXAMPLES


#: Examples with kernels of their own, as the README's are.
COMPILES = ["fastnn.derivatives", "fastnn.ensembles", "fastnn.estimators.mlp", "fastnn.many",
            "fastnn.network", "fastnn.predictions", "fastnn.warming"]  # fmt: skip


@pytest.mark.parametrize("name", slow_but(set(WITH_EXAMPLES).difference(COMPILES), WITH_EXAMPLES))
def test_examples_give_what_they_say(name):
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for test in examples(name):
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0


def section(thing: Any, title: str) -> list[str] | None:
    """The names that a section of a NumPy-style docstring explains; None without the section."""
    lines = (inspect.getdoc(thing) or "").splitlines()
    heads = [i for i, line in enumerate(lines) if line and line == len(line) * "-"]
    ends = {after: before - 1 for after, before in pairwise([*heads, len(lines) + 1])}
    [head] = [i for i in heads if lines[i - 1] == title] or [None]
    if head is None:
        return None
    entries = [line for line in lines[head + 1 : ends[head]] if line and not line.startswith(" ")]
    return [name.strip(" *") for entry in entries for name in entry.split(" : ")[0].split(",")]


def parameters(function: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


def is_ours(thing: Any) -> bool:
    """Whether it is written in this package, not inherited from another."""
    return getattr(thing, "__module__", None) in MODULES


def with_methods(name: str, thing: Any) -> Iterator[tuple[str, Any]]:
    """A function, or a class and its public methods."""
    yield name, thing
    if inspect.isclass(thing):
        for method, function in inspect.getmembers(thing, inspect.isroutine):
            if not method.startswith("_") and is_ours(function):
                yield f"{name}.{method}", function


#: What users meet, by name, and all that the modules define.
PUBLIC = dict(
    pair
    for name in dir(fastnn)
    if callable(thing := getattr(fastnn, name)) and is_ours(thing) and not name.startswith("_")
    for pair in with_methods(name, thing)
)
DEFINED = dict(
    pair
    for module in map(importlib.import_module, MODULES)
    for name, thing in vars(module).items()
    if callable(thing) and getattr(thing, "__module__", None) == module.__name__
    for pair in with_methods(f"{module.__name__}.{name}", thing)
)


def test_the_public_names_are_those_that_the_package_names():
    """``__all__`` is without scikit-learn's, which may not be installed."""
    public = {name for name in PUBLIC if "." not in name}
    assert public == set(re.findall(r"(?<!`)`(\w+)`(?!`)", fastnn.__doc__ or ""))
    assert public - {"MLPClassifier", "MLPRegressor"} == set(fastnn.__all__) - {"__version__"}
    assert {kind.__name__ for kind in (*OPTIMIZERS.values(), *SCHEDULES.values())} < public


README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def quoted(thing: Any) -> set[str]:
    return set(re.findall(r'"(\w+)"', inspect.getdoc(thing) or ""))


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ([*ACTIVATIONS, *LOSSES], words(README)),
        ([*ACTIVATIONS, *LOSSES, *INITIALIZERS, *ENGINES], quoted(fastnn.Network)),
        ([*OPTIMIZERS, "lbfgs"], quoted(fastnn.Network.fit)),
        ([kind.__name__ for kind in (*OPTIMIZERS.values(), *SCHEDULES.values())], words(README)),
    ],
    ids=["README", "Network", "fit", "README, classes"],
)
def test_what_users_read_names_all_that_there_is(names, shown):
    assert set(names) <= shown


@in_turn("path", sorted(Path(fastnn.__file__).parent.iterdir()))
def test_the_map_names_every_room(path):
    """A folder or a module of the package that is not in its docstring is on no map."""
    if path.name[0] != "_" and (path.is_dir() or path.suffix == ".py"):
        assert re.search(rf"``(\w+/)*{path.stem}\b", fastnn.__doc__ or "")


def test_the_map_names_nothing_that_is_not_there():
    root = Path(__file__).parents[1]
    for name in re.findall(r"``([\w./]+(?:\.\w+|/))``", fastnn.__doc__ or ""):
        assert any((folder / name).exists() for folder in (root, root / "fastnn")), name


def test_the_map_of_the_kernels_names_every_module():
    doc = fastnn.kernels.__doc__ or ""
    for path in Path(fastnn.kernels.__file__).parent.glob("[!_]*.py"):
        assert f"`{path.stem}" in doc, path


def test_what_users_meet_is_found():
    assert {"SGD", "Network.fit", "profile", "MLPClassifier.predict", "Checkpoint"} < set(PUBLIC)
    assert {"fastnn.contract.Piece", "fastnn.network.Network.fit"} < set(DEFINED)


@in_turn(
    "name", [name for name, thing in DEFINED.items() if section(thing, "Parameters") is not None]
)
def test_the_parameters_explained_are_those_of_the_signature(name):
    assert section(DEFINED[name], "Parameters") == parameters(DEFINED[name])


def explained(thing: Any) -> set[str]:
    """The names that a docstring explains: in a section, or else in its text."""
    listed = section(thing, "Parameters") or section(thing, "Attributes")
    in_text = re.findall(r"(?:\*|``)(\w+)(?:\*|``)", inspect.getdoc(thing) or "")
    return set(listed or in_text)


def referred_to(name: str) -> Iterator[Any]:
    """What a docstring names in backticks: a method of the same class, or what is defined."""
    owner = name.rpartition(".")[0]
    for other in re.findall(r"(?<!`)`([\w.]+)`", inspect.getdoc(PUBLIC[name]) or ""):
        of_class = PUBLIC.get(f"{owner}.{other}")
        yield from (
            [of_class]
            if of_class
            else [thing for key, thing in DEFINED.items() if key.endswith(f".{other}")]
        )


@in_turn("name", PUBLIC)
def test_every_parameter_is_explained_to_users(name):
    """By its docstring, or by one that this refers to."""
    known = explained(PUBLIC[name]).union(*map(explained, referred_to(name)))
    assert set(parameters(PUBLIC[name])) <= known
