"""A connection in TLS: how it ends, how much is read in a turn of the loop, and reading that has to write first."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from struct import pack

import pytest
import trustme
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from dicomgate.net.connection import Connection
from dicomgate.net.lingering import linger_close
from dicomgate.net.tls import DONE, WantsToWrite
from dicomgate.net.tls_stream import TlsStream
from dicomgate.testing import raw

pytestmark = pytest.mark.anyio
SCRATCH = memoryview(bytearray(65_536))


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the secrets of each handshake are written, the last one at the end."""
    return tmp_path_factory.mktemp("tls") / "secrets"


@pytest.fixture(scope="module")
def contexts(secrets: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Server and client."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    server.num_tickets = 0
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(client)
    client.keylog_filename = str(secrets)
    return server, client


class Pair:
    """A connection in TLS, and its peer: a blocking socket that tells a truncation from an end."""

    def __init__(self, connection: Connection, peer: ssl.SSLSocket) -> None:
        self.connection = connection
        self.peer = peer

    def close_notify(self) -> None:
        """The peer ends its side of TLS, and leaves the socket open."""
        self.peer.setblocking(False)
        with pytest.raises(ssl.SSLWantReadError):
            self.peer.unwrap()


@pytest.fixture
async def pair(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> AsyncIterator[Pair]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(10)
    peer = contexts[1].wrap_socket(
        theirs, server_hostname="localhost", do_handshake_on_connect=False, suppress_ragged_eofs=False
    )
    stream = TlsStream(contexts[0], ours)
    shaking_hands = asyncio.get_running_loop().run_in_executor(None, peer.do_handshake)
    assert stream.handshake() == DONE  # blocking
    await shaking_hands
    stream._socket.setblocking(False)
    connection = Connection(asyncio.get_running_loop(), stream)
    yield Pair(connection, peer)
    connection.close()
    peer.close()


async def test_a_released_tls_connection_ends_with_close_notify(pair: Pair) -> None:
    gone: list[bool] = []
    linger_close(pair.connection, SCRATCH, 60, lambda: gone.append(True), at_once=True)
    assert gone == [True]
    assert pair.peer.recv(1) == b""


async def test_a_closed_tls_connection_ends_without(pair: Pair) -> None:
    """The positive control."""
    pair.connection.close()
    with pytest.raises(ssl.SSLEOFError):
        pair.peer.recv(1)


@pytest.mark.parametrize("end", ["close_notify", "broken record"])
async def test_an_end_that_comes_with_data_is_told_after_it(pair: Pair, end: str) -> None:
    pair.peer.sendall(b"the last word")
    if end == "close_notify":
        pair.close_notify()
    else:
        socket.socket.send(pair.peer, b"\x17\x03\x03\0\x20" + bytes(32))
    heard: asyncio.Queue[bytes | OSError] = asyncio.Queue()

    def readable() -> None:
        try:
            count = pair.connection.receive(SCRATCH)
        except BlockingIOError:
            return
        except OSError as error:
            pair.connection.pause_reading()
            heard.put_nowait(error)
            return
        heard.put_nowait(bytes(SCRATCH[:count]))
        if not count:
            pair.connection.pause_reading()

    pair.connection.read_with(readable)
    assert await asyncio.wait_for(heard.get(), 10) == b"the last word"
    # The peer has not closed its socket: only TLS tells of the end.
    last = await asyncio.wait_for(heard.get(), 10)
    assert last == b"" if end == "close_notify" else isinstance(last, ssl.SSLError)


async def test_nothing_is_taken_for_plain_text_after_close_notify(pair: Pair) -> None:
    pair.close_notify()
    pair.connection.end()
    socket.socket.send(pair.peer, b"in the clear")
    assert pair.connection.receive(SCRATCH) == 0


async def test_a_lingering_close_discards_what_a_tls_peer_still_sends(pair: Pair) -> None:
    gone = asyncio.Event()
    pair.peer.sendall(bytes(100_000))
    pair.connection.send(raw.ABORT)
    linger_close(pair.connection, SCRATCH, 60, gone.set)
    await asyncio.get_running_loop().run_in_executor(None, pair.peer.sendall, bytes(1_000_000))
    assert not gone.is_set(), "a close now would be a RST"
    assert pair.peer.recv(99) == raw.ABORT
    assert pair.peer.recv(99) == b""
    pair.peer.close()
    await asyncio.wait_for(gone.wait(), 10)


class Flood:
    """A client of TLS 1.3 that makes its records by hand, from the last secret of a file (RFC 8446 5.2, 7.1 to 7.3)."""

    def __init__(self, secrets: Path) -> None:
        known = dict(line.split(None, 1) for line in secrets.read_text().splitlines())
        self._secret = bytes.fromhex(known["CLIENT_TRAFFIC_SECRET_0"].split()[1])
        self._renew()

    def _renew(self) -> None:
        self._key, self._iv = AESGCM(self._expand(b"key", 32)), self._expand(b"iv", 12)
        self._number = 0

    def _expand(self, label: bytes, length: int) -> bytes:
        label = b"tls13 " + label
        info = pack(">HB", length, len(label)) + label + b"\0"
        return HKDFExpand(SHA384(), length, info).derive(self._secret)

    def record(self, kind: int, content: bytes) -> bytes:
        inner = content + bytes((kind,))
        header = pack(">BHH", 23, 0x0303, len(inner) + 16)
        nonce = bytes(a ^ b for a, b in zip(self._iv, self._number.to_bytes(12), strict=True))
        self._number += 1
        return header + self._key.encrypt(nonce, inner, header)

    def data(self, content: bytes) -> bytes:
        return self.record(23, content)

    def key_update(self, requested: int = 0) -> bytes:
        record = self.record(22, bytes((24, 0, 0, 1, requested)))
        self._secret = self._expand(b"traffic upd", 48)
        self._renew()
        return record


MANY = 3000


def flood(kind: str, peer: Flood) -> bytes:
    if kind == "bulk":
        return b"".join(peer.data(bytes(MANY)) for _ in range(15)) + peer.data(b"!")
    if kind == "key updates":
        return b"".join(peer.key_update() for _ in range(MANY)) + peer.data(b"!")
    return b"".join(peer.data(b"x") for _ in range(MANY)) + peer.data(b"!")


@pytest.mark.parametrize(
    ("kind", "turns"), [("bulk", 1), ("bytes, each in a record", MANY // 128), ("key updates", MANY)]
)
async def test_what_a_peer_sends_in_one_piece_is_read_in_many_turns_of_the_loop(
    pair: Pair, secrets: Path, kind: str, turns: int
) -> None:
    peer = Flood(secrets)
    received, calls, over = bytearray(), 0, asyncio.Event()

    def readable() -> None:
        nonlocal calls
        calls += 1
        with suppress(BlockingIOError):
            received.extend(SCRATCH[: pair.connection.receive(SCRATCH)])
        if received.endswith(b"!"):
            over.set()

    between = 0

    def others() -> None:
        nonlocal between
        between += 1
        if not over.is_set():
            asyncio.get_running_loop().call_soon(others)

    data = flood(kind, peer)
    await asyncio.get_running_loop().run_in_executor(None, socket.socket.sendall, pair.peer, data)
    pair.connection.read_with(readable)
    others()
    await asyncio.wait_for(over.wait(), 60)
    assert len(received) == {"bulk": 15 * MANY + 1, "key updates": 1}.get(kind, MANY + 1)
    assert turns <= calls <= turns + 9
    assert between >= calls - 1, "others had their turn after each"


async def test_answers_that_the_peer_does_not_read_stop_the_reading_until_it_does(pair: Pair, secrets: Path) -> None:
    peer = Flood(secrets)
    loop, stream = asyncio.get_running_loop(), pair.connection.stream
    assert isinstance(stream, TlsStream)
    stalled, heard = 0, asyncio.Event()

    def readable() -> None:
        nonlocal stalled
        try:
            if pair.connection.receive(SCRATCH):
                heard.set()
        except WantsToWrite:
            stalled += 1
        except BlockingIOError:
            return

    stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    theirs = socket.socket(fileno=os.dup(pair.peer.fileno()))
    theirs.setblocking(False)
    data = b"".join(peer.key_update(1) for _ in range(10_000)) + peer.data(b"!")
    sending = asyncio.ensure_future(loop.sock_sendall(theirs, data))
    pair.connection.read_with(readable)
    async with asyncio.timeout(60):
        while not stalled:
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        assert stalled == 1, "the socket stays readable: a call at each turn of the loop"
        assert len(stream._owed) < 70_000
        while not heard.is_set():
            with suppress(BlockingIOError):
                theirs.recv(65_536)
            await asyncio.sleep(0)
    await sending
    theirs.close()
