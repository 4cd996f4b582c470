"""Connecting to the PACS: addresses that are silent, reasons in words, cancelling, and look-ups that fail."""

from __future__ import annotations

import asyncio
import gc
import re
import socket
import ssl
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Thread

import pytest

from dicomgate.errors import StartError
from dicomgate.kit import host
from dicomgate.net.connection import Connection
from dicomgate.net.dial import Upstream
from dicomgate.net.tls_context import client_context
from dicomgate.testing.fixtures import names
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.loopback import free_port
from dicomgate.testing.peers.silence import Names, silent
from dicomgate.wire.proxy import Client, block

__all__ = ["names"]

pytestmark = pytest.mark.anyio


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def connect(upstream: Upstream) -> Connection | str:
    """The connection, or why there is none."""
    answer: asyncio.Future[Connection | str] = asyncio.get_running_loop().create_future()
    upstream.connect(asyncio.get_running_loop(), answer.set_result, answer.set_result).begin()
    return await asyncio.wait_for(answer, 10)


async def peer_of(upstream: Upstream) -> str:
    """The address that answers."""
    connection = await connect(upstream)
    assert isinstance(connection, Connection), connection
    assert isinstance(connection.stream, socket.socket)
    address: str = connection.stream.getpeername()[0]
    connection.close()
    return address


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
async def test_it_connects_without_nagles_delay(family: socket.AddressFamily, host: str) -> None:
    with socket.create_server((host, 0), family=family) as server:
        upstream = Upstream("pacs", host, server.getsockname()[1])
        connection = await connect(upstream)
        assert isinstance(connection, Connection)
        assert isinstance(connection.stream, socket.socket)
        assert connection.stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        connection.close()


async def test_a_refused_connection_says_where_and_why() -> None:
    port = free_port()
    upstream = Upstream("pacs", "127.0.0.1", port)
    assert await connect(upstream) == f"127.0.0.1:{port}: Connection refused"
    await upstream.close()


@pytest.mark.parametrize("silence", ["TCP", "TLS", "refusal"])
async def test_an_address_that_does_not_answer_holds_up_no_association(
    silence: str, names: Names, certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.3", 0)))
        port = server.getsockname()[1]
        if silence == "TCP":
            stack.enter_context(silent("127.0.0.2", port))
        elif silence == "TLS":
            stack.enter_context(socket.create_server(("127.0.0.2", port)))  # accepts, and says nothing
        secure = certificates.server_context() if silence == "TLS" else None
        Thread(target=_serve, args=(server, secure, 2), daemon=True).start()
        names.addresses["pacs.test"] = ["127.0.0.2", "127.0.0.3"]
        tls = client_context(certificates.ca, pinned=False) if secure else None
        upstream = Upstream("pacs", "pacs.test", port, tls, "127.0.0.1")
        await upstream.look_up()
        for _ in range(2):
            connection = await connect(upstream)
            assert isinstance(connection, Connection), connection
            connection.close()
    # The second association went to the address that had answered, and met no trouble.
    (line,) = [record.getMessage() for record in caplog.records if record.name == "dicomgate.upstream"]
    what = "Connection refused" if silence == "refusal" else r"no answer within 0\.\d+ s"
    assert re.fullmatch(rf"upstream pacs: 127\.0\.0\.2:{port}: {what}; 127\.0\.0\.3:{port} answers", line)


async def test_in_a_single_association_a_name_that_has_moved_is_found(names: Names) -> None:
    with silent("127.0.0.2") as (_, port), socket.create_server(("127.0.0.3", port)):
        names.addresses["pacs.test"] = ["127.0.0.2"]
        upstream = Upstream("pacs", "pacs.test", port)
        await upstream.look_up()
        names.addresses["pacs.test"] = ["127.0.0.3"]
        assert await peer_of(upstream) == "127.0.0.3"
        names.addresses["pacs.test"] = None  # and while the resolver hangs, what is known is used
        assert not upstream.host.look_up().done()
        assert await peer_of(upstream) == "127.0.0.3"


async def test_when_all_are_silent_each_is_named(names: Names) -> None:
    with silent("127.0.0.2") as (_, port), silent("127.0.0.3", port):
        names.addresses["pacs.test"] = ["127.0.0.2", "127.0.0.3"]
        upstream = Upstream("pacs", "pacs.test", port)
        with pytest.raises(StartError) as caught:
            await upstream.open(0.6)
    told = [rf"127\.0\.0\.{number}:{port}: no answer within \d+\.\d+ s" for number in (2, 3)]
    assert re.fullmatch("; ".join(told), str(caught.value))
    assert upstream.host.trouble() == str(caught.value)


async def test_a_name_that_does_not_resolve_is_looked_up_again(names: Names, caplog: pytest.LogCaptureFixture) -> None:
    names.addresses["pacs.test"] = []
    unknown = "the host name pacs.test does not resolve: Name or service not known"
    with socket.create_server(("127.0.0.1", 0)) as server:
        upstream = Upstream("pacs", "pacs.test", server.getsockname()[1])
        await upstream.look_up()
        assert f"upstream pacs: {unknown}" in caplog.messages
        assert await connect(upstream) == unknown
        names.addresses["pacs.test"] = ["127.0.0.1"]
        assert await peer_of(upstream) == "127.0.0.1"


async def test_a_resolver_that_hangs_holds_up_neither_the_start_nor_another_upstream(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "LONGEST", 0.1)
    names.addresses |= {"pacs.test": None}
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        hanging = [Upstream(f"{number}", "pacs.test", port) for number in range(40)]
        await asyncio.gather(*(upstream.look_up() for upstream in hanging))
        with pytest.raises(StartError, match="no name server has answered yet"):
            await hanging[0].open(0.1)
        assert len(names.asked) == 40  # one look-up for each host is under way, whatever asks for it
        assert await peer_of(Upstream("here", "localhost", port)) == "127.0.0.1"


async def test_what_is_open_when_nobody_waits_any_more_is_closed() -> None:
    """A reload ends the checks of addresses at any moment: also when one has just connected."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        opening = asyncio.ensure_future(Upstream("pacs", "127.0.0.1", server.getsockname()[1]).open(10))
        await asyncio.sleep(0)
        server.accept()[0].close()  # it is connected
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        del opening
        gc.collect()  # a socket that is left open is a ResourceWarning, which fails the test


@pytest.mark.parametrize("secured", [False, True])
async def test_a_proxy_header_is_the_first_that_the_pacs_gets(secured: bool, certificates: Certificates) -> None:
    """Also before TLS; and where the gateway connects for itself it says so."""
    loop = asyncio.get_running_loop()
    client = Client(("192.0.2.17", 50000), ("192.0.2.1", 104), "0123456789ab")
    with socket.create_server(("127.0.0.1", 0)) as server:
        tls = client_context(certificates.ca, pinned=False) if secured else None
        upstream = Upstream("pacs", "127.0.0.1", server.getsockname()[1], tls, proxy=block)
        for given in (client, None):
            opened: list[Connection] = []
            connecting = upstream.connect(loop, opened.append, pytest.fail, given)
            connecting.begin()
            for connection in opened:
                connection.send(b"\1")
            with server.accept()[0] as peer:
                received = await asyncio.to_thread(peer.recv, len(block(given)) + 1, socket.MSG_WAITALL)
            assert received == block(given) + (b"\x16" if secured else b"\1")
            connecting.cancel()
            for connection in opened:
                connection.close()


async def test_cancelled_it_does_not_call_back_and_leaves_nothing() -> None:
    loop = asyncio.get_running_loop()
    called: list[object] = []
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        upstream = Upstream("pacs", "127.0.0.1", server.getsockname()[1])
        upstream.connect(loop, called.append, called.append).begin()  # the positive control
        for _ in range(2):  # Linux takes one more than the backlog says, and then answers no more
            other = stack.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(server.getsockname())
        before = descriptors()
        cancelled = upstream.connect(loop, called.append, called.append)
        cancelled.begin()
        assert descriptors() == before + 1
        cancelled.cancel()
        assert descriptors() == before
        server.accept()[0].close()  # now another would be answered
        await asyncio.sleep(0.05)
    (connection,) = called
    assert isinstance(connection, Connection)
    connection.close()


def _serve(server: socket.socket, tls: ssl.SSLContext | None, count: int) -> None:
    with suppress(OSError):  # the test is over
        for _ in range(count):
            connection = server.accept()[0]
            with tls.wrap_socket(connection, server_side=True) if tls else connection as peer:
                peer.recv(1)
