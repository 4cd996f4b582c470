"""The first message of a TLS handshake, before OpenSSL computes: no key exchange in a finite field.

One ClientHello of a few hundred bytes can make OpenSSL compute in ffdhe8192 (RFC 7919) for a third of a second, and
`ssl` has no way to say which groups are acceptable. No peer needs them: RFC 8446 9.1 makes secp256r1 mandatory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from struct import Struct, error

from .tls import TlsError

HEADER = Struct(">BHH")
"""ContentType, legacy_record_version, length (RFC 8446 5.1)."""
_HANDSHAKE, _CLIENT_HELLO, _SERVER_HELLO = 22, 1, 2
_HELLO_REQUEST = bytes(4)  # a server may send it at any time (RFC 5246 7.4.1.1)
_KEY_SHARE = 51
_FINITE_FIELD = range(0x0100, 0x0200)  # RFC 7919: ffdhe2048 to ffdhe8192, and ffdhe_private_use
_LONGEST = 16_384  # bytes; those of today's clients have less than 2,000
_U16 = Struct(">H")
_PAIR = Struct(">HH")
# RFC 8446 4.1.3: the random of a ServerHello that is a HelloRetryRequest, the SHA-256 of that word.
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
_RANDOM = slice(11, 43)  # of a record that begins with a ServerHello


class Hello:
    """Holds back the peer's ClientHello or ServerHello until it is whole and has been looked at."""

    __slots__ = ("_message", "_records", "awaited")

    def __init__(self) -> None:
        self.awaited = True
        self._records = b""
        self._message = b""

    def sent(self, records: bytes) -> None:
        """Our own side sent this. After a HelloRetryRequest, another ClientHello follows."""
        self.awaited = self.awaited or records[_RANDOM] == _RETRY

    def take(self, record: bytes) -> bytes:
        """Take a whole record; return the records that OpenSSL may have now, b"" while the message is not whole.

        Raises TlsError if the message is too long, or offers a key exchange in a finite field. What is no hello, or
        not well-formed, is for OpenSSL to refuse.
        """
        if record[0] != _HANDSHAKE:
            return record
        self._records += record
        self._message += record[HEADER.size :]
        while self._message.startswith(_HELLO_REQUEST):
            self._message = self._message[len(_HELLO_REQUEST) :]
        message = self._message
        whole = 4 + int.from_bytes(message[1:4])
        # What may still become a HelloRequest waits too: OpenSSL puts one together from any records.
        if _HELLO_REQUEST.startswith(message) or message[0] in (_CLIENT_HELLO, _SERVER_HELLO):
            if len(message) < whole and max(whole, len(self._records)) <= _LONGEST:
                return b""
            if len(message) < whole or (message[0] == _CLIENT_HELLO and len(message) > whole):
                raise TlsError("the first message of the TLS handshake is too long")
            for group in _offered(message[:whole]):
                if group in _FINITE_FIELD:
                    raise TlsError(f"a key exchange in a finite field (group {group:04X}H) takes too long to compute")
            self.awaited = False
        records, self._records, self._message = self._records, b"", b""
        return records


def _offered(message: bytes) -> Iterator[int]:
    """The groups of the key_share extension (RFC 8446 4.2.8): those before a mistake, where there is one."""
    with suppress(error, IndexError):
        yield from _groups(message)


def _groups(message: bytes) -> Iterator[int]:
    at = 38  # after type, length, legacy_version and random
    at += 1 + message[at]  # legacy_session_id, or its echo
    if message[0] == _CLIENT_HELLO:
        at += 2 + _U16.unpack_from(message, at)[0]  # cipher_suites
        at += 1 + message[at]  # legacy_compression_methods
    else:
        at += 3  # cipher_suite, legacy_compression_method
    at += 2  # the length of the extensions
    while at < len(message):
        kind, length = _PAIR.unpack_from(message, at)
        at += _PAIR.size
        if kind == _KEY_SHARE:
            yield from _shares(message, at, length)
        at += length


def _shares(message: bytes, at: int, length: int) -> Iterator[int]:
    if message[0] == _SERVER_HELLO:
        yield _U16.unpack_from(message, at)[0]  # one share; of a HelloRetryRequest the group alone
        return
    end = at + length
    at += 2  # the length of the shares
    while at < end:
        group, size = _PAIR.unpack_from(message, at)
        yield group
        at += _PAIR.size + size
