"""Connections of redis-py to the first address of a host that answers, whichever is silent.

Its own way is to try one address after the other with the system's resolver, in threads of the event loop that all of
the gateway shares. The deadline is that of the command for which it connects.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

from redis.asyncio import Connection, ConnectionPool, SSLConnection

from ..kit.connecting import connected, first
from ..kit.failover import NoAnswerError
from ..kit.host import Address, Host

_log = logging.getLogger("dicomgate.state")
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Raced(Connection):
    def __init__(self, *, addresses: Host, stagger: float, **options: Any) -> None:
        super().__init__(**options)
        self._addresses = addresses
        self._stagger = stagger

    async def _connect(self) -> None:
        kind = f"state {self._host_error()}"
        opened = await first(self._addresses, self._open, _close, kind=kind, log=_log, stagger=self._stagger)
        self._reader, self._writer = opened

    async def _open(self, address: Address) -> _Streams:
        tls = self._connection_arguments().get("ssl")
        try:
            sock = await connected(address)
            try:
                if self.socket_keepalive:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                    options: Any = self.socket_keepalive_options
                    for option, value in options.items():
                        sock.setsockopt(socket.IPPROTO_TCP, option, value)
                name = self.host if tls else None
                return await asyncio.open_connection(sock=sock, ssl=tls, server_hostname=name)
            except BaseException:
                sock.close()
                raise
        except OSError as error:
            raise NoAnswerError(error.strerror or str(error)) from None


class _RacedTls(_Raced, SSLConnection):
    pass


def race(pool: ConnectionPool, within: float) -> Host | None:
    """Have the pool connect so, each time within so many seconds. The host, or None for a socket file."""
    kinds: dict[Any, type[_Raced]] = {Connection: _Raced, SSLConnection: _RacedTls}
    raced = kinds.get(pool.connection_class)
    if raced is None:
        return None
    options = pool.connection_kwargs
    host = Host(options.get("host", "localhost"), int(options.get("port", 6379)))
    pool.connection_class = raced
    # An address has a quarter of the time to itself, so that two that are silent leave half for the third.
    options |= {"addresses": host, "stagger": within / 4}
    return host


def _close(opened: _Streams) -> None:
    opened[1].close()
