"""Lines for a file, a pipe or a socket, written by a thread of their own.

Rule 1: lines are written whole: but for a file, one write takes at most PIPE_BUF bytes of whole lines, or one longer
        line. pipe(7): "writes of less than PIPE_BUF bytes must be atomic", and log and audit may share a pipe.
Rule 2: a line that cannot be written (a full disk, a pipe without a reader) is tried again until it is written. A part
        of it that was written stays in the output, as a line of its own. One that is too long for a datagram would
        never be written, and is lost.
Rule 3: the thread uses no lock of sys.stdout or sys.stderr, for which the interpreter would wait at its end. A
        descriptor that was inherited is used as it is: others share its flags.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from collections.abc import Callable

from .backlog import Backlog, Loss

_MOST_BYTES = 65_536  # of one write to a file


class Writer(Backlog[bytes]):
    """Writes lines, which end with their newline, to a descriptor, which it closes at its end.

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
        self._tell = tell
        self._fails = failing
        self._reopen = reopen
        self._datagrams = datagrams
        self._torn = False
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        most = 0 if datagrams else _MOST_BYTES if regular else select.PIPE_BUF
        super().__init__("writer", b"", most, "nobody takes what is written")

    def _told(self, loss: Loss) -> bytes:
        return self._tell(loss)

    def _failing(self, reason: str) -> None:
        if self._fails is not None:
            self._fails(reason)

    def _losing(self, reason: str) -> None:
        if not self._reason:
            self._failing(reason)

    def _write(self) -> tuple[int, str]:
        written, reason = self._written()
        if written and self._torn:
            written -= 1  # the newline that ends the torn line
            self._torn = False
        lines = 0
        for line, _ in self._batch:
            if written < len(line):
                break
            written -= len(line)
            lines += 1
        self._torn = self._torn or written > 0
        return lines, reason

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
                return self._given_up(error.strerror or str(error)), ""
            return written, error.strerror or str(error)
        return written, ""

    def _given_up(self, reason: str) -> int:
        """The bytes of the one line of a datagram, which is lost."""
        line, done = self._batch[0]
        self._batch[0] = line, None
        self._lose(1, reason)
        if done is not None:
            done(reason)
        return len(line)

    def _exchange(self, descriptor: int) -> None:
        os.close(self.descriptor)
        self.descriptor, self._torn = descriptor, False

    def _run(self) -> None:
        super()._run()
        os.close(self.descriptor)
