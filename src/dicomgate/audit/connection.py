"""A connection to a collector: syslog over TLS (RFC 5425), in a thread that may wait."""

from __future__ import annotations

import errno
import fcntl
import socket
import ssl
import struct
import termios
from contextlib import suppress
from dataclasses import dataclass

from ..net.tls import TlsContext

_CONNECT = 10.0  # seconds; TLS has as many
_STALLED = 30.0  # seconds in which some bytes must be taken
_IDLE, _EVERY, _TIMES = 30, 10, 3  # TCP's keepalive
_MOST = 65_536
_CLOSE_WAIT = 8  # tcp_states.h
ENDED = 0
"""The errno of an orderly end: the collector has read all that its host has."""


@dataclass(frozen=True, slots=True)
class Collector:
    """Where messages go. The certificate is verified by `context`, and must be for `server_name`."""

    host: str
    port: int
    server_name: str
    context: TlsContext


class Connection:
    """An open connection, with the name in the server's certificate verified."""

    def __init__(self, collector: Collector) -> None:
        """Connects. Raises OSError."""
        plain = socket.create_connection((collector.host, collector.port), _CONNECT)
        try:
            for level, option, value in (
                (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(_STALLED * 1000)),
                (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
                (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _IDLE),
                (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _EVERY),
                (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _TIMES),
            ):
                plain.setsockopt(level, option, value)
            self._tls = collector.context.wrap_socket(plain, server_hostname=collector.server_name)
        except BaseException:
            plain.close()
            raise

    def send(self, data: bytes) -> None:
        """Give all of it to the kernel. Raises OSError, also when the collector takes nothing for 30 s."""
        self._tls.settimeout(_STALLED)
        self._tls.sendall(data)

    def check(self) -> None:
        """Raise OSError if the collector has ended the connection. What it sends is thrown away."""
        self._tls.settimeout(0)
        # Python's ssl takes a reset for an end; and once OpenSSL has seen an end, it makes a reset of it by an alert.
        orderly = self._tls.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _CLOSE_WAIT
        with suppress(ssl.SSLWantReadError):
            while self._tls.recv(_MOST):
                pass
            if orderly:
                raise ConnectionResetError(ENDED, "the collector has ended the connection")
            raise ConnectionResetError(errno.ECONNRESET, "the collector's host has reset the connection")

    @property
    def queued(self) -> int:
        """Bytes that TCP has not sent, or the collector's host not acknowledged. Raises OSError."""
        answer = fcntl.ioctl(self._tls.fileno(), termios.TIOCOUTQ, bytes(4))
        return int(struct.unpack("i", answer)[0])

    def fileno(self) -> int:
        """For `poll`."""
        return self._tls.fileno()

    def close(self) -> None:
        """End it, with a close_notify if that goes at once."""
        with suppress(OSError):
            self._tls.settimeout(0)
            self._tls.unwrap()
        self._tls.close()
