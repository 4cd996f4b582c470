"""Audit messages of records, and the thread that puts them into a spool.

Rule 1: a message is made when its record comes; of a flood of refusals, the first, and one that tells how many more.
Rule 2: what is lost is told in the audit (Audit Recording Stopped and Started): what memory had no room for in its
        place, what was dropped from the spool, or damaged in it, once a minute.
Rule 3: what is written survives the end of the process at once, and a power cut after `_SYNC` seconds. Where the disk
        does not keep it, nothing counts as written until it does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from errno import EDQUOT, ENOSPC

from ..events.backlog import MOST, RETRY, Backlog, Done, Loss
from ..events.events import Lost, Refused
from .floods import MINUTE, Floods
from .messages import Message, Messages, Record
from .spool import Spool
from .syslog import Envelope

_log = logging.getLogger("dicomgate.audit")
_SYNC = 0.1  # seconds
_AT_ONCE = 100  # messages
_NO_ROOM = (ENOSPC, EDQUOT)


class Spooler(Backlog[tuple[Message, ...]]):
    """Fills a spool until `close`. `name` is what messages call it. `wrote` is called after each write.

    `records` counts the messages in the spool since the start, `dropped` those that it has lost again.
    """

    def __init__(self, name: str, spool: Spool, wrote: Callable[[], None]) -> None:
        """`use` must be called before anything is put."""
        self.records = self.dropped = 0
        self._name = name
        self._spool = spool
        self._wrote = wrote
        self._making: tuple[Messages, Envelope]
        self._drop_oldest = False
        self._floods = Floods()
        # The thread's own.
        self._unsynced: float | None = None  # since when
        self._unsafe = False  # the last sync failed
        self._missing = 0  # by damage, as far as it was told
        self._drops: Loss | None = None
        self._told_drops = 0.0
        super().__init__("audit-spooler", (), _AT_ONCE, "the disk does not answer")

    def use(self, messages: Messages, envelope: Envelope, drop_oldest: bool) -> None:
        """Make messages so from now on."""
        self._making, self._drop_oldest = (messages, envelope), drop_oldest

    def tell(self, record: Record, done: Done | None = None) -> None:
        """Put the messages of a record."""
        try:
            told = not isinstance(record, Refused) or self._passes(record)
            messages = self._making[0].of(record) if told else ()
        except Exception:  # noqa: BLE001 (a defect, but it must not end an association)
            _log.exception("%s: a defect: no message can be made of a record", self._name)
            self._lose(1, "a defect, see the log")
            if done is not None:
                done("a defect, see the log")
            return
        if messages or done is not None:
            self.put(messages, done)

    def _passes(self, record: Refused) -> bool:
        with self._lock:
            return self._floods.passes(record, time.monotonic())

    def _told(self, loss: Loss) -> tuple[Message, ...]:
        _log.error("%s: %d audit records are lost: %s", self._name, loss.items, loss.reason)
        lost = Lost(datetime.now(UTC), loss.items, loss.since, loss.until, loss.reason)
        return self._making[0].of(lost)

    def _failing(self, reason: str) -> None:
        if reason:
            _log.error("%s cannot be written: %s; at most %d records wait for it", self._name, reason, MOST)
        else:
            _log.warning("%s can be written again", self._name)

    def _losing(self, reason: str) -> None:
        _log.error("%s: audit records are lost: %s", self._name, reason)

    # From here on in the thread.

    def _begin(self, last: bool) -> None:
        """The messages that stand for many records."""
        now = time.monotonic()
        with self._lock:
            due = [*self._floods.due(now, at_the_end=last)]
        told = [message for event, more in due for message in self._making[0].of(event, more)]
        if more := self._spool.missing - self._missing:
            self._missing += more
            self._drop(more, "they were damaged in the spool")
        if self._drops and (last or now - self._told_drops >= MINUTE):
            told += self._told(self._drops)
            self._drops, self._told_drops = None, now
        if told:
            self._batch.append(((*told,), None))

    def _write(self) -> tuple[int, str]:
        number, envelope = self._spool.next_number, self._making[1]
        messages = [message for item, _ in self._batch for message in item]
        data = [(message.time, envelope.around(message, number + index)) for index, message in enumerate(messages)]
        if data:
            try:
                self._append(data)
            except OSError as error:
                return 0, error.strerror or str(error)
        self.records += len(data)
        self._unsynced = self._unsynced or time.monotonic()
        self._wrote()
        return len(self._batch), ""

    def _append(self, data: list[tuple[float, bytes]]) -> None:
        while True:
            try:
                if self._unsafe:
                    self._sync()
                return self._spool.append(data)
            except OSError as error:
                if not self._drop_oldest or error.errno not in _NO_ROOM or not (lost := self._spool.drop_oldest()):
                    raise
                self._drop(lost, f"{error.strerror}, and spool_full is drop_oldest")

    def _drop(self, count: int, reason: str) -> None:
        now = datetime.now(UTC)
        if self._drops is None:
            _log.error("%s: audit records are lost: %s", self._name, reason)
        drops = self._drops or Loss(0, now, now, reason)
        self._drops = drops._replace(items=drops.items + count, until=now)
        self.dropped += count

    def _sync(self) -> None:
        """Wait until what was written is on the disk. Raises OSError."""
        self._unsafe = True
        self._spool.sync()
        self._unsafe, self._unsynced = False, None

    def _end(self, last: bool) -> float:
        if self._unsynced is not None and (last or time.monotonic() - self._unsynced >= _SYNC):
            before = self._unsafe
            self._began = time.monotonic()
            try:
                self._sync()
            except OSError as error:
                self._report(error.strerror or str(error))
            else:
                if before and not self._batch:
                    self._report("")
            self._began = 0.0
        return RETRY if self._unsynced is None or self._unsafe else _SYNC
