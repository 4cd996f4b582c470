"""Accepting connections: address families, what is wrong with an address, and no file descriptors left."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest

from dicomgate import StartError
from dicomgate.net import listener as listener_module
from dicomgate.net.listener import Listener, listen


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_connections_arrive_ready_for_the_event_loop(host: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        sock = listen(host, 0)
        arrived: asyncio.Queue[tuple[socket.socket, tuple[str, int]]] = asyncio.Queue()
        listener = Listener(loop, sock, lambda *found: arrived.put_nowait(found))
        with socket.create_connection(sock.getsockname()[:2]) as client:
            connection, address = await asyncio.wait_for(arrived.get(), 10)
            assert address == client.getsockname()[:2]
            assert not connection.getblocking()
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            connection.close()
        listener.close()

    asyncio.run(main())


def test_a_port_in_use_and_an_address_of_another_machine_are_told() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=rf"cannot listen on 127\.0\.0\.1:{port}: Address already in use"):
            listen("127.0.0.1", port)
    with pytest.raises(StartError, match=r"cannot listen on 192\.0\.2\.1:1: "):
        listen("192.0.2.1", 1)
    with pytest.raises(StartError, match=r"cannot listen on \[2001:db8::1\]:1: "):
        listen("2001:db8::1", 1)
    listen("127.0.0.1", port).close()


def test_running_out_of_descriptors_is_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "_PAUSE", 0.05)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        real = listen("127.0.0.1", 0)
        asked = 0

        class Exhausted:
            def fileno(self) -> int:
                return real.fileno()

            def close(self) -> None:
                real.close()

            def accept(self) -> tuple[socket.socket, tuple[str, int]]:
                nonlocal asked
                asked += 1
                if asked <= 2:
                    raise OSError(errno.EMFILE, "Too many open files")
                return real.accept()

        arrived: asyncio.Queue[tuple[socket.socket, tuple[str, int]]] = asyncio.Queue()
        listener = Listener(loop, Exhausted(), lambda *found: arrived.put_nowait(found))  # type: ignore[arg-type]
        with socket.create_connection(real.getsockname()):
            connection, _ = await asyncio.wait_for(arrived.get(), 10)
            connection.close()
        # Two failures, each followed by a rest, and then the connection: no busy loop between them.
        assert asked <= 4
        listener.close()

    asyncio.run(main())
