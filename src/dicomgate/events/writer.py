"""Lines for a file, a pipe or a socket, written by a thread of their own.

Rule 1: `put` never waits: nobody who stores or reads the lines can hold up the gateway. At most `MOST` lines wait for
        the thread. What comes then is lost; it is counted, and told in the output itself once that takes lines again.
        Lines that somebody waits for have some room more: a flood of others must not end all logins.
Rule 2: lines keep their order, and are written whole: but for a file, one write takes at most PIPE_BUF bytes of whole
        lines, or one longer line. pipe(7): "writes of less than PIPE_BUF bytes must be atomic", and log and audit may
        share a pipe.
Rule 3: a line that cannot be written (a full disk, a pipe without a reader) is tried again until it is written. A part
        of it that was written stays in the output, as a line of its own. One that is too long for a datagram would
        never be written, and is lost.
Rule 4: the process can end at any time: the thread is a daemon, and uses no lock of sys.stdout or sys.stderr, for which
        the interpreter would wait. A descriptor that was inherited is used as it is: others share its flags.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import NamedTuple, TypeAlias

MOST = 10_000
RESERVED = 1_000
"""So many more lines may wait, for each of which somebody waits."""
PATIENCE = 5.0
"""Seconds that a writer has at its end to write what waits, as a connection has to close (`LINGER`)."""
_LULL = 0.05  # seconds from the first line to its write: a thread that wakes for each line costs more than the write
_RETRY = 1.0  # seconds
_STALLED = 2.0  # seconds for one write; a disk or a reader that takes longer is not to be relied on
_MOST_BYTES = 65_536  # of one write to a file

Done: TypeAlias = Callable[[str], None]


class Loss(NamedTuple):
    """So many lines are lost, because of `reason`: the first of them was put at `since`, the last at `until`."""

    lines: int
    since: datetime
    until: datetime
    reason: str


class Writer:
    """Writes lines to a descriptor, which it closes at its end.

    `tell` makes the line that tells of a loss. `failing` is called with the reason when a write fails or lines begin to
    be lost, and with "" when writing works again. `reopen` gives a new descriptor for a file that was deleted, or
    raises OSError. All three may be called in any thread.
    """

    def __init__(
        self,
        descriptor: int,
        tell: Callable[[Loss], bytes],
        *,
        failing: Callable[[str], None] | None = None,
        reopen: Callable[[], int] | None = None,
        datagrams: bool = False,
    ) -> None:
        self.descriptor = descriptor
        self.lost = 0  # lines in all
        self._tell = tell
        self._failing = failing
        self._reopen = reopen
        self._datagrams = datagrams
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._most_bytes = 0 if datagrams else _MOST_BYTES if regular else select.PIPE_BUF
        # An RLock and a SimpleQueue: the garbage collector may log, at any point of a `put` in the same thread.
        self._lock = threading.RLock()
        self._wake: SimpleQueue[bool] = SimpleQueue()
        self._awake = False
        self._lines: deque[tuple[bytes, Done | None]] = deque()
        self._loss: Loss | None = None
        self._ending = threading.Event()
        # The thread's own.
        self._batch: deque[tuple[bytes, Done | None]] = deque()
        self._torn = False
        self._reason = ""  # why the last write failed
        self._began = 0.0  # when the write under way began
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> str:
        """Why a line that is put now is not written soon; "" if nothing is known against it."""
        began = self._began
        stalled = began and time.monotonic() - began > _STALLED
        return self._reason or ("nobody takes what is written" if stalled else "")

    def put(self, line: bytes, done: Done | None = None) -> None:
        """Write a line, which ends with its newline, later; with `done`, as soon as possible.

        `done` is called once, in any thread: with "" when the line is written, or with the reason as soon as that
        fails. A line that could not be written at first is written later all the same.
        """
        with self._lock:
            # Once lines are lost, more are until half of the room is free: many small losses would fill the output.
            waiting = len(self._lines)
            full = waiting >= (MOST // 2 if self._loss else MOST)
            lost = (full and (done is None or waiting >= MOST + RESERVED)) or self._ending.is_set()
            if lost:
                ended = "they come after its end" if self._ending.is_set() else ""
                reason = self._lose(ended or self.trouble or "they are not taken as fast as they come", tell=not ended)
            else:
                if not full:
                    self._tell_loss()
                self._lines.append((line, done))
        if done is not None:
            if lost:
                done(reason)
            self._wake.put(True)
        elif not self._awake:
            self._awake = True
            self._wake.put(False)

    def flush(self, seconds: float) -> None:
        """Wait until the lines so far are written or have failed once, or so many seconds."""
        if self._ending.is_set():
            self._thread.join(seconds)
            return
        written = threading.Event()
        self.put(b"", lambda _: written.set())
        written.wait(seconds)

    def close(self, seconds: float = PATIENCE) -> int:
        """Write what waits, for at most so many seconds; then end. Returns how many lines are not written."""
        self._ending.set()
        self._wake.put(True)
        self._thread.join(seconds)
        with self._lock:
            return len(self._batch) + len(self._lines) + (self._loss.lines if self._loss else 0)

    def _lose(self, reason: str, *, tell: bool) -> str:
        now, loss = datetime.now(UTC), self._loss
        if loss is None:
            loss = Loss(0, now, now, reason)
            if self._failing is not None and not self._reason and tell:
                self._failing(loss.reason)
        self._loss = loss._replace(lines=loss.lines + 1, until=now)
        self.lost += 1
        return loss.reason

    def _tell_loss(self) -> None:
        if self._loss is not None:
            self._lines.append((self._tell(self._loss), None))
            self._loss = None

    # From here on in the thread.

    def _run(self) -> None:
        while not self._ending.is_set():
            if not self._wake.get():
                with suppress(Empty):
                    self._wake.get(timeout=_LULL)
            self._awake = False
            while self._batch or self._take():
                last = self._ending.is_set()
                if not self._write():
                    if last:
                        break
                    self._ending.wait(_RETRY)
        os.close(self.descriptor)

    def _take(self) -> bool:
        """Take whole lines for one write. False if there are none."""
        with self._lock:
            if not self._lines:
                self._tell_loss()
            size = 0
            while self._lines and (not self._batch or size + len(self._lines[0][0]) <= self._most_bytes):
                self._batch.append(self._lines.popleft())
                size += len(self._batch[-1][0])
        return bool(self._batch)

    def _write(self) -> bool:
        """Write what was taken. False if that failed: the lines that are not written stay, to be tried again."""
        self._began = time.monotonic()
        written, reason = self._written()
        self._began = 0.0
        if bool(reason) != bool(self._reason) and self._failing is not None:
            self._failing(reason)
        self._reason = reason
        if written and self._torn:
            written -= 1  # the newline that ends the torn line
            self._torn = False
        while self._batch and written >= len(self._batch[0][0]):
            line, done = self._batch.popleft()
            written -= len(line)
            if done is not None:
                done("")
        self._torn = self._torn or written > 0
        for index, (line, done) in enumerate(self._batch):
            if done is not None:
                self._batch[index] = line, None
                done(reason)
        return not reason

    def _written(self) -> tuple[int, str]:
        """How many bytes were written, and why not all of them."""
        written = 0
        try:
            stale = self._reason if self._datagrams else not os.fstat(self.descriptor).st_nlink
            if stale and self._reopen is not None:
                self._exchange(self._reopen())
            data = memoryview((b"\n" if self._torn else b"") + b"".join(line for line, _ in self._batch))
            while written < len(data):
                try:
                    written += os.write(self.descriptor, data[written:])
                except BlockingIOError:  # somebody who shares it has made it so
                    poll = select.poll()
                    poll.register(self.descriptor, select.POLLOUT)
                    poll.poll()
        except OSError as error:
            if error.errno == errno.EMSGSIZE and self._datagrams:
                self._give_up(error.strerror or str(error))
                return 0, ""
            return written, error.strerror or str(error)
        return written, ""

    def _give_up(self, reason: str) -> None:
        """Lose the one line of a datagram."""
        _, done = self._batch.popleft()
        with self._lock:
            self._lose(reason, tell=False)
        if done is not None:
            done(reason)

    def _exchange(self, descriptor: int) -> None:
        os.close(self.descriptor)
        self.descriptor, self._torn = descriptor, False
