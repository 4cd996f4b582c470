"""Tokens of a source that prove genuine one after the other are counted ahead; everything else counts as always."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from dicomgate import Accept, Reject
from dicomgate.auth.chain import Chain, Verdict
from dicomgate.auth.link import Link
from dicomgate.contract import Attempt, Decision
from dicomgate.errors import StateUnavailable
from dicomgate.protection import standing
from dicomgate.protection.guard import Guard
from dicomgate.protection.recent_credentials import RecentCredentials
from dicomgate.protection.throttle import Subject, Throttle, ThrottleSettings
from dicomgate.state.sqlite import SqliteState
from dicomgate.testing import attempt, jwt, passcode

pytestmark = pytest.mark.anyio
SETTINGS = ThrottleSettings(free=3, most=6, source_free=8)
HERE = "known:@192.0.2.1"
SUBJECT = Subject("", "192.0.2.1")


class Issuer:
    """Whose tokens begin with "good"; each is another one. `refused`: how many others it was asked about."""

    refused = 0

    async def authenticate(self, attempt: Attempt) -> Decision:
        await asyncio.sleep(0)
        assert attempt.identity is not None
        good = attempt.identity.primary.startswith(b"good") or attempt.identity.secondary.startswith(b"good")
        self.refused += not good
        return Accept("ada") if good else Reject("not signed")


class Counting(SqliteState):
    """A state in memory that counts what it is asked, and answers when `answers` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def _ask(self, *given: Any) -> Any:
        self.asked += 1
        answer = await super()._ask(*given)
        await self.answers.wait()
        return answer


class Gateway:
    def __init__(self, state: SqliteState) -> None:
        self.state = state
        self.issuer = Issuer()
        self.chain = Chain([Link("issuer", self.issuer)])
        self.throttle = Throttle(SETTINGS, state)
        self.guard = Guard(state, self.throttle, RecentCredentials(0.0))
        self._number = 0

    async def ask(self, about: Attempt) -> Verdict:
        reached: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self.guard.begin(self.chain, about, reached.set_result)
        return await asyncio.wait_for(reached, 10)

    async def log_in(self, kind: str = "good") -> bool:
        """Whether a fresh token of this kind is accepted; what is written after the verdict is written then."""
        self._number += 1
        verdict = await self.ask(attempt(jwt(f"{kind} {self._number}"), address="192.0.2.1"))
        while self.guard._writing:
            await asyncio.wait(self.guard._writing)
        return isinstance(verdict.decision, Accept)

    async def counted(self) -> dict[str, int]:
        return {count.key: count.n for count in await self.state.counters()}


@pytest.fixture
async def gateway(anyio_backend: str) -> AsyncIterator[Gateway]:
    """A gateway where a source has logged in twice: once to be known, and once with a charge that stands since then."""
    state = Counting()
    gateway = Gateway(state)
    assert [await gateway.log_in() for _ in range(2)] == [True, True]
    assert await gateway.counted() == {HERE: 1}
    yield gateway
    await gateway.guard.flush()
    await state.close()


async def test_genuine_tokens_ask_the_state_nothing_and_each_was_counted_before(gateway: Gateway) -> None:
    assert isinstance(gateway.state, Counting)
    gateway.state.asked = 0
    assert [await gateway.log_in() for _ in range(20)] == [True] * 20
    assert gateway.state.asked == 0
    assert await gateway.counted() == {HERE: 1}, "and it stays so if the process ends now"
    await gateway.guard.flush()
    assert await gateway.counted() == {}


async def test_a_guess_uses_the_charge_up_and_stays_counted(gateway: Gateway) -> None:
    assert [await gateway.log_in("guess") for _ in range(3)] == [False] * 3
    assert await gateway.counted() == {HERE: 3}, "the first one by the charge that stood"
    await gateway.guard.flush()
    assert await gateway.counted() == {HERE: 3}
    assert await gateway.log_in()
    assert await gateway.counted() == {}, "a genuine login resets, as always"


async def test_no_more_guesses_are_verified_than_the_counter_lets_through(gateway: Gateway) -> None:
    assert not any([await gateway.log_in("guess") for _ in range(8)])
    assert (await gateway.counted(), gateway.issuer.refused) == ({HERE: 8}, 8)
    assert not await gateway.log_in(), "it has to wait as well"
    gateway.guard.forget()
    assert not await gateway.log_in(), "whatever was taken back"


async def test_passcodes_are_counted_at_the_state_each_time(gateway: Gateway) -> None:
    assert isinstance(gateway.state, Counting)
    for number in range(3):
        gateway.state.asked = 0
        about = attempt(passcode("alice", f"good {number}"), address="192.0.2.1")
        assert isinstance((await gateway.ask(about)).decision, Accept)
        assert gateway.state.asked == 2


async def test_of_many_at_once_a_few_charges_stand_and_all_are_counted(gateway: Gateway) -> None:
    assert all(await asyncio.gather(*(gateway.log_in() for _ in range(6))))
    assert await gateway.counted() == {HERE: 2}
    assert not any([await gateway.log_in("guess") for _ in range(12)])
    assert (await gateway.counted(), gateway.issuer.refused) == ({HERE: 8}, 8), "no charge stands that is not counted"


async def test_a_reload_takes_back_all_that_stand(gateway: Gateway) -> None:
    assert all(await asyncio.gather(*(gateway.log_in() for _ in range(6))))
    gateway.guard.forget()
    await gateway.guard.flush()
    assert await gateway.counted() == {}


async def test_many_that_come_at_once_for_the_first_time_leave_nothing_counted(anyio_backend: str) -> None:
    gateway = Gateway(SqliteState())
    assert all(await asyncio.gather(*(gateway.log_in() for _ in range(6))))
    await gateway.guard.flush()
    assert await gateway.counted() == {}
    await gateway.state.close()


async def test_a_period_ends(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "SECONDS", 0.2)
    gateway.guard.forget()
    assert await gateway.log_in("guess") is False
    assert [await gateway.log_in() for _ in range(3)] == [True] * 3
    async with asyncio.timeout(20):
        while await gateway.counted():
            await asyncio.sleep(0.02)
    assert await gateway.log_in()


async def test_two_gateways_at_one_state(gateway: Gateway) -> None:
    other = Gateway(gateway.state)
    assert [await other.log_in() for _ in range(2)] == [True, True]
    assert not any([await gateway.log_in("guess") for _ in range(9)])
    assert not any([await other.log_in("guess") for _ in range(9)])
    assert await gateway.counted() == {HERE: 8}
    assert gateway.issuer.refused + other.issuer.refused == 8 + 1, "one stood when the other one reset the counter"


async def test_an_operator_clears_what_stands(gateway: Gateway) -> None:
    assert await gateway.state.clear([HERE]) == 1
    assert await gateway.log_in()
    await gateway.guard.flush()
    assert await gateway.counted() == {}
    assert not await gateway.log_in("guess")
    assert await gateway.counted() == {HERE: 1}


async def test_what_was_counted_before_the_reset_had_ended_is_not_passed_on(gateway: Gateway) -> None:
    """The reset may have undone its count. A guess with it would be free."""
    assert isinstance(gateway.state, Counting)
    gateway.guard.forget()
    charges, take = gateway.guard._standing, partial(gateway.throttle.take, SUBJECT)
    (_, first), (_, second) = await take(), await take()
    gateway.state.answers.clear()
    resetting = asyncio.create_task(charges.settle(SUBJECT, first, partial(gateway.throttle.succeeded, SUBJECT, first)))
    taking = asyncio.create_task(take())
    await asyncio.sleep(0.01)
    await charges.settle(SUBJECT, second, _never)
    assert charges.pop(SUBJECT) is None, "counted before it began"
    gateway.state.answers.set()
    await resetting
    await charges.settle(SUBJECT, (await taking)[1], _never)
    assert charges.pop(SUBJECT) is None, "counted while it was under way"
    _, late = await take()
    await charges.settle(SUBJECT, late, _never)
    assert charges.pop(SUBJECT) is late


@pytest.mark.parametrize("reloaded", [False, True])
async def test_after_a_reset_that_failed_the_next_login_resets(gateway: Gateway, reloaded: bool) -> None:
    async def fails() -> None:
        if reloaded:
            charges.end()
        raise StateUnavailable("out of reach")

    gateway.guard.forget()
    charges = gateway.guard._standing
    _, charge = await gateway.throttle.take(SUBJECT)
    with pytest.raises(StateUnavailable):
        await charges.settle(SUBJECT, charge, fails)
    assert not await gateway.log_in("guess")
    assert await gateway.log_in()
    assert await gateway.counted() == {}


async def test_the_end_of_one_period_is_not_the_end_of_the_next(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(gateway.state, Counting)
    gateway.guard.forget()
    monkeypatch.setattr(standing, "SECONDS", 0.05)
    assert await gateway.log_in()
    gateway.guard.forget()
    monkeypatch.undo()
    assert [await gateway.log_in() for _ in range(2)] == [True, True]
    await asyncio.sleep(0.1)
    gateway.state.asked = 0
    assert await gateway.log_in()
    assert gateway.state.asked == 0


async def _never() -> None:
    raise AssertionError("the counters were reset again")
