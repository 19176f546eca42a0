"""C source: compiles without a warning, gives the numbers of `predict`, and its Jacobian."""

from __future__ import annotations

import ctypes
import itertools
import re
import shutil
import subprocess

import numpy as np
import pytest
from helpers import ACTIVATIONS, BIASES, DTYPES, slow_but

import fastnn
from fastnn.exchange.c_functions import function
from fastnn.kernels import elementary

GCC, GXX = shutil.which("gcc"), shutil.which("g++")
needs_gcc = pytest.mark.skipif(not GCC, reason="there is no gcc here")
STRICT = ["-Wall", "-Wextra", "-Werror", "-pedantic"]
CTYPES = {"float64": ("double", ctypes.c_double), "float32": ("float", ctypes.c_float)}
WIDTHS = [4, 3, 5, 2, 4, 9, 8, 3, 4, 5, 3]


def network(layer_sizes=(3, 5, 4, 2), **options):
    net = fastnn.Network(layer_sizes, **{"activation": "tanh", "seed": 3} | options)
    for bias in net.biases:
        bias[:] = np.random.default_rng(1).uniform(-1, 1, bias.shape)
    return net


def with_all(dtype="float64", **options):
    """A network of all activations, one in each layer; nothing of it need be compiled by numba."""
    return network(
        [3, *WIDTHS, 3], activation=ACTIVATIONS, loss="cross_entropy", dtype=dtype, engine="numpy",
        **options,
    )  # fmt: skip


def rows(net, n=200):
    return np.random.default_rng(2).uniform(-1.5, 1.5, (n, net.layer_sizes[0])).astype(net.dtype)


def compiled(folder, net, *, flags=("-O2",), jacobian=False):
    """Functions of many rows that call what `to_c` writes, which two files include."""
    net.to_c(folder / "net.h", jacobian=jacobian)
    kind, _ = CTYPES[net.dtype.name]
    n_in, n_out = net.layer_sizes[0], net.layer_sizes[-1]
    for name, width in {"net": n_out, "net_jacobian": n_out * n_in}.items():
        body = f"for (k = 0; k < n; k++) {name}(x + k * {n_in}, y + k * {width});"
        code = f"void many_{name}(const {kind} *x, {kind} *y, long n)"
        if jacobian or name == "net":
            text = f'#include "net.h"\n#include "net.h"\n{code};\n{code} {{ long k; {body} }}\n'
            (folder / f"{name}.c").write_text(text)
    library = folder / f"{len(list(folder.iterdir()))}.so"
    sources = sorted(folder.glob("*.c"))
    subprocess.run(
        [GCC, "-std=c99", *STRICT, *flags, "-shared", "-fPIC", *sources, "-o", library], check=True
    )
    return ctypes.CDLL(library)


def called(function, X, shape):
    """What one of these functions computes."""
    X, out = np.ascontiguousarray(X), np.empty(shape, X.dtype)
    kind = ctypes.POINTER(CTYPES[X.dtype.name][1])
    function(X.ctypes.data_as(kind), out.ctypes.data_as(kind), ctypes.c_long(len(X)))
    return out


def outputs(library, net, X):
    return called(library.many_net, X, (len(X), net.layer_sizes[-1]))


def units_apart(net, X, got):
    """Units in the last place, of the sums in the last layer, by which outputs differ at most."""
    wanted = net.predict(X)
    before = net.layer_outputs(X)[-2] if len(net.weights) > 1 else X
    sums = np.abs(before) @ np.abs(net.weights[-1])
    sums += np.abs(net.biases[-1]) if net.biases else 0
    output = net._architecture.activations[-1].name
    scale = {"exp": wanted.max() * sums.max(), "softmax": 1.0, "sigmoid": 1.0}.get(
        output, sums.max()
    )
    return float(np.abs(got - wanted).max() / (np.finfo(net.dtype).eps * scale))


#: Networks whose kernels the other tests compile too.
CORE = [("sigmoid", "float64")]


@needs_gcc
@pytest.mark.parametrize(
    ("activation", "dtype"),
    slow_but(CORE, [*CORE, *((a, DTYPES[k % 2]) for k, a in enumerate(ACTIVATIONS))]),
)
def test_outputs_are_those_of_predict_to_2_units_a_layer(tmp_path, activation, dtype):
    sizes = [(2, 4, 3, 2), (1, 128, 1)] if (activation, dtype) in CORE else [
        (2, 4, 3, 2), (1, 128, 1), (3, 2), (1, 1), (12, 9, 4), (64, 20, 3)]  # fmt: skip
    for k, layer_sizes in enumerate(sizes):
        net = network(layer_sizes, activation=activation, dtype=dtype)
        folder = tmp_path / str(k)
        folder.mkdir()
        X = rows(net)
        got = outputs(compiled(folder, net), net, X)
        assert units_apart(net, X, got) <= 2 * len(net.weights), layer_sizes


@needs_gcc
@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "poisson"])
def test_every_output_activation_too(tmp_path, loss, bias, dtype):
    net = network(activation="sigmoid", loss=loss, dtype=dtype, bias=bias)
    X = rows(net)
    assert units_apart(net, X, outputs(compiled(tmp_path, net), net, X)) <= 2 * len(net.weights)


@needs_gcc
@pytest.mark.parametrize("dtype", DTYPES)
def test_all_activations_are_those_of_the_numpy_engine(tmp_path, dtype):
    net = with_all(dtype)
    X = rows(net)
    got = outputs(compiled(tmp_path, net), net, X)
    close = {"float64": 1e-13, "float32": 2e-6}[dtype]
    np.testing.assert_allclose(got, net.predict(X), rtol=close, atol=close)


@needs_gcc
@pytest.mark.parametrize("dtype", DTYPES)
def test_elementary_functions_are_the_kernels_bit_for_bit(tmp_path, dtype):
    """As long as the compiler does not fuse multiplications and additions."""
    names = ("exp", "sigmoid", "tanh", "softplus", "normal_cdf")
    kind, _ = CTYPES[dtype]
    bits = {"double": "uint64_t", "float": "uint32_t"}[kind]
    text = "#include <math.h>\n#include <stdint.h>\n#include <string.h>\n"
    text += f"static {bits} @bits({kind} x) {{ {bits} b; memcpy(&b, &x, sizeof b); return b; }}\n"
    text += (
        f"static {kind} @of_bits({bits} b) {{ {kind} x; memcpy(&x, &b, sizeof x); return x; }}\n"
    )
    for name in names:
        text += function(name, np.dtype(dtype))
        text += f"void many_{name}(const {kind} *x, {kind} *y, long n)\n"
        text += f"{{ long k; for (k = 0; k < n; k++) y[k] = @{name}(x[k]); }}\n"
    (tmp_path / "f.c").write_text(text.replace("@", "f_"))
    subprocess.run(
        [GCC, "-std=c99", "-O2", "-ffp-contract=off", "-shared", "-fPIC", tmp_path / "f.c", "-o",
         tmp_path / "f.so"], check=True,
    )  # fmt: skip
    library = ctypes.CDLL(tmp_path / "f.so")
    X = np.concatenate([np.linspace(-50, 50, 2001), np.linspace(-800, 800, 801),
                        [0.0, -0.0, 1e-30, -1e-30]]).astype(dtype)  # fmt: skip
    for name in names:
        got = called(getattr(library, f"many_{name}"), X, X.shape)
        assert got.tobytes() == getattr(elementary, name)(X).tobytes(), name


@needs_gcc
@pytest.mark.parametrize("compiler", [[GCC, "-std=c99"], [GXX, "-std=c++11", "-x", "c++"]])
@pytest.mark.parametrize(
    ("bias", "dtype"),
    slow_but([(True, "float64")], list(itertools.product(BIASES, DTYPES))),
)
def test_it_compiles_without_a_warning_and_tests_itself(tmp_path, compiler, bias, dtype):
    if not compiler[0]:
        pytest.skip("there is no g++ here")
    path = tmp_path / "net.c"
    options = {"activation": "sigmoid"}
    for k, net in enumerate([with_all(dtype, bias=bias), network(dtype=dtype, **options)]):
        net.to_c(path, jacobian=True)
        subprocess.run([*compiler, "-O2", *STRICT, "-c", path, "-o", tmp_path / "o"], check=True)
        if k and bias:  # its expected numbers need a kernel
            net.to_c(path, self_test=True)
            text = path.read_text()
            assert run_main(compiler, tmp_path, text).returncode == 0
            spoiled = re.sub(r"(weights2\[\d+\] = \{\n)    [^,]+,", r"\1    0.9,", text)
            assert run_main(compiler, tmp_path, spoiled).returncode == 1


def run_main(compiler, folder, text):
    (folder / "main.c").write_text(text)
    subprocess.run(
        [*compiler, *STRICT, folder / "main.c", "-o", folder / "main", "-lm"], check=True
    )
    return subprocess.run([folder / "main"], capture_output=True, text=True)


@needs_gcc
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_weights_read_back_exactly(tmp_path, dtype):
    """Rows of zeros and a single one pick out one weight; what is tiny or huge among them."""
    for layer_sizes in ((9, 3), (3, 9)):
        net = network(layer_sizes, dtype=dtype, bias=False, engine="numpy")
        tiny = np.finfo(dtype)
        net.parameters[:6] = [tiny.smallest_subnormal, -tiny.max, tiny.tiny, 0.1, 1 / 3, -0.0]
        folder = tmp_path / str(layer_sizes[0])
        folder.mkdir()
        X = np.eye(layer_sizes[0], dtype=dtype)
        got = outputs(compiled(folder, net), net, X)
        assert (got == net.weights[0]).all()


JACOBIANS = list(itertools.product(["cross_entropy", "poisson", "huber"], BIASES))


@needs_gcc
@pytest.mark.parametrize(("loss", "bias"), slow_but(JACOBIANS[:1], JACOBIANS))
def test_the_jacobian_is_the_derivative(tmp_path, loss, bias):
    """Against central differences of the outputs."""
    nets = [
        network([3, *WIDTHS, 3], activation=ACTIVATIONS, loss=loss, engine="numpy", bias=bias),
        network([9, 2], activation="tanh", loss=loss, engine="numpy", bias=bias),
        network([2, 12, 1], activation="gelu", loss=loss, engine="numpy", bias=bias),
    ]
    for k, net in enumerate(nets):
        folder = tmp_path / str(k)
        folder.mkdir()
        library = compiled(folder, net, jacobian=True)
        n_in, n_out = net.layer_sizes[0], net.layer_sizes[-1]
        X, h = rows(net, 40), 1e-6
        J = called(library.many_net_jacobian, X, (len(X), n_out, n_in))
        for i in range(n_in):
            up, down = (outputs(library, net, X + sign * h * np.eye(n_in)[i]) for sign in (1, -1))
            np.testing.assert_allclose(J[:, :, i], (up - down) / (2 * h), rtol=1e-5, atol=1e-8)


def test_dtype_is_that_asked_for_and_the_architecture_stands_in_it(tmp_path):
    path = tmp_path / "n.c"
    network(engine="numpy").to_c(path, dtype="float32", name="my_net")
    text = path.read_text()
    assert "static inline void my_net(const float *input, float *output)" in text
    assert "double" not in text
    assert "layer 1: 3 -> 5, tanh\n" in text
    assert max(map(len, text.splitlines())) < 500


@pytest.mark.parametrize(
    "name", ["", "1net", "a b", "a-b", "int", "class", "main", "tanh", "nét", "_Net", "memory",
             "a\n", "net()", None, 3]
)  # fmt: skip
def test_names_that_c_does_not_take_are_refused(tmp_path, name):
    with pytest.raises((ValueError, TypeError), match="name"):
        network(engine="numpy").to_c(tmp_path / "n.c", name=name)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_refused_and_nothing_is_left(tmp_path):
    net = network(engine="numpy")
    with pytest.raises(FileNotFoundError):
        net.to_c(tmp_path / "none" / "n.c")
    with pytest.raises(TypeError, match="jacobian"):
        net.to_c(tmp_path / "n.c", jacobian=1)
    with pytest.raises(TypeError, match="self_test"):
        net.to_c(tmp_path / "n.c", self_test="yes")
    net.parameters[0] = 1e200
    with pytest.raises(ValueError, match="float32"):
        net.to_c(tmp_path / "n.c", dtype="float32")
    net.parameters[0] = np.inf
    with pytest.raises(ValueError, match="parameters"):
        net.to_c(tmp_path / "n.c")
    assert list(tmp_path.iterdir()) == []
