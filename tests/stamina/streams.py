"""Streams of P-DATA-TF of all sizes, quickly: of blocks that were made before."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from struct import pack_into

BLOCK = 1 << 20
"""Bytes of a block: whole PDUs."""
CONTEXTS = (1, 3)
_SHORTEST = 12  # a PDU with one PDV without a fragment
_CUTS = (1, 5, 6, 11, 12, 13, 1_000, 16_384, 65_536, 65_537, 300_000)  # bytes given to TCP at a time


@dataclass(frozen=True)
class Block:
    """What is sent at a time, and the number of its PDUs."""

    data: memoryview
    pdus: int


def make_block(chance: random.Random, maximum: int) -> Block:
    """PDUs of all sizes up to the maximum, in the sense of their logarithm, with up to five PDVs each."""
    maximum = min(maximum or BLOCK, BLOCK - 6)
    data, position, pdus = bytearray(chance.randbytes(BLOCK)), 0, 0
    while position < BLOCK:
        left = BLOCK - position - 6
        length = min(maximum, 2 * round(math.exp(chance.uniform(math.log(3), math.log(maximum / 2) + 0.2))))
        if left - length < _SHORTEST:
            length = left if left <= maximum else length - _SHORTEST
        pack_into(">BxL", data, position, 4, length)
        position += 6
        for item in _cut(chance, length):
            pack_into(">LBB", data, position, item - 4, chance.choice(CONTEXTS), chance.randrange(4))
            position += item
        pdus += 1
    return Block(memoryview(data), pdus)


def _cut(chance: random.Random, length: int) -> Iterator[int]:
    """The lengths of the PDVs of a PDU: even, headers included, 6 at least (PS3.8 9.3.5.1)."""
    for _ in range(chance.randrange(5)):
        if length < 12:
            break
        item = 2 * chance.randrange(3, length // 2 - 2)
        yield item
        length -= item
    yield length


class Stream:
    """What one end sends, cut anywhere: a block that is its own, then others in an order of chance."""

    def __init__(self, chance: random.Random, maximum: int, blocks: list[Block], count: int) -> None:
        self.sum = hashlib.sha256()
        self.pdus = 0
        self._chance = chance
        self._blocks = [make_block(chance, maximum), *chance.choices(blocks, k=count - 1)]

    def pieces(self) -> Iterator[memoryview]:
        """Each piece, to be sent before the next one is asked for."""
        for block in self._blocks:
            self.sum.update(block.data)
            self.pdus += block.pdus
            position = 0
            while position < BLOCK:
                end = position + self._chance.choice(_CUTS)
                yield block.data[position:end]
                position = end
