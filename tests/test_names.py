from __future__ import annotations

import numpy as np
import pytest

from fastnn.activations import ACTIVATIONS
from fastnn.activations import ALIASES as ACTIVATION_ALIASES
from fastnn.initializers import INITIALIZERS
from fastnn.losses import LOSSES
from fastnn.metrics import get_metric
from fastnn.names import ELSEWHERE, find
from fastnn.optimizers import OPTIMIZERS, get_optimizer

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


LOOK_UP = {
    "loss": lambda name: find(name, LOSSES, "loss"),
    "metrics": lambda name: get_metric(name, LOSSES["cross_entropy"], "metrics"),
    "optimizer": lambda name: get_optimizer(name, None),
    "initializer": lambda name: find(name, INITIALIZERS, "initializer"),
    "activation": lambda name: find(name, ACTIVATIONS, "activation", ACTIVATION_ALIASES),
}


@pytest.mark.parametrize(
    ("argument", "names", "meant"),
    [
        ("loss", "mse MSE MSELoss mean_squared_error MeanSquaredError", "squared_error"),
        ("loss", "mae l1 L1Loss mean_absolute_error", "absolute_error"),
        ("loss", "bce BCELoss BCEWithLogitsLoss log_loss binary_crossentropy",
         "binary_cross_entropy"),
        ("loss", "categorical_crossentropy sparse_categorical_crossentropy CrossEntropyLoss nll "
         "NLLLoss", "cross_entropy"),
        ("loss", "GaussianNLLLoss", "gaussian_nll"),
        ("loss", "pinball PinballLoss", "quantile"),
        ("loss", "smooth_l1 SmoothL1Loss HuberLoss", "huber"),
        ("loss", "squared_hinge mean_absolute_percentage_error", None),
        ("metrics", "acc categorical_accuracy accuracy_score", "accuracy"),
        ("metrics", "mae MAE", "mean_absolute_error"),
        ("metrics", "roc_auc AUC", "auc"),
        ("metrics", "mse MSE", "mean_squared_error"),
        ("metrics", "rmse root_mean_squared_error f1", None),
        ("optimizer", "sgdm SGD", "sgd"),
        ("optimizer", "l-bfgs L-BFGS-B", "lbfgs"),
        ("optimizer", "nadam adamax lion", None),
        ("initializer", "xavier xavier_uniform", "glorot_uniform"),
        ("initializer", "xavier_normal", "glorot_normal"),
        ("initializer", "he kaiming kaiming_normal", "he_normal"),
        ("initializer", "kaiming_uniform", "he_uniform"),
        ("initializer", "lecun_normal random_uniform normal", None),
        ("activation", "none None", "identity"),
        ("activation", "leakyrelu LeakyReLU lrelu", "leaky_relu"),
        ("activation", "mish hard_sigmoid", None),
    ],
)  # fmt: skip
def test_names_of_other_libraries_lead_to_the_same_mathematics(argument, names, meant):
    hint = rf"known\. Did you mean '{meant}'\? Known" if meant else r"known\. Known"
    for name in names.split():
        with pytest.raises(ValueError, match=rf"^{argument}='{name}' is not {hint}"):
            LOOK_UP[argument](name)


def test_what_names_of_other_libraries_lead_to_is_there():
    here = {*LOSSES, *OPTIMIZERS, *INITIALIZERS, *ACTIVATIONS}
    here |= {"accuracy", "mean_absolute_error", "mean_squared_error", "auc", "r2"}
    assert {name for names in ELSEWHERE.values() for name in names} <= here
