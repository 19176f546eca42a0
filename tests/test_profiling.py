"""`fastnn.profile`: what it returns and shows, and what it leaves out."""

import itertools
import json
import subprocess
import sys

import numpy as np
import pytest

import fastnn
from fastnn import profiling
from fastnn.machine import jit_is_on
from fastnn.profiling import cold, comparing, networks
from fastnn.profiling.ceilings import Ceilings
from fastnn.profiling.cold import compile_seconds
from fastnn.profiling.measuring import (
    summarise,
)
from fastnn.profiling.operations import (
    ENGINES,
    OPERATIONS,
)
from fastnn.profiling.progress import Budget
from fastnn.profiling.records import Row
from fastnn.profiling.result import Profile

CEILINGS = Ceilings(8e9, 1e-9, (1024, 4096), (32e9, 8e9), (16e9, 4e9))


@pytest.fixture(autouse=True)
def no_long_measurements(monkeypatch):
    """The parts that take seconds, and have tests of their own."""
    monkeypatch.setattr(comparing, "compile_seconds", lambda what, timeout: 1.5)
    monkeypatch.setattr(comparing, "measure_ceilings", lambda seconds: CEILINGS)
    monkeypatch.setattr(
        networks, "compile_seconds_of_network", lambda architecture, batch_size, timeout: 2.0
    )


@pytest.fixture(scope="module")
def machine():
    return {
        "cpu": "A processor", "cores": 4, "system": "Linux", "python": "3.11", "numpy": "2.4",
        "numba": "0.68", "fastnn": "0.1", "blas_threads": 1, "dtype": "float64",
        "clock": "wall time", "date": "2026-11-21T00:00:00+00:00",
    }  # fmt: skip


def row(operation, size, engine, seconds):
    return Row(operation, size, engine, 1000, summarise([seconds, seconds, 1.2 * seconds]))


def made_up(machine, seconds):
    """A profile of dot with these {engine: {size: seconds}}."""
    found = Profile(machine, 1000)
    for engine, by_size in seconds.items():
        found.rows += [row("dot", size, engine, value) for size, value in by_size.items()]
    return found


def test_who_is_ahead_is_not_said_where_the_times_overlap(machine):
    profile = made_up(machine, {"numpy": {1: 1e-6, 10: 1e-6}, "numba": {1: 5e-7, 10: 1.08e-6}})
    (crossover,) = profile.crossovers("dot")
    assert crossover.changes == []
    assert crossover.first_ahead


def test_crossovers_in_words(machine):
    sizes = (1, 10, 100, 1000)
    profile = made_up(
        machine,
        {
            "python": dict(zip(sizes, (1e-7, 1e-6, 1e-5, 1e-4), strict=True)),
            "numpy": dict(zip(sizes, (1e-6, 1e-6, 1e-6, 2e-6), strict=True)),
            "numba": dict(zip(sizes, (1e-8, 1e-7, 2e-6, 2e-6), strict=True)),
        },
    )
    said = [crossover.as_text() for crossover in profile.crossovers("dot")]
    assert said == [
        "NumPy against the Python loop: overtakes at about size 10.",
        "numba is faster than the Python loop at all sizes measured, 1 to 1,000.",
        "numba against NumPy: is ahead at first, falls behind at about size 59.",
    ]
    changes = profile.to_dict()["crossovers"][0]["changes"]
    assert changes[0]["overtakes"]
    profile.compile_seconds["dot"] = 1.0
    text = str(profile)
    assert "Compile time: 1.00 s" in text
    assert "won back" not in text  # at the largest size numba gains nothing


@pytest.fixture(scope="module")
def small():
    """A real profile of everything, as small as can be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparing, "compile_seconds", lambda what, timeout: 1.5)
        patch.setattr(comparing, "measure_ceilings", lambda seconds: CEILINGS)
        patch.setattr(comparing, "LONGEST_RUN", 1.0)
        patch.setattr(Budget, "behind", lambda self: 0.0)  # on a busy machine too
        patch.setattr(comparing, "QUICK_POINT_SECONDS", 0.001)
        return profiling.profile(sizes=[2, 8], samples=8, quick=True)


def test_a_profile_has_a_row_for_every_point(small):
    points = [(row.operation, row.size, row.engine) for row in small.rows]
    assert points == list(itertools.product(OPERATIONS, (2, 8), ENGINES))
    assert not [note for note in small.notes if "left out" in note]
    assert small.seconds("dot", "numpy").keys() == {2, 8}


def test_a_profile_as_json(small, tmp_path):
    small.save(tmp_path / "p.json")
    saved = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))
    first = saved["results"][0]
    assert {"operation", "size", "engine", "median_seconds", "spread", "rounds"} <= first.keys()
    assert {"cpu", "blas_threads", "python", "numpy", "numba", "fastnn"} <= saved["machine"].keys()
    assert saved == json.loads(small.to_json())
    if jit_is_on():
        assert len(saved["roofline"]) == 2 * len(OPERATIONS)
        assert saved["compile_seconds"]["gd_epoch"] == 1.5


def test_a_profile_as_text(small):
    text = str(small)
    assert max(map(len, text.splitlines())) <= 100
    for name, operation in OPERATIONS.items():
        assert f"{name}: {operation.line.format(samples=8)}"[:80] in text
    assert "one thread" in text or "threadpoolctl" in text
    assert np.__version__ in text


def test_a_profile_as_a_frame(small, monkeypatch):
    frame = small.to_pandas()
    assert len(frame) == len(small.rows)
    assert (frame.median_seconds > 0).all()
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        small.to_pandas()


@pytest.mark.slow
def test_a_profile_as_a_picture(small, tmp_path):
    from matplotlib import pyplot

    figure = small.plot()
    assert len(figure.axes) == len(OPERATIONS) + jit_is_on()
    figure.savefig(tmp_path / "p.png")
    pyplot.close(figure)


@pytest.mark.parametrize("ceilings", [None, CEILINGS])
def test_a_profile_without_rows_as_a_picture(machine, ceilings, tmp_path):
    from matplotlib import pyplot

    figure = Profile(machine, 1000, ceilings=ceilings).plot()
    assert len(figure.axes) == (ceilings is not None)
    figure.savefig(tmp_path / "p.png")
    pyplot.close(figure)


def test_what_would_take_hours_is_estimated_and_left_out(monkeypatch):
    monkeypatch.setattr(Budget, "behind", lambda self: 0.0)
    profile = fastnn.profile(
        ops="sgd_epoch", sizes=[64], engines="python", samples=10**6, seconds=1.0
    )
    assert profile.rows == []
    (note,) = profile.notes
    assert "sgd_epoch at size 64 on python: one run would take about" in note
    assert "left out. With --seconds" in note


def test_when_the_time_is_over_before_the_measuring_the_shortest_is_measured(monkeypatch):
    monkeypatch.setattr(Budget, "behind", lambda self: 1.0)
    monkeypatch.setattr(comparing, "READY", 2.0)
    profile = fastnn.profile(ops="dot", sizes=[10, 1000], engines="numpy", seconds=10.0)
    assert len(profile.rows) == 1
    # On a busy machine there is a second note: that it is busy.
    assert "too long to be repeated within 10 s: left out" in profile.notes[0]


def test_what_does_not_fit_into_memory_is_left_out(monkeypatch):
    monkeypatch.setattr(Budget, "behind", lambda self: 0.0)
    profile = fastnn.profile(ops="dot", sizes=[10**13], engines=["python", "numpy"], seconds=1.0)
    assert profile.rows == []
    assert ["of memory" in note for note in profile.notes] == [True, True]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"ops": "dott"}, ValueError, "ops='dott' is not known. Did you mean 'dot'?"),
        ({"ops": []}, ValueError, "ops must name at least one"),
        ({"ops": 3}, TypeError, "ops must be a list of names, or one name, got 3"),
        ({"engines": ["nunba"]}, ValueError, "Did you mean 'numba'?"),
        ({"sizes": [10, 0]}, ValueError, r"sizes\[1\] must be at least 1, got 0"),
        ({"sizes": []}, ValueError, "sizes must name at least one"),
        ({"sizes": "10"}, TypeError, "sizes must be a list"),
        ({"sizes": [1.5]}, TypeError, r"sizes\[0\] must be a whole number"),
        ({"samples": 0}, ValueError, "samples must be at least 1"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"seconds": -1}, ValueError, "seconds must be above 0"),
        ({"network": [1, 1], "ops": "dot"}, ValueError, "without a network"),
        ({"network": [3]}, ValueError, "layer_sizes"),
        ({"network": [1, 1], "samples": 10**13}, ValueError, "of memory"),
    ],
)
def test_bad_requests(arguments, error, message):
    with pytest.raises(error, match=message):
        fastnn.profile(**arguments)


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_network_of_ones_own(batch_size, monkeypatch, tmp_path):
    tried = []

    def change(self, epoch, change, effect, architecture, batch):
        tried.append((change, architecture.sizes, batch))
        return networks.Change(change, effect, epoch / 2, 2.0)

    monkeypatch.setattr(networks.NetworkAnalysis, "_change", change)
    monkeypatch.setattr(networks, "_EPOCH", 0.0)
    monkeypatch.setattr(networks, "_STEPS", 0.0)
    net = fastnn.Network([3, 8, 2], seed=0)
    before = net.parameters.copy()
    result = fastnn.profile(net, samples=24, batch_size=batch_size)
    np.testing.assert_array_equal(net.parameters, before)
    assert [row.engine for row in result.rows] == list(ENGINES)
    text = str(result)
    assert "An epoch of 3-8-2 (sigmoid, identity)" in text
    if jit_is_on():
        steps = [(step.layer, step.phase, step.share) for step in result.steps]
        if batch_size == 1:
            assert steps == [(0, "all in one sweep", 1.0)]
            assert "in one sweep for each sample" in text
        else:  # shown only if they are what the epoch does, which noise may hide
            assert not steps or abs(sum(share for *_, share in steps) - 1) <= 0.15
        assert [entry[0] for entry in tried] == [
            "batch_size=24", "dtype='float32'", "4 units in layer 1", "activation='relu'"
        ]  # fmt: skip
        assert "dtype='float32' makes the epoch 2.00 times as fast" in text
    saved = json.loads(result.to_json())
    assert saved["results"][0]["size"] == "3-8-2"
    assert saved["advice"][0].startswith("engine='numba' is")
    result.plot().savefig(tmp_path / "n.png")


@pytest.mark.slow
@pytest.mark.skipif(not jit_is_on(), reason="NUMBA_DISABLE_JIT is set")
def test_the_phases_of_a_batch_are_listed_in_the_order_in_which_they_come():
    net = fastnn.Network([3, 8, 2], seed=0)
    analysis = networks.NetworkAnalysis(net, 24, 4, ["numba"], Budget(0.1))
    assert [(layer, phase) for layer, phase, _ in analysis._shares()] == [
        (0, "fetching the samples"), (1, "forward"), (2, "forward"), (0, "loss"),
        (2, "backward"), (2, "update"), (1, "update"),
    ]  # fmt: skip
    whole = networks.NetworkAnalysis(net, 24, 24, ["numba"], Budget(0.1))
    assert whole._shares()[0][:2] == (1, "forward"), "what is kept is not fetched"


@pytest.mark.parametrize(("parts", "shown"), [((0.5, 0.4), 2), ((0.5, 0.3), 0), ((1.0, 0.2), 0)])
def test_phases_are_shown_only_if_they_add_up_to_the_epoch(parts, shown):
    notes = []
    shares = [(k, "forward", part) for k, part in enumerate(parts, 1)]
    steps = networks._steps(shares, 2.0, notes)
    assert [step.seconds for step in steps] == [2.0 * part for part in parts][:shown]
    assert len(notes) == (shown == 0)


def test_panels_without_anything_say_so(machine):
    result = networks.NetworkProfile(machine, (3, 8, 2), ["tanh", "identity"], 24, 4)
    result.rows.append(row("epoch", "3-8-2", "numpy", 1e-3))
    texts = [text.get_text() for ax in result.plot().axes for text in ax.texts]
    assert any("nothing was tried" in text for text in texts)
    assert any("not measured" in text for text in texts)


@pytest.mark.slow
@pytest.mark.skipif(not jit_is_on(), reason="NUMBA_DISABLE_JIT is set")
def test_a_change_is_measured():
    from dataclasses import replace

    net = fastnn.Network([3, 2048, 1], seed=0)  # hundreds of times the work: noise cannot hide it
    analysis = networks.NetworkAnalysis(net, 200, 1, ["numba"], Budget(0.5))
    smaller = replace(net._architecture, sizes=(3, 4, 1))
    change = analysis._change(1.0, "4 units", "", smaller, 1)
    assert change.gain > 1.2
    assert change.seconds == pytest.approx(1 / change.gain)


@pytest.mark.slow
def test_an_epoch_that_takes_long_is_estimated(monkeypatch):
    monkeypatch.setattr(networks, "LONGEST_RUN", 1e-3)
    result = fastnn.profile([3, 8, 1], samples=20_000, engines="python", seconds=1.0)
    (row,) = result.rows
    assert row.estimated_from < 20_000
    assert "samples were timed" in result.notes[0]
    assert row.timing.median > 0.05


@pytest.mark.slow
@pytest.mark.skipif(not jit_is_on(), reason="NUMBA_DISABLE_JIT is set")
def test_compile_time_is_that_of_a_fresh_process():
    seconds = compile_seconds("dot", timeout=300)
    assert 0.02 < seconds < 300
    assert compile_seconds("nonsense", timeout=60) is None


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"l1": 0.1, "l2": 0.01},
        {"max_norm": 2.0},
        {"dropout": [0.5]},
        {"loss": "cross_entropy", "label_smoothing": 0.1},
        {"activation": "tanh", "bias": False, "reduction": "sum", "dtype": "float32"},
    ],
    ids=str,
)
def test_the_fresh_process_compiles_the_kernel_of_the_same_network(options, monkeypatch):
    asked = []
    monkeypatch.setattr(cold, "compile_seconds", lambda what, timeout: asked.append(what))
    net = fastnn.Network([3, 4, 2], engine="numpy", **options)
    cold.compile_seconds_of_network(net._architecture, 32, timeout=1)
    ((arguments, batch_size),) = map(json.loads, asked)
    assert fastnn.Network(**arguments)._architecture == net._architecture
    assert batch_size == 4


def test_importing_fastnn_does_not_import_the_profiler():
    code = (
        "import sys, fastnn; assert 'profile' in dir(fastnn);"
        "print({'rich', 'matplotlib', 'numba', 'fastnn.profiling'} & set(sys.modules));"
        "print(fastnn.profile.__module__)"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert output.split("\n")[:2] == ["set()", "fastnn.profiling"]
    with pytest.raises(AttributeError, match="no attribute 'proffile'"):
        _ = fastnn.proffile
