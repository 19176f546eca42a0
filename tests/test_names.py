from __future__ import annotations

import numpy as np
import pytest

from fastnn.names import find

TABLE = {"sigmoid": 1, "tanh": 2, "relu": 3}
ALIASES = {"logistic": "sigmoid"}


@pytest.mark.parametrize("name", ["sigmoid", np.str_("sigmoid"), "logistic"])
def test_a_name_or_an_alias_is_found(name):
    assert find(name, TABLE, "activation", ALIASES) == 1


def test_without_aliases_an_alias_is_unknown():
    with pytest.raises(ValueError, match="'logistic'"):
        find("logistic", TABLE, "activation")


@pytest.mark.parametrize(
    ("name", "near"),
    [("sigmod", "sigmoid"), ("SIGMOID", "sigmoid"), ("Tanh", "tanh"), ("logistik", "logistic")],
)
def test_the_message_names_the_nearest(name, near):
    with pytest.raises(ValueError, match=rf"^activation='{name}' .* Did you mean '{near}'\? Known"):
        find(name, TABLE, "activation", ALIASES)


@pytest.mark.parametrize("name", ["xyz", "", " "])
def test_the_message_lists_the_known_when_none_is_near(name):
    with pytest.raises(ValueError, match=r"Known: logistic, relu, sigmoid, tanh\.$") as error:
        find(name, TABLE, "activation", ALIASES)
    assert "Did you mean" not in str(error.value)


@pytest.mark.parametrize("name", [None, 1, 1.0, True, b"relu", ["relu"], ("relu",), {}, len])
def test_what_is_not_a_string_is_a_type_error(name):
    with pytest.raises(
        TypeError, match=rf"^activation must be a string, got {type(name).__name__}"
    ):
        find(name, TABLE, "activation", ALIASES)
