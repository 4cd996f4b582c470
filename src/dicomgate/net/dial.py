"""Connect to the PACS: its addresses in parallel, with TLS; nothing blocks the event loop.

A host name is looked up when the configuration is loaded, and again in the background when an address fails or is
silent. An association waits for the resolver only if there is no address left to try.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeAlias

from ..association import effects as do
from ..errors import StartError
from ..events.events import Facts
from ..kit.host import Address, Host
from ..kit.race import PATIENCE, Race
from ..wire.proxy import Client
from .connection import Connection, Stream
from .tls import TlsContext, TlsError
from .tls_blocking import BlockingTls
from .tls_handshake import TlsHandshake
from .tls_stream import TlsStream
from .turns import Turns

TakeData: TypeAlias = Callable[[bytes], do.Effects]
TakeEnd: TypeAlias = Callable[[str], do.Effects]
_log = logging.getLogger("dicomgate.upstream")


class Upstream:
    """One PACS: a host name or address, a port, and TLS if `tls` is given.

    Its certificate must be for `server_name`, or for `host` without one. With a `pin`, the certificate's SHA-256 in
    lower-case hexadecimal, the pin alone decides. `proxy` makes the PROXY header that each connection begins with.
    """

    address = ""
    """Which of several addresses was reached: there is no choice here."""

    def __init__(
        self,
        name: str,
        host: str,
        port: int,
        tls: TlsContext | None = None,
        server_name: str | None = None,
        pin: str | None = None,
        *,
        proxy: Callable[[Client | None], bytes] | None = None,
    ) -> None:
        self.name = name
        self.host = Host(host, port)
        self._tls = tls
        self._server_name = server_name or host
        self._pin = pin
        self._proxy = proxy
        self._kind = f"upstream {name}"
        self._turns: Turns | None = None

    async def look_up(self) -> None:
        """Look up the host's addresses. A problem is logged: associations look them up again."""
        if problem := await self.host.begin():
            _log.error("upstream %s: %s", self.name, problem)

    def connect(
        self,
        loop: asyncio.AbstractEventLoop,
        opened: Callable[[Connection], None],
        failed: Callable[[str], None],
        client: Client | None = None,
        *,
        patience: float = PATIENCE,
    ) -> Race[Connection]:
        """A race to connect. Its `begin` begins it; it calls `opened` once, or `failed` with the reason.

        `client` is whose connection it will be; None: the gateway's own, such as a check. `patience` are the seconds
        that it waits for a look-up after all known addresses have failed.
        """
        header = b"" if self._proxy is None else self._proxy(client)
        attempt = partial(_Attempt, self, loop, header)
        return Race(loop, self.host, attempt, opened, failed, kind=self._kind, log=_log, patience=patience)

    def way(self, _: Facts) -> Upstream:
        """The way of an association: the same for all."""
        return self

    async def open(self, seconds: float) -> Connection:
        """Connect, TLS included, within `seconds`. Raises StartError, with what happened at each address."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Connection | str] = loop.create_future()
        connecting = self.connect(loop, outcome.set_result, outcome.set_result)
        connecting.begin()
        try:
            await asyncio.wait((outcome,), timeout=seconds)
            reached = outcome.result() if outcome.done() else connecting.so_far()
        except asyncio.CancelledError:
            if outcome.done() and isinstance(opened := outcome.result(), Connection):
                opened.close()
            raise
        finally:
            connecting.cancel()
        if isinstance(reached, str):
            raise StartError(reached)
        return reached

    def did_not_answer(self, connection: Connection) -> str:
        """This connection's address took it and did not answer the A-ASSOCIATE-RQ: try it last for a while.

        Returns the address as text, or "" if the connection has just broken.
        """
        with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno)) as same:
            address = Address(same.family, same.getpeername())
            self.host.failed(address, "no answer to the A-ASSOCIATE-RQ")
            return str(address)
        return ""

    def watched(self, data: TakeData, end: TakeEnd) -> tuple[TakeData, TakeEnd]:
        """What takes what arrives on a connection, and its end: the same, since nobody keeps count."""
        return data, end

    def leave(self) -> None:
        """An association is over: nobody counts those that have no choice."""

    async def close(self) -> None:
        """Wait for no look-up any longer."""
        self.host.close()

    def stream(self, raw: socket.socket) -> Stream:
        """The stream over a connected socket: TLS if that is configured. Raises OSError, ValueError."""
        return raw if self._tls is None else TlsStream(self._tls, raw, self._server_name)

    def turns(self, loop: asyncio.AbstractEventLoop) -> Turns:
        """The turns that all TLS handshakes with this upstream share."""
        self._turns = self._turns or Turns(loop)
        return self._turns

    def check_pin(self, stream: TlsStream) -> None:
        """Raise TlsError if a certificate is pinned and the peer's is another one."""
        if self._pin is not None:
            stream.check_pin(self._pin)


def dialled(upstream: Upstream, seconds: float) -> socket.socket | BlockingTls:
    """A blocking connection, TLS included, for a client without an event loop. Raises StartError like `open`."""
    return waiting(asyncio.run(upstream.open(seconds)))


def waiting(connection: Connection) -> socket.socket | BlockingTls:
    """An open connection as one that waits, for use outside of the event loop."""
    stream = connection.stream
    if isinstance(stream, TlsStream):
        return BlockingTls(stream)
    stream.setblocking(True)
    return stream


class _Attempt:
    """One address being tried: TCP, then TLS if the upstream has it."""

    __slots__ = ("_address", "_failed", "_fileno", "_header", "_loop", "_stream", "_tls_handshake", "_upstream", "_won")

    def __init__(self, upstream: Upstream, loop: asyncio.AbstractEventLoop, header: bytes, address: Address) -> None:
        self._upstream, self._header = upstream, header
        self._loop, self._address = loop, address
        self._stream: Stream | None = None
        self._tls_handshake: TlsHandshake | None = None

    def begin(self, won: Callable[[Connection], None], failed: Callable[[str], None]) -> None:
        self._won, self._failed = won, failed
        raw = None
        try:
            raw = socket.socket(self._address.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            error = raw.connect_ex(self._address.socket_address)
            if error == errno.EINPROGRESS:
                # A PACS on the same machine has answered by now; asking again is cheaper than a turn of the event loop.
                error = raw.connect_ex(self._address.socket_address)
        except OSError as failure:
            error = failure.errno or errno.EIO
        if raw is None or error not in (0, errno.EINPROGRESS, errno.EALREADY, errno.EISCONN):
            if raw is not None:
                raw.close()
            failed(os.strerror(error))
            return
        self._stream = raw
        self._fileno = raw.fileno()
        if error in (0, errno.EISCONN):
            self._connected(raw)
        else:
            self._loop.add_writer(self._fileno, self._answered, raw)

    def cancel(self) -> None:
        if self._tls_handshake is not None:
            self._tls_handshake.cancel()
            self._tls_handshake = None
        if self._stream is not None:
            self._loop.remove_writer(self._fileno)
            self._stream.close()
            self._stream = None

    def _fail(self, reason: str) -> None:
        self.cancel()
        self._failed(reason)

    def _answered(self, raw: socket.socket) -> None:
        self._loop.remove_writer(self._fileno)
        if error := raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._fail(os.strerror(error))
        else:
            self._connected(raw)

    def _connected(self, raw: socket.socket) -> None:
        if self._header:  # less than a segment, and the first: the system takes it whole
            with suppress(OSError):  # the peer is gone: what follows shows it
                raw.send(self._header)
        try:
            stream = self._stream = self._upstream.stream(raw)
        except (OSError, ValueError) as failure:
            self._fail(f"TLS: {failure}")
            return
        if isinstance(stream, TlsStream):
            self._tls_handshake = TlsHandshake(
                self._loop,
                stream,
                partial(self._secured, stream),
                lambda failure: self._fail(f"TLS: {failure}"),
                self._upstream.turns(self._loop),
            )
            self._tls_handshake.step()
        else:
            self._open(stream)

    def _secured(self, stream: TlsStream) -> None:
        try:
            self._upstream.check_pin(stream)
        except TlsError as failure:
            self._fail(f"TLS: {failure}")
            return
        self._open(stream)

    def _open(self, stream: Stream) -> None:
        self._stream = None
        self._won(Connection(self._loop, stream))
