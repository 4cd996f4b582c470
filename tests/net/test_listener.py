"""Accepting connections: address families, what is wrong with an address, and no file descriptors left."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import cast

import pytest

from dicomgate import StartError
from dicomgate.net import listener as listener_module
from dicomgate.net.listener import Address, Listener, listen


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_connections_arrive_ready_for_the_event_loop(host: str) -> None:
    sock = listen(host, 0, "")
    arrived: asyncio.Queue[tuple[socket.socket, Address]] = asyncio.Queue()
    listener = Listener(asyncio.get_running_loop(), sock, lambda *found: arrived.put_nowait(found))
    with socket.create_connection(sock.getsockname()[:2]) as client:
        connection, address = await asyncio.wait_for(arrived.get(), 10)
        assert address == client.getsockname()[:2]
        assert not connection.getblocking()
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        connection.close()
    listener.close()


def test_a_port_in_use_and_an_address_of_another_machine_are_told() -> None:
    with listen("127.0.0.1", 0, "") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            StartError, match=rf"^\[admin\]: cannot listen on 127\.0\.0\.1:{port}: Address already in use"
        ):
            listen("127.0.0.1", port, "[admin]")
    with pytest.raises(StartError, match=r"cannot listen on 192\.0\.2\.1:1: "):
        listen("192.0.2.1", 1, "")
    with pytest.raises(StartError, match=r"cannot listen on \[2001:db8::1\]:1: "):
        listen("2001:db8::1", 1, "")
    listen("127.0.0.1", port, "[admin]").close()


class Exhausted:
    """A listening socket in a process that is out of file descriptors for two calls of accept."""

    def __init__(self, real: socket.socket) -> None:
        self.calls = 0
        self.fileno = real.fileno
        self.close = real.close
        self._real = real

    def accept(self) -> tuple[socket.socket, Address]:
        self.calls += 1
        if self.calls <= 2:
            raise OSError(errno.EMFILE, "Too many open files")
        return self._real.accept()


@pytest.mark.anyio
async def test_running_out_of_descriptors_is_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "_PAUSE", 0.05)
    real = listen("127.0.0.1", 0, "")
    exhausted = Exhausted(real)
    arrived: asyncio.Queue[tuple[socket.socket, Address]] = asyncio.Queue()
    accepted = cast(socket.socket, exhausted)
    listener = Listener(asyncio.get_running_loop(), accepted, lambda *found: arrived.put_nowait(found))
    with socket.create_connection(real.getsockname()):
        connection, _ = await asyncio.wait_for(arrived.get(), 10)
        connection.close()
    # Two failures, each with a pause after it, and then the connection: no busy loop between them.
    assert exhausted.calls <= 4
    listener.close()
