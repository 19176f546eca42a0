"""Damaged and hostile ONNX files: a clear error each, no crash, no memory without end."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from damage import check_memory, damaged
from onnx import TensorProto, helper, numpy_helper

import fastnn
from fastnn.errors import LoadError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.onnx"


def network(**options):
    options = {
        "activation": "gelu",
        "loss": "cross_entropy",
        "seed": 0,
        "engine": "numpy",
    } | options
    return fastnn.Network([60, 100, 10], **options)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_damaged_file_is_a_clear_error_or_the_same_network(path, dtype):
    """What does not touch the layers, such as a name, may be damaged unnoticed."""
    net = network(dtype=dtype)
    net.to_onnx(path)
    messages: list[str] = []
    for what, content in damaged(path.read_bytes(), 1000):
        path.write_bytes(content)
        found = []

        def load(found=found):
            try:
                found.append(fastnn.from_onnx(path, engine="numpy"))
            except LoadError as error:
                messages.append(str(error))

        check_memory(what, path, load)
        for twin in found:
            assert repr(twin) == repr(net), what
            assert twin.parameters.tobytes() == net.parameters.tobytes(), what
    assert len(messages) > 800
    assert all(text.startswith("cannot load a network from ") for text in messages)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_files_of_others_load_or_are_refused(path):
    """Without fastnn's digest: whatever loads is a network, and nothing else is raised."""
    network().to_onnx(path)
    model = onnx.load(path)
    del model.metadata_props[:]
    model.producer_name = "another"
    onnx.save(model, path)
    fastnn.from_onnx(path, engine="numpy")
    for what, content in damaged(model.SerializeToString(), 600, seed=1):
        path.write_bytes(content)

        def load():
            try:
                assert np.isfinite(fastnn.from_onnx(path, engine="numpy").parameters).all()
            except LoadError:
                return

        check_memory(what, path, load)


def refuse(path, named):
    def load():
        with pytest.raises(LoadError, match=named):
            fastnn.from_onnx(path)

    check_memory(named, path, load)


def field(number, content):
    """A field of bytes of a protobuf message."""
    head, n = bytes([number << 3 | 2]), len(content)
    while n >= 128:
        head, n = head + bytes([n & 127 | 128]), n >> 7
    return head + bytes([n]) + content


@pytest.mark.parametrize("what", ["nodes", "initializers", "metadata", "dimensions"])
def test_parts_without_end_are_refused_before_they_are_made(path, what):
    """Millions of empty parts: two bytes each in the file, a hundred in memory."""
    parts = field(1, b"") * 2_000_000
    if what == "nodes":
        content = field(7, parts)
    elif what == "initializers":
        content = field(7, parts.replace(b"\x0a", b"\x2a"))
    elif what == "metadata":
        content = parts.replace(b"\x0a", b"\x72")
    else:
        content = field(7, field(5, b"\x08\x01" * 2_000_000))
    path.write_bytes(content)
    refuse(path, "more parts than its size explains")


def test_parts_within_parts_are_refused(path):
    content = b""
    for _ in range(3000):  # a graph that is an attribute of a node of a graph
        content = field(1, field(5, field(6, content)))
    path.write_bytes(field(7, content))
    refuse(path, "nested")


def model_of(path, nodes, tensors):
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.DOUBLE, [None, None])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, None)], tensors,
    )  # fmt: skip
    path.write_bytes(helper.make_model(graph).SerializeToString())


def tensor(dims, raw=b"", **fields):
    return TensorProto(name="W", data_type=11, dims=dims, raw_data=raw, **fields)


@pytest.mark.parametrize(
    "made",
    [
        tensor([10**6, 10**6], bytes(800)),
        tensor([2**62, 2**62], bytes(800)),
        tensor([3, -1], bytes(800)),
        tensor([10, 10], bytes(801)),
        tensor([10, 10], bytes(792)),
        tensor([0, 10]),
        tensor([1] * 1000, bytes(8)),
        tensor([], bytes(8)),
        TensorProto(name="W", data_type=11, dims=[3, 2], double_data=[1.0] * 5),
        TensorProto(name="W", data_type=11, dims=[3, 2], float_data=[1.0] * 6),
        TensorProto(name="W", data_type=99, dims=[3, 2], raw_data=bytes(48)),
    ],
    ids=lambda made: f"{list(made.dims)[:4]} of {len(made.raw_data)}",
)
def test_tensors_that_say_what_they_are_not_are_refused(path, made):
    model_of(path, [helper.make_node("MatMul", ["x", "W"], ["y"])], [made])
    refuse(path, "'W'|the node 'y'")


def test_weights_used_again_and_again_are_refused(path):
    """A file of 1.3 MB would be a network of 1.3 GB."""
    square = numpy_helper.from_array(np.eye(400), "W")
    names = ["x", *(f"h{k}" for k in range(999)), "y"]
    nodes = [
        helper.make_node("MatMul", [names[k], "W"], [names[k + 1]], name=f"n{k}")
        for k in range(1000)
    ]
    model_of(path, nodes, [square])
    refuse(path, "more numbers than its size explains")


def test_equal_names_are_refused(path):
    twice = [numpy_helper.from_array(np.eye(3), "W") for _ in range(2)]
    model_of(path, [helper.make_node("MatMul", ["x", "W"], ["y"])], twice)
    refuse(path, "same name")


def beside(path, location, offset=0, length=72, **more):
    made = tensor([3, 3], data_location=TensorProto.EXTERNAL)
    places = {"location": location, "offset": str(offset), "length": str(length)} | more
    for key, value in places.items():
        made.external_data.add(key=key, value=value)
    model_of(path, [helper.make_node("MatMul", ["x", "W"], ["y"])], [made])


def test_weights_in_a_file_beside_it_are_read(path):
    W = np.arange(9.0).reshape(3, 3)
    (path.parent / "data").write_bytes(bytes(16) + W.tobytes())
    beside(path, "data", offset=16)
    assert fastnn.from_onnx(path).weights[0].tolist() == W.tolist()


@pytest.mark.parametrize(
    ("location", "options", "named"),
    [
        ("none", {}, "not beside it"),
        ("../secret", {}, "beside it"),
        ("/etc/passwd", {}, "beside it"),
        ("folder/data", {}, "beside it"),
        ("..", {}, "beside it"),
        ("", {}, "beside it"),
        ("a\\b", {}, "beside it"),
        ("link", {}, "link"),
        ("folder", {}, "regular file"),
        ("data", {"offset": 1}, "from 1 for 72, and that has 72"),
        ("data", {"offset": 10**18}, "that has 72"),
        ("data", {"offset": -1}, "-1"),
        ("data", {"offset": "9" * 400}, "place"),
        ("data", {"length": 71}, "for 71"),
        ("data", {"length": "x"}, "'x'"),
    ],
)
def test_files_beside_it_are_looked_at_before_they_are_read(path, location, options, named):
    folder = path.parent / "models"
    folder.mkdir()
    (path.parent / "secret").write_bytes(bytes(72))
    (folder / "folder").mkdir()
    (folder / "folder" / "data").write_bytes(bytes(72))
    (folder / "data").write_bytes(bytes(72))
    (folder / "link").symlink_to(path.parent / "secret")
    beside(folder / "net.onnx", location, **options)
    refuse(folder / "net.onnx", named)


def test_our_own_file_without_its_metadata_is_refused(path):
    network().to_onnx(path)
    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, path)
    refuse(path, "metadata")


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"sha256": "0"}', '{"loss": "huber"}'])
def test_our_own_metadata_are_checked(path, text):
    network().to_onnx(path)
    model = onnx.load(path)
    for entry in model.metadata_props:
        entry.value = text
    onnx.save(model, path)
    refuse(path, "cannot load")
