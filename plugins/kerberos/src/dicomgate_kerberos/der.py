"""The part of DER that an AP-REQ needs: definite lengths, tags of one byte (X.690 8.1, 10.1)."""

from __future__ import annotations

from collections.abc import Iterator


class DerError(ValueError):
    """Not DER, or not the expected element."""


def read(data: bytes, tag: int) -> bytes:
    """The content of the one element of this tag that `data` is. Raises DerError."""
    found, content, end = _element(data, 0)
    if found != tag or end != len(data):
        raise DerError(f"tag {found:#x} instead of {tag:#x}, or data after it")
    return content


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element in `data`, to its last byte. Raises DerError."""
    at = 0
    while at < len(data):
        tag, content, at = _element(data, at)
        yield tag, content


def fields(data: bytes) -> dict[int, bytes]:
    """The content of a SEQUENCE's fields by their context tag: [0], [1], ... Raises DerError if one comes twice."""
    found: dict[int, bytes] = {}
    for tag, content in elements(data):
        if not 0xA0 <= tag <= 0xBE or tag - 0xA0 in found:
            raise DerError(f"tag {tag:#x} instead of a field, or a field that comes twice")
        found[tag - 0xA0] = content
    return found


def number(data: bytes) -> int:
    """An INTEGER. Raises DerError."""
    content = read(data, 0x02)
    if not 1 <= len(content) <= 8:
        raise DerError("not a number")
    return int.from_bytes(content, signed=True)


def write(tag: int, content: bytes) -> bytes:
    """One element."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 + len(length))) + length + content


def _element(data: bytes, at: int) -> tuple[int, bytes, int]:
    if len(data) - at < 2 or data[at] & 0x1F == 0x1F:
        raise DerError("cut off, or a long tag")
    tag, length, at = data[at], data[at + 1], at + 2
    if length >= 0x80:
        size = length - 0x80
        if not 1 <= size <= 4 or at + size > len(data):
            raise DerError("cut off, or an indefinite or very long length")
        length = int.from_bytes(data[at : at + size])
        at += size
        if length < 0x80 or length.bit_length() <= 8 * (size - 1):
            raise DerError("a length not in its shortest form")
    if at + length > len(data):
        raise DerError("longer than its container")
    return tag, data[at : at + length], at + length
