"""Networks that leave for other systems, and arrive from them: one module for each system.

``chain.py``
    What every reader makes of what it reads: layers, one after the other.
``arrivals.py``
    The doors: `fastnn.from_onnx`, `fastnn.from_torch`, `fastnn.from_keras`. A chain becomes a
    `fastnn.Network`, which the modules of the systems do not know.
``departures.py``
    What every writer begins with.
``activations.py``
    Every activation as ONNX's operators, for writing and for recognising.
``onnx.py``, ``onnx_chain.py``, ``onnx_file.py``
    ONNX: the graph of a network; a graph read; and of a file what must be looked at before it is
    trusted.
``sklearn.py``
    `register_skl2onnx`: pipelines with the estimators, through skl2onnx.
``torch.py``, ``keras.py``
    PyTorch's modules and optimisers, Keras's models.
``c.py``, ``c_functions.py``
    C source, and the elementary functions in it.
``convert.py``
    ``fastnn convert``: from one file to another, by their endings.

What fastnn saves itself, safetensors, is described in `fastnn.persistence`. Whatever is read is
data, and none of it is ever executed; sizes are checked before memory is asked for.
"""

from fastnn.exchange.sklearn import register_skl2onnx

__all__ = ["register_skl2onnx"]
