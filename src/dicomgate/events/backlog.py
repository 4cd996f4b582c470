"""What waits to be written, and the thread that writes it: for the log, and for each place of the audit.

Rule 1: `put` never waits: nobody who stores or reads what is written can hold up the gateway. At most `MOST` items wait
        for the thread. Further ones are lost; they are counted, and their place among what is written tells of them.
        Items that somebody waits for have some room more: a flood of others must not end all logins.
Rule 2: items keep their order. What could not be written is tried again each second. Those who wait for an item are
        told at once that it is not written; it is written later all the same.
Rule 3: the process can end at any time: the thread is a daemon.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sized
from contextlib import suppress
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import Generic, NamedTuple, TypeAlias, TypeVar

MOST = 10_000
RESERVED = 1_000
"""So many more items may wait, for each of which somebody waits."""
PATIENCE = 5.0
"""Seconds that it has at its end to write what waits, as a connection has to close (`LINGER`)."""
RETRY = 1.0  # seconds
_LULL = 0.05  # seconds from the first item to its write: a thread that wakes for each one costs more than the write
_STALLED = 2.0  # seconds for one write; a disk or a reader that takes longer is not to be relied on

Done: TypeAlias = Callable[[str], None]
T = TypeVar("T", bound=Sized)


class Loss(NamedTuple):
    """So many items are lost, because of `reason`: the first of them was put at `since`, the last at `until`."""

    items: int
    since: datetime
    until: datetime
    reason: str


class Backlog(ABC, Generic[T]):
    """Takes items and has them written until `close`, by what a subclass says. `lost` counts those that are lost."""

    def __init__(self, thread: str, nothing: T, most: int, stalled: str) -> None:
        """One write takes at most `most` of items, by their length, or one longer item; `nothing` is one of length 0.

        `stalled` is what `trouble` says of a write that takes too long. `put` may be called from now on.
        """
        self.lost = 0
        self._nothing, self._most, self._stalled = nothing, most, stalled
        # An RLock and a SimpleQueue: the garbage collector may log, at any point of a `put` in the same thread.
        self._lock = threading.RLock()
        self._wake: SimpleQueue[bool] = SimpleQueue()
        self._awake = False
        self._waiting: deque[tuple[T | None, Done | None]] = deque()  # None: here some are missing, see `_loss`
        self._loss: Loss | None = None
        self._ending = False
        # The thread's own.
        self._batch: deque[tuple[T, Done | None]] = deque()
        self._reason = ""  # why the last write failed
        self._began = 0.0  # when the write under way began
        self._thread = threading.Thread(target=self._run, name=thread, daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> str:
        """Why an item that is put now is not written soon; "" if nothing is known against it."""
        began = self._began
        stalled = began and time.monotonic() - began > _STALLED
        return self._reason or (self._stalled if stalled else "")

    def put(self, item: T, done: Done | None = None) -> None:
        """Write it later; with `done`, as soon as possible.

        `done` is called once, in any thread: with "" when the item is written, or with the reason as soon as that
        fails. What could not be written at first is written later all the same.
        """
        why = ""
        with self._lock:
            waiting = len(self._waiting) - (self._loss is not None)
            if self._ending:
                why = "they come after its end"
            elif waiting >= MOST and (done is None or waiting >= MOST + RESERVED):
                why = self.trouble or "they are not taken as fast as they come"
            if why:
                if self._loss is None and not self._ending:
                    self._losing(why)
                self._lose(1, why)
            else:
                self._waiting.append((item, done))
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
        self.put(self._nothing, lambda _: written.set())
        written.wait(seconds)

    def close(self, seconds: float = PATIENCE) -> int:
        """Write what waits, for at most so many seconds; then end. Returns how many items are not written."""
        with self._lock:
            self._ending = True
        self._wake.put(True)
        self._thread.join(seconds)
        with self._lock:
            left = sum(bool(item) for item, _ in (*self._batch, *self._waiting))
            return left + (self._loss.items if self._loss else 0)

    def _lose(self, count: int, reason: str) -> None:
        """So many items are lost. They are told where the next one would have been, and all that follow until then."""
        now = datetime.now(UTC)
        with self._lock:
            self.lost += count
            if self._loss is None:
                self._loss = Loss(0, now, now, reason)
                self._waiting.append((None, None))
            self._loss = self._loss._replace(items=self._loss.items + count, until=now)

    # From here on in the thread.

    def _run(self) -> None:
        pause: float | None = None
        last = False
        while not last:
            with suppress(Empty):
                if not self._wake.get(timeout=pause):
                    self._wake.get(timeout=_LULL)
            self._awake = False
            last = self._ending
            if not self._batch:
                self._begin(last)
            while (self._batch or self._take()) and self._attempt():
                pass
            pause = self._end(last)
            if self._batch:
                pause = RETRY

    def _take(self) -> bool:
        """Take items for one write. False if there are none."""
        with self._lock:
            size = 0
            while self._waiting:
                item, done = self._waiting[0]
                if item is None:
                    item = self._told(self._loss) if self._loss else self._nothing
                    self._waiting[0], self._loss = (item, None), None
                size += len(item)
                if self._batch and size > self._most:
                    break
                self._batch.append((item, done))
                self._waiting.popleft()
        return bool(self._batch)

    def _attempt(self) -> bool:
        """Write what was taken. False if that failed: what is not written stays, and those who wait are told."""
        self._began = time.monotonic()
        written, reason = self._write()
        self._began = 0.0
        self._report(reason)
        for _ in range(written):
            _, done = self._batch.popleft()
            if done is not None:
                done("")
        if reason:
            self._tell_waiting(reason)
        return not reason

    def _report(self, reason: str) -> None:
        """Why the last write failed; "" if it went well."""
        before, self._reason = self._reason, reason
        if bool(reason) != bool(before):
            self._failing(reason)

    def _tell_waiting(self, reason: str) -> None:
        """Tell all who wait that their items are not written; those stay."""
        with self._lock:
            told = [done for _, done in (*self._batch, *self._waiting) if done is not None]
            if told:
                self._batch = deque((item, None) for item, _ in self._batch)
                self._waiting = deque((item, None) for item, _ in self._waiting)
        for done in told:
            done(reason)

    # What a subclass says; but for `_losing` and `_told`, in the thread.

    @abstractmethod
    def _write(self) -> tuple[int, str]:
        """Write the items of `_batch`. How many of them are written, from the first on, and why not all."""

    @abstractmethod
    def _told(self, loss: Loss) -> T:
        """What tells of a loss, in its place."""

    def _failing(self, reason: str) -> None:
        """Nothing can be written from now on, because of this; or, with "", it can again."""

    def _losing(self, reason: str) -> None:
        """There is no room: an item is lost, the first one since a loss was told."""

    def _begin(self, last: bool) -> None:
        """Before items are taken: put into `_batch` what must be written first."""

    def _end(self, last: bool) -> float | None:
        """After the writes. In how many seconds the thread must wake although nothing was put; None: it need not."""
