"""ONNX files: written for onnxruntime, and read back, ours and other programs'."""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from helpers import ACTIVATIONS, BIASES, DTYPES, LOSSES
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import fastnn
from fastnn.activations import ACTIVATIONS as ALL_ACTIVATIONS
from fastnn.cli import main
from fastnn.errors import LoadError

CLOSE = {"float32": 1e-6, "float64": 1e-12}
COUPLED = {"softmax": "cross_entropy"}


def network(dtype="float64", **options):
    """A network of the numpy engine, so that nothing is compiled, with biases other than 0."""
    defaults = {"activation": "tanh", "seed": 3, "engine": "numpy", "dtype": dtype}
    net = fastnn.Network(options.pop("layer_sizes", [3, 5, 4, 2]), **defaults | options)
    for bias in net.biases:
        bias[:] = np.random.default_rng(1).uniform(-1, 1, bias.shape)
    return net


def inputs(net, n=40):
    return np.random.default_rng(2).uniform(-3, 3, (n, net.layer_sizes[0])).astype(net.dtype)


def run(path, X):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    [name] = [value.name for value in session.get_inputs()]
    [output] = session.run(None, {name: X})
    return output


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.onnx"


def check_outputs(net, path, **options):
    net.to_onnx(path, **options)
    onnx.checker.check_model(os.fspath(path), full_check=True)
    X = inputs(net)
    got, wanted = run(path, X), net.predict(X)
    assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
    close = CLOSE[net.dtype.name]
    np.testing.assert_allclose(got, wanted, rtol=close, atol=close)


# --- written ------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", BIASES, ids=["bias", "no bias"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_onnxruntime_gives_the_numbers_of_predict(path, activation, dtype, bias):
    for loss in LOSSES:
        check_outputs(network(dtype, activation=activation, bias=bias, loss=loss), path)


@pytest.mark.parametrize("opset", [13, 19, 20, onnx.defs.onnx_opset_version()])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_output_activation_in_old_and_new_operator_sets(path, dtype, opset):
    if opset > 24:  # onnxruntime says so itself of what it does not yet promise
        opset = 24
    for name in ALL_ACTIVATIONS:
        loss = {"softmax": "cross_entropy", "exp": "poisson"}.get(name, "squared_error")
        check_outputs(network(dtype, output_activation=name, loss=loss), path, opset=opset)


@pytest.mark.parametrize("name", ["elu", "selu", "softplus", "gelu"])
def test_small_values_are_exact_for_their_size(path, name):
    """What float64 is composed of must not lose digits near zero; onnxruntime's sigmoid does."""
    net = fastnn.Network([1, 1], output_activation=name, bias=False, seed=0)
    net.parameters[:] = 1
    net.to_onnx(path)
    X = np.concatenate([-(10.0 ** np.arange(-8, 1)), 10.0 ** np.arange(-8, 1), [-3, -8]])
    X = np.append(X, {"softplus": -40.0, "gelu": -25.0}.get(name, -9.0))[:, np.newaxis]
    np.testing.assert_allclose(run(path, X), net.predict(X), rtol=1e-13)


@pytest.mark.parametrize("layer_sizes", [[2, 1], [1, 1], [1, 7, 1], [300, 2, 3]])
@pytest.mark.parametrize("bias", BIASES)
def test_any_sizes(path, layer_sizes, bias):
    check_outputs(network(layer_sizes=layer_sizes, bias=bias), path)


def test_the_graph_is_plain(path):
    """What optimisers and controllers read: Gemm of biases of one dimension, and activations."""
    network("float32", activation=["relu", "gelu"], loss="cross_entropy").to_onnx(path)
    graph = onnx.load(path).graph
    kinds = [node.op_type for node in graph.node]
    assert kinds == ["Gemm", "Relu", "Gemm", "Gelu", "Gemm", "Softmax"]
    shapes = [tuple(tensor.dims) for tensor in graph.initializer]
    assert shapes == [(5, 3), (5,), (4, 5), (4,), (2, 4), (2,)]
    for value in (*graph.input, *graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param, "any number of rows"
    assert len(graph.output) == 1


def test_names_metadata_and_dtype_are_those_asked_for(path):
    net = network()
    net.to_onnx(path, dtype="float32", input_name="x σ", output_name="y", metadata={"who": "me ●"})
    model = onnx.load(path)
    assert [value.name for value in (*model.graph.input, *model.graph.output)] == ["x σ", "y"]
    assert {"who": "me ●"}.items() <= {p.key: p.value for p in model.metadata_props}.items()
    X = inputs(net).astype(np.float32)
    np.testing.assert_allclose(run(path, X), net.predict(X), rtol=1e-5, atol=1e-6)


def test_logits_are_the_sums_before_the_output_activation(path):
    net = network(loss="cross_entropy")
    net.to_onnx(path, logits=True)
    logits = run(path, inputs(net))
    e = np.exp(logits)
    np.testing.assert_allclose(e / e.sum(1, keepdims=True), net.predict(inputs(net)), rtol=1e-12)
    plain = fastnn.from_onnx(path, engine="numpy")
    np.testing.assert_allclose(plain.predict(inputs(net)), logits, rtol=1e-12)
    twin = fastnn.from_onnx(path, engine="numpy", loss="cross_entropy")
    assert repr(twin) == repr(net)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"opset": 12}, "opset"),
        ({"opset": 10**6}, "opset"),
        ({"opset": "20"}, "opset"),
        ({"dtype": "float16"}, "dtype"),
        ({"input_name": ""}, "input_name"),
        ({"input_name": 3}, "input_name"),
        ({"output_name": "\ud800"}, "output_name"),
        ({"output_name": "input"}, "output_name"),
        ({"input_name": "fastnn/0/Gemm"}, "input_name"),
        ({"logits": 1}, "logits"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"metadata": "text"}, "metadata"),
        ({"metadata": {"fastnn": "x"}}, "metadata"),
        ({"metadata": {"a": "\ud800"}}, "metadata"),
    ],
)
def test_bad_arguments_are_named_and_nothing_is_written(path, options, named):
    with pytest.raises((ValueError, TypeError), match=named):
        network().to_onnx(path, **options)
    assert list(path.parent.iterdir()) == []


def test_parameters_that_are_not_finite_are_refused(path):
    net = network()
    net.parameters[3] = 1e300
    with pytest.raises(ValueError, match="float32"):
        net.to_onnx(path, dtype="float32")
    net.parameters[3] = np.nan
    with pytest.raises(ValueError, match="parameters"):
        net.to_onnx(path)
    assert list(path.parent.iterdir()) == []


def test_a_file_that_cannot_be_written_leaves_the_old_one(path):
    path.write_bytes(b"old")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        network().to_onnx(path.parent / "none" / "net.onnx")
    with pytest.raises(IsADirectoryError):
        network().to_onnx(path.parent)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


# --- and read back ------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_round_trip_gives_the_same_network_and_the_same_file(path, dtype, bias):
    for name, opset in itertools.product(ALL_ACTIVATIONS, (13, 20)):
        loss = {"softmax": "cross_entropy", "exp": "poisson"}.get(name, "huber")
        hidden = "silu" if name in ("softmax", "exp") else name
        net = network(dtype, activation=hidden, output_activation=name, loss=loss, bias=bias)
        net.to_onnx(path, opset=opset)
        twin = fastnn.from_onnx(path, engine="numpy")
        assert repr(twin) == repr(net)
        assert twin.parameters.tobytes() == net.parameters.tobytes()
        content = path.read_bytes()
        twin.to_onnx(path, opset=opset)
        assert path.read_bytes() == content


def test_what_is_special_about_training_comes_back(path):
    options = {"reduction": "sum", "l1": 0.1, "l2": 0.2, "max_norm": 3.0, "dropout": [0.1, 0.0]}
    net = network(loss="cross_entropy", label_smoothing=0.1, **options)
    net.to_onnx(path)
    assert fastnn.from_onnx(path)._architecture == net._architecture
    assert fastnn.from_onnx(path, l2=0.5)._architecture.l2 == 0.5
    other = fastnn.from_onnx(path, loss="cross_entropy")
    assert (other._architecture.l1, other._architecture.reduction) == (0.0, "mean")


def test_a_loaded_network_trains(path):
    network(loss="cross_entropy").to_onnx(path)
    net = fastnn.from_onnx(path, seed=0, engine="numpy")
    history = net.fit(np.eye(3), [0, 1, 1], epochs=200, optimizer="adam", learning_rate=0.02)
    assert history.loss[-1] < 0.1


@pytest.mark.parametrize("name", ["bias", "dtype", "layer_sizes", "activation"])
def test_what_the_file_settles_is_no_option(path, name):
    network().to_onnx(path)
    with pytest.raises(TypeError, match=name):
        fastnn.from_onnx(path, **{name: 3})


def test_bad_options_are_named(path):
    network().to_onnx(path)
    with pytest.raises(LoadError, match="l2"):
        fastnn.from_onnx(path, l2=-1)


# --- other programs' graphs -----------------------------------------------------------------------

RNG = np.random.default_rng(0)
W = {"W": RNG.normal(size=(3, 4)), "V": RNG.normal(size=(4, 2)), "c": RNG.normal(size=(4,)),
     "row": RNG.normal(size=(1, 4)), "one": np.array(1.0), "low": np.array(-1.0),
     "fifth": np.array(0.2), "K": RNG.normal(size=(2, 3, 1, 1)), "S": RNG.normal(size=(4, 4)),
     "two": RNG.normal(size=(2,))}  # fmt: skip


def graph_file(path, *nodes, output="y", inputs=(("x", 2),), opset=20, tensors=None, **model):
    """A graph of nodes, each written "Kind a b -> c", with the tensors in W that it names."""
    made, used = [], set()
    for text, attributes in nodes:
        left, _, out = text.partition(" -> ")
        kind, *names = left.split()
        used.update(names)
        made.append(helper.make_node(kind, names, out.split(), name=f"node {out}", **attributes))
    arrays = W | (tensors or {})
    given = [numpy_helper.from_array(a, name) for name, a in arrays.items() if name in used]
    graph = helper.make_graph(
        made, "g",
        [helper.make_tensor_value_info(n, TensorProto.DOUBLE, [None] * d) for n, d in inputs],
        [helper.make_tensor_value_info(n, TensorProto.DOUBLE, None) for n in output.split()],
        given,
    )  # fmt: skip
    made_model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], **model)
    onnx.save(made_model, path)


DENSE = ("MatMul x W -> z", {})


@pytest.mark.parametrize(
    "nodes",
    [
        [("Gemm x W c -> z", {}), ("Tanh z -> a", {}), ("MatMul a V -> y", {})],
        [DENSE, ("Add z c -> b", {}), ("Relu b -> a", {}), ("Gemm a V -> y", {})],
        [DENSE, ("Add row z -> b", {}), ("Softplus b -> y", {})],
        [("Gemm x W c -> y", {"alpha": 0.5, "beta": 2.0})],
        [("Identity x -> i", {}), ("Identity W -> w2", {}), ("MatMul i w2 -> y", {})],
        [DENSE, ("Max z low -> m", {}), ("Min one m -> y", {})],
        [("Flatten x -> f", {}), ("MatMul f W -> y", {})],
    ],
)
def test_chains_of_any_spelling_are_read(path, nodes):
    graph_file(path, *nodes)
    X = RNG.normal(size=(5, 3))
    wanted = ReferenceEvaluator(os.fspath(path)).run(None, {"x": X})[0]
    np.testing.assert_allclose(fastnn.from_onnx(path, engine="numpy").predict(X), wanted, rtol=1e-6)


#: Graphs that are no chain of fastnn's layers, and what the message must name.
REFUSED = {
    "a convolution": ([("Conv x K -> y", {})], "node y.*Conv"),
    "another slope": ([DENSE, ("LeakyRelu z -> y", {"alpha": 0.2})], "node y.*LeakyRelu.*0.2"),
    "no activation of ours": ([DENSE, ("Elu z -> y", {"alpha": 2.0})], "node y.*Elu"),
    "half an activation": ([DENSE, ("Sigmoid z -> s", {}), ("Mul s s -> y", {})], "node y.*Mul"),
    "a skip": ([("Gemm x S c -> z", {}), ("Add z x -> y", {})], "node y.*'x'"),
    "a branch": ([DENSE, ("Gemm x W c -> y", {})], "node y"),
    "an old value": (
        [DENSE, ("MatMul z V -> u", {}), ("Relu z -> y", {})], "node y.*'z'",
    ),
    "an activation first": ([("Tanh x -> t", {}), ("MatMul t W -> y", {})], "node t"),
    "two activations": ([DENSE, ("Tanh z -> t", {}), ("Tanh t -> y", {})], "node y.*Tanh"),
    "two biases": ([DENSE, ("Add z c -> a", {}), ("Add a c -> y", {})], "node y.*bias"),
    "a bias of another size": ([DENSE, ("Add z two -> y", {})], "node y"),
    "sizes that do not fit": ([DENSE, ("MatMul z W -> y", {})], "node y.*3 inputs"),
    "weights that are not there": ([("MatMul x nowhere -> y", {})], "node y"),
    "the weights first": ([("MatMul S x -> y", {})], "node y"),
    "a transposed input": ([("Gemm x W -> y", {"transA": 1})], "node y"),
    "no layer": ([("Identity x -> y", {})], "no layer"),
    "softmax inside": ([DENSE, ("Softmax z -> s", {}), ("MatMul s V -> y", {})], "softmax"),
    "softmax over rows": ([DENSE, ("Softmax z -> y", {"axis": 0})], "node y.*Softmax"),
    "a reshape inside": (
        [DENSE, ("Reshape z shape -> r", {}), ("MatMul r V -> y", {})], "node r.*Reshape",
    ),
    "labels alone": ([DENSE, ("ArgMax z -> y", {})], "outputs"),
    "another domain": ([("Foo x -> y", {"domain": "com.example"})], "com.example"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_chain_is_refused_by_the_nodes_name(path, what):
    nodes, named = REFUSED[what]
    graph_file(path, *nodes, tensors={"shape": np.array([-1, 4])})
    with pytest.raises(LoadError, match=f"net.onnx.*{named}"):
        fastnn.from_onnx(path)


def test_graphs_of_other_ends_are_refused(path):
    graph_file(path, DENSE, output="z", inputs=(("x", 2), ("u", 2)))
    with pytest.raises(LoadError, match="2 inputs"):
        fastnn.from_onnx(path)
    graph_file(path, DENSE, output="z", inputs=(("x", 3),))
    with pytest.raises(LoadError, match="3 dimensions"):
        fastnn.from_onnx(path)
    graph_file(path, DENSE, ("Tanh z -> y", {}), output="z y")
    with pytest.raises(LoadError, match="outputs"):
        fastnn.from_onnx(path)
    graph_file(path, DENSE, output="z", opset=6)
    with pytest.raises(LoadError, match="operator set 6"):
        fastnn.from_onnx(path)


@pytest.mark.parametrize("dtype", [np.float16, np.int64, np.float32])
def test_other_types_are_refused(path, dtype):
    """float16 and whole numbers, and float32 beside float64."""
    graph_file(
        path, ("MatMul x U -> z", {}), ("MatMul z V -> y", {}),
        tensors={"U": np.ones((3, 4), dtype)},
    )  # fmt: skip
    with pytest.raises(LoadError, match="float32"):
        fastnn.from_onnx(path)


def test_some_biases_make_the_others_zero(path):
    graph_file(path, ("Gemm x W c -> z", {}), ("MatMul z V -> y", {}))
    net = fastnn.from_onnx(path)
    assert [bias.tolist() for bias in net.biases] == [W["c"].tolist(), [0.0, 0.0]]


def test_without_the_package_the_message_says_what_to_install(tmp_path):
    code = (
        "import sys; sys.modules['onnx'] = None; import fastnn\n"
        "try: fastnn.Network([1, 1], seed=0).to_onnx('net.onnx')\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert "fastnn-jit[onnx]" in done.stdout, done.stderr


def test_files_that_are_none(path):
    with pytest.raises(FileNotFoundError):
        fastnn.from_onnx(path)
    with pytest.raises(TypeError, match="path"):
        fastnn.from_onnx(io.BytesIO())
    with pytest.raises(LoadError, match="regular file"):
        fastnn.from_onnx(path.parent)
    for content in (b"", b"\0" * 100, b"not a network", b"\x08\x08" * 5):
        path.write_bytes(content)
        with pytest.raises(LoadError):
            fastnn.from_onnx(path)


def test_the_command_line_goes_both_ways(tmp_path, capsys):
    net = network(loss="cross_entropy")
    saved, path, again = (tmp_path / n for n in ("a.safetensors", "a.onnx", "again.safetensors"))
    net.save(saved)
    assert main(["convert", str(saved), str(path)]) == 0
    np.testing.assert_allclose(run(path, inputs(net)), net.predict(inputs(net)), rtol=1e-12)
    assert main(["convert", str(path), str(again)]) == 0
    twin = fastnn.load(again)
    assert twin.parameters.tobytes() == net.parameters.tobytes()
    assert twin._architecture == net._architecture
    assert (
        main(["convert", str(path), str(tmp_path / "l.onnx"), "--logits", "--dtype=float32"]) == 0
    )
    assert fastnn.from_onnx(tmp_path / "l.onnx").dtype == np.float32
    path.write_bytes(b"text")
    assert main(["convert", str(path), str(again)]) == 2
    assert "cannot load a network" in capsys.readouterr().err
