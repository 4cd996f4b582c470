"""A TLS stream that waits, with the methods of a socket: for a client without an event loop."""

from __future__ import annotations

import select

from .tls import WantsToWrite
from .tls_stream import TlsStream


class BlockingTls:
    """A `TlsStream` whose handshake is complete. Its methods raise OSError as those of a socket do."""

    def __init__(self, stream: TlsStream) -> None:
        self._stream = stream
        self._seconds: float | None = None

    def settimeout(self, seconds: float | None) -> None:
        """How long each wait may take; None: for ever."""
        self._seconds = seconds

    def sendall(self, data: bytes) -> None:
        """Send all of it. Raises TimeoutError, OSError."""
        left = memoryview(data)
        while left or self._stream.owes:
            try:
                left = left[self._stream.send(left) :]
            except BlockingIOError:
                self._wait(select.POLLOUT)

    def recv(self, most: int) -> bytes:
        """At least one byte, and no more than `most`; b"" at the end. Raises TimeoutError, OSError."""
        buffer = bytearray(most)
        while True:
            try:
                return bytes(buffer[: self._stream.recv_into(memoryview(buffer))])
            except WantsToWrite:
                self.sendall(b"")
            except BlockingIOError:
                if not self._stream.pending():
                    self._wait(select.POLLIN)

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def _wait(self, event: int) -> None:
        poll = select.poll()
        poll.register(self._stream.fileno(), event)
        if not poll.poll(None if self._seconds is None else 1000 * self._seconds):
            raise TimeoutError
