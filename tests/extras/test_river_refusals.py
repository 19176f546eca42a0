"""What models for river refuse changes nothing in them."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from phishing import trained

from fastnn.river import MLPClassifier, MLPRegressor


@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (
            {"a": "red"},
            True,
            TypeError,
            r"x\['a'\] must be a number, got str: 'red' in row 301 \(text; encode .*OneHot",
        ),
        ({"a": "3"}, True, TypeError, r"x\['a'\] must be a number"),
        ({"a": [1]}, True, TypeError, r"x\['a'\] must be a number"),
        ({"a": 1j}, True, TypeError, r"x\['a'\] must be a number"),
        ({"a": np.timedelta64(3)}, True, TypeError, r"x\['a'\] must be a number"),
        (
            {"a": 1.0, "b": np.inf},
            True,
            ValueError,
            r"x\['b'\] must be finite .*, got inf in row 301",
        ),
        ({"a": 10**400}, True, ValueError, "fit into a float.* in row 301"),
        ([1, 2], True, TypeError, "x must be a dict of features"),
        (None, True, TypeError, "x must be a dict of features"),
        ("ab", True, TypeError, "x must be a dict of features"),
        ({"a": 1.0}, None, ValueError, "y must be a class, got None in row 301"),
        ({"a": 1.0}, float("nan"), ValueError, "y must be a class, got nan"),
        ({"a": 1.0}, pd.NA, ValueError, "y must be a class, got <NA>"),
        ({"a": 1.0}, [1], TypeError, "y must be hashable"),
        ({"a": np.inf}, "new", ValueError, r"x\['a'\] must be finite .*, got inf in row 301"),
        ({"https": -np.inf}, "new", ValueError, r"x\['https'\] must be finite .* in row 301"),
        ({f"f{k}": 1e151 for k in range(40)}, True, ValueError, r"x\['f0'\] .* in row 301"),
    ],
)
@pytest.mark.parametrize("hidden", [(16,), None])
def test_what_cannot_be_learned_is_named_with_its_row_and_changes_nothing(
    x, y, error, message, hidden
):
    model = trained(MLPClassifier(hidden=hidden, seed=1))
    before = pickle.dumps(model)
    with pytest.raises(error, match=message):
        model.learn_one(x, y)
    assert pickle.dumps(model) == before


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("x", [{"a": 1.0}, {"a": 1.0, "new": 2.0}, {}])
@pytest.mark.parametrize("y", [None, "1", [1], np.nan, np.inf, 1j, np.timedelta64(1), 10**400])
def test_targets_that_are_no_numbers_are_refused(x, y, scale):
    model = MLPRegressor(seed=1, scale=scale)
    for k in range(3):
        model.learn_one({"a": 1.0 * k}, 2.0 * k)
    before = pickle.dumps(model)
    with pytest.raises((TypeError, ValueError), match=r"y must be .* in row 4"):
        model.learn_one(x, y)
    assert pickle.dumps(model) == before


@pytest.mark.parametrize("scale", [True, False])
def test_values_that_a_regressor_refuses_change_nothing(scale):
    model = MLPRegressor(seed=1, scale=scale)
    for k in range(3):
        model.learn_one({"a": 1.0 * k}, 2.0 * k)
    before = pickle.dumps(model)
    for x in ({"a": np.inf}, {"a": 1.0, "new": -np.inf}, {f"f{k}": np.inf for k in range(40)}):
        with pytest.raises(ValueError, match=r"must be finite.* in row 4"):
            model.learn_one(x, 1.0)
        assert pickle.dumps(model) == before


@pytest.mark.parametrize("at", range(3))
@pytest.mark.parametrize("bad", ["value", "class", "target"])
def test_a_refused_row_of_many_leaves_what_the_rows_before_it_left(bad, at):
    """Classes and features that only it, or what comes after it, would have brought are unknown."""
    X = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [4.0, 1.0, 0.5]})
    y = pd.Series(["u", "v", "w"] if bad != "target" else [1.0, 2.0, 3.0], dtype=object)
    make = MLPRegressor if bad == "target" else MLPClassifier
    many, before = make(seed=1), make(seed=1)
    before.learn_many(X[:at], y[:at])
    if bad == "value":
        X.loc[at, "b"] = np.inf
    else:
        y[at] = None if bad == "class" else np.inf
    with pytest.raises(ValueError, match=f"in row {at + 1}"):
        many.learn_many(X, y)
    assert pickle.dumps(many) == pickle.dumps(before)


def test_targets_of_many_that_are_no_numbers_are_named_with_their_row():
    model = MLPRegressor(seed=1)
    before = pickle.dumps(model)
    with pytest.raises(TypeError, match="y must be a number, got str: 'x' in row 2"):
        model.learn_many(pd.DataFrame({"a": [1.0, 2.0]}), [1.0, "x"])
    assert pickle.dumps(model) == before


def test_frames_without_rows_change_nothing():
    for model, y in ((MLPClassifier(seed=1), []), (MLPRegressor(seed=1), [])):
        before = pickle.dumps(model)
        model.learn_many(pd.DataFrame({"a": np.zeros(0)}), y)
        assert pickle.dumps(model) == before


def test_predictions_change_nothing_that_is_kept():
    model = trained()
    before = pickle.dumps(model)
    model.predict_proba_one({f"f{k}": 1.0 for k in range(40)})
    assert pickle.dumps(model) == before
