"""Who is counted as whom, and what the counters let through."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from dicomgate import Identity
from dicomgate.events.events import ReasonClass
from dicomgate.kit.text import token_digest
from dicomgate.protection.throttle import Subject, Throttle, ThrottleSettings, subject_of
from dicomgate.state.protocol import SharedState, StateUnavailable
from dicomgate.state.sqlite import SqliteState
from dicomgate.testing import attempt, jwt, passcode, username

pytestmark = pytest.mark.anyio
SETTINGS = ThrottleSettings(free=3, most=6, source_free=8, first_wait=60, longest_wait=120)
ELSEWHERE = Subject("alice", "192.0.2.66")
HOME = Subject("alice", "192.0.2.1")


def account(identity: Identity | None) -> str:
    return subject_of(attempt(identity)).account


@pytest.mark.parametrize(
    "typed",
    ["alice", "ALICE", " alice", "alice ", "al ice", "\uff41\uff4c\uff49\uff43\uff45", "a\u200dlice", "aliCe\u00a0"],
)
def test_the_spellings_of_a_name_are_one_account(typed: str) -> None:
    assert account(passcode(typed, "x")) == "alice"
    assert account(username(typed)) == "alice"


@pytest.mark.parametrize(
    ("typed", "counted"),
    [
        ("alice", "alice"),
        ("HOSPITAL\\Alice", "alice"),
        ("hospital \\alice", "alice"),
        ("Alice@Hospital.Example", "alice"),
        ("HOSPITAL\\Alice@Hospital.Example", "alice"),  # a directory takes this one, too
        ("HOSPITAL\\alice@elsewhere.example", "alice@elsewhere.example"),
        ("OTHER\\alice", "other\\alice"),  # may be somebody else
        ("alice@elsewhere.example", "alice@elsewhere.example"),
        ("HOSPITAL\\", "hospital\\"),
        ("@hospital.example", "@hospital.example"),
    ],
)
def test_a_name_is_counted_without_a_domain_that_is_known(typed: str, counted: str) -> None:
    domains = {"hospital", "hospital.example"}
    assert subject_of(attempt(passcode(typed, "x")), domains).account == counted


def test_a_token_in_the_place_of_a_name_is_no_key() -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"
    assert account(passcode(token, "x")) == account(username(token)) == f"token~{token_digest(token)}"
    assert account(passcode(token[:-1], "x")) != account(passcode(token, "x"))


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("alice", "al\u1806ice\ufffc"),  # RFC 4518 2.2 maps both to nothing
        ("alice", "alice\u3164\U0001f600\U0001e900"),  # Active Directory gives no weight to what it has no rule for
        ("alice", "al\u0131ce"),  # its capital letter is I
        ("soren", "s\u00f8ren"),
        ("michael", "mich\u00e6l"),
        ("\u3055\u304f\u3089", "\u30b5\u30af\u30e9"),  # NORM_IGNOREKANATYPE
    ],
)
def test_what_one_directory_or_another_takes_for_the_same_name_is_one_account(name: str, typed: str) -> None:
    assert account(passcode(typed, "x")) == account(passcode(name, "x"))


def test_other_names_are_other_accounts() -> None:
    long = "a" * 200
    names = ["alice", "bob", "alice2", "a.lice", "straße1", long, long + "b", "\u200d", "?x", "\u4e2d"]
    accounts = [account(passcode(name, "x")) for name in names]
    assert len(set(accounts)) == len(names)
    assert max(map(len, accounts)) <= 80
    assert "" not in accounts
    assert account(passcode("straße", "x")) == account(passcode("STRASSE", "x"))


async def test_a_name_that_is_too_long_is_not_verified(throttle: Throttle, state: SharedState) -> None:
    marks = "a" + "\u0301" * 16_000 + "\u0316" * 16_000  # to normalise it would take a second
    # A database that ignores spaces at the end would take the last one for alice, who is counted elsewhere.
    for name in marks, "b" * 257, "alice" + " " * 252:
        why_not, _ = await throttle.take(subject_of(attempt(passcode(name, "x"))))
        assert why_not is not None
        assert why_not.reason == "throttled: the name is too long"
    assert await state.counters() == []
    assert not (await throttle.take(subject_of(attempt(passcode("b" * 256, "x")))))[0]
    assert not (await throttle.take(subject_of(attempt(passcode("~", "x")))))[0]


def test_who_claims_no_name_is_counted_by_the_address() -> None:
    assert account(jwt("alice")) == account(None) == ""
    assert subject_of(attempt(jwt("x"), address="192.0.2.7")).counters[1] == "known:@192.0.2.7"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_a_source_is_an_ipv4_address_or_an_ipv6_network(one: str, other: str, same: bool) -> None:
    assert (subject_of(attempt(address=one)).source == subject_of(attempt(address=other)).source) is same


@pytest.fixture
async def state(anyio_backend: str) -> AsyncIterator[SharedState]:
    state = SqliteState()
    yield state
    await state.close()


@pytest.fixture
def throttle(state: SharedState) -> Throttle:
    return Throttle(SETTINGS, state)


async def guess(throttle: Throttle, claimed: Subject, times: int) -> int:
    """How many of so many wrong attempts would be verified."""
    return sum([not (await throttle.take(claimed))[0] for _ in range(times)])


async def test_a_few_go_ahead_then_they_wait_and_the_reason_says_for_what(throttle: Throttle) -> None:
    assert await guess(throttle, ELSEWHERE, 10) == 3
    why_not, _counted = await throttle.take(ELSEWHERE)
    assert why_not is not None
    assert why_not.reason_class is ReasonClass.THROTTLED
    assert why_not.reason.startswith(
        "throttled: too many attempts in a row, account:alice waits 60 s more (dicomgate throttle"
    )
    assert await guess(throttle, Subject("bob", ELSEWHERE.source), 10) == 3, "another account"
    assert await guess(throttle, Subject("carol", ELSEWHERE.source), 10) == 2, "now the source has had its eight"
    assert await guess(throttle, Subject("carol", "192.0.2.99"), 10) == 1, "of the account two were counted"


async def test_who_guesses_does_not_lock_the_owner_out_where_the_owner_was_before(throttle: Throttle) -> None:
    why_not, charge = await throttle.take(HOME)
    assert not why_not
    await throttle.succeeded(HOME, charge)
    assert await guess(throttle, ELSEWHERE, 10) == 3
    for _again in range(20):
        why_not, charge = await throttle.take(HOME)
        assert not why_not
        await throttle.succeeded(HOME, charge)
    assert await guess(throttle, ELSEWHERE, 10) == 0, "the owner's logins give those elsewhere no new row"
    assert await guess(throttle, HOME, 10) == 3, "who guesses from the owner's address waits too"


async def test_success_at_one_account_pays_for_no_guesses_at_others(throttle: Throttle) -> None:
    mine = Subject("mallory", "192.0.2.66")
    verified = 0
    for number in range(30):
        verified += await guess(throttle, Subject(f"victim{number}", mine.source), 1)
        why_not, charge = await throttle.take(mine)
        if not why_not:
            await throttle.succeeded(mine, charge)
    assert verified == 8


async def test_tokens_of_a_familiar_source_have_as_many_as_those_of_a_strange_one(throttle: Throttle) -> None:
    here = Subject("", "192.0.2.1")
    why_not, charge = await throttle.take(here)
    assert not why_not
    await throttle.succeeded(here, charge)
    assert await guess(throttle, here, 20) == 8


async def test_what_is_taken_back_counts_for_nothing(throttle: Throttle, state: SharedState) -> None:
    for _ in range(20):
        why_not, charge = await throttle.take(ELSEWHERE)
        assert not why_not
        await throttle.refund(charge)
    assert await state.counters() == []


async def test_a_locked_counter_lets_none_through_until_an_operator_clears_it(state: SharedState) -> None:
    throttle = Throttle(ThrottleSettings(free=4, most=4), state)
    assert await guess(throttle, ELSEWHERE, 10) == 4
    why_not, _ = await throttle.take(ELSEWHERE)
    assert why_not is not None
    assert why_not.reason_class is ReasonClass.LOCKED
    assert why_not.reason.endswith(
        "account:alice is locked until it is cleared (dicomgate throttle clear account:alice)"
    )
    await state.clear(["account:alice"])
    assert await guess(throttle, ELSEWHERE, 10) == 4


class OutOfReach:
    """A state that is down, until it is `back`."""

    def __init__(self) -> None:
        self.back: SharedState | None = None

    def __getattr__(self, name: str) -> Any:
        async def method(*arguments: Any) -> Any:
            if self.back is None:
                raise StateUnavailable("redis: no answer within 1 s")
            return await getattr(self.back, name)(*arguments)

        return method


async def test_out_of_reach_the_gateway_counts_alone(state: SharedState, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    down, fallback = OutOfReach(), SqliteState()
    throttle = Throttle(SETTINGS, cast(SharedState, down), fallback)
    assert await guess(throttle, HOME, 10) == 3
    down.back = state
    assert await guess(throttle, HOME, 10) == 3
    assert [count.n for count in await state.counters()] == [3, 3]
    await fallback.close()
    assert [record.getMessage() for record in caplog.records if record.name == "dicomgate.throttle"] == [
        "attempts are counted by this gateway alone for now: redis: no answer within 1 s",
        "attempts are counted in the shared state again",
    ]
