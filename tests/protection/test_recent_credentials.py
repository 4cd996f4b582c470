"""A client that tries again has guessed once; what is kept of a credential is no way back to it, and no oracle."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from dicomgate.protection.recent_credentials import Outcome, RecentCredentials
from dicomgate.testing import attempt, jwt, passcode, username

ALICE = attempt(passcode("alice", "correct horse"))
HOME = "alice@192.0.2.1"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_credential_is_its_secret() -> None:
    guesses = RecentCredentials(10)
    alice = guesses.digest(ALICE)
    assert guesses.digest(attempt(passcode("ALICE ", "correct horse"))) == alice, (
        "the spelling is the account's business"
    )
    others = [
        guesses.digest(attempt(passcode("alice", "correct horse "))),
        guesses.digest(attempt(username("alice"))),
        guesses.digest(attempt(passcode("alice", ""))),
        guesses.digest(attempt(jwt("alice"))),
        guesses.digest(attempt(jwt("correct horse"))),
        guesses.digest(attempt(None)),
        guesses.digest(replace(ALICE, listener="other")),
        guesses.digest(replace(ALICE, peer=replace(ALICE.peer, address="2001:db8::66"))),
        guesses.digest(replace(ALICE, called_ae_title="OTHER")),
        guesses.digest(replace(ALICE, calling_ae_title="OTHER")),
        guesses.digest(replace(ALICE, peer=replace(ALICE.peer, certificate=b"der"))),
        RecentCredentials(10).digest(ALICE),  # another process
    ]
    assert len({alice, *others}) == 13
    assert b"horse" not in alice


def test_what_was_refused_is_false_for_a_while_and_what_was_accepted_is_genuine_for_longer() -> None:
    clock = Clock()
    guesses = RecentCredentials(10, clock)
    digest = guesses.digest(ALICE)
    for past, seconds in ((Outcome.REFUSED, 10), (Outcome.ACCEPTED, 600)):
        guesses.end(guesses.begin(HOME, digest), past)
        clock.now += seconds - 1
        assert guesses.past(HOME, digest) is past
        assert guesses.past("alice@192.0.2.66", digest) is Outcome.UNKNOWN, "what is known here says nothing elsewhere"
        assert guesses.past("bob@192.0.2.1", digest) is Outcome.UNKNOWN
        clock.now += 2
        assert guesses.past(HOME, digest) is Outcome.UNKNOWN
    guesses.end(guesses.begin(HOME, digest), Outcome.UNKNOWN)
    assert guesses.past(HOME, digest) is Outcome.UNKNOWN, "nobody could look"


def test_whoever_tries_another_credential_makes_the_last_one_forgotten() -> None:
    guesses = RecentCredentials(10)
    digest, other = guesses.digest(ALICE), guesses.digest(attempt(passcode("alice", "a guess")))
    guesses.end(guesses.begin(HOME, digest), Outcome.ACCEPTED)
    guess = guesses.begin(HOME, other)
    assert guesses.past(HOME, digest) is Outcome.UNKNOWN, "while it is verified"
    guesses.end(guess, Outcome.REFUSED)
    assert guesses.past(HOME, digest) is Outcome.UNKNOWN, "and afterwards"
    crossed = guesses.begin(HOME, digest)
    guesses.end(guesses.begin(HOME, other), Outcome.REFUSED)
    guesses.end(crossed, Outcome.ACCEPTED)
    assert guesses.past(HOME, digest) is Outcome.UNKNOWN, "a success that a guess has crossed is not remembered"


def test_who_comes_while_it_is_verified_can_wait_for_the_end() -> None:
    async def main() -> None:
        guesses = RecentCredentials(10)
        digest = guesses.digest(ALICE)
        assert guesses.last(HOME, digest) is None
        guess = guesses.begin(HOME, digest)
        assert guesses.last(HOME, digest) is guess
        assert guesses.last(HOME, guesses.digest(attempt(None))) is None
        over = guess.over
        assert over is not None
        assert not over.is_set()
        guesses.end(guess, Outcome.REFUSED)
        await asyncio.wait_for(over.wait(), 5)
        assert guess.over is None

    asyncio.run(main())


def test_all_of_it_can_be_forgotten_while_something_is_verified() -> None:
    guesses = RecentCredentials(10)
    digest = guesses.digest(ALICE)
    guess = guesses.begin(HOME, digest)
    guesses.forget()
    guesses.end(guess, Outcome.ACCEPTED)
    assert guesses.past(HOME, digest) is Outcome.UNKNOWN


def test_what_is_kept_is_bounded_and_the_oldest_goes_first() -> None:
    guesses = RecentCredentials(10)
    digest = guesses.digest(ALICE)
    for number in range(20_001):
        guesses.end(guesses.begin(f"{number}@192.0.2.1", digest), Outcome.REFUSED)
    assert guesses.past("0@192.0.2.1", digest) is Outcome.UNKNOWN
    assert guesses.past("1@192.0.2.1", digest) is Outcome.REFUSED
