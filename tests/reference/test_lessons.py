"""Backpropagation on one page: it runs where it is pasted, and the engines do the same."""

from __future__ import annotations

import ast
import importlib
import math
from pathlib import Path

import numpy as np
import pytest
from helpers import ENGINES, slow_but

import fastnn
from fastnn.reference import lessons
from fastnn.reference.lessons import loops, vectors

LESSONS = {"loops": loops, "vectors": vectors}
EPOCHS, RATE = 30, 0.3
DEEP = (2, 4, 3, 2)

each_lesson = pytest.mark.parametrize("lesson", LESSONS.values(), ids=LESSONS)


def flat(layers):
    """Weights and biases in the order of `Network.parameters`."""
    return np.concatenate([np.ravel(part) for layer in layers for part in layer])


def source(lesson):
    return Path(lesson.__file__).read_text(encoding="utf-8")


@each_lesson
@pytest.mark.parametrize(
    ("engine", "sizes"),
    slow_but(  # the deep network has a kernel of its own
        [(engine, (1, 8, 1)) for engine in ENGINES] + [("python", DEEP), ("numpy", DEEP)],
        [(engine, sizes) for engine in ENGINES for sizes in ((1, 8, 1), DEEP)],
    ),
    ids=str,
)
def test_engines_train_as_the_lesson_does(engine, lesson, sizes, rng):
    X, Y = rng.normal(size=(20, sizes[0])), rng.normal(size=(20, sizes[-1]))
    layers = lesson.start(sizes, seed=3)
    net = fastnn.Network(sizes, activation="sigmoid", engine=engine)
    net.set_parameters(flat(layers))
    start = net.parameters.copy()
    history = net.fit(X, Y, epochs=EPOCHS, batch_size=1, learning_rate=RATE, shuffle=False)
    pairs = (X.tolist(), Y.tolist()) if lesson is loops else (X, Y)
    losses = lesson.train(layers, *pairs, epochs=EPOCHS, rate=RATE)
    np.testing.assert_allclose(losses, history.loss, rtol=1e-11)
    np.testing.assert_allclose(flat(layers), net.parameters, rtol=1e-9, atol=1e-11)
    assert np.abs(net.parameters - start).max() > 0.1


@each_lesson
def test_a_step_is_the_gradient_of_the_loss(lesson):
    """By finite differences, each parameter in turn."""
    x, y, step = [0.3, -0.7], [0.5], 1e-6
    x, y = (x, y) if lesson is loops else (np.array(x), np.array(y))

    def loss_and_after(k, shift):
        layers = lesson.start((2, 3, 1), seed=1)
        W, b = layers[k[0]]
        (W[k[1]] if k[1] < len(W) else b)[k[2]] += shift
        loss = lesson.learn(layers, x, y, 1.0)
        return loss, flat(layers)

    before = flat(lesson.start((2, 3, 1), seed=1))
    moved = before - loss_and_after((0, 0, 0), 0.0)[1]
    places = [(0, i, j) for i in range(3) for j in range(3)] + [(1, i, 0) for i in range(4)]
    for place, gradient in zip(places, moved, strict=True):
        up, down = (loss_and_after(place, shift)[0] for shift in (step, -step))
        assert gradient == pytest.approx((up - down) / (2 * step), abs=1e-8)


@each_lesson
def test_it_fits_on_a_page_and_needs_no_fastnn(lesson):
    code = source(lesson)
    assert len(code.splitlines()) <= 60
    imported = {
        name.name if isinstance(node, ast.Import) else node.module
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert imported <= {"itertools", "math", "random", "numpy"}


@each_lesson
def test_pasted_into_a_notebook_it_learns(lesson, capsys):
    exec(compile(source(lesson), "<cell>", "exec"), {"__name__": "__main__"})
    first, last = map(float, capsys.readouterr().out.split("->"))
    assert last < first / 20
    assert math.isfinite(last)


def test_every_lesson_is_tested():
    found = {path.stem for path in Path(lessons.__file__).parent.glob("*.py")} - {"__init__"}
    assert found == set(LESSONS)
    assert all(importlib.import_module(f"{lessons.__name__}.{name}") for name in found)
