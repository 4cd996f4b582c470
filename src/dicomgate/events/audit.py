"""The audit: one JSON object a line, for other programs to keep and search.

Every string is cut to 256 characters and written in ASCII: no newline, escape sequence or right-to-left override in a
username can forge a record or mislead a terminal. Every record is written on its own: if one is lost on a full disk, no
other is lost with it.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from enum import Enum
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO, cast, get_args

from ..errors import StartError
from .events import Event, Facts

_log = logging.getLogger("dicomgate.audit")
_LONGEST = 256
_MODE = 0o640
_encode = json.JSONEncoder(ensure_ascii=True, check_circular=False).encode  # no record contains itself

_OWN_FIELDS = {kind: tuple(field.name for field in fields(kind))[1:] for kind in get_args(Event)}
_FIELDS = {kind: (*Facts._fields, *own) for kind, own in _OWN_FIELDS.items()}
_READ = {kind: attrgetter("facts", *own) for kind, own in _OWN_FIELDS.items()}


def record(event: Event, **head: object) -> dict[str, object]:
    """The JSON object of one event: its kind, then `head`, what is known of the association, the event's own fields."""
    kind = type(event)
    found: dict[str, object] = {"event": kind.__name__, **head}
    facts, *own = _READ[kind](event)
    for name, value in zip(_FIELDS[kind], (*facts, *own), strict=True):
        # The quick way for short text and numbers: an association writes some 45 fields.
        short = value.__class__ is str and len(value) <= _LONGEST
        found[name] = value if short or value.__class__ is int or value is None else _plain(value)
    return found


def _plain(value: object) -> object:
    if isinstance(value, datetime):  # first: every record has one
        return value.isoformat(timespec="milliseconds")
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {_plain(str(key)): _plain(item) for key, item in value.items()}
    return round(value, 3) if isinstance(value, float) else value


class Audit:
    """Writes events to a file, or to standard output if `path` is None. Call it with an event."""

    def __init__(self, path: Path | None, node: str) -> None:
        """Raises StartError if the file cannot be opened for appending."""
        self._path = path
        self._node = node
        self._stream = self._open()
        self._torn = False

    def _open(self) -> BinaryIO:
        if self._path is None:
            return sys.stdout.buffer
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
        except OSError as error:
            raise StartError(f"the audit file {self._path} cannot be written: {error.strerror}") from error
        # Unbuffered: a buffer would write the rest of a lost record in front of a later one.
        return cast(BinaryIO, os.fdopen(descriptor, "wb", buffering=0))

    def __call__(self, event: Event) -> None:
        """Write one line. If that fails, it is logged; associations go on."""
        line = f"{_encode(record(event, node=self._node))}\n".encode("ascii")
        if self._torn:
            line = b"\n" + line
        try:
            self._torn = self._stream.write(line) < len(line)
            self._stream.flush()
            lost = "only a part of it was written" if self._torn else ""
        except OSError as error:
            lost = error.strerror or str(error)
        if lost:
            _log.error("%s: the audit record %s is lost: %s", event.facts.id, type(event).__name__, lost)

    def close(self) -> None:
        """Close the file; standard output stays open."""
        if self._path is not None:
            self._stream.close()
