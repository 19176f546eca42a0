"""What is said where Python's own message would stand: one table of calls and messages."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import fastnn

X, Y = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0.0, 1.0, 1.0])


def network(**options):
    return fastnn.Network([2, 3, 1], **{"seed": 0, "engine": "numpy"} | options)


def fit(**options):
    return network().fit(X, Y, **{"epochs": 1} | options)


def early(monitor, **options):
    return fit(early_stopping=fastnn.EarlyStopping(monitor), **options)


def classifier(**options):
    options = {"hidden_layer_sizes": (2,), "max_iter": 1} | options
    return pytest.importorskip("sklearn") and fastnn.MLPClassifier(**options)


def write(name, value):
    setattr(network(), name, value)


def write_layer(name):
    getattr(network(), name)[0] = 3


#: A call, and what its message has in it, in this order.
MESSAGES = {
    # sizes and what else came by position
    "sizes apart": (
        lambda: fastnn.Network(1, 128, 1),
        ["layer_sizes must be one list, as in fastnn.Network([1, 128, 1]), got 1, 128, 1"],
    ),
    "activation by position": (
        lambda: fastnn.Network([1, 2, 1], "tanh"),
        ["fastnn.Network takes layer_sizes by position, got 2 arguments", "activation"],
    ),
    "epochs by position": (
        lambda: network().fit(X, Y, 100),
        ["Network.fit takes X and y by position, got 3 arguments", "epochs"],
    ),
    # names of Keras, PyTorch and scikit-learn
    "fit lr": (lambda: fit(lr=0.1), ["fit has no argument 'lr'", "mean 'learning_rate'?"]),
    "fit n_epochs": (lambda: fit(n_epochs=3), ["'n_epochs'. Did you mean 'epochs'?"]),
    "fit max_iter": (lambda: fit(max_iter=3), ["'max_iter'. Did you mean 'epochs'?"]),
    "fit verbose": (lambda: fit(verbose=1), ["'verbose'. Did you mean 'progress'?"]),
    "fit solver": (lambda: fit(solver="adam"), ["'solver'. Did you mean 'optimizer'?"]),
    "fit restore_best_weights": (
        lambda: fit(restore_best_weights=True),
        ["early_stopping=fastnn.EarlyStopping(restore_best=...)"],
    ),
    "fit patience": (
        lambda: fit(patience=3), ["early_stopping=fastnn.EarlyStopping(patience=...)"]
    ),
    "fit momentum": (lambda: fit(momentum=0.9), ["optimizer=fastnn.SGD(momentum=...)"]),
    "fit beta1": (lambda: fit(beta1=0.9), ["optimizer=fastnn.Adam(beta_1=...)"]),
    "fit activation": (lambda: fit(activation="relu"), ["fastnn.Network(..., activation=...)"]),
    "fit alpha": (lambda: fit(alpha=0.1), ["fastnn.Network(..., l2=...)"]),
    "fit steps_per_epoch": (lambda: fit(steps_per_epoch=3), ["'steps_per_epoch': an epoch goes"]),
    "fit n_jobs": (lambda: fit(n_jobs=2), ["fastnn.fit_many has n_jobs"]),
    "fit a slip": (lambda: fit(batchsize=2), ["'batchsize'. Did you mean 'batch_size'?"]),
    "fit anything": (lambda: fit(zzz=2), ["has no argument 'zzz'. It has X, y, epochs"]),
    "fit_stream lr": (
        lambda: network().fit_stream([(X, Y)], lr=0.1),
        ["fit_stream has no argument 'lr'", "'learning_rate'"],
    ),
    "partial_fit lr": (lambda: network().partial_fit(X, Y, lr=1), ["mean 'learning_rate'?"]),
    "evaluate sample_weights": (
        lambda: network().evaluate(X, Y, sample_weights=Y), ["mean 'sample_weight'?"]
    ),
    "Network lr": (lambda: network(lr=0.1), ["net.fit(X, y, learning_rate=...)"]),
    "Network epochs": (lambda: network(epochs=3), ["net.fit(X, y, epochs=...)"]),
    "Network random_state": (lambda: network(random_state=3), ["Did you mean 'seed'?"]),
    "Network kernel_initializer": (
        lambda: network(kernel_initializer="zeros"), ["Did you mean 'initializer'?"]
    ),
    "Network use_bias": (lambda: network(use_bias=False), ["Did you mean 'bias'?"]),
    "Network input_shape": (lambda: network(input_shape=3), ["the first of layer_sizes"]),
    "Network hidden_layer_sizes": (
        lambda: fastnn.Network(hidden_layer_sizes=(3,)), ["Did you mean 'layer_sizes'?"]
    ),
    "Ensemble los": (lambda: fastnn.Ensemble([2, 1], los="huber"), ["Did you mean 'loss'?"]),
    "fit_many lr": (
        lambda: fastnn.fit_many([network()], X, Y, lr=0.1), ["Did you mean 'learning_rate'?"]
    ),
    "warmup optimiser": (lambda: fastnn.warmup(optimiser="sgd"), ["Did you mean 'optimizer'?"]),
    "SGD lr": (lambda: fastnn.SGD(lr=0.1), ["fastnn.SGD has no argument 'lr'", "learning_rate"]),
    "SGD nesterovs_momentum": (
        lambda: fastnn.SGD(nesterovs_momentum=True), ["Did you mean 'nesterov'?"]
    ),
    "RMSprop alpha": (lambda: fastnn.RMSprop(alpha=0.9), ["Did you mean 'rho'?"]),
    "Adagrad eps": (lambda: fastnn.Adagrad(eps=0.9), ["Did you mean 'epsilon'?"]),
    "Adam betas": (lambda: fastnn.Adam(betas=(0.9, 0.99)), ["Did you mean 'beta_1'?"]),
    "Adam amsgrad": (lambda: fastnn.Adam(amsgrad=True), ["'amsgrad': that variant is not here"]),
    "Adam epochs": (lambda: fastnn.Adam(epochs=3), ["net.fit(X, y, epochs=...)"]),
    "AdamW decay": (lambda: fastnn.AdamW(decay=0.9), ["Did you mean 'weight_decay'?"]),
    "LBFGS history_size": (lambda: fastnn.LBFGS(history_size=3), ["Did you mean 'memory'?"]),
    "EarlyStopping restore_best_weights": (
        lambda: fastnn.EarlyStopping(restore_best_weights=True), ["Did you mean 'restore_best'?"]
    ),
    "EarlyStopping n_iter_no_change": (
        lambda: fastnn.EarlyStopping(n_iter_no_change=3), ["Did you mean 'patience'?"]
    ),
    "EarlyStopping tol": (lambda: fastnn.EarlyStopping(tol=3), ["Did you mean 'min_delta'?"]),
    "Checkpoint filepath": (lambda: fastnn.Checkpoint(filepath="a"), ["Did you mean 'path'?"]),
    "Checkpoint save_best_only": (
        lambda: fastnn.Checkpoint("a", save_best_only=True), ["Did you mean 'best_only'?"]
    ),
    "StepDecay gamma": (lambda: fastnn.StepDecay(0.1, 3, gamma=0.5), ["Did you mean 'factor'?"]),
    "CosineDecay T_max": (lambda: fastnn.CosineDecay(0.1, T_max=3), ["mean 'decay_steps'?"]),
    "ReduceOnPlateau min_lr": (
        lambda: fastnn.ReduceOnPlateau(0.1, min_lr=1e-3), ["Did you mean 'min_rate'?"]
    ),
    "ExponentialDecay lr": (
        lambda: fastnn.ExponentialDecay(lr=0.1), ["Did you mean 'initial_learning_rate'?"]
    ),
    "InverseScaling lr": (
        lambda: fastnn.InverseScaling(lr=0.1), ["Did you mean 'initial_learning_rate'?"]
    ),
    "OneCycle max_lr": (
        lambda: fastnn.OneCycle(max_lr=0.1), ["Did you mean 'max_learning_rate'?"]
    ),
    # values by other names
    "momentum": (lambda: fit(optimizer="momentum"), ["Did you mean fastnn.SGD(momentum=0.9)?"]),
    "Nesterov": (
        lambda: fit(optimizer="Nesterov"),
        ["Did you mean fastnn.SGD(momentum=0.9, nesterov=True)?"],
    ),
    "acc": (
        lambda: early("acc"), ["early_stopping on 'acc'", "metrics=['accuracy']", "'accuracy'"]
    ),
    "val_acc": (lambda: early("val_acc"), ["early_stopping on 'val_acc'", "'accuracy'"]),
    "mse": (lambda: early("mse"), ["give metrics=['mean_squared_error']"]),
    "val_mse beside it": (
        lambda: early("val_mse", metrics=["mean_squared_error"], validation_split=0.4),
        ["Did you mean 'val_mean_squared_error'?"],
    ),
    # what cannot be replaced
    "weights": (lambda: write("weights", []), ["net.weights cannot", "net.weights[0][:] = W"]),
    "biases": (lambda: write("biases", []), ["net.biases cannot", "net.biases[0][:] = b"]),
    "weights[0]": (lambda: write_layer("weights"), ["cannot be replaced", "weights[0][:] = W"]),
    "biases[0]": (lambda: write_layer("biases"), ["cannot be replaced", "biases[0][:] = b"]),
    "parameters": (
        lambda: write("parameters", np.zeros(13)),
        ["net.parameters cannot", "net.parameters[:] = vector", "net.set_parameters(vector)"],
    ),
    **{
        name: (
            lambda name=name: write(name, "relu"),
            [f"net.{name} cannot be replaced", "fastnn.Network(...)"],
        )
        for name in ("activation", "output_activation", "loss", "initializer", "n_parameters",
                     "n_layers", "layer_sizes", "dtype", "engine")
    },
    # the estimators
    "estimator lr": (lambda: classifier(lr=0.1), ["'lr'. Did you mean 'learning_rate_init'?"]),
    "estimator epochs": (lambda: classifier(epochs=3), ["Did you mean 'max_iter'?"]),
    "estimator seed": (lambda: fastnn.MLPRegressor(seed=3), ["Did you mean 'random_state'?"]),
    "set_params": (
        lambda: classifier().set_params(max_itr=3), ["'max_itr'. Did you mean 'max_iter'?"]
    ),
    "estimator solver": (
        lambda: classifier(solver="adm").fit(X, Y), ["'solver'", "Did you mean 'adam'?"]
    ),
    "estimator activation": (
        lambda: classifier(activation="sigmod").fit(X, Y), ["Did you mean 'sigmoid'?"]
    ),
    "estimator loss": (
        lambda: fastnn.MLPRegressor("mse", max_iter=1).fit(X, Y), ["mean 'squared_error'?"]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MESSAGES)
def test_the_message_says_what_is_meant(name):
    call, parts = MESSAGES[name]
    with pytest.raises((TypeError, ValueError, AttributeError)) as error:
        call()
    text = str(error.value)
    places = [text.find(part) for part in parts]
    assert -1 not in places, text
    assert places == sorted(places), text
    assert len(text) < 400


def test_an_error_from_inside_stays_as_it_is():
    def fails(targets, outputs):
        raise TypeError("of the user's own")

    with pytest.raises(TypeError, match=r"^of the user's own$"):
        fit(metrics=[fails])


@pytest.mark.parametrize(
    ("call", "message"),
    [(lambda: fastnn.Network(), "layer_sizes"), (lambda: network().fit(X), "'y'")],
)
def test_what_is_missing_is_said_as_python_says_it(call, message):
    with pytest.raises(TypeError, match=f"missing 1 required positional argument: .*{message}"):
        call()


@pytest.mark.parametrize("kind", [fastnn.SGD, fastnn.EarlyStopping, fastnn.Network])
def test_signatures_are_those_of_what_was_written(kind):
    assert "kwargs" not in inspect.signature(kind).parameters
    assert len(inspect.signature(kind).parameters) > 4
