"""Answers as JSON: objects with the names of their fields, times in ISO 8601, long lists in pieces.

A long list is made for less than a millisecond at a time (see `thread.breathe`).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path

from .thread import breathe

MOST = 10_000
"""Rows of one answer; `left_out` says how many more there are."""
PIECE = 32


def encoded(value: object) -> bytes:
    """The value in ASCII, on one line."""
    return json.dumps(_plain(value)).encode("ascii")


@dataclass(frozen=True, slots=True)
class LongList:
    """The answer has these rows under this name, without those that are None, and beside them the `others`."""

    name: str
    rows: Iterable[object]
    others: Mapping[str, object] = field(default_factory=dict)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The answer as JSON, on one line."""
        yield b'{"%s": [' % self.name.encode("ascii")
        told = left_out = 0
        piece: list[bytes] = []
        for number, row in enumerate(self.rows, 1):
            if row is not None and told < MOST:
                piece.append((b", " if told else b"") + encoded(row))
                told += 1
            else:
                left_out += row is not None
            if not number % PIECE:
                yield b"".join(piece)
                piece.clear()
                await breathe()
        others = encoded({"left_out": left_out, **self.others})
        yield b"".join([*piece, b"], ", others.removeprefix(b"{"), b"\n"])


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(one) for name, one in value._asdict().items()}
    if isinstance(value, Sequence):
        return [_plain(one) for one in value]
    raise TypeError(f"no JSON is known for {type(value).__name__}")
