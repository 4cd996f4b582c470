"""The line of a key in a TOML file. TOML libraries drop it, but errors found after parsing need it."""

from __future__ import annotations

import re

_PART = r"""(?:"[^"]*"|'[^']*'|[\w-]+)"""
_PATH = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_PATH})\s*\]\]?\s*(?:#.*)?")
_KEY = re.compile(rf"\s*({_PATH})\s*=")

Keys = tuple[str | int, ...]


def line_of(text: str, keys: Keys) -> int:
    """The line, from 1, of a key path such as `("listener", 0, "tls", "key")`.

    For a key in an inline table it is the line of that table, for a missing key the line of its table's header.
    """
    lines = _lines(text)
    while keys and keys not in lines:
        keys = keys[:-1]
    return lines.get(keys, 1)


def _lines(text: str) -> dict[Keys, int]:
    lines: dict[Keys, int] = {}
    latest: dict[Keys, int] = {}  # for each array of tables, the index of its last table so far
    table: Keys = ()
    # Not splitlines: in TOML only a newline ends a line.
    for number, line in enumerate(text.split("\n"), 1):
        if header := _HEADER.fullmatch(line):
            table = ()
            *parents, last = _split(header[2])
            for part in parents:
                table = (*table, part)
                table = (*table, latest[table]) if table in latest else table
            table = (*table, last)
            lines.setdefault(table, number)
            if header[1] == "[[":
                latest[table] = latest.get(table, -1) + 1
                table = (*table, latest[table])
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault((*table, *_split(key[1])), number)
    return lines


def _split(dotted: str) -> list[str]:
    return [part.strip("\"'") for part in re.findall(_PART, dotted)]
