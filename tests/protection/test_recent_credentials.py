"""A client that tries again has guessed once; what is kept of a credential is no way back to it, and no oracle."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from dicomgate.protection.recent_credentials import Outcome, RecentCredentials
from dicomgate.testing import attempt, jwt, passcode, username

ALICE = attempt(passcode("alice", "correct horse"))
HOME = "alice@192.0.2.1"


def test_a_credential_is_its_secret() -> None:
    recent = RecentCredentials(10)
    alice = recent.digest(ALICE)
    assert recent.digest(attempt(passcode("ALICE ", "correct horse"))) == alice, (
        "the spelling is the account's business"
    )
    others = [
        recent.digest(attempt(passcode("alice", "correct horse "))),
        recent.digest(attempt(username("alice"))),
        recent.digest(attempt(passcode("alice", ""))),
        recent.digest(attempt(jwt("alice"))),
        recent.digest(attempt(jwt("correct horse"))),
        recent.digest(attempt(None)),
        recent.digest(replace(ALICE, listener="other")),
        recent.digest(replace(ALICE, peer=replace(ALICE.peer, address="2001:db8::66"))),
        recent.digest(replace(ALICE, called_ae_title="OTHER")),
        recent.digest(replace(ALICE, calling_ae_title="OTHER")),
        recent.digest(replace(ALICE, peer=replace(ALICE.peer, certificate=b"der"))),
        recent.digest(replace(ALICE, peer=replace(ALICE.peer, certificate=b"red"))),  # as long, and another one
        RecentCredentials(10).digest(ALICE),  # another process
    ]
    assert len({alice, *others}) == 14
    assert b"horse" not in alice


def test_what_was_refused_is_false_for_a_while_and_what_was_accepted_is_genuine_for_longer() -> None:
    now = 1000.0
    recent = RecentCredentials(10, lambda: now)
    digest = recent.digest(ALICE)
    for outcome, seconds in ((Outcome.REFUSED, 10), (Outcome.ACCEPTED, 600)):
        recent.end(recent.begin(HOME, digest), outcome)
        now += seconds - 1
        assert recent.outcome(HOME, digest) is outcome
        assert recent.outcome("alice@192.0.2.66", digest) is Outcome.UNKNOWN, "it says nothing about other sources"
        assert recent.outcome("bob@192.0.2.1", digest) is Outcome.UNKNOWN
        now += 2
        assert recent.outcome(HOME, digest) is Outcome.UNKNOWN
    recent.end(recent.begin(HOME, digest), Outcome.UNKNOWN)
    assert recent.outcome(HOME, digest) is Outcome.UNKNOWN, "nobody could look"


def test_whoever_tries_another_credential_makes_the_last_one_forgotten() -> None:
    recent = RecentCredentials(10)
    digest, other = recent.digest(ALICE), recent.digest(attempt(passcode("alice", "a guess")))
    recent.end(recent.begin(HOME, digest), Outcome.ACCEPTED)
    current = recent.begin(HOME, other)
    assert recent.outcome(HOME, digest) is Outcome.UNKNOWN, "while it is verified"
    recent.end(current, Outcome.REFUSED)
    assert recent.outcome(HOME, digest) is Outcome.UNKNOWN, "and afterwards"
    crossed = recent.begin(HOME, digest)
    recent.end(recent.begin(HOME, other), Outcome.REFUSED)
    recent.end(crossed, Outcome.ACCEPTED)
    assert recent.outcome(HOME, digest) is Outcome.UNKNOWN, "a success that a guess has crossed is not remembered"


@pytest.mark.anyio
async def test_who_comes_while_it_is_verified_can_wait_for_the_end() -> None:
    recent = RecentCredentials(10)
    digest = recent.digest(ALICE)
    assert recent.last(HOME, digest) is None
    current = recent.begin(HOME, digest)
    assert recent.last(HOME, digest) is current
    assert recent.last(HOME, recent.digest(attempt(None))) is None
    over = current.verified
    assert over is not None
    assert not over.is_set()
    recent.end(current, Outcome.REFUSED)
    await asyncio.wait_for(over.wait(), 5)
    assert current.verified is None


def test_all_of_it_can_be_forgotten_while_something_is_verified() -> None:
    recent = RecentCredentials(10)
    digest = recent.digest(ALICE)
    current = recent.begin(HOME, digest)
    recent.forget()
    recent.end(current, Outcome.ACCEPTED)
    assert recent.outcome(HOME, digest) is Outcome.UNKNOWN


def test_what_is_kept_is_bounded_and_the_oldest_goes_first() -> None:
    recent = RecentCredentials(10)
    digest = recent.digest(ALICE)
    for number in range(20_001):
        recent.end(recent.begin(f"{number}@192.0.2.1", digest), Outcome.REFUSED)
    assert recent.outcome("0@192.0.2.1", digest) is Outcome.UNKNOWN
    assert recent.outcome("1@192.0.2.1", digest) is Outcome.REFUSED
