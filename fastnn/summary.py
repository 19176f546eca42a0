"""The text of ``Network.summary()``."""

from rich.table import Table

from fastnn.architecture import Architecture
from fastnn.printing import render


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
    size = architecture.n_parameters * architecture.dtype.itemsize
    return (
        f"{render(table)}"
        f"Parameters: {architecture.n_parameters:,} ({size:,} bytes, {architecture.dtype})\n"
        f"Loss: {architecture.loss.name}, {architecture.reduction} over samples"
    )
