"""Connecting to the PACS: addresses in turn, reasons in words, cancelling, and look-ups that fail."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from dicomgate.net.connection import Connection
from dicomgate.net.dial import Upstream
from dicomgate.testing.peers.loopback import free_port

pytestmark = pytest.mark.anyio


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def connect(upstream: Upstream) -> Connection | str:
    """The connection, or why there is none."""
    answer: asyncio.Future[Connection | str] = asyncio.get_running_loop().create_future()
    upstream.connect(asyncio.get_running_loop(), answer.set_result, answer.set_result).step()
    return await asyncio.wait_for(answer, 10)


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
async def test_it_connects_without_nagles_delay(family: socket.AddressFamily, host: str) -> None:
    with socket.create_server((host, 0), family=family) as server:
        upstream = Upstream("pacs", host, server.getsockname()[1])
        await upstream.look_up()
        connection = await connect(upstream)
        assert isinstance(connection, Connection)
        assert isinstance(connection.stream, socket.socket)
        assert connection.stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        connection.close()


async def test_a_refused_connection_says_where_and_why() -> None:
    port = free_port()
    upstream = Upstream("pacs", "127.0.0.1", port)
    await upstream.look_up()
    assert await connect(upstream) == f"127.0.0.1:{port}: Connection refused"
    await upstream.close()


async def test_the_next_address_is_tried() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        upstream = Upstream("pacs", "127.0.0.1", server.getsockname()[1])
        await upstream.look_up()
        upstream._addresses.insert(0, (socket.AF_INET, ("127.0.0.1", free_port())))
        connection = await connect(upstream)
        assert isinstance(connection, Connection)
        connection.close()


async def test_a_name_that_does_not_resolve_is_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[object] = []

    async def look_up(host: str, port: int, **_: object) -> list[object]:
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return found

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
    with socket.create_server(("127.0.0.1", 0)) as server:
        upstream = Upstream("pacs", "pacs.test", 104)
        await upstream.look_up()
        found.append((socket.AF_INET, socket.SOCK_STREAM, 6, "", server.getsockname()))
        assert await connect(upstream) == "the host name pacs.test does not resolve"
        await asyncio.sleep(0)  # the look-up in the background
        connection = await connect(upstream)
        assert isinstance(connection, Connection)
        connection.close()


async def test_cancelled_it_does_not_call_back_and_leaves_nothing() -> None:
    loop = asyncio.get_running_loop()
    called: list[object] = []
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        upstream = Upstream("pacs", "127.0.0.1", server.getsockname()[1])
        await upstream.look_up()
        upstream.connect(loop, called.append, called.append).step()  # the positive control
        for _ in range(2):  # Linux takes one more than the backlog says, and then answers no more
            other = stack.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(server.getsockname())
        before = descriptors()
        cancelled = upstream.connect(loop, called.append, called.append)
        cancelled.step()
        assert descriptors() == before + 1
        cancelled.cancel()
        assert descriptors() == before
        server.accept()[0].close()  # now another would be answered
        await asyncio.sleep(0.05)
    (connection,) = called
    assert isinstance(connection, Connection)
    connection.close()


async def test_closed_it_looks_up_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asyncio.Event()

    async def never(*_: object, **__: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    before = asyncio.all_tasks()
    upstream = Upstream("pacs", "pacs.test", 104)
    await upstream.close()  # nothing was begun
    upstream.look_up_again()
    await asyncio.wait_for(asked.wait(), 5)
    await upstream.close()
    assert asyncio.all_tasks() == before
