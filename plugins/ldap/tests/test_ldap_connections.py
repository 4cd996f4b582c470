"""Whatever a server does, the answer comes in time, the event loop goes on meanwhile, and nothing is left behind."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from datetime import timedelta
from typing import Any

import pytest

from dicomgate import Accept, Attempt, Decision, Reject, Unavailable
from dicomgate.kit.equal_time import MeasuredFloor
from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate.testing.peers.certificates import Certificates
from dicomgate.testing.peers.loopback import HOST
from dicomgate.testing.peers.silence import Names
from dicomgate.testing.peers.silence import silent as silent_host
from dicomgate.testing.peers.slapd import BASE, Slapd
from dicomgate.testing.watching import Belongings, longest_stall
from dicomgate_ldap import Ldap, relay
from dicomgate_ldap.settings import Url
from dicomgate_ldap.troubles import other_scheme, why_unreachable
from plugins.ldap.tests.conftest import Decided, login
from plugins.ldap.tests.mischief import STARTTLS_SUCCEEDS, Conversation, Mischief, hangs_up, says, silent, slowly_to
from plugins.ldap.tests.standin import BIND, Asked, StandIn, bound, found, tlv

pytestmark = pytest.mark.anyio

RIGHT, WRONG_ONE = login(), login(secret=WRONG)
NO_BIND_RESPONSE = bytes.fromhex("300c 020101 6407 0a0100 0400 0400")  # but a search's
EMPTY_BIND_RESPONSE = bytes.fromhex("3005 020101 6100")
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\n\r\n"
A_SECOND = timedelta(seconds=1)


def ask(ldap: Ldap, one: Attempt = RIGHT) -> asyncio.Task[Decision]:
    return asyncio.create_task(ldap.authenticate(one))


@pytest.mark.parametrize(
    ("scheme", "conversation"),
    [
        ("ldap", silent),
        ("ldaps", silent),
        ("ldap", says(STARTTLS_SUCCEEDS)),
        ("ldap", says(b"\x30\x84\x00\x00\x10\x00\x02")),  # a message that never ends
        ("cleartext", says(b"\x30\x84\x00\x00\x10\x00\x02")),
        ("ldaps", says(b"\x16\x03\x03\x01\x00")),  # a TLS record that never ends
    ],
)
async def test_a_server_that_hangs(slapd: Slapd, scheme: str, conversation: Conversation) -> None:
    await asyncio.to_thread(int)  # names are looked up in a thread that stays
    before = Belongings()
    with Mischief(conversation) as server:
        url = server.url("ldaps" if scheme == "ldaps" else "ldap")
        ldap = Ldap(**slapd.keys(servers=[url], cleartext=scheme == "cleartext", deadline=A_SECOND))
        start = time.monotonic()
        asking = ask(ldap)
        assert await longest_stall(asking) < 0.8
        assert 1.0 <= time.monotonic() - start < 2.0
        assert server.connections
    assert asking.result() == Unavailable(f"{url}: no answer within 1 s")
    assert await before.grown_by(1) == []
    await ldap.__aexit__()


@pytest.mark.parametrize(
    ("scheme", "conversation", "said"),
    [
        ("ldap", hangs_up, "it does not answer StartTLS with success"),
        ("ldap", says(BAD_REQUEST, ends=True), "it does not answer StartTLS with success"),
        ("ldap", says(bytes(range(256)) * 9, ends=True), "it does not answer StartTLS with success"),
        ("ldap", says(STARTTLS_SUCCEEDS + b"garbage" * 9, ends=True), "no TLS: "),
        ("ldaps", says(BAD_REQUEST, ends=True), "no TLS: WRONG_VERSION_NUMBER"),
        ("ldaps", hangs_up, "no TLS: "),
        ("cleartext", hangs_up, "it closes the connection"),
        ("cleartext", says(BAD_REQUEST, ends=True), "it closes the connection"),
        ("cleartext", says(NO_BIND_RESPONSE, ends=True), "it closes the connection"),
        ("cleartext", says(EMPTY_BIND_RESPONSE, ends=True), "Decoding error"),
    ],
)
async def test_a_server_that_talks_something_else(
    decided: Decided, slapd: Slapd, scheme: str, conversation: Conversation, said: str
) -> None:
    with Mischief(conversation) as server:
        url = server.url("ldaps" if scheme == "ldaps" else "ldap")
        (decision,) = await decided(slapd.keys(servers=[url], cleartext=scheme == "cleartext"), RIGHT)
    assert isinstance(decision, Unavailable)
    sooner = (f"{url}: Connection reset by peer", f"{url}: it closes the connection")
    assert said in decision.reason or decision.reason.startswith(sooner)


class Tls:
    """A server of a conversation that answers StartTLS, with more than the answer if `more` is given, and goes on."""

    def __init__(self, certificates: Certificates, more: bytes) -> None:
        self._context = certificates.server_context()
        self._more = more
        self.told = b""

    def __call__(self, client: socket.socket) -> None:
        client.recv(65536)
        client.sendall(STARTTLS_SUCCEEDS + self._more)
        with self._context.wrap_socket(client, server_side=True) as server:
            self.told += server.recv(65536)


@pytest.mark.parametrize("more", [b"", bytes.fromhex("300c 020101 6107 0a0100 0400 0400")])
async def test_what_comes_between_starttls_and_tls_is_not_believed(
    decided: Decided, slapd: Slapd, certificates: Certificates, more: bytes
) -> None:
    """A success of the first bind, put there by somebody on the way. Without it the bind is told."""
    conversation = Tls(certificates, more)
    with Mischief(conversation) as server:
        (decision,) = await decided(slapd.direct_keys(servers=[server.url()]), RIGHT)
    assert isinstance(decision, Unavailable)
    assert ("no TLS: " in decision.reason) is bool(more)
    assert (conversation.told == b"") is bool(more)


async def test_a_slow_server_is_waited_for(decided: Decided, slapd: Slapd) -> None:
    host, _, port = slapd.plain.removeprefix("ldap://").partition(":")
    with Mischief(slowly_to((host, int(port)), 0.05)) as server:
        start = time.monotonic()
        right, wrong = await decided(slapd.keys(servers=[server.url()]), RIGHT, WRONG_ONE)
        assert time.monotonic() - start > 0.2
    assert isinstance(right, Accept)
    assert isinstance(wrong, Reject)


async def test_an_answer_that_never_ends(slapd: Slapd, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is cut, so that it does not fill the memory; half as long it is read."""
    monkeypatch.setattr(relay, "_LONGEST_ANSWER", 100_000)
    length = 40_000

    def talkative(asked: Asked) -> list[bytes]:
        if asked.what == BIND:
            return bound()
        values = {"uid": ["alice"], "memberOf": ["x" * length]}
        return found((asked.name if asked.scope == 0 else f"uid=alice,{BASE}", values))

    with StandIn(talkative) as server:
        async with Ldap(**slapd.keys(servers=[server.url], cleartext=True)) as ldap:
            assert isinstance(await ldap.authenticate(RIGHT), Accept)
            length = 200_000
            decision = await ldap.authenticate(RIGHT)
            assert isinstance(decision, Unavailable)
            assert decision.reason.startswith(f"{server.url}: it closes the connection")


async def test_an_answer_in_many_messages(slapd: Slapd) -> None:
    """All of which may be there before the first one is read."""
    groups: list[tuple[str, dict[str, list[str]]]] = [(f"cn=group {number},{BASE}", {}) for number in range(1999)]

    def answer(asked: Asked) -> list[bytes]:
        if asked.what == BIND:
            return bound()
        if "member" in asked.filter:
            return found(*groups)
        return found((f"uid=alice,{BASE}", {"uid": ["alice"]}))

    with StandIn(answer) as server:
        async with Ldap(**slapd.keys(servers=[server.url], cleartext=True, groups="search")) as ldap:
            start = time.monotonic()
            decision = await ldap.authenticate(RIGHT)
            assert time.monotonic() - start < 5
    assert isinstance(decision, Accept)
    assert len(decision.groups) == 1999


@pytest.mark.parametrize(
    "answer",
    [
        tlv(0x64, tlv(0x04, b"cn=\xff"), tlv(0x30)),  # a DN that is not UTF-8
        tlv(0x64, tlv(0x04, b"cn=a"), tlv(0x30, tlv(0x30, tlv(0x04, b"uid"), tlv(0x31, tlv(0x04, b"\xff"))))),
        b"\x64\x00",
    ],
)
async def test_an_answer_that_cannot_be_read(slapd: Slapd, answer: bytes) -> None:
    """It is the directory's fault, not a defect of the gateway, and the next login gets through."""
    broken = True

    def answers(asked: Asked) -> list[bytes]:
        if asked.what == BIND:
            return bound()
        if broken and asked.scope:
            return [answer, *found()]
        return found((f"uid=alice,{BASE}", {"uid": ["alice"]}))

    with StandIn(answers) as server:
        ldap = Ldap(**slapd.keys(servers=[server.url], cleartext=True))
        decision = await ldap.authenticate(RIGHT)
        assert isinstance(decision, Unavailable), decision
        broken = False
        assert isinstance(await ldap.authenticate(RIGHT), Accept)
        await ldap.__aexit__()


async def test_a_resolver_that_hangs_holds_up_nobody(slapd: Slapd, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has one thread, however many logins wait for it; and the next server is asked in time."""
    over, resolve, looked_up = threading.Event(), socket.getaddrinfo, []

    def hang(host: Any, *arguments: Any, **options: Any) -> Any:
        if host == "ldap.example":
            looked_up.append(host)
            over.wait(20)
        return resolve(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    ldap = Ldap(**slapd.keys(servers=["ldaps://ldap.example", slapd.plain], deadline=timedelta(seconds=4)))
    try:
        asking = [ask(ldap) for _ in range(3)]
        assert await longest_stall(asyncio.gather(*asking)) < 0.8
        assert all(isinstance(one.result(), Accept) for one in asking)
        assert len(looked_up) == 1
    finally:
        over.set()
    await ldap.__aexit__()


async def test_a_client_that_hangs_up_leaves_nothing_behind(slapd: Slapd) -> None:
    async with Ldap(**slapd.keys(connections=1)) as ldap:
        assert isinstance(await ldap.authenticate(RIGHT), Accept)  # both connections that are kept are there
        before = Belongings()
        for steps in range(12):
            abandoned = ask(ldap)
            for _ in range(steps):
                await asyncio.sleep(0)
            abandoned.cancel()
            await asyncio.wait((abandoned,))
            assert isinstance(await ldap.authenticate(RIGHT), Accept)
        assert await before.grown_by(3) == []


@pytest.mark.parametrize("silence", ["TCP", "TLS", "StartTLS"])
async def test_an_address_of_the_host_that_is_silent_holds_up_no_login(
    slapd: Slapd, names: Names, silence: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = (slapd.plain if silence == "StartTLS" else slapd.tls).replace(HOST, "localhost")
    port = int(url.rpartition(":")[2])
    names.addresses["localhost"] = ["127.0.0.2", HOST]
    mute = socket.create_server(("127.0.0.2", port)) if silence != "TCP" else silent_host("127.0.0.2", port)
    with mute:
        async with Ldap(**slapd.keys(servers=[url])) as ldap:
            for _ in range(2):
                assert isinstance(await ldap.authenticate(RIGHT), Accept)
    told = [line for line in caplog.messages if f"127.0.0.2:{port}: no answer within 0." in line]
    assert told == [told[0]]
    assert told[0].startswith(f"directory {url}: ")


async def test_when_one_kept_connection_is_silent_no_other_is_tried(slapd: Slapd) -> None:
    """A server that has vanished costs one login, not one for each connection."""
    vanished = False

    def answers(asked: Asked) -> list[bytes]:
        nonlocal vanished
        if asked.what == BIND:
            vanished = False
            return bound()
        return [] if vanished else found((f"uid=alice,{BASE}", {"uid": ["alice"]}))

    with StandIn(answers) as server:
        keys = slapd.keys(servers=[server.url], cleartext=True, deadline=A_SECOND)
        async with Ldap(**keys) as ldap:
            both = await asyncio.gather(ldap.authenticate(RIGHT), ldap.authenticate(RIGHT))
            assert [type(one) for one in both] == [Accept, Accept]
            vanished = True
            assert isinstance(await ldap.authenticate(RIGHT), Unavailable)
            assert isinstance(await ldap.authenticate(RIGHT), Accept)


async def test_users_bind_one_after_the_other_on_a_kept_connection(slapd: Slapd) -> None:
    """Each is asked about anew, with that user's own passcode; one that is refused leaves no connection behind."""
    binds: list[Asked] = []

    def answers(asked: Asked) -> list[bytes]:
        if asked.what == BIND:
            binds.append(asked)
            return bound(49 if asked.passcode == WRONG.decode() else 0)
        return found((asked.name, {"uid": ["alice"]}))

    with StandIn(answers) as server:
        async with Ldap(**slapd.keys(servers=[server.url], cleartext=True)) as ldap:
            ldap._floor = MeasuredFloor(most=0.0)
            del binds[:]
            for secret, decided in (
                (ALICE, Accept),
                (ALICE, Accept),
                (WRONG, Reject),
                (ALICE, Accept),
                (WRONG, Reject),
            ):
                assert isinstance(await ldap.authenticate(login("alice", secret)), decided)
    users = [(bind.connection, bind.passcode) for bind in binds if bind.passcode != "dicomgate-decoy"]
    assert [passcode for _, passcode in users] == [one.decode() for one in (ALICE, ALICE, WRONG, ALICE, WRONG)]
    assert [connection - users[0][0] for connection, _ in users] == [0, 0, 0, 1, 1]


async def test_connections_that_the_server_closed_are_replaced(own_slapd: Slapd) -> None:
    async with Ldap(**own_slapd.keys()) as ldap:
        assert isinstance(await ldap.authenticate(RIGHT), Accept)
        own_slapd.restart()
        assert isinstance(await ldap.authenticate(RIGHT), Accept)


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        (Url("ldaps://a:389", "a", 389, True, False), "StartTLS: ldap://a, or ldaps:// without the port"),
        (Url("ldap://a:636", "a", 636, True, True), "TLS begins at once: ldaps://a"),
        (Url("ldaps://a", "a", 636, True, False), ""),
        (Url("ldap://a", "a", 389, True, True), ""),
        (Url("ldaps://a:3268", "a", 3268, True, False), "if on port 3268 TLS begins with StartTLS: ldap://a:3268"),
        (Url("ldap://[::1]:3269", "::1", 3269, True, True), "if on port 3269 TLS begins at once: ldaps://[::1]:3269"),
    ],
)
async def test_the_port_of_the_other_scheme_is_named(url: Url, hint: str) -> None:
    no_tls = ssl.SSLError(1, "wrong version number")
    no_tls.reason = "WRONG_VERSION_NUMBER"
    for said in (why_unreachable(no_tls, url, None), other_scheme(url)):
        assert hint in said
        assert bool(hint) == ("on port" in said)
    unknown = ssl.SSLCertVerificationError(1, "x")
    unknown.verify_message = "unable to get local issuer certificate"
    assert "name the file with its authority as `ca`" in why_unreachable(unknown, url, None)
