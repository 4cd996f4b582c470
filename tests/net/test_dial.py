"""Connecting to the PACS: addresses in turn, reasons in words, cancelling, and look-ups that fail."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from dicomgate.net.connection import Connection
from dicomgate.net.dial import Upstream


def free_port(family: int = socket.AF_INET, host: str = "127.0.0.1") -> int:
    with socket.socket(family) as sock:
        sock.bind((host, 0))
        return int(sock.getsockname()[1])


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def connect(upstream: Upstream) -> Connection | str:
    await upstream.look_up()
    answer: asyncio.Future[Connection | str] = asyncio.get_running_loop().create_future()
    upstream.connect(asyncio.get_running_loop(), answer.set_result, answer.set_result).step()
    return await asyncio.wait_for(answer, 10)


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_it_connects_without_nagles_delay(family: int, host: str) -> None:
    async def main() -> None:
        with socket.socket(family) as server:
            server.bind((host, 0))
            server.listen()
            leg = await connect(Upstream("pacs", host, server.getsockname()[1]))
            assert isinstance(leg, Connection)
            assert leg.stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            leg.close()

    asyncio.run(main())


def test_a_refused_connection_says_where_and_why() -> None:
    port = free_port()
    reason = asyncio.run(connect(Upstream("pacs", "127.0.0.1", port)))
    assert reason == f"127.0.0.1:{port}: Connection refused"


def test_the_next_address_is_tried() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            upstream = Upstream("pacs", "127.0.0.1", server.getsockname()[1])
            await upstream.look_up()
            upstream._addresses.insert(0, (socket.AF_INET, ("127.0.0.1", free_port())))
            upstream.look_up = _nothing  # type: ignore[method-assign]
            leg = await connect(upstream)
            assert isinstance(leg, Connection)
            leg.close()

    asyncio.run(main())


async def _nothing() -> None:
    return None


def test_a_name_that_does_not_resolve_is_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            found: list[object] = []

            async def look_up(host: str, port: int, **_: object) -> list[object]:
                if not found:
                    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
                return found

            monkeypatch.setattr(loop, "getaddrinfo", look_up)
            upstream = Upstream("pacs", "pacs.test", port)
            assert await connect(upstream) == "the host name pacs.test does not resolve"
            found.append((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            leg = await connect(upstream)
            assert isinstance(leg, Connection)
            leg.close()

    asyncio.run(main())


def test_cancelled_it_calls_nobody_and_leaves_nothing() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        called: list[object] = []
        with ExitStack() as stack:
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
            upstream = Upstream("pacs", "127.0.0.1", server.getsockname()[1])
            await upstream.look_up()
            answered = upstream.connect(loop, called.append, called.append)
            answered.step()
            for _ in range(2):  # Linux takes one more than the backlog says; then it answers nobody
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
        (leg,) = called
        assert isinstance(leg, Connection)
        leg.close()

    asyncio.run(main())


def test_closed_it_looks_up_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        asked = asyncio.Event()

        async def never(*_: object, **__: object) -> None:
            asked.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(loop, "getaddrinfo", never)
        upstream = Upstream("pacs", "pacs.test", 104)
        await upstream.close()  # nothing was begun
        upstream.look_up_again()
        await asyncio.wait_for(asked.wait(), 5)
        await upstream.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
