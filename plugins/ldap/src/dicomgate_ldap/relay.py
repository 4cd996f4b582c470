"""A TCP connection to a directory server, with TLS, relayed to one end of a socketpair.

Rule 1: every wait is asyncio's, so that a deadline or a cancellation ends it at once.
Rule 2: nothing is sent before TLS is verified, except the request for StartTLS and what `cleartext` allows.
Rule 3: of what a server sends before TLS, only its answer to StartTLS counts.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from functools import partial
from pathlib import Path
from typing import Any

from dicomgate.kit.connecting import connected, first
from dicomgate.kit.failover import NoAnswerError
from dicomgate.kit.host import Address, Host

from .settings import Url
from .troubles import NO_STARTTLS, closed, other_scheme, why_unreachable

_log = logging.getLogger(__name__)
_STARTTLS = bytes.fromhex("301d 020101 7718 8016") + b"1.3.6.1.4.1.1466.20037"
"""An LDAPMessage with the ExtendedRequest of RFC 4511 4.14.1."""
_EXTENDED_RESPONSE = b"\x78"
_LONGEST_ANSWER = 8 << 20
"""Bytes. 2000 groups take less than one million."""


class Target:
    """A server by its URL, and its host, which may have several addresses: those of all domain controllers.

    `ca` is the file of its authorities, for messages; `certificate` is what it presented last, in DER.
    """

    def __init__(self, url: Url, ca: Path | None) -> None:
        self.url = url
        self.ca = ca
        self.certificate: bytes | None = None
        self.host = Host(url.host, url.port)


class Relay:
    """Between a server and one end of a socketpair.

    If the other end of the pair is closed, so is the connection to the server, once everything written there is sent.
    """

    def __init__(self) -> None:
        self._here, self._there = _Side(), _Side()

    @property
    def over(self) -> asyncio.Future[None]:
        """Done when the connection to the server is closed."""
        return self._there.lost

    async def open(self, target: Target, tls: ssl.SSLContext) -> socket.socket:
        """Connect, and return the other end of the pair. Raises NoAnswerError."""
        ours, theirs = socket.socketpair()
        try:
            theirs.setblocking(False)
            await asyncio.get_running_loop().create_connection(lambda: self._here, sock=ours)
            await self._connect(target, tls)
        except BaseException:
            self.abort()
            theirs.close()
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
        attempt = partial(_side_of, target, tls)
        there = await first(target.host, attempt, _Side.abort, kind=f"directory {target.url.text}", log=_log)
        if there.lost.done():
            raise NoAnswerError(closed(target.url))
        self._here.other, there.other, self._there = there, self._here, there


class _Side(asyncio.Protocol):
    """One side of the relay: what arrives here leaves on the other side, and the end of one is the end of both."""

    def __init__(self) -> None:
        self.other: _Side | None = None
        self.received = 0
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for mypy
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if self.received > _LONGEST_ANSWER or self.other is None or self.other._transport is None:
            self.abort()
        else:
            self.other._transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self.other is not None and self.other._transport is not None:
            self.other._transport.close()
        if not self.lost.done():
            self.lost.set_result(None)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        elif not self.lost.done():
            self.lost.set_result(None)


async def _side_of(target: Target, tls: ssl.SSLContext, address: Address) -> _Side:
    """A connection to one address of the server, with TLS. Raises NoAnswerError."""
    side, url = _Side(), target.url
    try:
        server = await connected(address)
        try:
            if url.starttls:
                await _ask_for_tls(server, url)
            options: dict[str, Any] = {"ssl": tls, "server_hostname": url.host} if url.tls else {}
            transport, _ = await asyncio.get_running_loop().create_connection(lambda: side, sock=server, **options)
            if url.tls:
                target.certificate = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        except BaseException:
            side.abort()
            server.close()
            raise
    except OSError as error:
        raise NoAnswerError(why_unreachable(error, url, target.ca)) from None
    return side


async def _ask_for_tls(server: socket.socket, url: Url) -> None:
    """StartTLS (RFC 4511 4.14). Raises NoAnswerError, also for a refusal.

    Not a byte more than the answer is read. If somebody put an LDAP message after it, TLS finds that in place of its
    own first record, and fails.
    """
    await asyncio.get_running_loop().sock_sendall(server, _STARTTLS)
    length = (await _read(server, 2, url))[1]
    if length & 0x80:
        length = int.from_bytes(await _read(server, length & 0x7F, url), "big")
    _, response, rest = (await _read(server, min(length, _LONGEST_ANSWER), url)).partition(_EXTENDED_RESPONSE)
    if not response:
        raise NoAnswerError(f"{NO_STARTTLS}{other_scheme(url)}")
    # After the tag: a length of 1 to 5 bytes, and ENUMERATED resultCode 0.
    if rest.find(bytes.fromhex("0a0100")) not in range(1, 6):
        raise NoAnswerError(NO_STARTTLS)


async def _read(server: socket.socket, length: int, url: Url) -> bytes:
    data = b""
    while len(data) < length:
        piece = await asyncio.get_running_loop().sock_recv(server, length - len(data))
        if not piece:
            raise NoAnswerError(f"{NO_STARTTLS}{other_scheme(url)}")
        data += piece
    return data
