"""A connection keeps what it could not send, ends after it, and closes without losing the last word."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from dicomgate.net.connection import Connection
from dicomgate.net.lingering import linger_close

pytestmark = pytest.mark.anyio
SCRATCH = memoryview(bytearray(4096))
LOAD = bytes(range(256)) * 4096


class Peer:
    """The other end."""

    def __init__(self, sock: socket.socket) -> None:
        self.close = sock.close
        self._socket = sock

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def read_all(self) -> bytes:
        data = b""
        while piece := await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self._socket, 65536), 10):
            data += piece
        return data


@pytest.fixture
async def ends() -> AsyncIterator[tuple[Connection, Peer]]:
    """A connection with small buffers, and its peer."""
    ours, theirs = socket.socketpair()
    for one in (ours, theirs):
        one.setblocking(False)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    connection = Connection(asyncio.get_running_loop(), ours)
    yield connection, Peer(theirs)
    connection.close()
    theirs.close()


async def test_what_cannot_be_sent_at_once_is_sent_later_and_in_order(ends: tuple[Connection, Peer]) -> None:
    connection, peer = ends
    drained = asyncio.Event()
    connection.on_drained = drained.set
    assert connection.send(b"first")
    assert not connection.send(LOAD)
    assert not connection.send(b"last")
    connection.end()
    assert await peer.read_all() == b"first" + LOAD + b"last"
    await asyncio.wait_for(drained.wait(), 10)
    assert not connection.unsent


async def test_a_broken_stream_is_told_once(ends: tuple[Connection, Peer]) -> None:
    connection, peer = ends
    broken: asyncio.Queue[OSError] = asyncio.Queue()
    connection.on_broken = broken.put_nowait
    connection.send(LOAD)
    peer.close()
    assert isinstance(await asyncio.wait_for(broken.get(), 10), BrokenPipeError | ConnectionResetError)
    await asyncio.sleep(0.01)
    assert broken.empty()


async def test_a_lingering_close_sends_the_rest_and_awaits_the_peer(ends: tuple[Connection, Peer]) -> None:
    connection, peer = ends
    gone = asyncio.Event()
    connection.send(LOAD)
    linger_close(connection, SCRATCH, 60, gone.set)
    await peer.send(b"something that is not read any more")
    assert await peer.read_all() == LOAD
    assert not gone.is_set()
    peer.close()
    await asyncio.wait_for(gone.wait(), 10)
    assert connection.closed


async def test_a_lingering_close_ends_by_itself_when_the_peer_does_not(ends: tuple[Connection, Peer]) -> None:
    connection, peer = ends
    gone = asyncio.Event()
    linger_close(connection, SCRATCH, 0.05, gone.set)
    await asyncio.wait_for(gone.wait(), 10)
    assert connection.closed
    assert await peer.read_all() == b""
    again: list[bool] = []
    linger_close(connection, SCRATCH, 60, lambda: again.append(True))
    assert again == [True], "of what is closed already"
