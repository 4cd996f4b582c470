"""The relay on socket pairs: what one side sends, what the other sees, and the one record at the end.

Which input leads to which effects is tests/association/test_established.py, without sockets.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from dicomgate.association import established
from dicomgate.association.message_stream import MessageStream
from dicomgate.association.pdv_stream import PdvStream
from dicomgate.events.events import Cause
from dicomgate.net import relay as relay_module
from dicomgate.net.connection import SMALL, Connection, Stream
from dicomgate.net.deadlines import Deadlines
from dicomgate.net.direction import Direction
from dicomgate.net.relay import Relay
from dicomgate.testing import raw
from dicomgate.wire.reject_abort import INVALID_PARAMETER, Abort
from tests.association.conversation import message

pytestmark = pytest.mark.anyio
BUFFER = 65_536
DATA = raw.p_data(raw.pdv(1, b"0123456789"))
BAD = raw.p_data(raw.pdv(5, b"on a context that was not accepted"))


@dataclass
class Relayed:
    """An association under test: the two peers' sockets, the relay between them, and what it told."""

    client: socket.socket
    upstream: socket.socket
    connections: tuple[Connection, Connection]
    relay: Relay = field(init=False)
    ended: list[tuple[Cause, str, int, int]] = field(default_factory=list)
    gone: list[bool] = field(default_factory=list)

    def start(
        self, *, idle: float = 60, keepalive: float = 0, early: bytes = b"", buffer: int = BUFFER,
        streams: tuple[PdvStream, PdvStream] | None = None,
    ) -> None:  # fmt: skip
        def ended(cause: Cause, detail: str, from_client: Direction, from_upstream: Direction) -> None:
            self.ended.append((cause, detail, from_client.bytes, from_upstream.bytes))

        loop, streams = asyncio.get_running_loop(), streams or (PdvStream({1, 3}, 0), PdvStream({1, 3}, 0))
        gone = partial(self.gone.append, True)
        self.relay = Relay(Deadlines(loop), bytearray(buffer), *self.connections, streams, idle, keepalive, ended, gone)
        self.relay.start(early)

    def peers(self, from_client: bool) -> tuple[socket.socket, socket.socket]:
        """Who sends and who receives."""
        return (self.client, self.upstream) if from_client else (self.upstream, self.client)

    async def over(self) -> tuple[Cause, str, int, int]:
        """Wait until both connections are closed; the single end."""
        self.client.close()
        self.upstream.close()
        return await self.closed()

    async def closed(self) -> tuple[Cause, str, int, int]:
        """The same, while the peers keep theirs open."""
        async with asyncio.timeout(10):
            while len(self.gone) < 2:
                await asyncio.sleep(0.001)
        assert all(connection.closed for connection in self.connections)
        (end,) = self.ended
        return end


async def read(peer: socket.socket, count: int = 1 << 30) -> bytes:
    """So many bytes, or all up to the end."""
    loop, data = asyncio.get_running_loop(), bytearray()
    while len(data) < count:
        # Python allocates at once what may come.
        piece = await asyncio.wait_for(loop.sock_recv(peer, min(count - len(data), BUFFER)), 10)
        if not piece:
            break
        data += piece
    return bytes(data)


async def send(peer: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(peer, data)


@pytest.fixture
async def it() -> AsyncIterator[Relayed]:
    """A relay that has not begun."""
    pairs = [socket.socketpair() for _ in range(2)]
    for one in (*pairs[0], *pairs[1]):
        one.setblocking(False)
    first, second = (Connection(asyncio.get_running_loop(), ours) for _, ours in pairs)
    made = Relayed(pairs[0][0], pairs[1][0], (first, second))
    yield made
    await made.over()


async def test_both_directions_until_the_release(it: Relayed) -> None:
    it.start()
    await send(it.client, DATA * 3)
    assert await read(it.upstream, 3 * len(DATA)) == DATA * 3
    await send(it.upstream, DATA)
    assert await read(it.client, len(DATA)) == DATA
    await send(it.client, raw.RELEASE_RQ)
    assert await read(it.upstream, 10) == raw.RELEASE_RQ
    await send(it.upstream, raw.RELEASE_RP)
    assert await read(it.client, 10) == raw.RELEASE_RP
    it.client.close()
    assert await read(it.upstream) == b""
    assert await it.over() == (Cause.RELEASED, "", 3 * len(DATA) + 10, len(DATA) + 10)
    assert [direction.pdvs.pdus for direction in it.relay.directions] == [4, 2]


class Watched(socket.socket):
    """A socket that tells what is read from it and sent on it."""

    def __init__(self, stream: Stream, name: str, tell: Callable[[str, int], None]) -> None:
        assert isinstance(stream, socket.socket)
        super().__init__(fileno=stream.detach())
        self._told = partial(tell, name)

    def recv_into(self, *arguments: Any) -> int:
        count = super().recv_into(*arguments)
        self._told(count)
        return count

    def send(self, *arguments: Any) -> int:
        count = super().send(*arguments)
        self._told(count)
        return count


async def test_what_came_is_sent_on_in_the_same_turn_of_the_loop(it: Relayed) -> None:
    """Nothing comes between the arrival of an answer and its way to the client."""
    loop, turns, moved = asyncio.get_running_loop(), 0, []

    def count_turns() -> None:
        nonlocal turns
        turns += 1
        if not it.ended:
            loop.call_soon(count_turns)  # which is in the next turn

    for name, one in zip(("client", "upstream"), it.connections, strict=True):
        one.stream = Watched(one.stream, name, lambda name, count: moved.append((name, count, turns)))
    count_turns()
    it.start()
    for from_client, names in ((True, ("client", "upstream")), (False, ("upstream", "client"))):
        sender, receiver = it.peers(from_client)
        for count in (len(DATA), 3 * len(DATA)):
            moved.clear()
            await send(sender, (DATA * 3)[:count])
            await read(receiver, count)
            turn = moved[0][2]
            assert moved == [(name, count, turn) for name in names]


async def test_who_may_wait_for_an_acknowledgement_has_it_at_once(it: Relayed, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Connection] = []
    monkeypatch.setattr(Connection, "acknowledge", lambda connection: told.append(connection))
    it.start()
    response = raw.p_data(raw.pdv(1, bytes.fromhex("0000 0008 02000000 0101"), 3))
    great = raw.p_data(raw.pdv(1, bytes(SMALL), 0))
    pieces = [(response, 0), (response[:12], 1), (response[12:], 1), (DATA, 2), (great, 3), (great[:-1], 3)]
    for piece, expected in (*pieces, (great[-1:] + response + b"\4", 4)):
        await send(it.upstream, piece)
        passed = piece.removesuffix(b"\4")
        assert await read(it.client, len(passed)) == passed
        assert told == [it.connections[1]] * expected


async def test_what_came_after_the_answer_goes_on(it: Relayed) -> None:
    it.start(early=DATA)
    assert await read(it.client, len(DATA)) == DATA
    it.upstream.close()
    assert await read(it.client) == b""
    assert (await it.over())[0] is Cause.UPSTREAM_GONE


@pytest.mark.parametrize("send_buffer", [None, 4096])
async def test_megabytes_in_odd_pieces_both_ways(it: Relayed, send_buffer: int | None) -> None:
    chance = random.Random(7)
    streams = [
        b"".join(
            raw.p_data(*(raw.pdv(1, chance.randbytes(2 * chance.randrange(1, 9000))) for _ in range(count)))
            for count in chance.choices((1, 2, 3), k=300)
        )
        for _ in range(2)
    ]
    if send_buffer:
        for one in (it.client, it.upstream, *(connection.stream for connection in it.connections)):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)

    async def pour(peer: socket.socket, stream: bytes) -> None:
        position = 0
        while position < len(stream):
            size = chance.choice((1, 5, 11, 12, 13, 1000, 70_000))
            await send(peer, stream[position : position + size])
            position += size

    it.start()
    _, _, *results = await asyncio.gather(
        pour(it.client, streams[0]), pour(it.upstream, streams[1]),
        read(it.upstream, len(streams[0])), read(it.client, len(streams[1])),
    )  # fmt: skip
    for sent, received in zip(streams, results, strict=True):
        assert hashlib.sha256(received or b"").digest() == hashlib.sha256(sent).digest()
    assert (await it.over())[2:] == (len(streams[0]), len(streams[1]))


@pytest.mark.parametrize("pdu", [raw.p_data(raw.pdv(1, bytes(size))) for size in (0, 6994)])
async def test_others_have_their_turn_between_portions_of_tiny_pdus(it: Relayed, pdu: bytes) -> None:
    data, turns = pdu * (63_000 // len(pdu)) + raw.RELEASE_RQ, 0

    def others() -> None:
        nonlocal turns
        turns += 1
        if it.relay.directions[0].bytes < len(data):
            loop.call_soon(others)

    loop = asyncio.get_running_loop()
    it.start()
    assert it.client.send(data) == len(data)
    loop.call_soon(others)
    assert await read(it.upstream, len(data)) == data
    # 5,250 PDUs of 12 bytes are read at once, and looked at in eleven turns; nine of 7,006 bytes in one.
    assert turns > 10 if len(pdu) == 12 else turns <= 4
    await send(it.upstream, raw.RELEASE_RP)
    assert await read(it.client, 10) == raw.RELEASE_RP
    assert (await it.over())[0] is Cause.RELEASED
    assert it.relay.directions[0].pdvs.pdus == len(data) // len(pdu) + 1


@pytest.mark.parametrize("from_client", [True, False])
async def test_an_abort_is_passed_on_and_ends_it(it: Relayed, from_client: bool) -> None:
    it.start()
    sender, receiver = it.peers(from_client)
    await send(sender, DATA + raw.ABORT + b"whatever follows")
    assert await read(receiver) == DATA + raw.ABORT
    receiver.close()
    assert await read(sender) == b""
    cause, detail, *_ = await it.over()
    assert cause is (Cause.ABORTED_BY_CLIENT if from_client else Cause.ABORTED_BY_UPSTREAM)
    assert detail == str(Abort(2, 6))


@pytest.mark.parametrize("from_client", [True, False])
async def test_a_violation_is_an_abort_to_both_and_passes_nothing(it: Relayed, from_client: bool) -> None:
    it.start()
    sender, receiver = it.peers(from_client)
    await send(sender, DATA + BAD)
    assert await read(receiver) == DATA + INVALID_PARAMETER.encode()
    receiver.close()
    assert await read(sender) == INVALID_PARAMETER.encode()
    cause, detail, *_ = await it.over()
    assert cause is (Cause.CLIENT_VIOLATION if from_client else Cause.UPSTREAM_VIOLATION)
    assert detail


async def test_a_violation_in_the_middle_of_a_pdu_breaks_the_connection_that_got_its_beginning(it: Relayed) -> None:
    it.start()
    pdu = raw.p_data(raw.pdv(1, b"1234"), raw.pdv(5, b"5678"))
    await send(it.client, pdu[:18])
    assert await read(it.upstream, 16) == pdu[:16]
    await send(it.client, pdu[18:])
    assert await read(it.upstream) in (b"", b"\0\0")
    it.upstream.close()
    assert await read(it.client) == INVALID_PARAMETER.encode()
    assert (await it.over())[0] is Cause.CLIENT_VIOLATION


@pytest.mark.parametrize("last", ["stop", "abort", "violation"])
async def test_an_association_that_was_released_stays_released(it: Relayed, last: str) -> None:
    it.start()
    await send(it.client, raw.RELEASE_RQ)
    assert await read(it.upstream, 10) == raw.RELEASE_RQ
    await send(it.upstream, raw.RELEASE_RP)
    assert await read(it.client, 10) == raw.RELEASE_RP
    if last == "stop":
        it.relay.abort(Cause.DRAINED)
    else:
        await send(it.client, raw.ABORT if last == "abort" else DATA)
        assert (await read(it.upstream, 10))[0] == 7
    assert (await it.over())[0] is Cause.RELEASED


async def test_nothing_is_relayed_by_a_call_that_comes_after_the_end(it: Relayed) -> None:
    it.start()
    # TLS asks for a call soon, because it holds something; before it comes, the other side ends it all.
    call = it.connections[0]._readable
    await send(it.client, DATA)
    it.relay.abort(Cause.IDLE)
    call()
    assert it.relay.directions[0].bytes == 0
    assert await it.over() == (Cause.IDLE, "", 0, 0)


async def test_a_half_close_is_passed_on_and_the_other_direction_goes_on(it: Relayed) -> None:
    it.start()
    await send(it.client, DATA)
    it.client.shutdown(socket.SHUT_WR)
    assert await read(it.upstream) == DATA
    await send(it.upstream, DATA * 1000)
    assert await read(it.client, 1000 * len(DATA)) == DATA * 1000
    it.upstream.close()
    assert await read(it.client) == b""
    assert await it.over() == (Cause.CLIENT_GONE, "without a release", len(DATA), 1000 * len(DATA))


async def test_a_header_that_never_ends_is_never_passed_on(it: Relayed) -> None:
    it.start()
    await send(it.client, DATA + DATA[:11])
    it.client.close()
    assert await read(it.upstream) == DATA
    assert (await it.over())[0] is Cause.CLIENT_GONE


@pytest.mark.parametrize("from_client", [True, False])
async def test_silence_is_an_abort_to_both(it: Relayed, from_client: bool) -> None:
    it.start(idle=0.1)
    sender, receiver = it.peers(from_client)
    await send(sender, DATA)
    assert await read(sender) == Abort(2, 0).encode()
    assert await read(receiver) == DATA + Abort(2, 0).encode()
    assert (await it.over())[:2] == (Cause.IDLE, "nothing was sent for 0.1 s")


async def test_activity_puts_the_idle_timeout_off(it: Relayed) -> None:
    it.start(idle=0.5)
    for _ in range(14):
        await send(it.client, DATA)
        await asyncio.sleep(0.05)
    assert it.ended == []
    assert (await it.over())[0] is Cause.CLIENT_GONE


async def test_a_reader_that_stalls_stops_its_sender_and_fills_no_memory(it: Relayed) -> None:
    it.start()
    pouring = asyncio.ensure_future(send(it.client, raw.p_data(raw.pdv(1, bytes(9990))) * 3000))
    await asyncio.sleep(0.2)
    assert not pouring.done()
    assert len(it.connections[1].unsent) <= BUFFER
    reading = asyncio.ensure_future(read(it.upstream))
    await asyncio.wait_for(pouring, 20)
    it.client.close()
    assert len(await reading) == 3000 * 10_002


ANSWER = raw.p_data(raw.pdv(1, bytes(1000), 3))
REFUSED, GRANTED = message(2, data=None), message(3, data=bytes(60_000))


class Refusing(MessageStream):
    """What has no data set is refused."""

    def __init__(self) -> None:
        super().__init__({1}, 0, lambda _context, command: None if message(3)[12:].startswith(command) else ANSWER)


async def settled(stream: PdvStream) -> None:
    """Wait until nothing more is read."""
    seen = -1
    while seen != (seen := stream.pdus):
        await asyncio.sleep(0.2)


@pytest.mark.parametrize("unfinished", [False, True])
async def test_a_client_that_is_refused_and_reads_nothing_stops_and_fills_no_memory(
    it: Relayed, unfinished: bool
) -> None:
    """The same if it reads, and its answers wait for the end of a message of the PACS."""
    many, streams = 20_000, (Refusing(), MessageStream({1}, 0))
    it.start(streams=streams)
    first, rest = message(1, data=bytes(100))[:-8], bytes(8)
    if unfinished:
        await send(it.upstream, first)
        assert await read(it.client, len(first)) == first
    pouring = asyncio.ensure_future(send(it.client, REFUSED * many))
    await settled(streams[0])
    assert streams[0].pdus < many
    assert len(it.connections[0].unsent) <= 100 * len(ANSWER)
    if unfinished:
        await send(it.upstream, rest)
        assert await read(it.client, len(rest)) == rest
    assert await read(it.client, many * len(ANSWER)) == ANSWER * many
    await pouring
    await send(it.upstream, REFUSED)
    assert await read(it.client, len(REFUSED)) == REFUSED
    await it.over()


async def test_the_same_if_what_it_sends_between_is_granted(it: Relayed) -> None:
    streams = Refusing(), MessageStream({1}, 0)
    it.upstream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    it.connections[1].stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    it.start(streams=streams)
    taken = asyncio.ensure_future(read(it.upstream))
    pouring = asyncio.ensure_future(send(it.client, (GRANTED + REFUSED * 10) * 500))
    await settled(streams[0])
    assert len(it.connections[0].unsent) <= 100 * len(ANSWER)
    assert await read(it.client, 5000 * len(ANSWER)) == ANSWER * 5000
    await pouring
    it.client.close()
    assert await taken == GRANTED * 500


async def test_a_reader_that_stalls_for_too_long_ends_it(it: Relayed) -> None:
    it.start(idle=0.2)
    pouring = asyncio.ensure_future(send(it.client, raw.p_data(raw.pdv(1, bytes(9990))) * 3000))
    async with asyncio.timeout(10):
        while not it.ended:
            await send(it.upstream, DATA)  # it sends, and does not read
            await asyncio.sleep(0.01)
    pouring.cancel()
    assert it.ended[0][:2] == (Cause.IDLE, "what was sent was not taken by the upstream for 0.2 s")


async def test_a_reader_that_is_slow_but_moves_is_not_idle(it: Relayed) -> None:
    it.connections[1].stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    data = raw.p_data(raw.pdv(1, bytes(9990))) * 30
    it.start(idle=0.5, buffer=1_000_000)
    pouring = asyncio.ensure_future(send(it.client, data))
    received, began = 0, asyncio.get_running_loop().time()
    while received < len(data):  # nothing is read from the client before all that came at once is on its way
        assert it.ended == []
        received += len(await read(it.upstream, min(2000, len(data) - received)))
        await asyncio.sleep(0.01)
    assert asyncio.get_running_loop().time() - began > 3 * 0.5
    await pouring
    assert it.ended == []
    assert (await it.over())[0] is Cause.CLIENT_GONE


async def test_what_is_unsent_at_the_end_goes_to_a_reader_that_moves(
    it: Relayed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after a half-close: the other side may read on, for as long as it does."""
    monkeypatch.setattr(relay_module, "LINGER", 0.3)
    it.connections[0].stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    data = raw.p_data(raw.pdv(1, bytes(9990))) * 8
    it.start()
    it.client.shutdown(socket.SHUT_WR)
    assert await read(it.upstream) == b""
    await send(it.upstream, data)
    it.upstream.close()
    received = b""
    while piece := await read(it.client, 2000):
        received += piece
        await asyncio.sleep(0.02)
    assert received == data
    assert (await it.over())[0] is Cause.CLIENT_GONE


@pytest.mark.parametrize("from_client", [True, False])
async def test_a_client_that_closes_after_its_release_request_has_released(it: Relayed, from_client: bool) -> None:
    it.start()
    await send(it.client, raw.RELEASE_RQ)
    assert await read(it.upstream, 10) == raw.RELEASE_RQ
    first, last = it.peers(from_client)
    first.close()
    with suppress(BrokenPipeError):
        await send(last, raw.RELEASE_RP if from_client else raw.ABORT)
    last.close()
    assert (await it.closed())[0] is Cause.RELEASED


async def test_the_gateway_ends_it(it: Relayed) -> None:
    it.start()
    it.relay.abort(Cause.DRAINED)
    it.relay.abort(Cause.DEFECT)
    assert await read(it.client) == await read(it.upstream) == Abort(2, 0).encode()
    assert await it.over() == (Cause.DRAINED, "", 0, 0)


@pytest.mark.parametrize("released", [True, False])
async def test_a_peer_that_never_closes_is_closed(it: Relayed, released: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "LINGER", 0.05)
    monkeypatch.setattr(established, "LINGER", 0.05)
    it.start(idle=60 if released else 0.1)
    if released:
        await send(it.client, raw.RELEASE_RQ)
        await read(it.upstream, 10)
        await send(it.upstream, raw.RELEASE_RP)
    else:
        it.client.shutdown(socket.SHUT_WR)
    assert (await it.closed())[0] is (Cause.RELEASED if released else Cause.CLIENT_GONE)


async def test_a_defect_ends_this_association_and_is_logged(
    it: Relayed, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defective(*_: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(PdvStream, "walk", defective)
    it.start()
    await send(it.client, DATA)
    assert await read(it.upstream) == Abort(2, 0).encode()
    assert await it.over() == (Cause.DEFECT, "see the log", 0, 0)
    assert "a defect of the gateway" in caplog.text
