"""Training from streams of chunks."""

from __future__ import annotations

import itertools
import signal
import tracemalloc

import numpy as np
import pytest
from helpers import unchanged
from streaming import RULES, WEIGHTS, X, Y, bits, chunks, network, on_engines

import fastnn


@on_engines
@pytest.mark.parametrize("batch_size", [1, 4])
def test_chunks_of_whole_batches_are_one_epoch(engine, rule, batch_size):
    options = {"batch_size": batch_size, "optimizer": RULES[rule], "shuffle": False}
    streamed, whole = network(engine), network(engine)
    history = streamed.fit_stream(iter(chunks()), **options)
    epoch = whole.fit(X, Y, epochs=1, **options)
    assert bits(streamed) == bits(whole)
    assert history.epochs == 3
    assert np.mean(history.loss) == pytest.approx(epoch.loss[0], rel=1e-12)


def test_each_chunk_is_an_epoch_of_fit():
    streamed, by_hand = network(dropout=0.3, l2=0.01), network(dropout=0.3, l2=0.01)
    history = streamed.fit_stream(chunks(10), epochs=2, optimizer="adam", batch_size=3)
    losses = [
        by_hand.fit(*chunk, epochs=1, optimizer="adam", batch_size=3).loss[0]
        for _ in range(2)
        for chunk in chunks(10)
    ]
    assert bits(streamed) == bits(by_hand)
    assert history.loss == losses
    assert history.learning_rate == [0.001] * 6
    assert history.stop_reason == "completed"
    assert streamed.history is history


def test_a_function_gives_the_chunks_of_each_pass():
    streamed, listed = network(), network()
    streamed.fit_stream(lambda: iter(chunks()), epochs=3)
    listed.fit_stream(chunks(), epochs=3)
    assert bits(streamed) == bits(listed)


def test_chunks_may_have_weights_and_any_size():
    streamed, by_hand = network(), network()
    pieces = [(X[:5], Y[:5], WEIGHTS[:5]), (X[5:6], Y[5:6]), (X[6:], Y[6:], WEIGHTS[6:])]
    streamed.fit_stream(pieces, batch_size=4)
    for x, y, *weights in pieces:
        by_hand.fit(x, y, epochs=1, batch_size=4, sample_weight=weights[0] if weights else None)
    assert bits(streamed) == bits(by_hand)


def test_schedules_count_chunks():
    history = network().fit_stream(chunks(), learning_rate=fastnn.StepDecay(0.8, 2, 0.5))
    assert history.learning_rate == [0.8, 0.8, 0.4]


def test_the_memory_is_that_of_a_chunk():
    rows = 20_000  # 480 kB of X

    def stream(count):
        for k in range(count):
            yield np.full((rows, 3), k % 2), np.zeros((rows, 2))

    def peak(count):
        tracemalloc.start()
        network().fit_stream(stream(count), batch_size=5000)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(1)  # what is imported and cached
    assert peak(12) < peak(2) + 100_000


def test_ctrl_c_while_a_chunk_is_made_ends_an_endless_stream(default_ctrl_c):
    def endless():
        for k in itertools.count():
            if k == 5:
                signal.raise_signal(signal.SIGINT)
            yield chunks()[k % 3]

    net = network()
    history = net.fit_stream(endless())
    assert (history.stop_reason, history.epochs) == ("interrupted", 5)
    assert np.isfinite(net.parameters).all()


def test_a_stream_that_fails_leaves_network_and_history_whole():
    def failing():
        yield from chunks()
        raise OSError("no more")

    net, other = network(), network()
    with pytest.raises(OSError, match="no more"):
        net.fit_stream(failing())
    other.fit_stream(chunks())
    assert bits(net) == bits(other)
    assert (net.history.stop_reason, net.history.epochs) == ("error", 3)


def test_divergence_names_the_chunk_and_keeps_what_was_before():
    net, other = network(), network()
    bad = (np.full((4, 3), 1e160), np.full((4, 2), 1e200))
    with pytest.raises(fastnn.TrainingDivergedError, match="epoch 2") as caught:
        net.fit_stream([chunks()[0], bad])
    other.fit_stream(chunks()[:1])
    assert caught.value.epoch == 2
    assert net.parameters.tobytes() == other.parameters.tobytes()
    assert (net.history.stop_reason, net.history.epochs) == ("diverged", 1)


def test_a_bad_chunk_is_named_and_what_was_before_stays():
    net, other = network(), network()
    with pytest.raises(ValueError, match=r"X of chunk 2 must have shape \(n_samples, 3\)"):
        net.fit_stream([chunks()[0], (X[:, :2], Y)])
    other.fit_stream(chunks()[:1])
    assert bits(net) == bits(other)


def test_a_bad_chunk_says_where_in_the_stream_it_begins():
    bad = X[:8].copy()
    bad[2, 1] = np.nan
    net, other = network(), network()
    with pytest.raises(ValueError, match=r"X of chunk 3\[2, 1\] = nan") as caught:
        net.fit_stream([*chunks()[:2], (bad, Y[:8])])
    assert caught.value.__notes__ == ["Chunk 3 begins with row 17 of the stream."]
    other.fit_stream(chunks()[:2])
    assert bits(net) == bits(other)


# What comes after each chunk is what comes after each epoch of `fit`, where all are one chunk.


def test_validation_metrics_and_schedules_are_those_of_fit():
    options = {
        "validation_data": (X[:5], Y[:5]),
        "metrics": ["r2", lambda targets, outputs: float(np.abs(targets - outputs).max())],
        "learning_rate": fastnn.ReduceOnPlateau(0.5, "val_loss", 0.5, patience=0),
        "batch_size": 4,
    }
    streamed, whole = network(), network()
    history = streamed.fit_stream([(X, Y)], epochs=6, **options)
    fitted = whole.fit(X, Y, epochs=6, **options)
    assert bits(streamed) == bits(whole)
    assert history.val_loss == fitted.val_loss
    assert history.metrics == fitted.metrics
    assert history.learning_rate == fitted.learning_rate


def test_metrics_without_validation_data_are_those_of_each_chunk():
    net = network()
    history = net.fit_stream(chunks(), metrics=["mean_absolute_error"])
    on_last = np.abs(net.predict(chunks()[-1][0]) - chunks()[-1][1]).mean()
    assert history.metrics["mean_absolute_error"][-1] == pytest.approx(on_last)


@pytest.mark.parametrize("restore", [False, True])
def test_early_stopping_ends_the_stream_and_restores_the_best_chunk(restore):
    rule = fastnn.EarlyStopping("val_loss", patience=2, restore_best=restore)
    options = {"validation_data": (X[:5], -Y[:5]), "early_stopping": rule, "learning_rate": 0.5}
    streamed, whole = network(), network()
    history = streamed.fit_stream(itertools.repeat((X, Y)), **options)
    fitted = whole.fit(X, Y, epochs=100, **options)
    assert history.stop_reason == "early stopping"
    assert (history.epochs, history.best_epoch) == (fitted.epochs, fitted.best_epoch)
    assert history.best_epoch < history.epochs
    assert streamed.parameters.tobytes() == whole.parameters.tobytes()


def test_callbacks_end_the_stream():
    seen = []

    class Watcher:
        def on_epoch_end(self, network, epoch, logs):
            seen.append((epoch, logs["loss"], network.history.epochs))
            return epoch == 4

    history = network().fit_stream(itertools.repeat((X, Y)), callbacks=[Watcher()])
    assert history.stop_reason == "callback"
    assert seen == [(k, history.loss[k - 1], k) for k in (1, 2, 3, 4)]


def test_an_exception_in_a_callback_keeps_what_was_learned():
    class Failing:
        def on_epoch_end(self, network, epoch, logs):
            if epoch == 2:
                raise OSError("full")

    net, other = network(), network()
    with pytest.raises(OSError, match="full"):
        net.fit_stream(chunks(), callbacks=[Failing()])
    other.fit_stream(chunks()[:2])
    assert bits(net) == bits(other)


def test_class_weights_are_sample_weights():
    classes = np.arange(24) % 3
    one, other = (
        fastnn.Network([3, 4, 3], loss="cross_entropy", seed=1, engine="numpy") for _ in range(2)
    )
    weights = np.array([1.0, 0.5, 3.0])
    own = WEIGHTS
    one.fit_stream(
        [(X[:12], classes[:12]), (X[12:], classes[12:], own[12:])], class_weight={1: 0.5, 2: 3}
    )
    other.fit_stream(
        [
            (X[:12], classes[:12], weights[classes[:12]]),
            (X[12:], classes[12:], own[12:] * weights[classes[12:]]),
        ]
    )
    assert bits(one) == bits(other)


def test_samples_per_second_count_chunks_as_they_are(monkeypatch):
    from fastnn.progress import TrainingBar

    bar = TrainingBar(True, None, 0)
    shown = []
    monkeypatch.setattr(type(bar._bar.tasks[0]), "elapsed", 2.0)
    monkeypatch.setattr(bar, "draw", lambda act: act(bar._bar))
    monkeypatch.setattr(bar._bar, "update", lambda task, **fields: shown.append(fields["speed"]))
    for epochs, n in ((0, 10), (1, 30)):
        bar.count(epochs, n)
        bar.show(epochs + 1, fastnn.History())
    assert shown == ["5 samples/s", "20 samples/s"]


@pytest.mark.parametrize(
    ("given", "options", "error", "message"),
    [
        (chunks(), {"validation_data": X}, TypeError, "validation_data must be a pair"),
        (chunks(), {"metrics": ["f1"]}, ValueError, "metrics"),
        (chunks(), {"early_stopping": 3}, TypeError, "early_stopping must be"),
        (
            chunks(),
            {"early_stopping": fastnn.EarlyStopping("val_loss")},
            ValueError,
            "needs validation_data",
        ),
        (chunks(), {"callbacks": [3]}, TypeError, "callbacks"),
        (chunks(), {"class_weight": "balanced"}, ValueError, "needs all samples at once"),
        (chunks(), {"class_weight": {0: 1}}, ValueError, "class_weight needs loss"),
        (3, {}, TypeError, "chunks must be an iterable"),
        (iter([]), {"epochs": 2}, ValueError, "gone through again"),
        ([], {}, ValueError, "chunks were empty"),
        ([X], {}, TypeError, r"must be \(X, y\) or \(X, y, sample_weight\), got ndarray"),
        ([(X,)], {}, TypeError, r"must be \(X, y\)"),
        (chunks(), {"epochs": 0}, ValueError, "epochs must be at least 1"),
        (chunks(), {"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        (chunks(), {"optimizer": "lbfgs"}, ValueError, "needs all samples at once"),
        (chunks(), {"optimizer": fastnn.LBFGS()}, ValueError, "needs all samples at once"),
        (chunks(), {"shuffle": 1}, TypeError, "shuffle must be True or False"),
        (chunks(), {"progress": 1}, TypeError, "progress must be True or False"),
    ],
)
def test_bad_arguments_of_fit_stream_are_named(given, options, error, message):
    net = network()
    with unchanged(net, net._rng), pytest.raises(error, match=message):
        net.fit_stream(given, **options)


def test_progress_is_shown(capsys):
    network().fit_stream(iter(chunks()), progress=True)
    assert "3" in capsys.readouterr().out


@pytest.mark.own_kernels
def test_wide_first_layers_take_chunks_of_whole_blocks_to_the_bit():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(160, 784)), rng.normal(size=(160, 10))
    Y = np.eye(10)[Y.argmax(axis=1)]  # loss and activation are those of the tests of this kernel
    streamed, whole = (
        fastnn.Network([784, 32, 10], activation="relu", loss="cross_entropy", seed=1)
        for _ in range(2)
    )
    parts = [slice(0, 64), slice(64, 128), slice(128, 160)]
    streamed.fit_stream([(X[k], Y[k]) for k in parts], batch_size=1, shuffle=False)
    whole.fit(X, Y, epochs=1, batch_size=1, shuffle=False)
    assert streamed.parameters.tobytes() == whole.parameters.tobytes()


@pytest.mark.parametrize(
    ("chunks", "options"), [([(X, Y)], {"progress": "yes"}), ([(X[:, :2], Y)], {})]
)
def test_what_is_refused_leaves_the_optimiser_what_it_remembers(chunks, options):
    net = network()
    history = net.fit(X, Y, epochs=3, optimizer="adam")
    before = bits(net)
    with pytest.raises((TypeError, ValueError)):
        net.fit_stream(chunks, **options)
    assert bits(net) == before
    assert net.history is history
