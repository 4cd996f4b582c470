"""One side of an association: a non-blocking stream, and what is still to be sent on it.

Law: what `send` could not send at once is kept and sent when the stream takes it; until then the other side is not
read (`unsent`), so that a slow reader slows its sender instead of filling our memory. A peer gets one callback in each
turn of the event loop, however much it sends.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from fcntl import ioctl
from struct import pack
from termios import TIOCOUTQ

from .tls import WantsToWrite
from .tls_stream import TlsStream
from .turns import Turns

Stream = socket.socket | TlsStream
_AT_ONCE = pack("ii", 1, 0)
SMALL = 32_768
"""Bytes in one piece; of a larger one the kernel acknowledges most by itself."""


class Connection:
    """The gateway's end of one connection.

    `on_drained` is called when nothing is unsent any more; `on_broken`, with an OSError, when a delayed send fails.
    `moved` is when the socket last took a part of what it could not take whole (seconds of the loop's clock). With
    `turns`, what this peer sends is read in turns that it shares with all who have not logged in.
    """

    __slots__ = (
        "_due",
        "_ended",
        "_on_readable",
        "_queued",
        "_reading",
        "_stalled",
        "_tls",
        "_writing",
        "closed",
        "fileno",
        "loop",
        "moved",
        "on_broken",
        "on_drained",
        "peer_ended",
        "stream",
        "turns",
        "unsent",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, stream: Stream, turns: Turns | None = None) -> None:
        self.stream = stream
        self._tls = stream if isinstance(stream, TlsStream) else None
        self.turns = turns
        self.fileno = stream.fileno()
        self.unsent = bytearray()
        self.closed = False
        self.peer_ended = False
        self.on_drained: Callable[[], None] | None = None
        self.on_broken: Callable[[OSError], None] | None = None
        self.moved = 0.0
        self.loop = loop
        self._due = False  # a call of its own is due, in a later turn of the loop
        self._reading = False
        self._queued = bytes(4)  # what the kernel had and the peer's had not acknowledged: the C int of the last look
        self._stalled = False  # nothing can be read before TLS has sent something
        self._writing = False
        self._ended = False
        self._on_readable: Callable[[], None] = _nothing

    def read_with(self, callback: Callable[[], None]) -> None:
        """Call back whenever there is something to read, from now on."""
        if not self.closed:
            self._on_readable = callback
            if not self._reading:
                self.loop.add_reader(self.fileno, self._readable)
                self._reading = True
            self.read_pending()

    def read_again(self) -> None:
        """Call back in a later turn of the loop, once, although the socket may not become readable."""
        if self._reading and not self._due:
            self._due = True
            if self.turns is None:
                self.loop.call_soon(self._called)
            else:
                self.turns.later(self._called)

    def read_pending(self) -> None:
        """As `read_again`, if TLS holds what has come: the socket may not become readable for it."""
        if self._tls is not None and self._tls.pending():
            self.read_again()

    def _readable(self) -> None:
        if self._due:
            return
        if self.turns is None:
            self._on_readable()
        else:
            self._due = True
            self.turns.take(self._called)

    def _called(self) -> None:
        self._due = False
        if self._reading:
            self._on_readable()

    def pause_reading(self) -> None:
        """Do not call back any more."""
        if self._reading:
            self.loop.remove_reader(self.fileno)
            self._reading = False

    def receive(self, buffer: memoryview) -> int:
        """How much was read into the buffer, 0 at the end of the stream. Raises BlockingIOError, OSError."""
        count = self.stream.recv_into(buffer) if self._tls is None else self._receive_tls(self._tls, buffer)
        if not count:
            self.peer_ended = True
        return count

    def _receive_tls(self, stream: TlsStream, buffer: memoryview) -> int:
        try:
            count = stream.recv_into(buffer)
        except WantsToWrite:
            # The socket stays readable, and would call back at once and for ever.
            self.loop.remove_reader(self.fileno)
            self._stalled = True
            raise
        except BlockingIOError:
            self.read_pending()
            raise
        finally:
            if stream.owes:
                self._write_later()
        if count:
            self.read_pending()
        return count

    def acknowledge(self) -> None:
        """Have what was read acknowledged at once.

        A sender with Nagle's algorithm on, such as DCMTK, waits for the acknowledgement of what it sent before it sends
        the rest of its PDU. The kernel delays that by 40 ms unless told to be quick, each time anew; of a piece that
        is not `SMALL` it acknowledges most by itself.
        """
        try:  # noqa: SIM105 - `suppress` takes as long as the system call
            self.stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        except OSError:
            pass  # the connection has just broken; the next call shows it

    def send(self, data: bytes | memoryview) -> bool:
        """Send, or keep what cannot be sent yet; True if nothing is unsent. Raises OSError."""
        if not self.unsent:
            try:
                sent = self.stream.send(data)
            except BlockingIOError:
                sent = 0
            if sent == len(data):
                return True
            if sent:
                self.moved = self.loop.time()
            data = data[sent:]
        self.unsent += data
        self._write_later()
        return False

    def look_for_progress(self) -> None:
        """Count it as taken if the peer's system has acknowledged something since the last call.

        The kernel takes megabytes at once; a slow reader may need minutes for them.
        """
        if not self.closed:
            queued = ioctl(self.fileno, TIOCOUTQ, bytes(4))
            if queued != self._queued:
                self._queued = queued
                self.moved = self.loop.time()

    def end(self) -> None:
        """Send nothing after what is unsent: half-close."""
        self._ended = True
        if not self.unsent and not self.closed:
            with suppress(OSError):  # the peer was faster
                self.stream.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close now. What is unsent is lost."""
        if not self.closed:
            self.closed = True
            self.pause_reading()
            self._stop_writing()
            self.on_drained = self.on_broken = None
            self._on_readable = _nothing
            self.stream.close()

    def reset(self) -> None:
        """Close with a RST: the peer is in the middle of a PDU and cannot be told in any other way."""
        if not self.closed:
            if isinstance(self.stream, socket.socket):
                self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            self.close()

    def _write_later(self) -> None:
        if not self._writing:
            self.loop.add_writer(self.fileno, self._write)
            self._writing = True

    def _stop_writing(self) -> None:
        if self._writing:
            self.loop.remove_writer(self.fileno)
            self._writing = False

    def _write(self) -> None:
        if self._stalled:
            self._stalled = False
            if self._reading:
                self.loop.add_reader(self.fileno, self._readable)
                self.read_pending()
        kept = bool(self.unsent)
        try:
            sent = self.stream.send(self.unsent)
        except BlockingIOError:
            return
        except OSError as error:
            self._stop_writing()
            if self.on_broken is not None:
                self.on_broken(error)
            return
        self.moved = self.loop.time()
        del self.unsent[:sent]
        if self.unsent or (self._tls is not None and self._tls.owes):
            return
        self._stop_writing()
        if self._ended:
            self.end()
        if kept and self.on_drained is not None:
            self.on_drained()


def _nothing() -> None:
    """No-op default callback."""
