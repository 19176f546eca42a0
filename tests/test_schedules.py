"""Learning-rate schedules: the rates by themselves, and what of them reaches the training."""

from __future__ import annotations

import dataclasses
import itertools
import math
import pickle

import numpy as np
import pytest
from helpers import PYTHON_SLOW, SLICINGS, random_state

import fastnn
from fastnn.schedules import SCHEDULES
from fastnn.training import cuts
from fastnn.training.run import Run

N = 150
COUNTED = [
    fastnn.StepDecay(0.2, step_size=3, factor=0.7),
    fastnn.ExponentialDecay(0.2, 0.9, decay_steps=4),
    fastnn.InverseScaling(0.2, power=0.3),
    fastnn.CosineDecay(0.01, 30, alpha=0.1, warmup_target=0.2, warmup_steps=7),
    fastnn.OneCycle(0.2, 40),
]


def with_per(schedule, per):
    return dataclasses.replace(schedule, per=per)


def names(schedule):
    return type(schedule).__name__


# The formulas, one step at a time in plain Python.


def cosine(start, stop, part):
    return stop + (start - stop) / 2 * (1 + math.cos(math.pi * part))


def one_cycle_of_torch(t, top, total, pct_start, div, final_div):
    """torch.optim.lr_scheduler.OneCycleLR.get_lr, two phases, anneal_strategy="cos"."""
    first = top / div
    phases = [(0.0, pct_start * total - 1, first, top),
              (pct_start * total - 1, total - 1, top, first / final_div)]  # fmt: skip
    for begin, end, low, high in phases:
        if t <= end:
            return cosine(low, high, (t - begin) / (end - begin))
    return first / final_div


def cosine_of_keras(t, first, steps, alpha, target, warmup):
    """keras.optimizers.schedules.CosineDecay.__call__."""
    if t < warmup:
        return first + (target - first) * t / warmup
    done = min(t - warmup, steps) / steps
    return target * ((1 - alpha) * 0.5 * (1 + math.cos(math.pi * done)) + alpha)


BY_HAND = [
    (COUNTED[0], lambda t: 0.2 * 0.7 ** (t // 3)),
    (COUNTED[1], lambda t: 0.2 * 0.9 ** (t / 4)),
    (COUNTED[2], lambda t: 0.2 / (t + 1) ** 0.3),
    (COUNTED[3], lambda t: cosine_of_keras(t, 0.01, 30, 0.1, 0.2, 7)),
    (COUNTED[4], lambda t: one_cycle_of_torch(t, 0.2, 40, 0.3, 25.0, 1e4)),
    (fastnn.CosineDecay(0.3, 20), lambda t: cosine(0.3, 0.0, min(t, 20) / 20)),
    (fastnn.OneCycle(1.0, 11, pct_start=0.5, div_factor=2, final_div_factor=3),
     lambda t: one_cycle_of_torch(t, 1.0, 11, 0.5, 2, 3)),
]  # fmt: skip


@pytest.mark.parametrize(("schedule", "formula"), BY_HAND, ids=lambda each: names(each))
def test_rates_by_the_formula(schedule, formula):
    rates = schedule.rates(0, 60)
    assert rates.dtype == np.float64
    np.testing.assert_allclose(rates, [formula(t) for t in range(60)], rtol=1e-12, atol=1e-18)


def torch_rates(torch, make_scheduler, values):
    """The rates before each step of a scheduler of PyTorch."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.2)
    scheduler = make_scheduler(torch.optim.lr_scheduler, optimizer)
    rates = []
    for value in values:
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(*value)
    return rates


@pytest.mark.parametrize(
    ("schedule", "make_scheduler"),
    [
        (fastnn.StepDecay(0.2, 3, 0.7), lambda of, it: of.StepLR(it, 3, 0.7)),
        (fastnn.ExponentialDecay(0.2, 0.9), lambda of, it: of.ExponentialLR(it, 0.9)),
        (fastnn.CosineDecay(0.2, 50), lambda of, it: of.CosineAnnealingLR(it, 50)),
        (fastnn.OneCycle(0.2, 51), lambda of, it: of.OneCycleLR(it, 0.2, 51)),
        (fastnn.OneCycle(0.2, 60, 0.1, 5, 50),
         lambda of, it: of.OneCycleLR(
             it, 0.2, 60, pct_start=0.1, div_factor=5, final_div_factor=50)),
    ],
    ids=names,
)  # fmt: skip
def test_rates_against_pytorch(schedule, make_scheduler):
    torch = pytest.importorskip("torch")
    expected = torch_rates(torch, make_scheduler, [()] * 50)
    np.testing.assert_allclose(schedule.rates(0, 50), expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("monitor", ["loss", "accuracy"])
def test_plateaus_against_pytorch(monitor):
    torch = pytest.importorskip("torch")
    values = np.random.default_rng(3).normal(size=200).cumsum().round(1).tolist()
    mode = "max" if monitor == "accuracy" else "min"
    expected = torch_rates(
        torch,
        lambda of, it: of.ReduceLROnPlateau(
            it, mode, 0.5, 4, threshold=0.25, threshold_mode="abs", min_lr=0.001, eps=0
        ),
        [(value,) for value in values],
    )
    schedule = fastnn.ReduceOnPlateau(0.2, monitor, 0.5, 4, 0.25, 0.001)
    rates = [0.2, *course(schedule, values)[:-1]]
    np.testing.assert_allclose(rates, expected, rtol=1e-12)
    assert rates[-1] == 0.001


def test_the_cosines_end_where_they_say():
    cycle = fastnn.OneCycle(0.5, 100, pct_start=0.25, div_factor=10, final_div_factor=100)
    rates = cycle.rates(0, 101)
    assert rates[0] == pytest.approx(0.05, rel=1e-12)
    assert rates[24] == rates.max() == 0.5
    assert rates[99] == rates[100] == pytest.approx(0.0005, rel=1e-9)
    decay = fastnn.CosineDecay(0.0, 10, alpha=0.5, warmup_target=0.4, warmup_steps=4)
    np.testing.assert_allclose(decay.rates(0, 5), [0.0, 0.1, 0.2, 0.3, 0.4])
    assert decay.rates(14, 2) == pytest.approx([0.2, 0.2], rel=1e-12)


@pytest.mark.parametrize("pct_start", [0.0, 0.05, 0.1, 0.95, 1.0])
def test_one_cycle_at_its_edges(pct_start):
    """torch's too; with 0.95 the fall is shorter than one step."""
    rates = fastnn.OneCycle(1.0, 10, pct_start=pct_start).rates(0, 12)
    assert np.isfinite(rates).all()
    assert ((rates >= 0) & (rates <= 1)).all()
    assert rates[9] == pytest.approx(1.0 if pct_start == 1.0 else 1 / 25 / 1e4, rel=1e-9)


@pytest.mark.parametrize("schedule", COUNTED, ids=names)
def test_no_bit_of_a_rate_depends_on_what_else_is_asked_for(schedule):
    whole = schedule.rates(0, 500)
    for first, count in itertools.product((0, 1, 3, 17, 100), (1, 2, 3, 7, 8, 33, 400)):
        assert schedule.rates(first, count).tolist() == whole[first : first + count].tolist()


# In training.


def data(n=N):
    rng = np.random.default_rng([7, n])
    X = rng.uniform(-1, 1, (n, 2))
    return X, np.sin(3 * X[:, 0]) * X[:, 1] + 0.3 * rng.normal(size=n)


def make(engine="numpy", **options):
    rng = np.random.default_rng(11)
    return fastnn.Network([2, 4, 1], engine=engine, seed=rng, **options), rng


def outcome(net, rng, *histories):
    return (
        net.parameters.tobytes(),
        random_state(rng),
        [loss for history in histories for loss in history.loss],
        [rate for history in histories for rate in history.learning_rate],
        net._state.clock.steps.tolist(),
        net._state.clock.plateau.tolist(),
    )


PLATEAU = fastnn.ReduceOnPlateau(0.9, factor=0.5, patience=1, min_delta=0.002, min_rate=0.01)
ALL = [*COUNTED, *(with_per(schedule, "update") for schedule in COUNTED), PLATEAU]
ids = [f"{names(schedule)}-{getattr(schedule, 'per', 'epoch')}" for schedule in ALL]


@pytest.mark.parametrize("batch_size", [7, None])
@pytest.mark.parametrize("schedule", ALL, ids=ids)
def test_an_epoch_trains_with_its_rates(engine, schedule, batch_size):
    """Against updates made one at a time from the gradients."""
    X, y = data(20)
    if schedule is PLATEAU:
        schedule = dataclasses.replace(PLATEAU, min_delta=0.02)
    net, _ = make(engine)
    twin, _ = make(engine)
    history = net.fit(X, y, epochs=12, batch_size=batch_size, learning_rate=schedule, shuffle=False)
    size, update, plateau = batch_size or 20, 0, np.array([1.0, np.inf, 0.0])
    for epoch in range(12):
        for first in range(0, 20, size):
            if isinstance(schedule, fastnn.ReduceOnPlateau):
                rate = schedule.rate_after(plateau)
            else:
                rate = schedule.rates(epoch if schedule.per == "epoch" else update, 1)[0]
            rows = slice(first, first + size)
            twin.parameters[:] -= rate * twin.loss_and_gradient(X[rows], y[rows])[1]
            update += 1
        assert history.learning_rate[epoch] == pytest.approx(rate, rel=1e-14)
        if isinstance(schedule, fastnn.ReduceOnPlateau):
            schedule.remember(plateau, history.loss[epoch])
    np.testing.assert_allclose(net.parameters, twin.parameters, rtol=1e-10, atol=1e-13)
    assert len(set(history.learning_rate)) > 1


@pytest.mark.parametrize("schedule", ALL, ids=ids)
def test_no_bit_depends_on_the_pieces(loop_engine, schedule):
    def trained(slicing):
        net, rng = make(loop_engine)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in SLICINGS[slicing].items():
                patch.setattr(cuts, name, value)
            history = net.fit(*data(), epochs=25, batch_size=7, learning_rate=schedule)
        return outcome(net, rng, history)

    expected = trained("one epoch a piece")
    assert expected[4] == [25 * 22, 25]
    for slicing in SLICINGS:
        assert trained(slicing) == expected, slicing


@pytest.mark.parametrize("schedule", ALL, ids=ids)
def test_counting_goes_on_over_calls_of_fit(engine, schedule):
    def trained(*epochs):
        net, rng = make(engine)
        fits = [net.fit(*data(30), epochs=n, batch_size=7, learning_rate=schedule) for n in epochs]
        return outcome(net, rng, *fits)

    assert trained(3, 1, 5) == trained(9)


def test_another_schedule_begins_at_its_beginning():
    net, _ = make()
    first = fastnn.StepDecay(0.4, 1, 0.5)
    net.fit(*data(20), epochs=3, learning_rate=first)
    assert net.fit(*data(20), epochs=2, learning_rate=first).learning_rate == [0.05, 0.025]
    other = fastnn.StepDecay(0.4, 1, 0.25)
    assert net.fit(*data(20), epochs=2, learning_rate=other).learning_rate == [0.4, 0.1]
    assert net.fit(*data(20), epochs=1, learning_rate=first).learning_rate == [0.4]


def test_a_rate_per_update_builds_no_more_rates_than_a_piece_has_updates(monkeypatch):
    for name, value in SLICINGS["64 rows a piece"].items():
        monkeypatch.setattr(cuts, name, value)
    shapes = []
    run_piece = Run._run

    def noting(self, piece):
        shapes.append((piece.rates.shape, piece.start, piece.stop))
        return run_piece(self, piece)

    monkeypatch.setattr(Run, "_run", noting)
    rate = fastnn.InverseScaling(0.1, per="update")
    history = make()[0].fit(*data(), epochs=1, batch_size=7, learning_rate=rate)
    assert shapes == [((1, 10), 0, 70), ((1, 10), 70, 140), ((1, 2), 140, 150)]
    assert history.learning_rate == rate.rates(21, 1).tolist(), "the last rate of the epoch"


@pytest.mark.parametrize("engine", ["python", "numpy"])
@pytest.mark.parametrize("optimizer", [fastnn.SGD, fastnn.Adam, fastnn.RMSprop])
def test_an_optimizer_object_takes_a_schedule(engine, optimizer):
    rate = fastnn.ExponentialDecay(0.05, 0.9)
    net, _ = make(engine)
    history = net.fit(*data(20), epochs=3, optimizer=optimizer(rate))
    assert history.learning_rate == rate.rates(0, 3).tolist()
    twin, _ = make(engine)
    twin.fit(*data(20), epochs=3, optimizer=optimizer.name, learning_rate=rate)
    assert net.parameters.tobytes() == twin.parameters.tobytes()


# Reduce on plateau.


def course(schedule, values):
    """The rate after each of the values."""
    plateau = np.array([1.0, np.inf, 0.0])
    rates = []
    for value in values:
        before = schedule.rate_after(plateau)
        reduced = schedule.remember(plateau, value)
        rates.append(schedule.rate_after(plateau))
        assert reduced == (rates[-1] < before)
    return rates


@pytest.mark.parametrize(
    ("settings", "values", "expected"),
    [
        ({"patience": 0}, [3, 2, 2, 1, 1], [1, 1, 0.5, 0.5, 0.25]),
        ({"patience": 1}, [3, 3, 3, 3, 3], [1, 1, 0.5, 0.5, 0.25]),
        ({"patience": 1}, [3, 3, 2, 2, 2], [1, 1, 1, 1, 0.5]),
        ({"patience": 0, "min_delta": 1.0}, [3, 2.5, 2, 1.5], [1, 0.5, 0.25, 0.25]),
        ({"patience": 0, "min_rate": 0.4}, [3, 3, 3, 3], [1, 0.5, 0.4, 0.4]),
        ({"patience": 0, "min_rate": 2.0}, [3, 3, 3], [1, 1, 1]),
        ({"patience": 0, "monitor": "val_accuracy"}, [0.5, 0.6, 0.6], [1, 1, 0.5]),
        ({"patience": 0, "monitor": "gain", "mode": "max"}, [1, 2, 1], [1, 1, 0.5]),
        ({"patience": 0}, [math.nan, 1, math.nan], [0.5, 0.5, 0.25]),
    ],
)
def test_plateaus_by_hand(settings, values, expected):
    settings = {"factor": 0.5, "min_delta": 0.0} | settings
    assert course(fastnn.ReduceOnPlateau(1.0, **settings), values) == expected


@pytest.mark.parametrize("monitor", ["loss", "val_loss", "r2", "val_r2", "mean_absolute_error"])
def test_the_rate_follows_the_value_that_it_looks_at(loop_engine, monitor):
    rate = dataclasses.replace(PLATEAU, monitor=monitor)
    net, _ = make(loop_engine)
    history = net.fit(
        *data(20), epochs=30, batch_size=3, learning_rate=rate, validation_data=data(9),
        metrics=["r2", "mean_absolute_error"],
    )  # fmt: skip
    frame = history.course(0, 30)
    key = monitor if "loss" in monitor else f"val_{monitor.removeprefix('val_')}"
    assert history.learning_rate == [0.9, *course(rate, frame[key])[:-1]]
    assert len(set(history.learning_rate)) > 3


@pytest.mark.parametrize("slicing", ["all in one piece", "64 rows a piece", "growing pieces"])
@pytest.mark.parametrize("restore_best", [False, True])
def test_stopping_early_and_going_back_use_the_rates_of_that_time(
    loop_engine, monkeypatch, slicing, restore_best
):
    def fit(net, epochs, **options):
        return net.fit(*data(20), epochs=epochs, batch_size=3, learning_rate=PLATEAU, **options)

    for name, value in SLICINGS[slicing].items():
        monkeypatch.setattr(cuts, name, value)
    net, rng = make(loop_engine)
    rule = fastnn.EarlyStopping(patience=6, restore_best=restore_best)
    history = fit(net, 60, early_stopping=rule)
    assert history.stop_reason == "early stopping"
    assert len(set(history.learning_rate)) > 2
    twin, twin_rng = make(loop_engine)
    monkeypatch.setattr(cuts, "GRAIN", 64)
    monkeypatch.setattr(cuts, "PIECE_SECONDS", 1e-12)  # other pieces than those of *net*
    fit(twin, history.best_epoch if restore_best else history.epochs)
    assert net.parameters.tobytes() == twin.parameters.tobytes()
    assert net._state.clock.steps.tolist() == twin._state.clock.steps.tolist()
    assert net._state.clock.plateau.tolist() == twin._state.clock.plateau.tolist()
    if not restore_best:
        assert random_state(rng) == random_state(twin_rng)
        assert fit(net, 5).loss == fit(twin, 5).loss


def test_a_reduced_rate_does_not_hide_a_divergence(engine):
    """Epochs after the reduction are run again, with the smaller rate; a true overflow stays."""
    rate = fastnn.ReduceOnPlateau(1e6, patience=50)
    net, _ = make(engine)
    with pytest.raises(fastnn.TrainingDivergedError) as error:
        net.fit(*data(20), epochs=200, learning_rate=rate, batch_size=None, metrics=[])
    assert "by ReduceOnPlateau(initial_learning_rate=1000000.0" in str(error.value)


@pytest.mark.parametrize("engine", PYTHON_SLOW)
def test_a_reduction_in_time_is_no_divergence(engine, monkeypatch):
    """In one piece the epochs after the reduction have overflowed; that is taken back."""
    X, y = np.array([[1.0], [2.0], [3.0]]), np.array([1.0, -2.0, 3.0])
    rate = fastnn.ReduceOnPlateau(3.0, factor=0.01, patience=0)

    def trained(slicing):
        net = fastnn.Network([1, 1], engine=engine, initializer="zeros")
        with pytest.MonkeyPatch.context() as patch:
            for name, value in SLICINGS[slicing].items():
                patch.setattr(cuts, name, value)
            history = net.fit(X, y, epochs=200, batch_size=None, learning_rate=rate)
        return net.parameters.tobytes(), history.loss, history.learning_rate

    expected = trained("one epoch a piece")
    assert expected[2][:3] == [3.0, 3.0, pytest.approx(0.03)]
    assert trained("all in one piece") == expected


# Errors.


def test_divergence_names_the_schedule_and_the_rate():
    net, _ = make()
    schedule = fastnn.StepDecay(1e5, step_size=2, factor=1e3)
    with pytest.raises(fastnn.TrainingDivergedError) as error:
        net.fit(*data(20), epochs=100, learning_rate=schedule, batch_size=1)
    assert error.value.learning_rate == schedule.rates(error.value.epoch - 1, 1)[0]
    assert f"by {schedule!r}" in str(error.value)
    twin = pickle.loads(pickle.dumps(error.value))
    assert (str(twin), twin.schedule) == (str(error.value), schedule)


@pytest.mark.parametrize(
    ("make_it", "kind", "message"),
    [
        (lambda: fastnn.StepDecay(0.0, 3), ValueError, r"initial_learning_rate must be above 0"),
        (lambda: fastnn.StepDecay(0.1, 0), ValueError, r"step_size must be at least 1, got 0"),
        (lambda: fastnn.StepDecay(0.1, 3, -1), ValueError, r"factor must be above 0, got -1"),
        (lambda: fastnn.StepDecay(0.1, 3, per="batch"), ValueError, r"per='batch' is not known"),
        (lambda: fastnn.ExponentialDecay("1", 0.9), TypeError, r"initial_learning_rate must be a"),
        (lambda: fastnn.ExponentialDecay(1, 0.9, 1.5), TypeError, r"decay_steps must be a whole"),
        (lambda: fastnn.InverseScaling(0.1, 0), ValueError, r"power must be above 0, got 0"),
        (lambda: fastnn.CosineDecay(0.0, 5), ValueError, r"initial_learning_rate must be above 0"),
        (lambda: fastnn.CosineDecay(0.1, 5, 2), ValueError, r"alpha must be from 0 to 1, got 2"),
        (lambda: fastnn.CosineDecay(0.1, 5, warmup_steps=3), ValueError, r"go together"),
        (lambda: fastnn.CosineDecay(0.1, 5, warmup_target=3), ValueError, r"go together"),
        (lambda: fastnn.OneCycle(0.1, 5, 1.5), ValueError, r"pct_start must be from 0 to 1"),
        (lambda: fastnn.OneCycle(0.1, 0), ValueError, r"total_steps must be at least 1, got 0"),
        (lambda: fastnn.ReduceOnPlateau(0.1, factor=1), ValueError, r"factor must be below 1"),
        (lambda: fastnn.ReduceOnPlateau(0.1, None), TypeError, r"monitor must be a string"),
        (lambda: fastnn.ReduceOnPlateau(0.1, patience=-1), ValueError, r"patience must be at"),
        (lambda: fastnn.ReduceOnPlateau(0.1, mode="up"), ValueError, r"mode='up' is not known"),
    ],
)  # fmt: skip
def test_bad_settings(make_it, kind, message):
    with pytest.raises(kind, match=message):
        make_it()


def test_a_plateau_of_what_is_not_computed_is_refused():
    net, rng = make()
    before = outcome(net, rng)
    with pytest.raises(ValueError, match=r"learning_rate on 'val_loss' needs validation_data"):
        net.fit(*data(9), epochs=1, learning_rate=fastnn.ReduceOnPlateau(0.1, "val_loss"))
    with pytest.raises(ValueError, match=r"learning_rate on 'r2' needs .* metrics=\['r2'\] to fit"):
        net.fit(*data(9), epochs=1, learning_rate=fastnn.ReduceOnPlateau(0.1, "r2"))
    assert outcome(net, rng) == before


@pytest.mark.parametrize("kind", SCHEDULES.values(), ids=list(SCHEDULES))
def test_schedules_do_not_change_and_can_be_compared_and_pickled(kind):
    schedule = next(each for each in ALL if type(each) is kind)
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert getattr(fastnn, kind.__name__) is kind
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.per = "update"
