"""The keys of a keytab (MIT keytab file format, version 2), and those of them that libkrb5 may use.

Rule: libkrb5 never reads the operator's file. It gets keys that were checked here, of one principal, in memory. So a
file that is missing, truncated or being written removes no key, and other services' keys are out of reach. libkrb5's
own reader takes a truncated keytab for a shorter one: it would silently drop keys.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dicomgate import ConfigError
from dicomgate.kit.files import read_private

from .memory import MemoryFile

AES = {17: "aes128-cts-hmac-sha1-96", 18: "aes256-cts-hmac-sha1-96", 19: "aes128-cts-hmac-sha256-128",
       20: "aes256-cts-hmac-sha384-192"}  # fmt: skip
"""RFC 3962, RFC 8009."""
_VERSION = b"\x05\x02"
_LARGEST = 1_048_576


@dataclass(frozen=True, slots=True)
class Entry:
    """One key: its principal, version and encryption type, and its record as in the file."""

    principal: str
    version: int
    encryption: int
    record: bytes = field(repr=False)


class Keys(MemoryFile):
    """Keys that libkrb5 opens by `name`. They are in memory only and vanish with this object. Raises OSError."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        super().__init__(_VERSION + b"".join(entry.record for entry in entries))


def usable_keys(path: Path, principal: str) -> list[Entry]:
    """The AES keys of this principal in the file. Raises ConfigError, also if there is none."""
    entries = read_keytab(path)
    own = [entry for entry in entries if entry.principal == principal]
    if not own:
        found = ", ".join(sorted({entry.principal for entry in entries})) or "no key"
        raise ConfigError(f"{path}: has no key of {principal}; it has {found}")
    usable = [entry for entry in own if entry.encryption in AES]
    if not usable:
        raise ConfigError(f"{path}: has no AES key of {principal}")
    return usable


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
