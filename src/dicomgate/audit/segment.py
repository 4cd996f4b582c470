"""One file of a spool: records behind each other, each with a checksum.

A record is a header (length of the message, CRC-32 of all that follows it, number, time in seconds since 1970), then
the message. The file's name is the number of its first record.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..kit.files import sync_folder

_HEADER = struct.Struct(">IIQd")
_CHECKED = struct.Struct(">Qd")
_MODE = 0o640
_LONGEST = 1_048_576  # bytes of a message; more is damage
SUFFIX = ".spool"


class Record(NamedTuple):
    """A message, its number and its time, and where it ends in its file."""

    number: int
    time: float
    message: bytes
    end: int


def encoded(number: int, time: float, message: bytes) -> bytes:
    """A record as it stands in a file."""
    checksum = zlib.crc32(message, zlib.crc32(_CHECKED.pack(number, time)))
    return _HEADER.pack(len(message), checksum, number, time) + message


def decoded(data: bytes, start: int) -> Iterator[Record]:
    """The whole and undamaged records at the beginning of data that stands at `start` in its file."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, checksum, number, time = _HEADER.unpack_from(data, at)
        end = at + _HEADER.size + length
        if length > _LONGEST or end > len(data) or zlib.crc32(data[at + 8 : end]) != checksum:
            return
        yield Record(number, time, data[at + _HEADER.size : end], start + end)
        at = end


class Segment:
    """One file. `first` and `last` are the numbers of its records; `last` is less than `first` while it has none."""

    def __init__(self, path: Path, descriptor: int, records: Sequence[Record], size: int) -> None:
        """For `create` and `read`."""
        self.path = path
        self.first = int(path.stem)
        self.last = self.first + len(records) - 1
        self.size = size
        self._descriptor = descriptor
        self._unsynced: list[tuple[int, bytes]] = []  # with the place of each
        self._again = False  # the last sync failed
        self._unnamed = not records  # its name may not be on the disk

    @classmethod
    def create(cls, folder: Path, first: int) -> Segment:
        """A new file. Raises OSError."""
        path = folder / f"{first:020d}{SUFFIX}"
        return cls(path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE), (), 0)

    @classmethod
    def read(cls, path: Path) -> tuple[Segment, list[Record], int]:
        """A file, its records, and how many bytes at its end are none: they are cut off. Raises OSError."""
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            data = path.read_bytes()
            records = [
                record for index, record in enumerate(decoded(data, 0)) if record.number == int(path.stem) + index
            ]
            size = records[-1].end if records else 0
            if size < len(data):
                os.ftruncate(descriptor, size)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor, records, size), records, len(data) - size

    def append(self, data: bytes, count: int) -> None:
        """Write so many records, all or none. Raises OSError."""
        try:
            self._write(data, self.size)
        except OSError:
            os.ftruncate(self._descriptor, self.size)
            raise
        self._unsynced.append((self.size, data))
        self.size += len(data)
        self.last += count

    def records(self, start: int, most_bytes: int, number: int) -> list[Record]:
        """Records from this place on, so many bytes of them, but one at least if there is one. Raises OSError.

        `number` is that of the record before. Where the file was damaged meanwhile, it goes on behind that.
        """
        data = os.pread(self._descriptor, min(most_bytes, self.size - start), start)
        found = [*decoded(data, start)]
        if found or start >= self.size:
            return found
        data = os.pread(self._descriptor, self.size - start, start)
        behind = 0 if [*decoded(data, start)] else _found(data, 0, max(number, self.first - 1))
        return [] if behind is None else [*decoded(data[behind:], start + behind)][:1]

    def sync(self) -> None:
        """Wait until what is written is on the disk. Raises OSError; then the next call writes it again."""
        if self._again:
            # Linux tells of a failure once and takes the pages for clean: the next fdatasync would find nothing to do.
            for start, data in self._unsynced:
                self._write(data, start)
        self._again = True
        os.fdatasync(self._descriptor)
        if self._unnamed:
            sync_folder(self.path.parent)
        self._again = self._unnamed = False
        self._unsynced.clear()

    def remove(self) -> None:
        """Delete the file."""
        self.close()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Keep the file, and use it no more."""
        os.close(self._descriptor)

    def _write(self, data: bytes, start: int) -> None:
        written = 0
        while written < len(data):
            written += os.pwrite(self._descriptor, data[written:], start + written)


def files(folder: Path) -> tuple[list[Path], int]:
    """The files of a spool, in order; and how many bytes in the middle of them were no records.

    What stands behind such damage is given a file of its own: no file has any before its end. Raises OSError.
    """
    pattern = f"{'[0-9]' * 20}{SUFFIX}"
    damaged = sum(map(_split, [*folder.glob(pattern)]))
    return sorted(folder.glob(pattern)), damaged


def _split(path: Path) -> int:
    data = path.read_bytes()
    at, number = _run(data, 0, int(path.stem))
    left, moved = at, 0
    while (start := _found(data, at, number)) is not None:
        first = _HEADER.unpack_from(data, start)[2]
        at, number = _run(data, start, first)
        # A process that is killed here does it again: what is in two files is written over.
        new = path.with_name(f"{first:020d}.new")
        new.touch(_MODE)
        new.write_bytes(data[start:at])
        new.replace(path.with_name(f"{first:020d}{SUFFIX}"))
        moved += at - start
    if not moved:
        return 0
    os.truncate(path, left)
    return len(data) - left - moved


def _run(data: bytes, start: int, number: int) -> tuple[int, int]:
    """Where the records end that begin here with this number, one behind the other; and the number behind them."""
    end = start
    for record in decoded(data[start:], start):
        if record.number != number:
            break
        end, number = record.end, number + 1
    return end, number


def _found(data: bytes, at: int, number: int) -> int | None:
    """Where the next record with a higher number begins. No message can look like one: it has no NUL."""
    for start in range(at, len(data) - _HEADER.size + 1):
        length, _, found, _ = _HEADER.unpack_from(data, start)
        likely = number < found < number + len(data) and length <= _LONGEST
        if likely and [*decoded(data[start : start + _HEADER.size + length], start)]:
            return start
    return None
