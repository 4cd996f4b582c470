from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from dicomgate_sql.greeting import CarefulLoop


class Heard(asyncio.Protocol):
    """Keeps what it is told until the connection is over."""

    def __init__(self) -> None:
        self.data = b""
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, error: Exception | None) -> None:
        self.over.set_result(error)


def heard(*said: bytes) -> bytes:
    """What a protocol hears of a server that says this."""

    served = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            for piece in said:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01)
            writer.close()
            await writer.wait_closed()
        served.set()

    async def listen() -> bytes:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            loop = CarefulLoop(asyncio.get_running_loop())
            transport, protocol = await loop.create_connection(Heard, *server.sockets[0].getsockname())
            assert isinstance(protocol, Heard)
            assert protocol.transport is transport
            async with asyncio.timeout(20):
                await protocol.over
                await served.wait()
            return protocol.data

    return asyncio.run(listen())


@pytest.mark.parametrize("first", [b"R", b"E", b"N", b"v", b"S"])
def test_what_begins_like_postgresql_is_heard(first: bytes) -> None:
    assert heard(first + b"\0 and more", b"\0\0") == first + b"\0 and more\0\0"
    assert heard(first) == first


@pytest.mark.parametrize("said", [b"\0", bytes(4096), b"HTTP/1.1", b"r", b"\xff", b" R"])
def test_nothing_else_is(said: bytes) -> None:
    assert heard(said, b"R\0\0\0\x08\0\0\0\0") == b""


def test_silence_is_silence() -> None:
    assert heard() == b""


def test_all_else_is_the_event_loops_own() -> None:
    async def time() -> bool:
        loop = asyncio.get_running_loop()
        return CarefulLoop(loop).time == loop.time

    assert asyncio.run(time())
