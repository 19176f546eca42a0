"""PyTorch: modules and optimisers, both ways, and the files of its two ONNX exporters."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from helpers import ACTIVATIONS, BIASES, DTYPES
from torch import nn

import fastnn
from fastnn.activations import ACTIVATIONS as ALL_ACTIVATIONS

torch.set_num_threads(1)
CLOSE = {"float32": 2e-6, "float64": 1e-13}
X = np.random.default_rng(0).uniform(-2, 2, (30, 3))
Y = np.random.default_rng(1).uniform(-1, 1, (30, 2))


def network(**options):
    defaults = {"activation": "tanh", "seed": 3, "engine": "numpy"}
    net = fastnn.Network([3, 5, 4, 2], **defaults | options)
    for bias in net.biases:
        bias[:] = np.random.default_rng(1).uniform(-1, 1, bias.shape)
    return net


def outputs(module, X):
    module.eval()
    with torch.no_grad():
        return module(torch.tensor(X)).numpy()


@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_module_gives_the_numbers_of_predict_and_comes_back_bit_equal(dtype, bias):
    for name in ALL_ACTIVATIONS:
        if name == "exp":
            continue
        loss = "cross_entropy" if name == "softmax" else "half_squared_error"
        hidden = "gelu" if name == "softmax" else name
        net = network(activation=hidden, output_activation=name, loss=loss, dtype=dtype, bias=bias)
        module = net.to_torch()
        got = outputs(module, X.astype(dtype))
        assert got.dtype == dtype
        np.testing.assert_allclose(got, net.predict(X), rtol=CLOSE[dtype], atol=CLOSE[dtype])
        twin = fastnn.from_torch(module, engine="numpy", loss=loss)
        assert repr(twin) == repr(net)
        assert twin.parameters.tobytes() == net.parameters.tobytes()


def test_the_parameters_are_copies_in_both_directions():
    net = network()
    module = net.to_torch()
    twin = fastnn.from_torch(module)
    net.parameters[:] = 0
    assert all(bool(parameter.abs().sum() > 0) for parameter in module.parameters())
    with torch.no_grad():
        module[0].weight.zero_()
    assert abs(twin.weights[0]).min() > 0


def test_names_and_shapes_are_pytorchs_own():
    """A state of the same architecture, made in PyTorch, fits."""
    module = network(dropout=0.1).to_torch()
    made = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Dropout(0.1), nn.Linear(5, 4), nn.Tanh(),
                         nn.Dropout(0.1), nn.Linear(4, 2))  # fmt: skip
    assert repr(module) == repr(made)
    made.load_state_dict(module.state_dict())


def test_a_module_that_comes_again_is_read_again():
    tanh = nn.Tanh()
    module = nn.Sequential(nn.Linear(3, 5), tanh, nn.Linear(5, 4), tanh, nn.Linear(4, 2)).double()
    net = fastnn.from_torch(module, engine="numpy")
    assert [activation.name for activation in net._architecture.activations[:2]] == ["tanh"] * 2
    np.testing.assert_allclose(net.predict(X), outputs(module, X), rtol=1e-12)


def test_weights_in_any_order_in_memory_are_read():
    module = nn.Sequential(nn.Linear(3, 5))
    module[0].weight = nn.Parameter(torch.randn(3, 5).T)
    assert not module[0].weight.is_contiguous()
    assert (fastnn.from_torch(module).weights[0] == module[0].weight.detach().numpy().T).all()


def test_dropout_and_sequentials_inside_are_read():
    module = nn.Sequential(nn.Sequential(nn.Linear(3, 5), nn.SiLU()), nn.Dropout(0.25),
                           nn.Sequential(nn.Linear(5, 2), nn.Identity())).double()  # fmt: skip
    net = fastnn.from_torch(module, engine="numpy")
    assert net._architecture.dropout == (0.25,)
    np.testing.assert_allclose(net.predict(X), outputs(module, X), rtol=1e-12)


@pytest.mark.parametrize(
    ("loss", "output"), [("cross_entropy", "softmax"), ("poisson", "exp"), ("huber", "identity")]
)
def test_a_module_without_an_activation_at_its_end_gives_logits(loss, output):
    net = fastnn.from_torch(nn.Sequential(nn.Linear(3, 2)), loss=loss)
    assert net._architecture.activations[-1].name == output
    module = net.to_torch(logits=True)
    assert repr(module) == repr(nn.Sequential(nn.Linear(3, 2)))


def test_what_pytorch_has_no_module_for_is_refused_by_name():
    with pytest.raises(ValueError, match="'exp'"):
        network(loss="poisson").to_torch()
    with pytest.raises(TypeError, match="logits"):
        network().to_torch(logits=1)


SQUARE = nn.Linear(3, 3)
#: Modules that no network has, and what the message names.
REFUSED = {
    "another layer": (nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), r"sequential\[1\].*Batch"),
    "another slope": (nn.Sequential(nn.Linear(3, 2), nn.LeakyReLU(0.2)), "negative_slope=0.2"),
    "gelu by tanh": (nn.Sequential(nn.Linear(3, 2), nn.GELU("tanh")), "approximate='tanh'"),
    "another alpha": (nn.Sequential(nn.Linear(3, 2), nn.ELU(0.5)), "alpha=0.5"),
    "other limits": (nn.Sequential(nn.Linear(3, 2), nn.Hardtanh(0, 1)), "min_val=0"),
    "another softplus": (nn.Sequential(nn.Linear(3, 2), nn.Softplus(2)), "beta=2"),
    "mish": (nn.Sequential(nn.Linear(3, 2), nn.Mish()), r"sequential\[1\].*Mish"),
    "two activations": (nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Tanh()), r"\[2\].*Tanh"),
    "an activation first": (nn.Sequential(nn.Tanh(), nn.Linear(3, 2)), r"\[0\].*Tanh"),
    "sizes": (nn.Sequential(nn.Linear(3, 2), nn.Linear(3, 2)), r"\[1\].*3 inputs"),
    "half precision": (nn.Sequential(nn.Linear(3, 2).half()), "float16"),
    "two precisions": (nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2).double()), "float32 and"),
    "dropped inputs": (nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 2)), r"\[0\].*Dropout"),
    "dropped outputs": (nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5)), "drops outputs"),
    "nothing": (nn.Sequential(), "no layer"),
    "no Sequential": (nn.Linear(3, 2), "torch.nn.Sequential"),
    "a class of one's own": (nn.Sequential(type("Linear", (nn.Linear,), {})(3, 2)), r"\[0\]"),
    "a layer twice": (nn.Sequential(SQUARE, SQUARE), r"\[1\].*shares"),
    "not finite": (nn.Sequential(nn.Linear(3, 2).requires_grad_(False)), "parameters"),
}  # fmt: skip
REFUSED["not finite"][0][0].weight[0, 0] = float("nan")


@pytest.mark.parametrize("what", REFUSED)
def test_what_no_network_has_is_refused_by_name(what):
    module, named = REFUSED[what]
    with pytest.raises((ValueError, TypeError), match=named):
        fastnn.from_torch(module)


# --- optimisers ---------------------------------------------------------------------------------

OPTIMIZERS = {
    "sgd": fastnn.SGD(0.1),
    "momentum": fastnn.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    "rmsprop": fastnn.RMSprop(0.01, rho=0.8),
    "adagrad": fastnn.Adagrad(0.02),
    "adam": fastnn.Adam(0.01, beta_1=0.8),
    "adamw": fastnn.AdamW(0.02, weight_decay=0.05),
}


def train(module, optimizer, steps):
    x, y = torch.tensor(X), torch.tensor(Y)
    module.train()
    for _ in range(steps):
        optimizer.zero_grad()
        (0.5 * (module(x) - y).square().sum(1).mean()).backward()
        optimizer.step()


@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_equally_after_a_trip_through_pytorch(name, bias):
    """50 updates here, 50 there, 50 here again: as 150 here."""
    straight, first = network(bias=bias), network(bias=bias)
    for _ in range(150):
        straight.partial_fit(X, Y, optimizer=OPTIMIZERS[name])
    for _ in range(50):
        first.partial_fit(X, Y, optimizer=OPTIMIZERS[name])
    module = first.to_torch()
    optimizer = first.to_torch_optimizer(module)
    train(module, optimizer, 50)
    last = fastnn.from_torch(module, optimizer=optimizer, engine="numpy")
    assert last._optimizer == OPTIMIZERS[name]
    for _ in range(50):
        last.partial_fit(X, Y)
    moved = abs(straight.parameters - network(bias=bias).parameters).max()
    assert moved > 0.05, "training must have an effect"
    np.testing.assert_allclose(last.parameters, straight.parameters, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_new_optimiser_has_nothing_to_remember(name):
    net = network()
    net.partial_fit(X, Y, optimizer=OPTIMIZERS[name])
    net.reset_optimizer()
    module = net.to_torch()
    twin = fastnn.from_torch(module, optimizer=net.to_torch_optimizer(module))
    assert twin._optimizer == OPTIMIZERS[name]
    assert not twin._state.moments.any()
    assert twin._state.updates[0] == 0


def test_fit_goes_on_with_the_optimiser_that_came():
    module = network().to_torch()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    train(module, optimizer, 50)
    net = fastnn.from_torch(module, optimizer=optimizer, engine="numpy")
    assert net._state.updates[0] == 50
    net.fit(X, Y, epochs=50, batch_size=None, optimizer=fastnn.Adam(0.02))
    train(module, optimizer, 50)
    np.testing.assert_allclose(net.predict(X), outputs(module, X), rtol=1e-9, atol=1e-12)


def adam(**options):
    module = network().to_torch()
    return module, torch.optim.Adam(module.parameters(), **options)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: adam(amsgrad=True), "amsgrad"),
        (lambda: adam(weight_decay=0.1), "weight_decay=0.1"),
        (lambda: adam(maximize=True), "maximize"),
        (lambda: (network().to_torch(), adam()[1]), "optimizer must have one group"),
        (lambda: (m := network().to_torch(), torch.optim.Adamax(m.parameters())), "Adamax"),
        (lambda: (m := network().to_torch(), torch.optim.SGD(m[:3].parameters())), "one group"),
        (lambda: (network().to_torch(), "adam"), "torch.optim"),
    ],
)
def test_optimisers_that_fastnn_does_not_have_are_refused_by_name(make, named):
    module, optimizer = make()
    with pytest.raises(ValueError, match=named):
        fastnn.from_torch(module, optimizer=optimizer)


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        (fastnn.Adam(fastnn.StepDecay(0.1, 5)), "schedule"),
        (fastnn.SGD(0.1, clip_norm=1.0), "clipping"),
        (fastnn.SGD(0.1, clip_value=1.0), "clipping"),
    ],
)
def test_what_pytorchs_optimisers_do_not_have_is_refused_by_name(rule, named):
    net = network()
    net.partial_fit(X, Y, optimizer=rule)
    with pytest.raises(ValueError, match=named):
        net.to_torch_optimizer(net.to_torch())


def test_an_optimiser_of_another_module_is_refused():
    with pytest.raises(ValueError, match="module"):
        network().to_torch_optimizer(nn.Sequential(nn.Linear(3, 2)))


# --- PyTorch's ONNX files -------------------------------------------------------------------------

HALF = (nn.Sigmoid, nn.Tanh, nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU)
OTHERS = (nn.Softplus, nn.SiLU, nn.GELU, nn.Hardtanh, nn.Identity, nn.Identity)


def module_of(kinds, end, bias, dtype):
    sizes = [3, 5, 4, 6, 5, 3, 4, 2]
    parts = []
    for k, kind in enumerate((*kinds, end)):
        parts += [nn.Linear(sizes[k], sizes[k + 1], bias=bias), kind()]
    return nn.Sequential(*parts).to(getattr(torch, dtype))


def test_the_modules_are_all_activations_of_ours():
    names = {kind.__name__.lower().replace("_", "") for kind in (*HALF, *OTHERS)}
    assert names == {name.replace("_", "") for name in ACTIVATIONS}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("dynamo", [False, True], ids=["TorchScript", "dynamo"])
@pytest.mark.parametrize(("kinds", "end"), [(HALF, nn.Softmax), (OTHERS, nn.Sigmoid)])
def test_files_of_pytorchs_exporters_are_read(tmp_path, kinds, end, dynamo):
    """With dynamo the weights lie in a file beside it."""
    for bias, dtype, opset in itertools.product(BIASES, DTYPES, [18, 20]):
        if dynamo and (opset == 18 or (dtype == "float64") is bias):
            continue  # each takes a second
        module = module_of(
            kinds, (lambda: nn.Softmax(-1)) if end is nn.Softmax else end, bias, dtype
        )
        x = torch.tensor(X.astype(dtype))
        shapes = {"dynamic_shapes": ({0: torch.export.Dim("n")},)} if dynamo else {
            "input_names": ["x"], "dynamic_axes": {"x": {0: "n"}}}  # fmt: skip
        path = tmp_path / "module.onnx"
        torch.onnx.export(
            module, (x,), path, dynamo=dynamo, opset_version=opset, verbose=False, **shapes
        )
        net = fastnn.from_onnx(path, engine="numpy")
        assert net.dtype == dtype
        close = {"float32": 3e-6, "float64": 1e-8}[dtype]  # softplus is z from 20 on there
        np.testing.assert_allclose(net.predict(X), outputs(module, X.astype(dtype)), atol=close)
        twin = fastnn.from_torch(module)
        assert net.parameters.tobytes() == twin.parameters.tobytes()
