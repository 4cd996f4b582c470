"""The line of a TOML file on which a key stands, for errors found after parsing."""

from __future__ import annotations

import re

_PART = r"""(?:"[^"]*"|'[^']*'|[\w-]+)"""
_PATH = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_PATH})\s*\]\]?\s*(?:#.*)?")
_KEY = re.compile(rf"\s*({_PATH})\s*=")

Keys = tuple[str | int, ...]


def line_of(text: str, keys: Keys) -> int:
    """The line (from 1) of a key path such as `("listener", 0, "tls", "key")`.

    A key inside an inline table has the line of that table, one that is missing the line of its table's header.
    """
    places = _places(text)
    while keys and keys not in places:
        keys = keys[:-1]
    return places.get(keys, 1)


def _places(text: str) -> dict[Keys, int]:
    places: dict[Keys, int] = {}
    latest: dict[Keys, int] = {}  # of each array of tables, the index of the table that is being read
    table: Keys = ()
    # Not splitlines: TOML ends a line with a newline, and with nothing else.
    for number, line in enumerate(text.split("\n"), 1):
        if header := _HEADER.fullmatch(line):
            table = ()
            *parents, last = _split(header[2])
            for part in parents:
                table = (*table, part)
                table = (*table, latest[table]) if table in latest else table
            table = (*table, last)
            if header[1] == "[[":
                latest[table] = latest.get(table, -1) + 1
                table = (*table, latest[table])
            places.setdefault(table, number)
        elif key := _KEY.match(line):
            places.setdefault((*table, *_split(key[1])), number)
    return places


def _split(dotted: str) -> list[str]:
    return [part.strip("\"'") for part in re.findall(_PART, dotted)]
