"""A client that tries again has guessed once; what is kept of a credential is no way back to it, and no oracle."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from dicomgate.protection.recent_credentials import Outcome, RecentCredentials
from dicomgate.testing import attempt, jwt, passcode, username

ALICE = attempt(passcode("alice", "correct horse"))
HOME = "alice@192.0.2.1"


def known(recent: RecentCredentials, subject: str, digest: bytes) -> Outcome:
    """What is known of it, without putting it in the place of the last one."""
    before = recent._last.copy()
    outcome, _ = recent.compare(subject, digest)
    recent._last = before
    return outcome


def remember(recent: RecentCredentials, subject: str, digest: bytes, outcome: Outcome) -> None:
    recent.end(recent.compare(subject, digest)[1], outcome, lambda: True)


def test_a_credential_is_its_name_and_its_secret() -> None:
    recent = RecentCredentials(10)
    alice = recent.digest(ALICE)
    assert recent.digest(replace(ALICE, id="another")) == alice
    others = [
        recent.digest(attempt(passcode("ALICE", "correct horse"))),
        recent.digest(attempt(passcode("alicec", "orrect horse"))),
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
    assert len({alice, *others}) == 16
    assert b"horse" not in alice


def test_what_was_refused_is_false_for_a_while_and_what_was_accepted_is_genuine_for_longer() -> None:
    now = 1000.0
    recent = RecentCredentials(10, lambda: now)
    digest = recent.digest(ALICE)
    for outcome, seconds in ((Outcome.REFUSED, 10), (Outcome.ACCEPTED, 600)):
        remember(recent, HOME, digest, outcome)
        now += seconds - 1
        assert known(recent, HOME, digest) is outcome
        assert known(recent, "alice@192.0.2.66", digest) is Outcome.UNKNOWN, "it says nothing about other sources"
        assert known(recent, "bob@192.0.2.1", digest) is Outcome.UNKNOWN
        now += 2
        assert known(recent, HOME, digest) is Outcome.UNKNOWN
    remember(recent, HOME, digest, Outcome.UNKNOWN)
    assert known(recent, HOME, digest) is Outcome.UNKNOWN, "nobody could look"


def test_a_refusal_that_may_have_passed_is_looked_at_once_more_and_then_remembered() -> None:
    recent = RecentCredentials(10)
    digest = recent.digest(ALICE)
    for expected in Outcome.UNKNOWN, Outcome.UNKNOWN, Outcome.REFUSED, Outcome.REFUSED:
        outcome, last = recent.compare(HOME, digest)
        assert outcome is expected
        if outcome is Outcome.UNKNOWN:
            recent.end(last, Outcome.REFUSED)


def test_whoever_tries_another_credential_makes_the_last_one_forgotten() -> None:
    recent = RecentCredentials(10)
    digest, other = recent.digest(ALICE), recent.digest(attempt(passcode("alice", "a guess")))
    remember(recent, HOME, digest, Outcome.ACCEPTED)
    _, current = recent.compare(HOME, other)
    assert known(recent, HOME, digest) is Outcome.UNKNOWN, "as soon as it is compared"
    recent.end(current, Outcome.REFUSED)
    assert known(recent, HOME, digest) is Outcome.UNKNOWN, "and afterwards"
    _, crossed = recent.compare(HOME, digest)
    remember(recent, HOME, other, Outcome.REFUSED)
    recent.end(crossed, Outcome.ACCEPTED)
    assert known(recent, HOME, digest) is Outcome.UNKNOWN, "a success that a guess has crossed is not remembered"


@pytest.mark.anyio
async def test_who_comes_while_it_is_verified_can_wait_for_the_end() -> None:
    recent = RecentCredentials(10)
    digest = recent.digest(ALICE)
    _, current = recent.compare(HOME, digest)
    outcome, same = recent.compare(HOME, digest)
    assert (outcome, same) == (Outcome.UNDER_WAY, current)
    waiting = asyncio.ensure_future(current.ended())
    await asyncio.sleep(0)
    assert not waiting.done()
    recent.end(current, Outcome.REFUSED)
    await asyncio.wait_for(waiting, 5)
    await asyncio.wait_for(current.ended(), 5)  # whoever comes too late to wait
    assert recent.is_refused(current, waited=True)
    assert not recent.is_refused(current), "nobody says that it stands"


def test_all_of_it_can_be_forgotten_while_something_is_verified() -> None:
    recent = RecentCredentials(10)
    digest = recent.digest(ALICE)
    _, current = recent.compare(HOME, digest)
    recent.forget()
    recent.end(current, Outcome.ACCEPTED)
    assert known(recent, HOME, digest) is Outcome.UNKNOWN


def test_what_is_kept_is_bounded_and_the_oldest_goes_first() -> None:
    recent = RecentCredentials(10)
    digest = recent.digest(ALICE)
    for number in range(20_001):
        remember(recent, f"{number}@192.0.2.1", digest, Outcome.REFUSED)
    assert known(recent, "0@192.0.2.1", digest) is Outcome.UNKNOWN
    assert known(recent, "1@192.0.2.1", digest) is Outcome.REFUSED
