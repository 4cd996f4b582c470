"""Connections of redis-py to the first address of a host that answers, whichever is silent.

Its own way is to try one address after the other with the system's resolver, in threads of the event loop that all of
the gateway shares. The deadline is that of the command for which it connects.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any, Protocol

from redis.asyncio import Connection

from ..kit.authorities import Context
from ..kit.connecting import connected, first
from ..kit.failover import NoAnswerError
from ..kit.host import Address, Host

_log = logging.getLogger("dicomgate.state")
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Servers(Protocol):
    """Which server a connection is to be opened to."""

    async def current(self) -> Host:
        """The host of that server now. Raises NoAnswerError."""
        ...

    def trouble(self) -> str:
        """What happened at each of its addresses, where nothing answered in time; or ""."""
        ...

    async def close(self) -> None:
        """Wait for nothing any longer. Never raises."""
        ...


class OneServer:
    """The server that the URL names."""

    def __init__(self, name: str, port: int) -> None:
        self._host = Host(name, port)

    async def current(self) -> Host:
        """See Servers."""
        return self._host

    def trouble(self) -> str:
        """See Servers."""
        return self._host.trouble() if self._host.is_name else ""

    async def close(self) -> None:
        """See Servers."""
        self._host.close()


class Raced(Connection):
    """A connection to the current one of the `servers`; `context` is for TLS, None: without."""

    def __init__(self, *, servers: Servers, stagger: float, context: Context | None, **options: Any) -> None:
        super().__init__(**options)
        self._servers = servers
        self._stagger = stagger
        self._tls = context

    async def _connect(self) -> None:
        async with asyncio.timeout(self.socket_connect_timeout):
            host = await self._servers.current()
            self.host, self.port = host.name, host.port
            kind = f"state {self._host_error()}"
            opened = await first(host, self._open, _close, kind=kind, log=_log, stagger=self._stagger)
            self._reader, self._writer = opened

    async def _open(self, address: Address) -> _Streams:
        try:
            sock = await connected(address)
            try:
                if self.socket_keepalive:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                    options: Any = self.socket_keepalive_options
                    for option, value in options.items():
                        sock.setsockopt(socket.IPPROTO_TCP, option, value)
                name = self.host if self._tls else None
                return await asyncio.open_connection(sock=sock, ssl=self._tls, server_hostname=name)
            except BaseException:
                sock.close()
                raise
        except OSError as error:
            raise NoAnswerError(error.strerror or str(error)) from None


def _close(opened: _Streams) -> None:
    opened[1].close()
