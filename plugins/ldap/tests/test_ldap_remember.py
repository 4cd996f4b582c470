"""`remember`: a right passcode is not asked about again for so long. tests/kit/test_verified.py has more about it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from dicomgate import Accept, ConfigError, Reject
from dicomgate.kit.equal_time import MeasuredFloor
from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate_ldap import Ldap
from plugins.ldap.tests.conftest import login
from plugins.ldap.tests.standin import BIND, Asked, StandIn, bound, found

pytestmark = pytest.mark.anyio
BASE = "dc=hospital,dc=example"


class Accounts(StandIn):
    """A directory that knows one passcode for everybody; `asked_about` are the binds of users that it was asked for."""

    def __init__(self) -> None:
        self.right = ALICE.decode()
        self.asked_about = 0
        super().__init__(self.answer_to)

    def answer_to(self, asked: Asked) -> list[bytes]:
        if asked.what != BIND:
            return found((f"uid=alice,{BASE}", {"uid": ["alice"]}))
        self.asked_about += asked.name.startswith("uid=")
        return bound(0 if asked.passcode in ("", self.right) else 49)


@asynccontextmanager
async def entered(server: StandIn, **keys: Any) -> AsyncIterator[Ldap]:
    ldap = Ldap(servers=[server.url], base=BASE, cleartext=True, deadline=timedelta(seconds=20), **keys)
    ldap._floor = MeasuredFloor(most=0.0)
    async with ldap:
        yield ldap


@pytest.mark.parametrize(("remember", "asked"), [(timedelta(0), 3), (timedelta(minutes=5), 1)])
async def test_a_right_passcode_is_asked_about_again_unless_it_is_remembered(remember: timedelta, asked: int) -> None:
    with Accounts() as server:
        async with entered(server, remember=remember) as ldap:
            answers = [await ldap.authenticate(login()) for _ in range(3)]
            assert answers == [Accept("alice", attributes={"dn": f"uid=alice,{BASE}"})] * 3
            assert server.asked_about == asked


async def test_a_wrong_passcode_is_always_asked_about() -> None:
    with Accounts() as server:
        async with entered(server, remember=timedelta(minutes=5)) as ldap:
            assert isinstance(await ldap.authenticate(login()), Accept)
            for _ in range(3):
                assert await ldap.authenticate(login(secret=WRONG)) == Reject("wrong passcode")
            assert server.asked_about == 4
            server.right = WRONG.decode()
            assert isinstance(await ldap.authenticate(login(secret=WRONG)), Accept), "it is right from now on"


async def test_the_time_counts_from_the_answer_and_not_from_the_last_use() -> None:
    with Accounts() as server:
        async with entered(server, remember=timedelta(seconds=0.5)) as ldap:
            assert isinstance(await ldap.authenticate(login()), Accept)
            server.right = "another"
            for _ in range(200):
                if isinstance(await ldap.authenticate(login()), Reject):
                    break
                await asyncio.sleep(0.05)
            else:
                pytest.fail("it was remembered for ever")
            assert server.asked_about == 2


async def test_it_is_forgotten_with_a_reload_and_no_other_authenticator_knows_it() -> None:
    with Accounts() as server, Accounts() as elsewhere:
        elsewhere.right = "another"
        async with entered(server, remember=timedelta(minutes=5)) as ldap:
            async with entered(elsewhere, remember=timedelta(minutes=5)) as other:
                assert isinstance(await ldap.authenticate(login()), Accept)
                assert isinstance(await other.authenticate(login()), Reject)
            server.right = "another"
            assert isinstance(await ldap.authenticate(login()), Accept), "the control: it is remembered"
            await ldap.__aexit__()
            async with ldap:
                assert isinstance(await ldap.authenticate(login()), Reject)


@pytest.mark.parametrize("remember", [timedelta(seconds=-1), timedelta(days=1, seconds=1)])
def test_no_time_is_less_than_none_or_more_than_a_day(remember: timedelta) -> None:
    Ldap(servers=["ldaps://a"], base=BASE, remember=timedelta(days=1))
    with pytest.raises(ConfigError, match="remember"):
        Ldap(servers=["ldaps://a"], base=BASE, remember=remember)
