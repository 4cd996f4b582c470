"""The sink of kind "json": lines for a file, standard output, the journal, or a syslog over UDP."""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias, cast

from ..errors import StartError
from ..events.audit import line_of, line_of_event, text
from ..events.backlog import MOST, PATIENCE, Done, Loss
from ..events.events import Event, Lost, Operated
from ..events.writer import Writer
from .datagrams import Datagrams

_log = logging.getLogger("dicomgate.audit")
_MODE = 0o640
_STANDARD_OUTPUT = 1  # and not sys.stdout, which a program may have replaced, and which has a lock

Where: TypeAlias = Path | Datagrams | None
"""None is standard output."""


def cannot_be_written(path: Where, error: OSError) -> StartError:
    """What to raise when the audit cannot be opened: it says why, and what to do. `path` as for `Audit`."""
    why = error.strerror or str(error)
    if error.errno == errno.ENXIO:
        why = "nobody reads this pipe; start its reader first"
    elif error.errno == errno.ENOENT and isinstance(path, Path):
        why = f"there is no folder {path.parent}; make it, and give it to the gateway's user"
    return StartError(f"{_called(path)} cannot be written: {why}")


def _called(path: Where) -> str:
    if path is None:
        return "the audit on standard output"
    return path.name if isinstance(path, Datagrams) else f"the audit file {path}"


class Audit:
    """Writes events to a file, to standard output if `path` is None, or in datagrams. Call it with an event.

    `running` is the audit so far; if it writes to this place already, its writer goes on. `label` names it in metrics;
    `records` counts what came to it since the start.
    """

    spool = None

    def __init__(self, path: Where, node: str, *, running: Audit | None = None, label: str = "json") -> None:
        """May block on the file, or on the look-up of a name. Raises StartError if it cannot be opened for writing."""
        self.label = label
        self._path = path
        self._node = node
        self._head = f', "node": {text(node)}'  # of each record, behind its kind
        self._lost_before = 0 if running is None else running.lost
        self.records: int = 0 if running is None else running.records
        descriptor = self._open()
        if running is not None and running._writes_to(descriptor, node):
            os.close(descriptor)
            self._writer: Writer = running._writer
            self._lost_before = running._lost_before
        else:
            reopen: Callable[[], int] | None = None if path is None else self._open_file
            datagrams = isinstance(path, Datagrams)
            self._writer = Writer(descriptor, self._lost, failing=self._failing, reopen=reopen, datagrams=datagrams)

    @property
    def lost(self) -> int:
        """How many records are lost since the start, at the audits before this one, too."""
        return self._lost_before + self._writer.lost

    @property
    def trouble(self) -> str:
        """Why a record cannot be kept now; "" if nothing is known against it."""
        return self._writer.trouble

    @property
    def problem(self) -> str:
        """The same: nothing else can be wrong with it."""
        return self._writer.trouble

    def begin(self) -> None:
        """Nothing: it writes from its creation on."""

    def __call__(self, event: Event) -> None:
        """Write its record, without waiting for that."""
        self._writer.put(self._line(event))

    def keep(self, event: Event, done: Done) -> None:
        """Write its record, and call `done` once, in any thread: with "" when it is written, or with why it is not."""
        self._writer.put(self._line(event), done)

    def operated(self, deed: Operated) -> None:
        """Write the record of what an operator did, without waiting for that."""
        self.records += 1
        self._writer.put(self._dressed(line_of(deed, self._node)))

    def flush(self, seconds: float = PATIENCE) -> None:
        """Wait until the records so far are written, or so many seconds. Not in the event loop."""
        self._writer.flush(seconds)

    def goes_on_in(self, successor: object) -> bool:
        """True if the successor writes to the same place, so that this audit must not be closed."""
        return isinstance(successor, Audit) and self._writer is successor._writer

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
        self.records += 1
        return self._dressed(line_of_event(event, self._head))

    def _dressed(self, line: str) -> bytes:
        data = line.encode("ascii")
        return self._path.dressed(data) if isinstance(self._path, Datagrams) else data

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
        if isinstance(self._path, Datagrams):
            return self._path.open()
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
        _log.error("%s: %d records are lost, from %s to %s: %s", self.name, loss.items, since, until, loss.reason)
        lost = Lost(datetime.now(UTC), loss.items, loss.since, loss.until, loss.reason)
        return self._dressed(line_of(lost, self._node))
