"""The keys of a keytab (MIT keytab file format, version 2), and those of them that libkrb5 may use.

Rule: libkrb5 never reads the operator's file. It gets keys that were checked here, of one principal, in memory. So a
file that is missing, truncated or being written removes no key, and other services' keys are out of reach. libkrb5's
own reader takes a truncated keytab for a shorter one: it would silently drop keys.
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
    """One key: its principal, version and encryption type, and its record as in the file."""

    principal: str
    version: int
    encryption: int
    record: bytes = field(repr=False)


class Keys:
    """Keys that libkrb5 opens by `name`. They are in memory only and vanish with this object. Raises OSError."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        descriptor = os.memfd_create("keytab")
        weakref.finalize(self, os.close, descriptor).atexit = False
        with open(descriptor, "wb", closefd=False) as file:
            file.write(_VERSION + b"".join(entry.record for entry in entries))
        self.name = f"FILE:/proc/self/fd/{descriptor}"


def read_keytab(path: Path) -> list[Entry]:
    """The keys of the file. Raises ConfigError if it cannot be read, is readable by everybody, or is no keytab."""
    data = read_private(path, _LARGEST)
    if data[:2] != _VERSION:
        raise ConfigError(f"{path}: this is not a keytab")
    try:
        return list(_entries(data))
    except (struct.error, IndexError, UnicodeDecodeError):
        raise ConfigError(f"{path}: the keytab is truncated: it ends in the middle of a key") from None


def _entries(data: bytes) -> Iterator[Entry]:
    at = len(_VERSION)
    while at < len(data):
        (size,) = struct.unpack_from(">i", data, at)
        end = at + 4 + abs(size)  # negative: a hole where a key was removed
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
