"""Loading networks: ``fastnn.load(path)``, and the file that ``net.save(path)`` writes.

A file holds all that a network needs to go on with the same bits as if it had never been saved. It
is a safetensors file (https://github.com/huggingface/safetensors), which any program can read: the
length N of the header as a little-endian 64-bit number; N bytes of header, a JSON object;
then the tensors' numbers, little-endian. Nothing in it is ever executed.

Format version 1
----------------
The header's ``__metadata__`` has these entries, all strings; those marked JSON are JSON objects
inside a string.

``format``
    ``fastnn``.
``format_version``
    ``1``. A reader refuses versions that it does not know.
``fastnn_version``
    What wrote the file.
``network`` (JSON)
    The arguments of `fastnn.Network`: layer_sizes (n_0, ..., n_L), activation (a list, one name per
    hidden layer), output_activation, loss, missing (absent: "raise"), reduction, bias, l1, l2,
    max_norm (null: none), dropout (a list, one rate per hidden layer), label_smoothing, quantiles
    (null: none), dtype, engine; and initializer (null or absent: not known).
``optimizer`` (JSON)
    ``kind``, the name of one of fastnn's optimiser classes, and its settings by name. A
    learning-rate schedule is an object of the same form in place of the number.
``random`` (JSON)
    The state of NumPy's bit generator, as its ``state`` gives it, arrays as lists (numbers of up to
    128 bits), and ``dropout_key``, a number of up to 64 bits.
``history`` (JSON)
    What of the last fit's History is one number or text, by name; null if there was no fit.
``sha256``
    In 64 small hexadecimal digits the SHA-256 of the whole file, from its first byte
    to its last, with 64 zeros (``0``) in the place of these digits. They come after the bytes
    ``"sha256":"``, which occur once in the header.

The tensors:

``state.parameters``, shape (P,), F64 or F32
    Layer by layer from the input: the weights (n_in, n_out) row by row, then the bias (n_out,),
    absent with ``bias`` false.
``state.moments``, shape (k, P), F64 or F32
    What the optimiser remembers: see `fastnn.optimizers`.
``state.updates``, shape (1,), I64
    Updates so far. Likewise every other array of `fastnn.contract.State` and of its clock, by its
    name.
``history.NAME``, shape (epochs,), F64
    The lists of the History: ``history.loss`` and others.
``history.metrics.NAME``, shape (epochs,), F64
    Each list in the History's dict of metrics.
``history.parameters``, shape (k, P), F64 or F32, and ``history.recorded_epochs``, shape (k,), I64
    What was recorded, and after which epochs; neither without ``fit(..., record=...)``.

The file of a `fastnn.Ensemble` has ``network`` once, for all, and beside it ``ensemble`` (JSON):
``n_networks``; ``bootstrap``; and ``key``, the number of up to 63 bits from which it draws rows.
The other entries and all tensors are there for each network, with its number and a point before
their names: ``0.optimizer``, ``0.state.parameters``.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from fastnn import validation
from fastnn.contract import quiet
from fastnn.errors import LoadError
from fastnn.files import Tensors, Texts, read
from fastnn.network import Network
from fastnn.record import Record

#: What a file can make the code that builds a network raise.
_BAD_CONTENT = (ValueError, TypeError, LookupError, ArithmeticError, MemoryError, RecursionError)


@quiet
def load(path: str | os.PathLike[str]) -> Network:
    """Read a network that `Network.save` wrote.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    Network
        It goes on as the saved one would have: predictions, and training with the same arguments,
        shuffling and dropout included, are the same to the bit. Give ``fit`` the optimiser again:
        without one it uses SGD.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    OSError
        If it may not be read.
    LoadError
        A ValueError: if it is anything else than a whole file of a known version. For the file of
        an ensemble there is `Ensemble.load`.

    Examples
    --------
    >>> import fastnn, os, tempfile
    >>> net = fastnn.Network([2, 4, 1], seed=1)
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     path = os.path.join(directory, "net.safetensors")
    ...     net.save(path)
    ...     twin = fastnn.load(path)
    >>> bool((twin.parameters == net.parameters).all())
    True
    """
    with reading(path) as (texts, tensors):
        if "ensemble" in texts:
            raise ValueError("it holds an ensemble: read it by fastnn.Ensemble.load")
        return Network._of_record(Record.of_parts(texts, tensors))


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[tuple[Texts, Tensors]]:
    """What is in a file; whatever turns out to be wrong with it inside is a LoadError."""
    name = validation.path(path, "path")
    try:
        yield read(name)
    except KeyError as error:
        raise LoadError(name, f"it lacks {error}") from error
    except _BAD_CONTENT as error:
        raise LoadError(name, str(error) or type(error).__name__) from error
