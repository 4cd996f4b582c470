"""An answer with a list that may be long, made piece by piece.

While a thread of Python works, all others wait, the gateway's own too: so it works for less than a millisecond at a
time, and takes a breath in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field

from .as_json import encoded

MOST = 10_000
"""Rows of one answer; `left_out` says how many more there are."""
PIECE = 32
_BREATH = 0.0005  # seconds


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
                await asyncio.sleep(_BREATH)
        others = encoded({"left_out": left_out, **self.others})
        yield b"".join([*piece, b"], ", others.removeprefix(b"{"), b"\n"])
