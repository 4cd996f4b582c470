"""What was broken once: the end of a TLS stream, reading that has to write first, ends that never came."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import trustme

from dicomgate import Accept, Attempt, Identity, IdentityType, Peer
from dicomgate.association import effects as do
from dicomgate.association.admission import Policy, Route
from dicomgate.association.handshake import Handshake
from dicomgate.association.pdv_stream import PdvStream
from dicomgate.auth.chain import Verdict
from dicomgate.auth.link import Link
from dicomgate.events.events import Cause
from dicomgate.net.connection import Connection
from dicomgate.net.relay import Direction, Relay
from dicomgate.net.tls import TlsStream, WantsToWrite
from tests.properties import raw

SCRATCH = memoryview(bytearray(65_536))
DATA = raw.p_data(raw.pdv(1, b"0123456789"))


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    server.num_tickets = 0
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(client)
    return server, client


@dataclass
class Pair:
    """A leg in TLS, and its peer: a blocking socket that tells a truncation from an end."""

    leg: Connection
    peer: ssl.SSLSocket


def in_tls(contexts: tuple[ssl.SSLContext, ssl.SSLContext], story: Callable[[Pair], Awaitable[None]]) -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        theirs.settimeout(10)
        peer = contexts[1].wrap_socket(
            theirs, server_hostname="localhost", do_handshake_on_connect=False, suppress_ragged_eofs=False
        )
        stream = TlsStream(contexts[0], ours)
        greeting = asyncio.get_running_loop().run_in_executor(None, peer.do_handshake)
        stream.handshake()  # blocking
        await greeting
        ours = stream._socket
        ours.setblocking(False)
        pair = Pair(Connection(asyncio.get_running_loop(), stream), peer)
        try:
            await story(pair)
        finally:
            pair.leg.close()
            peer.close()

    asyncio.run(main())


def test_a_released_tls_connection_ends_with_close_notify(contexts: Any) -> None:
    async def story(pair: Pair) -> None:
        gone: list[bool] = []
        pair.leg.part(SCRATCH, 60, lambda: gone.append(True), at_once=True)
        assert gone == [True]
        assert pair.peer.recv(1) == b""

    async def control(pair: Pair) -> None:
        pair.leg.close()
        with pytest.raises(ssl.SSLEOFError):
            pair.peer.recv(1)

    in_tls(contexts, story)
    in_tls(contexts, control)


@pytest.mark.parametrize("end", ["close_notify", "broken record"])
def test_an_end_that_comes_with_data_is_told_behind_it(contexts: Any, end: str) -> None:
    async def story(pair: Pair) -> None:
        pair.peer.sendall(b"the last word")
        if end == "close_notify":
            pair.peer.setblocking(False)
            with pytest.raises(ssl.SSLWantReadError):
                pair.peer.unwrap()
        else:
            socket.socket.send(pair.peer, b"\x17\x03\x03\0\x20" + bytes(32))
        heard: asyncio.Queue[bytes | OSError] = asyncio.Queue()

        def readable() -> None:
            try:
                count = pair.leg.receive(SCRATCH)
            except BlockingIOError:
                return
            except OSError as error:
                pair.leg.pause_reading()
                heard.put_nowait(error)
                return
            heard.put_nowait(bytes(SCRATCH[:count]))
            if count:
                pair.leg.read_pending()
            else:
                pair.leg.pause_reading()

        pair.leg.read_with(readable)
        assert await asyncio.wait_for(heard.get(), 10) == b"the last word"
        # The peer has not closed its socket: nothing but TLS tells of the end.
        last = await asyncio.wait_for(heard.get(), 10)
        assert last == b"" if end == "close_notify" else isinstance(last, ssl.SSLError)

    in_tls(contexts, story)


def test_nothing_is_taken_for_plain_text_behind_close_notify(contexts: Any) -> None:
    async def story(pair: Pair) -> None:
        pair.peer.setblocking(False)
        with pytest.raises(ssl.SSLWantReadError):
            pair.peer.unwrap()
        pair.leg.end()
        socket.socket.send(pair.peer, b"in the clear")
        assert pair.leg.receive(SCRATCH) == 0

    in_tls(contexts, story)


def test_a_parting_leg_passes_over_what_a_tls_peer_still_sends(contexts: Any) -> None:
    async def story(pair: Pair) -> None:
        gone = asyncio.Event()
        pair.peer.sendall(bytes(100_000))
        pair.leg.send(raw.ABORT)
        pair.leg.part(SCRATCH, 60, gone.set)
        await asyncio.get_running_loop().run_in_executor(None, pair.peer.sendall, bytes(1_000_000))
        assert not gone.is_set(), "a close now would be a RST"
        assert pair.peer.recv(99) == raw.ABORT
        assert pair.peer.recv(99) == b""
        pair.peer.close()
        await asyncio.wait_for(gone.wait(), 10)

    in_tls(contexts, story)


class _KeyUpdates:
    """Stands for an SSL context and its socket, whose peer sent key updates and reads none of the answers."""

    def __init__(self) -> None:
        self.calls = 0
        self.answers_pass = False

    def wrap_socket(self, raw_socket: socket.socket, **_: object) -> _KeyUpdates:
        self._socket = raw_socket
        self.fileno = raw_socket.fileno
        self.close = raw_socket.close
        self.setsockopt = raw_socket.setsockopt
        return self

    def pending(self) -> int:
        return 0

    def recv_into(self, buffer: memoryview) -> int:
        self.calls += 1
        if not self.answers_pass:
            raise ssl.SSLWantWriteError
        return self._socket.recv_into(buffer)


def test_reading_that_has_to_write_first_waits_for_the_peer_to_read() -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        while True:  # until nothing more can be written
            try:
                ours.send(bytes(65_536))
            except BlockingIOError:
                break
        context = _KeyUpdates()
        leg = Connection(asyncio.get_running_loop(), TlsStream(cast(ssl.SSLContext, context), ours))
        heard: asyncio.Queue[int] = asyncio.Queue()

        def readable() -> None:
            try:
                heard.put_nowait(leg.receive(SCRATCH))
            except WantsToWrite:
                return

        theirs.send(b"x")
        leg.read_with(readable)
        for _ in range(100):
            await asyncio.sleep(0)
        assert context.calls == 1, "the socket stays readable: a call at each turn of the loop"
        context.answers_pass = True
        while heard.empty():
            await asyncio.wait_for(asyncio.get_running_loop().sock_recv(theirs, 65_536), 10)
            await asyncio.sleep(0)
        assert heard.get_nowait() == 1
        leg.close()
        theirs.close()

    asyncio.run(main())


def _relayed(story: Callable[[Relay, socket.socket, socket.socket], Awaitable[None]]) -> list[tuple[Cause, int]]:
    """What a relay between two socket pairs told at its end."""

    async def main() -> list[tuple[Cause, int]]:
        loop, told = asyncio.get_running_loop(), list[tuple[Cause, int]]()
        pairs = [socket.socketpair() for _ in range(2)]
        for one in (*pairs[0], *pairs[1]):
            one.setblocking(False)
        legs = [Connection(loop, ours) for _, ours in pairs]

        def ended(cause: Cause, _: str, from_client: Direction, __: Direction) -> None:
            told.append((cause, from_client.bytes))

        flows = PdvStream({1}, 0), PdvStream({1}, 0)
        relay = Relay(loop, bytearray(65_536), legs[0], legs[1], flows, 60, ended, lambda: None)
        relay.start(b"")
        try:
            await story(relay, pairs[0][0], pairs[1][0])
        finally:
            for one in (pairs[0][0], pairs[1][0], *legs):
                one.close()
        return told

    return asyncio.run(main())


@pytest.mark.parametrize("last", ["stop", "abort", "violation"])
def test_an_association_that_was_released_stays_released(last: str) -> None:
    async def story(relay: Relay, client: socket.socket, upstream: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, raw.RELEASE_RQ)
        assert await loop.sock_recv(upstream, 99) == raw.RELEASE_RQ
        await loop.sock_sendall(upstream, raw.RELEASE_RP)
        assert await loop.sock_recv(client, 99) == raw.RELEASE_RP
        if last == "stop":
            relay.abort(Cause.DRAINED)
        else:
            await loop.sock_sendall(client, raw.ABORT if last == "abort" else DATA)
            assert (await loop.sock_recv(upstream, 99))[0] == 7

    assert [cause for cause, _ in _relayed(story)] == [Cause.RELEASED]


def test_nothing_is_relayed_by_a_call_that_comes_behind_the_end() -> None:
    async def story(relay: Relay, client: socket.socket, _: socket.socket) -> None:
        # TLS asks for a call soon, because it holds something; before it comes, the other side ends it all.
        call = relay.directions[0].source._readable
        await asyncio.get_running_loop().sock_sendall(client, DATA)
        relay.abort(Cause.IDLE)
        call()
        assert relay.directions[0].bytes == 0

    assert _relayed(story) == [(Cause.IDLE, 0)]


def test_an_answer_of_another_version_is_aborted_not_rejected() -> None:
    answer = bytearray(raw.ac())
    answer[7] = 2
    talk = Handshake(
        "a1", Peer("10.0.0.9", 40000), Policy("clinical", identity_required=False, routes={"*": Route("pacs")})
    )
    talk.client_data(raw.rq())
    talk.decided(Verdict(Accept("anyone"), "staff"))
    talk.upstream_opened()
    to_upstream = [effect.pdu for effect in talk.upstream_data(bytes(answer)) if isinstance(effect, do.ToUpstream)]
    assert to_upstream == [raw.ABORT]


def test_a_burst_of_logins_waits_for_no_worker_of_an_async_authenticator() -> None:
    class Quick:
        async def authenticate(self, _: Attempt) -> Accept:
            await asyncio.sleep(0)
            return Accept("alice")

    async def main() -> None:
        link = Link("quick", Quick(), deadline=timedelta(seconds=30), workers=1)
        identity = Identity(IdentityType.USERNAME, b"alice")
        attempt = Attempt("a1", identity, "ECHOSCU", "ANY-SCP", Peer("10.0.0.9", 4), "clinical", (), datetime.now(UTC))
        assert set(map(type, await asyncio.gather(*(link.ask(attempt) for _ in range(200))))) == {Accept}

    asyncio.run(main())


_SERVE = """
import asyncio, sys, time
from pathlib import Path
from dicomgate.auth import loading
from dicomgate.cli.logs import Format, Level
from dicomgate.cli.serve import serve
from dicomgate import Accept

class Deaf:
    async def authenticate(self, attempt):
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass

class Slow:
    made = 0
    def __init__(self):
        Slow.made += 1
        if Slow.made > 1:
            print("made again", file=sys.stderr, flush=True)
            time.sleep(3600)
    def authenticate(self, attempt):
        return Accept("alice")

loading.find = lambda use: {"deaf": Deaf, "slow": Slow}[use]
serve(Path(sys.argv[1]), Level.INFO, Format.TEXT)
"""


@pytest.mark.parametrize("use", ["deaf", "slow"])
def test_the_process_ends_without_an_authenticator_that_does_not(use: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    configuration = tmp_path / "dicomgate.toml"
    configuration.write_text(f"""
        [gateway]
        audit = "audit.jsonl"
        drain_timeout = "1s"
        [[listener]]
        name = "clinical"
        bind = "127.0.0.1:{port}"
        identity = "optional"
        cleartext_passcodes = true
        [[upstream]]
        name = "pacs"
        address = "127.0.0.1:{port}"
        called_ae_titles = ["*"]
        [[authenticator]]
        use = "{use}"
        timeout = "1s"
    """)
    command = [sys.executable, "-c", _SERVE, str(configuration)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        try:
            log = cast(Any, process.stderr)
            assert any("listening on" in line for line in log)
            if use == "deaf":
                with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
                    client.sendall(raw.rq())
                    assert client.recv(99)[0] == 3
            else:
                process.send_signal(signal.SIGHUP)
                assert any("made again" in line for line in log)
            process.send_signal(signal.SIGTERM)
            rest = log.read()
            assert process.wait() == 0, rest
            assert "the process ends without it" in rest
        finally:
            watchdog.cancel()
            process.kill()
