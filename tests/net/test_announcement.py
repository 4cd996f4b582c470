"""Behind a load balancer: who must send a PROXY header and does, who must not, and for whom a connection counts."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from ipaddress import ip_network
from typing import Any

import pytest

from dicomgate.association.handshake import Handshake
from dicomgate.contract import Peer
from dicomgate.events.events import Cause, Closed, Event, Opened, ReasonClass, Refused
from dicomgate.net import announcement, negotiation
from dicomgate.net.capacity import MOST_UNANNOUNCED
from dicomgate.net.server_state import Balancers
from dicomgate.net.tls_stream import TlsStream
from dicomgate.testing import raw
from dicomgate.wire.proxy import Client, block, line
from tests.net.test_negotiation import AUTHORITY, CALLED_AE_TITLE, Server
from tests.wire.test_proxy import header, summed, tlv
from tests.wire.test_proxy import ssl as of_tls

pytestmark = pytest.mark.anyio
HERE, ELSEWHERE = (ip_network("127.0.0.0/8"),), (ip_network("192.0.2.0/24"),)
CT_1 = "198.51.100.17"
CLIENT = Client((CT_1, 50000), ("198.51.100.1", 104), "C0A8:1")
BALANCERS = Balancers(HERE, believed=False, alone=False)

Start = Callable[..., Server]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a server; it stops at the end."""
    with ExitStack() as stack:

        def start(*args: Any, **kwargs: Any) -> Server:
            server = Server(*args, **kwargs)
            stack.callback(server._listener.close)
            return server

        yield start


async def said(server: Server, *pieces: bytes) -> bytes:
    """Send these pieces, one after the other, and read to the end."""
    reader, writer = await asyncio.open_connection(*server.address)
    for piece in pieces:
        writer.write(piece)
        await asyncio.sleep(0.001)
    if pieces:
        answer = await reader.read(99)
    writer.close()
    return answer if pieces else b""


def told(events: Sequence[Event]) -> tuple[Opened, Refused, Closed]:
    """The records of the one association, which all are about the same client."""
    opened, refused, closed = events
    assert isinstance(opened, Opened)
    assert isinstance(refused, Refused)
    assert isinstance(closed, Closed)
    assert {event.facts[:4] + event.facts[-2:] for event in events} == {opened.facts[:4] + opened.facts[-2:]}
    return opened, refused, closed


async def test_the_client_is_known_by_a_header_in_any_pieces(start: Start) -> None:
    server = start(balancers=BALANCERS)
    pieces = [bytes((byte,)) for byte in block(CLIENT)]
    assert await said(server, *pieces, raw.rq()) == CALLED_AE_TITLE
    opened, *_ = told(await server.ended())
    assert opened.facts[2:4] + opened.facts[-2:] == (CT_1, 50000, "127.0.0.1", "C0A8:1")


@pytest.mark.parametrize("data", [line(None), block(None), header(family=0)], ids=["UNKNOWN", "LOCAL", "UNSPEC"])
async def test_a_balancer_that_speaks_for_itself_keeps_its_address(data: bytes, start: Start) -> None:
    server = start(balancers=BALANCERS)
    assert await said(server, data + raw.rq()) == CALLED_AE_TITLE
    opened, *_ = told(await server.ended())
    assert (opened.facts.address, opened.facts.via) == ("127.0.0.1", "")


WRONG = {
    "none": ([raw.rq()], "it speaks DICOM without TLS"),
    "a wrong sum": ([summed(wrong=1) + raw.rq()], "its CRC-32c is wrong"),
    "a leading zero": ([b"PROXY TCP4 192.0.2.17 192.0.2.1 050000 104\r\n" + raw.rq()], "not a line that it allows"),
    "too late": ([block(CLIENT)[:-1]], "no whole PROXY header within 0.3 s"),
    "nothing": ([b""], "no whole PROXY header within 0.3 s"),
}


# decision: D55
@pytest.mark.parametrize("case", WRONG)
async def test_without_a_right_header_nothing_of_a_balancers_is_answered(
    case: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcement, "_WITHIN", 0.3)
    server = start(balancers=BALANCERS)
    pieces, why = WRONG[case]
    assert await said(server, *pieces) == b""
    _, refused, closed = told(await server.ended())
    assert (refused.reason_class, refused.answer, closed.cause) == (ReasonClass.PROXY_HEADER, "", Cause.REFUSED)
    assert why in refused.reason
    assert refused.facts.address == "127.0.0.1"
    assert await said(server, summed() + raw.rq()) == CALLED_AE_TITLE, "the positive control"


async def test_a_header_that_ends_early_is_told_and_a_check_that_says_nothing_is_counted(start: Start) -> None:
    server = start(balancers=BALANCERS)
    assert await said(server) == b""
    assert await server.ended() == []
    assert server.silent == ["127.0.0.1"]
    with socket.create_connection(server.address) as client:
        client.sendall(b"PROXY TCP4")
        client.shutdown(socket.SHUT_WR)
        while not server.events:
            await asyncio.sleep(0.001)
    assert told(await server.ended())[1].reason == "the connection ended within its PROXY header"


async def test_nobody_else_is_believed_or_asked_for_a_header(start: Start) -> None:
    server = start(balancers=Balancers(ELSEWHERE, believed=True, alone=False))
    assert await said(server, raw.rq()) == CALLED_AE_TITLE
    opened, *_ = told(await server.ended())
    assert (opened.facts.address, opened.facts.via) == ("127.0.0.1", "")
    server.events.clear()
    assert await said(server, block(CLIENT) + raw.rq()) != CALLED_AE_TITLE
    _, refused, _ = told(await server.ended())
    assert (refused.facts.address, refused.reason_class) == ("127.0.0.1", ReasonClass.NOT_DICOM)


# decision: D56
async def test_a_listener_for_balancers_alone(start: Start) -> None:
    server = start(balancers=Balancers(ELSEWHERE, believed=False, alone=True))
    assert await said(server, block(CLIENT) + raw.rq()) == b""
    _, refused, _ = told(await server.ended())
    assert (refused.reason_class, refused.reason) == (
        ReasonClass.PROXY_HEADER,
        "this listener is for load balancers alone",
    )
    server = start(balancers=Balancers(HERE, believed=False, alone=True))
    assert await said(server, block(CLIENT) + raw.rq()) == CALLED_AE_TITLE, "the positive control"


async def test_a_connection_counts_for_its_client_and_before_that_by_itself(start: Start) -> None:
    server = start(balancers=BALANCERS)
    most = server.capacity.limits.max_unauthenticated_per_source
    with ExitStack() as stack:

        def connected(data: bytes = b"") -> socket.socket:
            client = stack.enter_context(socket.create_connection(server.address))
            client.sendall(data)
            return client

        waiting = [connected() for _ in range(MOST_UNANNOUNCED)]
        while len(server.state.register) < MOST_UNANNOUNCED:
            await asyncio.sleep(0.001)
        one_more = connected()
        one_more.settimeout(5)
        assert await asyncio.to_thread(one_more.recv, 1) == b""
        assert (server.capacity.turned_away["proxy_header"], server.capacity.associations) == (1, 0)
        for number, client in enumerate(waiting[: most + 1]):
            client.sendall(block(CLIENT._replace(source=(CT_1, number))))
        other = block(CLIENT._replace(source=("198.51.100.18", 1)))
        while server.capacity.associations < most:
            await asyncio.sleep(0.001)
        over = waiting[most]
        over.sendall(raw.rq())
        over.settimeout(5)
        assert await asyncio.to_thread(over.recv, 99) == bytes.fromhex("03 00 00000004 00 02 03 02")
        assert set(server.capacity._sources) == {CT_1}
        connected(other)
    await server.ended()


@pytest.mark.parametrize("believed", [False, True])
@pytest.mark.parametrize("secured", [False, True])
@pytest.mark.parametrize("came_by_tls", [False, True])
async def test_what_a_balancer_says_of_tls(
    believed: bool, secured: bool, came_by_tls: bool, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The header comes before TLS; and a certificate that is shown in that TLS is then the balancer's own."""
    peers: list[Peer] = []

    class Known(Handshake):
        def __init__(self, association_id: str, peer: Peer, *args: Any, **kwargs: Any) -> None:
            peers.append(peer)
            super().__init__(association_id, peer, *args, **kwargs)

    monkeypatch.setattr(negotiation, "Handshake", Known)
    monkeypatch.setattr(TlsStream, "peer_certificate", lambda _: b"the balancer's")
    context, trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    AUTHORITY.issue_cert("localhost").configure_cert(context)
    AUTHORITY.configure_trust(trust)
    server = start(context if secured else None, balancers=Balancers(HERE, believed=believed, alone=True))

    def talk() -> bytes:
        client = socket.create_connection(server.address, 10)
        client.sendall(header(of_tls(3, 0, tlv(0x22, b"ct-1"))) if came_by_tls else header(of_tls(0, 0)))
        with trust.wrap_socket(client, server_hostname="localhost") if secured else client as client:
            client.sendall(raw.rq())
            return client.recv(99)

    assert await asyncio.to_thread(talk) == CALLED_AE_TITLE
    certificate = b"the balancer's" if secured and not believed else None
    word = (True, "ct-1") if believed and came_by_tls else (False, "")
    assert peers == [Peer("192.0.2.17", 50000, certificate, "127.0.0.1", "", *word)]
    await server.ended()
