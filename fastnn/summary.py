"""The text of ``Network.summary()``."""

from io import StringIO

from rich.console import Console
from rich.table import Table

from fastnn.architecture import Architecture


def describe(architecture: Architecture) -> str:
    """A table of the layers, then totals."""
    table = Table()
    table.add_column("Layer")
    table.add_column("Activation")
    table.add_column("Output shape")
    for heading in ("Weights", "Biases", "Parameters"):
        table.add_column(heading, justify="right")
    table.add_row("input", "", f"(n, {architecture.sizes[0]})", "", "", "")
    last = len(architecture.layers)
    for number, layer in enumerate(architecture.layers, start=1):
        weights = layer.n_in * layer.n_out
        biases = layer.n_out if layer.bias is not None else 0
        table.add_row(
            "output" if number == last else f"hidden {number}",
            layer.activation.name,
            f"(n, {layer.n_out})",
            f"{weights:,}",
            f"{biases:,}",
            f"{weights + biases:,}",
        )
    text = StringIO()
    Console(file=text, width=100, color_system=None).print(table)
    size = architecture.n_parameters * architecture.dtype.itemsize
    return (
        f"{text.getvalue()}"
        f"Parameters: {architecture.n_parameters:,} ({size:,} bytes, {architecture.dtype})\n"
        f"Loss: {architecture.loss.name}, {architecture.reduction} over samples"
    )
