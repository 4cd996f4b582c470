"""The errors of TLS on both sides, and those of connections in words. The stream is in `tls_stream`.

What TLS may be, its versions, suites and certificates, is in `tls_context`.
"""

from __future__ import annotations

import ssl

from .tls_words import reason_in_words, verification_in_words

TlsContext = ssl.SSLContext
"""What the modules that do not import `ssl` call it."""

WANT_READ, WANT_WRITE, WANT_TURN, DONE = "read", "write", "turn", "done"
"""What a step of a handshake comes to.

The first two say what the socket must be ready for before the next step. After WANT_TURN the next step may be done at
once, but others are served first. DONE: data may flow.
"""


class TlsError(OSError):
    """A TLS handshake failed. The message is for the operator's log."""


class WantsToWrite(BlockingIOError):
    """Nothing is read before the answers to earlier records are sent, for example to key updates (RFC 8446 4.6.3)."""


def words(error: OSError, peer: str = "the server") -> str:
    """An error of a connection in words for the operator; `peer` is "the client" or "the server"."""
    if isinstance(error, TlsError):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return verification_in_words(error.verify_message, peer)
    if isinstance(error, ssl.SSLError):
        return reason_in_words(error.reason or "", peer)
    if isinstance(error, TimeoutError):
        return "not in time"
    return error.strerror or "the connection ended"
