"""What histories and networks draw: which numbers are where; how it looks is for eyes."""

from __future__ import annotations

import sys

import matplotlib as mpl
import numpy as np
import pytest
from helpers import slow_but
from matplotlib.collections import PathCollection
from sklearn.inspection import DecisionBoundaryDisplay

import fastnn
from fastnn.history import History


@pytest.fixture(autouse=True)
def pyplot():
    """pyplot that draws into memory; every figure is closed afterwards."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def data(loss="binary_cross_entropy", n=30, n_out=1):
    rng = np.random.default_rng(n)
    X = rng.uniform(-1, 1, (n, 2))
    if loss == "cross_entropy":
        return X, np.arange(n) % n_out
    inside = (X**2).sum(axis=1) < 0.5
    return X, inside.astype(int) if loss in ("binary_cross_entropy", "hinge") else X[:, 0] * X[:, 1]


def network(loss="binary_cross_entropy", n_out=1, **options):
    return fastnn.Network([2, 3, n_out], loss=loss, seed=1, engine="numpy", **options)


#: Losses with numbers of outputs, by what is drawn.
BOUNDARIES = {
    "two classes": ("binary_cross_entropy", 1),
    "signs": ("hinge", 1),
    "two outputs": ("cross_entropy", 2),
    "classes": ("cross_entropy", 4),
    "regression": ("half_squared_error", 1),
    "means": ("gaussian_nll", 2),
    "medians": ("quantile", 1),
}


# The history.


def lines(ax):
    return {line.get_label(): list(line.get_ydata()) for line in ax.get_lines()}


def labels(axis):
    axis.figure.canvas.draw()
    low, high = sorted(axis.get_view_interval())
    return [text.get_text() for text in axis.get_ticklabels() if low <= _place(text, axis) <= high]


def _place(text, axis):
    return text.get_position()[0 if axis.axis_name == "x" else 1]


def test_metrics_are_drawn_on_a_scale_of_their_own():
    history = History(loss=[4.0, 2.0], val_loss=[5.0, 3.0], metrics={"val_r2": [0.1, 0.5]})
    ax = history.plot()
    [right] = [axes for axes in ax.figure.axes if axes is not ax]
    assert lines(ax) == {"training loss": [4.0, 2.0], "validation loss": [5.0, 3.0]}
    assert lines(right) == {"val_r2": [0.1, 0.5]}
    assert right.get_ylabel() == "val_r2"
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["training loss", "validation loss", "val_r2"]


@pytest.mark.parametrize("factor", [0.95, 0.4, 0.05, 1e-2, 1e-4, 1e-9])
def test_every_course_of_losses_has_ticks_that_can_be_read(factor):
    ax = History(loss=np.geomspace(0.7, 0.7 * factor, 50).tolist()).plot()
    shown = labels(ax.yaxis)
    assert 2 <= len(shown) <= 12
    assert all("mathdefault" not in text and float(text) > 0 for text in shown)


def test_epochs_are_whole_numbers_with_commas():
    ax = History(loss=[1.0, 0.5] * 10_000).plot()
    assert "5,000" in labels(ax.xaxis)
    few = History(loss=[1.0, 0.5, 0.2]).plot()
    assert set(labels(few.xaxis)) <= {"1", "2", "3"}


def test_there_is_a_grid():
    ax = History(loss=[1.0, 0.5]).plot()
    assert all(line.get_visible() for line in ax.get_ygridlines() + ax.get_xgridlines())


def test_negative_losses_are_drawn_on_a_plain_scale():
    assert History(loss=[1.0, -0.5]).plot().get_yscale() == "linear"


def test_the_legend_of_losses_and_metrics_leaves_room_for_a_title(pyplot):
    ax = History(loss=[1.0, 0.5], metrics={"accuracy": [0.5, 0.75], "auc": [0.5, 1.0]}).plot()
    ax.figure.draw_without_rendering()
    label, legend = ax.xaxis.label.get_window_extent(), ax.get_legend().get_window_extent()
    assert legend.y0 >= 0
    assert legend.y1 <= label.y0


# The boundary.


@pytest.mark.parametrize("case", slow_but(["signs", "classes", "medians"], BOUNDARIES))
def test_every_kind_of_network_has_a_boundary(case, tmp_path):
    loss, n_out = BOUNDARIES[case]
    X, y = data(loss, n_out=n_out)
    ax = network(loss, n_out).plot_boundary(X, y)
    drawn = np.concatenate([c.get_offsets() for c in ax.collections if len(c.get_offsets()) > 1])
    points = {tuple(point) for point in np.asarray(drawn).round(9).tolist()}
    assert {tuple(x) for x in X.round(9).tolist()} <= points
    ax.figure.savefig(tmp_path / "boundary.png")


@pytest.mark.parametrize("case", ["two classes", "signs"])
def test_the_line_is_where_the_answer_changes(case):
    loss, n_out = BOUNDARIES[case]
    X, y = data(loss)
    net = network(loss, n_out)
    net.fit(X, y, epochs=100, optimizer="adam", learning_rate=0.05)
    points = np.concatenate([line.get_xydata() for line in net.plot_boundary(X, y).get_lines()])
    middle = 0.5 if case == "two classes" else 0.0
    np.testing.assert_allclose(net.predict(points), middle, atol=0.02)


def test_a_boundary_is_drawn_where_it_is_asked_for(pyplot):
    ax = pyplot.subplots()[1]
    assert network().plot_boundary(*data(), ax=ax) is ax
    assert len(pyplot.get_fignums()) == 1


def test_one_class_only_and_a_constant_input_are_no_error():
    X, _ = data()
    X[:, 1] = 3.0
    network().plot_boundary(X, np.zeros(30))


def test_what_has_no_boundary_is_refused():
    with pytest.raises(ValueError, match="plot_boundary needs a network with two inputs, got 3"):
        fastnn.Network([3, 1]).plot_boundary(np.zeros((2, 3)), [0, 1])
    with pytest.raises(ValueError, match="got 2 targets"):
        fastnn.Network([2, 2]).plot_boundary(np.zeros((2, 2)), np.zeros((2, 2)))
    with pytest.raises(ValueError, match="y must have one entry per sample"):
        network().plot_boundary(np.zeros((2, 2)), [0])


@pytest.mark.parametrize("case", sorted(set(BOUNDARIES) - {"two outputs"}))
def test_scikit_learns_display_takes_a_network(case):
    loss, n_out = BOUNDARIES[case]
    X, y = data(loss, n_out=n_out)
    net = network(loss, n_out)
    net.fit(X, y, epochs=2)
    display = DecisionBoundaryDisplay.from_estimator(net, X, grid_resolution=7)
    outputs = net.predict(np.column_stack([display.xx0.ravel(), display.xx1.ravel()]))
    expected = outputs if case == "classes" else outputs[:, 0]
    np.testing.assert_allclose(np.reshape(display.response, expected.shape), expected)


def test_what_is_for_classes_only_other_networks_do_not_have():
    assert not hasattr(network("half_squared_error"), "classes_")
    assert not hasattr(network("half_squared_error"), "predict_proba")
    assert not hasattr(network("hinge"), "predict_proba")
    assert not hasattr(network("binary_cross_entropy"), "decision_function")
    assert network("cross_entropy", 3).classes_.tolist() == [0, 1, 2]


# The weights.


@pytest.mark.parametrize("bias", [True, False])
def test_weights_are_drawn_with_the_biases_below(bias):
    net = fastnn.Network([2, 20, 3], bias=bias, seed=0)
    axes = net.plot_weights()
    assert len(axes) == 2
    for k, ax in enumerate(axes):
        expected = np.vstack([net.weights[k], *net.biases[k : k + 1]])
        np.testing.assert_array_equal(ax.get_images()[0].get_array(), expected)
        assert ("bias" in [text.get_text() for text in ax.get_yticklabels()]) == bias
        low, high = ax.get_images()[0].get_clim()
        assert low == -high < 0


def test_weights_are_drawn_into_given_axes(pyplot):
    axes = pyplot.subplots(1, 2)[1]
    assert network().plot_weights(axes) == list(axes)
    with pytest.raises(ValueError, match="axes must be one for each of 2 layers, got 1"):
        network().plot_weights(axes[:1])


def test_zeros_have_colours_too():
    fastnn.Network([1, 1], initializer="zeros").plot_weights()


@pytest.mark.parametrize(
    "draw", [lambda net: net.plot_weights(), lambda net: net.plot_boundary(*data())]
)
def test_without_matplotlib_the_message_says_what_to_install(draw, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'fastnn-jit\[plot\]'"):
        draw(network())


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "hinge", "half_squared_error"])
def test_samples_without_a_target_are_not_drawn(loss):
    X, y = data(loss)
    y = y.astype(float)
    y[[0, 3, 4]] = np.nan
    ax = network(loss, missing="ignore").plot_boundary(X, y)
    drawn = np.concatenate([points.get_offsets() for points in ax.collections if places(points)])
    expected = X[~np.isnan(y)]
    np.testing.assert_array_equal(np.sort(drawn, axis=0), np.sort(expected, axis=0))
    nothing = network(loss, missing="ignore").plot_boundary(X, np.full(len(X), np.nan))
    assert not any(places(points) for points in nothing.collections)


def places(collection):
    """How many points it has, if it is such a collection."""
    return len(collection.get_offsets()) if isinstance(collection, PathCollection) else 0


@pytest.mark.parametrize("ax", ["here", 3, PathCollection])
def test_what_cannot_be_drawn_on_is_refused(ax):
    X, y = data()
    ensemble = fastnn.Ensemble([1, 2, 1], n_networks=2, seed=0, engine="numpy")
    for draw in (
        lambda: network().plot_boundary(X, y, ax),
        lambda: History(loss=[1.0]).plot(ax),
        lambda: ensemble.plot_band(X[:, :1], ax),
        lambda: network().plot_weights([ax, ax]),
    ):
        with pytest.raises(TypeError, match=r"^(ax|axes\[0\]) must be a matplotlib.axes.Axes, got"):
            draw()
