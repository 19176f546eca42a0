"""How the profiler measures: turns, ceilings, what is counted."""

import os

import numpy as np
import pytest
from helpers import slow_but

import fastnn
from fastnn import machine as machines
from fastnn.machine import jit_is_on
from fastnn.profiling import ceilings, conditions, networks
from fastnn.profiling.ceilings import Ceilings
from fastnn.profiling.measuring import (
    FEWEST_TURNS,
    Contestant,
    Turn,
    measure,
    undisturbed,
)
from fastnn.profiling.operations import (
    ENGINES,
    OPERATIONS,
    DisagreementError,
    Problem,
    check_agreement,
    estimate,
    network_work,
)
from fastnn.profiling.records import geometric_crossings
from fastnn.profiling.wording import duration, round_duration, times

CEILINGS = Ceilings(8e9, 1e-9, (1024, 4096), (32e9, 8e9), (16e9, 4e9))
SLOW = Contestant(lambda: sum(range(100)))


def test_durations_and_ratios_read_well():
    assert duration(4.1234e-6) == "4.12 µs"
    assert duration(99.96e-9) == "100 ns"
    assert duration(0.0123) == "12.3 ms"
    assert duration(90) == "90.0 s"
    assert duration(600) == "10.0 min"
    assert duration(3 * 3600) == "3.00 h"
    assert duration(864_000) == "10.0 days"
    assert [round_duration(10.0**k) for k in (-9, -4, 0, 3)] == ["1 ns", "100 µs", "1 s", "1,000 s"]
    assert [times(ratio) for ratio in (0.5, 4.14, 1234.5)] == ["0.50", "4.1", "1,234"]


def test_crossings_are_found_on_logarithmic_scales():
    assert geometric_crossings([1, 100], [0.1, 10]) == [(pytest.approx(10), True)]
    assert geometric_crossings([1, 100], [10, 0.1]) == [(pytest.approx(10), False)]
    assert geometric_crossings([1, 10], [2, 3]) == []
    assert geometric_crossings([1, 10, 100], [0.5, 1.01, 0.5]) == []


def test_every_contestant_gets_its_turns():
    timings = fast, slow = measure([Contestant(lambda: None), SLOW], seconds=0.5)
    assert fast.rounds > FEWEST_TURNS
    assert slow.rounds >= FEWEST_TURNS
    for timing in timings:
        assert 0 < timing.best <= timing.lower <= timing.median <= timing.upper
        assert timing.spread >= 0
    assert fast.median < slow.median


def test_turns_are_taken_by_everybody_until_the_time_is_over(monkeypatch):
    taken = []
    contestants = [Contestant(lambda: None) for _ in "ab"]
    for name, contestant in zip("ab", contestants, strict=True):
        monkeypatch.setattr(
            contestant, "turn", lambda least, name=name: taken.append(name) or [0.001], raising=True
        )
        contestant.round_seconds = 0.001
    measure(contestants, seconds=0.5, report=lambda: taken.append(" "))
    rounds = "".join(taken).split()
    assert len(rounds) > 2 * FEWEST_TURNS
    assert set(rounds) == {"ab"}


def test_turns_on_a_slow_machine_do_not_count():
    quiet, slow = Turn([1.0, 1.1], pulse=1.0), Turn([2.0], pulse=1.9)
    assert undisturbed([quiet, slow] * 5) == [1.0, 1.1] * 5
    assert undisturbed([quiet, slow, slow, slow, slow, slow]) == [1.0, 1.1, *[2.0] * 4]


def test_each_round_starts_from_a_reset():
    calls = []
    contestant = Contestant(lambda: calls.append("run"), lambda: calls.append("reset"))
    contestant._number = 2
    contestant.turn(0.0)
    assert calls == ["reset", "run", "run"]


def test_an_estimate_does_only_a_part():
    tried = []

    def part(amount):
        tried.append(amount)
        return Problem(lambda engine: SLOW, lambda engine: sum(range(1000 * amount)))

    seconds, amount = estimate(part, 10**9, "numpy")
    assert max(tried) == amount < 10**7
    assert seconds > 100


@pytest.mark.parametrize("name", slow_but(set(OPERATIONS) - {"gd_epoch", "backward"}, OPERATIONS))
def test_the_engines_agree(name):
    check_agreement(OPERATIONS[name].problem(5, 8), ENGINES, name)


def test_disagreement_is_an_error():
    wrong = Problem(lambda engine: SLOW, lambda engine: np.array([float(len(engine))]))
    with pytest.raises(DisagreementError, match="dot: the engines numba and python do not"):
        check_agreement(wrong, ["numba", "numpy", "python"], "dot")
    with pytest.raises(DisagreementError):  # NaN agrees with nothing
        check_agreement(
            Problem(lambda engine: SLOW, lambda engine: np.array(np.nan)), ENGINES[:2], ""
        )


@pytest.mark.parametrize(("dtype", "digits"), [("float64", 8), ("float32", 4)])
def test_engines_agree_to_half_of_the_digits(dtype, digits):
    def with_error(error):
        numbers = {"numba": np.array([1.0, -2.0], dtype), "numpy": np.array([1 + error, -2], dtype)}
        return Problem(lambda engine: SLOW, numbers.__getitem__)

    check_agreement(with_error(10.0**-digits), ENGINES[1:], "")
    with pytest.raises(DisagreementError):
        check_agreement(with_error(10 * 10.0**-digits), ENGINES[1:], "")


def test_the_work_of_a_network_is_counted():
    forward = network_work((1, 2, 1), 10, passes=1, updates=0, result=10)
    assert forward.arithmetic == 2 * 4 * 10  # four weights, each with one product and one sum
    assert forward.activations == 2 * 10
    assert forward.moved == 8 * (10 + 10 + 7)
    per_sample = network_work((1, 2, 1), 10, passes=2, updates=10)
    assert per_sample.changed == 2 * 8 * 7 * 10
    assert per_sample.arithmetic > 2 * forward.arithmetic


def test_nearness_to_the_lower_ceiling():
    dot = OPERATIONS["dot"].work(64, 0)  # 1 KiB: read at 32e9 bytes/s; 128 operations at 8e9/s
    near = CEILINGS.nearness(dot, 64e-9)
    assert (near.limit, near.share) == ("memory", pytest.approx(0.5))
    assert near.roof == pytest.approx(128 / 32e-9)
    sigmoids = network_work((1, 8, 1), 1000, passes=1, updates=0)
    near = CEILINGS.nearness(sigmoids, 1.0)
    assert (near.limit, near.share) == ("arithmetic", pytest.approx(8000e-9 + 32_000 / 8e9))


def test_between_two_points_a_curve_is_straight_on_logarithmic_scales():
    assert ceilings.on_curve(2048, CEILINGS.held, CEILINGS.read) == pytest.approx(16e9)
    assert ceilings.on_curve(10**9, CEILINGS.held, CEILINGS.read) == pytest.approx(8e9)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be chosen")
def test_measuring_stays_on_one_core():
    before = machines.cores()
    with conditions.measuring() as facts:
        assert len(machines.cores()) == 1
    assert machines.cores() == before
    assert facts["cores"] == len(before)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be chosen")
def test_all_cores_are_back_if_the_search_for_one_is_broken_off(monkeypatch):
    def broken_off():
        raise KeyboardInterrupt

    before = machines.cores()
    monkeypatch.setattr(conditions, "pulse", broken_off)
    with pytest.raises(KeyboardInterrupt), conditions.measuring():
        pass
    assert machines.cores() == before


@pytest.mark.skipif(not jit_is_on(), reason="NUMBA_DISABLE_JIT is set")
def test_the_ceilings_of_this_machine(monkeypatch):
    monkeypatch.setattr(ceilings, "HELD", (4096, 65536))
    found = ceilings.measure_ceilings(0.05)
    assert found.peak > 1e8
    assert 1e-12 < found.activation < 1e-6
    assert found.read[0] >= found.read[1] > 1e8
    assert found.changed[0] >= found.changed[1] > 1e8
    assert "4 KiB" in found.as_text()
    assert found.as_dict()["memory"][1]["bytes"] == 65536


def test_enough_memory_for_the_samples_is_enough(monkeypatch):
    needed = 8 * 2 * 2_000 * 3
    monkeypatch.setattr(networks, "available_memory", lambda: 3 * needed)
    fastnn.profile([1, 1], samples=2_000, engines=["numpy"], seconds=0.1)
    monkeypatch.setattr(networks, "available_memory", lambda: needed)
    with pytest.raises(ValueError, match="of memory"):
        fastnn.profile([1, 1], samples=2_000, engines=["numpy"], seconds=0.1)


def test_the_higher_of_two_measurements_is_the_ceiling():
    one = Ceilings(1.0, 2.0, (8, 64), (3.0, 2.0), (5.0, 1.0))
    other = Ceilings(2.0, 3.0, (8, 64), (1.0, 4.0), (4.0, 3.0))
    assert one.raised_by(other) == Ceilings(2.0, 2.0, (8, 64), (3.0, 4.0), (5.0, 3.0))
