"""Accept connections; when the system runs out of file descriptors, pause and go on."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import TypeAlias

from ..errors import StartError
from ..kit.addresses import show_address

_log = logging.getLogger("dicomgate.listener")
_BACKLOG = 1024
_AT_ONCE = 16  # connections accepted in one callback; one in each would cost a fifth more
_PAUSE = 0.5  # seconds, after the file descriptors ran out
_REMEDIES = {
    errno.EADDRINUSE: "; end what listens there (ss -ltnp shows it), or write another address in bind",
    errno.EACCES: "; a port below 1024 needs AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit",
    errno.EADDRNOTAVAIL: "; this machine does not have the address, or not yet",
}
_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

Address: TypeAlias = tuple[str, int]
"""Host and port."""
Accepted: TypeAlias = Callable[[socket.socket, Address], None]


def listen(host: str, port: int, table: str) -> socket.socket:
    """A listening socket; on an IPv6 address, for IPv6 alone.

    Raises StartError, which names address, reason and the table of the configuration that wants it.
    """
    sock = bind(host, port, table)
    try:
        sock.listen(_BACKLOG)
    except OSError as error:  # another program listens there since a moment ago
        sock.close()
        raise _cannot(host, port, table, error) from error
    return sock


def bind(host: str, port: int, table: str) -> socket.socket:
    """A socket that is bound, and does not listen yet. Raises as `listen` does."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = None
    try:
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it
        sock.bind((host, port))
    except OSError as error:
        if sock is not None:
            sock.close()
        raise _cannot(host, port, table, error) from error
    return sock


def _cannot(host: str, port: int, table: str, error: OSError) -> StartError:
    remedy = _REMEDIES.get(error.errno or 0, "")
    return StartError(f"{table}: cannot listen on {show_address(host, port)}: {error.strerror or error}{remedy}")


class Listener:
    """Calls `accepted` with each connection, which is non-blocking and without Nagle's delay, and its address."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, accepted: Accepted) -> None:
        self._loop = loop
        self._socket = sock
        self._accepted = accepted
        self._pause: asyncio.TimerHandle | None = None
        loop.add_reader(sock.fileno(), self._accept)

    def close(self) -> None:
        """Stop accepting, and close the socket."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, address = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _OUT_OF_RESOURCES:
                    self._pause_for(error)
                    return
                continue  # this one connection ended before it was accepted
            connection.setblocking(False)
            self._accepted(connection, address[:2])

    def _pause_for(self, error: OSError) -> None:
        # The connection stays in the backlog and the socket readable: without a pause this would be a busy loop.
        _log.error("no connection can be accepted for now: %s", error.strerror)
        self._loop.remove_reader(self._socket.fileno())
        self._pause = self._loop.call_later(_PAUSE, self._loop.add_reader, self._socket.fileno(), self._accept)
