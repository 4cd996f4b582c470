"""A stream as a network may deliver it."""

from __future__ import annotations

from random import Random
from zlib import crc32

_SHORT = 64
_MOST_CUTS = 6


def pieces(data: bytes) -> list[bytes]:
    """The data cut into pieces: at each byte if it is short, else at some places, which follow from the data alone."""
    if len(data) <= _SHORT:
        return [data[at : at + 1] for at in range(len(data))]
    random = Random(crc32(data))
    cuts = sorted(int(random.random() * len(data)) for _ in range(1 + int(random.random() * _MOST_CUTS)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True) if start < end]
