from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest

from dicomgate import Accept, Attempt, Decision, Identity, IdentityType, Pass, Reject, Unavailable
from dicomgate.testing import attempt, jwt, kerberos, passcode, saml, username
from dicomgate.testing.evidence import ALICE, WRONG
from dicomgate.testing.peers.loopback import HOST, free_port
from dicomgate_ldap import Ldap
from dicomgate_ldap.directory import Directory
from dicomgate_ldap.messages import Failed, Question, Refused, Verified
from plugins.ldap.tests.conftest import Decided
from plugins.ldap.tests.mischief import Mischief, hangs_up, silent
from plugins.ldap.tests.slapd import Slapd


def asked(ldap: Ldap, *attempts: Attempt) -> list[Decision]:
    async def run() -> list[Decision]:
        async with ldap:
            return [await ldap.authenticate(one) for one in attempts]

    return asyncio.run(run())


@pytest.mark.parametrize("keys", [{}, {"direct_bind": "uid={name},dc=hospital,dc=example"}])
def test_an_empty_passcode_is_refused_before_anybody_is_asked(keys: dict[str, str]) -> None:
    """Called directly, and not by a chain that would have refused it."""
    with Mischief(hangs_up) as server:
        ldap = Ldap(servers=[server.url()], base="dc=hospital,dc=example", cleartext=True, **keys)
        decision = asyncio.run(ldap.authenticate(attempt(passcode("alice", b""))))
        assert decision == Reject("empty passcode")
        assert server.connections == 0
        (control,) = asked(ldap, attempt(passcode("alice", b"x")))
        assert isinstance(control, Unavailable)
        assert server.connections


def test_no_worker_binds_without_a_passcode(slapd: Slapd) -> None:
    """Not even if it were asked to; one without a name is refused as well."""
    settings = Ldap(**slapd.keys())._settings[0]
    for question in (Question("alice", ""), Question("", "")):
        answer = Directory(settings).answer(question)
        assert answer == Failed("a bind without a name or a passcode, which would be anonymous")
    assert isinstance(Directory(settings).answer(Question("alice", ALICE.decode())), Verified)


@pytest.mark.parametrize("identity", [None, username("alice"), kerberos(b"t"), saml("<a/>"), jwt("a.b.c")])
def test_other_identities_are_not_its_to_judge(identity: Identity | None) -> None:
    ldap = Ldap(servers=["ldaps://127.0.0.1:1"], base="dc=hospital,dc=example")
    assert ldap.handles == {IdentityType.USERNAME_AND_PASSCODE}
    assert isinstance(asyncio.run(ldap.authenticate(attempt(identity))), Pass)


def test_it_starts_without_a_directory_and_says_so(slapd: Slapd, caplog: pytest.LogCaptureFixture) -> None:
    nobody = f"ldaps://{HOST}:{free_port()}"
    (decision,) = asked(Ldap(**slapd.keys(servers=[nobody])), attempt(passcode("alice", ALICE)))
    assert decision == Unavailable(f"{nobody}: Connection refused")
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == [f"no directory can be asked; logins are unavailable until one can: {nobody}: Connection refused"]
    caplog.clear()
    (control,) = asked(Ldap(**slapd.keys()), attempt(passcode("alice", ALICE)))
    assert isinstance(control, Accept)
    assert not [record for record in caplog.records if record.name.startswith("dicomgate")]


def test_a_second_server_steps_in(slapd: Slapd) -> None:
    with Mischief(silent) as hangs:
        keys = slapd.keys(servers=[f"ldaps://{HOST}:{free_port()}", hangs.url(), slapd.tls])
        keys["deadline"] = timedelta(seconds=6)
        right, wrong = asked(Ldap(**keys), attempt(passcode("alice", ALICE)), attempt(passcode("alice", WRONG)))
        assert hangs.connections == 1
    assert isinstance(right, Accept)
    assert wrong == Reject("wrong passcode")


class LateServers:
    """Stand where the servers do: refuse after so many seconds, almost all of which passed in a queue."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def ask(self, question: Question) -> Refused:
        await asyncio.sleep(self._seconds)
        return Refused("wrong passcode", known=True, seconds=0.01)


def test_the_floor_ends_with_the_deadline() -> None:
    """Whoever waited long for a free connection does not wait for the whole floor as well."""

    async def story() -> float:
        ldap = Ldap(servers=["ldaps://127.0.0.1"], base="dc=hospital,dc=example", deadline=timedelta(seconds=2))
        ldap._servers = LateServers(1.6)  # type: ignore[assignment]
        ldap._floor.saw(60.0)
        start = asyncio.get_running_loop().time()
        assert await ldap.authenticate(attempt(passcode("alice", WRONG))) == Reject("wrong passcode")
        return asyncio.get_running_loop().time() - start

    assert 1.99 < asyncio.run(story()) < 2.4


def test_no_refusal_before_the_floor(slapd: Slapd) -> None:
    async def story() -> None:
        async with Ldap(**slapd.keys(deadline=timedelta(seconds=4))) as ldap:
            loop = asyncio.get_running_loop()

            async def seconds(secret: bytes) -> float:
                start = loop.time()
                await ldap.authenticate(attempt(passcode("alice", secret)))
                return loop.time() - start

            assert await seconds(WRONG) >= 0.09
            ldap._floor.saw(0.8)
            assert await seconds(WRONG) >= 0.99
            assert await seconds(ALICE) < 0.99
            ldap._floor.saw(60.0)
            assert 1.99 <= await seconds(WRONG) < 4.5

    asyncio.run(story())


def test_what_is_verified_raises_the_floor(slapd: Slapd) -> None:
    async def floor_after(*attempts: Attempt) -> float:
        async with Ldap(**slapd.keys()) as ldap:
            for one in attempts:
                await ldap.authenticate(one)
            return ldap._floor._slowest

    assert asyncio.run(floor_after(attempt(passcode("alice", ALICE)))) > 0
    assert asyncio.run(floor_after(attempt(passcode("alice", WRONG)))) > 0
    assert asyncio.run(floor_after(attempt(passcode("zoe", WRONG)), attempt(passcode("a" * 300, WRONG)))) == 0


def test_it_can_be_entered_again(slapd: Slapd) -> None:
    ldap = Ldap(**slapd.keys())
    for _ in range(2):
        (decision,) = asked(ldap, attempt(passcode("alice", ALICE)))
        assert isinstance(decision, Accept)


@pytest.mark.parametrize("typed", ["alice", "ALICE", "zoe"])
def test_the_reason_never_repeats_the_passcode(decided: Decided, slapd: Slapd, typed: str) -> None:
    (decision,) = decided(slapd.keys(), attempt(passcode(typed, WRONG)))
    assert isinstance(decision, Reject)
    assert WRONG.decode() not in repr(decision)
