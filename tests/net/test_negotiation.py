"""From the accept to the end, without a PACS: a defect ends one association, ARTIM is absolute, all is given back."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from struct import pack
from typing import Any, cast

import pytest
import trustme

from dicomgate.association.admission import Policy
from dicomgate.association.handshake import Handshake
from dicomgate.association.route import Route
from dicomgate.auth.chain import Chain, Verdict
from dicomgate.contract import Accept
from dicomgate.events.events import Cause, Closed, Event, Opened, ReasonClass, Refused
from dicomgate.net.announcement import receive
from dicomgate.net.capacity import Capacity, Limits
from dicomgate.net.lifetime import Lifetime
from dicomgate.net.listener import Address, Listener, listen
from dicomgate.net.negotiation import Negotiation
from dicomgate.net.server_state import Balancers, ListenerSnapshot, ServerState
from dicomgate.net.tls import TlsContext
from dicomgate.net.tls_stream import TlsStream
from dicomgate.protection.guard import Guard
from dicomgate.sessions.users import Principal
from dicomgate.testing import raw

pytestmark = pytest.mark.anyio
ABORT = bytes.fromhex("07 00 00000004 00 00 02 00")
REFUSED_IDENTITY = bytes.fromhex("03 00 00000004 00 01 02 01")
CALLED_AE_TITLE = bytes.fromhex("03 00 00000004 00 01 01 07")
AUTHORITY = trustme.CA()


class Server:
    """One listener without upstreams: it rejects every request for its called AE title."""

    def __init__(
        self,
        tls: TlsContext | None = None,
        artim: float = 20,
        host: str = "127.0.0.1",
        balancers: Balancers | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.events: list[Event] = []
        self.users = 0
        self.capacity = Capacity(Limits(9, 9, 9, 9), lambda *_: None)
        # No association of these tests comes as far as the guard.
        self.silent: list[str] = []
        self.state = ServerState(
            loop, self.events.append, cast(Any, None), str, self.silent.append, self.capacity, cast(Guard, None)
        )
        policy = Policy("clinical", artim=artim)
        use, done = partial(self._use, 1), partial(self._use, -1)
        self.snapshot = ListenerSnapshot(policy, Chain([]), {}, {}, tls, 60, 0, use, done, balancers)
        self._listener = Listener(loop, (sock := listen(host, 0, "")), self._accept)
        self.address: Address = sock.getsockname()[:2]

    def _use(self, more: int) -> None:
        self.users += more

    def _accept(self, connection: socket.socket, address: Address) -> None:
        receive(self.state, self.snapshot, connection, address, self.address, Negotiation)

    async def association(self) -> Lifetime:
        """The one that is under way, once it is."""
        while not self.state.register:
            await asyncio.sleep(0.001)
        (association,) = self.state.register
        assert isinstance(association, Lifetime)
        return association

    async def ended(self) -> list[Event]:
        """The events so far, once no association is left; everything that they held is given back."""
        async with asyncio.timeout(10):
            while self.state.register or not (self.events or self.silent):
                await asyncio.sleep(0.001)
        assert self.users == 0
        assert not self.capacity._sources
        assert not self.capacity._unannounced
        return self.events


@pytest.fixture
def start() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(tls: TlsContext | None = None, artim: float = 20, host: str = "127.0.0.1") -> Server:
        servers.append(Server(tls, artim, host))
        return servers[-1]

    yield start
    for server in servers:
        server._listener.close()


@pytest.fixture
def tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def trust() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


async def talk(server: Server, trust: ssl.SSLContext | None = None, *, before: float = 0, say: bytes = b"") -> bytes:
    """Connect, wait `before` seconds for TLS, say it, and read to the end."""
    return await asyncio.to_thread(_talk, server.address, trust, before, say)


def _talk(address: Address, trust: ssl.SSLContext | None, before: float, say: bytes) -> bytes:
    with ExitStack() as stack:
        client = stack.enter_context(socket.create_connection(address, 10))
        time.sleep(before)
        if trust is not None:
            client = stack.enter_context(trust.wrap_socket(client, server_hostname="localhost"))
        client.sendall(say)
        answer = client.recv(99)
        if answer:
            client.shutdown(socket.SHUT_WR)
        return answer


def closed(events: list[Event]) -> Closed:
    assert [type(event) for event in events if not isinstance(event, Refused)] == [Opened, Closed]
    return cast(Closed, events[-1])


DEFECTS = {
    "as it begins": (Handshake, "__init__"),
    "in an input": (Handshake, "client_data"),
    "at a deadline": (Handshake, "deadline"),
    "after the TLS handshake": (TlsStream, "peer_certificate"),
}


@pytest.mark.parametrize("secured", [False, True])
@pytest.mark.parametrize("where", [*DEFECTS, "in none"])
async def test_a_defect_ends_one_association_and_no_other(
    where: str, secured: bool, start: Callable[..., Server], tls: ssl.SSLContext, trust: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    def defect(*_: object, **__: object) -> None:
        raise KeyError("a defect")

    server = start(tls if secured else None, artim=1 if where == "at a deadline" else 20)
    with monkeypatch.context() as patched:
        if where in DEFECTS:
            patched.setattr(*DEFECTS[where], defect)
        said = raw.rq()[:-1] if where == "at a deadline" else raw.rq()
        answer = await talk(server, trust if secured else None, say=said)
        told = closed(await server.ended())
    if where == "in none" or (where == "after the TLS handshake" and not secured):
        assert (answer, told.cause) == (CALLED_AE_TITLE, Cause.REFUSED)
        return
    assert (answer, told.cause, told.detail) == (b"", Cause.DEFECT, "see the log")
    assert f"{told.facts.id}: a defect of the gateway" in caplog.text
    server.events.clear()
    assert await talk(server, trust if secured else None, say=raw.rq()) == CALLED_AE_TITLE
    assert closed(await server.ended()).cause is Cause.REFUSED


@pytest.mark.parametrize(
    ("say", "reason"),
    [
        (b"\x16\x03\x01", "TLS: the client closed the connection in the middle of the handshake"),
        (b"\x16\x03\x01\0\4GET ", "TLS: "),
        (raw.rq(), "the client does not begin TLS, which this listener requires: it speaks DICOM without TLS"),
        (b"GET / HTTP/1.1\r\n\r\n", "the client does not begin TLS, which this listener requires: it speaks HTTP"),
        (b"?", "the client does not begin TLS, which this listener requires: it speaks something else"),
    ],
    ids=["half a ClientHello", "none", "DICOM", "HTTP", "anything"],
)
async def test_a_client_without_tls_is_refused_with_its_reason(
    say: bytes, reason: str, start: Callable[..., Server], tls: ssl.SSLContext
) -> None:
    server = start(tls)
    with socket.create_connection(server.address) as client:
        client.send(say)
        client.shutdown(socket.SHUT_WR)
        opened, refused, told = await server.ended()
    assert isinstance(refused, Refused)
    assert isinstance(told, Closed)
    assert (refused.answer, told.cause) == ("", Cause.REFUSED)
    assert refused.reason == told.detail
    assert refused.reason.startswith(reason)
    assert refused.reason_class is ReasonClass.TLS
    assert opened.facts == refused.facts == told.facts


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::"])
async def test_authenticators_are_told_the_address_that_a_client_has_reached(
    start: Callable[..., Server], host: str
) -> None:
    server = start(host=host)
    reached = "::1" if host == "::" else "127.0.0.1"
    with socket.create_connection((reached, server.address[1])):
        association = await server.association()
        assert isinstance(association.stage, Negotiation)
        assert association.stage._handshake._arrived_at == (reached, server.address[1])
    await server.ended()


async def test_each_association_has_an_id_of_its_own(start: Callable[..., Server]) -> None:
    ids = [next(ids) for ids in (start().state.ids, start().state.ids) for _ in range(600)]
    assert len(set(ids)) == len(ids)
    assert {len(it) for it in ids} == {12}


@pytest.mark.parametrize("end", ["closes", "resets"])
@pytest.mark.parametrize("secured", [False, True])
async def test_a_health_check_is_counted_and_has_no_records(
    secured: bool, end: str, start: Callable[..., Server], tls: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    server = start(tls if secured else None)
    with socket.create_connection(server.address) as client:
        if end == "resets":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, pack("ii", 1, 0))
    assert await server.ended() == []
    assert server.silent == ["127.0.0.1"]
    assert await talk(server, trust if secured else None, say=raw.rq()) == CALLED_AE_TITLE
    assert closed(await server.ended()).cause is Cause.REFUSED, "the positive control"


@pytest.mark.parametrize("stage", ["in its TLS handshake", "after it", "without TLS"])
async def test_artim_begins_with_the_connection_and_tls_gets_no_time_of_its_own(
    stage: str, start: Callable[..., Server], tls: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    server = start(None if stage == "without TLS" else tls, artim=2)
    if stage == "in its TLS handshake":
        assert await talk(server, say=b"\x16\x03\x01") == b""
    else:
        assert await talk(server, trust if stage == "after it" else None, before=0.7) == b""
    told = closed(await server.ended())
    what = "TLS handshake" if stage == "in its TLS handshake" else "A-ASSOCIATE-RQ"
    assert (told.cause, told.detail) == (Cause.TIMEOUT, f"no {what} within 2 s")
    assert 1.99 <= told.seconds < 2.7  # it would be that long if ARTIM began after the 0.7 s


@pytest.mark.parametrize("cause", [Cause.DRAINED, Cause.KICKED, Cause.DISABLED])
@pytest.mark.parametrize("secured", [False, True])
async def test_a_stop_or_a_kick_aborts_a_client_that_speaks_dicom(
    secured: bool, cause: Cause, start: Callable[..., Server], tls: ssl.SSLContext
) -> None:
    server = start(tls if secured else None)
    answer = asyncio.ensure_future(talk(server))
    association = await server.association()
    association.end(cause, "by alice")
    association.end(cause, "by alice")  # idempotent
    assert await answer == (b"" if secured else ABORT)
    told = closed(await server.ended())
    assert (told.cause, told.detail) == (cause, "by alice" if secured or cause is not Cause.DRAINED else "")


class Asked:
    """A guard whose verdicts come when the test says so, and a PACS that never answers."""

    def __init__(self, server: Server) -> None:
        server.state.guard = cast(Guard, self)
        policy = replace(server.snapshot.policy, identity_required=False, routes={"*": Route("pacs")})
        server.snapshot = replace(server.snapshot, policy=policy, upstreams=cast(Any, {"pacs": self}))
        self.decided: list[Callable[[Verdict], None]] = []

    def begin(self, *asked: Any) -> Asked:
        self.decided += asked[2:]
        return self

    def way(self, *_: object) -> Asked:
        return self

    def connect(self, *_: object) -> Asked:
        return self

    def leave(self) -> None: ...

    def cancel(self) -> None: ...


async def test_a_verdict_that_comes_after_a_kick_takes_no_place(start: Callable[..., Server]) -> None:
    server = start()
    asked, alice = Asked(server), Verdict(Accept("alice"), "staff")
    for late in (False, True):
        with socket.create_connection(server.address, 10) as client:
            client.send(raw.rq())
            association = await server.association()
            while len(asked.decided) <= late:
                await asyncio.sleep(0.001)
            if not late:
                asked.decided[late](alice)
                assert server.state.users.count(Principal("staff", "alice")) == 1
            association.end(Cause.KICKED, "by alice")
            if late:
                asked.decided[late](alice)
            assert server.state.users.count(Principal("staff", "alice")) == 0, "while it waits for its client's close"
            assert await asyncio.to_thread(client.recv, 99) == REFUSED_IDENTITY
        await server.ended()


@pytest.mark.parametrize(
    ("secured", "each", "most"), [(True, 1, 128), (True, 3000, 8192), (False, 3000, 8192)],
    ids=["bytes, each in a record", "records", "no TLS"],
)  # fmt: skip
async def test_what_a_client_sends_before_its_login_is_taken_in_portions(
    secured: bool, each: int, most: int, start: Callable[..., Server], tls: ssl.SSLContext, trust: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Also after it was refused: then all but an A-ABORT is ignored, and the smallest PDUs have six bytes."""
    portions: list[int] = []
    take = Handshake.client_data

    def client_data(handshake: Handshake, data: bytes) -> object:
        portions.append(len(data))
        return take(handshake, data)

    monkeypatch.setattr(Handshake, "client_data", client_data)
    server = start(tls if secured else None)
    request, flood = raw.rq(), raw.pdu(4, b"") * 3000 + raw.ABORT

    def pour() -> None:
        with ExitStack() as stack:
            client = stack.enter_context(socket.create_connection(server.address, 10))
            if secured:
                client = stack.enter_context(trust.wrap_socket(client, server_hostname="localhost"))
            for data in (request, flood):
                for at in range(0, len(data), each):
                    client.sendall(data[at : at + each])
                assert client.recv(99) == (CALLED_AE_TITLE if data is request else b"")

    await asyncio.to_thread(pour)
    assert closed(await server.ended()).cause is Cause.REFUSED
    assert sum(portions) == len(request + flood)
    assert max(portions) <= most
