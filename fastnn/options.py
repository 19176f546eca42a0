"""What the command line takes: texts that become paths and numbers, and files to be written."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from fastnn.names import short


class BadInputError(Exception):
    """What the user asked for cannot be done; the message says why."""


def path_of(text: str) -> Path:
    """A file's or directory's name; ArgumentTypeError, to which argparse adds the option."""
    from fastnn import validation

    try:
        return Path(validation.path(text, "it"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def words_of(text: str) -> list[str]:
    """The words of a list with commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def numbers_of(text: str | None, option: str) -> list[int] | None:
    """The whole numbers of a list with commas."""
    return None if text is None else [number_of(word, option, int) for word in words_of(text)]


def number_of(text: str | None, option: str, kind: type[int] | type[float]) -> Any:
    """A whole number or a float; None where there is no text."""
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        what = "whole numbers" if kind is int else "a number"
        raise BadInputError(f"{option} takes {what}, got {short(text)}") from None


def prepare_for_file(path: Path) -> None:
    """Find out before the work, not after it, that a file cannot be written."""
    try:
        is_new = not path.exists()
        with path.open("ab"):
            pass
        if is_new:
            path.unlink()
    except OSError as error:
        raise BadInputError(f"cannot write {path}: {error.strerror}") from None


def prepare_for_plot(path: Path) -> None:
    """Find out before the work that matplotlib is missing or does not know the kind of file."""
    from fastnn.plotting import pyplot

    try:
        kinds = pyplot().figure().canvas.get_supported_filetypes()
        pyplot().close()
    except ImportError as error:
        raise BadInputError(error) from None
    if path.suffix[1:].lower() not in kinds:
        raise BadInputError(f"cannot draw {path}: its name must end in .png, .svg or .pdf")


def prepare_for_pictures(folder: Path) -> None:
    """Find out before the training, not after it, that pictures cannot be made."""
    from fastnn.plotting import pyplot

    try:
        pyplot()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except ImportError as error:
        raise BadInputError(error) from None
    except OSError as error:
        raise BadInputError(f"cannot write pictures to {folder}: {error.strerror}") from None
