"""One side of an association: a non-blocking stream, and what is still to be sent on it.

Law: what `send` could not send at once is kept and sent when the stream takes it; until then the other side is not
read (`unsent`), so that a slow reader slows its sender instead of filling our memory.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from struct import pack

from .tls import TlsStream, WantsToWrite

Stream = socket.socket | TlsStream
_AT_ONCE = pack("ii", 1, 0)
_SMALL = 32_768  # bytes in one piece; after a larger one the kernel acknowledges by itself


class Connection:
    """The gateway's end of one connection.

    `on_drained` is called when nothing is unsent any more; `on_broken`, with an OSError, when a delayed send fails.
    """

    __slots__ = (
        "_ended",
        "_loop",
        "_on_readable",
        "_reading",
        "_stalled",
        "_writing",
        "closed",
        "fileno",
        "on_broken",
        "on_drained",
        "peer_ended",
        "stream",
        "unsent",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, stream: Stream) -> None:
        self.stream = stream
        self.fileno = stream.fileno()
        self.unsent = bytearray()
        self.closed = False
        self.peer_ended = False
        self.on_drained: Callable[[], None] | None = None
        self.on_broken: Callable[[OSError], None] | None = None
        self._loop = loop
        self._reading = False
        self._stalled = False  # nothing can be read before TLS has sent something
        self._writing = False
        self._ended = False
        self._on_readable: Callable[[], None] = _nothing

    def read_with(self, callback: Callable[[], None]) -> None:
        """Call back whenever there is something to read, from now on."""
        if not self.closed:
            self._on_readable = callback
            if not self._reading:
                self._loop.add_reader(self.fileno, self._readable)
                self._reading = True
            self.read_pending()

    def read_pending(self) -> None:
        """Call back soon if TLS holds decrypted bytes: the socket may not become readable for them."""
        if isinstance(self.stream, TlsStream) and self._reading and self.stream.pending():
            self._loop.call_soon(self._readable)

    def _readable(self) -> None:
        if self._reading:
            self._on_readable()

    def pause_reading(self) -> None:
        """Do not call back any more."""
        if self._reading:
            self._loop.remove_reader(self.fileno)
            self._reading = False

    def receive(self, buffer: memoryview) -> int:
        """How much was read into the buffer, 0 at the end of the stream. Raises BlockingIOError, OSError."""
        try:
            count = self.stream.recv_into(buffer)
        except WantsToWrite:
            # The socket stays readable, and would call back at once and for ever.
            self._loop.remove_reader(self.fileno)
            self._stalled = True
            self._write_later()
            raise
        if not count:
            self.peer_ended = True
        elif count < _SMALL:
            # A sender with Nagle's algorithm on, such as DCMTK, waits for the acknowledgement of what it sent before it
            # sends the rest of its PDU. The kernel delays that by 40 ms unless told to be quick, each time anew.
            with suppress(OSError):  # the connection has just broken; the next call shows it
                self.stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return count

    def send(self, data: bytes | memoryview) -> bool:
        """Send, or keep what cannot be sent yet; True if nothing is unsent. Raises OSError."""
        if not self.unsent:
            try:
                sent = self.stream.send(data)
            except BlockingIOError:
                sent = 0
            if sent == len(data):
                return True
            data = data[sent:]
        self.unsent += data
        self._write_later()
        return False

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

    def linger_close(
        self, scratch: memoryview, seconds: float, gone: Callable[[], None], *, at_once: bool = False
    ) -> None:
        """Send what is unsent, half-close, discard what still comes, close at the peer's end or after `seconds`.

        A close with something unread would be a RST, and could overtake the last PDU that we sent. `at_once`: nothing
        more can come. `gone` is called when the connection is closed. What is discarded is read into `scratch`.
        """
        if (at_once or self.peer_ended) and not self.unsent:
            if isinstance(self.stream, TlsStream):
                self.end()  # close_notify; for plain TCP the close says it all
            self.close()
        if self.closed:
            gone()
        else:
            _LingeringClose(self, self._loop, scratch, gone).begin(seconds)

    def _write_later(self) -> None:
        if not self._writing:
            self._loop.add_writer(self.fileno, self._write)
            self._writing = True

    def _stop_writing(self) -> None:
        if self._writing:
            self._loop.remove_writer(self.fileno)
            self._writing = False

    def _write(self) -> None:
        if self._stalled:
            self._stalled = False
            if self._reading:
                self._loop.add_reader(self.fileno, self._readable)
            if not self.unsent:
                self._stop_writing()
                return
        try:
            sent = self.stream.send(self.unsent)
        except BlockingIOError:
            return
        except OSError as error:
            self._stop_writing()
            if self.on_broken is not None:
                self.on_broken(error)
            return
        del self.unsent[:sent]
        if not self.unsent:
            self._stop_writing()
            if self._ended:
                self.end()
            if self.on_drained is not None:
                self.on_drained()


class _LingeringClose:
    """What becomes of a connection between its half-close and its close."""

    def __init__(
        self, connection: Connection, loop: asyncio.AbstractEventLoop, scratch: memoryview, gone: Callable[[], None]
    ) -> None:
        stream = connection.stream
        self._connection = connection
        self._loop = loop
        self._scratch = scratch
        self._gone = gone
        self._discard = stream.pass_over if isinstance(stream, TlsStream) else stream.recv_into

    def begin(self, seconds: float) -> None:
        self._timer = self._loop.call_later(seconds, self._over)
        self._connection.on_drained, self._connection.on_broken = None, self._over
        self._connection.pause_reading()
        self._connection.end()
        self._connection.read_with(self._readable)

    def _readable(self) -> None:
        try:
            if self._discard(self._scratch):
                return
        except BlockingIOError:
            return
        except OSError:
            pass  # the peer has broken the connection: that is an end too
        self._over()

    def _over(self, _: OSError | None = None) -> None:
        self._timer.cancel()
        self._connection.close()
        self._gone()


def _nothing() -> None:
    """No-op default callback."""
