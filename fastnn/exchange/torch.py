"""PyTorch: networks as ``nn.Sequential`` with their optimisers, and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastnn import validation
from fastnn.activations import LEAK
from fastnn.architecture import Architecture
from fastnn.contract import State
from fastnn.exchange.chain import Chain
from fastnn.names import short
from fastnn.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from fastnn.schedules import Schedule

#: fastnn's names: PyTorch's classes and what they are given; Softplus is log(1 + exp(z)) up to its
#: threshold, from where on it is z, so a higher one is more exact.
_MODULES: dict[str, tuple[str, dict[str, Any]]] = {
    "identity": ("Identity", {}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "relu": ("ReLU", {}),
    "leaky_relu": ("LeakyReLU", {"negative_slope": LEAK}),
    "elu": ("ELU", {"alpha": 1.0}),
    "selu": ("SELU", {}),
    "softplus": ("Softplus", {"beta": 1.0, "threshold": 40.0}),
    "silu": ("SiLU", {}),
    "gelu": ("GELU", {"approximate": "none"}),
    "hard_tanh": ("Hardtanh", {"min_val": -1.0, "max_val": 1.0}),
    "softmax": ("Softmax", {"dim": -1}),
}
_NAMES = {kind: name for name, (kind, _) in _MODULES.items()}
#: Of the settings of a module, other values that mean the same.
_AS_GOOD = {("Softplus", "threshold"): (20.0,), ("Softmax", "dim"): (1,)}

#: For each optimiser: PyTorch's class; its names of our settings; what else must be as it is here.
_OPTIMIZERS: dict[type[Optimizer], tuple[str, dict[str, str], dict[str, Any]]] = {
    SGD: (
        "SGD",
        {"momentum": "momentum", "nesterov": "nesterov", "weight_decay": "weight_decay"},
        {"dampening": 0, "maximize": False},
    ),
    RMSprop: (
        "RMSprop",
        {"rho": "alpha", "epsilon": "eps"},
        {"weight_decay": 0, "momentum": 0, "centered": False, "maximize": False},
    ),
    Adagrad: (
        "Adagrad",
        {"epsilon": "eps"},
        {"weight_decay": 0, "lr_decay": 0, "initial_accumulator_value": 0, "maximize": False},
    ),
    Adam: ("Adam", {"epsilon": "eps"}, {"weight_decay": 0, "amsgrad": False, "maximize": False}),
    AdamW: (
        "AdamW",
        {"epsilon": "eps", "weight_decay": "weight_decay"},
        {"amsgrad": False, "maximize": False},
    ),
}
#: What they remember of each parameter, by our rules, in the order of `State.moments`.
_MOMENTS = {
    "sgd": (),
    "momentum": ("momentum_buffer",),
    "rmsprop": ("square_avg",),
    "adagrad": ("sum",),
    "adam": ("exp_avg", "exp_avg_sq"),
}
#: Of these PyTorch counts the updates.
_COUNTED = ("rmsprop", "adagrad", "adam")


def write(architecture: Architecture, parameters: np.ndarray, *, logits: bool) -> Any:
    """The network as an ``nn.Sequential``; ValueError naming what PyTorch does not have."""
    import torch

    validation.boolean(logits, "logits")
    modules: list[Any] = []
    last = len(architecture.layers) - 1
    dtype = getattr(torch, architecture.dtype.name)
    rates = (*(architecture.dropout or [0.0] * last), 0.0)
    for l, layer in enumerate(architecture.layers):
        linear = torch.nn.utils.skip_init(
            torch.nn.Linear, layer.n_in, layer.n_out, bias=architecture.bias, dtype=dtype
        )
        modules.append(linear)
        name = layer.activation.name
        if name != "identity" and not (logits and l == last):
            modules.append(_activation(torch, name))
        if rates[l]:
            modules.append(torch.nn.Dropout(rates[l]))
    sequential = torch.nn.Sequential(*modules)
    with torch.no_grad():
        for parameter, array in zip(
            sequential.parameters(), _in_torch_order(architecture, parameters), strict=True
        ):
            parameter.copy_(torch.from_numpy(array))
    return sequential


def _activation(torch: Any, name: str) -> Any:
    if name not in _MODULES:
        raise ValueError(
            f"PyTorch has no module for output_activation={name!r}: with logits=True there is none"
        )
    kind, settings = _MODULES[name]
    return getattr(torch.nn, kind)(**settings)


def _in_torch_order(architecture: Architecture, vector: np.ndarray) -> list[np.ndarray]:
    """Copies of a flat vector's parts in the order and of the shapes of a module's parameters."""
    weights, biases = architecture.weight_views(vector), architecture.bias_views(vector)
    arrays = []
    for l, view in enumerate(weights):
        arrays.append(view.T.copy())
        arrays += [biases[l].copy()] if biases else []
    return arrays


def read(sequential: Any) -> Chain:
    """The chain of a Sequential; ValueError or TypeError naming a module that no network has."""
    import torch

    if not isinstance(sequential, torch.nn.Sequential):
        raise TypeError(f"sequential must be a torch.nn.Sequential, got {_kind(sequential)}")
    chain = Chain()
    seen: set[int] = set()
    for where, module in _modules(torch, sequential, "sequential"):
        tensors = {id(tensor) for tensor in module.parameters()}
        if tensors & seen:
            raise ValueError(f"{where} shares parameters with a module before it")
        seen |= tensors
        kind = type(module).__name__
        ours = type(module) is getattr(torch.nn, kind, None)
        if ours and kind == "Linear":
            bias = None if module.bias is None else _array(module.bias, where)
            chain.add_layer(_array(module.weight, where).T, bias, where)
        elif ours and kind == "Dropout":
            chain.add_dropout(float(module.p), where)
        elif ours and kind in _NAMES:
            _check_settings(module, kind, where)
            chain.add_activation(_NAMES[kind], where)
        else:
            raise ValueError(f"{where} is none that a fastnn.Network has")
    return chain


def _modules(torch: Any, sequential: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every module within, by where it is."""
    for k, module in enumerate(sequential):  # named_children() leaves out what comes again
        where = f"{name}[{k}]"
        if isinstance(module, torch.nn.Sequential):
            yield from _modules(torch, module, where)
        else:
            yield f"{where}, a {type(module).__name__},", module


def _check_settings(module: Any, kind: str, where: str) -> None:
    for name, ours in _MODULES[_NAMES[kind]][1].items():
        value = getattr(module, name)
        if value != ours and value not in _AS_GOOD.get((kind, name), ()):
            raise ValueError(f"{where} has {name}={short(value)}, expected {ours!r}")


def _array(tensor: Any, where: str) -> np.ndarray:
    """A tensor's numbers, from whatever device; they may be the tensor's own."""
    kind = str(tensor.dtype).removeprefix("torch.")
    if kind not in ("float32", "float64"):
        raise ValueError(f"{where} is of {kind}, expected float32 or float64")
    array: np.ndarray = tensor.detach().cpu().numpy()
    return array


def _kind(thing: object) -> str:
    return f"{type(thing).__module__}.{type(thing).__qualname__}"


def write_optimizer(
    module: Any, architecture: Architecture, optimizer: Optimizer, state: State
) -> Any:
    """The optimiser of torch.optim that goes on as *optimizer* would, over a module's parameters.

    ValueError for what PyTorch's does not have: a schedule, clipping.
    """
    import torch

    rate = optimizer.learning_rate
    if isinstance(rate, Schedule) or optimizer.clip_value or optimizer.clip_norm:
        what = "a learning-rate schedule" if isinstance(rate, Schedule) else "clipping of gradients"
        raise ValueError(f"{what} is not a part of PyTorch's optimisers: {optimizer!r}")
    kind, names, _ = _OPTIMIZERS[type(optimizer)]
    settings = {theirs: getattr(optimizer, ours) for ours, theirs in names.items()}
    if isinstance(optimizer, Adam):
        settings["betas"] = (optimizer.beta_1, optimizer.beta_2)
    parameters = list(module.parameters())
    shapes = [tuple(parameter.shape) for parameter in parameters]
    if shapes != [array.shape for array in _in_torch_order(architecture, state.parameters)]:
        raise ValueError(f"module must be the network's own, of its shapes, got {shapes}")
    made = getattr(torch.optim, kind)(parameters, lr=rate, **settings)
    moments = [_in_torch_order(architecture, moment) for moment in state.moments]
    count = int(state.updates[0])
    for k, parameter in enumerate(parameters):
        names_of_moments = _MOMENTS[optimizer.rule]
        remembered = {
            name: torch.from_numpy(moments[m][k]).to(parameter)
            for m, name in enumerate(names_of_moments)
        }
        if remembered and count:
            counted = {"step": torch.tensor(float(count))} if optimizer.rule in _COUNTED else {}
            made.state[parameter] = counted | remembered
    return made


def read_optimizer(
    optimizer: Any, sequential: Any, architecture: Architecture, parameters: np.ndarray
) -> tuple[Optimizer, State]:
    """The optimiser of ours that goes on as PyTorch's would, and the state with its memory."""
    ours = _settings(optimizer, sequential)
    state = State.new(parameters, ours)
    linear = [module for module in sequential.modules() if type(module).__name__ == "Linear"]
    for moment, name in zip(state.moments, _MOMENTS[ours.rule], strict=True):
        views = [view.T for view in architecture.weight_views(moment)]
        tensors = [module.weight for module in linear]
        if architecture.bias:
            views += architecture.bias_views(moment)
            tensors += [module.bias for module in linear]
        for view, tensor in zip(views, tensors, strict=True):
            remembered = {} if tensor is None else optimizer.state.get(tensor, {})
            if remembered.get(name) is not None:
                view[...] = _array(remembered[name], f"optimizer, {name},")
    counts = {int(remembered.get("step", 0)) for remembered in optimizer.state.values()}
    if len(counts) > 1:
        raise ValueError(f"optimizer has made different numbers of steps: {sorted(counts)}")
    state.updates[0] = max(counts, default=0)
    return ours, state


def _settings(optimizer: Any, sequential: Any) -> Optimizer:
    """Our optimiser with the settings of PyTorch's; ValueError naming one that it does not have."""
    import torch

    found = {getattr(torch.optim, row[0]): (ours, row) for ours, row in _OPTIMIZERS.items()}
    if type(optimizer) not in found:
        known = ", ".join(kind.__name__ for kind in found)
        raise ValueError(f"optimizer must be one of torch.optim's {known}, got {_kind(optimizer)}")
    ours, (kind, names, fixed) = found[type(optimizer)]
    groups = optimizer.param_groups
    trained = {id(parameter) for group in groups for parameter in group["params"]}
    if len(groups) != 1 or trained != {id(parameter) for parameter in sequential.parameters()}:
        raise ValueError("optimizer must have one group, of sequential's parameters and no others")
    [group] = groups
    for name, value in fixed.items():
        if group.get(name, value) != value:
            given = short(group[name])
            raise ValueError(f"optimizer, a {kind}, has {name}={given}, expected {value}")
    settings = {ours_name: group[theirs] for ours_name, theirs in names.items()}
    if issubclass(ours, Adam):
        settings |= dict(zip(("beta_1", "beta_2"), map(float, group["betas"]), strict=True))
    return ours(float(group["lr"]), **settings)
