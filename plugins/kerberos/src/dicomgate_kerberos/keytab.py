"""What a keytab holds (MIT keytab file format, version 2), and the part of it that libkrb5 is to use.

Law: libkrb5 never reads the operator's file. It reads what was checked here, from memory: the keys of one principal.
So a file that is gone, torn or being written takes nothing away, and the key of another service is not even there.
"""

from __future__ import annotations

import os
import struct
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dicomgate import ConfigError
from dicomgate.kit.files import read_private

_VERSION = b"\x05\x02"
_LARGEST = 1_048_576


@dataclass(frozen=True, slots=True)
class Entry:
    """One key: whose, its version, for which encryption; and the record as it stands in the file."""

    principal: str
    version: int
    encryption: int
    record: bytes = field(repr=False)


class Keys:
    """Keys that libkrb5 opens by `name`. They are in no folder, and gone with this object."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        descriptor = os.memfd_create("keytab")
        weakref.finalize(self, os.close, descriptor).atexit = False
        with open(descriptor, "wb", closefd=False) as file:
            file.write(_VERSION + b"".join(entry.record for entry in entries))
        self.name = f"FILE:/proc/self/fd/{descriptor}"


def read_keytab(path: Path) -> list[Entry]:
    """The keys of the file. Raises ConfigError: it cannot be read, is open to everybody, or is no keytab."""
    data = read_private(path, _LARGEST)
    if data[:2] != _VERSION:
        raise ConfigError(f"{path}: this is not a keytab")
    try:
        return list(_entries(data))
    except (struct.error, IndexError, UnicodeDecodeError):
        raise ConfigError(f"{path}: the keytab is torn: it ends in the middle of a key") from None


def _entries(data: bytes) -> Iterator[Entry]:
    at = len(_VERSION)
    while at < len(data):
        (size,) = struct.unpack_from(">i", data, at)
        end = at + 4 + abs(size)  # below zero: a hole, where a key was removed
        if end > len(data):
            raise IndexError
        if size > 0:
            yield _entry(data[at:end])
        at = end


def _entry(record: bytes) -> Entry:
    (count,) = struct.unpack_from(">H", record, 4)
    at, texts = 6, []
    for _ in range(count + 1):  # the realm, then the components
        (length,) = struct.unpack_from(">H", record, at)
        texts.append(record[at + 2 : at + 2 + length].decode("utf-8"))
        at += 2 + length
    version, encryption, length = struct.unpack_from(">BHH", record, at + 8)
    at += 13 + length
    if at > len(record):
        raise IndexError
    if len(record) - at >= 4:
        (longer,) = struct.unpack_from(">I", record, at)
        version = longer or version
    realm, *components = texts
    return Entry(f"{'/'.join(components)}@{realm}", version, encryption, record)
