"""Networks to be saved, for the tests of files."""

from __future__ import annotations

from helpers import data_for, random_state

import fastnn

OPTIMIZERS = {
    "sgd": fastnn.SGD(0.1),
    "momentum": fastnn.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "rmsprop": fastnn.RMSprop(0.01, rho=0.8, clip_norm=1.0),
    "adagrad": fastnn.Adagrad(0.1),
    "adam": fastnn.Adam(0.02, beta_1=0.8),
    "adamw": fastnn.AdamW(0.02, clip_value=0.5),
}


X, Y = data_for("squared_error", 23, 3, 2)


def network(**options):
    defaults = {"activation": ["tanh", "sigmoid"], "seed": 5, "engine": "numpy"}
    return fastnn.Network([3, 6, 4, 2], **defaults | options)


def trained(epochs=3, optimizer="adam", **options):
    net = network(**options)
    net.fit(X, Y, epochs=epochs, batch_size=4, optimizer=OPTIMIZERS[optimizer])
    return net


def bits(net):
    """All that decides how a network goes on."""
    state = net._state
    return {
        "network": repr(net),
        "parameters": net.parameters.tobytes(),
        "moments": state.moments.tobytes(),
        "updates": state.updates.tolist(),
        "steps": state.clock.steps.tolist(),
        "plateau": state.clock.plateau.tolist(),
        "random": random_state(net._rng),
        "dropout key": net._dropout_key,
        "optimizer": net._optimizer,
        "history": net.history,
        "architecture": net._architecture,
    }


SCHEDULES = [
    fastnn.StepDecay(0.8, step_size=2, factor=0.5),
    fastnn.ExponentialDecay(0.1, 0.5, per="update"),
    fastnn.InverseScaling(0.1),
    fastnn.CosineDecay(0.1, 10),
    fastnn.OneCycle(0.1, 10),
    fastnn.ReduceOnPlateau(0.1, patience=1),
]
