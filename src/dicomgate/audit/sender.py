"""The thread that brings what is in a spool to a collector, over all outages.

Law: nothing counts as delivered before `Tail` says so; a connection that ends takes nothing with it.
"""

from __future__ import annotations

import logging
import os
import random
import select
import threading
import time
from contextlib import suppress

from ..net.tls import words
from .connection import ENDED, Collector, Connection
from .spool import Place, Spool
from .syslog import framed
from .tail import Tail, Unread

_log = logging.getLogger("dicomgate.audit")
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0  # seconds
_LOOK_AGAIN = 0.25  # seconds
_AT_ONCE = 65_536  # bytes


class Sender:
    """Sends until `close`. `name` is what messages call it. `trouble` is why nothing is delivered now, "" if it is."""

    def __init__(self, name: str, spool: Spool, collector: Collector) -> None:
        self.trouble = ""
        self._name = name
        self._spool = spool
        self._collector = collector
        self._read = spool.delivered  # all up to here was read
        self._changed = False
        self._until: float | None = None  # when it has to end
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = threading.Thread(target=self._run, name="audit-sender", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There is something new in the spool."""
        os.eventfd_write(self._wake, 1)

    def use(self, collector: Collector) -> None:
        """Connect anew, to this one."""
        self._collector, self._changed = collector, True
        self.wake()

    def close(self, seconds: float) -> None:
        """Send what can be sent at once, for at most so many seconds, and end."""
        self._until = time.monotonic() + seconds
        self.wake()
        self._thread.join(seconds)
        if not self._thread.is_alive():
            os.close(self._wake)

    def _run(self) -> None:
        wait = _FIRST_WAIT
        while True:
            before = self._spool.delivered
            try:
                self._changed = False
                connection = Connection(self._collector)
                unread = Unread(self._read)
                try:
                    self._tell("")
                    self._deliver(connection, unread)
                    self._read = unread.last
                except OSError as error:
                    self._read = unread.last if error.errno == ENDED else unread.since(time.monotonic())
                    raise
                finally:
                    connection.close()
            except OSError as error:
                self._tell(words(error, "the collector") if error.errno != ENDED else str(error.strerror))
            except Exception:  # noqa: BLE001 (a defect, but the next connection may go well)
                _log.exception("%s: a defect of the gateway", self._name)
            if self._until is not None:
                return
            if self._changed:
                continue
            if self._spool.delivered != before:
                wait = _FIRST_WAIT
            # Not all gateways at the same moment, when a collector has been restarted.
            self._pause(wait * random.uniform(0.5, 1.0))  # noqa: S311 (no secret)
            wait = min(wait * 2, _LONGEST_WAIT)

    def _deliver(self, connection: Connection, unread: Unread[Place]) -> None:
        """Send until the end or another collector. Raises OSError when the connection has ended."""
        tail = Tail[Place]()
        place = unread.last
        waker = select.poll()
        waker.register(self._wake, select.POLLIN)
        waker.register(connection.fileno(), select.POLLIN)
        while not self._changed:
            connection.check()
            queued = connection.queued
            if (delivered := tail.looked(queued, now := time.monotonic())) is not None:
                unread.delivered(delivered, now)
                self._spool.deliver(delivered)
            self._spool.kept_from = unread.since(now).number
            batch = self._spool.read(place, _AT_ONCE) if tail.may_send else []
            if batch:
                gone = batch[0][0].number - max(place.number, self._spool.delivered.number) - 1
                if gone > 0:
                    _log.error("%s: %d messages were dropped from the spool, or damaged in it", self._name, gone)
                place = batch[-1][0]
                data = b"".join([framed(message) for _, message in batch])
                connection.send(data)
                tail.sent(place, len(data))
                unread.sent(len(data))
            elif self._until is not None and (not queued or time.monotonic() > self._until):
                return
            else:
                soon = tail.waits or self._until is not None
                waker.poll(_LOOK_AGAIN * 1000 if soon else None)
                self._heard()

    def _pause(self, seconds: float) -> None:
        """Wait so long, or until the end or another collector. What is new in the spool does not end it."""
        until = time.monotonic() + seconds
        waker = select.poll()
        waker.register(self._wake, select.POLLIN)
        while (left := until - time.monotonic()) > 0 and self._until is None and not self._changed:
            waker.poll(left * 1000)
            self._heard()
            time.sleep(min(left, 0.05))

    def _heard(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self._wake)

    def _tell(self, trouble: str) -> None:
        if trouble != self.trouble:
            if trouble:
                _log.warning("%s: %s; %d messages wait in the spool", self._name, trouble, self._spool.waiting)
            else:
                _log.info("%s: connected, %d messages wait in the spool", self._name, self._spool.waiting)
        self.trouble = trouble
