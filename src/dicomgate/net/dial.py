"""Connect to the PACS: each of its addresses in turn, with TLS; nothing blocks the event loop.

A host name is looked up when the configuration is loaded, and again in the background after a connection failed. No
association waits for the resolver.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable
from typing import Any

from ..kit.addresses import show_address
from .connection import Connection, Stream
from .tls import TlsContext, TlsError, TlsStream
from .tls_handshake import TlsHandshake

_log = logging.getLogger("dicomgate.upstream")
_Address = tuple[int, tuple[Any, ...]]


class Upstream:
    """One PACS: a host name or address, a port, and TLS if `tls` is given.

    Its certificate must be for `server_name`, or for `host` without one. With a `pin`, the certificate's SHA-256 in
    lower-case hexadecimal, the pin alone decides.
    """

    def __init__(
        self,
        name: str,
        host: str,
        port: int,
        tls: TlsContext | None = None,
        server_name: str | None = None,
        pin: str | None = None,
    ) -> None:
        self.name = name
        self.host = host
        self.port = port
        self._tls = tls
        self._server_name = server_name or host
        self._pin = pin
        self._addresses: list[_Address] = []
        self._looking_up: asyncio.Task[None] | None = None

    async def look_up(self) -> None:
        """Look up the host's addresses. If that fails, it is logged and the addresses found before stay in use."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            _log.error("upstream %s: the host name %s does not resolve: %s", self.name, self.host, error.strerror)
            return
        self._addresses = [(family, address) for family, _, _, _, address in found]

    def connect(
        self, loop: asyncio.AbstractEventLoop, opened: Callable[[Connection], None], failed: Callable[[str], None]
    ) -> Connecting:
        """An attempt to connect. Its `step` begins it; it calls `opened` once, or `failed` with the reason."""
        return Connecting(self, loop, list(self._addresses), opened, failed)

    def look_up_again(self) -> None:
        """Look up in the background, one look-up at a time."""
        if self._looking_up is None or self._looking_up.done():
            self._looking_up = asyncio.ensure_future(self.look_up())

    async def close(self) -> None:
        """Cancel a look-up that is under way."""
        if self._looking_up is not None:
            self._looking_up.cancel()
            await asyncio.wait({self._looking_up})

    def stream(self, raw: socket.socket) -> Stream:
        """The stream over a connected socket: TLS if that is configured. Raises OSError, ValueError."""
        return raw if self._tls is None else TlsStream(self._tls, raw, self._server_name)

    def check_pin(self, stream: TlsStream) -> None:
        """Raise TlsError if a certificate is pinned and the peer's is another one."""
        if self._pin is not None:
            stream.check_pin(self._pin)


class Connecting:
    """One attempt to connect: `step` begins it, `cancel` ends it without a callback."""

    __slots__ = ("_addresses", "_failed", "_fileno", "_loop", "_opened", "_reasons", "_stream", "_tls_handshake",
                 "_upstream")  # fmt: skip

    def __init__(
        self,
        upstream: Upstream,
        loop: asyncio.AbstractEventLoop,
        addresses: list[_Address],
        opened: Callable[[Connection], None],
        failed: Callable[[str], None],
    ) -> None:
        self._upstream = upstream
        self._loop = loop
        self._addresses = addresses
        self._opened = opened
        self._failed = failed
        self._reasons: list[str] = []
        self._stream: Stream | None = None
        self._fileno = -1
        self._tls_handshake: TlsHandshake | None = None

    def cancel(self) -> None:
        """Give up without calling back."""
        self._addresses = []
        self._opened, self._failed = _nothing, _nothing
        self._close()

    def _close(self) -> None:
        if self._tls_handshake is not None:
            self._tls_handshake.cancel()
            self._tls_handshake = None
        if self._stream is not None:
            self._loop.remove_writer(self._fileno)
            self._stream.close()
            self._stream = None

    def step(self) -> None:
        """Try the next address. Call it once: it goes on by itself until it calls back."""
        if not self._addresses:
            self._upstream.look_up_again()
            self._failed("; ".join(self._reasons) or f"the host name {self._upstream.host} does not resolve")
            return
        family, address = self._addresses.pop(0)
        where = show_address(*address[:2])
        raw = None
        try:
            raw = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            error = raw.connect_ex(address)
            if error == errno.EINPROGRESS:
                # A PACS on the same machine has answered by now; asking again is cheaper than a turn of the event loop.
                error = raw.connect_ex(address)
        except OSError as failure:
            error = failure.errno or errno.EIO
        if raw is None or error not in (0, errno.EINPROGRESS, errno.EALREADY, errno.EISCONN):
            if raw is not None:
                raw.close()
            self._next_after(f"{where}: {os.strerror(error)}")
            return
        self._stream = raw
        self._fileno = raw.fileno()
        if error in (0, errno.EISCONN):
            self._connected(raw, where)
        else:
            self._loop.add_writer(self._fileno, self._answered, raw, where)

    def _next_after(self, reason: str) -> None:
        self._close()
        self._reasons.append(reason)
        self.step()

    def _answered(self, raw: socket.socket, where: str) -> None:
        self._loop.remove_writer(self._fileno)
        error = raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self._next_after(f"{where}: {os.strerror(error)}")
        else:
            self._connected(raw, where)

    def _connected(self, raw: socket.socket, where: str) -> None:
        try:
            stream = self._stream = self._upstream.stream(raw)
        except (OSError, ValueError) as failure:
            self._next_after(f"{where}: TLS: {failure}")
            return
        if isinstance(stream, TlsStream):
            self._tls_handshake = TlsHandshake(
                self._loop,
                stream,
                lambda: self._secured(stream, where),
                lambda failure: self._next_after(f"{where}: TLS: {failure}"),
            )
            self._tls_handshake.step()
        else:
            self._open(stream)

    def _secured(self, stream: TlsStream, where: str) -> None:
        try:
            self._upstream.check_pin(stream)
        except TlsError as failure:
            self._next_after(f"{where}: TLS: {failure}")
            return
        self._open(stream)

    def _open(self, stream: Stream) -> None:
        self._stream = None
        self._opened(Connection(self._loop, stream))


def _nothing(_: object) -> None:
    """No-op default callback."""
