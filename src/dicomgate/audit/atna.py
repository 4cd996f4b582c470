"""The sink of kind "atna": DICOM Audit Messages for an Audit Record Repository, by way of a spool.

A reload that names the same spool goes on with it: spool, threads and counts are handed over. What the new
configuration says of them counts from `begin` on, so that a reload that fails changes nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from ..events.backlog import PATIENCE, Done
from ..events.events import Event, Operated
from ..kit.addresses import show_address
from .connection import Collector
from .messages import Messages, concerns
from .sender import Sender
from .spool import Spool
from .spooler import Spooler
from .syslog import Envelope

_log = logging.getLogger("dicomgate.audit")


@dataclass(frozen=True, slots=True)
class AtnaSettings:
    """What a table of this kind says. `label` names it in metrics; the folder of the spool is absolute."""

    label: str
    node: str
    site: str
    message_id: str
    mark: bool
    collector: Collector
    spool: Path
    spool_max: int
    drop_oldest: bool


class Atna:
    """Tells a collector what auditors must know. `begin` it; then call it with events."""

    def __init__(self, settings: AtnaSettings, *, running: Atna | None = None) -> None:
        """`running` has the same spool. May block on the disk. Raises StartError."""
        self._settings = settings
        self.label = settings.label
        self.name = f"the audit for {show_address(settings.collector.host, settings.collector.port)}"
        self._begun = False
        self._spooler: Spooler | None = None
        self._sender: Sender | None = None
        if running is not None:
            self._spooler, self._sender = running._spooler, running._sender
        self._spool = Spool(settings.spool, settings.spool_max) if running is None else running.spool
        if running is not None:
            return
        if self._spool.waiting:
            _log.info("%s: %d messages wait in the spool", self.name, self._spool.waiting)
        if self._spool.torn or self._spool.missing:
            torn, missing = self._spool.torn, self._spool.missing
            _log.error("%s: the spool was damaged: %d bytes cut off, %d messages missing", self.name, torn, missing)

    @property
    def spool(self) -> Spool:
        """Where its messages wait."""
        return self._spool

    @property
    def records(self) -> int:
        """How many messages came into the spool since the start."""
        return 0 if self._spooler is None else self._spooler.records

    @property
    def lost(self) -> int:
        """How many records are lost since the start."""
        return 0 if self._spooler is None else self._spooler.lost + self._spooler.dropped

    @property
    def trouble(self) -> str:
        """Why a record cannot be kept now; "" if nothing is known against it. A collector that is down is no reason."""
        return "" if self._spooler is None else self._spooler.trouble

    @property
    def problem(self) -> str:
        """What is wrong with it now, the collector included; "" if nothing is."""
        waiting = f"; {self._spool.waiting} messages wait in the spool"
        return self.trouble or (f"{self._sender.trouble}{waiting}" if self._sender and self._sender.trouble else "")

    def begin(self) -> None:
        """Send, and make messages as its settings say."""
        if self._begun:
            return
        self._begun = True
        settings = self._settings
        messages = Messages(settings.node, settings.site)
        envelope = Envelope(settings.node, settings.message_id, settings.mark)
        self._spool.most_bytes = settings.spool_max
        if self._sender is None or self._spooler is None:
            self._sender = Sender(self.name, self._spool, settings.collector)
            self._spooler = Spooler(self.name, self._spool, self._sender.wake)
            self._spooler.use(messages, envelope, settings.drop_oldest)
            self._spooler.put((messages.activity(started=True),))
        else:
            self._sender.use(settings.collector)
            self._spooler.use(messages, envelope, settings.drop_oldest)

    def __call__(self, event: Event) -> None:
        """Tell it, without waiting for that."""
        if concerns(event) and self._spooler is not None:
            self._spooler.tell(event)

    def keep(self, event: Event, done: Done) -> None:
        """Tell it, and call `done` once, in any thread: with "" when it is in the spool, or with why it is not."""
        if self._spooler is None:
            done("it has not begun")
        elif concerns(event):
            self._spooler.tell(event, done)
        else:
            self._spooler.put((), done)

    def operated(self, deed: Operated) -> None:
        """Tell what an operator did, without waiting for that."""
        if self._spooler is not None:
            self._spooler.tell(deed)

    def flush(self, seconds: float = PATIENCE) -> None:
        """Wait until what was told so far is in the spool, or so many seconds. Not in the event loop."""
        if self._spooler is not None:
            self._spooler.flush(seconds)

    def goes_on_in(self, successor: object) -> bool:
        """True if the successor has the same spool, so that this must not be closed."""
        return isinstance(successor, Atna) and self._spool is successor._spool

    def close(self, seconds: float = PATIENCE) -> None:
        """Tell that the gateway ends, send what can be sent at once, and leave the rest in the spool."""
        if self._spooler is not None and self._sender is not None:
            self._spooler.put((Messages(self._settings.node, self._settings.site).activity(started=False),))
            if left := self._spooler.close(seconds):
                _log.error("%s: %d audit records are lost at its end: %s", self.name, left, self._spooler.trouble)
            self._sender.close(0.0 if self._sender.trouble else seconds)
            if waiting := self._spool.waiting:
                _log.info("%s: %d messages stay in the spool, and are sent after the next start", self.name, waiting)
        self._spool.close()
