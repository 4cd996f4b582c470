"""A connection in TLS: how it ends, and reading that has to write first."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import cast

import pytest
import trustme

from dicomgate.net.connection import Connection
from dicomgate.net.tls import TlsStream, WantsToWrite
from dicomgate.testing import raw

pytestmark = pytest.mark.anyio
SCRATCH = memoryview(bytearray(65_536))


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Server and client."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    server.num_tickets = 0
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(client)
    return server, client


class Pair:
    """A connection in TLS, and its peer: a blocking socket that tells a truncation from an end."""

    def __init__(self, connection: Connection, peer: ssl.SSLSocket) -> None:
        self.connection = connection
        self.peer = peer

    def close_notify(self) -> None:
        """The peer ends its side of TLS, and leaves the socket open."""
        self.peer.setblocking(False)
        with pytest.raises(ssl.SSLWantReadError):
            self.peer.unwrap()


@pytest.fixture
async def pair(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> AsyncIterator[Pair]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(10)
    peer = contexts[1].wrap_socket(
        theirs, server_hostname="localhost", do_handshake_on_connect=False, suppress_ragged_eofs=False
    )
    stream = TlsStream(contexts[0], ours)
    shaking_hands = asyncio.get_running_loop().run_in_executor(None, peer.do_handshake)
    stream.handshake()  # blocking
    await shaking_hands
    stream._socket.setblocking(False)
    connection = Connection(asyncio.get_running_loop(), stream)
    yield Pair(connection, peer)
    connection.close()
    peer.close()


async def test_a_released_tls_connection_ends_with_close_notify(pair: Pair) -> None:
    gone: list[bool] = []
    pair.connection.linger_close(SCRATCH, 60, lambda: gone.append(True), at_once=True)
    assert gone == [True]
    assert pair.peer.recv(1) == b""


async def test_a_closed_tls_connection_ends_without(pair: Pair) -> None:
    """The positive control."""
    pair.connection.close()
    with pytest.raises(ssl.SSLEOFError):
        pair.peer.recv(1)


@pytest.mark.parametrize("end", ["close_notify", "broken record"])
async def test_an_end_that_comes_with_data_is_told_after_it(pair: Pair, end: str) -> None:
    pair.peer.sendall(b"the last word")
    if end == "close_notify":
        pair.close_notify()
    else:
        socket.socket.send(pair.peer, b"\x17\x03\x03\0\x20" + bytes(32))
    heard: asyncio.Queue[bytes | OSError] = asyncio.Queue()

    def readable() -> None:
        try:
            count = pair.connection.receive(SCRATCH)
        except BlockingIOError:
            return
        except OSError as error:
            pair.connection.pause_reading()
            heard.put_nowait(error)
            return
        heard.put_nowait(bytes(SCRATCH[:count]))
        if count:
            pair.connection.read_pending()
        else:
            pair.connection.pause_reading()

    pair.connection.read_with(readable)
    assert await asyncio.wait_for(heard.get(), 10) == b"the last word"
    # The peer has not closed its socket: only TLS tells of the end.
    last = await asyncio.wait_for(heard.get(), 10)
    assert last == b"" if end == "close_notify" else isinstance(last, ssl.SSLError)


async def test_nothing_is_taken_for_plain_text_after_close_notify(pair: Pair) -> None:
    pair.close_notify()
    pair.connection.end()
    socket.socket.send(pair.peer, b"in the clear")
    assert pair.connection.receive(SCRATCH) == 0


async def test_a_lingering_close_discards_what_a_tls_peer_still_sends(pair: Pair) -> None:
    gone = asyncio.Event()
    pair.peer.sendall(bytes(100_000))
    pair.connection.send(raw.ABORT)
    pair.connection.linger_close(SCRATCH, 60, gone.set)
    await asyncio.get_running_loop().run_in_executor(None, pair.peer.sendall, bytes(1_000_000))
    assert not gone.is_set(), "a close now would be a RST"
    assert pair.peer.recv(99) == raw.ABORT
    assert pair.peer.recv(99) == b""
    pair.peer.close()
    await asyncio.wait_for(gone.wait(), 10)


class _KeyUpdates:
    """An SSL context and its socket, whose peer sent key updates and reads none of the answers."""

    def __init__(self) -> None:
        self.calls = 0
        self.answers_pass = False

    def wrap_socket(self, raw_socket: socket.socket, **_: object) -> _KeyUpdates:
        self._socket = raw_socket
        self.fileno = raw_socket.fileno
        self.close = raw_socket.close
        self.setsockopt = raw_socket.setsockopt
        return self

    def pending(self) -> int:
        return 0

    def recv_into(self, buffer: memoryview) -> int:
        self.calls += 1
        if not self.answers_pass:
            raise ssl.SSLWantWriteError
        return self._socket.recv_into(buffer)


async def test_reading_that_has_to_write_first_waits_for_the_peer_to_read() -> None:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    with suppress(BlockingIOError):  # until nothing more can be written
        while True:
            ours.send(bytes(65_536))
    context = _KeyUpdates()
    connection = Connection(loop, TlsStream(cast(ssl.SSLContext, context), ours))
    heard: asyncio.Queue[int] = asyncio.Queue()

    def readable() -> None:
        try:
            heard.put_nowait(connection.receive(SCRATCH))
        except WantsToWrite:
            return

    theirs.send(b"x")
    connection.read_with(readable)
    for _ in range(100):
        await asyncio.sleep(0)
    assert context.calls == 1, "the socket stays readable: a call at each turn of the loop"
    context.answers_pass = True
    while heard.empty():
        await asyncio.wait_for(loop.sock_recv(theirs, 65_536), 10)
        await asyncio.sleep(0)
    assert heard.get_nowait() == 1
    connection.close()
    theirs.close()
