"""C: a network as one source file that needs no library, in C99 that is C++ too."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Iterator
from string import Template
from typing import Any

import numpy as np

from fastnn import validation
from fastnn._version import __version__
from fastnn.activations import LEAK, SELU_ALPHA, SELU_SCALE
from fastnn.architecture import Architecture, Layer
from fastnn.engines import get_engine
from fastnn.exchange.c_functions import NAMES, function, literal
from fastnn.exchange.departures import ready
from fastnn.files import whole_file

#: A layer goes through its outputs for each few inputs, which compilers make vectors of. With fewer
#: outputs than this and as many inputs it sums each output's products instead. Its weights lie as
#: they are read.
_VECTOR = 8
_INPUTS_AT_ONCE = 4
_TEST_ROWS = 5
#: Units in the last place, of numbers of about 1, by which a layer may differ in the self-test.
_TEST_UNITS = 64

_KEYWORDS = (
    "alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl const "
    "const_cast constexpr continue decltype default delete do double dynamic_cast else enum "
    "explicit export extern false float for friend goto if inline int long main mutable namespace "
    "new noexcept not not_eq nullptr operator or or_eq private protected public register "
    "reinterpret_cast requires restrict return short signed sizeof static static_assert "
    "static_cast struct switch template this thread_local throw true try typedef typeid typename "
    "union unsigned using virtual void volatile wchar_t while xor xor_eq"
)

#: For each activation: the elementary functions that it needs; its value at z; and its slope there,
#: where its value is a. @ stands for the file's prefix, and numbers are in braces.
_ACTIVATIONS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "identity": ((), "z", "{1}"),
    "sigmoid": (("sigmoid",), "@sigmoid(z)", "a - a * a"),
    "tanh": (("tanh",), "@tanh(z)", "{1} - a * a"),
    "relu": ((), "z > 0 ? z : 0", "a > 0 ? {1} : 0"),
    "leaky_relu": ((), f"z > 0 ? z : {{{LEAK}}} * z", f"a > 0 ? {{1}} : {{{LEAK}}}"),
    "elu": (("tanh", "below"), "z > 0 ? z : e", "a > 0 ? {1} : a + {1}"),
    "selu": (
        ("tanh", "below"),
        f"z > 0 ? {{{SELU_SCALE!r}}} * z : {{{SELU_SCALE * SELU_ALPHA!r}}} * e",
        f"a > 0 ? {{{SELU_SCALE!r}}} : a + {{{SELU_SCALE * SELU_ALPHA!r}}}",
    ),
    "softplus": (("softplus", "sigmoid"), "@softplus(z)", "@sigmoid(z)"),
    "silu": (("sigmoid",), "z * @sigmoid(z)", "@sigmoid(z) + a * ({1} - @sigmoid(z))"),
    "gelu": (
        ("normal_cdf", "exp"),
        "z * @normal_cdf(z)",
        "@normal_cdf(z) + z * (@exp({-0.5} * z * z) * {0.3989422804014327})",
    ),
    "hard_tanh": ((), "z > 1 ? 1 : (z < -1 ? -1 : z)", "z > -1 && z < 1 ? {1} : 0"),
    "exp": (("exp",), "@exp(z)", "a"),
    "softmax": (("exp",), "", ""),
}
#: e^z - 1 for z < 0, else 0: what `elu` and `selu` are there.
_BELOW = Template("""static inline $T @below($T z)
{
    const $T t = @tanh((z < 0 ? z : 0) * $half);
    return (t + t) / ($one - t);
}
""")
_BITS = Template("""static inline $bits @bits($T x)
{
    $bits b;
    memcpy(&b, &x, sizeof b);
    return b;
}

static inline $T @of_bits($bits b)
{
    $T x;
    memcpy(&x, &b, sizeof x);
    return x;
}
""")
_DOT = Template("""static inline $T @dot(const $T *x, const $T *w, int n)
{
    $T s[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    int i, k;
    for (i = 0; i + 8 <= n; i += 8)
        for (k = 0; k < 8; k++) s[k] += x[i + k] * w[i + k];
    for (; i < n; i++) s[i & 7] += x[i] * w[i];
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}
""")
_FILE = Template("""/* $name: a network of fastnn $version, $T.

$layers

   $name(input, output) computes one row: $n_in inputs, $n_out outputs.
$about_jacobian
   It is C99, and C++ from C++11 on, and can be included in several files. Compile it without
   -ffast-math, which would take its functions apart. */
#ifndef FASTNN_${name}_INCLUDED
#define FASTNN_${name}_INCLUDED

#include <math.h>
#include <stdint.h>
#include <string.h>

$body
#endif
$main""")
_MAIN = Template("""
#include <stdio.h>

int main(void)
{
    static const $T inputs[$n_inputs] = {
$inputs
    };
    static const $T wanted[$n_outputs] = {
$wanted
    };
    $T output[$n_out];
    double worst = 0;
    int k, j;
    for (k = 0; k < $rows; k++) {
        $name(inputs + k * $n_in, output);
        for (j = 0; j < $n_out; j++) {
            const double y = wanted[k * $n_out + j], scale = y > 1 ? y : (y < -1 ? -y : 1);
            const double d = fabs((output[j] - y) / scale);
            if (!(d <= worst)) worst = d;
        }
    }
    printf("$name: largest difference %g, of at most $most\\n", worst);
    return worst <= $most ? 0 : 1;
}
""")


def write(
    path: str | os.PathLike[str],
    architecture: Architecture,
    parameters: np.ndarray,
    *,
    dtype: Any,
    name: str,
    jacobian: bool,
    self_test: bool,
) -> None:
    """Write the source of a function *name* in *dtype*, on request with its Jacobian and a main."""
    architecture, parameters = ready(architecture, parameters, dtype)
    source = _Source(architecture, parameters, _checked_name(name))
    with_jacobian = validation.boolean(jacobian, "jacobian")
    with_main = validation.boolean(self_test, "self_test")
    text = source.file(with_jacobian, with_main)
    with whole_file(path) as file:
        file.write(text.encode("ascii"))


def _checked_name(name: object) -> str:
    text = validation.text(name, "name")
    is_taken = (
        text in _KEYWORDS.split()
        or hasattr(math, text)
        or re.match(r"_[A-Z_]|(mem|str)[a-z]", text)
    )
    if is_taken or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text, re.ASCII):
        raise ValueError(f"name must be one that C and C++ leave to their users, got {text!r}")
    return text


class _Source:
    """The parts of the file of one network."""

    def __init__(self, architecture: Architecture, parameters: np.ndarray, name: str):
        self._architecture = architecture
        self._parameters = parameters
        self._name = name
        self._dtype = architecture.dtype
        self._type = NAMES[architecture.dtype]

    def file(self, with_jacobian: bool, with_main: bool) -> str:
        """All of it."""
        sizes = self._architecture.sizes
        parts = [*self._arrays(), *self._functions(), self._network()]
        about = ""
        if with_jacobian:
            parts.append(self._jacobian())
            about = f"   {self._name}_jacobian(input, jacobian): d output[k] / d input[i] is " \
                    f"jacobian[k * {sizes[0]} + i].\n"  # fmt: skip
        layers = (
            f"   layer {l}: {layer.n_in} -> {layer.n_out}, {layer.activation.name}"
            f"{'' if layer.bias else ', without bias'}"
            for l, layer in enumerate(self._architecture.layers, 1)
        )
        return _FILE.substitute(
            name=self._name,
            version=__version__,
            T=self._type,
            layers="\n".join(layers),
            n_in=sizes[0],
            n_out=sizes[-1],
            about_jacobian=about,
            body="\n".join(parts).replace("@", f"{self._name}_"),
            main=self._main() if with_main else "",
        )

    def _number(self, number: float) -> str:
        return literal(number, self._dtype)

    def _filled(self, text: str) -> str:
        """A formula with its numbers."""
        return re.sub(r"\{([^}]*)\}", lambda match: self._number(float(match[1])), text)

    def _list(self, numbers: np.ndarray) -> str:
        """Numbers, in lines of at most 100 characters."""
        lines, line = [], "   "
        for number in numbers.ravel():
            text = f" {self._number(number)},"
            if len(line) + len(text) > 100:
                lines.append(line)
                line = "   "
            line += text
        return "\n".join([*lines, line])

    def _arrays(self) -> Iterator[str]:
        weights = self._architecture.weight_views(self._parameters)
        biases = self._architecture.bias_views(self._parameters)
        for l, layer in enumerate(self._architecture.layers):
            array = weights[l].T if _sums_products(layer) else weights[l]
            arrays = {"weights": array, **({"bias": biases[l]} if biases else {})}
            for what, numbers in arrays.items():
                count = numbers.size
                yield (
                    f"static const {self._type} @{what}{l + 1}[{count}] = {{\n"
                    f"{self._list(numbers)}\n}};\n"
                )

    def _functions(self) -> Iterator[str]:
        """The elementary functions that the activations need, and the sum of products."""
        layers = self._architecture.layers
        names = dict.fromkeys(
            name for layer in layers for name in _ACTIVATIONS[layer.activation.name][0]
        )
        values = {
            "T": self._type,
            "bits": {"double": "uint64_t", "float": "uint32_t"}[self._type],
            "half": self._number(0.5),
            "one": self._number(1.0),
        }
        if names:
            yield _BITS.substitute(values)
        for name in names:
            yield _BELOW.substitute(values) if name == "below" else function(name, self._dtype)
        if any(_sums_products(layer) for layer in layers):
            yield _DOT.substitute(values)

    def _network(self) -> str:
        layers = self._architecture.layers
        lines = list(self._forward(with_slopes=False))
        last = len(layers)
        lines.append(f"memcpy(output, a{last}, sizeof a{last});")
        return self._function(f"{self._name}", "output", lines)

    def _function(self, name: str, result: str, lines: Iterable[str]) -> str:
        body = "".join(f"    {line}\n" for line in lines)
        kind = self._type
        return f"static inline void {name}(const {kind} *input, {kind} *{result})\n{{\n{body}}}\n"

    def _forward(self, *, with_slopes: bool) -> Iterator[str]:
        """Statements that compute each layer's outputs a1, a2, ...; and the slopes s1, s2, ..."""
        layers = self._architecture.layers
        for l, layer in enumerate(layers, 1):
            slopes = f", s{l}[{layer.n_out}]" if with_slopes else ""
            yield f"{self._type} a{l}[{layer.n_out}]{slopes};"
        some_by_input = any(
            layer.n_in >= _INPUTS_AT_ONCE and not _sums_products(layer) for layer in layers
        )
        yield "int i, j;" if some_by_input else "int j;"
        if any(layer.activation.name == "softmax" for layer in layers):
            yield f"{self._type} top, total;"
        before = "input"
        for l, layer in enumerate(layers, 1):
            yield from self._sums(l, layer, before)
            yield from self._activation(l, layer, with_slopes=with_slopes)
            before = f"a{l}"

    def _sums(self, l: int, layer: Layer, before: str) -> Iterator[str]:
        start = f"@bias{l}[j]" if layer.bias else "0"
        outputs = f"for (j = 0; j < {layer.n_out}; j++)"
        if _sums_products(layer):
            place = f"@weights{l} + j * {layer.n_in}"
            plus = f"{start} + " if layer.bias else ""
            yield f"{outputs} a{l}[j] = {plus}@dot({before}, {place}, {layer.n_in});"
            return
        yield f"{outputs} a{l}[j] = {start};"
        left = layer.n_in % _INPUTS_AT_ONCE
        together = layer.n_in - left
        if together:
            yield f"for (i = 0; i < {together}; i += {_INPUTS_AT_ONCE})"
            yield f"    {outputs}"
            first, second, third, fourth = (
                f"{before}[i{p}] * @weights{l}[(i{p}) * {layer.n_out} + j]"
                for p in ("", " + 1", " + 2", " + 3")
            )
            yield f"        a{l}[j] += ({first} + {second})"
            yield f"            + ({third} + {fourth});"
        for i in range(together, layer.n_in):
            yield f"{outputs} a{l}[j] += {before}[{i}] * @weights{l}[{i * layer.n_out} + j];"

    def _activation(self, l: int, layer: Layer, *, with_slopes: bool) -> Iterator[str]:
        name = layer.activation.name
        value, slope = map(self._filled, _ACTIVATIONS[name][1:])
        outputs = f"for (j = 0; j < {layer.n_out}; j++)"
        if name == "softmax":
            yield f"top = a{l}[0];"
            yield f"{outputs} if (a{l}[j] > top) top = a{l}[j];"
            yield "total = 0;"
            yield f"{outputs} total += a{l}[j] = @exp(a{l}[j] - top);"
            yield f"{outputs} a{l}[j] /= total;"
            return
        if name == "identity" and not with_slopes:
            return
        yield f"{outputs} {{"
        if re.search(r"\bz\b", f"{value}, {slope}" if with_slopes else value):
            yield f"    const {self._type} z = a{l}[j];"
        if "below" in _ACTIVATIONS[name][0]:
            yield f"    const {self._type} e = @below(z);"
        if with_slopes:
            yield f"    const {self._type} a = {value};"
            yield f"    a{l}[j] = a;"
            yield f"    s{l}[j] = {slope};"
        else:
            yield f"    a{l}[j] = {value};"
        yield "}"

    def _jacobian(self) -> str:
        return self._function(f"{self._name}_jacobian", "jacobian", self._backward())

    def _backward(self) -> Iterator[str]:
        """Statements that go back from each output k: g holds its derivatives by a layer's sums."""
        layers = self._architecture.layers
        widest = max(self._architecture.sizes)
        forward = list(self._forward(with_slopes=True))
        last = len(layers)
        n_out = layers[-1].n_out
        if layers[-1].activation.name == "softmax":
            forward = [line.replace(f", s{last}[{n_out}]", "") for line in forward]
            start = f"g[j] = a{last}[k] * ((j == k) - a{last}[j]);"
        else:
            start = f"g[j] = j == k ? s{last}[j] : 0;"
        declared = forward.index(next(line for line in forward if line.startswith("int ")))
        forward[declared] = "int i, j, k;"
        yield f"{self._type} g[{widest}], h[{widest}];"
        yield from forward
        yield f"for (k = 0; k < {n_out}; k++) {{"
        yield f"    for (j = 0; j < {n_out}; j++) {start}"
        for l in range(last, 0, -1):
            layer = layers[l - 1]
            j, i = f"j * {layer.n_in} + i", f"i * {layer.n_out} + j"
            place = j if _sums_products(layer) else i
            yield f"    for (i = 0; i < {layer.n_in}; i++) h[i] = 0;"
            yield f"    for (j = 0; j < {layer.n_out}; j++)"
            yield f"        for (i = 0; i < {layer.n_in}; i++) h[i] += g[j] * @weights{l}[{place}];"
            if l > 1:
                yield f"    for (i = 0; i < {layer.n_in}; i++) g[i] = h[i] * s{l - 1}[i];"
        yield f"    memcpy(jacobian + k * {layers[0].n_in}, h, {layers[0].n_in} * sizeof *h);"
        yield "}"

    def _main(self) -> str:
        architecture = self._architecture
        n_in, n_out = architecture.sizes[0], architecture.sizes[-1]
        X = np.random.default_rng(0).standard_normal((_TEST_ROWS, n_in)).astype(self._dtype)
        wanted = get_engine("numba").predictor(architecture)(self._parameters, X)
        if wanted is None or not np.isfinite(wanted).all():
            raise ValueError("self_test=True needs parameters with which outputs are finite")
        most = _TEST_UNITS * len(architecture.layers) * float(np.finfo(self._dtype).eps)
        return _MAIN.substitute(
            name=self._name,
            T=self._type,
            rows=_TEST_ROWS,
            n_in=n_in,
            n_out=n_out,
            n_inputs=X.size,
            n_outputs=wanted.size,
            inputs=self._list(X),
            wanted=self._list(wanted),
            most=f"{most:g}",
        )


def _sums_products(layer: Layer) -> bool:
    """Whether its weights lie output by output."""
    return layer.n_out < _VECTOR <= layer.n_in
