"""Mutations of a seed: bits, lengths, pieces removed, repeated, moved between seeds, words inserted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

LONGEST = 65_536
"""Inputs are cut to this: the longest field of an identity (PS3.7 table D.3-14)."""
_LENGTHS = (0, 1, 2, 4, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x1_0000, 0x7FFF_FFFF, 0xFFFF_FFFF)
_Mutation = Callable[[Random, bytearray, Sequence[bytes], Sequence[bytes]], None]


def mutated(random: Random, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """One of the seeds, changed one to four times. Half of the inputs keep their length, to get beyond the framing."""
    data = bytearray(random.choice(seeds))
    mutations = random.choice((_IN_PLACE, _ALL))
    for _ in range(random.choice((1, 1, 2, 4))):
        random.choice(mutations)(random, data, seeds, words)
    return bytes(data[:LONGEST])


def _flip(random: Random, data: bytearray, seeds: Sequence[bytes], words: Sequence[bytes]) -> None:
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _replace(random: Random, data: bytearray, seeds: Sequence[bytes], words: Sequence[bytes]) -> None:
    if data:
        data[random.randrange(len(data))] = random.randrange(256)


def _length(random: Random, data: bytearray, seeds: Sequence[bytes], words: Sequence[bytes]) -> None:
    """A big-endian number of two or four bytes: an extreme one, or the one there a little off."""
    size = random.choice((2, 4))
    if len(data) < size:
        return
    at = random.randrange(len(data) - size + 1)
    near = int.from_bytes(data[at : at + size]) + random.randint(-2, 2)
    value = random.choice((near, *_LENGTHS)) % (1 << 8 * size)
    data[at : at + size] = value.to_bytes(size)


def _remove(random: Random, data: bytearray, seeds: Sequence[bytes], words: Sequence[bytes]) -> None:
    start, end = _slice(random, data)
    del data[start:end]


def _repeat(random: Random, data: bytearray, seeds: Sequence[bytes], words: Sequence[bytes]) -> None:
    start, end = _slice(random, data)
    data[end:end] = data[start:end] * random.choice((1, 1, 2, 100))


def _cut(random: Random, data: bytearray, seeds: Sequence[bytes], words: Sequence[bytes]) -> None:
    del data[random.randrange(len(data) + 1) :]


def _splice(random: Random, data: bytearray, seeds: Sequence[bytes], words: Sequence[bytes]) -> None:
    other = random.choice(seeds)
    start, end = _slice(random, other)
    at = random.randrange(len(data) + 1)
    data[at : at + random.choice((0, end - start))] = other[start:end]


def _insert(random: Random, data: bytearray, seeds: Sequence[bytes], words: Sequence[bytes]) -> None:
    at = random.randrange(len(data) + 1)
    data[at:at] = random.choice(words) if words else random.randbytes(random.randint(1, 8))


def _slice(random: Random, data: bytes | bytearray) -> tuple[int, int]:
    start = random.randrange(len(data) + 1)
    return start, min(len(data), start + random.choice((1, 4, 16, 64, 1024)))


_IN_PLACE: tuple[_Mutation, ...] = (_flip, _replace, _length)
_ALL: tuple[_Mutation, ...] = (*_IN_PLACE, _remove, _repeat, _cut, _splice, _insert)
