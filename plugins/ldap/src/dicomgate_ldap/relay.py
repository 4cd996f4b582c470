"""A TCP connection to a directory server, with TLS, relayed to one end of a socketpair.

Rule 1: every wait is asyncio's, so that a deadline or a cancellation ends it at once.
Rule 2: nothing is sent before TLS is verified, except the request for StartTLS and what `cleartext` allows.
Rule 3: of what a server sends before TLS, only its answer to StartTLS counts.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from typing import Any

from dicomgate.kit.failover import NoAnswerError

from .settings import Url

_STARTTLS = bytes.fromhex("301d 020101 7718 8016") + b"1.3.6.1.4.1.1466.20037"
"""An LDAPMessage with the ExtendedRequest of RFC 4511 4.14.1."""
_EXTENDED_RESPONSE = b"\x78"
_LONGEST_ANSWER = 8 << 20
"""Bytes. 2000 groups take less than one million."""


class Target:
    """A server by its URL, and the addresses of its host."""

    def __init__(self, url: Url) -> None:
        self.url = url
        self._look_up: asyncio.Task[list[Any]] | None = None

    async def addresses(self) -> list[Any]:
        """As socket.getaddrinfo gives them. Raises OSError.

        However many connections wait for it, one look-up is under way: the whole gateway shares a few threads for
        them, and a name server that does not answer must not take them all.
        """
        if self._look_up is None or self._look_up.done():
            loop = asyncio.get_running_loop()
            self._look_up = loop.create_task(loop.getaddrinfo(self.url.host, self.url.port, type=socket.SOCK_STREAM))
            self._look_up.add_done_callback(lambda over: over.cancelled() or over.exception())
        return await asyncio.shield(self._look_up)

    def close(self) -> None:
        """Wait for no look-up any longer."""
        if self._look_up is not None:
            self._look_up.cancel()


class Relay:
    """Between a server and one end of a socketpair.

    `over` is done when the connection to the server is closed. That happens too when the other end of the pair is
    closed, once everything written there has been sent.
    """

    def __init__(self) -> None:
        self._here, self._there = _Side(), _Side()
        self._here.other, self._there.other = self._there, self._here
        self.over = self._there.lost

    async def open(self, target: Target, tls: ssl.SSLContext) -> socket.socket:
        """Connect, and return the other end of the pair. Raises NoAnswerError."""
        ours, theirs = socket.socketpair()
        try:
            theirs.setblocking(False)
            await asyncio.get_running_loop().create_connection(lambda: self._here, sock=ours)
            await self._connect(target, tls)
        except BaseException as error:
            self.abort()
            theirs.close()
            if isinstance(error, OSError):
                raise NoAnswerError(_why_unreachable(error)) from None
            raise
        return theirs

    def expect_an_answer(self) -> None:
        """Count the bytes from the server anew: an endless answer ends the connection."""
        self._there.received = 0

    def abort(self) -> None:
        """Close at once."""
        self._here.abort()
        self._there.abort()

    async def _connect(self, target: Target, tls: ssl.SSLContext) -> None:
        url = target.url
        server = await _connected(await target.addresses())
        try:
            if url.starttls:
                await _ask_for_tls(server)
            options: dict[str, Any] = {"ssl": tls, "server_hostname": url.host} if url.tls else {}
            await asyncio.get_running_loop().create_connection(lambda: self._there, sock=server, **options)
        except BaseException:
            server.close()
            raise


class _Side(asyncio.Protocol):
    """One side of the relay: what arrives here leaves on the other side, and the end of one is the end of both."""

    other: _Side

    def __init__(self) -> None:
        self.received = 0
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for mypy
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if self.received > _LONGEST_ANSWER or self.other._transport is None:
            self.abort()
        else:
            self.other._transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self.other._transport is not None:
            self.other._transport.close()
        if not self.lost.done():
            self.lost.set_result(None)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        elif not self.lost.done():
            self.lost.set_result(None)


async def _connected(addresses: list[Any]) -> socket.socket:
    """A connection to the first of the addresses that takes one. Raises OSError."""
    problem = OSError("it has no address")
    for family, kind, protocol, _, address in addresses:
        server = socket.socket(family, kind, protocol)
        server.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(server, address)
            return server
        except BaseException as error:
            server.close()
            if not isinstance(error, OSError):
                raise
            problem = error
    raise problem


async def _ask_for_tls(server: socket.socket) -> None:
    """StartTLS (RFC 4511 4.14). Raises NoAnswerError, also for a refusal.

    Not a byte more than the answer is read. If somebody put an LDAP message after it, TLS finds that in place of its
    own first record, and fails.
    """
    await asyncio.get_running_loop().sock_sendall(server, _STARTTLS)
    length = (await _read(server, 2))[1]
    if length & 0x80:
        length = int.from_bytes(await _read(server, length & 0x7F), "big")
    _, response, rest = (await _read(server, min(length, _LONGEST_ANSWER))).partition(_EXTENDED_RESPONSE)
    # After the tag: a length of 1 to 5 bytes, and ENUMERATED resultCode 0.
    if not response or rest.find(bytes.fromhex("0a0100")) not in range(1, 6):
        raise _no_starttls()


async def _read(server: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        piece = await asyncio.get_running_loop().sock_recv(server, length - len(data))
        if not piece:
            raise _no_starttls()
        data += piece
    return data


def _no_starttls() -> NoAnswerError:
    return NoAnswerError("it does not answer StartTLS with success")


def _why_unreachable(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS: {error.reason or error}"
    # asyncio puts words of its own, with the address, in place of the system's; a resolver's numbers are below 0.
    code = error.errno or 0
    if isinstance(error, ConnectionResetError):
        code = code or errno.ECONNRESET  # asyncio leaves it out while TLS begins
    return os.strerror(code) if code > 0 else error.strerror or str(error) or type(error).__name__
