"""What readers put together: layers that fit, and nothing that a network does not have."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fastnn.exchange.chain import Chain


def chain(*sizes):
    made = Chain()
    for n_in, n_out in itertools.pairwise(sizes):
        made.add_layer(np.ones((n_in, n_out)), np.zeros(n_out), "a layer")
    return made


def test_a_chain_says_how_to_make_its_network():
    made = chain(2, 3, 1)
    made.activations[0] = "tanh"
    made.dropout[0] = 0.5
    assert made.arguments() == {
        "layer_sizes": [2, 3, 1], "activation": ["tanh"], "output_activation": "identity",
        "bias": True, "dropout": [0.5], "dtype": "float64",
    }  # fmt: skip


def test_layers_that_do_not_fit_are_refused_by_name():
    for weights, bias in [
        (np.ones((4, 1)), None),
        (np.ones((3, 0)), None),
        (np.ones(3), None),
        (np.ones((3, 2)), np.ones(3)),
    ]:
        with pytest.raises(ValueError, match=r"^the node"):
            chain(2, 3).add_layer(weights, bias, "the node")


def test_what_comes_where_a_network_has_nothing_is_refused_by_name():
    with pytest.raises(ValueError, match="the node comes before the first layer"):
        Chain().add_activation("tanh", "the node")
    twice = chain(2, 3)
    twice.add_activation("tanh", "first")
    with pytest.raises(ValueError, match="the node is a second activation, after 'tanh'"):
        twice.add_activation("relu", "the node")
    with pytest.raises(ValueError, match="the node drops inputs"):
        Chain().add_dropout(0.5, "the node")
    dropped = chain(2, 3)
    dropped.add_dropout(0.5, "first")
    for add in (dropped.add_activation, lambda _name, where: dropped.add_dropout(0.1, where)):
        with pytest.raises(ValueError, match="the node"):
            add("tanh", "the node")


def test_the_dtype_is_one_that_a_network_has():
    mixed = chain(2, 3)
    mixed.add_layer(np.ones((3, 1), np.float32), None, "a layer")
    half = Chain([np.ones((2, 1), np.float16)], [None], ["identity"], [0.0])
    for made in (mixed, half, Chain()):
        with pytest.raises(ValueError, match=r"float32|no layer"):
            made.arguments()


def test_the_digest_is_another_for_any_change():
    digests = {chain(2, 3, 1).digest(), chain(3, 2, 1).digest(), chain(2, 3).digest()}
    for change in ("weight", "bias", "activation", "no bias", "zero"):
        made = chain(2, 3, 1)
        if change == "weight":
            made.weights[0][1, 1] = np.nextafter(1.0, 2.0)
        elif change == "bias":
            made.biases[1] += 1e-9
        elif change == "activation":
            made.activations[0] = "tanh"
        elif change == "no bias":
            made.biases[1] = None
        else:
            made.biases[0][0] = -0.0
        digests.add(made.digest())
    assert len(digests) == 8
    strided = chain(2, 3, 1)
    strided.weights[0] = np.asfortranarray(strided.weights[0])
    assert strided.digest() in digests, "how it lies in memory is no part of it"
