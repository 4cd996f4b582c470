"""A leg keeps what it could not send, ends behind it, and parts without losing the last word."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

from dicomgate.net.connection import Connection

SCRATCH = memoryview(bytearray(4096))
LOAD = bytes(range(256)) * 4096


def run(story: Callable[[Connection, socket.socket], Awaitable[None]]) -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        for one in (ours, theirs):
            one.setblocking(False)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        leg = Connection(asyncio.get_running_loop(), ours)
        await story(leg, theirs)
        leg.close()
        theirs.close()

    asyncio.run(main())


async def read_all(peer: socket.socket) -> bytes:
    data = b""
    while piece := await asyncio.wait_for(asyncio.get_running_loop().sock_recv(peer, 65536), 10):
        data += piece
    return data


def test_what_cannot_be_sent_at_once_is_sent_later_and_in_order() -> None:
    async def story(leg: Connection, peer: socket.socket) -> None:
        drained = asyncio.Event()
        leg.on_drained = drained.set
        assert leg.send(b"first")
        assert not leg.send(LOAD)
        assert not leg.send(b"last")
        leg.end()
        assert await read_all(peer) == b"first" + LOAD + b"last"
        await asyncio.wait_for(drained.wait(), 10)
        assert not leg.unsent

    run(story)


def test_a_broken_stream_is_told_once() -> None:
    async def story(leg: Connection, peer: socket.socket) -> None:
        broken: asyncio.Queue[OSError] = asyncio.Queue()
        leg.on_broken = broken.put_nowait
        leg.send(LOAD)
        peer.close()
        assert isinstance(await asyncio.wait_for(broken.get(), 10), BrokenPipeError | ConnectionResetError)
        await asyncio.sleep(0.01)
        assert broken.empty()

    run(story)


def test_parting_sends_the_rest_and_awaits_the_peer() -> None:
    async def story(leg: Connection, peer: socket.socket) -> None:
        gone = asyncio.Event()
        leg.send(LOAD)
        leg.part(SCRATCH, 60, gone.set)
        await asyncio.get_running_loop().sock_sendall(peer, b"something nobody reads any more")
        assert await read_all(peer) == LOAD
        assert not gone.is_set()
        peer.close()
        await asyncio.wait_for(gone.wait(), 10)
        assert leg.closed

    run(story)


def test_parting_ends_by_itself_when_the_peer_does_not() -> None:
    async def story(leg: Connection, peer: socket.socket) -> None:
        gone = asyncio.Event()
        leg.part(SCRATCH, 0.05, gone.set)
        await asyncio.wait_for(gone.wait(), 10)
        assert leg.closed
        assert await read_all(peer) == b""

    run(story)


def test_parting_from_what_is_closed() -> None:
    async def story(leg: Connection, peer: socket.socket) -> None:
        leg.close()
        gone: list[bool] = []
        leg.part(SCRATCH, 60, lambda: gone.append(True))
        assert gone == [True]

    run(story)
