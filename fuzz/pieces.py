"""A stream as a network may deliver it."""

from __future__ import annotations

from zlib import crc32

_SHORT = 512
_MOST_CUTS = 6


def pieces(data: bytes) -> list[bytes]:
    """The data in pieces, as follows from it alone: one in sixteen is cut at each byte, the others at some places."""
    chance = crc32(data)
    if not chance % 16 and len(data) <= _SHORT:
        return [data[at : at + 1] for at in range(len(data))]
    cuts = []
    for _ in range(1 + chance % _MOST_CUTS):
        chance = (chance * 1_664_525 + 1_013_904_223) & 0xFFFF_FFFF  # by the lower bits alone it would not be even
        cuts.append((chance * len(data)) >> 32)
    cuts.sort()
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True) if start < end]
