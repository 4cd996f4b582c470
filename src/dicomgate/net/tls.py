"""TLS over a socket, on both sides; what it may be is in `tls_context`.

A `TlsStream` behaves like a non-blocking socket: `recv_into` and `send` raise BlockingIOError where they would wait.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import socket
import ssl
from contextlib import suppress

TlsContext = ssl.SSLContext
WANT_READ, WANT_WRITE, DONE = "read", "write", "done"


class TlsError(OSError):
    """A TLS handshake failed. The message is for the operator's log."""


class WantsToWrite(BlockingIOError):
    """Nothing can be read before an answer to a key update is sent (RFC 8446 4.6.3)."""


def words(error: OSError) -> str:
    """An error of a connection in words for the operator."""
    if isinstance(error, TlsError):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate does not verify: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return (error.reason or "broken off").lower().replace("_", " ")
    if isinstance(error, TimeoutError):
        return "not in time"
    return error.strerror or "the connection ended"


class TlsStream:
    """A TLS connection over a connected, non-blocking socket."""

    __slots__ = ("_end", "_socket", "fileno", "setsockopt")

    def __init__(self, context: ssl.SSLContext, raw: socket.socket, server_name: str | None = None) -> None:
        """Server side, or client side with a `server_name`. Nothing is sent yet. Raises OSError, ValueError."""
        # On a connection that was reset, SSLSocket would raise and leave the socket open.
        if error := raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise TlsError(os.strerror(error))
        self._socket = context.wrap_socket(
            raw,
            server_side=server_name is None,
            server_hostname=server_name,
            do_handshake_on_connect=False,
            suppress_ragged_eofs=True,
        )
        self.fileno = self._socket.fileno
        self.setsockopt = self._socket.setsockopt
        self._end: OSError | bool = False  # how receiving ended: True is the end of the stream

    def handshake(self) -> str:
        """One step: DONE, or what the socket must be ready for before the next. Raises TlsError."""
        try:
            self._socket.do_handshake()
        except ssl.SSLWantReadError:
            return WANT_READ
        except ssl.SSLWantWriteError:
            return WANT_WRITE
        except OSError as error:
            raise TlsError(words(error)) from error
        except ValueError as error:
            raise TlsError("no handshake") from error
        return DONE

    def peer_certificate(self) -> bytes | None:
        """The peer's certificate in DER, verified if the context verifies; None if it sent none."""
        return self._socket.getpeercert(binary_form=True)

    def check_pin(self, fingerprint: str) -> None:
        """Raise TlsError unless the peer's certificate has this SHA-256 (64 lower-case hexadecimal digits)."""
        found = hashlib.sha256(self.peer_certificate() or b"").hexdigest()
        if not hmac.compare_digest(found, fingerprint):
            raise TlsError(f"the certificate's SHA-256 is {found}, which is not pinned")

    def recv_into(self, buffer: memoryview) -> int:
        """Read into the buffer what has arrived, and return how much; 0 at the end. Raises BlockingIOError, OSError."""
        filled = 0
        try:
            while not self._end and filled < len(buffer):
                count = self._socket.recv_into(buffer[filled:])
                filled += count
                self._end = not count
        except ssl.SSLWantReadError:
            if not filled:
                raise BlockingIOError from None
        except ssl.SSLWantWriteError:
            if not filled:
                raise WantsToWrite from None
        except ssl.SSLZeroReturnError:
            self._end = True
        except OSError as error:
            self._end = error
        # Data first: the next call, for which `pending` asks, raises or returns the end.
        if not filled and isinstance(self._end, OSError):
            raise self._end
        return filled

    def send(self, data: bytes | bytearray | memoryview) -> int:
        """Send what can be sent now, and return how much. Raises BlockingIOError if that is nothing, OSError."""
        try:
            return self._socket.send(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None

    def pending(self) -> bool:
        """True if decrypted bytes or the end can be read, although the socket may not become readable again."""
        return bool(self._end) or self._socket.pending() > 0

    def shutdown(self, how: int) -> None:
        """Send close_notify (RFC 8446 6.1), then end the socket's sending side."""
        # It raises while the peer's close_notify is missing, which may come later or never.
        with suppress(OSError, ValueError):
            self._socket.unwrap()
            self._end = True  # the peer has ended; SSLSocket would take anything that follows for plain text
        # SSLSocket.shutdown would drop the TLS state, and with it what still arrives.
        socket.socket.shutdown(self._socket, how)

    def pass_over(self, buffer: memoryview) -> int:
        """Like `recv_into`, for bytes to discard: they are not decrypted.

        After a `shutdown` OpenSSL would take data for the end, and a close with unread bytes would send a RST.
        """
        return socket.socket.recv_into(self._socket, buffer)

    def blocking(self) -> socket.socket:
        """The socket itself, which waits from now on: for a client without an event loop."""
        self._socket.setblocking(True)
        return self._socket

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
