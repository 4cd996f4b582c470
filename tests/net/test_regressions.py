"""The end of a relayed association, as it was once wrong."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from dicomgate.association.pdv_stream import PdvStream
from dicomgate.events.events import Cause
from dicomgate.net.connection import Connection
from dicomgate.net.relay import Direction, Relay
from tests.properties import raw

pytestmark = pytest.mark.anyio
DATA = raw.p_data(raw.pdv(1, b"0123456789"))


class Relayed:
    """A relay between two socket pairs; `ended` has the cause and the bytes of the client of each end that it told."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.ended: list[tuple[Cause, int]] = []
        (self.client, client), (self.upstream, upstream) = socket.socketpair(), socket.socketpair()
        for one in (self.client, client, self.upstream, upstream):
            one.setblocking(False)
        self.connections = Connection(self._loop, client), Connection(self._loop, upstream)
        streams = PdvStream({1}, 0), PdvStream({1}, 0)
        buffer = bytearray(65_536)
        self.relay = Relay(self._loop, buffer, *self.connections, streams, 60, self._ended, lambda: None)
        self.relay.start(b"")

    def _ended(self, cause: Cause, _: str, from_client: Direction, __: Direction) -> None:
        self.ended.append((cause, from_client.bytes))

    async def send(self, peer: socket.socket, data: bytes) -> None:
        await self._loop.sock_sendall(peer, data)

    async def receive(self, peer: socket.socket) -> bytes:
        return await self._loop.sock_recv(peer, 99)


@pytest.fixture
async def relayed() -> AsyncIterator[Relayed]:
    relayed = Relayed()
    yield relayed
    for one in (relayed.client, relayed.upstream, *relayed.connections):
        one.close()


@pytest.mark.parametrize("last", ["stop", "abort", "violation"])
async def test_an_association_that_was_released_stays_released(last: str, relayed: Relayed) -> None:
    await relayed.send(relayed.client, raw.RELEASE_RQ)
    assert await relayed.receive(relayed.upstream) == raw.RELEASE_RQ
    await relayed.send(relayed.upstream, raw.RELEASE_RP)
    assert await relayed.receive(relayed.client) == raw.RELEASE_RP
    if last == "stop":
        relayed.relay.abort(Cause.DRAINED)
    else:
        await relayed.send(relayed.client, raw.ABORT if last == "abort" else DATA)
        assert (await relayed.receive(relayed.upstream))[0] == 7
    assert [cause for cause, _ in relayed.ended] == [Cause.RELEASED]


async def test_nothing_is_relayed_by_a_call_that_comes_after_the_end(relayed: Relayed) -> None:
    # TLS asks for a call soon, because it holds something; before it comes, the other side ends it all.
    call = relayed.relay.directions[0].source._readable
    await relayed.send(relayed.client, DATA)
    relayed.relay.abort(Cause.IDLE)
    call()
    assert relayed.ended == [(Cause.IDLE, 0)]
    assert relayed.relay.directions[0].bytes == 0
