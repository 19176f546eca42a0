"""What a network is, without its numbers."""

import inspect
import json
import pickle
from dataclasses import fields

import pytest

import fastnn
from fastnn.architecture import Architecture

#: Constructor arguments that say nothing about the architecture.
OTHERS = {"self", "initializer", "seed", "engine"}
#: For each field of `Architecture` a network that has another value there than the first.
NETWORKS = {
    "plain": {},
    "sizes": {"layer_sizes": [3, 4, 2]},
    "no hidden layer": {"layer_sizes": [3, 2]},
    "activations": {"activation": ["tanh", "relu"], "output_activation": "sigmoid"},
    "loss": {"loss": "cross_entropy"},
    "reduction": {"reduction": "sum"},
    "bias": {"bias": False},
    "dtype": {"dtype": "float32"},
    "l1": {"l1": 0.1},
    "l2": {"l2": 1e-3},
    "max_norm": {"max_norm": 1.5},
    "dropout": {"dropout": [0.0, 0.3]},
    "quantiles": {"loss": "quantile", "quantiles": [0.1]},
    "label_smoothing": {"loss": "binary_cross_entropy", "label_smoothing": 0.1},
}


def network(options):
    return fastnn.Network(**{"layer_sizes": [3, 5, 4, 2], "engine": "numpy"} | options)


def test_there_is_a_network_for_every_field():
    assert {field.name for field in fields(Architecture)} <= NETWORKS.keys()


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
def test_its_arguments_make_it_again(options):
    architecture = network(options)._architecture
    arguments = json.loads(json.dumps(architecture.arguments()))
    assert fastnn.Network(**arguments)._architecture == architecture


def test_its_arguments_are_all_that_a_network_takes_for_it():
    taken = inspect.signature(fastnn.Network).parameters.keys() - OTHERS
    assert network({})._architecture.arguments().keys() == taken


def test_what_is_pickled_has_no_hash_of_this_process():
    architecture = fastnn.Network([2, 3, 1], seed=0)._architecture
    same = fastnn.Network([2, 3, 1], seed=1)._architecture
    assert hash(architecture) == hash(same)
    restored = pickle.loads(pickle.dumps(architecture))
    assert restored == architecture
    assert "_hash" not in vars(restored)
