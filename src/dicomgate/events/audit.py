"""The audit: one JSON object a line, for other programs to keep and search.

Every string is cut to 256 characters and written in ASCII: no newline, escape sequence or right-to-left override in a
username can forge a record or mislead a terminal. A record is made when the event happens, in the event loop, and
written later (events/writer.py): made in the thread, it would hold up the loop just as long, but at any time.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from enum import Enum
from json.encoder import encode_basestring_ascii
from pathlib import Path
from types import NoneType
from typing import Any, TypeAlias, cast, get_args

from ..errors import StartError
from .events import Event, Facts, Lost, Operated
from .writer import MOST, PATIENCE, Done, Loss, Writer

_log = logging.getLogger("dicomgate.audit")
_LONGEST = 256
_MODE = 0o640
_STANDARD_OUTPUT = 1  # and not sys.stdout, which a program may have replaced, and which has a lock

_Encode: TypeAlias = Callable[[Any], str]


def record(event: Event) -> dict[str, object]:
    """What the audit says of one event: its kind, what is known of the association, the event's own fields."""
    found: dict[str, object] = json.loads(_line(event))
    return found


def _line(event: Event, head: str = "") -> str:
    """The JSON object of one event, as a line; `head` is what stands behind its kind."""
    facts, *own = event
    return _LINES[event.__class__] % (head, *[_ENCODE[value.__class__](value) for value in (*facts, *own)])


def line_of(record: Lost | Operated, node: str) -> str:
    """The line of a record that is about no association."""
    return f"{_object({'event': type(record).__name__, 'node': node, **asdict(record)})}\n"


def _text(value: str) -> str:
    return encode_basestring_ascii(value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…")


def _texts(values: Iterable[str]) -> str:
    return f"[{', '.join(map(_text, values))}]"


def _object(values: Mapping[str, object]) -> str:
    pairs = [f"{_text(name)}: {_ENCODE[value.__class__](value)}" for name, value in values.items()]
    return f"{{{', '.join(pairs)}}}"


class _Encoders(dict[type, _Encode]):
    """How a value becomes JSON, by its class. An association writes some 45; json.dumps would take twice as long."""

    def __missing__(self, kind: type) -> _Encode:
        """A subclass is written as its base."""
        self[kind] = encode = next(encode for base, encode in _BY_BASE if issubclass(kind, base))
        return encode


_BY_BASE: tuple[tuple[type, _Encode], ...] = (
    (str, _text),
    (bool, lambda value: "true" if value else "false"),  # before int, which it is, too
    (int, int.__repr__),
    (float, lambda value: repr(round(value, 3))),
    (NoneType, lambda _: "null"),
    (datetime, lambda value: f'"{value.isoformat("T", "milliseconds")}"'),
    (Enum, lambda value: _text(value.value)),
    (Mapping, _object),
    (Iterable, _texts),
)
_ENCODE = _Encoders(_BY_BASE)


def _template(kind: type, names: Sequence[str]) -> str:
    members = [f'"{name}": %s' for name in names]
    return f'{{"event": "{kind.__name__}"%s, {", ".join(members)}}}\n'


_LINES = {kind: _template(kind, (*Facts._fields, *kind._fields[1:])) for kind in get_args(Event)}


def cannot_be_written(path: Path | None, error: OSError) -> StartError:
    """What to raise when the audit cannot be opened: it says why, and what to do. `path` as for `Audit`."""
    why = error.strerror or str(error)
    if error.errno == errno.ENXIO:
        why = "nobody reads this pipe; start its reader first"
    elif error.errno == errno.ENOENT and path is not None:
        why = f"there is no folder {path.parent}; make it, and give it to the gateway's user"
    return StartError(f"{_called(path)} cannot be written: {why}")


def _called(path: Path | None) -> str:
    return "the audit on standard output" if path is None else f"the audit file {path}"


class Audit:
    """Writes events to a file, or to standard output if `path` is None. Call it with an event.

    `running` is the audit so far; if it writes to this file already, its writer goes on.
    """

    def __init__(self, path: Path | None, node: str, *, running: Audit | None = None) -> None:
        """May block on the file. Raises StartError if it cannot be opened for appending."""
        self._path = path
        self._node = node
        self._head = f', "node": {_text(node)}'  # of each record, behind its kind
        self._lost_before = 0 if running is None else running.lost
        descriptor = self._open()
        if running is not None and running._writes_to(descriptor, node):
            os.close(descriptor)
            self._writer: Writer = running._writer
            self._lost_before = running._lost_before
        else:
            reopen = self._open_file if path is not None else None
            self._writer = Writer(descriptor, self._lost, failing=self._failing, reopen=reopen)

    @property
    def lost(self) -> int:
        """How many records are lost since the start, at the audits before this one, too."""
        return self._lost_before + self._writer.lost

    @property
    def trouble(self) -> str:
        """Why a record cannot be kept now; "" if nothing is known against it."""
        return self._writer.trouble

    def __call__(self, event: Event) -> None:
        """Write its record, without waiting for that."""
        self._writer.put(self._line(event))

    def keep(self, event: Event, done: Done) -> None:
        """Write its record, and call `done` once, in any thread: with "" when it is written, or with why it is not."""
        self._writer.put(self._line(event), done)

    def operated(self, deed: Operated) -> None:
        """Write the record of what an operator did, without waiting for that."""
        self._writer.put(line_of(deed, self._node).encode("ascii"))

    def flush(self, seconds: float = PATIENCE) -> None:
        """Wait until the records so far are written, or so many seconds. Not in the event loop."""
        self._writer.flush(seconds)

    def goes_on_in(self, successor: Audit) -> bool:
        """True if the successor writes to the same file, so that this audit must not be closed."""
        return self._writer is successor._writer

    def close(self, seconds: float = PATIENCE) -> None:
        """Write the records that wait, for at most so many seconds, and close the file."""
        if left := self._writer.close(seconds):
            why = self._writer.trouble or f"there was no time to write them within {seconds:g} s"
            _log.error("%s: %d audit records are lost at its end: %s", self.name, left, why)

    def _writes_to(self, descriptor: int, node: str) -> bool:
        return self._node == node and os.path.sameopenfile(descriptor, self._writer.descriptor)

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return _called(self._path)

    def _line(self, event: Event) -> bytes:
        return _line(event, self._head).encode("ascii")

    def _open(self) -> int:
        if self._path is None and sys.__stdout__ is None:
            raise StartError(f"{self.name} cannot be written: there is none; name a file, [gateway] audit")
        try:
            return os.dup(_STANDARD_OUTPUT) if self._path is None else self._open_file()
        except OSError as error:
            raise cannot_be_written(self._path, error) from error

    def _open_file(self) -> int:
        # A pipe with a name: O_WRONLY alone would wait for its reader. The descriptor is ours, and nobody shares it.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(cast(Path, self._path), flags, _MODE)
        os.set_blocking(descriptor, True)
        return descriptor

    def _failing(self, reason: str) -> None:
        if reason:
            _log.error("%s cannot be written: %s; at most %d records wait for it", self.name, reason, MOST)
        else:
            _log.warning("%s can be written again", self.name)

    def _lost(self, loss: Loss) -> bytes:
        since, until = (moment.isoformat(timespec="milliseconds") for moment in (loss.since, loss.until))
        _log.error("%s: %d records are lost, from %s to %s: %s", self.name, loss.lines, since, until, loss.reason)
        lost = Lost(datetime.now(UTC), loss.lines, loss.since, loss.until, loss.reason)
        return line_of(lost, self._node).encode("ascii")
