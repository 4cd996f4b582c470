"""What was broken once at the end of a relayed association."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from dicomgate.association.pdv_stream import PdvStream
from dicomgate.events.events import Cause
from dicomgate.net.connection import Connection
from dicomgate.net.relay import Direction, Relay
from tests.properties import raw

DATA = raw.p_data(raw.pdv(1, b"0123456789"))


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
            for pair, leg in zip(pairs, legs, strict=True):
                pair[0].close()
                leg.close()
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
