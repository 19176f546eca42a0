"""The doors for networks of other systems: ONNX files, PyTorch's modules, Keras's models."""

from __future__ import annotations

import os
from typing import Any

from fastnn import validation
from fastnn.contract import quiet
from fastnn.errors import LoadError
from fastnn.exchange import keras, onnx_chain, torch
from fastnn.exchange.chain import Chain
from fastnn.losses import LOSSES, get_loss
from fastnn.network import Network

#: What a file can make the code that builds a network raise.
_BAD_CONTENT = (ValueError, TypeError, LookupError, ArithmeticError, MemoryError, RecursionError)
#: The loss of a network that comes without one, by its output activation; of no other activation.
_LOSSES = {
    loss.output_activation: loss.name
    for loss in LOSSES.values()
    if loss.from_logits and loss.output_activation != "identity"
}


@quiet
def from_onnx(path: str | os.PathLike[str], **options: Any) -> Network:
    """Read a network from an ONNX file: a chain of layers of weights and activations.

    It reads what `Network.to_onnx` writes, PyTorch's two exporters, skl2onnx (its classifiers'
    labels are left out; with two classes the one output is the second one's probability) and
    Keras, and whatever else is a chain of Gemm, or MatMul and Add, and activations that fastnn
    has. Weights in a file beside it, as PyTorch writes, are read from the same folder.

    Parameters
    ----------
    path : str or path-like
    **options
        Other arguments of `fastnn.Network`: ``loss``, ``l2``, ``seed`` and others. By default they
        are those that fastnn wrote into the file; without, the loss is the one that goes with the
        output: cross-entropy with softmax, binary cross-entropy with sigmoid, poisson with exp,
        else half_squared_error. With a *loss* of these three a file whose outputs have no
        activation is taken to give logits, and the network gets the activation.

    Returns
    -------
    Network
        Of the file's dtype, without anything of an optimiser. If some layers have biases, the
        others get biases of 0.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    OSError
        If it may not be read.
    LoadError
        A ValueError: if there is something in it that no network has, which it names, if it is
        damaged, or if it asks for more memory than its size explains. Also for bad options.
    ImportError
        Without the package onnx: ``pip install "fastnn-jit[onnx]"``.
    TypeError
        If an option is settled by the file.
    """
    name = validation.path(path, "path")
    _check_options(options)
    try:
        chain, saved = onnx_chain.read(name)
        return _network(chain, {} if "loss" in options else saved, options)
    except _BAD_CONTENT as error:
        raise LoadError(name, str(error) or type(error).__name__) from error


@quiet
def from_torch(sequential: Any, *, optimizer: Any = None, **options: Any) -> Network:
    """Make a network of PyTorch's ``nn.Sequential`` of Linear, activations and Dropout.

    Parameters
    ----------
    sequential : torch.nn.Sequential
        Its parameters are copied. Sequentials within it are gone through.
    optimizer : torch.optim.Optimizer, optional
        SGD, Adam, AdamW, RMSprop or Adagrad over all its parameters in one group: what it remembers
        becomes the network's, so that ``partial_fit`` goes on with it, and ``fit`` when it is given
        an optimiser of the same rule.
    **options
        Other arguments of `fastnn.Network`: ``loss``, ``l2``, ``seed`` and others. By default the
        loss is the one that goes with the output: cross-entropy with Softmax, binary cross-entropy
        with Sigmoid, else half_squared_error. With one of the losses that are computed from logits
        a module that ends with a Linear is taken to give them, and the network gets softmax,
        sigmoid or exp.

    Returns
    -------
    Network

    Raises
    ------
    TypeError, ValueError
        Naming the module or the optimiser's setting that a network does not have.
    """
    _check_options(options)
    chain = torch.read(sequential)
    net = _network(chain, {}, options)
    if optimizer is None:
        return net
    record = net._record()
    record.optimizer, record.state = torch.read_optimizer(
        optimizer, sequential, net._architecture, net.parameters
    )
    return Network._of_record(record)


@quiet
def from_keras(model: Any, **options: Any) -> Network:
    """Make a network of a Keras model: a chain of Dense, activations and Dropout.

    Parameters
    ----------
    model : keras.Model
        Sequential, or functional with one input, one output and layers one after the other; built,
        so that it has weights, which are copied.
    **options
        Other arguments of `fastnn.Network`, as for `from_torch`.

    Returns
    -------
    Network

    Raises
    ------
    TypeError, ValueError
        Naming the layer or the activation that a network does not have.
    """
    _check_options(options)
    chain = keras.read(model)
    return _network(chain, {}, options)


#: What a chain settles, and where weights come from instead.
_SETTLED = ("layer_sizes", "activation", "output_activation", "bias", "dtype", "initializer")


def _check_options(options: dict[str, Any]) -> None:
    for name in _SETTLED:
        if name in options:
            raise TypeError(f"{name} is not an option: it is that of the network that is read")


def _network(chain: Chain, saved: dict[str, Any], options: dict[str, Any]) -> Network:
    """The network of a chain, with the options that were *saved* with it, and then the others.

    Outputs without an activation are logits if the loss takes them.
    """
    arguments = chain.arguments()
    usual = {"loss": _LOSSES.get(arguments["output_activation"], "half_squared_error")}
    options = (saved or usual) | options
    loss = get_loss(options["loss"])
    if loss.from_logits and arguments["output_activation"] == "identity":
        arguments["output_activation"] = loss.output_activation
    net = Network(**arguments | options, initializer="zeros")
    net._initializer = None
    chain.fill(net._architecture, net.parameters)
    validation.finite_parameters(net.parameters)
    return net
