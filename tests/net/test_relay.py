"""The relay on socket pairs: what one side sends, what the other sees, and the one record at the end."""

from __future__ import annotations

import asyncio
import hashlib
import random
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from dicomgate.association.pdv_stream import PdvStream
from dicomgate.events.events import Cause
from dicomgate.net import relay as relay_module
from dicomgate.net.connection import Connection
from dicomgate.net.relay import Direction, Relay
from dicomgate.wire.reject_abort import Abort

RELEASE_RQ = bytes.fromhex("05000000000400000000")
RELEASE_RP = b"\6" + RELEASE_RQ[1:]
ABORT = Abort(0, 0).encode()
BUFFER = 65_536


def pdv(fragment: bytes, context: int = 1) -> bytes:
    return struct.pack(">LBB", len(fragment) + 2, context, 0) + fragment


def p_data(*pdvs: bytes) -> bytes:
    body = b"".join(pdvs)
    return struct.pack(">BxL", 4, len(body)) + body


DATA = p_data(pdv(b"0123456789"))


@dataclass
class Table:
    """An association under test: the two peers' sockets, the relay between them, and what it told."""

    client: socket.socket
    upstream: socket.socket
    relay: Relay
    ended: list[tuple[Cause, str, int, int]] = field(default_factory=list)
    gone: int = 0
    legs: tuple[Connection, ...] = ()

    async def read(self, peer: socket.socket, count: int) -> bytes:
        loop, data = asyncio.get_running_loop(), b""
        while len(data) < count:
            piece = await asyncio.wait_for(loop.sock_recv(peer, count - len(data)), 10)
            if not piece:
                break
            data += piece
        return data

    async def read_all(self, peer: socket.socket) -> bytes:
        return await self.read(peer, 1 << 30)

    async def send(self, peer: socket.socket, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(peer, data)

    async def over(self) -> tuple[Cause, str, int, int]:
        """Wait until both connections are closed; the single end."""
        async with asyncio.timeout(10):
            while self.gone < 2:
                await asyncio.sleep(0.001)
        assert len(self.ended) == 1
        assert all(leg.closed for leg in self.legs)
        return self.ended[0]


def run(
    story: Callable[[Table], Awaitable[None]],
    *,
    idle: float = 60,
    greatest: tuple[int, int] = (0, 0),
    early: bytes = b"",
    send_buffer: int | None = None,
) -> Table:
    async def main() -> Table:
        loop = asyncio.get_running_loop()
        pairs = [socket.socketpair() for _ in range(2)]
        for one in (*pairs[0], *pairs[1]):
            one.setblocking(False)
            if send_buffer:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        legs = tuple(Connection(loop, pair[1]) for pair in pairs)
        flows = PdvStream({1, 3}, greatest[0]), PdvStream({1, 3}, greatest[1])

        def ended(cause: Cause, detail: str, up: Direction, down: Direction) -> None:
            table.ended.append((cause, detail, up.bytes, down.bytes))

        def gone() -> None:
            table.gone += 1

        relay = Relay(loop, bytearray(BUFFER), legs[0], legs[1], flows, idle, ended, gone)
        table = Table(pairs[0][0], pairs[1][0], relay, legs=legs)
        relay.start(early)
        try:
            await story(table)
        finally:
            table.client.close()
            table.upstream.close()
        await table.over()
        return table

    return asyncio.run(main())


def test_both_directions_until_the_release() -> None:
    async def story(table: Table) -> None:
        await table.send(table.client, DATA * 3)
        assert await table.read(table.upstream, 3 * len(DATA)) == DATA * 3
        await table.send(table.upstream, DATA)
        assert await table.read(table.client, len(DATA)) == DATA
        await table.send(table.client, RELEASE_RQ)
        assert await table.read(table.upstream, 10) == RELEASE_RQ
        await table.send(table.upstream, RELEASE_RP)
        assert await table.read(table.client, 10) == RELEASE_RP
        table.client.close()
        assert await table.read_all(table.upstream) == b""

    table = run(story)
    assert table.ended == [(Cause.RELEASED, "", 3 * len(DATA) + 10, len(DATA) + 10)]
    assert [direction.pdvs.pdus for direction in table.relay.directions] == [4, 2]


def test_what_came_behind_the_answer_goes_on() -> None:
    async def story(table: Table) -> None:
        assert await table.read(table.client, len(DATA)) == DATA
        table.upstream.close()
        assert await table.read_all(table.client) == b""

    assert run(story, early=DATA).ended[0][0] is Cause.UPSTREAM_GONE


@pytest.mark.parametrize("send_buffer", [None, 4096])
def test_megabytes_in_odd_pieces_both_ways(send_buffer: int | None) -> None:
    chance = random.Random(7)
    streams = []
    for _ in range(2):
        pdus = (p_data(*(pdv(chance.randbytes(2 * chance.randrange(1, 9000))) for _ in range(chance.randrange(1, 4))))
                for _ in range(300))  # fmt: skip
        streams.append(b"".join(pdus))

    async def story(table: Table) -> None:
        async def pour(peer: socket.socket, stream: bytes) -> None:
            position = 0
            while position < len(stream):
                size = chance.choice((1, 5, 11, 12, 13, 1000, 70_000))
                await table.send(peer, stream[position : position + size])
                position += size

        results = await asyncio.gather(
            pour(table.client, streams[0]), pour(table.upstream, streams[1]),
            table.read(table.upstream, len(streams[0])), table.read(table.client, len(streams[1])),
        )  # fmt: skip
        for sent, received in zip(streams, results[2:], strict=True):
            assert hashlib.sha256(received).digest() == hashlib.sha256(sent).digest()

    table = run(story, send_buffer=send_buffer)
    assert table.ended[0][2:] == (len(streams[0]), len(streams[1]))


@pytest.mark.parametrize("from_client", [True, False])
def test_an_abort_is_passed_on_and_ends_it(from_client: bool) -> None:
    async def story(table: Table) -> None:
        sender, receiver = (table.client, table.upstream) if from_client else (table.upstream, table.client)
        await table.send(sender, DATA + ABORT + b"whatever follows")
        assert await table.read_all(receiver) == DATA + ABORT
        receiver.close()
        assert await table.read_all(sender) == b""

    cause, detail, *_ = run(story).ended[0]
    assert cause is (Cause.ABORTED_BY_CLIENT if from_client else Cause.ABORTED_BY_UPSTREAM)
    assert detail == str(Abort(0, 0))


VIOLATIONS = {
    "unknown type": (b"\x2a\0\0\0\0\4\0\0\0\0", Abort(2, 1)),
    "a second request": (b"\1\0\0\0\0\x50" + bytes(80), Abort(2, 2)),
    "an answer": (b"\2\0\0\0\0\x50" + bytes(80), Abort(2, 2)),
    "a PDU over the maximum": (p_data(pdv(bytes(2000))), Abort(2, 6)),
    "4 GiB": (b"\4\0\xff\xff\xff\xff" + bytes(6), Abort(2, 6)),
    "a PDU of zero bytes": (p_data() * 20, Abort(2, 6)),
    "a PDV of zero bytes": (p_data(struct.pack(">L", 0) + bytes(20)), Abort(2, 6)),
    "a PDV of one byte": (p_data(struct.pack(">LB", 1, 1) + bytes(20)), Abort(2, 6)),
    "an odd PDV": (p_data(pdv(b"123")), Abort(2, 6)),
    "a PDV longer than its PDU": (p_data(pdv(b"1234")[:-2] + b""), Abort(2, 6)),
    "bytes left over": (p_data(pdv(b"1234"), b"\0\0"), Abort(2, 6)),
    "a context that was not accepted": (p_data(pdv(b"1234", 5)), Abort(2, 6)),
    "a second PDV on a foreign context": (p_data(pdv(b"1234"), pdv(b"1234", 5)), Abort(2, 6)),
    "a release of five bytes": (b"\5\0\0\0\0\5\0\0\0\0\0", Abort(2, 6)),
    "a release response unasked": (RELEASE_RP, Abort(2, 2)),
    "data behind a release": (RELEASE_RQ + DATA, Abort(2, 2)),
    "a second release": (RELEASE_RQ + RELEASE_RQ, Abort(2, 2)),
}


@pytest.mark.parametrize("from_client", [True, False])
@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_violation_is_an_abort_to_both_and_passes_nothing(name: str, from_client: bool) -> None:
    bad, answer = VIOLATIONS[name]
    lawful = DATA + (RELEASE_RQ if "behind a release" in name or "second release" in name else b"")

    async def story(table: Table) -> None:
        sender, receiver = (table.client, table.upstream) if from_client else (table.upstream, table.client)
        await table.send(sender, DATA + bad)
        assert await table.read_all(receiver) == lawful + answer.encode()
        receiver.close()
        assert await table.read_all(sender) == answer.encode()

    cause, detail, *_ = run(story, greatest=(1024, 1024)).ended[0]
    assert cause is (Cause.CLIENT_VIOLATION if from_client else Cause.UPSTREAM_VIOLATION)
    assert detail


def test_a_violation_in_the_middle_of_a_pdu_breaks_the_connection_that_got_its_beginning() -> None:
    async def story(table: Table) -> None:
        pdu = p_data(pdv(b"1234"), pdv(b"5678", 5))
        first = pdu[:18]
        await table.send(table.client, first)
        assert await table.read(table.upstream, 16) == pdu[:16]
        await table.send(table.client, pdu[18:])
        assert await table.read_all(table.upstream) in (b"", b"\0\0")
        table.upstream.close()
        assert await table.read_all(table.client) == Abort(2, 6).encode()

    assert run(story).ended[0][0] is Cause.CLIENT_VIOLATION


def test_a_collision_of_releases_is_lawful() -> None:
    async def story(table: Table) -> None:
        await table.send(table.client, RELEASE_RQ)
        await table.send(table.upstream, RELEASE_RQ)
        assert await table.read(table.upstream, 10) == RELEASE_RQ
        assert await table.read(table.client, 10) == RELEASE_RQ
        await table.send(table.client, RELEASE_RP)
        assert await table.read(table.upstream, 10) == RELEASE_RP
        await table.send(table.upstream, RELEASE_RP)
        assert await table.read(table.client, 10) == RELEASE_RP

    assert run(story).ended[0][0] is Cause.RELEASED


def test_a_half_close_is_passed_on_and_the_other_direction_goes_on() -> None:
    async def story(table: Table) -> None:
        await table.send(table.client, DATA)
        table.client.shutdown(socket.SHUT_WR)
        assert await table.read_all(table.upstream) == DATA
        await table.send(table.upstream, DATA * 1000)
        assert await table.read(table.client, 1000 * len(DATA)) == DATA * 1000
        table.upstream.close()
        assert await table.read_all(table.client) == b""

    assert run(story).ended == [(Cause.CLIENT_GONE, "without a release", len(DATA), 1000 * len(DATA))]


def test_a_header_that_never_ends_is_never_passed_on() -> None:
    async def story(table: Table) -> None:
        await table.send(table.client, DATA + DATA[:11])
        table.client.close()
        assert await table.read_all(table.upstream) == DATA

    assert run(story).ended[0][0] is Cause.CLIENT_GONE


@pytest.mark.parametrize("from_client", [True, False])
def test_silence_is_an_abort_to_both(from_client: bool) -> None:
    async def story(table: Table) -> None:
        await table.send(table.client if from_client else table.upstream, DATA)
        received = [await table.read_all(peer) for peer in (table.client, table.upstream)]
        expected = [Abort(2, 0).encode(), DATA + Abort(2, 0).encode()]
        assert received == (expected if from_client else expected[::-1])

    assert run(story, idle=0.1).ended[0][0] is Cause.IDLE


def test_activity_puts_the_idle_timeout_off() -> None:
    async def story(table: Table) -> None:
        for _ in range(10):
            await table.send(table.client, DATA)
            await asyncio.sleep(0.05)
        assert table.ended == []

    assert run(story, idle=0.25).ended[0][0] is Cause.CLIENT_GONE


def test_a_reader_that_stalls_stops_its_sender_and_fills_no_memory() -> None:
    async def story(table: Table) -> None:
        loop = asyncio.get_running_loop()
        pouring = asyncio.ensure_future(table.send(table.client, p_data(pdv(bytes(9990))) * 3000))
        await asyncio.sleep(0.2)
        assert not pouring.done()
        assert len(table.legs[1].unsent) <= BUFFER
        reading = asyncio.ensure_future(table.read_all(table.upstream))
        await asyncio.wait_for(pouring, 20)
        assert loop.is_running()
        table.client.close()
        assert len(await reading) == 3000 * 10_002

    run(story)


def test_the_gateway_ends_it() -> None:
    async def story(table: Table) -> None:
        table.relay.abort(Cause.DRAINED)
        table.relay.abort(Cause.DEFECT)
        assert await table.read_all(table.client) == await table.read_all(table.upstream) == Abort(2, 0).encode()

    assert run(story).ended == [(Cause.DRAINED, "", 0, 0)]


@pytest.mark.parametrize("released", [True, False])
def test_a_peer_that_never_closes_is_closed(released: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "LINGER", 0.05)

    async def story(table: Table) -> None:
        if released:
            await table.send(table.client, RELEASE_RQ)
            await table.read(table.upstream, 10)
            await table.send(table.upstream, RELEASE_RP)
        else:
            table.client.shutdown(socket.SHUT_WR)
        await table.over()

    assert run(story).ended[0][0] is (Cause.RELEASED if released else Cause.CLIENT_GONE)
