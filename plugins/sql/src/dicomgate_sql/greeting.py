"""The first byte that a PostgreSQL server says, looked at before asyncpg does.

asyncpg 0.32 believes that it talks to PostgreSQL. From a server that says zeros it never returns, and as it holds the
interpreter meanwhile, no deadline helps: every association of the gateway would stand still.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

_FIRST_BYTES = b"RENvS"
"""Authentication, error, notice or no TLS, another version, TLS (PostgreSQL, "Message Formats")."""


class CarefulLoop:
    """An event loop for asyncpg; its connections end when what answers is no PostgreSQL."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_connection(
        self, factory: Callable[[], asyncio.Protocol], *arguments: Any, **options: Any
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """As the event loop's own."""
        transport, first = await self._loop.create_connection(lambda: _First(factory()), *arguments, **options)
        return transport, first.protocol


class _First(asyncio.Protocol):
    """Takes the place of the protocol until its first byte has come."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self.protocol = protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.protocol.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if data[0] not in _FIRST_BYTES:
            self._transport.abort()
            return
        self._transport.set_protocol(self.protocol)
        self.protocol.data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.protocol.connection_lost(error)
