"""Looking up a name in a table, with a message that helps when it is not there."""

import difflib
from collections.abc import Mapping
from typing import TypeVar

Item = TypeVar("Item")


def find(
    name: object,
    table: Mapping[str, Item],
    argument: str,
    aliases: Mapping[str, str] | None = None,
) -> Item:
    """Return ``table[name]``.

    Raises
    ------
    TypeError
        If *name* is not a string.
    ValueError
        If it is not in the table; the message lists the known names and the nearest one.
    """
    aliases = aliases or {}
    if not isinstance(name, str):
        raise TypeError(f"{argument} must be a string, got {type(name).__name__}: {name!r}")
    key = aliases.get(name, name)
    if key in table:
        return table[key]
    known = sorted([*table, *aliases])
    near = difflib.get_close_matches(name.lower(), known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{argument}={name!r} is not known.{hint} Known: {', '.join(known)}.")
