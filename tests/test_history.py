from __future__ import annotations

import copy
import pickle
import sys

import matplotlib as mpl
import numpy as np
import pytest

import fastnn
from fastnn.history import History


@pytest.fixture
def pyplot():
    """pyplot that draws into memory; every figure is closed afterwards."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def test_a_new_history_is_empty():
    history = History()
    assert (history.loss, history.val_loss, history.epochs) == ([], [], 0)
    assert history.stop_reason == "completed"
    assert history.best_epoch is None


def test_histories_do_not_share_their_lists():
    History().loss.append(1.0)
    assert History().loss == []


def test_epochs_counts_the_losses():
    assert History(loss=[3.0, 2.0]).epochs == 2


def test_appended_values_become_floats_equal_or_not():
    history = History()
    history.append({"loss": np.array([3.0, 2.0, 9.0]), "learning_rate": np.full(3, 0.1)}, 2)
    history.append({"loss": np.array([2.0, 2.0]), "learning_rate": np.array([0.1, 0.2])}, 2)
    assert history.epochs == 4  # before anybody has looked
    assert history.loss == [3.0, 2.0, 2.0, 2.0]
    assert history.learning_rate == [0.1, 0.1, 0.1, 0.2]
    assert {type(value) for value in history.loss + history.learning_rate} == {float}


def test_a_column_of_what_several_networks_share_becomes_floats():
    course = {"loss": np.array([[3.0, 5.0], [2.0, 4.0]]), "learning_rate": np.full((2, 2), 0.1)}
    histories = [History(), History()]
    for column, history in enumerate(histories):
        history.append(course, 2, column)
    assert [history.epochs for history in histories] == [2, 2]
    assert [history.loss for history in histories] == [[3.0, 2.0], [5.0, 4.0]]
    assert histories[1].learning_rate == [0.1, 0.1]
    assert type(histories[1].loss[0]) is float


def test_copies_of_a_history_have_all_epochs_once():
    history = History()
    history.append({"loss": np.array([3.0, 2.0]), "r2": np.array([0.1, 0.2])}, 2)
    twins = [copy.copy(history), copy.deepcopy(history), pickle.loads(pickle.dumps(history))]
    for each in (history, *twins):
        assert each.epochs == 2
        assert (each.loss, each.metrics) == ([3.0, 2.0], {"r2": [0.1, 0.2]})
        assert each.epochs == 2
    assert twins[1:] == [history, history]


def test_lists_that_were_looked_at_grow_on():
    history = History()
    seen = history.loss
    history.append({"loss": np.array([3.0, 2.0])}, 1)
    assert history.loss is seen
    assert seen == [3.0]


def test_repr_tells_the_end():
    text = repr(History(loss=[3.0, 2.5], val_loss=[4.0, 1.25], seconds=0.5))
    assert text == (
        "History(epochs=2, loss=2.5, val_loss=1.25, seconds=0.5, stop_reason='completed')"
    )
    assert "val_loss" not in repr(History(loss=[3.0]))


def test_repr_tells_the_last_metrics():
    history = History(loss=[3.0], metrics={"r2": [0.5], "auc": [0.75]}, learning_rate=[0.1])
    assert "epochs=1, loss=3, r2=0.5, auc=0.75, seconds=0" in repr(history)


def test_a_frame_has_a_row_per_epoch_and_a_column_per_value():
    net = fastnn.Network([1, 2, 1], seed=1, engine="numpy")
    history = net.fit(
        [0, 1], [0, 1], epochs=3, validation_data=([0.5, 0.7], [0.5, 1]), metrics=["r2"],
        learning_rate=fastnn.StepDecay(0.1, 2),
    )  # fmt: skip
    frame = history.to_pandas()
    assert frame.index.tolist() == [1, 2, 3]
    assert frame.index.name == "epoch"
    assert {name: frame[name].tolist() for name in frame} == {
        "loss": history.loss,
        "val_loss": history.val_loss,
        "val_r2": history.metrics["val_r2"],
        "learning_rate": [0.1, 0.1, pytest.approx(0.01)],
    }


def test_a_frame_of_no_epochs():
    assert History().to_pandas().shape[0] == 0


def test_without_pandas_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        History(loss=[1.0]).to_pandas()


def test_repr_of_an_empty_history():
    assert repr(History(stop_reason="interrupted")) == (
        "History(epochs=0, stop_reason='interrupted')"
    )


@pytest.mark.parametrize(
    "how", [copy.deepcopy, lambda history: pickle.loads(pickle.dumps(history))]
)
def test_a_copy_is_equal_and_separate(how):
    history = History(
        [2.0, 1.0], [3.0, 2.0], 0.1, "early stopping", 2, {"val_r2": [0.5, 0.75]}, [0.1, 0.05]
    )
    twin = how(history)
    assert twin == history
    twin.loss.append(0.0)
    assert history.epochs == 2


#: What somebody may do to the lists of a history, in a callback too.
TAMPERING = {
    "clears the losses": lambda history: history.loss.clear(),
    "clears the rates": lambda history: history.learning_rate.clear(),
    "clears the metrics": lambda history: history.metrics.clear(),
    "clears all": lambda history: [
        values.clear()
        for values in (history.loss, history.val_loss, history.metrics, history.learning_rate)
    ],
    "drops a loss": lambda history: history.loss.pop(),
    "adds losses": lambda history: history.loss.extend([1.0] * 9),
    "new lists": lambda history: vars(history).update(loss=[], learning_rate=[]),
    "sets the losses": lambda history: setattr(history, "loss", []),
}


class Tampering:
    """A callback that writes down the logs, and one that tampers with the history."""

    def __init__(self, deed, most):
        self.logs, self._deed, self._most = [], deed, most

    def on_epoch_end(self, network, epoch, logs):
        self.logs.append(logs)
        self._deed(network.history)
        return len(self.logs) > self._most  # without end otherwise


@pytest.mark.parametrize("optimizer", ["sgd", "lbfgs"])
@pytest.mark.parametrize("deed", TAMPERING)
def test_training_counts_its_epochs_by_itself(deed, optimizer):
    X = np.linspace(-1, 1, 6)
    net = fastnn.Network([1, 4, 1], activation="tanh", seed=0, engine="numpy")
    twin = copy.deepcopy(net)
    pair = [Tampering(TAMPERING[deed], 9), Tampering(lambda history: None, 9)]
    options = {"epochs": 4, "optimizer": optimizer, "validation_data": (X, X), "metrics": ["r2"]}
    history = net.fit(X, np.sin(X), **options, callbacks=pair, progress=True)
    expected = twin.fit(X, np.sin(X), **options)
    assert (history.epochs, history.stop_reason) == (4, "completed")
    assert net.parameters.tobytes() == twin.parameters.tobytes()
    assert pair[0].logs == pair[1].logs
    assert [logs["loss"] for logs in pair[0].logs] == expected.loss
    assert repr(history).startswith("History(epochs=4, ")


def test_a_history_that_somebody_emptied_can_be_cut_and_drawn(pyplot):
    history = History(loss=[3.0, 2.0], val_loss=[3.0, 2.0], learning_rate=[0.1, 0.1])
    history.loss.clear()
    history.append({name: np.ones(2) for name in ("loss", "val_loss", "learning_rate")}, 2)
    history.cut(3)
    assert (history.epochs, history.loss, history.val_loss) == (3, [1.0], [3.0, 2.0, 1.0])
    history.plot()
    frame = history.to_pandas()
    np.testing.assert_array_equal(frame["loss"], [np.nan, np.nan, 1.0])
    assert frame["val_loss"].tolist() == [3.0, 2.0, 1.0]


def test_pickles_of_versions_that_did_not_count_the_epochs():
    history = History(loss=[3.0, 2.0])
    state = {**history.__getstate__(), "_n_appended": 0}
    del state["_epochs"]
    old = History.__new__(History)
    old.__setstate__(state)
    assert (old.epochs, old == history) == (2, True)


def drawn(ax):
    return {line.get_label(): (*map(list, line.get_data()),) for line in ax.get_lines()}


def test_plot_draws_the_losses_over_the_epochs(pyplot):
    ax = History(loss=[4.0, 2.0, 1.0]).plot()
    assert drawn(ax) == {"training loss": ([1, 2, 3], [4.0, 2.0, 1.0])}
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_yscale()) == ("epoch", "loss", "log")
    assert ax.get_legend() is None


def test_plot_draws_the_validation_losses_too(pyplot):
    ax = History(loss=[4.0, 2.0], val_loss=[5.0, 3.0]).plot()
    assert drawn(ax)["validation loss"] == ([1, 2], [5.0, 3.0])
    assert len(ax.get_legend().get_texts()) == 2


def test_plot_draws_into_given_axes(pyplot):
    _, ax = pyplot.subplots()
    assert History(loss=[4.0, 2.0]).plot(ax) is ax
    assert len(pyplot.get_fignums()) == 1
    assert len(ax.get_lines()) == 1


def test_a_plot_can_be_saved(pyplot, tmp_path):
    net = fastnn.Network([1, 2, 1], seed=1, engine="numpy")
    history = net.fit([0, 1], [0, 1], epochs=5, validation_data=([0.5], [0.5]))
    history.plot().figure.savefig(tmp_path / "history.png")
    assert (tmp_path / "history.png").stat().st_size > 1000


@pytest.mark.parametrize("loss", [[], [1.0], [1.0, 0.0]])
def test_few_losses_and_zeros_are_no_error(pyplot, tmp_path, loss):
    History(loss=loss).plot().figure.savefig(tmp_path / "history.png")


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'fastnn-jit\[plot\]'"):
        History(loss=[1.0]).plot()


def test_histories_of_several_fits_go_on_as_one():
    net = fastnn.Network([2, 3, 1], seed=0, engine="numpy")
    X, y = np.random.default_rng(0).uniform(size=(9, 2)), np.arange(9) / 9
    first = net.fit(X, y, epochs=3, record=2)
    stop = fastnn.EarlyStopping("val_loss", patience=None)
    second = net.fit(
        X, y, epochs=4, validation_data=(X, y), metrics=["r2"], early_stopping=stop, record=2
    )
    both = first + second
    assert both.epochs == 7
    assert both.loss == first.loss + second.loss
    assert both.learning_rate == first.learning_rate + second.learning_rate
    np.testing.assert_array_equal(both.val_loss, [np.nan] * 3 + second.val_loss)
    np.testing.assert_array_equal(both.metrics["val_r2"], [np.nan] * 3 + second.metrics["val_r2"])
    assert both.best_epoch == 3 + second.best_epoch
    assert both.seconds == first.seconds + second.seconds
    assert both.recorded_epochs.tolist() == [2, 5, 7]
    np.testing.assert_array_equal(
        both.parameters, np.concatenate([first.parameters, second.parameters])
    )
    assert (first.epochs, second.epochs) == (3, 4), "they stay as they are"


def test_a_history_that_went_on_can_be_saved(tmp_path):
    net = fastnn.Network([2, 1], seed=0, engine="numpy")
    X, y = np.eye(2), [0.0, 1.0]
    net.history = net.fit(X, y, epochs=2) + net.fit(X, y, epochs=3, validation_data=(X, y))
    net.save(tmp_path / "net")
    assert fastnn.load(tmp_path / "net").history.loss == net.history.loss


def test_only_histories_can_be_added():
    with pytest.raises(TypeError, match="unsupported operand"):
        fastnn.History() + 1.0
