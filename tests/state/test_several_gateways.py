"""Gateways on one Redis: right logins of one account do not lock each other out, and guesses gain nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from dicomgate import Reject, Unavailable
from dicomgate.auth.chain import Verdict
from dicomgate.state.protocol import Backoff, Grant, Limits
from dicomgate.state.redis import RedisState
from dicomgate.state.sqlite import SqliteState
from dicomgate.testing.peers.redis import RedisServer
from tests.protection.test_guard import SETTINGS, Desk, accepted

pytestmark = pytest.mark.anyio
LIMITS = Limits(deadline=20)


@pytest.fixture
async def desks(redis_server: RedisServer, anyio_backend: str) -> AsyncIterator[list[Desk]]:
    states = [RedisState(redis_server.url, LIMITS) for _ in range(3)]
    desks = [Desk(state) for state in states]
    for desk in desks:
        desk.chain.patience = 60
    yield desks
    for desk, state in zip(desks, states, strict=True):
        await desk.guard.flush()
        await state.close()


async def log_in_everywhere(desks: list[Desk], secret: str) -> list[Verdict]:
    """At each gateway from four devices at once, whose verification takes a while."""
    logins = []
    for desk in desks:
        desk.directory.slow.clear()
        asyncio.get_running_loop().call_later(0.2, desk.directory.slow.set)
        logins += [
            desk.log_in(f"{secret}{number}" if "guess" in secret else secret, address=f"192.0.2.{number}")
            for number in range(4)
        ]
    return list(await asyncio.gather(*logins))


async def test_right_logins_of_one_account_wait_for_those_at_other_gateways(desks: list[Desk]) -> None:
    verdicts = await log_in_everywhere(desks, "correct horse")
    assert accepted(verdicts) == 12, [str(verdict.decision) for verdict in verdicts]


async def test_guesses_at_all_of_them_are_verified_as_often_as_at_one(desks: list[Desk]) -> None:
    verdicts = await asyncio.wait_for(log_in_everywhere(desks, "guess"), 20)
    assert sum(desk.directory.asked for desk in desks) == SETTINGS.free
    assert all(isinstance(verdict.decision, Reject) for verdict in verdicts)
    refused = await asyncio.wait_for(desks[0].log_in(), 5)
    assert isinstance(refused.decision, Reject), "nobody is being verified, so that there is nothing to wait for"


async def test_what_a_gateway_has_begun_and_never_ended_holds_others_up_for_a_while_alone(
    desks: list[Desk], redis_server: RedisServer
) -> None:
    killed = RedisState(redis_server.url, Limits(deadline=20, under_way=1.0))
    for _ in range(SETTINGS.free):
        await killed.take("alice@192.0.2.9", (), [Backoff("account:alice", SETTINGS.free, 600.0, 600.0)])
    await killed.close()
    desks[0].chain.patience = 0.1
    assert isinstance((await desks[0].log_in()).decision, Unavailable), "it comes again"
    assert isinstance((await asyncio.wait_for(desks[1].log_in(), 20)).decision, Reject)


class Busy(SqliteState):
    """One attempt of another gateway never ends, and no other has its turn."""

    asked = 0

    async def take(self, subject: str, known: Sequence[Backoff], unknown: Sequence[Backoff]) -> Grant:
        self.asked += 1
        return Grant(False, "account:alice", 600.0, 1)


async def test_who_waits_for_another_gateway_asks_ever_less_often() -> None:
    desk = Desk(state := Busy())
    desk.chain.patience = 1.0
    assert isinstance((await desk.log_in()).decision, Unavailable)
    assert 1 < state.asked <= 8
    await state.close()
