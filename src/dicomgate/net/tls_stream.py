"""TLS over a socket, on both sides: `recv_into` and `send` raise BlockingIOError where they would wait.

Law: whatever the peer sends, one call does a bounded amount of work. OpenSSL is given one record at a time, because
it would go on for as long as records without data come, for example key updates: each is a key derivation.
"""

from __future__ import annotations

import hashlib
import hmac
import socket
import ssl
from contextlib import suppress

from .tls import DONE, WANT_READ, WANT_TURN, WANT_WRITE, TlsError, WantsToWrite, words
from .tls_hello import HEADER, Hello

_MOST_RECORDS = 128  # in one call; 96 of 16 KiB fill the receive buffer
_PIECE = 65_536  # bytes read from the socket at once
_LONGEST_RECORD = 16_384 + 2_048  # RFC 5246 6.2.3
_PLAIN = 16_384  # bytes of data in a record that we make
_MOST_OWED = 65_536  # bytes of answers that the peer does not read


class TlsStream:
    """A TLS connection over a connected, non-blocking socket."""

    __slots__ = ("_at", "_end", "_hello", "_incoming", "_moved", "_object", "_outgoing", "_owed", "_promised",
                 "_received", "_socket", "fileno", "setsockopt")  # fmt: skip

    def __init__(self, context: ssl.SSLContext, raw: socket.socket, server_name: str | None = None) -> None:
        """Server side, or client side with a `server_name`. Nothing is sent yet. Raises OSError, ValueError."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_name is None, server_name)
        self._socket = raw
        self.fileno = raw.fileno
        self.setsockopt = raw.setsockopt
        self._hello: Hello | None = Hello()  # until the handshake is complete
        self._received, self._at = b"", 0  # from the socket; OpenSSL has had the first `_at` bytes
        self._owed: bytes = b""  # records that the socket has not taken yet
        self._promised = 0  # bytes of data of which the records are among those
        self._moved = 0  # bytes that the socket has taken
        self._end: OSError | bool = False  # how receiving ended: True is the end of the stream

    def handshake(self) -> str:
        """One step: DONE, or what the socket must be ready for before the next; WANT_TURN: others are served first.

        Raises TlsError.
        """
        try:
            return self._step()
        except TlsError:
            raise
        except OSError as error:
            with suppress(OSError):  # the alert
                self._flush()
            raise TlsError(words(error, "the client" if self._object.server_side else "the server")) from error
        except ValueError as error:
            raise TlsError("no handshake") from error

    def _step(self) -> str:
        for _ in range(_MOST_RECORDS):
            try:
                self._object.do_handshake()
                wanted, self._hello = DONE, None
            except ssl.SSLWantReadError:
                wanted = WANT_READ
            if not self._flush():
                return WANT_WRITE
            if wanted == DONE or not self._feed():
                return wanted
        return WANT_TURN

    def peer_certificate(self) -> bytes | None:
        """The peer's certificate in DER, verified if the context verifies; None if it sent none."""
        return self._object.getpeercert(binary_form=True)

    def check_pin(self, fingerprint: str) -> None:
        """Raise TlsError unless the peer's certificate has this SHA-256 (64 lower-case hexadecimal digits)."""
        found = hashlib.sha256(self.peer_certificate() or b"").hexdigest()
        if not hmac.compare_digest(found, fingerprint):
            raise TlsError(f"the certificate's SHA-256 is {found}, which is not pinned")

    def recv_into(self, buffer: memoryview) -> int:
        """Read into the buffer what has arrived, and return how much; 0 at the end. Raises BlockingIOError, OSError.

        There may be more to read than was returned, also after a BlockingIOError: see `pending`.
        """
        if len(self._owed) > _MOST_OWED:
            raise WantsToWrite
        filled, room = 0, len(buffer)
        try:
            for _ in range(_MOST_RECORDS):
                if self._end or filled == room or not (self._object.pending() or self._feed()):
                    break
                count: int = self._object.read(room - filled, buffer[filled:])  # type: ignore[assignment]
                filled += count
                self._end = not count
        except ssl.SSLWantReadError:
            pass  # a record without data: it has been dear enough for this call
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            self._end = True
        except OSError as error:
            self._end = error
        if self._outgoing.pending:
            with suppress(OSError):  # sending shows it
                self._flush()
        # Data first: the next call, for which `pending` asks, raises or returns the end.
        if filled:
            return filled
        if isinstance(self._end, OSError):
            try:
                raise self._end
            finally:
                self._end = True  # the error knows its frames, and they this: kept, it would need the garbage collector
        if self._end:
            return 0
        raise BlockingIOError

    def pending(self) -> bool:
        """True if data or the end can be read, although the socket may not become readable again."""
        return bool(self._end) or self._object.pending() > 0 or bool(self._record())

    @property
    def owes(self) -> bool:
        """True if something must still be sent, if only by `send(b"")`, once the socket takes it."""
        return bool(self._owed)

    def send(self, data: bytes | bytearray | memoryview) -> int:
        """Send what can be sent now, and return how much; 0 if a part of a record. Raises BlockingIOError, OSError.

        What is not counted must be the beginning of the next call's data: its record may have been made.
        """
        before, sent = self._moved, 0
        if self._flush():
            sent, self._promised = self._promised, 0
            view = memoryview(data)
            while sent < len(view):
                piece = view[sent : sent + _PLAIN]
                self._object.write(piece)
                if not self._flush():
                    self._promised = len(piece)
                    break
                sent += len(piece)
        if self._moved == before and not sent and (data or self._owed):
            raise BlockingIOError
        return sent

    def shutdown(self, how: int) -> None:
        """Send close_notify (RFC 8446 6.1), then end the socket's sending side."""
        # It raises while the peer's close_notify is missing, which may come later or never.
        with suppress(OSError, ValueError):
            self._object.unwrap()
            self._end = True  # the peer has ended
        with suppress(OSError):
            self._flush()
        self._socket.shutdown(how)

    def pass_over(self, buffer: memoryview) -> int:
        """Like `recv_into`, for bytes to discard: they are not decrypted."""
        return self._socket.recv_into(buffer)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _record(self) -> int:
        """The length of the next record if it has come whole, otherwise 0. What is no record counts as one."""
        left = len(self._received) - self._at
        if left < HEADER.size:
            return 0
        kind, version, length = HEADER.unpack_from(self._received, self._at)
        if not (20 <= kind <= 24 and version >> 8 == 3 and length <= _LONGEST_RECORD):
            return left  # OpenSSL refuses it, and knows the words
        whole: int = HEADER.size + length
        return whole if whole <= left else 0

    def _feed(self) -> bool:
        """Give OpenSSL the next record; False if more of it must come first. Raises OSError, TlsError."""
        while not (size := self._record()):
            try:
                piece = self._socket.recv(_PIECE)
            except BlockingIOError:
                return False
            self._received, self._at = self._received[self._at :] + piece, 0
            if not piece:
                self._incoming.write(self._received)
                self._incoming.write_eof()
                self._received = b""
                return True
        record: bytes | memoryview = memoryview(self._received)[self._at : self._at + size]
        self._at += size
        if self._at == len(self._received):
            self._received, self._at = b"", 0
        if self._hello is not None and self._hello.awaited:
            record = self._hello.take(bytes(record))
        self._incoming.write(record)
        return True

    def _flush(self) -> bool:
        """Send the records that OpenSSL has made; True if none is left. Raises OSError."""
        records = self._outgoing.read()
        if self._hello is not None:
            self._hello.sent(records)
        records = self._owed + records
        if not records:
            return True
        try:
            sent = self._socket.send(records)
        except BlockingIOError:
            sent = 0
        self._moved += sent
        self._owed = records[sent:]
        return not self._owed
