"""Audit messages of records, and the thread that puts them into a spool.

Rule 1: `put` never waits. At most `MOST` records wait for the thread; what comes then is lost, counted, and told in the
        audit once there is room again (Audit Recording Stopped and Started).
Rule 2: records that could not be written are tried again each second. Whoever waits for one learns at once that it is
        not written.
Rule 3: what is written survives the end of the process at once, and a power cut after `_SYNC` seconds.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from errno import ENOSPC
from queue import Empty, SimpleQueue
from typing import TypeAlias

from ..events.events import Lost, Refused
from ..events.writer import MOST, RESERVED, Done
from .floods import MINUTE, Floods
from .messages import Message, Messages, Record
from .spool import Spool
from .syslog import Envelope

_log = logging.getLogger("dicomgate.audit")
_LULL = 0.05  # seconds from a record to its write, as in events/writer.py
_RETRY = 1.0  # seconds
_SYNC = 0.1  # seconds
_STALLED = 2.0  # seconds for one write
_AT_ONCE = 100  # messages

_Put: TypeAlias = Record | Message | None
"""None has no message."""


class Spooler:
    """Fills a spool until `close`. `name` is what messages call it. `wrote` is called after each write.

    `records` counts the messages in the spool since the start, `lost` the records that are lost.
    """

    def __init__(self, name: str, spool: Spool, wrote: Callable[[], None]) -> None:
        """`use` must be called before `put`."""
        self.records = self.lost = 0
        self._name = name
        self._spool = spool
        self._wrote = wrote
        self._making: tuple[Messages, Envelope]
        self._drop_oldest = False
        self._floods = Floods()
        # An RLock and a SimpleQueue: as in events/writer.py.
        self._lock = threading.RLock()
        self._wake: SimpleQueue[bool] = SimpleQueue()
        self._awake = False
        self._waiting: deque[Message | Done] = deque()  # who waits for messages stands behind them
        self._loss: Lost | None = None
        self._ending = False
        # The thread's own.
        self._made: list[Message] = []
        self._told: list[Done] = []  # who waits for them
        self._reason = ""
        self._began = 0.0
        self._unsynced: float | None = None  # since when
        self._told_loss = 0.0
        self._thread = threading.Thread(target=self._run, name="audit-spooler", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> str:
        """Why a record that is put now is not written soon; "" if nothing is known against it."""
        began = self._began
        stalled = began and time.monotonic() - began > _STALLED
        return self._reason or ("the disk does not answer" if stalled else "")

    def use(self, messages: Messages, envelope: Envelope, drop_oldest: bool) -> None:
        """Make messages so from now on."""
        self._making, self._drop_oldest = (messages, envelope), drop_oldest

    def put(self, record: _Put, done: Done | None = None) -> None:
        """Write the messages of a record later; with `done`, as soon as possible, and call it as the Writer does."""
        with self._lock:
            waiting = len(self._waiting)
            full = self._ending or waiting >= (MOST + RESERVED if done else MOST)
            why = (self.trouble or "they are not taken as fast as they come") if full else self._make(record)
            if why:
                self._lose(1, datetime.now(UTC), why)
            elif done is not None:
                self._waiting.append(done)
        if done is not None:
            if why:
                done(why)
            self._wake.put(True)
        elif not self._awake:
            self._awake = True
            self._wake.put(False)

    def flush(self, seconds: float) -> None:
        """Wait until what was put so far is written or has failed once, or so many seconds."""
        if self._ending:
            self._thread.join(seconds)
            return
        written = threading.Event()
        self.put(None, lambda _: written.set())
        written.wait(seconds)

    def close(self, seconds: float) -> int:
        """Write what waits, for at most so many seconds, and end; how many records are not written."""
        self._ending = True
        self._wake.put(True)
        self._thread.join(seconds)
        with self._lock:
            return len(self._waiting) + len(self._made)

    def _make(self, record: _Put) -> str:
        """Let its messages wait for the thread; why there are none, where there should be."""
        try:
            self._waiting += self._messages_of(record)
        except Exception:  # noqa: BLE001 (a defect, but it must not end an association)
            _log.exception("%s: a defect: no message can be made of a record", self._name)
            return "a defect, see the log"
        return ""

    def _messages_of(self, record: _Put) -> list[Message]:
        if record is None or isinstance(record, Message):
            return [] if record is None else [record]
        if isinstance(record, Refused) and not self._floods.passes(record, time.monotonic()):
            return []
        return [*self._making[0].of(record)]

    def _lose(self, count: int, until: datetime, reason: str) -> None:
        with self._lock:
            loss = self._loss or Lost(until, 0, until, until, reason)
            if not loss.count:
                _log.error("%s: audit records are lost: %s", self._name, reason)
            self._loss = Lost(until, loss.count + count, loss.since, until, reason)
            self.lost += count

    # From here on in the thread.

    def _run(self) -> None:
        while True:
            urgent = False
            with suppress(Empty):
                urgent = self._wake.get(timeout=_RETRY if not self._unsynced else _SYNC)
            if not urgent and self._awake:
                with suppress(Empty):
                    self._wake.get(timeout=_LULL)
            self._awake = False
            last = self._ending
            self._make_due(last)
            while self._made or self._take():
                if not self._write():
                    self._disappoint()
                    break
            self._sync(last)
            if last:
                return

    def _make_due(self, last: bool) -> None:
        """The messages that stand for many records."""
        now = time.monotonic()
        messages, _ = self._making
        with self._lock:
            due = [*self._floods.due(now, at_the_end=last)]
        for event, more in due:
            self._made += messages.of(event, more)
        if self._loss and not self._reason and (last or now - self._told_loss >= MINUTE):
            with self._lock:
                loss, self._loss = self._loss, None
            self._told_loss = now
            _log.error("%s: %d audit records are lost: %s", self._name, loss.count, loss.reason)
            self._made += messages.of(loss)

    def _take(self) -> bool:
        """Take some messages. False if there are none."""
        with self._lock:
            taken = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
        for one in taken:
            if isinstance(one, Message):
                self._made.append(one)
            else:
                self._told.append(one)
        return bool(taken)

    def _write(self) -> bool:
        """Write what was made. False if that failed."""
        number, envelope = self._spool.next_number, self._making[1]
        data = [(message.time, envelope.around(message, number + index)) for index, message in enumerate(self._made)]
        self._began = time.monotonic()
        try:
            if data:
                self._append(data)
        except OSError as error:
            reason = error.strerror or str(error)
        else:
            reason = ""
        self._began = 0.0
        if bool(reason) != bool(self._reason):
            if reason:
                _log.error("%s cannot be written: %s; at most %d records wait for it", self._name, reason, MOST)
            else:
                _log.warning("%s can be written again", self._name)
        self._reason = reason
        if reason:
            return False
        self.records += len(data)
        self._unsynced = self._unsynced or time.monotonic()
        self._made.clear()
        self._answer()
        self._wrote()
        return True

    def _append(self, data: list[tuple[float, bytes]]) -> None:
        while True:
            try:
                return self._spool.append(data)
            except OSError as error:
                if not self._drop_oldest or error.errno != ENOSPC or not (lost := self._spool.drop_oldest()):
                    raise
                why = f"{error.strerror}, and spool_full is drop_oldest"
                self._lose(lost, datetime.now(UTC), why)

    def _disappoint(self) -> None:
        """Tell those who wait that their records are not written; they stay, to be tried again."""
        with self._lock:
            self._told += [one for one in self._waiting if not isinstance(one, Message)]
            self._waiting = deque(one for one in self._waiting if isinstance(one, Message))
        self._answer()

    def _answer(self) -> None:
        told, self._told = self._told, []
        for done in told:
            done(self._reason)

    def _sync(self, last: bool) -> None:
        if self._unsynced is not None and (last or time.monotonic() - self._unsynced >= _SYNC):
            self._unsynced = None
            self._began = time.monotonic()
            with suppress(OSError):  # the next write says so
                self._spool.sync()
            self._began = 0.0
